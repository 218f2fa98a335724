"""Leavers: users whom a run disabled, and what happens to them next."""

from dataclasses import dataclass
from enum import StrEnum

from bulk_user_deletion.models.users import ReasonKind


class LeaverState(StrEnum):
    """What happens next to a user whom a run disabled."""

    DISABLED = "disabled"  # nothing more happens
    WAITING = "waiting"  # to be deleted when the grace time is over
    DELETING = "deleting"  # a DELETE is about to be sent, or was sent
    DONE = "done"  # gone
    HELD = "held"  # a person must decide
    WITHDRAWN = "withdrawn"  # a person has decided: not deleted


@dataclass(frozen=True, slots=True)
class Leaver:
    """A leaver's row in the ledger: one for each user of a portal.

    `username_hash` and `email_hash` are of the folded names. `runs` are the runs that named the
    user, the newest one last, and `plan_sha256` is the newest one's plan; `is_from_preview` says
    that a plan was applied that a preview had shown. `seen_disabled_at` is when one of our looks
    saw the user disabled. `due_at` is when the user may be deleted, 0 for never: a look that sees
    the user enabled voids it. `by_our_put` says that our PUT disabled the user, whom a look had
    seen enabled. `reason_kind`, `reason`, `by` and `changed_at` are about the last change of
    `state`, by the run `changed_by`, if it was a run.
    """

    user_id: str
    portal_url: str
    username_hash: str
    email_hash: str
    state: LeaverState
    runs: tuple[str, ...] = ()
    plan_sha256: str = ""
    is_from_preview: bool = False
    by_our_put: bool = False
    seen_disabled_at: int = 0
    due_at: int = 0
    reason_kind: ReasonKind = ReasonKind.NONE
    reason: str = ""
    by: str = ""
    changed_at: int = 0
    changed_by: str = ""
