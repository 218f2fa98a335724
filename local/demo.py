"""The simulated portal that `python -m local run` uses by default."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.portal import Knobs, PortalSimulator

_USERS = 401  # one of them is deleted after the dataset is collected
_LEAVERS = 25

# The product's own times, before scaling (every Wait is scaled too).
_SECONDS_PER_DELETE = 60
_TOKEN_LIFE_SECONDS = 900


@contextmanager
def demo_portal(wait_scale: float) -> Iterator[tuple[PortalSimulator, dict[str, Any]]]:
    """Serve a portal with leavers in a dataset; yield it, and the request that deletes them.

    The dataset also names an administrator, and a user who was deleted after it was collected:
    each ends with a different outcome.
    """
    knobs = Knobs(
        seconds_per_delete=_SECONDS_PER_DELETE * wait_scale,
        token_life_seconds=_TOKEN_LIFE_SECONDS * wait_scale,
    )
    with PortalSimulator(users=_USERS, knobs=knobs) as portal:
        leavers = [
            row["username"]
            for row in portal.database.execute(
                "SELECT username FROM user WHERE type = 'regular' ORDER BY user_id LIMIT ?",
                (_LEAVERS + 1,),
            )
        ]
        administrator = portal.database.execute(
            "SELECT username FROM user WHERE type = 'administrator' AND username <> ?",
            (portal.api_user,),
        )[0]["username"]
        names = ", ".join(f"'{name}'" for name in [*leavers, administrator])
        dataset_id = portal.add_dataset(
            f"SELECT user_id FROM user WHERE username IN ({names})"  # noqa: S608 -- our own names
        )
        portal.database.execute("DELETE FROM user WHERE username = ?", (leavers[-1],))
        yield (
            portal,
            {
                "mode": "apply",
                "source": {"dataset_id": dataset_id},
                "reason": "demonstration",
                "requested_by": "python -m local run",
            },
        )
