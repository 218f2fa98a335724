"""From requested entries to a plan: who is changed, who is kept and why, or why it is refused."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver
from bulk_user_deletion.models.names import fold
from bulk_user_deletion.models.plans import Entry, Plan, PlannedEntry
from bulk_user_deletion.models.requests import Request
from bulk_user_deletion.models.runs import Limits
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind, Why
from bulk_user_deletion.rules.guard import NO_GUARD, Guard
from bulk_user_deletion.rules.identity import (
    Directory,
    Match,
    keys_of_each_value,
    names_by_id,
    only_an_id,
)
from bulk_user_deletion.rules.leavers import Decided, not_disabled_by_us
from bulk_user_deletion.rules.protection import Protected
from bulk_user_deletion.rules.switching import has_access
from bulk_user_deletion.rules.text import counted, lines_of

_IN_PARTS = " or send it in parts"
_NOBODY_LEFT = (
    "The roster names everybody whom an earlier one named: its plan has nobody to disable."
)
EMPTY = "The source is empty: it names nobody. Check where it comes from."

# Lists of leavers are often cumulative: they still name users who left long ago. In the meantime a
# colleague may have been given that username or e-mail, or single sign-on recreated the leaver.
_CAME_BACK = Why(
    ReasonKind.CAME_BACK,
    "came_back: an earlier run deleted a user with this name, and there is one again; name"
    " this user by id",
)

_NOT_LISTED = Why(ReasonKind.NOT_LISTED, "not_listed: the portal's list lacks this id")

_KEPT = {ReasonKind.PROTECTED, ReasonKind.ADMINISTRATOR, ReasonKind.SELF}
_NOT_ONE_USER = {ReasonKind.AMBIGUOUS, ReasonKind.COLUMNS_DISAGREE}
_STRANGERS = {ReasonKind.NOT_FOUND, ReasonKind.NOT_LISTED, ReasonKind.NOBODY_HOLDS_ID}


def stricter(limits: Limits, options: Mapping[str, float]) -> Limits:
    """Apply a request's options: each can only make the run more careful than the stack."""
    return replace(
        limits,
        max_users=int(min(limits.max_users, options.get("max_users", limits.max_users))),
        max_percent=min(limits.max_percent, options.get("max_percent", limits.max_percent)),
        wait_seconds=int(max(limits.wait_seconds, options.get("wait_seconds", 0))),
        canary_users=int(max(limits.canary_users, options.get("canary_users", 0))),
    )


def strictest(one: Limits, other: Limits) -> Limits:
    """Combine two sets of limits, taking the stricter value of each."""
    return Limits(
        max_users=min(one.max_users, other.max_users),
        max_percent=min(one.max_percent, other.max_percent),
        max_users_per_day=min(one.max_users_per_day, other.max_users_per_day),
        max_percent_per_day=min(one.max_percent_per_day, other.max_percent_per_day),
        wait_seconds=max(one.wait_seconds, other.wait_seconds),
        canary_users=max(one.canary_users, other.canary_users),
        max_not_found_percent=min(one.max_not_found_percent, other.max_not_found_percent),
    )


def distinct_entries(entries: Sequence[Entry]) -> int:
    """Count the different entries, trimmed and lower-cased: the caps apply to this number."""
    return len({_folded(entry) for entry in entries})


def _folded(entry: Entry) -> tuple[str, ...]:
    return (fold(entry.bare), fold(entry.user_id), fold(entry.username), fold(entry.email))


