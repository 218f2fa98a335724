"""Runs that wait for their turn, on the whole state machine."""

import json
import time

from click.testing import Result

from local.portal import Knobs
from tests.end_to_end.conftest import Application, Command


def a_run_that_takes_a_while(application: Application) -> str:
    """Start a run of six users; return its execution's ARN once it deletes."""
    leavers = application.leavers(6)
    application.portal.knobs = Knobs(seconds_per_delete=0.5)
    before = len(application.portal.requests)
    arn = application.start_execution(
        {"mode": "apply", "source": {"users": [str(u) for u in leavers]}}
    )
    while not any(r.method == "DELETE" for r in application.portal.requests[before:]):
        time.sleep(0.02)
    return arn


def until_it_waits(command: Command, name: str) -> Result:
    deadline = time.monotonic() + 20
    while "waits for run" not in (result := command("status", name, "--json")).stderr:
        assert time.monotonic() < deadline, result.output
    return result


def test_a_file_that_is_dropped_during_a_run_waits_and_its_newest_version_is_applied(
    application: Application, command: Command
) -> None:
    first, second = application.leavers(2)
    there = application.portal.user_ids()
    arn = a_run_that_takes_a_while(application)
    known = set(application.executions())
    application.put("inbox/early.csv", f"user_id\n{first}\n".encode())
    early = application.new_execution(known)
    status = until_it_waits(command, early.rpartition(":")[2])
    application.put("inbox/early.csv", f"user_id\n{second}\n".encode())
    late = application.new_execution({*known, early})

    running = application.ended(arn, 0)
    run = application.ended(late, 0)

    assert json.loads(status.stdout)["waits_for"] == running.id
    assert (running.status, running.report["counts"]) == ("SUCCEEDED", {"deleted": 6})
    assert (run.status, run.outcomes) == ("SUCCEEDED", {str(second): "deleted"})
    assert run.report["started_at"] < run.report["ended_at"]
    assert first in application.portal.user_ids()
    assert len(there - application.portal.user_ids()) == 7
    ended = application.wait(early)
    assert "replaced while this run waited" in json.loads(ended["output"])["nothing_because"]


def test_rule_8_a_run_that_is_stopped_or_aborted_while_it_waits_deletes_nobody(
    application: Application, command: Command
) -> None:
    leavers = application.leavers(2)
    running = a_run_that_takes_a_while(application)
    stopped, aborted = (
        application.start_execution({"mode": "apply", "source": {"users": [str(user)]}})
        for user in leavers
    )
    for arn in (stopped, aborted):
        until_it_waits(command, arn.rpartition(":")[2])

    said = command("stop", stopped.rpartition(":")[2], "--reason", "wrong list", "--by", "me")
    application.abort(aborted)
    closed = application.closed(aborted)
    refused = application.ended(stopped, 0)
    application.ended(running, 0)

    assert "no further user is started" in said.output
    assert (refused.error, refused.report["status"]) == ("RequestRefused", "REFUSED")
    assert "me stopped this run while it waited for its turn: wrong list" in refused.cause
    assert closed["status"] == "FAILED"
    assert "before it had a plan: nobody was deleted" in closed["sentence"]
    assert set(leavers) <= application.portal.user_ids()
    assert application.apply(leavers).status == "SUCCEEDED"
