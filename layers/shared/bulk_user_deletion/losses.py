"""Users who left the portal during a run, but not because of it: a cascade, a sync, a person.

The list says whom to look at; only a look says who is gone.
"""

from collections.abc import Collection
from dataclasses import dataclass

from bulk_user_deletion.errors import PortalUnavailable
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.looks import Looks, Patience
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.rules.answers import Verdict
from bulk_user_deletion.rules.identity import id_key
from bulk_user_deletion.rules.losses import missing_users, spread


@dataclass(frozen=True, slots=True)
class Losses:
    """What the comparison found: the ids of users who are gone, and whether the list is short.

    A list is short if it lacks a user that a look shows: then only looks say who is gone.
    """

    user_ids: tuple[str, ...] = ()
    list_is_short: bool = False


def find_losses(
    before: Collection[str],
    there: Collection[str],
    *,
    explained: Collection[str],
    looks: Looks,
    patience: Patience,
    ledger: Ledger,
) -> Losses:
    """Compare the ids that were listed before with those that are listed now.

    `explained` are users who may be missing: the run's own. Users that another run of this stack
    deletes or deleted, according to the ledger, may be missing too. At most five of the others are
    looked at.

    Raises:
        TokenRejected, UserManagementDenied, PortalUnavailable, PortalAnswerUnusable
    """
    missing = missing_users(before, there, explained=explained)
    # First who is being deleted, then who was: in the other order, a user in between is missed.
    deleting = ledger.users.read(ledger.portal.lock(Action.DELETE).run_id, missing)
    deleted = ledger.users.deleted_before([id_key(user_id) for user_id in missing])
    unexplained = [
        user_id for user_id in missing if user_id not in deleting and id_key(user_id) not in deleted
    ]
    looked_at = spread(unexplained)
    gone = [user_id for user_id in looked_at if _is_gone(user_id, looks, patience)]
    if len(gone) < len(looked_at):
        return Losses(tuple(gone), list_is_short=True)
    return Losses(tuple(unexplained))


def _is_gone(user_id: str, looks: Looks, patience: Patience) -> bool:
    if patience.is_over:
        raise PortalUnavailable(
            "Looking at users takes too long to find out who has left the portal."
        )
    seen = looks.at(user_id)
    if seen.verdict is Verdict.GONE:
        return True
    if seen.verdict is Verdict.OK or (seen.is_this_users and looks.api_user_answers()):
        return False
    looks.portal.raise_for(seen.verdict, seen.answer, f"looked at user {user_id}")
