"""Makes a plan from a source. No user is touched here."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bulk_user_deletion.errors import PortalAnswerUnusable
from bulk_user_deletion.looks import Looks, Patience, Seen, control_looks
from bulk_user_deletion.models.names import fold
from bulk_user_deletion.models.plans import Entry, Plan, PlannedEntry
from bulk_user_deletion.models.requests import Source
from bulk_user_deletion.models.runs import Control, Limits
from bulk_user_deletion.models.users import Outcome
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.answers import Verdict
from bulk_user_deletion.rules.identity import Directory, identity_keys, names_by_id
from bulk_user_deletion.rules.planning import (
    distinct_entries,
    ids_to_look_at,
    plan_entries,
    with_looks,
)
from bulk_user_deletion.rules.protection import Protected
from bulk_user_deletion.rules.switching import access_problem
from bulk_user_deletion.sources.hints import check_hints
from bulk_user_deletion.steps.draft import Draft
from bulk_user_deletion.steps.reading import read_at_hand, read_dataset

# The function has fifteen minutes, and reading a large list may take some of that time.
_SECONDS_FOR_LOOKS = 240
_MORE_LOOKS = 2


@dataclass(frozen=True, slots=True)
class MakePlan:
    """One plan, made from `source`."""

    draft: Draft
    source: Source
    limits: Limits
    connect: Callable[[], Portal]

    def make(self) -> tuple[Plan, Control]:
        """Read the source, and decide for every entry; return the plan and the control looks.

        Raises:
            RequestRefused: the source is malformed, or the guard is not reliable.
            TokenRejected: renew the token, then call again.
            PortalAnswerUnusable, UserManagementDenied: users cannot be identified reliably.
            PortalUnavailable, StoreUnavailable: call again.
        """
        # The portal comes last: a malformed list is refused before it is called.
        today = datetime.fromtimestamp(int(self.draft.clock()), UTC).date()
        reading = read_at_hand(self.source, self.draft.bucket)
        hints = check_hints(reading.hints if reading else (), self.draft.request, today=today)
        listed = self.draft.bucket.read_protected(self.draft.settings.protected_list)
        portal = self.connect()
        guard = self.draft.guard(portal)
        entries = reading.entries if reading else read_dataset(self.source, portal)
        directory = Directory(portal.users())
        control = control_looks(portal, directory.users)
        self.draft.remember(directory.users)
        planned = plan_entries(
            entries,
            directory,
            protected=Protected(portal.user, listed, control.self_ids),
            today=today,
            deleted_before=self._deleted_before(entries, directory),
            action=self.draft.action,
            leavers=list(self.draft.ledger.leavers.read_all(self.draft.settings.portal_url)),
            is_attended=self.draft.request.is_attended,
            guard=guard,
        )
        if not self.draft.action.deletes:
            _insist_on_access(planned)
        plan = self.draft.plan(
            self.limits,
            planned,
            portal=portal,
            distinct=distinct_entries(entries),
            users=directory.users,
            source_version=self.source.version(),
            hints=hints,
        )
        return self._looked_at(self.draft.limited(plan), Looks(portal, control)), control

    def _looked_at(self, plan: Plan, looks: Looks) -> Plan:
        """Look at every id that the list lacks: no user is called absent because of a list.

        This comes after the caps, which limit how many there are.
        """
        if plan.refusal:
            return plan
        refused: dict[str, str] = {}
        patience = Patience(_SECONDS_FOR_LOOKS)
        user_ids = ids_to_look_at(plan.entries)
        for number, user_id in enumerate(user_ids):
            if patience.is_over:
                return replace(
                    plan,
                    refusal=f"The portal's list lacks {len(user_ids)} of the ids that were asked"
                    f" for, and looking at {number} of them took {_SECONDS_FOR_LOOKS} s. Nobody was"
                    " deleted. Send the list in parts.",
                )
            seen = _seen_at_last(looks, user_id)
            match seen.verdict:
                case Verdict.GONE:
                    pass
                case Verdict.OK:
                    return replace(
                        plan,
                        refusal="The portal's list of users is incomplete: it lacks"
                        f" user {user_id}, and a look shows that this user exists. Nobody was"
                        " deleted. Check whatever is between the portal and this stack, and that"
                        " the user in the credentials secret may list everybody.",
                    )
                case _ if seen.is_this_users and looks.api_user_answers():
                    refused[user_id] = seen.describe()
                case verdict:
                    looks.portal.raise_for(verdict, seen.answer, f"looked at user {user_id}")
        return replace(plan, entries=with_looks(plan.entries, refused))

    def _deleted_before(self, entries: list[Entry], directory: Directory) -> set[str]:
        """Return the keys of entries recorded as deleted; an id that is listed needs no record."""
        return self.draft.ledger.users.deleted_before(
            {
                key
                for entry in entries
                if not (names_by_id(entry) and directory.lists(fold(entry.user_id or entry.bare)))
                for key in identity_keys(entry)
            }
        )


def _insist_on_access(planned: Iterable[PlannedEntry]) -> None:
    """Require that the portal says for every user to be switched whether they are enabled."""
    for row in planned:
        is_switched = row.outcome in {Outcome.WOULD_DISABLE, Outcome.WOULD_ENABLE}
        if is_switched and row.user and (problem := access_problem(row.user)):
            raise PortalAnswerUnusable(problem)


def _seen_at_last(looks: Looks, user_id: str) -> Seen:
    """Look at a user, and again at once if the portal has a temporary error of its own."""
    seen = looks.at(user_id)
    for _ in range(_MORE_LOOKS):
        if seen.verdict is not Verdict.TRY_AGAIN:
            break
        seen = looks.at(user_id)
    return seen
