"""Watches for users who are back after a run deleted or disabled them. No user is touched."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.looks import Looks, Patience, control_looks
from bulk_user_deletion.losses import Losses, find_losses
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.users import PortalUser, ReasonKind
from bulk_user_deletion.models.watch import (
    FirstSeen,
    Population,
    Return,
    Returned,
    Watch,
    What,
)
from bulk_user_deletion.observability import Metric, count
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.answers import Verdict
from bulk_user_deletion.rules.identity import Directory
from bulk_user_deletion.rules.leavers import seen_enabled
from bulk_user_deletion.rules.protection import Protected
from bulk_user_deletion.rules.watch import (
    Disabled,
    change_since,
    how_back,
    keys_on_record,
    large_changes,
    sentence_of,
    surely_back,
    watch_json,
)
from bulk_user_deletion.settings import Settings

# The function has fifteen minutes, and reading a large list and its records takes some of that.
_SECONDS_FOR_LOOKS = 240

# How many users' keys are in memory at the same time.
_USERS_AT_A_TIME = 1_000

_KEPT = {ReasonKind.PROTECTED, ReasonKind.SELF}


@dataclass(frozen=True, slots=True)
class WatchPopulation:
    """One watch. If called again, it starts over and finds the same."""

    run_id: str
    settings: Settings
    ledger: Ledger
    bucket: Bucket
    connect: Callable[[], Portal]
    clock: Callable[[], float] = time.time

    def perform(self) -> str:
        """Compare the portal's users with the ledger, store what is found, and return it in words.

        A leaver who waits to be deleted, and whom a look shows enabled, is held.

        Raises:
            RequestRefused: the protected list is missing or malformed.
            TokenRejected: renew the token, then call again.
            PortalAnswerUnusable, UserManagementDenied: users cannot be identified reliably.
            PortalUnavailable, StoreUnavailable: call again.
        """
        earlier = self.ledger.watch.earlier(self._portal_url, than=self.run_id)
        watch = self._watch(self.bucket.read_population(earlier) if earlier else None)
        self.bucket.write_watch(self.run_id, watch_json(watch))
        if not watch.list_is_short:
            self.ledger.watch.note(self._portal_url, self.run_id, earlier=earlier)
        count(Metric.LEAVERS_HELD, len(watch.held))
        count(Metric.USERS_BACK, sum(user.is_new for user in surely_back(watch)))
        count(Metric.POPULATION_CHANGES, len(large_changes(watch.change)))
        return sentence_of(watch)

    def _watch(self, before: Population | None) -> Watch:
        protections = self.bucket.read_protected(self.settings.protected_list)
        portal = self.connect()
        users = Directory(portal.users()).users
        control = control_looks(portal, users)
        looks, patience = Looks(portal, control), Patience(_SECONDS_FOR_LOOKS)
        there = {user.user_id for user in users}
        losses = self._losses(before, there, looks, patience)
        disabled = Disabled(self.ledger.leavers.read_all(self._portal_url))
        known = {seen.user_id: seen for seen in self.ledger.watch.read_all(self._portal_url)}
        candidates = sorted(
            self._candidates(users, disabled),
            # First those who may be deleted by mistake, then those nobody knows about.
            key=lambda user_id: (not disabled.waits(user_id), user_id in known, int(user_id)),
        )
        found = _Found(
            run_id=self.run_id,
            portal_url=self._portal_url,
            now=self._now(),
            ledger=self.ledger,
            looks=looks,
            disabled=disabled,
            protected=Protected(portal.user, protections, control.self_ids),
        )
        for user_id in candidates:
            if patience.is_over:
                found.undecided.append(user_id)
            else:
                found.look_at(user_id)
        back = [self._recorded(user, how, known) for user, how in found.back]
        over = known.keys() - {user.user_id for user in back} - set(found.undecided)
        for user_id in over & there if losses.list_is_short else over:
            self.ledger.watch.saw_no_more(self._portal_url, user_id, now=self._now())
        if not losses.list_is_short:
            population = Population(self._now(), tuple(user.user_id for user in users))
            self.bucket.write_population(self.run_id, population)
        return Watch(
            run_id=self.run_id,
            portal_url=self._portal_url,
            at=self._now(),
            portal_users=len(users),
            back=tuple(sorted(back, key=lambda user: int(user.user_id))),
            held=_by_number(found.held),
            kept=_by_number(found.kept),
            undecided=_by_number(found.undecided),
            change=change_since(before, there, left=losses.user_ids) if before else None,
            list_is_short=losses.list_is_short,
        )

    def _losses(
        self, before: Population | None, there: set[str], looks: Looks, patience: Patience
    ) -> Losses:
        if before is None:
            return Losses()
        return find_losses(
            before.user_ids, there, explained=(), looks=looks, patience=patience, ledger=self.ledger
        )

    def _candidates(self, users: Sequence[PortalUser], disabled: Disabled) -> Iterator[str]:
        """Yield the ids of listed users who seem to be back."""
        for start in range(0, len(users), _USERS_AT_A_TIME):
            some = users[start : start + _USERS_AT_A_TIME]
            deleted = self.ledger.users.deletions(
                {key for user in some for key in keys_on_record(user)}, portal_url=self._portal_url
            )
            for user in some:
                if how_back(user, disabled=disabled, deleted=deleted):
                    yield user.user_id

    def _recorded(self, user: PortalUser, how: Return, known: Mapping[str, FirstSeen]) -> Returned:
        """Return a user who is back, and record when that was first seen."""
        seen = known.get(user.user_id)
        if seen is None or seen.what is not how.what:
            seen = FirstSeen(user.user_id, how.what, self._now(), self.run_id)
            self.ledger.watch.saw(self._portal_url, seen)
        return Returned(
            user.user_id,
            is_enabled=user.is_enabled if user.is_enabled or user.is_disabled else None,
            how=how,
            first_seen_at=seen.at,
            is_new=seen.by == self.run_id,
        )

    @property
    def _portal_url(self) -> str:
        return self.settings.portal_url

    def _now(self) -> int:
        return int(self.clock())


@dataclass(frozen=True, slots=True)
class _Found:
    """What looks show of users who seem to be back."""

    run_id: str
    portal_url: str
    now: int
    ledger: Ledger
    looks: Looks
    disabled: Disabled
    protected: Protected
    back: list[tuple[PortalUser, Return]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)

    def look_at(self, user_id: str) -> None:
        """Look at a user whom the list shows: it may be old, and names may have changed since.

        Raises:
            TokenRejected, UserManagementDenied, PortalUnavailable, PortalAnswerUnusable
            StoreUnavailable: a leaver was changed at the same time.
        """
        seen = self.looks.at(user_id)
        match seen.verdict:
            case Verdict.GONE:
                pass
            case Verdict.OK if seen.user and seen.user.user_id == user_id:
                self._decide(seen.user)
            case Verdict.OK:
                self.undecided.append(user_id)
            case _ if seen.is_this_users and self.looks.api_user_answers():
                self.undecided.append(user_id)
            case verdict:
                self.looks.portal.raise_for(verdict, seen.answer, f"looked at user {user_id}")

    def _decide(self, user: PortalUser) -> None:
        leaver = self.disabled.of(user.user_id)
        if leaver and user.is_enabled:
            self._hold(leaver)
        deleted = self.ledger.users.deletions(keys_on_record(user), portal_url=self.portal_url)
        how = how_back(user, disabled=self.disabled, deleted=deleted)
        if how is None:
            return
        today = datetime.fromtimestamp(self.now, UTC).date()
        kept = self.protected.reason_to_keep(user, today=today)
        if how.what is What.ENABLED_AGAIN and not user.is_enabled:
            self.undecided.append(user.user_id)  # the portal does not say whether there is access
        elif kept and kept.kind in _KEPT:
            self.kept.append(user.user_id)
        else:
            self.back.append((user, how))

    def _hold(self, leaver: Leaver) -> None:
        """Hold a leaver who waits: the time that passed is void."""
        after = seen_enabled(leaver, run_id=self.run_id, now=self.now)
        self.ledger.leavers.must_change(after, before=leaver)
        if after.state is LeaverState.HELD and after.changed_by == self.run_id:
            self.held.append(leaver.user_id)


def _by_number(user_ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(user_ids, key=int))
