"""Undoing: leavers who are withdrawn are not deleted, and access is given back on request."""

import time
from typing import Any

import pytest

from bulk_user_deletion.ledger.runs import Runs
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.users import Outcome, ReasonKind
from local.portal import Fault, PortalSimulator
from tests.functions.machine import Machine
from tests.functions.stack import Stack, dropped
from tests.functions.test_due import (
    LEAVERS,
    Calendar,
    SetParameter,
    calendar,
    due_run,
    leaver,
    leaving,
    plan_deletion,
)
from tests.functions.test_switch_user import enabled, run, sent

__all__ = ["calendar", "leaving"]  # fixtures


def withdraw(stack: Stack, **order: Any) -> str:
    order = {"reason": "on leave", "by": "hr", **order}
    return str(stack.fetch_user_ids({"withdraw": order}, "withdraw-1")["nothing_because"])


# Withdrawing


def test_whoever_is_withdrawn_is_not_deleted(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)

    said = withdraw(leaving, users=["111", 112])

    assert said == "Withdrawn by hr. Will not be deleted: 111, 112."
    calendar.turn(31)
    assert due_run(leaving, "due-31") == {"deleted": 1}
    assert {111, 112} <= portal.user_ids()


def test_a_whole_run_is_withdrawn(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS, "run-1")
    run(leaving, ["113", "110"], "run-2")

    withdraw(leaving, run_id="run-2")

    calendar.turn(31)
    assert due_run(leaving, "due-31") == {"deleted": 2}
    assert {110, 113} <= portal.user_ids()


