"""A roster names everybody who stays: whom it names, whether it is believed, and who has left."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.names import fold, fold_loosely
from bulk_user_deletion.models.plans import Entry, Plan, PlannedEntry
from bulk_user_deletion.models.rosters import Roster
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind, Why
from bulk_user_deletion.rules.text import counted, some

# A new roster is compared with the largest one accepted in this many days: slow cuts add up.
COMPARED_DAYS = 90

_TAIL = " Nobody is planned, and the previous roster still counts. Send the whole list again."

_ROWS = re.compile(r"(?:^|[^0-9A-Za-z])rows[-_=]?([0-9]+)(?![0-9A-Za-z])", re.IGNORECASE)
_SAYS_ROWS = re.compile(r"(?<![A-Za-z])rows(?![A-Za-z])", re.IGNORECASE)
_SERVICE = re.compile(
    r"(?:^|[._+@ -])(?:svc|service|srv|system|sys|api|app|bot|robot|batch|cron|etl|sync|integration"
    r"|automation|admin|root|test|demo|guest|shared|team|group|info|support|help|helpdesk|contact"
    r"|office|noreply|no-reply|donotreply|mailbox|public|kiosk|dashboard|tv)(?:$|[._+@ 0-9-])"
)


def stated_rows(key: str) -> int | None:
    """Return how many rows a roster has by its name, as in `roster/people.rows-5120.csv`."""
    found = _ROWS.findall(key)
    return int(found[-1]) if found else None


def check_stated(key: str) -> None:
    """Refuse a roster whose name mentions rows in a way that cannot be checked.

    Raises:
        RequestRefused: saying how to write it.
    """
    if _SAYS_ROWS.search(key) and stated_rows(key) is None:
        raise RequestRefused(
            "The name of the roster mentions rows, but not how many: the number must follow, as"
            f" in people.rows-5120.csv.{_TAIL}"
        )


class Names:
    """Everybody whom a roster names, by any of its columns, compared strictly or loosely."""

    def __init__(self, entries: Iterable[Entry], mentions: Iterable[str] = ()) -> None:
        self._mentions = set(map(fold_loosely, mentions))
        self._names: set[str] = set()
        self._local_parts: set[str] = set()
        for entry in entries:
            for value in values_of(entry):
                loose = fold_loosely(value)
                self._names.add(loose)
                if not value.isascii():  # for plain letters both are the same
                    self._names.add(fold(value))
                self._local_parts.add(loose.partition("@")[0])

    def names(self, user: PortalUser) -> bool:
        """Return whether the roster names a user: then the user stays."""
        values = (user.user_id, user.username, user.email)
        return any(
            fold_loosely(value) in self._names
            or (not value.isascii() and fold(value) in self._names)
            for value in values
            if value.strip()
        )

    def mentions(self, user: PortalUser) -> bool:
        """Return whether a user's name is in a column that names nobody by itself.

        Such a user stays as well, but this does not show that it is the right roster.
        """
        return any(fold_loosely(name) in self._mentions for name in (user.username, user.email))

    def almost_names(self, user: PortalUser) -> bool:
        """Return whether only what follows the @ differs: perhaps the domain was renamed."""
        return any(
            fold_loosely(value).partition("@")[0] in self._local_parts
            for value in (user.username, user.email)
            if value.strip()
        )


def values_of(entry: Entry) -> list[str]:
    """Return the filled columns of an entry."""
    values = (entry.bare, entry.user_id, entry.username, entry.email)
    return [value for value in values if value.strip()]


def check_roster(
    *,
    entries: int,
    rows: int | None,
    stated: int | None,
    matched: int,
    users: int,
    earlier: Iterable[Roster],
    now: int,
    min_match_percent: float,
    max_shrink_percent: float,
) -> None:
    """Refuse a roster that may lack people: those it lacks would count as leavers.

    `entries` are the different ones, `rows` all that were read, `stated` how many there are
    according to its sender. `matched` of the `users`, the portal's enabled and unprotected ones,
    are named by it.

    Raises:
        RequestRefused: naming both figures.
    """
    if entries == 0:
        raise RequestRefused(f"The roster is empty.{_TAIL}")
    if stated is not None and stated != rows:
        raise RequestRefused(f"The roster has {rows} rows, and its sender says {stated}.{_TAIL}")
    if not matched * 100 >= min_match_percent * users or not users:
        raise RequestRefused(
            f"The roster names {matched} of the portal's {users} enabled and unprotected users, and"
            f" RosterMinMatchPercent requires {min_match_percent:g} %.{_TAIL}"
        )
    recent = [one for one in earlier if now - one.accepted_at <= COMPARED_DAYS * 24 * 3600]
    largest = max((roster.entries for roster in recent), default=0)
    if not entries * 100 >= (100 - max_shrink_percent) * largest:
        raise RequestRefused(
            f"The roster has {entries} different entries, and one of the last {COMPARED_DAYS} days"
            f" had {largest}: RosterMaxShrinkPercent allows it to shrink by"
            f" {max_shrink_percent:g} %.{_TAIL}"
        )


def is_replaced(roster_run: str, newest: Roster | None) -> bool:
    """Return whether a newer roster was accepted than that of a run, which is empty for a list."""
    return bool(roster_run) and newest is not None and newest.run_id != roster_run


def check_newest(plan: Plan, newest: Roster | None) -> None:
    """Refuse the plan of a roster that a newer one has replaced.

    Raises:
        RequestRefused: naming the newer run.
    """
    if newest and is_replaced(plan.roster_run, newest):
        raise RequestRefused(
            f"The plan comes from the roster of run {plan.roster_run}, and that of run"
            f" {newest.run_id} was accepted after it. Nobody was touched. Apply the plan of the"
            " newer one."
        )


def why_named(run_id: str) -> Why:
    """Return why somebody stays whom the roster of a run names."""
    return Why(ReasonKind.NAMED_BY_ROSTER, f"named_by_roster: the roster of run {run_id}")


def without_named(
    planned: Iterable[PlannedEntry], named: Mapping[str, Why]
) -> tuple[PlannedEntry, ...]:
    """Skip users, by id, whom a roster names that was accepted after their list was planned."""
    return tuple(
        replace(row, outcome=Outcome.SKIPPED, reason=why.text, reason_kind=why.kind)
        if row.user
        and (why := named.get(row.user.user_id))
        and row.outcome in {Outcome.WOULD_DELETE, Outcome.WOULD_DISABLE}
        else row
        for row in planned
    )


def strangers(users: Iterable[PortalUser], names: Names) -> Mapping[str, list[str]]:
    """Group users whom no roster ever named by what they look like: ids by description."""
    groups: dict[str, list[str]] = {}
    for user in users:
        if names.almost_names(user):
            what = "have an e-mail that differs from one in the roster only by its domain"
        elif any(_SERVICE.search(fold_loosely(value)) for value in (user.username, user.email)):
            what = "look like service or shared accounts"
        else:
            what = "match nothing in it"
        groups.setdefault(what, []).append(user.user_id)
    return groups


def baseline(before: Roster | None) -> str:
    """Return what is said about a roster that is only a baseline for later ones.

    `before` is the roster that was accepted last, whose names have expired, or None.
    """
    it_is = (
        f"It is the baseline, because what the roster of run {before.run_id} named has expired"
        if before
        else "It is the first roster of this portal, and so the baseline"
    )
    return f"{it_is}: users whom this one names and a later one lacks have left."


def remarks(
    *, entries: int, matched: int, users: int, baseline: str, groups: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return what a reader of a roster's preview should know, in sentences."""
    named = f"names {matched} of the portal's {users} enabled and unprotected users"
    said = [f"The roster has {entries} different entries, and {named}.", *filter(None, [baseline])]
    for what, user_ids in groups.items():
        who = counted(len(user_ids), "user")
        said.append(
            f"No roster ever named {who} (not planned: list them to remove them) who {what}:"
            f" {some(user_ids)}."
        )
    return said
