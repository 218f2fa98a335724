"""One user's deletion, decision by decision."""

from collections.abc import Iterable
from datetime import date

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.names import fold
from bulk_user_deletion.models.users import (
    Outcome,
    PortalUser,
    ReasonKind,
    UserRow,
    UserState,
    Why,
)
from bulk_user_deletion.rules.decisions import Decision, End, LookAgain, Send
from bulk_user_deletion.rules.protection import Protected

MAX_ATTEMPTS = 5
MAX_TRIES = 6

_SHORTEST_SETTLE_SECONDS = 300


def reason_to_keep(
    planned: PortalUser, found: PortalUser, *, action: Action, protected: Protected, today: date
) -> Why | None:
    """Compare a user with the plan right before a request; return None if nothing has changed."""
    changed = [
        name
        for name, before, now in (
            ("id", planned.user_id, found.user_id),
            ("username", planned.username, found.username),
            ("email", planned.email, found.email),
        )
        if fold(before) != fold(now)
    ]
    if changed:
        return Why(
            ReasonKind.CHANGED_SINCE_PLAN,
            f"changed_since_plan: {' and '.join(changed)} no longer as planned",
        )
    if action is not Action.ENABLE and planned.is_disabled and found.is_enabled:
        return Why(
            ReasonKind.CHANGED_SINCE_PLAN, "changed_since_plan: enabled again since the plan"
        )
    return protected.reason_to_keep(found, today=today)


def decide(row: UserRow | None, *, keep: Why | None) -> Decision:
    """Decide about a user whom a look shows. `keep` is why the user may not be deleted."""
    if row is None or not row.is_in_flight:
        return End(Outcome.SKIPPED, keep.text, keep.kind) if keep else Send()
    if keep:
        return End(Outcome.UNKNOWN, f"after the DELETE: {keep.text}", keep.kind)
    if row.state is UserState.DECLINED:
        return End(Outcome.FAILED, f"{row.reason}; still there")
    return LookAgain("still there")


def settle_wait(row: UserRow) -> int | None:
    """Return how many seconds to wait before the next look, or None when settling is over.

    A user settles for three times as long as its DELETE took, and for at least 5 minutes. Settling
    is measured by the requested waits, not by a clock: an invocation that is late still makes
    all its looks.
    """
    settle_seconds = max(_SHORTEST_SETTLE_SECONDS, 3 * row.delete_seconds)
    if row.waited >= settle_seconds:
        return None
    return min(5 << row.looks, 60, settle_seconds - row.waited)


def retry_wait(attempts: int, retry_after: int | None) -> int | None:
    """Return how long to wait after the portal's definite refusal, or None to give up.

    The portal's own `Retry-After` is honored to the second.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    return retry_after if retry_after is not None else 10 << attempts


def leases_left(rows: Iterable[UserRow], *, now: int) -> int:
    """Return the seconds until no function can still be changing one of these users."""
    leases = (row.lease_until for row in rows if row.state is UserState.INTENT)
    return max(0, max(leases, default=0) - now + 1)


def pace_wait(row: UserRow, *, wait_seconds: int, now: int) -> int:
    """Return what is left of the pause after this user, counted from the DELETE's answer."""
    if row.state is not UserState.DONE or not row.answered_at:
        return 0
    return max(0, wait_seconds - (now - row.answered_at))
