"""How a plan's users are handed out: the canaries one by one, then batches."""

from collections.abc import Sequence
from dataclasses import dataclass

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.users import Outcome, ReasonKind, UserRow

BATCH_SIZE = 100

# How many users may replace canaries that proved nothing, and how many of those may have changed
# since the plan before this looks like a different or restored portal.
MOST_REPLACEMENTS = 10
MOST_CHANGED = 2


@dataclass(frozen=True, slots=True)
class Canaries:
    """The progress of the canaries: `handed_out` one by one, and whether that `is_enough`.

    `problem` says why no other user may be started; it is empty if the run may continue.
    """

    handed_out: int
    is_enough: bool
    problem: str = ""


def canaries(
    rows: Sequence[UserRow | None], *, action: Action, handed_out: int, wanted: int
) -> Canaries:
    """Judge the first users of a plan, by their rows in the plan's order.

    A canary that our request changed proves something. One that was skipped, already gone or
    already as wanted proves nothing: the next user takes its place. `handed_out` users were
    handed out so far, canaries or not. The same rows always give the same answer.
    """
    proved = replaced = changed = 0
    for number, row in enumerate(rows[:handed_out]):
        if proved == wanted:
            return Canaries(number, is_enough=True)
        outcome = row.outcome if row else Outcome.NOT_ATTEMPTED
        if row and outcome is action.done and (action.deletes or row.attempts):
            proved += 1
        elif row and outcome in {Outcome.SKIPPED, Outcome.ALREADY_ABSENT, action.done}:
            replaced += 1
            changed += row.reason_kind is ReasonKind.CHANGED_SINCE_PLAN
        else:
            who = f"user {row.user_id}" if row else "a user that was not started"
            ended = outcome or Outcome.UNKNOWN
            problem = f"canary {who} ended {ended}, not {action.done}"
            return Canaries(number + 1, is_enough=False, problem=problem)
        if changed > MOST_CHANGED:
            problem = f"canaries show that {changed} of {number + 1} users changed since the plan"
            return Canaries(number + 1, is_enough=False, problem=problem)
        if replaced > MOST_REPLACEMENTS:
            problem = f"canaries prove nothing: {replaced} users were skipped or needed nothing"
            return Canaries(number + 1, is_enough=False, problem=problem)
    return Canaries(min(handed_out, len(rows)), is_enough=proved == wanted)


def batch_range(number: int, *, singles: int, users: int) -> range:
    """Return which of `users` planned users make up batch `number`, counted from 1.

    The first `singles` batches have one user each. An empty range means that all were handed out.
    """
    if number <= singles:
        return range(min(number - 1, users), min(number, users))
    start = singles + (number - singles - 1) * BATCH_SIZE
    return range(min(start, users), min(start + BATCH_SIZE, users))
