"""How a plan's users are handed out: the canaries one by one, then batches."""

from collections.abc import Iterable

from bulk_user_deletion.models import Outcome, UserRow

BATCH_SIZE = 100


def batch_range(number: int, *, canary_users: int, users: int) -> range:
    """Return which of `users` planned users make up batch `number`, counted from 1.

    It depends on nothing else, so a step that is tried again hands out the same batch. An empty
    range means that all were handed out.
    """
    if number <= canary_users:
        return range(min(number - 1, users), min(number, users))
    start = canary_users + (number - canary_users - 1) * BATCH_SIZE
    return range(min(start, users), min(start + BATCH_SIZE, users))


def canary_problem(rows: Iterable[UserRow | None]) -> str:
    """Say why the rest must not follow these canaries; empty when each of them is gone."""
    for row in rows:
        outcome = row.outcome if row else Outcome.NOT_ATTEMPTED
        if outcome not in {Outcome.DELETED, Outcome.ALREADY_ABSENT}:
            who = f"user {row.user_id}" if row else "a user that was not begun"
            return f"canary {who} ended {outcome or Outcome.UNKNOWN}, not deleted"
    return ""
