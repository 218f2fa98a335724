"""Who is back: the portal's users compared with everybody whom runs deleted or disabled."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.models.users import PortalUser
from bulk_user_deletion.models.watch import (
    Change,
    Departure,
    Part,
    Population,
    Return,
    Returned,
    Trace,
    Was,
    Watch,
    What,
)
from bulk_user_deletion.rules.identity import identity_keys, user_keys
from bulk_user_deletion.rules.leavers import is_same_person, name_hash
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.text import counted, some

# Losses and gains since the last watch are large if they exceed this share of the users at that
# time, and are at least this many.
LARGE_PERCENT = 10
LARGE_USERS = 10


def keys_on_record(user: PortalUser) -> list[str]:
    """Return all keys under which the deletion of somebody like this user may be recorded."""
    return identity_keys(Entry(0, user_id=user.user_id, username=user.username, email=user.email))


class Disabled:
    """The leavers of a portal, by id and by the hashes of their names."""

    def __init__(self, leavers: Iterable[Leaver]) -> None:
        self._by_id: dict[str, Leaver] = {}
        self._by_name: dict[tuple[Part, str], tuple[Leaver, ...]] = {}
        for leaver in leavers:
            self._by_id[leaver.user_id] = leaver
            if leaver.state is LeaverState.WITHDRAWN:
                continue  # a person has decided that they stay
            for part, hashed in (
                (Part.USERNAME, leaver.username_hash),
                (Part.EMAIL, leaver.email_hash),
            ):
                if hashed:
                    key = part, hashed
                    self._by_name[key] = (*self._by_name.get(key, ()), leaver)

    def of(self, user_id: str) -> Leaver | None:
        """Return the leaver with this id."""
        return self._by_id.get(user_id)

    def waits(self, user_id: str) -> bool:
        """Return whether the user with this id is to be deleted when the grace time is over."""
        leaver = self._by_id.get(user_id)
        return leaver is not None and leaver.state is LeaverState.WAITING

    def traces(self, user: PortalUser) -> list[Trace]:
        """Return what a user has in common with leavers of other ids, or with one who was gone."""
        if not self._by_id:
            return []
        own = self._by_id.get(user.user_id)
        found = []
        if own and own.state is LeaverState.DONE:
            found.append(Trace(Part.ID, departure_of(own)))
        for part, name in ((Part.USERNAME, user.username), (Part.EMAIL, user.email)):
            found += [
                Trace(part, departure_of(leaver))
                for leaver in self._by_name.get((part, name_hash(name)), ())
                if leaver is not own or own.state is LeaverState.DONE
            ]
        return found


def departure_of(leaver: Leaver) -> Departure:
    """Return what a leaver's row says about how this user was disabled."""
    run_id = leaver.runs[-1] if leaver.runs else ""
    return Departure(Was.DISABLED, run_id, leaver.user_id, leaver.seen_disabled_at)


def how_back(
    user: PortalUser, *, disabled: Disabled, deleted: Mapping[str, Departure]
) -> Return | None:
    """Return how a user of the portal is back, or None.

    `deleted` are the records of deletions by key, among them all of the user's `keys_on_record`. A
    leaver who is not certainly disabled counts as enabled again; the caller looks.
    """
    own = disabled.of(user.user_id)
    if own and own.state is not LeaverState.DONE:
        if own.state is not LeaverState.WITHDRAWN:
            return None if user.is_disabled else _enabled_again(own, user)
        if is_same_person(own, user):
            return None  # a person has decided that this user stays
    exact = set(user_keys(user))
    traces = [
        Trace(Part(key.partition(":")[0]), deleted[key], key in exact)
        for key in keys_on_record(user)
        if key in deleted
    ]
    return _strongest([*traces, *disabled.traces(user)])


def _enabled_again(leaver: Leaver, user: PortalUser) -> Return:
    by = [Part.ID]
    if leaver.username_hash and leaver.username_hash == name_hash(user.username):
        by.append(Part.USERNAME)
    if leaver.email_hash and leaver.email_hash == name_hash(user.email):
        by.append(Part.EMAIL)
    return Return(What.ENABLED_AGAIN, tuple(by), departure_of(leaver))


def _strongest(traces: Sequence[Trace]) -> Return | None:
    """Return what the departure says that a user has the most in common with."""
    together: dict[tuple[Departure, Part | None], list[Trace]] = {}
    for trace in traces:
        # Parts on record without an id may be of different people.
        alone = None if trace.departure.user_id else trace.part
        together.setdefault((trace.departure, alone), []).append(trace)
    if not together:
        return None
    best = max(together.values(), key=_rank)
    strength, *_ = _rank(best)
    by = {trace.part for trace in best}
    return Return(
        What.BACK if strength > _WEAKEST else What.POSSIBLY,
        tuple(part for part in Part if part in by),
        best[0].departure,
    )


