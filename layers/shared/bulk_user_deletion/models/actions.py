"""What a run does to its users."""

from enum import StrEnum

from bulk_user_deletion.models.users import Outcome


class Action(StrEnum):
    """What happens to the users of a plan.

    The first three are for leavers, from the most careful one; a stack's `LeaverAction` is one of
    them. `delete_due` deletes users whom an earlier run disabled, once their grace time is over.
    """

    DISABLE = "disable"
    DISABLE_THEN_DELETE = "disable_then_delete"
    DELETE = "delete"
    DELETE_DUE = "delete_due"
    ENABLE = "enable"

    @property
    def deletes(self) -> bool:
        """True if users are sent a DELETE; otherwise a PUT that switches their access."""
        return self in {Action.DELETE, Action.DELETE_DUE}

    @property
    def would(self) -> Outcome:
        """The outcome in a plan of a user to whom this will happen."""
        return _OUTCOMES[self][0]

    @property
    def done(self) -> Outcome:
        """The outcome of a user to whom this happened."""
        return _OUTCOMES[self][1]

    def is_harsher_than(self, other: "Action") -> bool:
        """Return whether a stack whose `LeaverAction` is `other` may not do this."""
        return _HARSHNESS[self] > _HARSHNESS[other]


LEAVER_ACTIONS = (Action.DISABLE, Action.DISABLE_THEN_DELETE, Action.DELETE)

_OUTCOMES = {
    Action.DISABLE: (Outcome.WOULD_DISABLE, Outcome.DISABLED),
    Action.DISABLE_THEN_DELETE: (Outcome.WOULD_DISABLE, Outcome.DISABLED),
    Action.DELETE: (Outcome.WOULD_DELETE, Outcome.DELETED),
    Action.DELETE_DUE: (Outcome.WOULD_DELETE, Outcome.DELETED),
    Action.ENABLE: (Outcome.WOULD_ENABLE, Outcome.ENABLED),
}

_HARSHNESS = {
    Action.ENABLE: 0,
    Action.DISABLE: 0,
    Action.DISABLE_THEN_DELETE: 1,
    Action.DELETE_DUE: 1,  # what `disable_then_delete` has approved
    Action.DELETE: 2,
}
