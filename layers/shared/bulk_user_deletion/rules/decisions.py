"""What to do next with one user, after a look that showed the user."""

from dataclasses import dataclass

from bulk_user_deletion.models.users import Outcome, ReasonKind


@dataclass(frozen=True, slots=True)
class Send:
    """Record the intent, then send the request."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The request has not had the effect yet: wait, then look again. `seen` is what was seen."""

    seen: str


@dataclass(frozen=True, slots=True)
class End:
    """The user ends as `outcome`. With `stop`, no other user is started, and it says why."""

    outcome: Outcome
    reason: str
    kind: ReasonKind = ReasonKind.NONE
    stop: str = ""


Decision = Send | LookAgain | End
