"""What a plan will take: modelled from the vendor's own figure and AWS's list prices."""

from bulk_user_deletion.models import Estimate

# The vendor: "the deletion of one user takes around 1 minute on average".
SECONDS_PER_DELETE = 60

# us-east-1, arm64, list prices of November 2026, in USD.
_PER_TRANSITION = 0.025 / 1000
_PER_GB_SECOND = 0.0000133334
_PER_LEDGER_WRITE = 0.625 / 1_000_000

_TRANSITIONS = 4
_MEMORY_GB = 0.25
_LEDGER_WRITES = 18  # two transactions and an update, transactions counting twice


def estimate(users: int, *, wait_seconds: int, concurrency: int) -> Estimate:
    """Estimate the time and the cost of deleting `users` users."""
    per_user = (
        _TRANSITIONS * _PER_TRANSITION
        + SECONDS_PER_DELETE * _MEMORY_GB * _PER_GB_SECOND
        + _LEDGER_WRITES * _PER_LEDGER_WRITE
    )
    seconds = users * (SECONDS_PER_DELETE + wait_seconds) / concurrency
    return Estimate(round(seconds), round(users * per_user, 4))
