"""What a plan will take: modelled from the portal's pace and AWS's list prices."""

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Estimate
from bulk_user_deletion.rules import prices

# The vendor: "the deletion of one user takes around 1 minute on average".
SECONDS_PER_DELETE = 60

# A PUT and its looks: assumed, because nothing is documented.
SECONDS_PER_PUT = 2

_TRANSITIONS = 4
_MEMORY_GB = 0.125
_SECONDS_BESIDE_THE_REQUEST = 1.0
_LEDGER_WRITES = 17  # two transactions of four rows each, which count twice, and an update


def estimate(
    users: int,
    *,
    action: Action,
    wait_seconds: int,
    concurrency: int,
    seconds_per_delete: float,
) -> Estimate:
    """Estimate the time of changing `users` users, and the cost.

    The cost of `disable_then_delete` includes deleting them later; its time does not.
    """
    seconds = seconds_per_delete if action.deletes else SECONDS_PER_PUT
    usd = _usd_per_user(seconds)
    if action is Action.DISABLE_THEN_DELETE:
        usd += _usd_per_user(seconds_per_delete)
    return Estimate(round(users * (seconds + wait_seconds) / concurrency), round(users * usd, 4))


def _usd_per_user(seconds: float) -> float:
    return (
        _TRANSITIONS * prices.STATE_TRANSITION
        + (seconds + _SECONDS_BESIDE_THE_REQUEST) * _MEMORY_GB * prices.LAMBDA_GB_SECOND
        + _LEDGER_WRITES * prices.LEDGER_WRITE
        + prices.S3_PUT
    )
