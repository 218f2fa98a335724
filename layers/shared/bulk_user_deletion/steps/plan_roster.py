"""Plans to disable whom a roster lacks, and an earlier one named. No user is touched here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import PortalAnswerUnusable, RequestRefused
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.looks import control_looks
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver
from bulk_user_deletion.models.plans import Entry, Plan, PlannedEntry
from bulk_user_deletion.models.requests import Source
from bulk_user_deletion.models.rosters import NamedUsers, Roster
from bulk_user_deletion.models.runs import Control, Limits, Mode, Stopper
from bulk_user_deletion.models.users import PortalUser, Why
from bulk_user_deletion.observability import Metric, count
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.identity import Directory
from bulk_user_deletion.rules.leavers import held, may_be_deleted, name_hash
from bulk_user_deletion.rules.planning import distinct_entries, narrowed, plan_entries
from bulk_user_deletion.rules.protection import Protected
from bulk_user_deletion.rules.rosters import (
    Names,
    baseline,
    check_roster,
    check_stated,
    is_replaced,
    remarks,
    strangers,
    values_of,
    why_named,
)
from bulk_user_deletion.rules.switching import access_problem
from bulk_user_deletion.sources import Reading
from bulk_user_deletion.sources.hints import check_stayers
from bulk_user_deletion.steps.draft import Draft
from bulk_user_deletion.steps.reading import read_at_hand, read_roster


def stop_if_replaced(run_id: str, *, portal_url: str, ledger: Ledger, now: float) -> None:
    """Stop an open run whose plan comes from a roster that a newer one has replaced.

    This is called after a roster is accepted, and after the plan of one is sealed or resumed:
    whichever comes last sees the other.
    """
    run, newest = ledger.runs.read(run_id), ledger.rosters.newest(portal_url)
    if run is None or newest is None or not run.is_open or run.mode is not Mode.APPLY:
        return
    if is_replaced(run.roster_run, newest):
        reason = (
            f"The roster of run {newest.run_id} was accepted, and replaces that of run"
            f" {run.roster_run}, on which this plan is based. Apply the plan of the newer one."
        )
        ledger.runs.press_stop(
            run_id, reason=reason, by="FetchUserIds", now=now, stopper=Stopper.ROSTER
        )


def named_since(
    plan: Plan, *, portal_url: str, ledger: Ledger, bucket: Bucket
) -> Mapping[str, Why]:
    """Return why users stay, by id, whom a roster names that is newer than their list's plan."""
    roster = ledger.rosters.newest(portal_url)
    if roster is None or roster.accepted_at < plan.created_at:
        return {}
    # Leavers who are due are held when a roster that names them is accepted.
    if plan.roster_run or plan.action in {Action.ENABLE, Action.DELETE_DUE}:
        return {}
    named = bucket.read_named(roster.run_id)
    return dict.fromkeys(named.now if named else (), why_named(roster.run_id))


