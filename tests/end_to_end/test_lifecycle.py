"""Leavers on the real template: disabled today, deleted when their grace time is over."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from local.engine import Engine
from local.portal import PortalSimulator
from tests.end_to_end.conftest import WAIT_SCALE, Application, Run

_LEAVERS = 50


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    """A stack that disables and then deletes, on its own engine: its time jumps."""
    with Engine(wait_scale=WAIT_SCALE) as aws, PortalSimulator(users=300) as portal:
        for user_id in portal.user_ids():
            portal.edit(user_id, enabled="Y", ldap="N")
        application = Application(
            aws,
            "leavers",
            portal,
            FileDropMode="apply",
            LeaverAction="disable_then_delete",
            Concurrency="4",
            MaxUsers="100",
            MaxPercent="100",
            MaxPercentPerDay="100",
            MaxDisablePercent="100",
            MaxDisablePercentPerDay="100",
        )
        application.without_schedules()
        yield application


def daily_run(application: Application, day: int) -> Run | str:
    """Start what the schedule starts on a day; return the run, or why there was nothing to do."""
    before = len(application.portal.requests)
    request = {"mode": "apply", "source": {"due": True}}
    event = {"scheduled_time": f"day {day}", "request": request}
    execution = application.wait(arn := application.start_execution(event))
    output = json.loads(execution.get("output") or "{}")
    if output.get("next_step") == "nothing":
        return str(output["nothing_because"])
    return application.ended(arn, before)


def deletes(run: Run) -> set[int | None]:
    return {request.user_id for request in run.requests if request.method == "DELETE"}


def test_rule_9_fifty_leavers_are_disabled_at_once_and_deleted_after_their_grace_time_each_as_due(
    application: Application,
) -> None:
    portal = application.portal
    leavers = application.leavers(_LEAVERS)
    withdrawn, rehired, renamed, gone, recreated = leavers[:5]
    others = portal.user_ids() - set(leavers)

    # A drop: everybody is disabled, and nobody is deleted.
    content = "user_id\n" + "\n".join(map(str, leavers))
    dropped = application.drop("leavers.csv", content.encode())
    assert dropped.status == "SUCCEEDED"
    assert dropped.report["counts"] == {"disabled": _LEAVERS}
    assert {request.user_id for request in dropped.writes} == set(leavers)
    assert {request.method for request in dropped.writes} == {"PUT"}

    # What happens to five of them in the month after that.
    said = application.order({"withdraw": {"users": [withdrawn], "reason": "stays", "by": "hr"}})
    assert said == f"Withdrawn by hr. Will not be deleted: {withdrawn}."
    portal.edit(rehired, enabled="Y")
    portal.edit(renamed, username="another.name")
    portal.remove(gone)
    [old] = portal.database.execute("SELECT * FROM user WHERE user_id = ?", (recreated,))
    portal.remove(recreated)
    new = portal.add(username=old["username"], email=old["email"])

    application.jump(days=29)
    early = daily_run(application, 29)
    assert isinstance(early, Run)
    assert not early.writes
    assert early.outcomes == {
        str(rehired): "skipped",
        str(renamed): "skipped",
        str(gone): "already_absent",
        str(recreated): "already_absent",
    }

    application.jump(days=1.1)
    on_time = daily_run(application, 30)
    assert isinstance(on_time, Run)
    assert on_time.status == "SUCCEEDED"
    assert on_time.report["counts"] == {"deleted": _LEAVERS - 5}
    assert deletes(on_time) == set(leavers[5:])
    assert portal.user_ids() == others | {withdrawn, rehired, renamed, new}

    # The next day nobody waits, and the portal is not asked for anything.
    application.jump(days=1)
    before = len(portal.requests)
    assert daily_run(application, 31) == "Nobody waits to be deleted."
    assert len(portal.requests) == before


def test_a_daily_run_that_was_aborted_is_closed_and_the_next_one_deletes_the_others(
    application: Application,
) -> None:
    portal = application.portal
    leavers = application.leavers(6)
    application.apply(leavers)
    application.jump(days=31)
    portal.knobs = replace(portal.knobs, seconds_per_delete=0.5)
    before = len(portal.requests)
    request = {"mode": "apply", "source": {"due": True}}
    arn = application.start_execution({"scheduled_time": "aborted", "request": request})
    while not any(r.method == "DELETE" for r in portal.requests[before:]):
        time.sleep(0.05)
    application.abort(arn)
    report = application.closed(arn)
    application.behave()

    # Users who were being deleted are known; users who were not attempted wait for the next day.
    assert report["status"] in {"STOPPED", "FAILED", "INCOMPLETE"}
    application.jump(days=1)
    again = daily_run(application, 100)

    ended = {row["user_id"]: row["outcome"] for row in report["rows"]}
    left = {int(user_id) for user_id, outcome in ended.items() if outcome == "not_attempted"}
    if left:
        assert isinstance(again, Run)
        assert deletes(again) == left
    gone = {int(user_id) for user_id, outcome in ended.items() if outcome == "deleted"} | left
    assert not gone & portal.user_ids()
    sent = [r.user_id for r in portal.requests[before:] if r.method == "DELETE"]
    assert len(sent) == len(set(sent))


def test_a_leaver_whom_a_sync_enables_the_next_night_is_told_and_disabled_by_the_next_list(
    application: Application,
) -> None:
    portal = application.portal
    [leaver] = application.leavers(1)
    application.apply([leaver])
    portal.edit(leaver, enabled="Y")

    again = application.apply([leaver])

    assert again.report["counts"] == {"disabled": 1}
    application.jump(days=29)
    assert isinstance(daily_run(application, 200), str)


def test_a_drop_is_disabled_while_a_daily_run_deletes(application: Application) -> None:
    portal = application.portal
    due, dropped = application.leavers(5), application.leavers(3)
    application.apply(due)
    application.jump(days=31)
    portal.knobs = replace(portal.knobs, seconds_per_delete=2)
    request = {"mode": "apply", "source": {"due": True}}
    before = len(portal.requests)
    arn = application.start_execution({"scheduled_time": "beside", "request": request})
    while not any(r.method == "DELETE" for r in portal.requests[before:]):
        time.sleep(0.05)

    beside = application.drop("now.csv", ("user_id\n" + "\n".join(map(str, dropped))).encode())
    is_deleting = application.is_running(arn)
    due_run = application.ended(arn, before)
    application.behave()

    assert is_deleting
    assert beside.report["counts"] == {"disabled": 3}
    assert beside.report["unexplained_losses"] in ([], None)
    assert {due_run.outcomes[str(user_id)] for user_id in due} == {"deleted"}
    assert due_run.status == "SUCCEEDED"


def test_a_run_that_was_aborted_while_it_disabled_is_closed_and_its_users_are_due_as_seen(
    application: Application,
) -> None:
    portal = application.portal
    leavers = application.leavers(6)
    portal.knobs = replace(portal.knobs, seconds_per_put=1)
    before = len(portal.requests)
    source = {"users": [str(user_id) for user_id in leavers]}
    arn = application.start_execution({"mode": "apply", "source": source})
    while not any(r.method == "PUT" for r in portal.requests[before:]):
        time.sleep(0.05)
    application.abort(arn)
    report = application.closed(arn)
    application.behave()
    application.jump(days=31)

    daily_run(application, 300)

    ended = {int(row["user_id"]): row["outcome"] for row in report["rows"]}
    disabled = {user_id for user_id, outcome in ended.items() if outcome == "disabled"}
    assert disabled
    assert set(leavers) & portal.user_ids() == set(leavers) - disabled
