"""What a plan will take: modelled from the portal's pace and AWS's list prices."""

from bulk_user_deletion.models.plans import Estimate
from bulk_user_deletion.rules import prices

# The vendor: "the deletion of one user takes around 1 minute on average".
SECONDS_PER_DELETE = 60

_TRANSITIONS = 4
_MEMORY_GB = 0.125
_SECONDS_BESIDE_THE_DELETE = 1.0
_LEDGER_WRITES = 17  # two transactions of four rows each, which count twice, and an update


def estimate(
    users: int, *, wait_seconds: int, concurrency: int, seconds_per_delete: float
) -> Estimate:
    """Estimate the time and the cost of deleting `users` users."""
    per_user = (
        _TRANSITIONS * prices.STATE_TRANSITION
        + (seconds_per_delete + _SECONDS_BESIDE_THE_DELETE) * _MEMORY_GB * prices.LAMBDA_GB_SECOND
        + _LEDGER_WRITES * prices.LEDGER_WRITE
    )
    seconds = users * (seconds_per_delete + wait_seconds) / concurrency
    return Estimate(round(seconds), round(users * per_user, 4))
