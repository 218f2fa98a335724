"""DeleteUser: look, check against the plan, record the intent, delete, look again."""

from dataclasses import replace

import pytest

from bulk_user_deletion.errors import PortalAnswerUnusable, RunClosed, UserManagementDenied
from bulk_user_deletion.models import Outcome, UserState
from local.portal import PortalSimulator
from local.portal.faults import Status, reset_after_effect
from tests.functions.stack import Stack

USER = 118


@pytest.fixture
def batch_key(stack: Stack) -> str:
    """The batch that user 118 and a neighbour were handed out in; the log begins after it."""
    stack.plan(["118", "119"], options={"canary_users": 0})
    key = stack.hand_out()["118"]
    stack.portal.requests.clear()
    return key


def sent(stack: Stack) -> list[str]:
    return [
        f"{request.method} {request.user_id}"
        for request in stack.portal.requests
        if request.user_id is not None
    ]


def test_a_user_is_looked_at_deleted_and_looked_at_again_and_nobody_else_is_touched(
    stack: Stack, batch_key: str
) -> None:
    before = stack.portal.user_ids()

    progress = stack.delete_user(USER, batch_key)

    assert sent(stack) == ["GET 118", "DELETE 118", "GET 118"]
    assert stack.portal.user_ids() == before - {USER}
    assert progress == {"finished": True, "wait_seconds": pytest.approx(60, abs=2), "tries": 0}
    row = stack.row(USER)
    assert row is not None
    assert (row.outcome, row.attempts) == (Outcome.DELETED, 1)
    assert stack.row(119) is None
