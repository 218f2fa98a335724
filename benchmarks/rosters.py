"""A roster as long as the portal: 100,000 entries against 100,000 users, beside planning a list."""

from collections.abc import Iterator
from typing import Any

from benchmarks.application import Application
from benchmarks.figures import Figure
from benchmarks.functions import environment, with_token
from local.engine import Engine
from local.portal import PortalSimulator

USERS = 100_000
_LEFT = 2
_EXECUTIONS = "arn:aws:states:us-east-1:000000000000:execution:bench:"


def run(*, users: int = USERS) -> Iterator[Figure]:
    """Plan a list of everybody, then a second roster, which lacks two users of the first one."""
    with Engine() as aws, PortalSimulator(users=users) as portal:
        last = max(portal.user_ids())
        application = Application(aws, "bench", portal)
        variables = environment(aws, application)
        everybody = portal.add_dataset("SELECT user_id FROM user")
        for user_id in (last, last - 1):
            portal.edit(user_id, enabled="Y", first_name="Left")
        staying = portal.add_dataset("SELECT user_id FROM user WHERE first_name <> 'Left'")
        sources: dict[str, dict[str, Any]] = {
            "list": {"dataset_id": everybody},
            "roster-1": {"roster": {"dataset_id": everybody}},
            "roster-2": {"roster": {"dataset_id": staying}},
        }
        planned = {
            name: with_token(
                "fetch_user_ids",
                {
                    "run_id": name,
                    "execution_arn": f"{_EXECUTIONS}{name}",
                    "request": {"source": source},
                },
                variables,
            )
            for name, source in sources.items()
        }
        for invocation in planned.values():
            if invocation.error:
                raise RuntimeError(invocation.message)
        listed, roster = planned["list"], planned["roster-2"]
        if roster.result["users"] != _LEFT:
            raise RuntimeError(f"{roster.result['users']} users are planned, not {_LEFT}")
        yield Figure("rosters", f"time to plan a roster of {users:,}", roster.seconds, "s")
        yield Figure(
            "rosters",
            "over planning a list of as many",
            roster.seconds / listed.seconds,
            "times",
            target=1.5,
        )
        yield Figure("rosters", "peak memory", roster.peak_mb, "MB", target=256)
