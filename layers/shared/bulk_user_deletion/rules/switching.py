"""One user's PUT that switches access off or on, decision by decision."""

import re
from collections.abc import Mapping
from typing import Any

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
from bulk_user_deletion.rules.text import counted

# A PUT sets one field to a value, so it may be sent again, unlike a DELETE.
MAX_PUTS = 3
SETTLE_SECONDS = 30

_SWITCH = "enabled"
_PLAIN_NAME = re.compile("[A-Za-z][A-Za-z0-9_]{0,39}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?.{0,20})?|\d{9,13}")


def access_problem(found: PortalUser) -> str:
    """Return why it is not known whether this user is enabled, or an empty string."""
    if found.is_enabled or found.is_disabled:
        return ""
    return (
        f"The portal does not say whether user {found.user_id} is enabled: `enabled` is neither Y"
        " nor N. Nobody else is started. Find out what this portal's records say."
    )


def has_access(action: Action, found: PortalUser) -> bool:
    """Return whether a user already is as the action wants it."""
    return found.is_enabled if action is Action.ENABLE else found.is_disabled


def decide(
    action: Action,
    row: UserRow | None,
    found: PortalUser,
    *,
    keep: Why | None,
    changed: list[str],
    may_send: bool,
) -> Decision:
    """Decide about a user whom a look shows, and who has no `access_problem`.

    `keep` is why the user may not be touched. `changed` are the fields that differ from the look
    before our PUT, if one was sent. Without `may_send` the run was stopped, or a person
    has decided about the user since our first PUT.
    """
    sent = row is not None and bool(row.attempts)
    in_flight = row is not None and row.is_in_flight
    if row is not None and sent and changed:
        return _replaced(row, found, changed)
    if keep and in_flight:
        return End(Outcome.UNKNOWN, f"after the PUT: {keep.text}", keep.kind)
    if keep:
        return End(Outcome.SKIPPED, keep.text, keep.kind)
    if has_access(action, found):
        if sent:
            return End(action.done, f"a look after the PUT found the user {action.done}")
        return End(action.done, f"{action.done} already: no PUT was sent")
    if row is None or not in_flight:
        return Send()
    kind = still(action)
    said = _said(kind)
    if row.state is UserState.DECLINED:
        return End(Outcome.FAILED, f"{row.reason}; {said}", kind)
    if settle_wait(row):
        return LookAgain(said)
    if may_send and row.attempts_this_round < MAX_PUTS:
        return Send()
    puts = counted(row.attempts_this_round, "PUT")
    return End(Outcome.UNKNOWN, f"{said} after {puts}, last {row.reason or 'unanswered'}", kind)


def settle(
    action: Action,
    row: UserRow,
    found: PortalUser | None,
    *,
    is_gone: bool,
    changed: list[str],
) -> End:
    """Decide the outcome of a user whom the run had started, by the last look at this user.

    Without `found` and `is_gone` the look was inconclusive, or there was none.
    """
    as_it_was = End(row.outcome, row.reason, row.reason_kind) if row.outcome else None
    is_done = row.state is UserState.DONE
    evidence = row.reason or "the PUT's answer was not recorded"
    if found and row.attempts and changed:
        return _replaced(row, found, changed)
    if found and has_access(action, found) and row.attempts:
        return End(action.done, f"{evidence}; {action.done} at the last look")
    if as_it_was and (is_done or row.state is UserState.REOPENED):
        return as_it_was
    if is_gone and not row.attempts:
        return End(Outcome.ALREADY_ABSENT, "gone at the last look, before we sent a PUT")
    kind = still(action) if found and not has_access(action, found) else ReasonKind.NONE
    if row.state is UserState.REFUSED:
        return End(Outcome.FAILED, row.reason, kind)
    if row.state is UserState.DECLINED and kind:
        return End(Outcome.FAILED, f"{evidence}; {_said(kind)} at the last look", kind)
    seen = "gone" if is_gone else _said(kind) if kind else "not looked at"
    return End(Outcome.UNKNOWN, f"{evidence}; {seen} at the last look", kind)


def still(action: Action) -> ReasonKind:
    """Return the kind of an outcome that left the user's access as it was."""
    return ReasonKind.STILL_DISABLED if action is Action.ENABLE else ReasonKind.STILL_ENABLED


def settle_wait(row: UserRow) -> int | None:
    """Return how many seconds to wait before the next look, or None when settling is over.

    Each PUT has its own `SETTLE_SECONDS`. Like those of a DELETE, they are measured by the
    requested waits, not by a clock.
    """
    left = SETTLE_SECONDS * max(1, row.attempts_this_round) - row.waited
    return min(2 << min(row.looks, 3), left) if left > 0 else None


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return which fields other than `enabled` a PUT changed, by name.

    A field that holds a date or time now, and did before or was empty, is the portal's own
    bookkeeping, such as the time of the last change. A field name that is not a plain word is
    not repeated.
    """
    names = dict.fromkeys([*before, *after])
    return [
        name if _PLAIN_NAME.fullmatch(name) else "a field with an odd name"
        for name in names
        if fold(name) != _SWITCH and not _is_same(before.get(name), after.get(name))
    ]


def _said(kind: ReasonKind) -> str:
    return kind.value.replace("_", " ")


def _is_same(before: Any, after: Any) -> bool:
    if before == after and type(before) is type(after):
        return True
    was_moment = before in (None, "") or _MOMENT.fullmatch(str(before))
    return bool(was_moment and _MOMENT.fullmatch(str(after)))


def _replaced(row: UserRow, found: PortalUser, changed: list[str]) -> End:
    fields = ", ".join(changed[:10]) + (", …" if len(changed) > 10 else "")
    return End(
        Outcome.UNKNOWN,
        f"after the PUT these fields are not as before: {fields}",
        ReasonKind.RECORD_CHANGED,
        stop=f"The portal changed more than `enabled` of user {row.user_id or found.user_id}:"
        f" {fields}. Nobody else is started. The record as it was before is in records/ next to"
        " the report: restore it in the portal, and find out how this portal disables users.",
    )
