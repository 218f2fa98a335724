"""When a run goes so badly that it presses its own stop button."""

from collections.abc import Iterable

from bulk_user_deletion.models.users import Outcome, UserRow

IN_A_ROW = 3
PERCENT = 20
AT_LEAST = 10

_BAD = {Outcome.FAILED, Outcome.UNKNOWN}


def breaker_problem(rows: Iterable[UserRow]) -> str:
    """Return why no other user should be started, or an empty string if the run may continue.

    `rows` are the run's users in any order. The breaker trips if `IN_A_ROW` users in a row, in the
    order in which they ended, failed or are unknown, or `PERCENT` of all once `AT_LEAST` have
    ended.
    """
    ended = sorted((row for row in rows if row.outcome), key=lambda row: row.ended_at)
    bad = [row for row in ended if row.outcome in _BAD]
    last = ended[-IN_A_ROW:]
    if len(last) == IN_A_ROW and all(row.outcome in _BAD for row in last):
        return f"{IN_A_ROW} users in a row failed or are unknown, the last one {last[-1].user_id}"
    if len(ended) >= AT_LEAST and len(bad) * 100 >= PERCENT * len(ended):
        return f"{len(bad)} of {len(ended)} users failed or are unknown"
    return ""
