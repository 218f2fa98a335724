"""The stop button: pressed and lifted through the state machine, for one run or for the portal."""

from typing import Any

import pytest

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.users import Outcome
from tests.functions.stack import Stack


def order(stack: Stack, word: str, **order: str) -> str:
    """Send an order in a separate execution; return what it says was done."""
    document = {word: {"reason": "wrong list", "by": "night shift", **order}}
    said = stack.fetch_user_ids(document, "an-order")
    assert said["next_step"] == "nothing"
    return str(said["nothing_because"])


def test_a_stop_order_for_a_run_sets_its_flag_with_the_reason_and_the_name(stack: Stack) -> None:
    stack.plan(["118"])

    said = order(stack, "stop", run_id="run-1")

    assert said == "The stop for run run-1 is set: no further user is started."
    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert (run.stop.reason, run.stop.by) == ("wrong list", "night shift")


def test_a_stop_order_does_not_call_the_portal_and_needs_no_token(stack: Stack) -> None:
    stack.invoke(
        "fetch_user_ids",
        {
            "run_id": "an-order",
            "execution_arn": "arn",
            "request": {"stop": {"reason": "upgrade", "by": "platform team"}},
            "token": {"version_id": None, "renewals": 0},
        },
    )

    assert stack.portal.requests == []


def test_the_first_reason_is_kept(stack: Stack) -> None:
    stack.plan(["118"])
    order(stack, "stop", run_id="run-1", by="first")

    order(stack, "stop", run_id="run-1", by="second")

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert run.stop.by == "first"


@pytest.mark.parametrize("which", [{"run_id": "run-1"}, {}])
def test_rule_8_after_a_stop_no_user_is_started_and_after_its_lift_they_are(
    stack: Stack, which: dict[str, Any]
) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    order(stack, "stop", **which)

    stopped = stack.delete_user(118, key)
    written = stack.writes()
    order(stack, "lift", **which)
    stack.delete_user(118, key)

    assert stopped["finished"]
    assert written == []
    row = stack.row(118)
    assert row is not None
    assert row.outcome is Outcome.DELETED


def test_rule_8_the_portals_stop_holds_for_runs_that_come_later(stack: Stack) -> None:
    order(stack, "stop")

    with pytest.raises(RequestRefused, match="night shift stopped every run on this portal"):
        stack.plan(["118"])


def test_a_preview_goes_on_while_the_portal_is_stopped(stack: Stack) -> None:
    order(stack, "stop")

    assert stack.plan(["118"], mode="preview")["next_step"] == "preview"


@pytest.mark.parametrize(
    ("word", "which", "said"),
    [
        ("stop", {"run_id": "nowhere"}, "no run nowhere"),
        ("lift", {"run_id": "nowhere"}, "no stop to lift for run nowhere"),
        ("lift", {}, "no stop to lift for every run"),
    ],
)
def test_an_order_that_can_do_nothing_says_so(
    stack: Stack, word: str, which: dict[str, Any], said: str
) -> None:
    with pytest.raises(RequestRefused, match=said):
        order(stack, word, **which)
