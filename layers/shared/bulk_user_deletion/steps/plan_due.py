"""Plans the deletion of leavers whose grace time is over. No user is touched here."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.bucket_keys import plan_key
from bulk_user_deletion.errors import PortalAnswerUnusable
from bulk_user_deletion.looks import Looks, Patience, control_looks
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.routes import Nothing
from bulk_user_deletion.models.runs import Control, Limits, Mode
from bulk_user_deletion.models.users import Outcome, Why
from bulk_user_deletion.observability import Metric, count
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.answers import Verdict
from bulk_user_deletion.rules.due import (
    Found,
    due_entries,
    due_without_preview,
    is_as_left,
    migration_problem,
    overdue_days,
    why_held,
)
from bulk_user_deletion.rules.identity import Directory
from bulk_user_deletion.rules.leavers import (
    DAY,
    after_deleting,
    due_at,
    held,
    is_due,
    is_same_person,
    seen_enabled,
)
from bulk_user_deletion.rules.planning import room_today
from bulk_user_deletion.rules.protection import Protected
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.rosters import why_named
from bulk_user_deletion.rules.switching import access_problem
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion.steps.draft import Draft

# The function has fifteen minutes, and reading a large list may take some of that time.
_SECONDS_FOR_LOOKS = 240


@dataclass(frozen=True, slots=True)
class Left:
    """The leavers who are due but keep waiting, by what they wait for."""

    over_caps: Sequence[Leaver]
    unseen: Sequence[Leaver]
    unapproved: Sequence[Leaver]

    @property
    def leavers(self) -> list[Leaver]:
        """All of them."""
        return [*self.over_caps, *self.unseen, *self.unapproved]

    def describe(self) -> list[str]:
        """Return a sentence about each kind that occurs, with ids."""
        ids = ", ".join(leaver.user_id for leaver in self.unapproved[:20])
        unapproved = (
            "due whom no preview has shown, and ApplyOnlyPlans is on: preview by id, and apply"
            f" that. Ids: {ids}."
        )
        said = (
            (self.over_caps, "due, but the caps leave them for the next run."),
            (self.unseen, "due, but this run had no time to look at them: the next one will."),
            (
                self.unapproved,
                unapproved,
            ),
        )
        return [
            f"{counted(len(those), 'leaver is', 'leavers are')} {what}"
            for those, what in said
            if those
        ]


@dataclass(frozen=True, slots=True)
class PlanDue:
    """One plan, of the leavers in the ledger."""

    draft: Draft
    limits: Limits
    connect: Callable[[], Portal]

    def make(self) -> tuple[Plan, Control] | Nothing:
        """Look at those who are due or have changed; plan those who are still as they were left.

        Returns the plan and the control looks, or that there is nothing to do today.

        Raises:
            RequestRefused: the guard is not reliable.
            TokenRejected: renew the token, then call again.
            PortalAnswerUnusable, UserManagementDenied: users cannot be identified reliably.
            PortalUnavailable, StoreUnavailable: call again.
        """
        leavers = self._without_named(self._leavers())
        listed = self.draft.bucket.read_protected(self.draft.settings.protected_list)
        portal = self.connect()
        directory = Directory(portal.users())
        control = control_looks(portal, directory.users)
        self.draft.remember(directory.users)
        found, unseen = self._look_at(leavers, directory, Looks(portal, control))
        guard = self.draft.guard(portal)  # after the looks: what they saw is kept if this refuses
        room = room_today(
            portal_users=len(directory.users),
            last_day=self.draft.ledger.users.count_intents(
                self.draft.action, since=self._now() - DAY
            ),
            limits=self.limits,
        )
        today = datetime.fromtimestamp(self._now(), UTC).date()
        protected = Protected(portal.user, listed, control.self_ids)
        entries, later = due_entries(
            found,
            now=self._now(),
            grace=self.draft.settings.grace,
            keep=lambda user: (
                protected.reason_to_keep(user, today=today) or guard.reason_to_keep(user)
            ),
            room=room,
        )
        left = Left(
            over_caps=later,
            unseen=[one for one in unseen if self._is_due(one)],
            unapproved=due_without_preview(found, now=self._now(), grace=self.draft.settings.grace),
        )
        count(
            Metric.OVERDUE_DAYS,
            overdue_days(left.leavers, now=self._now(), grace=self.draft.settings.grace),
        )
        if not entries:
            return Nothing(" ".join(left.describe()) or self._nobody_due(leavers))
        plan = self.draft.plan(
            self.limits,
            entries,
            portal=portal,
            distinct=sum(row.outcome is Outcome.WOULD_DELETE for row in entries),
            users=directory.users,
            source_version="",
            hints=left.describe(),
        )
        if problem := migration_problem(found):
            return replace(plan, refusal=problem), control
        if self.draft.request.mode is Mode.APPLY:
            self._record(found)
        return plan, control

    def _leavers(self) -> list[Leaver]:
        """Return the leavers who wait, the earliest first.

        Those whom an earlier invocation for this run has decided about are among them again.
        """
        rows = self.draft.ledger.leavers.read_all(self.draft.settings.portal_url)
        waiting = [
            row
            for row in rows
            if row.state is LeaverState.WAITING
            or (
                row.changed_by == self.draft.run_id
                and row.state in {LeaverState.HELD, LeaverState.DONE}
            )
        ]
        return sorted(waiting, key=lambda row: (row.due_at, int(row.user_id)))

    def _without_named(self, leavers: Sequence[Leaver]) -> list[Leaver]:
        """Hold leavers whom the newest roster names, if they were being disabled at that time.

        The roster itself has held those who were already waiting.
        """
        roster = self.draft.ledger.rosters.newest(self.draft.settings.portal_url)
        if roster is None:
            return list(leavers)
        found, why = self.draft.bucket.read_named(roster.run_id), why_named(roster.run_id)
        named = found.now if found else frozenset()
        left = []
        for leaver in leavers:
            is_named = leaver.state is LeaverState.WAITING and leaver.user_id in named
            if is_named and self._listed_at(leaver) <= roster.accepted_at:
                self.draft.ledger.leavers.must_change(
                    held(leaver, why, run_id=self.draft.run_id, now=self._now()), before=leaver
                )
                count(Metric.LEAVERS_HELD)
            else:
                left.append(leaver)
        return left

    def _listed_at(self, leaver: Leaver) -> int:
        """Return when the newest run started that disabled a leaver, 0 if its row has expired."""
        run = self.draft.ledger.runs.read(leaver.runs[-1]) if leaver.runs else None
        return run.started_at if run else 0

    def _look_at(
        self, leavers: Sequence[Leaver], directory: Directory, looks: Looks
    ) -> tuple[list[Found], list[Leaver]]:
        """Return what is found for each leaver, and those whom there was no time to look at.

        A list says whom to look at; looks decide.
        """
        listed = {user.user_id: user for user in directory.users}
        patience = Patience(_SECONDS_FOR_LOOKS)
        found, unseen = [], []
        for leaver in leavers:
            user = listed.get(leaver.user_id)
            if user and is_as_left(leaver, user):
                found.append(Found(leaver, user))  # the check before the DELETE looks at them
            elif patience.is_over:
                unseen.append(leaver)
            else:
                found.append(self._seen(leaver, looks))
        return found, unseen

    def _is_due(self, leaver: Leaver) -> bool:
        return is_due(leaver, now=self._now(), grace=self.draft.settings.grace)

    def _seen(self, leaver: Leaver, looks: Looks) -> Found:
        seen = looks.at(leaver.user_id)
        match seen.verdict:
            case Verdict.GONE:
                return Found(leaver, None)
            case Verdict.OK if seen.user:
                if problem := access_problem(seen.user):
                    raise PortalAnswerUnusable(problem)
                if seen.user.is_enabled and is_same_person(leaver, seen.user):
                    leaver = self._held_at_once(leaver)
                return Found(leaver, seen.user)
            case _ if seen.is_this_users and looks.api_user_answers():
                return Found(leaver, None, problem=seen.describe())
            case verdict:
                looks.portal.raise_for(verdict, seen.answer, f"looked at user {leaver.user_id}")

    def _record(self, found: Iterable[Found]) -> None:
        """Hold those who are not as they were left, and close the rows of those who are gone."""
        for one in found:
            if one.leaver.state is not LeaverState.WAITING:
                continue
            if why := why_held(one):
                self._change(one.leaver, Outcome.SKIPPED, why)
            elif one.is_gone:
                self._change(one.leaver, Outcome.ALREADY_ABSENT, Why(one.kind, "gone"))

    def _held_at_once(self, leaver: Leaver) -> Leaver:
        """Hold a leaver whom a look saw enabled, whatever happens to this run, even a preview."""
        after = seen_enabled(leaver, run_id=self.draft.run_id, now=self._now())
        self.draft.ledger.leavers.must_change(after, before=leaver)
        return after

    def _change(self, leaver: Leaver, outcome: Outcome, why: Why) -> None:
        after = after_deleting(
            leaver,
            outcome,
            why,
            action=self.draft.action,
            run_id=self.draft.run_id,
            now=self._now(),
        )
        self.draft.ledger.leavers.must_change(after, before=leaver)

    def _nobody_due(self, leavers: Sequence[Leaver]) -> str:
        days = self.draft.settings.grace_days
        first = min((due_at(row, grace_days=days) for row in leavers if row.due_at), default=0)
        who = counted(len(leavers), "leaver waits", "leavers wait")
        return f"{who} to be deleted; nobody is due before {iso(first)}."

    def _now(self) -> int:
        return int(self.draft.clock())


def keep_plans(
    leavers: Iterable[Leaver], *, bucket: Bucket, retention_days: int, now: float
) -> None:
    """Keep the plans of open leavers from expiring before these are decided about."""
    is_open = {LeaverState.WAITING, LeaverState.DELETING, LeaverState.HELD}
    run_ids = (run for leaver in leavers if leaver.state in is_open for run in leaver.runs)
    for run_id in dict.fromkeys(run_ids):
        bucket.keep(plan_key(run_id), if_older_than=retention_days * DAY // 2, now=now)
