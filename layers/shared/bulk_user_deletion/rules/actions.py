"""Which action a run may carry out."""

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.actions import Action


def check_action(action: Action, *, stack: Action) -> None:
    """Refuse what is harsher than the stack's `LeaverAction`.

    Raises:
        RequestRefused: naming both.
    """
    if action.is_harsher_than(stack):
        raise RequestRefused(
            f"This is a run to {action}, and LeaverAction of this stack is {stack}: a run can only"
            " be more careful than the stack. Nobody was touched. Start a new preview, or change"
            " LeaverAction."
        )
