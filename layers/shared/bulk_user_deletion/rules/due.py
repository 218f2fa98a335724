"""Which leavers are deleted today: those still as they were left, within the caps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bulk_user_deletion.models.leavers import Leaver
from bulk_user_deletion.models.plans import Entry, PlannedEntry
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind, Why
from bulk_user_deletion.rules.leavers import DAY, Grace, due_at, is_due, is_same_person

# If this many leavers have another name at once, the portal's names were migrated, or it is not
# the same portal.
MOST_CHANGED_PERCENT = 20

_ENABLED = Why(
    ReasonKind.ENABLED_AGAIN,
    "enabled_again: somebody has enabled this user since we saw them disabled; a person must"
    " decide",
)
_CHANGED = Why(
    ReasonKind.CHANGED_SINCE_PLAN,
    "changed_since_plan: the username or e-mail is not the one that was disabled; a person must"
    " decide",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for a leaver: the `user`, nobody, or a `problem` of the portal with it."""

    leaver: Leaver
    user: PortalUser | None
    problem: str = ""

    @property
    def is_gone(self) -> bool:
        return self.user is None and not self.problem

    @property
    def kind(self) -> ReasonKind:
        return ReasonKind.NOBODY_HOLDS_ID if self.is_gone else ReasonKind.NONE


def is_as_left(leaver: Leaver, user: PortalUser) -> bool:
    """Return whether a user is the person who was disabled, and is still disabled."""
    return user.is_disabled and is_same_person(leaver, user)


def why_held(found: Found) -> Why | None:
    """Return why a person must decide about a leaver, or None."""
    if found.user is None:
        return None
    if not is_same_person(found.leaver, found.user):
        return _CHANGED
    return _ENABLED if found.user.is_enabled else None


def migration_problem(found: Sequence[Found]) -> str:
    """Return why nobody is deleted if many leavers changed their names, or an empty string.

    Leavers whom there was no time to look at prove nothing, and do not count.
    """
    changed = [one for one in found if why_held(one) is _CHANGED]
    if len(changed) * 100 <= MOST_CHANGED_PERCENT * len(found) or len(changed) < 2:
        return ""
    return (
        f"{len(changed)} of {len(found)} leavers no longer have the username or e-mail under which"
        " they were disabled, as after a migration of names, or in another portal. Nobody was"
        " deleted, and nobody was held for that. Check that this is the portal, then list these"
        " leavers again, by id."
    )


def due_entries(
    found: Sequence[Found],
    *,
    now: int,
    grace: Grace,
    keep: Callable[[PortalUser], Why | None],
    room: int,
) -> tuple[tuple[PlannedEntry, ...], list[Leaver]]:
    """Return a plan's entries, and the leavers who are due but must wait for another day.

    The entries are those who are due, up to `room` of them, and those who are gone or to be held.
    `found` has the earliest first. `keep` returns why a user may not be deleted.
    """
    entries: list[PlannedEntry] = []
    later: list[Leaver] = []
    planned = 0
    for one in found:
        outcome, why = Outcome.SKIPPED, why_held(one)
        due = is_due(one.leaver, now=now, grace=grace)
        if one.is_gone:
            outcome, why = Outcome.ALREADY_ABSENT, Why(one.kind, "nobody has this id")
        elif one.problem and due:
            outcome = Outcome.FAILED
            why = Why(
                ReasonKind.RECORD_INCOMPLETE, f"the portal does not show this user: {one.problem}"
            )
        elif why is None and not due:
            continue
        elif why is None and one.user:
            why = keep(one.user)
        if why is None and planned >= room:
            later.append(one.leaver)
            continue
        planned += why is None
        entry = Entry(len(entries) + 1, user_id=one.leaver.user_id)
        entries.append(
            PlannedEntry(
                entry,
                outcome if why else Outcome.WOULD_DELETE,
                why.text if why else "",
                one.user,
                reason_kind=why.kind if why else ReasonKind.NONE,
            )
        )
    return tuple(entries), later


def due_without_preview(found: Sequence[Found], *, now: int, grace: Grace) -> list[Leaver]:
    """Return the leavers who would be due if a preview had shown them."""
    anyhow = replace(grace, only_previewed=False)
    return [
        one.leaver
        for one in found
        if is_due(one.leaver, now=now, grace=anyhow)
        and not is_due(one.leaver, now=now, grace=grace)
        and not one.is_gone
        and not why_held(one)
    ]


def overdue_days(later: Sequence[Leaver], *, now: int, grace: Grace) -> int:
    """Return for how many days the first of them has been due."""
    first = min((due_at(leaver, grace_days=grace.days) for leaver in later), default=now)
    return (now - first) // DAY