def plan_entries(
    entries: Sequence[Entry],
    directory: Directory,
    *,
    protected: Protected,
    today: date,
    deleted_before: Collection[str],
    action: Action = Action.DELETE,
    leavers: Iterable[Leaver] = (),
    is_attended: bool = True,
    guard: Guard = NO_GUARD,
) -> tuple[PlannedEntry, ...]:
    """Decide for every entry, in order: `would_…` or how it ends without a request to the portal.

    An id that the list lacks is `not_attempted` until it has been looked at: see `with_looks`.
    `deleted_before` holds those of the entries' `identity_keys` under which the ledger has a record
    of an earlier deletion. Users whom a person has withdrawn, or must decide about, are skipped
    unless the entry has the id and the run `is_attended`: an unattended list decides nothing.
    `guard` keeps users from being deleted, however the entry names them.
    """
    leavers = list(leavers)
    decided, by_id = Decided(leavers), {leaver.user_id: leaver for leaver in leavers}
    deletes, would = action.deletes, action.would
    planned: list[PlannedEntry] = []
    first_line: dict[str, int] = {}
    for entry in entries:
        match = directory.match(entry)
        if match.user is None:
            planned.append(_without_user(entry, match, deleted_before))
            continue
        user = match.user
        why = None
        outcome = Outcome.SKIPPED
        if user.user_id in first_line:
            why = Why(
                ReasonKind.DUPLICATE,
                f"duplicate: the same user as line {first_line[user.user_id]}",
            )
        elif not names_by_id(entry) and _recorded(entry, deleted_before, any):
            outcome, why = Outcome.UNRESOLVED, _CAME_BACK
        elif keep := protected.reason_to_keep(user, today=today):
            why = keep
        elif user.lacks:
            outcome = Outcome.FAILED
            why = Why(
                ReasonKind.RECORD_INCOMPLETE,
                f"record_incomplete: the portal's record of user {user.user_id} lacks {user.lacks}",
            )
        elif action is Action.ENABLE:
            why = not_disabled_by_us(by_id.get(user.user_id), user)
        elif not (is_attended and names_by_id(entry)):
            why = decided.reason_to_skip(user)
        if why is None and deletes:
            why = guard.reason_to_keep(user)
        if why is None or why.kind is not ReasonKind.CAME_BACK:
            first_line.setdefault(user.user_id, entry.line)
        planned.append(
            PlannedEntry(
                entry,
                outcome if why else would,
                why.text if why else _as_it_is(action, user),
                user,
                _warning(why.kind if why else ReasonKind.NONE, user, action),
                why.kind if why else ReasonKind.NONE,
            )
        )
    return tuple(planned)


def _as_it_is(action: Action, user: PortalUser) -> str:
    """Return a remark about a user who needs no PUT, as far as the list shows."""
    if action.deletes or not has_access(action, user):
        return ""
    return f"{action.done} already: no PUT will be sent"


def _warning(kind: ReasonKind, user: PortalUser, action: Action) -> str:
    if kind is ReasonKind.NONE and user.is_from_ldap:
        if action.deletes:
            return "from LDAP: a directory sync may bring users back"
        if action is not Action.ENABLE:
            return "from LDAP: a directory sync may enable this user again"
    if kind in _KEPT:
        return "protected, and yet on the list: check where the list comes from"
    if kind is ReasonKind.CAME_BACK:
        return "named like a user whom an earlier run deleted: find out why they are back"
    return ""


def directory_warning(planned: Iterable[PlannedEntry], action: Action) -> str:
    """Return what is not known about a single user, once for a plan: where users come back from.

    The portal's `ldap` is about LDAP only. Single sign-on, SCIM and other syncs create users for
    whom it says `N`. The daily plan does not repeat what the plan of each of its users has said.
    """
    if action in {Action.ENABLE, Action.DELETE_DUE}:
        return ""
    if not any(row.outcome is action.would for row in planned):
        return ""
    again = "create users again" if action.deletes else "enable or create users again"
    return (
        f"Single sign-on, SCIM and other syncs may {again}, and the portal does not say which:"
        " it marks only users from LDAP. Remove leavers there too. `bulk-user-deletion watch` says"
        " who is back."
    )


def narrowed(
    planned: Iterable[PlannedEntry],
    leavers: Iterable[Leaver],
    *,
    since: int,
    guard: Guard = NO_GUARD,
) -> tuple[PlannedEntry, ...]:
    """Skip users who were withdrawn or held since a plan was made, or are guarded now."""
    decided = Decided(leavers)
    return tuple(
        replace(row, outcome=Outcome.SKIPPED, reason=why.text, reason_kind=why.kind)
        if row.user
        and row.outcome in {Outcome.WOULD_DELETE, Outcome.WOULD_DISABLE}
        and (
            why := decided.reason_to_skip(row.user, since=since)
            or (guard.reason_to_keep(row.user) if row.outcome is Outcome.WOULD_DELETE else None)
        )
        else row
        for row in planned
    )


