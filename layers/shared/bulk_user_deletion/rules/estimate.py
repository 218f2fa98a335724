"""What a plan will take: modelled from the portal's pace and AWS's list prices."""

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Estimate
from bulk_user_deletion.rules.costs import expected, usd
from bulk_user_deletion.rules.windows import Windows

# The vendor: "the deletion of one user takes around 1 minute on average".
SECONDS_PER_DELETE = 60

# A PUT and its looks: assumed, because nothing is documented.
SECONDS_PER_PUT = 2


def estimate(
    users: int,
    *,
    action: Action,
    wait_seconds: int,
    concurrency: int,
    seconds_per_delete: float,
    windows: Windows,
    now: float,
) -> Estimate:
    """Estimate the time of changing `users` users, and the cost.

    The cost of `disable_then_delete` includes deleting them later; its time does not.
    """
    seconds = seconds_per_delete if action.deletes else SECONDS_PER_PUT
    seconds_per_user = (seconds + wait_seconds) / concurrency
    steps = [seconds]
    if action is Action.DISABLE_THEN_DELETE:
        steps.append(seconds_per_delete)
    price = sum(
        usd(expected(users, seconds=each, wait_seconds=wait_seconds, concurrency=concurrency))
        for each in steps
    )
    return Estimate(
        round(users * seconds_per_user),
        round(price, 4) if users else 0,
        round(windows.end_of(users, seconds_per_user, at=now) or 0),
    )


def windows_warning(users: int, estimated: Estimate, windows: Windows, *, now: float) -> str:
    """Return what a plan's reader must know about change windows, or an empty string."""
    seconds_per_user = estimated.seconds / users if users else 0
    if windows.have_room_for(users, seconds_per_user, at=now):
        return ""
    ends = (
        f"it would end about {windows.describe(estimated.ends_at)}"
        if estimated.ends_at
        else "it would take more than 100 days"
    )
    return (
        f"No change window of the next two weeks is long enough for all {users} users. The run will"
        f" pause when a window ends and continue in the next one; applied now, {ends}."
    )
