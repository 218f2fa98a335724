"""Whom the guard, a dataset, keeps from being deleted, and when it is not reliable.

Its reasons are the operator's own words and may contain names: they go to plans, the ledger
and reports, but never into errors or logs (rule 6).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.guards import AcceptedGuard
from bulk_user_deletion.models.reports import ReportRow
from bulk_user_deletion.models.users import PortalUser, ReasonKind, Why
from bulk_user_deletion.rules.expiry import moment
from bulk_user_deletion.rules.identity import is_user_id
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.text import counted, one_line

# A guard that keeps fewer users by more than this, since it was last accepted, is refused.
MOST_SHRUNK_PERCENT = 10

# How far a clock may be ahead of ours. A time that is further ahead was written in another time
# zone, and hides as much of the guard's age.
_AHEAD_SECONDS = 300

_MOST_REASONS = 5
_LONGEST_REASON = 200
_BETWEEN = " | "
_MORE = "more: see the dataset"
_GUARDED = "guarded: "
_WITHOUT = "Without a reliable guard nobody is deleted."


class GuardRow(NamedTuple):
    """A row of the dataset, with its values unchanged. `tells_age`: it has `collected_at`."""

    user_id: object
    reason: str
    collected_at: object
    tells_age: bool


@dataclass(frozen=True, slots=True)
class Guard:
    """Whom the guard keeps: reasons by user id, a few of many.

    `oldest` and `newest` are of its `collected_at`.
    """

    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    oldest: float | None = None
    newest: float | None = None

    def reason_to_keep(self, user: PortalUser) -> Why | None:
        """Return why a user is not deleted, or None."""
        reasons = self.reasons.get(user.user_id)
        return Why(ReasonKind.GUARDED, _GUARDED + _joined(reasons)) if reasons else None


# Where there is none.
NO_GUARD = Guard()


def read_guard(rows: Sequence[GuardRow | Mapping[str, Any]], *, dataset_id: int) -> Guard:
    """Read a dataset's rows. Rows that lack a column were not turned into a `GuardRow`.

    Raises:
        RequestRefused: it is empty, or a row lacks a column, names no id, or tells no time. Rows
            are counted from 1.
    """
    if not rows:
        raise RequestRefused(
            f"The guard, dataset {dataset_id}, is empty: it was not collected, or its query finds"
            f" nobody. {_WITHOUT} Collect it, and make sure that it always keeps someone. If there"
            " is to be no guard, set GuardDataset to 0."
        )
    tells_age = any(isinstance(row, GuardRow) and row.tells_age for row in rows)
    reasons: dict[str, tuple[str, ...]] = {}
    oldest = newest = None
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, GuardRow):
            column = "user_id" if "user_id" not in row else "reason"
            raise _refusal(number, dataset_id, f"has no column {column}")
        user_id = str(row.user_id).strip() if isinstance(row.user_id, int | str) else ""
        if not is_user_id(user_id):
            raise _refusal(number, dataset_id, "names no user id: it must be a whole number from 1")
        if tells_age:
            at = moment(row.collected_at)
            if at is None or not isfinite(at):
                raise _refusal(
                    number, dataset_id, "has a collected_at that cannot be read as a time"
                )
            oldest = at if oldest is None else min(oldest, at)
            newest = at if newest is None else max(newest, at)
        reasons[user_id] = _few({*reasons.get(user_id, ()), row.reason})
    return Guard(reasons, oldest, newest)


def guard_problem(
    guard: Guard,
    *,
    dataset_id: int,
    accepted: AcceptedGuard | None,
    now: float,
    max_age_hours: int,
) -> str:
    """Return why a guard is not reliable, with both figures, or an empty string."""
    who = f"The guard, dataset {dataset_id},"
    if guard.newest is not None and guard.newest > now + _AHEAD_SECONDS:
        ahead = (guard.newest - now) / 3600
        return (
            f"{who} says that it was collected {ahead:.1f} hours from now, so its age is not"
            f" known. {_WITHOUT} Write collected_at in UTC."
        )
    if guard.oldest is not None and now - guard.oldest > max_age_hours * 3600:
        age = (now - guard.oldest) / 3600
        return (
            f"{who} was collected {age:.1f} hours ago, and GuardMaxAgeHours allows {max_age_hours}."
            f" {_WITHOUT} Collect it again."
        )
    users = len(guard.reasons)
    if accepted and (accepted.users - users) * 100 > MOST_SHRUNK_PERCENT * accepted.users:
        return (
            f"{who} keeps {counted(users, 'user')}, and kept {accepted.users} when it was last"
            f" accepted, at {iso(accepted.at)}: more than {MOST_SHRUNK_PERCENT} % fewer."
            f" {_WITHOUT} Check its query, and collect it again. If {users} is right, accept that"
            f" with `bulk-user-deletion accept-guard {users} --reason WHY`."
        )
    return ""


def hand_over(rows: Iterable[ReportRow]) -> dict[str, list[str]]:
    """Return the ids of the guarded by reason, starting with the reason that keeps most users.

    A user who is kept for several reasons is under each of them.
    """
    guarded: dict[str, list[str]] = {}
    for row in rows:
        if row.reason_kind is ReasonKind.GUARDED:
            for reason in row.reason.removeprefix(_GUARDED).split(_BETWEEN):
                guarded.setdefault(reason, []).append(row.user_id)
    return dict(sorted(guarded.items(), key=lambda item: (-len(item[1]), item[0])))


def _few(reasons: Iterable[str]) -> tuple[str, ...]:
    """Return the first reasons, sorted because rows have no order; one too many."""
    return tuple(sorted(reasons)[: _MOST_REASONS + 1])


def _joined(reasons: Sequence[str]) -> str:
    """Return reasons as one line of limited length."""
    shown = list(dict.fromkeys(map(_shown, reasons[:_MOST_REASONS])))
    return _BETWEEN.join([*shown, _MORE] if len(reasons) > _MOST_REASONS else shown)


def _shown(reason: str) -> str:
    return one_line(reason.replace("|", "/"), longest=_LONGEST_REASON) or "no reason given"


def _refusal(number: int, dataset_id: int, problem: str) -> RequestRefused:
    return RequestRefused(
        f"Row {number} of the guard, dataset {dataset_id}, {problem}. {_WITHOUT} Correct its query,"
        " and collect it again."
    )