def ids_to_look_at(planned: Iterable[PlannedEntry]) -> list[str]:
    """Return the ids that the portal's list lacks: only a look shows whether a user has one."""
    return list(
        dict.fromkeys(
            only_an_id(row.entry) for row in planned if row.reason_kind is ReasonKind.NOT_LISTED
        )
    )


def with_looks(
    planned: Iterable[PlannedEntry], refused: Mapping[str, str]
) -> tuple[PlannedEntry, ...]:
    """Decide for the ids that the list lacks, after looks found no user under any of them.

    `refused` has the ids that the portal did not show, and what it said instead.
    """
    return tuple(
        _looked_at(row, refused) if row.reason_kind is ReasonKind.NOT_LISTED else row
        for row in planned
    )


def _looked_at(row: PlannedEntry, refused: Mapping[str, str]) -> PlannedEntry:
    user_id = only_an_id(row.entry)
    if user_id in refused:
        return replace(
            row,
            outcome=Outcome.FAILED,
            reason_kind=ReasonKind.RECORD_INCOMPLETE,
            reason=f"not listed, and the portal does not show user {user_id}: {refused[user_id]}",
        )
    return replace(
        row,
        outcome=Outcome.ALREADY_ABSENT,
        reason_kind=ReasonKind.NOBODY_HOLDS_ID,
        reason="nobody has this id",
    )


def warnings_of(planned: Sequence[PlannedEntry]) -> tuple[str, ...]:
    """Summarize the warnings of the rows, with line numbers."""
    lines: dict[str, list[int]] = {}
    for row in planned:
        if row.warning:
            lines.setdefault(row.warning, []).append(row.entry.line)
    return tuple(
        f"{counted(len(numbers), 'entry is', 'entries are')} {warning} ({lines_of(numbers)})."
        for warning, numbers in lines.items()
    )


def _without_user(entry: Entry, match: Match, deleted_before: Collection[str]) -> PlannedEntry:
    if match.problem is not ReasonKind.NOT_FOUND:
        said = f"{match.problem}: {match.detail}" if match.detail else match.problem.value
        return _ended(entry, Outcome.UNRESOLVED, Why(match.problem, said))
    # All its values must be on record: an e-mail may have been shared with a user who is gone.
    if _recorded(entry, deleted_before, all):
        why = Why(ReasonKind.DELETED_BEFORE, "deleted by an earlier run")
        return _ended(entry, Outcome.ALREADY_ABSENT, why)
    if only_an_id(entry):
        return _ended(entry, Outcome.NOT_ATTEMPTED, _NOT_LISTED)
    return _ended(entry, Outcome.UNRESOLVED, Why(match.problem, match.problem.value))


def _ended(entry: Entry, outcome: Outcome, why: Why) -> PlannedEntry:
    return PlannedEntry(entry, outcome, why.text, reason_kind=why.kind)


def _recorded(
    entry: Entry, deleted_before: Collection[str], quantifier: Callable[[Iterable[bool]], bool]
) -> bool:
    """Return whether any, or all, of the entry's values are recorded as deleted."""
    values = keys_of_each_value(entry)
    return bool(values) and quantifier(
        any(key in deleted_before for key in keys) for keys in values
    )


def check_portal_url(plan: Plan, portal_url: str) -> None:
    """Refuse a plan that was made for another portal, where its ids are other users.

    Raises:
        RequestRefused: naming both portals.
    """
    if plan.portal_url != portal_url:
        raise RequestRefused(
            f"The plan of run {plan.run_id} was made for {plan.portal_url}, and PortalUrl is"
            f" {portal_url} now. Nobody was deleted. Start a new preview."
        )


