"""The words for what a run does to its users."""

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Waiting
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.text import counted

# A person who requests an action names one of these.
REQUESTED = (Action.DISABLE, Action.DISABLE_THEN_DELETE, Action.DELETE, Action.ENABLE)

_VERBS = {
    Action.DELETE: "delete",
    Action.DELETE_DUE: "delete",
    Action.DISABLE: "disable",
    Action.DISABLE_THEN_DELETE: "disable",
    Action.ENABLE: "enable",
}
_ING = {"delete": "Deleting", "disable": "Disabling", "enable": "Enabling"}


def verb(action: Action) -> str:
    """Return what happens to a user in the run itself: delete, disable or enable."""
    return _VERBS[action]


def in_progress(action: Action) -> str:
    """Return what a run is doing to its users."""
    return _ING[verb(action)]


def to_do(action: Action, grace_days: int = 0) -> str:
    """Return what applying a plan does to its users, now and later; 0 days if it is not known."""
    if action is not Action.DISABLE_THEN_DELETE:
        return verb(action)
    when = f"{counted(grace_days, 'day')} later" if grace_days else "later"
    return f"disable now and delete {when}"


def awaited(waiting: Waiting) -> str:
    """Return what an execution waits for."""
    if waiting.run_id:
        return f"run {waiting.run_id} to end"
    return f"the change window that opens at {iso(waiting.opens_at)}"


def moment(iso_time: str) -> str:
    """Return a time, or nothing, as tables show it: to the minute."""
    return iso_time[:16].replace("T", " ")


def yes_option(action: Action) -> str:
    """Return the option that replaces typing the number of users."""
    name = Action.DELETE if action is Action.DELETE_DUE else action
    return f"--yes-{name.value.replace('_', '-')}"


def undone_by(action: Action) -> str:
    """Return whether what a plan does can be undone, and how: the last words before a person types.

    The commands are the ones of this program.
    """
    match action:
        case Action.DELETE | Action.DELETE_DUE:
            return "This cannot be undone."
        case Action.DISABLE:
            return "To undo this: bulk-user-deletion enable --run RUN-ID"
        case Action.DISABLE_THEN_DELETE:
            return (
                "Deleting cannot be undone. Until then:\n"
                "  to keep them: bulk-user-deletion withdraw --run RUN-ID --reason WHY\n"
                "  to give them access back: bulk-user-deletion enable --run RUN-ID"
            )
        case Action.ENABLE:
            return "To undo this, preview them again with --action disable."
