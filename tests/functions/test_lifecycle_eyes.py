"""Leavers against hostile portals, careless operators and crashes: on the real functions."""

import time
from typing import Any

import pytest

from bulk_user_deletion.ledger.users import Users
from bulk_user_deletion.looks import Patience
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.users import Outcome, ReasonKind
from local.portal import Fault, PortalSimulator
from tests.functions.stack import Stack, dropped
from tests.functions.test_due import (
    DUE,
    LEAVERS,
    Calendar,
    SetParameter,
    calendar,
    due_run,
    leaver,
    leaving,
    plan_deletion,
)
from tests.functions.test_switch_user import enabled, run, sent, set_knobs
from tests.functions.test_waiting import Clock, clock
from tests.functions.test_withdraw_and_enable import enable, withdraw

__all__ = ["calendar", "clock", "leaving"]  # fixtures


def unattended(stack: Stack, user_ids: list[str], run_id: str) -> dict[str, int]:
    """Carry out a dropped file of ids; return the counts."""
    body = "\n".join(["user_id", *user_ids]).encode()
    stack.fetch_user_ids(dropped(stack, body), run_id)
    stack.work_off(run_id)
    return dict(stack.report_run(run_id)["counts"])


def test_a_file_that_nobody_reads_does_not_overrule_a_withdrawal_although_it_has_ids(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    withdraw(leaving, users=["111"])
    calendar.turn(1)

    assert unattended(leaving, LEAVERS, "run-2") == {"disabled": 2, "skipped": 1}

    assert leaver(leaving, "111").state is LeaverState.WITHDRAWN
    calendar.turn(40)
    assert due_run(leaving, "due-40") == {"deleted": 2}
    assert 111 in portal.user_ids()


def test_a_file_that_nobody_reads_does_not_disable_again_whoever_is_held(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(1)
    portal.edit(111, enabled="Y")
    due_run(leaving, "due-1")
    calendar.turn(2)

    assert unattended(leaving, LEAVERS, "run-2") == {"disabled": 2, "skipped": 1}

    assert enabled(portal, "111") == ["Y"]
    assert leaver(leaving, "111").state is LeaverState.HELD


@pytest.mark.parametrize("is_seen_after", [True, False])
def test_a_withdrawal_while_a_put_is_under_way_holds(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, is_seen_after: bool
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(1)
    portal.edit(111, enabled="Y")
    leaving.plan(["111"], "run-2")
    key = leaving.next_batch(run_id="run-2")["key"]
    portal.faults.script(Fault.RESET_AFTER, method="PUT", user_id=111)
    leaving.change_user("switch_user", 111, key, run_id="run-2")  # sees the user enabled
    portal.faults.script(Fault.SERVER_ERROR, method="GET", user_id=111, nth=2)
    leaving.change_user("switch_user", 111, key, run_id="run-2")
    row = leaving.row(111, "run-2")
    assert row
    assert not row.outcome

    said = withdraw(leaving, users=["111"])
    if is_seen_after:
        leaving.change_until_finished("switch_user", 111, key, "run-2")

    assert said == "Withdrawn by hr. Will not be deleted: 111."
    assert leaving.report_run("run-2")["counts"] == {"disabled": 1}
    assert leaver(leaving, "111").state is LeaverState.WITHDRAWN
    assert leaver(leaving, "111").by == "hr"
    calendar.turn(60)
    assert due_run(leaving, "due-60") == {"deleted": 2}
    assert 111 in portal.user_ids()


def test_a_withdrawal_between_two_puts_holds_before_the_second_one(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(1)
    portal.edit(111, enabled="Y")
    set_knobs(portal, put_mode="ignored")
    leaving.plan(["111"], "run-2")
    key = leaving.next_batch(run_id="run-2")["key"]
    before = sent(portal, "PUT").count(111)
    leaving.change_user("switch_user", 111, key, run_id="run-2")  # sees the user enabled
    leaving.change_user("switch_user", 111, key, run_id="run-2")

    withdraw(leaving, users=["111"])
    leaving.change_until_finished("switch_user", 111, key, "run-2")

    assert sent(portal, "PUT").count(111) == before + 1
    assert leaver(leaving, "111").state is LeaverState.WITHDRAWN
    row = leaving.row(111, "run-2")
    assert row
    assert row.outcome is Outcome.UNKNOWN


def test_a_withdrawal_outlives_an_outcome_that_is_taken_back_and_a_resume(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, ["111"])
    calendar.turn(1)
    portal.edit(111, enabled="Y")
    leaving.plan(["111"], "run-2")
    key = leaving.next_batch(run_id="run-2")["key"]
    leaving.change_user("switch_user", 111, key, run_id="run-2")  # sees the user enabled
    portal.faults.script(Fault.SERVER_ERROR, method="GET", user_id=111, nth=2)
    leaving.change_user("switch_user", 111, key, run_id="run-2")
    withdraw(leaving, users=["111"])
    leaving.change_until_finished("switch_user", 111, key, "run-2")
    portal.edit(111, enabled="Y")
    assert leaving.report_run("run-2")["counts"] == {"unknown": 1}
    calendar.turn(2)

    leaving.fetch_user_ids({"mode": "apply", "resume": "run-2"}, "again")
    leaving.work_off("run-2")

    assert leaving.report_run("run-2")["counts"] == {"skipped": 1}
    assert enabled(portal, "111") == ["Y"]
    assert leaver(leaving, "111").state is LeaverState.WITHDRAWN


def test_the_preview_of_a_list_to_disable_does_not_approve_that_anybody_is_deleted(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, ["110"])
    set_parameter("APPLY_ONLY_PLANS", "true")
    leaving.fetch_user_ids({"action": "disable", "source": {"users": ["110"]}}, "preview-1")
    leaving.report_run("preview-1")
    sealed = {"run_id": "preview-1", "sha256": leaving.plan_sha256("preview-1")}
    leaving.fetch_user_ids({"mode": "apply", "plan": sealed}, "run-2")
    leaving.work_off("run-2")
    assert leaving.report_run("run-2")["counts"] == {"disabled": 1}
    calendar.turn(31)

    due_run(leaving, "due-31")

    assert 110 in portal.user_ids()


@pytest.mark.parametrize("decision", ["withdrawn", "seen enabled"])
def test_a_direct_delete_that_did_not_happen_leaves_nobody_due(
    leaving: Stack,
    portal: PortalSimulator,
    calendar: Calendar,
    set_parameter: SetParameter,
    decision: str,
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(1)
    if decision == "withdrawn":
        withdraw(leaving, users=["111"])
    else:
        portal.edit(111, enabled="Y")
    calendar.turn(2)
    set_parameter("LEAVER_ACTION", "delete")
    leaving.plan(["111"], "run-2")
    key = leaving.next_batch(run_id="run-2")["key"]
    portal.faults.script(Fault.BUSY_503, method="DELETE", user_id=111)
    leaving.change_user("delete_user", 111, key, run_id="run-2")
    portal.edit(111, enabled="N")
    leaving.s3.put_object(Bucket="data", Key="kept.csv", Body=b"user,until,reason\n111,,x\n")
    set_parameter("PROTECTED_LIST", "kept.csv")
    leaving.change_until_finished("delete_user", 111, key, "run-2")
    assert leaving.report_run("run-2")["counts"] == {"skipped": 1}

    set_parameter("PROTECTED_LIST", "")
    set_parameter("LEAVER_ACTION", "disable_then_delete")
    calendar.turn(31)
    assert due_run(leaving, "due-31") == {"deleted": 2}
    assert 111 in portal.user_ids()


@pytest.mark.parametrize("action", ["disable_then_delete", "delete"])
def test_whoever_a_look_sees_enabled_is_not_due_even_if_the_run_was_stopped_right_then(
    leaving: Stack,
    portal: PortalSimulator,
    calendar: Calendar,
    set_parameter: SetParameter,
    action: str,
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(1)
    portal.edit(111, enabled="Y")
    set_parameter("LEAVER_ACTION", action)
    leaving.plan(["111"], "run-2")
    key = leaving.next_batch(run_id="run-2")["key"]
    write = Users.record_intent

    def stopped_before(*given: Any, **more: Any) -> bool:
        leaving.ledger.runs.press_stop("run-2", reason="x", by="y", now=time.time())
        return write(*given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Users, "record_intent", stopped_before)
        leaving.change_until_finished(
            "delete_user" if action == "delete" else "switch_user", 111, key, "run-2"
        )
    set_parameter("LEAVER_ACTION", "disable_then_delete")
    leaving.report_run("run-2")
    portal.edit(111, enabled="N")  # by somebody else
    calendar.turn(31)

    assert due_run(leaving, "due-31") == {"deleted": 2}
    assert 111 in portal.user_ids()


def test_access_is_not_given_back_to_whoever_was_seen_enabled_and_then_disabled_by_somebody_else(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(1)
    portal.edit(111, enabled="Y")
    due_run(leaving, "due-1")
    portal.edit(111, enabled="N")
    calendar.turn(2)

    assert enable(leaving, ["111"]) == {"skipped": 1}

    assert enabled(portal, "111") == ["N"]
    row = leaving.read_json("runs/enable-1/report.json")["rows"][0]
    assert row["reason_kind"] == ReasonKind.NOT_DISABLED_BY_US


def test_a_run_that_is_withdrawn_before_it_has_a_plan_disables_nobody(
    leaving: Stack, portal: PortalSimulator, clock: Clock
) -> None:
    leaving.plan(["115"], "run-1")  # holds the lock
    assert leaving.plan(LEAVERS, "run-2")["next_step"] == "wait"

    withdraw(leaving, run_id="run-2")

    leaving.work_off("run-1")
    leaving.report_run("run-1")
    with pytest.raises(Exception, match="hr stopped this run while it waited"):
        leaving.plan(LEAVERS, "run-2")
    assert sent(portal, "PUT") == [115]


@pytest.mark.parametrize("what", ["a due run", "a direct DELETE", "a preview", "an enabling"])
def test_a_run_that_disables_nobody_cannot_be_withdrawn(
    leaving: Stack,
    portal: PortalSimulator,
    calendar: Calendar,
    set_parameter: SetParameter,
    what: str,
) -> None:
    run(leaving, LEAVERS, "leave")
    calendar.turn(31)
    requests: dict[str, dict[str, Any]] = {
        "a due run": DUE,
        "a direct DELETE": {"mode": "apply", "source": {"users": ["115"]}},
        "a preview": {"source": {"users": ["115"]}},
        "an enabling": {"mode": "apply", "action": "enable", "source": {"users": ["110"]}},
    }
    if what == "a direct DELETE":
        set_parameter("LEAVER_ACTION", "delete")
    leaving.fetch_user_ids(requests[what], "run-1")

    with pytest.raises(Exception, match="Run run-1 disables nobody: nobody was withdrawn"):
        withdraw(leaving, run_id="run-1")


def test_a_stack_that_only_disables_is_quiet_while_nobody_waits(
    leaving: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    set_parameter("LEAVER_ACTION", "disable")

    assert due_run(leaving, "due-1") == "Nobody waits to be deleted."

    assert not portal.requests


def test_another_portal_at_the_same_address_holds_nobody(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    for user_id in LEAVERS:
        portal.edit(int(user_id), username=f"other{user_id}", email="", enabled="Y")

    with pytest.raises(Exception, match="3 of 3 leavers no longer have the username or e-mail"):
        leaving.fetch_user_ids(DUE, "due-1")

    assert {leaver(leaving, user_id).state for user_id in LEAVERS} == {LeaverState.WAITING}


def test_a_migration_is_noticed_on_a_slow_portal_too(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    leavers = [str(user_id) for user_id in range(110, 126)]
    run(leaving, leavers)
    for user_id in leavers:
        portal.edit(int(user_id), email=f"new{user_id}@example.com")
    calendar.turn(31)

    with pytest.MonkeyPatch.context() as patch:
        before = looks(portal, leavers)
        patch.setattr(Patience, "is_over", property(lambda _: looks(portal, leavers) >= before + 3))
        with pytest.raises(Exception, match="3 of 3 leavers no longer have the username"):
            leaving.fetch_user_ids(DUE, "due-31")

    assert {leaver(leaving, user_id).state for user_id in leavers} == {LeaverState.WAITING}


def looks(portal: PortalSimulator, user_ids: list[str]) -> int:
    return sum(str(user_id) in user_ids for user_id in sent(portal, "GET"))


def test_whoever_there_was_no_time_to_look_at_is_told_and_keeps_nobody_else(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    portal.remove(110)
    portal.remove(111)
    with pytest.MonkeyPatch.context() as patch:
        before = looks(portal, ["110"])
        patch.setattr(Patience, "is_over", property(lambda _: looks(portal, ["110"]) > before))
        leaving.fetch_user_ids(DUE, "due-31")
    leaving.work_off("due-31")

    assert leaving.report_run("due-31")["counts"] == {"deleted": 1, "already_absent": 1}
    report = leaving.read_json("runs/due-31/report.json")
    said = "1 leaver is due, but this run had no time to look at them: the next one will."
    assert said in report["warnings"]
    assert leaver(leaving, "111").state is LeaverState.WAITING


def test_whoever_may_not_be_deleted_without_a_preview_is_told_and_alarmed(
    leaving: Stack,
    portal: PortalSimulator,
    calendar: Calendar,
    set_parameter: SetParameter,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(leaving, ["110"])
    set_parameter("APPLY_ONLY_PLANS", "true")
    calendar.turn(35)
    capsys.readouterr()

    said = due_run(leaving, "due-35")

    assert said == (
        "1 leaver is due whom no preview has shown, and ApplyOnlyPlans is on: preview by id, and"
        " apply that. Ids: 110."
    )
    assert '"OverdueDays":[5.0]' in capsys.readouterr().out.replace(" ", "")


HELD_METRIC = '"LeaversHeld":[1.0]'


@pytest.mark.parametrize("when", ["planning", "the look before the DELETE", "the last look"])
def test_whoever_is_held_is_told_and_alarmed_whatever_held_them(
    leaving: Stack,
    portal: PortalSimulator,
    calendar: Calendar,
    capsys: pytest.CaptureFixture[str],
    when: str,
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    if when == "planning":
        portal.edit(111, enabled="Y")
    leaving.fetch_user_ids(DUE, "due-31")
    if when == "the look before the DELETE":
        portal.edit(111, enabled="Y")
    if when == "the last look":
        set_knobs(portal, delete_mode="ignored")
        key = leaving.next_batch(run_id="due-31")["key"]
        leaving.change_user("delete_user", 111, key, run_id="due-31")
        leaving.ledger.runs.press_stop("due-31", reason="x", by="y", now=time.time())
    leaving.work_off("due-31")
    capsys.readouterr()

    leaving.report_run("due-31")

    assert leaver(leaving, "111").state is LeaverState.HELD
    report = leaving.read_json("runs/due-31/report.json")
    said = "1 leaver has been held since this run, and not deleted until a person decides: 111."
    assert said in report["warnings"]
    assert HELD_METRIC in capsys.readouterr().out.replace(" ", "")


def test_a_leaver_whom_a_run_could_not_disable_again_is_told_as_held(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(1)
    portal.edit(111, enabled="Y")
    portal.faults.script(Fault.FORBIDDEN, method="PUT", user_id=111)

    assert run(leaving, LEAVERS, "run-2") == {"disabled": 2, "failed": 1}

    report = leaving.read_json("runs/run-2/report.json")
    said = "1 leaver has been held since this run, and not deleted until a person decides: 111."
    assert said in report["warnings"]


@pytest.mark.parametrize("run_id", ["due-31", "run-1"])
def test_a_withdrawal_during_the_last_look_leaves_nobody_without_an_outcome(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, run_id: str
) -> None:
    if run_id == "due-31":
        run(leaving, LEAVERS)
        calendar.turn(31)
        leaving.fetch_user_ids(DUE, run_id)
        function, method = "delete_user", "DELETE"
        order: dict[str, Any] = {"users": ["110"]}
    else:
        leaving.plan(LEAVERS)
        function, method = "switch_user", "PUT"
        order = {"run_id": "run-1"}
    key = leaving.next_batch(run_id=run_id)["key"]
    portal.faults.script(Fault.RESET_AFTER, method=method, user_id=110)
    portal.faults.script(Fault.SERVER_ERROR, method="GET", user_id=110, nth=2)
    leaving.change_user(function, 110, key, run_id=run_id)
    record = Users.record_outcome
    withdrawn: list[str] = []

    def withdrawn_before(*given: Any, **more: Any) -> bool:
        if not withdrawn:
            withdrawn.append(withdraw(leaving, **order))
        return record(*given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Users, "record_outcome", withdrawn_before)
        counts = leaving.report_run(run_id)["counts"]

    done = "deleted" if run_id == "due-31" else "disabled"
    assert counts == {done: 1, "not_attempted": 2}
    row = leaving.row(110, run_id)
    assert row
    assert row.outcome == done
    state = LeaverState.DONE if run_id == "due-31" else LeaverState.WITHDRAWN
    assert leaver(leaving, "110").state is state


def test_a_leaver_who_changes_during_the_last_look_does_not_keep_an_outcome_that_it_contradicts(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    leaving.plan(LEAVERS)
    leaving.work_off()
    portal.edit(111, enabled="Y")
    take_back = Users.take_back_outcome
    withdrawn: list[str] = []

    def withdrawn_before(*given: Any, **more: Any) -> bool:
        if not withdrawn:
            withdrawn.append(withdraw(leaving, users=["111"]))
        return take_back(*given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Users, "take_back_outcome", withdrawn_before)
        counts = leaving.report_run()["counts"]

    assert counts == {"disabled": 2, "unknown": 1}
    assert leaver(leaving, "111").state is LeaverState.WITHDRAWN


@pytest.mark.parametrize("is_open", [True, False])
def test_a_put_waits_for_a_delete_under_way_but_not_for_a_run_that_has_ended(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, is_open: bool
) -> None:
    plan_deletion(leaving, calendar)
    set_knobs(portal, delete_mode="ignored")
    key = leaving.next_batch(run_id="due-31")["key"]
    leaving.change_user("delete_user", 110, key, run_id="due-31")
    portal.edit(110, enabled="Y")
    if not is_open:
        leaving.end("due-31")  # without an outcome for this user
    leaving.plan(["110"], "run-2")
    key = leaving.next_batch(run_id="run-2")["key"]

    leaving.change_user("switch_user", 110, key, run_id="run-2")  # sees the user enabled
    waits = leaving.change_user("switch_user", 110, key, run_id="run-2")

    assert waits["finished"] is not is_open
    assert enabled(portal, "110") == ["Y" if is_open else "N"]


def test_a_run_that_waits_to_disable_for_three_days_fits_the_history_of_its_execution(
    leaving: Stack, clock: Clock, set_parameter: SetParameter
) -> None:
    set_parameter("MAX_WAIT_HOURS", "72")
    leaving.plan(["110"], "run-1")
    checks = 0
    while clock.passed < 72 * 3600:
        planned = leaving.plan(["111"], "run-2")
        assert planned["next_step"] == "wait"
        if clock.passed < 3600:
            assert planned["wait_seconds"] == 30
        step = planned["wait_seconds"]
        many = 1 if clock.passed == 0 else 60  # not each of them
        clock.passed += many * step
        checks += many

    events_of_a_check = 9  # entered, scheduled, started, succeeded, left; a choice and a wait
    assert checks * events_of_a_check < 25_000


def test_a_user_whose_puts_were_all_refused_is_named_as_still_enabled(
    leaving: Stack, portal: PortalSimulator
) -> None:
    for _ in range(5):
        portal.faults.script(Fault.DEADLOCK, method="PUT", user_id=111)

    assert run(leaving, LEAVERS) == {"disabled": 2, "failed": 1}

    report = leaving.read_json("runs/run-1/report.json")
    assert report["warnings"][0].startswith("User 111 is still enabled")


def test_a_run_that_was_withdrawn_is_not_resumed(leaving: Stack, portal: PortalSimulator) -> None:
    leaving.plan(LEAVERS)
    withdraw(leaving, run_id="run-1")
    leaving.work_off()
    assert leaving.report_run()["counts"] == {"not_attempted": 3}

    with pytest.raises(Exception, match="Run run-1 was withdrawn by hr: on leave"):
        leaving.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "again")

    assert not sent(portal, "PUT")


def test_a_user_whom_the_list_shows_enabled_and_no_look_shows_is_not_called_disabled(
    leaving: Stack, portal: PortalSimulator
) -> None:
    leaving.plan(LEAVERS)
    leaving.work_off()
    portal.edit(111, enabled="Y")
    portal.faults.rate(Fault.SERVER_ERROR, 1, method="GET", user_id=111)

    first = leaving.report_run()

    assert first["wait_seconds"] == 60
    assert leaving.report_run(list_doubted=True)["counts"] == {"disabled": 2, "unknown": 1}
    assert leaver(leaving, "111").state is LeaverState.HELD


def test_without_a_list_the_last_look_is_at_each_user_who_was_disabled(
    leaving: Stack, portal: PortalSimulator
) -> None:
    leaving.plan(LEAVERS)
    leaving.work_off()
    portal.edit(111, enabled="Y")
    portal.faults.script(Fault.SERVER_ERROR, method="GET", user_id=None)

    assert leaving.report_run()["counts"] == {"disabled": 2, "unknown": 1}
    row = leaving.row(111)
    assert row
    assert row.reason_kind is ReasonKind.STILL_ENABLED