def check_size(
    *,
    action: Action,
    distinct: int,
    portal_users: int,
    last_day: int,
    limits: Limits,
    is_roster: bool = False,
) -> None:
    """Refuse a request over a cap. Nothing is ever trimmed to fit.

    `portal_users` are those that the caps are a percentage of: the enabled ones if access is
    switched. `last_day` is how many users were sent a DELETE (or a PUT) in the previous 24 hours.
    For a roster, `distinct` are the users whom it lacks; it must never be sent in parts.

    Raises:
        RequestRefused: naming the cap, its value and the value found.
    """
    cap = "Max" if action.deletes else "MaxDisable"
    request = "DELETE" if action.deletes else "PUT"
    users = "users" if action.deletes else "enabled users"
    nobody = f"Nobody was {action.done}."
    named, right, in_parts = (
        (f"The roster lacks {distinct} users", "If they have left", "")
        if is_roster
        else (f"The source names {distinct} different entries", "If the list is right", _IN_PARTS)
    )
    if distinct == 0:
        raise RequestRefused(_NOBODY_LEFT if is_roster else EMPTY)
    if distinct > limits.max_users:
        raise RequestRefused(
            f"{named}, and {cap}Users allows {limits.max_users} in one run. {nobody} {right}, raise"
            f" {cap}Users{in_parts}."
        )
    if not distinct * 100 <= limits.max_percent * portal_users:  # so that NaN allows nobody
        share = f"{distinct * 100 / portal_users:.1f} %" if portal_users else "more than all"
        raise RequestRefused(
            f"{named}, {share} of the portal's {portal_users} {users}, and {cap}Percent allows"
            f" {limits.max_percent:g} %. {nobody} {right}, raise {cap}Percent{in_parts}."
        )
    in_a_day, then = distinct + last_day, portal_users + last_day
    if in_a_day > limits.max_users_per_day:
        raise RequestRefused(
            f"{named}, {last_day} users were sent a {request}"
            f" in the last 24 hours, and {cap}UsersPerDay allows {limits.max_users_per_day}."
            f" {nobody} Send it again tomorrow, or raise {cap}UsersPerDay."
        )
    if not in_a_day * 100 <= limits.max_percent_per_day * then:
        raise RequestRefused(
            f"{named}, {last_day} users were sent a {request}"
            f" in the last 24 hours, together {in_a_day * 100 / then:.1f} % of {then}, and"
            f" {cap}PercentPerDay allows {limits.max_percent_per_day:g} %. {nobody} Send"
            f" it again tomorrow, or raise {cap}PercentPerDay."
        )


def room_today(*, portal_users: int, last_day: int, limits: Limits) -> int:
    """Return how many users a run may delete within all caps: at least 0."""
    in_a_day = min(
        limits.max_users_per_day, int(limits.max_percent_per_day * (portal_users + last_day) / 100)
    )
    in_a_run = min(limits.max_users, int(limits.max_percent * portal_users / 100))
    return max(0, min(in_a_run, in_a_day - last_day))


def check_entries(planned: Sequence[PlannedEntry], request: Request, limits: Limits) -> None:
    """Refuse a list that looks wrong if the run is unattended.

    Raises:
        RequestRefused: naming the lines.
    """
    if request.is_attended:
        return
    doubtful = [row for row in planned if row.reason_kind in _NOT_ONE_USER]
    if doubtful:
        lines = ", ".join(
            f"line {row.entry.line}: {row.reason.removeprefix('columns_disagree: ')}"
            for row in doubtful[:20]
        )
        raise RequestRefused(
            f"{counted(len(doubtful), 'entry does', 'entries do')} not name exactly one user"
            f" ({lines}). Nobody was deleted. Correct the list, or start the run by hand to skip"
            " these entries."
        )
    missing = [row for row in planned if row.reason_kind in _STRANGERS]
    if not len(missing) * 100 <= limits.max_not_found_percent * len(planned):
        lines = lines_of([row.entry.line for row in missing])
        raise RequestRefused(
            f"{len(missing)} of {counted(len(planned), 'entry', 'entries')}"
            f" {'is' if len(missing) == 1 else 'are'} not in the portal ({lines}), and"
            f" MaxNotFoundPercent allows {limits.max_not_found_percent:g} %. Nobody was deleted."
            " Check that this is the right list for this portal."
        )