_STRENGTH = {Part.ID: 3, Part.USERNAME: 2}
_WEAKEST = 1


def _rank(traces: Sequence[Trace]) -> tuple[int, int, bool, int]:
    strength = max(
        _STRENGTH.get(trace.part, _WEAKEST) if trace.is_exact else _WEAKEST for trace in traces
    )
    departure = traces[0].departure
    return strength, len(traces), departure.was is Was.DELETED, departure.at


def change_since(before: Population, there: Collection[str], *, left: Iterable[str]) -> Change:
    """Return what has changed since a watch, from the ids that are listed now.

    `left` are the ids that are no longer listed, for no reason of this stack's.
    """
    joined = sorted(set(there).difference(before.user_ids), key=int)
    return Change(before.at, len(before.user_ids), tuple(left), tuple(joined))


def is_large(users: int, before: int) -> bool:
    """Return whether a change by this many users, of those `before`, must be reported."""
    return users >= LARGE_USERS and users * 100 > LARGE_PERCENT * before


def surely_back(watch: Watch) -> list[Returned]:
    """Return who is back by more than an e-mail: the list to preview."""
    return [user for user in watch.back if user.how.what is not What.POSSIBLY]


def large_changes(change: Change | None) -> list[str]:
    """Return a sentence on losses that are large, and one on gains."""
    if change is None:
        return []
    said = []
    if is_large(len(change.left), change.before):
        said.append(
            f"{len(change.left)} of {counted(change.before, 'user')} have left since"
            f" {iso(change.since)}, and this stack did not delete them."
        )
    if is_large(len(change.joined), change.before):
        said.append(
            f"{counted(len(change.joined), 'user')} have joined since {iso(change.since)}, when"
            f" there were {change.before}."
        )
    return said


def sentence_of(watch: Watch) -> str:
    """Return what a watch found, in words, by id."""
    back = surely_back(watch)
    possibly = [user.user_id for user in watch.back if user.how.what is What.POSSIBLY]
    new = sum(user.is_new for user in back)
    said = []
    if back:
        first = "nobody" if not new else "all" if new == len(back) else str(new)
        said.append(
            f"{len(back)} of {counted(watch.portal_users, 'user')}"
            f" {'is' if len(back) == 1 else 'are'} back, {first} for the first time:"
            f" {some([user.user_id for user in back])}."
        )
    else:
        said.append(f"Nobody is back among {counted(watch.portal_users, 'user')}.")
    if possibly:
        said.append(
            f"{counted(len(possibly), 'user is', 'users are')} possibly back, by an e-mail alone:"
            f" {some(possibly)}."
        )
    if watch.held:
        said.append(f"Held, and so not deleted: {some(watch.held)}.")
    if watch.undecided:
        said.append(
            f"{counted(len(watch.undecided), 'more user seems', 'more users seem')} to be back, but"
            f" no look has shown it yet: {some(watch.undecided)}."
        )
    if watch.list_is_short:
        said.append(
            "The portal's list of users is incomplete: it lacks users whom a look shows. Others may"
            " be back. Check whatever is between the portal and this stack."
        )
    return " ".join([*said, *large_changes(watch.change)])


def watch_json(watch: Watch) -> dict[str, Any]:
    """Return what a watch found as it is stored: ids, counts and times, no names.

    `preview` is a request, or null if there is nobody to preview.
    """
    users = [user.user_id for user in surely_back(watch)]
    change = watch.change
    return {
        "run_id": watch.run_id,
        "portal_url": watch.portal_url,
        "at": iso(watch.at),
        "portal_users": watch.portal_users,
        "sentence": sentence_of(watch),
        "back": [_returned_json(user) for user in watch.back],
        "held": list(watch.held),
        "kept": list(watch.kept),
        "undecided": list(watch.undecided),
        "list_is_short": watch.list_is_short,
        "change": change
        and {
            "since": iso(change.since),
            "users_before": change.before,
            "left": list(change.left),
            "joined": list(change.joined),
            "is_large": bool(large_changes(change)),
        },
        "preview": {"source": {"users": users}} if users else None,
    }


def _returned_json(user: Returned) -> dict[str, Any]:
    departure = user.how.departure
    return {
        "user_id": user.user_id,
        "what": user.how.what,
        "enabled": user.is_enabled,
        "first_seen_at": iso(user.first_seen_at),
        "is_new": user.is_new,
        "by": list(user.how.by),
        "was": departure.was,
        "was_user_id": departure.user_id,
        "was_at": iso(departure.at) if departure.at else "",
        "run_id": departure.run_id,
    }
