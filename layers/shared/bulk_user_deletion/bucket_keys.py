"""The keys of the data bucket: the only module that builds them.

The template's policies and lifecycle rules use the same prefixes.
"""

import re

INBOX = "inbox/"  # a file that is dropped here starts a run
ROSTERS = "roster/"  # a file that is dropped here is a list of everybody who stays
UPLOADS = "uploads/"  # outside the inbox, where a file would start another run

_EVIDENCE = re.compile(
    r"runs/[^/]+/(plan\.json|open-\d+\.json|users-before(-\d+)?\.json|report\.(json|csv|html))"
)

LONGEST_KEY = 1_024  # bytes, by S3's documentation


def plan_key(run_id: str) -> str:
    """Return the key of a run's plan."""
    return f"runs/{run_id}/plan.json"


def open_users_key(run_id: str, round_number: int) -> str:
    """Return the key of the ids of the users that were open when a run was resumed."""
    return f"runs/{run_id}/open-{round_number}.json"


def users_before_key(run_id: str, round_number: int = 1) -> str:
    """Return the key of the portal's users as they were before a round of a run."""
    return f"runs/{run_id}/users-before{f'-{round_number}' if round_number > 1 else ''}.json"


def files_before_report(run_id: str, rounds: int) -> list[str]:
    """Return the keys of the files that a run's report is based on, round by round."""
    later = range(2, rounds + 1)
    return [
        plan_key(run_id),
        *(open_users_key(run_id, number) for number in later),
        *(users_before_key(run_id, number) for number in (1, *later)),
    ]


def file_name(key: str) -> str:
    """Return the name of a file of a run, without its folder."""
    return key.rpartition("/")[2]


def roster_key(run_id: str) -> str:
    """Return the key of the users, by id, whom an accepted roster names."""
    return f"runs/{run_id}/roster.json"


def report_key(run_id: str, suffix: str) -> str:
    """Return the key of a run's report; `suffix` is json, csv or html."""
    return f"runs/{run_id}/report.{suffix}"


def batch_key(run_id: str, round_number: int, number: int, digest: str) -> str:
    """Return the key of a batch of users; `digest` is the sha256 of its bytes."""
    return f"{batches_prefix(run_id)}{round_number}-{number:05}-{digest}.json"


def batches_prefix(run_id: str) -> str:
    """Return what the keys of a run's batches start with."""
    return f"runs/{run_id}/batches/"


def record_key(run_id: str, round_number: int, user_id: str) -> str:
    """Return the key of what the portal returned about a user before a round's first request."""
    return f"runs/{run_id}/records/{user_id}-{round_number}.json"


def names_batch(key: str, digest: str) -> bool:
    """Return whether `key` is that of a batch whose bytes have this sha256."""
    return key.endswith(f"-{digest}.json")


def is_evidence(key: str) -> bool:
    """Return whether an object proves what a run did: a plan, who was there before, a report."""
    return bool(_EVIDENCE.fullmatch(key))


def check_key(run_id: str) -> str:
    """Return the key of what an execution found when it was asked to check the portal."""
    return f"runs/{run_id}/check.json"


def watch_key(run_id: str) -> str:
    """Return the key of what a watch found."""
    return f"runs/{run_id}/watch.json"


def population_key(run_id: str) -> str:
    """Return the key of the ids that a watch saw listed."""
    return f"runs/{run_id}/population.json"


def result_key(dropped_key: str, suffix: str = "json") -> str:
    """Return the key of the answer to a dropped file; `suffix` is json or html."""
    return f"results/{dropped_key}.{suffix}"
