"""Rule 7: interrupted anywhere, run again: nothing is lost or duplicated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto import mock_aws

from local.portal import PortalSimulator
from tests.functions.machine import AbortedError, KilledError, Machine, Trouble, refusing
from tests.functions.memory_table import keep_in_memory
from tests.functions.stack import Stack

FIRST_USER = 110

pytestmark = pytest.mark.thorough


@contextmanager
def deployed() -> Iterator[Stack]:
    """A stack whose functions' leases expire as soon as they are killed, so that no test waits."""
    with (
        pytest.MonkeyPatch.context() as patch,
        PortalSimulator(users=200) as portal,
        mock_aws(),
    ):
        keep_in_memory(patch)
        for name, value in Stack.environment(portal.url).items():
            patch.setenv(name, value)
        stack = Stack(portal)
        stack.remaining_seconds = -2
        yield stack


def apply(user_id: int) -> dict[str, Any]:
    return {"mode": "apply", "source": {"users": [str(user_id)]}}


@pytest.fixture(scope="module")
def calls() -> int:
    """How many calls to the outside the functions make for the first run of one user."""
    trouble = Trouble()
    with deployed() as stack, trouble.may_strike():
        summary = Machine(stack, trouble).execute(apply(FIRST_USER), "run")
    assert summary["counts"] == {"deleted": 1}
    return trouble.calls


# Killed after one call is killed before the next, so the timing only matters for errors.
@pytest.mark.parametrize(
    ("strike", "after"),
    [(KilledError, False), (AbortedError, False), (refusing, False), (refusing, True)],
)
def test_rule_7_whichever_call_fails_no_user_is_lost_and_none_is_sent_two_deletes(
    calls: int, strike: Callable[[], BaseException], after: bool
) -> None:
    with deployed() as stack:
        before = stack.portal.user_ids()
        for nth in range(calls):
            user_id, run_id = FIRST_USER + nth, f"run-{nth}"
            stack.portal.expire_tokens()  # so that every run makes the same calls
            trouble = Trouble(nth, after, strike)
            machine = Machine(stack, trouble)
            with trouble.may_strike():
                try:
                    machine.execute(apply(user_id), run_id)
                except AbortedError:
                    machine.execute({"close": run_id}, f"closing-{nth}")

            finish(machine, user_id, run_id)

            assert [request.user_id for request in stack.writes()] == [user_id], nth
            stack.portal.requests.clear()
        deleted = set(range(FIRST_USER, FIRST_USER + calls))
        assert before - stack.portal.user_ids() == deleted


def finish(machine: Machine, user_id: int, run_id: str) -> None:
    """Do what the report of the run recommends, until the user is deleted."""
    stack = machine.stack
    if f"runs/{run_id}/report.json" not in set(stack.keys()):
        assert stack.ledger.runs.read(run_id) is None  # it ended before there was a run
        assert machine.execute(apply(user_id), f"{run_id}-again")["succeeded"]
        return
    report = stack.read_json(f"runs/{run_id}/report.json")
    assert sum(report["counts"].values()) == report["requested"]
    if report["counts"] == {"deleted": 1}:
        return
    if "resume the run" in report["sentence"]:
        # The only thing that cannot be known is whether a DELETE was sent at that moment.
        assert report["counts"] in ({"unknown": 1}, {"not_attempted": 1})
        request = {"mode": "apply", "resume": run_id}
    else:
        assert "end the request again" in report["sentence"]
        assert stack.writes() == []
        request = apply(user_id)
    assert machine.execute(request, f"{run_id}-again")["counts"] == {"deleted": 1}