@dataclass(frozen=True, slots=True)
class PlanRoster:
    """One plan, of the users whom the roster in `source` lacks."""

    draft: Draft
    source: Source
    limits: Limits
    connect: Callable[[], Portal]

    def make(self) -> tuple[Plan, Control]:
        """Compare the portal's users with the roster; return the plan and the control looks.

        A roster that is not refused is accepted: it holds the leavers whom it names, and the plans
        of earlier ones are void.

        Raises:
            RequestRefused: the source is malformed, or its name is.
            TokenRejected: renew the token, then call again.
            PortalAnswerUnusable, UserManagementDenied: users cannot be identified reliably.
            PortalUnavailable, StoreUnavailable: call again.
        """
        check_stated(self.draft.request.dropped_key)
        reading = read_at_hand(self.source, self.draft.bucket)
        if reading:
            check_stayers(reading.hints)
        listed = self.draft.bucket.read_protected(self.draft.settings.protected_list)
        portal = self.connect()
        reading = reading or read_roster(self.source, portal)
        entries = reading.entries
        directory = Directory(portal.users())
        control = control_looks(portal, directory.users)
        protected = Protected(portal.user, listed, control.self_ids)
        people = self._people(reading, directory, protected)
        try:
            self._check(entries, people)
        except RequestRefused as error:
            plan = self._plan((), replace(people, baseline=""), portal)
            return replace(plan, refusal=str(error)), control
        plan = self._limited(self._plan(self._planned(people), people, portal))
        if not plan.refusal:
            self._accept(reading, people)
        return plan, control

    def _people(self, reading: Reading, directory: Directory, protected: Protected) -> "_People":
        before = self.draft.ledger.rosters.newest(
            self.draft.settings.portal_url, besides=self.draft.run_id
        )
        earlier = self.draft.bucket.read_named(before.run_id) if before else None
        names = Names(reading.entries, reading.mentions)
        today = datetime.fromtimestamp(self._now(), UTC).date()
        named = frozenset(user.user_id for user in directory.users if names.names(user))
        stay = named | {user.user_id for user in directory.users if names.mentions(user)}
        asked = [
            user
            for user in directory.users
            if not user.is_disabled and not protected.reason_to_keep(user, today=today)
        ]
        for user in asked:
            if user.user_id not in stay and (problem := access_problem(user)):
                raise PortalAnswerUnusable(problem)
        return _People(
            directory=directory,
            protected=protected,
            names=names,
            named=named,
            stay=stay,
            asked=[user for user in asked if user.is_enabled],
            earlier=earlier or NamedUsers(),
            entries=distinct_entries(reading.entries),
            baseline="" if earlier else baseline(before),
        )

    def _check(self, entries: Sequence[Entry], people: "_People") -> None:
        rosters = self.draft.ledger.rosters.read_all(self.draft.settings.portal_url)
        check_roster(
            entries=people.entries,
            rows=len(entries),
            stated=self.source.rows,
            matched=people.matched,
            users=len(people.asked),
            earlier=(roster for roster in rosters if roster.run_id != self.draft.run_id),
            now=self._now(),
            min_match_percent=self.draft.settings.roster_min_match_percent,
            max_shrink_percent=self.draft.settings.roster_max_shrink_percent,
        )

    def _planned(self, people: "_People") -> tuple[PlannedEntry, ...]:
        """Return an entry for each user whom an earlier roster named and this one does not."""
        left = [user for user in people.unnamed if user.user_id in people.earlier.ever]
        leavers = list(self.draft.ledger.leavers.read_all(self.draft.settings.portal_url))
        planned = plan_entries(
            [Entry(number, user_id=user.user_id) for number, user in enumerate(left, start=1)],
            people.directory,
            protected=people.protected,
            today=datetime.fromtimestamp(self._now(), UTC).date(),
            deleted_before=(),
            action=self.draft.action,
            leavers=leavers,
        )
        # We chose the ids, not a person: users who were withdrawn or are held are left alone.
        return narrowed(planned, leavers, since=0)

    def _plan(self, planned: tuple[PlannedEntry, ...], people: "_People", portal: Portal) -> Plan:
        strange = [user for user in people.unnamed if user.user_id not in people.earlier.ever]
        plan = self.draft.plan(
            self.limits,
            planned,
            portal=portal,
            distinct=len(planned),
            users=people.directory.users,
            source_version=self.source.version(),
            hints=remarks(
                entries=people.entries,
                matched=people.matched,
                users=len(people.asked),
                baseline=people.baseline,
                groups=strangers(strange, people.names),
            ),
        )
        return replace(plan, roster_run=self.draft.run_id)

    def _limited(self, plan: Plan) -> Plan:
        return self.draft.limited(plan) if plan.entries else plan

    def _accept(self, reading: Reading, people: "_People") -> None:
        """Hold the leavers whom the roster names, and record that it was accepted.

        In this order, nobody whom it names is due once it counts. A run that applies the plan of
        an older one is stopped.
        """
        found = self.draft.ledger.leavers.read_all(self.draft.settings.portal_url)
        leavers = [leaver for leaver in found if may_be_deleted(leaver)]
        values = (value for entry in reading.entries for value in values_of(entry))
        hashes = set(map(name_hash, (*values, *reading.mentions))) if leavers else set()
        self._hold(
            leaver
            for leaver in leavers
            if leaver.user_id in people.stay
            or people.names.names(PortalUser(leaver.user_id, "", "", ""))
            or {leaver.username_hash, leaver.email_hash} & hashes
        )
        ever = people.earlier.ever | people.named
        self.draft.bucket.write_named(self.draft.run_id, NamedUsers(people.stay, ever))
        self.draft.ledger.rosters.accept(
            self.draft.settings.portal_url,
            Roster(self.draft.run_id, self.draft.clock(), people.entries),
        )
        stop_if_replaced(
            self.draft.ledger.portal.lock(Action.DISABLE).run_id,
            portal_url=self.draft.settings.portal_url,
            ledger=self.draft.ledger,
            now=self.draft.clock(),
        )

    def _hold(self, leavers: Iterable[Leaver]) -> None:
        run_id, number = self.draft.run_id, 0
        why = why_named(run_id)
        for leaver in leavers:
            after = held(leaver, why, run_id=run_id, now=self._now())
            self.draft.ledger.leavers.must_change(after, before=leaver)
            number += 1
        count(Metric.LEAVERS_HELD, number)

    def _now(self) -> int:
        return int(self.draft.clock())


@dataclass(frozen=True, slots=True)
class _People:
    """The portal's users compared with a roster: `asked` are the enabled and unprotected ones.

    `named` are the ids of all users whom the roster names, `stay` also those whom another of its
    columns mentions, `earlier` those of rosters before it;
    `baseline` says why there are none, if so.
    """

    directory: Directory
    protected: Protected
    names: Names
    named: frozenset[str]
    stay: frozenset[str]
    asked: Sequence[PortalUser]
    earlier: NamedUsers
    entries: int
    baseline: str

    @property
    def matched(self) -> int:
        return sum(user.user_id in self.named for user in self.asked)

    @property
    def unnamed(self) -> list[PortalUser]:
        return [user for user in self.asked if user.user_id not in self.stay]
