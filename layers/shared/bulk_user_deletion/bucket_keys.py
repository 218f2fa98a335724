"""Where everything lies in the data bucket: the one place that writes its keys.

The template's policies and life cycle rules name the same prefixes.
"""

INBOX = "inbox/"  # a file that is dropped here starts a run
UPLOADS = "uploads/"  # beside the inbox, where a file would start a run of its own

LONGEST_KEY = 1_024  # bytes, by S3's documentation


def plan_key(run_id: str) -> str:
    """Return where a run's plan is kept."""
    return f"runs/{run_id}/plan.json"


def open_users_key(run_id: str, round_number: int) -> str:
    """Return where the ids of those are kept who were open when a run was resumed."""
    return f"runs/{run_id}/open-{round_number}.json"


def users_before_key(run_id: str, round_number: int = 1) -> str:
    """Return where the portal's users are kept as they were before a round of a run."""
    return f"runs/{run_id}/users-before{f'-{round_number}' if round_number > 1 else ''}.json"


def report_key(run_id: str, suffix: str) -> str:
    """Return where a run's report is kept; `suffix` is json, csv or html."""
    return f"runs/{run_id}/report.{suffix}"


def batch_key(run_id: str, round_number: int, number: int, digest: str) -> str:
    """Return where a batch of users is kept; `digest` is the sha256 of its bytes."""
    return f"runs/{run_id}/batches/{round_number}-{number:05}-{digest}.json"


def names_batch(key: str, digest: str) -> bool:
    """Tell whether this is the key of a batch whose bytes have this sha256."""
    return key.endswith(f"-{digest}.json")


def check_key(run_id: str) -> str:
    """Return where an execution keeps what it found when it was told to check the portal."""
    return f"runs/{run_id}/check.json"


def result_key(dropped_key: str) -> str:
    """Return where the answer to a dropped file is kept: beside the inbox, under its name."""
    return f"results/{dropped_key}.json"
