"""CheckLosses: users who have left the portal and were not planned to be deleted."""

import pytest

from bulk_user_deletion.errors import PortalUnavailable
from local.portal import Fault, Knobs
from tests.functions.machine import Machine
from tests.functions.stack import EXECUTIONS, Stack

USERS = ["118", "119", "120", "121", "122", "123"]


def check(stack: Stack, number: int, *, is_canary: bool) -> int:
    return int(stack.check_losses({"number": number, "is_canary": is_canary})["losses"])


def stop_of(stack: Stack) -> str:
    found = stack.ledger.runs.read("run-1")
    return found.stop.reason if found and found.stop else ""


def test_a_canary_that_removes_another_user_too_stops_the_run(stack: Stack) -> None:
    stack.portal.knobs = Knobs(takes_along={118: (130,)})

    request = {
        "mode": "apply",
        "source": {"users": USERS},
        "options": {"canary_users": 1},
    }
    summary = Machine(stack).execute(request, "run-1")

    assert summary["status"] == "STOPPED"
    assert "1 user left the portal that this run did not delete: 130" in summary["sentence"]
    assert summary["counts"] == {"deleted": 1, "not_attempted": 5}
    assert stack.read_json("runs/run-1/report.json")["unexplained_losses"] == ["130"]


@pytest.mark.parametrize(("lost", "stops"), [(3, False), (4, True)])
def test_more_losses_in_a_batch_than_the_stack_allows_stop_the_run(
    stack: Stack, lost: int, stops: bool
) -> None:
    stack.plan(["118"])
    stack.work_off()
    stack.portal.database.execute("DELETE FROM user WHERE user_id BETWEEN 130 AND ?", (129 + lost,))

    assert check(stack, 1, is_canary=False) == lost
    assert bool(stop_of(stack)) is stops
    # The next batch does not count them again.
    assert check(stack, 2, is_canary=False) == 0


def test_a_short_list_shows_no_losses(stack: Stack) -> None:
    stack.plan(["118"])
    stack.portal.knobs = Knobs(list_limit=15)

    assert check(stack, 1, is_canary=True) == 0
    assert stop_of(stack) == ""


def test_a_user_that_another_run_of_this_stack_deleted_is_not_a_loss(stack: Stack) -> None:
    stack.plan(["118"])
    stack.end("run-1")
    Machine(stack).execute({"mode": "apply", "source": {"users": ["130"]}}, "run-2")
    stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "run-3")
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 131")

    said = stack.invoke(
        "check_losses",
        {
            "run_id": "run-1",
            "execution_arn": EXECUTIONS + "run-3",
            "batch": {"number": 1, "is_canary": False},
            "token": {"version_id": None, "renewals": 0},
        },
    )
    assert (said["losses"], said["renewals"]) == (1, 0)
    found = stack.ledger.runs.read("run-1")
    assert found
    assert found.losses == ("131",)


def test_a_step_that_is_retried_looks_for_the_same_losses_once(stack: Stack) -> None:
    stack.plan(["118"])
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 130")

    assert check(stack, 1, is_canary=False) == 1
    requests = len(stack.portal.requests)
    assert check(stack, 1, is_canary=False) == 0
    assert len(stack.portal.requests) == requests


def test_of_many_missing_users_five_are_looked_at_before_they_count_as_losses(stack: Stack) -> None:
    stack.plan(["118"])
    stack.portal.database.execute("DELETE FROM user WHERE user_id > 120")
    stack.portal.requests.clear()

    assert check(stack, 1, is_canary=False) == 20
    looked_at = {request.user_id for request in stack.portal.requests if request.user_id}
    assert len(looked_at) == 5


def test_a_look_that_is_not_answered_is_retried_and_shows_no_losses(stack: Stack) -> None:
    stack.plan(["118"])
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 130")
    stack.portal.faults.rate(Fault.PROXY_404, 1.0, method="GET", user_id=130)

    with pytest.raises(PortalUnavailable):
        check(stack, 1, is_canary=False)

    assert stop_of(stack) == ""