def test_rule_10_a_withdrawal_holds_before_the_next_user(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    plan_deletion(leaving, calendar)
    key = leaving.next_batch(run_id="due-31")["key"]
    leaving.change_until_finished("delete_user", 110, key, "due-31")

    withdraw(leaving, users=["111"])
    leaving.work_off("due-31")

    assert leaving.report_run("due-31")["counts"] == {"deleted": 2, "skipped": 1}
    assert 111 in portal.user_ids()
    row = leaving.row(111, "due-31")
    assert row
    assert row.reason == "withdrawn by hr: on leave"


def test_rule_10_a_withdrawal_between_the_look_and_the_delete_holds(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    plan_deletion(leaving, calendar)
    key = leaving.next_batch(run_id="due-31")["key"]
    portal.faults.script(Fault.BUSY_503, method="DELETE", user_id=111)
    leaving.change_user("delete_user", 111, key, run_id="due-31")  # refused for the moment

    withdraw(leaving, users=["111"])
    leaving.change_until_finished("delete_user", 111, key, "due-31")

    assert sent(portal, "DELETE") == [111]
    assert 111 in portal.user_ids()
    assert leaver(leaving, "111").state is LeaverState.WITHDRAWN


@pytest.mark.parametrize("how", ["drop", "schedule", "person"])
def test_rule_10_only_a_person_plans_somebody_who_was_withdrawn_again(
    leaving: Stack, portal: PortalSimulator, how: str
) -> None:
    run(leaving, LEAVERS)
    withdraw(leaving, users=["111"])
    portal.edit(111, enabled="Y")
    by_hand = {"mode": "apply", "source": {"users": ["111", "113"]}}
    requests = {
        "drop": dropped(leaving, b"user_id\n111\n113\n"),
        "schedule": {"scheduled_time": "2026-11-02T03:00:00Z", "request": by_hand},
        "person": by_hand,
    }

    leaving.fetch_user_ids(requests[how], "run-2")

    entries = leaving.read_json("runs/run-2/plan.json")["entries"]
    outcomes = [(row["outcome"], row["reason_kind"]) for row in entries]
    assert outcomes[0] == (
        (Outcome.WOULD_DISABLE, "") if how == "person" else (Outcome.SKIPPED, ReasonKind.WITHDRAWN)
    )
    assert outcomes[1] == (Outcome.WOULD_DISABLE, "")


def test_rule_10_a_withdrawal_during_a_run_that_disables_again_holds_before_the_put(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    for user_id in LEAVERS:
        portal.edit(int(user_id), enabled="Y")
    calendar.turn(1)
    leaving.plan(LEAVERS, "run-2")
    calendar.turn(1.01)

    withdraw(leaving, users=["111"])
    leaving.work_off("run-2")

    assert leaving.report_run("run-2")["counts"] == {"disabled": 2, "skipped": 1}
    assert enabled(portal, *LEAVERS) == ["N", "Y", "N"]
    assert leaver(leaving, "111").state is LeaverState.WITHDRAWN


def test_a_withdrawn_run_that_is_in_progress_is_stopped_and_whoever_it_disables_is_withdrawn(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    leaving.plan(LEAVERS)
    key = leaving.next_batch()["key"]
    portal.faults.script(Fault.RESET_AFTER, method="PUT", user_id=110)
    portal.faults.script(Fault.BUSY_503, method="GET", user_id=110, nth=2)
    leaving.change_user("switch_user", 110, key)

    withdraw(leaving, run_id="run-1")
    leaving.change_until_finished("switch_user", 110, key)
    leaving.change_until_finished("switch_user", 111, key)

    assert leaving.report_run()["counts"] == {"disabled": 1, "not_attempted": 2}
    assert leaver(leaving, "110").state is LeaverState.WITHDRAWN
    calendar.turn(31)
    assert due_run(leaving, "due-31") == "Nobody waits to be deleted."


def test_rule_10_a_resume_that_began_before_its_run_was_withdrawn_disables_nobody(
    leaving: Stack, portal: PortalSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving.plan(LEAVERS)
    leaving.end("run-1")
    take_over = Runs.resume

    def withdrawn_meanwhile(runs: Runs, *args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(Runs, "resume", take_over)
        withdraw(leaving, run_id="run-1")
        take_over(runs, *args, **kwargs)

    monkeypatch.setattr(Runs, "resume", withdrawn_meanwhile)

    summary = Machine(leaving).execute({"mode": "apply", "resume": "run-1"}, "run-2")

    assert summary["counts"] == {"not_attempted": 3}
    assert summary["status"] == "STOPPED"
    assert "Stopped by hr: on leave" in summary["sentence"]
    assert sent(portal, "PUT") == []


def test_rule_10_no_put_follows_a_withdrawal_of_the_run_that_has_not_stopped_it_yet(
    leaving: Stack, portal: PortalSimulator
) -> None:
    leaving.plan(LEAVERS)
    key = leaving.next_batch()["key"]

    leaving.ledger.runs.withdraw("run-1", reason="on leave", by="hr", now=time.time())
    leaving.change_until_finished("switch_user", 110, key)

    assert sent(portal, "PUT") == []
    assert leaving.next_batch()["users"] == 0


def test_a_later_list_skips_whoever_was_withdrawn_until_a_person_names_them_by_id(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    withdraw(leaving, users=["111"])
    portal.edit(111, enabled="Y")
    calendar.turn(0.1)

    assert run(leaving, ["user0111"], "run-2") == {"skipped": 1}
    report = leaving.read_json("runs/run-2/report.json")
    assert report["rows"][0]["reason"] == "withdrawn by hr: on leave"
    assert run(leaving, ["111"], "run-3") == {"disabled": 1}
    assert leaver(leaving, "111").state is LeaverState.WAITING


def test_whoever_was_created_anew_after_a_withdrawal_is_skipped_too(
    leaving: Stack, portal: PortalSimulator
) -> None:
    run(leaving, LEAVERS)
    old = portal.database.execute("SELECT * FROM user WHERE user_id = 111")[0]
    withdraw(leaving, users=["111"])
    portal.remove(111)
    portal.add(username=old["username"], email=old["email"], enabled="Y")

    assert run(leaving, [old["username"]], "run-2") == {"skipped": 1}


def test_a_withdrawal_after_a_preview_narrows_its_plan(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(0.1)
    leaving.fetch_user_ids({"source": {"users": LEAVERS}}, "preview-1")
    leaving.report_run("preview-1")
    withdraw(leaving, users=["111"])
    portal.edit(111, enabled="Y")

    sealed = {"run_id": "preview-1", "sha256": leaving.plan_sha256("preview-1")}
    leaving.fetch_user_ids({"mode": "apply", "plan": sealed}, "run-2")
    leaving.work_off("run-2")

    assert leaving.report_run("run-2")["counts"] == {"disabled": 2, "skipped": 1}
    assert enabled(portal, "111") == ["Y"]


@pytest.mark.parametrize("order", [{}, {"users": ["111"], "run_id": "run-1"}, {"users": ["jdoe"]}])
def test_a_malformed_withdrawal_is_refused(leaving: Stack, order: dict[str, Any]) -> None:
    run(leaving, LEAVERS)

    with pytest.raises(Exception, match="refused at withdraw"):
        withdraw(leaving, **order)

    assert {leaver(leaving, user_id).state for user_id in LEAVERS} == {LeaverState.WAITING}


def test_somebody_who_is_no_leaver_cannot_be_withdrawn(leaving: Stack) -> None:
    with pytest.raises(Exception, match="No leaver of this portal has the id 118"):
        withdraw(leaving, users=["118"])


# Enabling


def enable(stack: Stack, users: list[str], run_id: str = "enable-1") -> dict[str, int]:
    return run(stack, users, run_id, action="enable")


def test_access_is_given_back_and_the_user_is_not_deleted(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)

    assert enable(leaving, ["110", "111"]) == {"enabled": 2}

    assert enabled(portal, *LEAVERS) == ["Y", "Y", "N"]
    assert leaver(leaving, "110").state is LeaverState.WITHDRAWN
    calendar.turn(31)
    assert due_run(leaving, "due-31") == {"deleted": 1}


def test_enabling_is_previewed_unless_it_is_asked_for(
    leaving: Stack, portal: PortalSimulator
) -> None:
    run(leaving, LEAVERS)
    before = len(leaving.writes())

    leaving.fetch_user_ids({"action": "enable", "source": {"users": LEAVERS}}, "preview-1")

    assert leaving.report_run("preview-1")["counts"] == {"would_enable": 3}
    assert len(leaving.writes()) == before


def test_nobody_is_enabled_whom_we_did_not_disable(leaving: Stack, portal: PortalSimulator) -> None:
    portal.edit(110, enabled="N")
    portal.edit(118, enabled="N")
    run(leaving, LEAVERS)

    assert enable(leaving, ["110", "111", "118"]) == {"enabled": 1, "skipped": 2}

    assert enabled(portal, "110", "111", "118") == ["N", "Y", "N"]


def test_whoever_somebody_else_disabled_after_we_gave_access_back_stays_disabled(
    leaving: Stack, portal: PortalSimulator
) -> None:
    run(leaving, LEAVERS)
    enable(leaving, ["110"])
    portal.edit(110, enabled="N")

    assert enable(leaving, ["110"], "enable-2") == {"skipped": 1}
    assert enabled(portal, "110") == ["N"]


def test_a_put_that_does_not_enable_is_reported(leaving: Stack, portal: PortalSimulator) -> None:
    run(leaving, LEAVERS)
    portal.faults.script(Fault.FORBIDDEN, method="PUT", user_id=110)

    assert enable(leaving, ["110", "111"]) == {"enabled": 1, "failed": 1}
    row = leaving.row(110, "enable-1")
    assert row
    assert row.reason_kind is ReasonKind.STILL_DISABLED


def test_enabling_is_possible_on_a_stack_that_deletes_today(
    leaving: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    run(leaving, LEAVERS)
    set_parameter("LEAVER_ACTION", "delete")

    assert enable(leaving, ["110"]) == {"enabled": 1}
