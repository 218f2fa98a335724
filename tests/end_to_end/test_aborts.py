"""Executions that are stopped in the middle: closed by a rule on their status, then resumed."""

import time

from local.portal import Knobs
from tests.end_to_end.conftest import Application


def test_an_aborted_run_is_closed_by_itself_and_resumed_to_the_end(
    application: Application,
) -> None:
    leavers = application.leavers(8)
    users = application.portal.user_ids()
    application.portal.knobs = Knobs(seconds_per_delete=0.3)
    before = len(application.portal.requests)
    arn = application.start_execution(
        {"mode": "apply", "source": {"users": [str(u) for u in leavers]}}
    )
    while len(users - application.portal.user_ids()) < 3:
        time.sleep(0.02)

    application.abort(arn)
    closed = application.closed(arn)
    deleted = users - application.portal.user_ids()
    resumed = application.start({"mode": "apply", "resume": arn.rpartition(":")[2]})

    assert closed["status"] == "STOPPED"
    assert "Its execution ended ABORTED before it could report" in closed["sentence"]
    assert closed["counts"] == {"deleted": len(deleted), "not_attempted": 8 - len(deleted)}
    assert 3 <= len(deleted) < 8
    assert (resumed.status, resumed.report["counts"]) == ("SUCCEEDED", {"deleted": 8})
    assert users - application.portal.user_ids() == set(leavers)
    deletes = [
        request.user_id
        for request in application.portal.requests[before:]
        if request.method == "DELETE"
    ]
    assert deletes == leavers


def test_after_an_abort_the_next_run_does_not_wait_for_the_dead_one(
    application: Application,
) -> None:
    application.portal.knobs = Knobs(seconds_per_delete=0.3)
    first, *others = application.leavers(4)
    arn = application.start_execution(
        {"mode": "apply", "source": {"users": [str(u) for u in others]}}
    )
    while not [r for r in application.portal.requests if r.user_id == others[0]]:
        time.sleep(0.02)

    application.abort(arn)
    run = application.apply([first])

    assert (run.status, run.outcomes) == ("SUCCEEDED", {str(first): "deleted"})
    application.closed(arn)
