"""From requested entries to a plan: who is deleted, who is kept and why, and whether at all."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models import (
    Entry,
    Limits,
    Outcome,
    PlannedEntry,
    PortalUser,
    Request,
    fold,
)
from bulk_user_deletion.rules.identity import Directory, identity_keys, names_by_id
from bulk_user_deletion.rules.protection import Protected

# Lists of leavers are often cumulative: they go on naming somebody who went long ago, and whose
# username or e-mail a colleague was given since.
_REUSED = "ambiguous: an earlier run deleted somebody of this name; name this user by id"


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
    """Take the more careful of two limits, each by each."""
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
    """Count the different entries, trimmed and case-folded: what the caps are measured on."""
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
) -> tuple[PlannedEntry, ...]:
    """Decide for every entry, in order: `would_delete` or an outcome that is final already.

    `deleted_before` holds those of the entries'
    `identity_keys` under which the ledger has an earlier deletion of ours on record.
    """
    planned: list[PlannedEntry] = []
    first_line: dict[str, int] = {}
    for entry in entries:
        match = directory.match(entry)
        if match.user is None:
            planned.append(_without_user(entry, match.problem, deleted_before))
            continue
        user_id = match.user.user_id
        if user_id in first_line:
            reason = f"duplicate: the same user as line {first_line[user_id]}"
            outcome = Outcome.SKIPPED
        elif not names_by_id(entry) and _on_record(entry, deleted_before, any):
            outcome, reason = Outcome.UNRESOLVED, _REUSED
        elif keep := protected.reason_to_keep(match.user, today=today):
            outcome, reason = Outcome.SKIPPED, keep
        else:
            outcome, reason = Outcome.WOULD_DELETE, ""
        if reason != _REUSED:
            first_line.setdefault(user_id, entry.line)
        planned.append(
            PlannedEntry(entry, outcome, reason, match.user, _warning(outcome, reason, match.user))
        )
    return tuple(planned)


def _warning(outcome: Outcome, reason: str, user: PortalUser) -> str:
    if outcome is Outcome.WOULD_DELETE:
        is_from_ldap = fold(user.ldap) == "y"
        return "from LDAP: a directory sync may bring this user back" if is_from_ldap else ""
    if reason.startswith(("protected", "administrator", "self")):
        return "protected, and yet on the list: check where the list comes from"
    return ""


def warnings_of(planned: Sequence[PlannedEntry]) -> tuple[str, ...]:
    """Say loudly what the rows say one by one, by line numbers."""
    lines: dict[str, list[int]] = {}
    for row in planned:
        if row.warning:
            lines.setdefault(row.warning, []).append(row.entry.line)
    return tuple(
        f"{len(numbers)} entries are {warning} (lines {', '.join(map(str, numbers[:20]))})."
        for warning, numbers in lines.items()
    )


def _without_user(entry: Entry, problem: str, deleted_before: Collection[str]) -> PlannedEntry:
    if problem != "not_found":
        return PlannedEntry(entry, Outcome.UNRESOLVED, problem)
    # A bare value is on record as the username or as the e-mail, but columns must all be: an e-mail
    # may have been shared with somebody else, who is gone.
    if _on_record(entry, deleted_before, any if entry.bare else all):
        return PlannedEntry(entry, Outcome.ALREADY_ABSENT, "deleted by an earlier run")
    only_an_id = not entry.username and not entry.email
    if only_an_id and names_by_id(entry):
        return PlannedEntry(entry, Outcome.ALREADY_ABSENT, "nobody holds this id")
    return PlannedEntry(entry, Outcome.UNRESOLVED, "not_found")


def _on_record(
    entry: Entry, deleted_before: Collection[str], quantifier: Callable[[Iterable[bool]], bool]
) -> bool:
    keys = identity_keys(entry)
    return bool(keys) and quantifier(key in deleted_before for key in keys)


def check_size(*, distinct: int, portal_users: int, last_day: int, limits: Limits) -> None:
    """Refuse a request over a cap. Nothing is ever trimmed to fit.

    `last_day` is how many users were sent a DELETE in the 24 hours before.

    Raises:
        RequestRefused: naming the cap, its figure and the figure found.
    """
    if distinct == 0:
        raise RequestRefused("The source is empty: it names nobody. Check where it comes from.")
    if distinct > limits.max_users:
        raise RequestRefused(
            f"The source names {distinct} different entries, and MaxUsers allows"
            f" {limits.max_users} in one run. Nobody was deleted. If the list is right, raise"
            " MaxUsers or send it in parts."
        )
    if not distinct * 100 <= limits.max_percent * portal_users:  # so that NaN allows nobody
        share = f"{distinct * 100 / portal_users:.1f} %" if portal_users else "more than all"
        raise RequestRefused(
            f"The source names {distinct} different entries, {share} of the portal's"
            f" {portal_users} users, and MaxPercent allows {limits.max_percent:g} %. Nobody was"
            " deleted. If the list is right, raise MaxPercent or send it in parts."
        )
    in_a_day, then = distinct + last_day, portal_users + last_day
    if in_a_day > limits.max_users_per_day:
        raise RequestRefused(
            f"The source names {distinct} different entries, {last_day} users were sent a DELETE"
            f" in the last 24 hours, and MaxUsersPerDay allows {limits.max_users_per_day}. Nobody"
            " was deleted. Send it again tomorrow, or raise MaxUsersPerDay."
        )
    if not in_a_day * 100 <= limits.max_percent_per_day * then:
        raise RequestRefused(
            f"The source names {distinct} different entries, {last_day} users were sent a DELETE"
            f" in the last 24 hours, together {in_a_day * 100 / then:.1f} % of {then}, and"
            f" MaxPercentPerDay allows {limits.max_percent_per_day:g} %. Nobody was deleted. Send"
            " it again tomorrow, or raise MaxPercentPerDay."
        )


def check_entries(planned: Sequence[PlannedEntry], request: Request, limits: Limits) -> None:
    """Refuse a list that looks wrong when nobody is there to look at it.

    Raises:
        RequestRefused: naming the lines.
    """
    if request.is_attended:
        return
    doubtful = [row for row in planned if row.reason.startswith(("ambiguous", "columns_disagree"))]
    if doubtful:
        lines = ", ".join(f"line {row.entry.line}: {row.reason}" for row in doubtful[:20])
        raise RequestRefused(
            f"{len(doubtful)} entries do not name exactly one user ({lines}). Nobody was deleted."
            " Correct them, or start the run by hand to leave them out."
        )
    missing = [row for row in planned if row.reason in {"not_found", "nobody holds this id"}]
    if not len(missing) * 100 <= limits.max_not_found_percent * len(planned):
        lines = ", ".join(str(row.entry.line) for row in missing[:20])
        raise RequestRefused(
            f"{len(missing)} of {len(planned)} entries are not in the portal (lines {lines}), and"
            f" MaxNotFoundPercent allows {limits.max_not_found_percent:g} %. Nobody was deleted."
            " Check that this is the right list for this portal."
        )
