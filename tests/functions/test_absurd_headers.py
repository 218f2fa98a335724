"""Headers that no portal should send: nothing hangs, and no run is blocked for long."""

import time
from typing import Any

import pytest

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.runs import Pace
from bulk_user_deletion.models.users import Outcome, UserState
from bulk_user_deletion.rules.pace import LONGEST_PATIENCE
from local.portal import Fault, Knobs
from tests.functions.stack import Stack

BEYOND_ALL_YEARS = "Fri, 31 Dec 99999999999999999999 23:59:59 GMT"
ORDER = {"end_quiet": {"reason": "it is up again", "by": "night shift"}}


def batch_key(stack: Stack) -> str:
    stack.plan(["118", "119"])
    return stack.hand_out()["118"]


@pytest.mark.parametrize(
    "headers",
    [
        {"date": BEYOND_ALL_YEARS},
        {"retry_after": BEYOND_ALL_YEARS},
        {"retry_after": "9" * 5000},
        {"location": "http://[no-url"},
    ],
    ids=str,
)
@pytest.mark.parametrize("fault", [None, Fault.TIMEOUT_504_AFTER, Fault.REDIRECT])
def test_after_a_delete_an_absurd_header_leaves_no_lease_behind(
    stack: Stack, headers: dict[str, Any], fault: Fault | None
) -> None:
    key = batch_key(stack)
    stack.portal.knobs = Knobs(**headers)
    if fault:
        stack.portal.faults.script(fault)

    stack.delete_user(118, key)

    row = stack.row(118)
    assert row is not None
    assert row.lease_until == 0
    assert row.state in {UserState.DONE, UserState.SETTLING}
    assert stack.report_run()["wait_seconds"] == 0


@pytest.mark.parametrize("fault", [Fault.TOO_MANY_REQUESTS, Fault.TIMEOUT_504_AFTER])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("header", ["1795694400", "9" * 30, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_more_than_an_hour_of_quiet_time_stops_the_run_and_others_wait_for_at_most_an_hour(
    stack: Stack, fault: Fault, method: str, header: str
) -> None:
    key = batch_key(stack)
    stack.portal.knobs = Knobs(retry_after=header)
    stack.portal.faults.rate(fault, 1, method=method)

    progress = stack.delete_user(118, key)

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert "left alone" in run.stop.reason
    assert run.pace.quiet_until <= time.time() + LONGEST_PATIENCE + 1
    assert progress["wait_seconds"] <= LONGEST_PATIENCE
    assert stack.delete_user(119, key)["finished"]
    assert stack.row(119) is None


def test_an_order_ends_the_portals_quiet_time_for_all_runs(stack: Stack) -> None:
    key = batch_key(stack)
    stack.portal.knobs = Knobs(retry_after_seconds=3000)
    stack.portal.faults.script(Fault.TOO_MANY_REQUESTS)
    stack.delete_user(118, key)
    waiting = stack.delete_user(119, key)
    asked = len(stack.portal.requests)

    said = stack.fetch_user_ids(ORDER, "an-order")

    assert waiting["wait_seconds"] > 2900
    assert said["next_step"] == "nothing"
    assert "may be called again" in said["nothing_because"]
    assert len(stack.portal.requests) == asked
    assert stack.ledger.portal.pace().quiet_until == 0
    stack.delete_user(119, key)
    row = stack.row(119)
    assert row is not None
    assert row.outcome is Outcome.DELETED


def test_an_order_changes_nothing_else_about_the_pace(stack: Stack) -> None:
    pace = Pace(60.0, wait_seconds=40, changed_at=7, quiet_until=2**32, version=3)
    stack.ledger.portal.record_pace(pace, before=Pace())

    stack.fetch_user_ids(ORDER, "an-order")

    assert stack.ledger.portal.pace() == Pace(60.0, wait_seconds=40, changed_at=7, version=4)


@pytest.mark.parametrize("quiet_until", [0, 7])
def test_if_there_is_no_quiet_time_to_end_the_order_says_so(stack: Stack, quiet_until: int) -> None:
    stack.ledger.portal.record_pace(Pace(quiet_until=quiet_until), before=Pace())

    with pytest.raises(RequestRefused, match="nothing to end"):
        stack.fetch_user_ids(ORDER, "an-order")
