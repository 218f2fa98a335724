"""Accidents of the leaver's lifecycle, found by trying to break it."""

from datetime import timedelta
from typing import Any

import pytest

from bulk_user_deletion.ledger.users import Users
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.observability import Metric
from bulk_user_deletion.rules.leavers import after_disabling
from bulk_user_deletion.steps import plan_due
from bulk_user_deletion.steps.turn import seconds_between_looks
from local.portal import PortalSimulator
from tests.definition.loading import TEMPLATE
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
from tests.functions.test_withdraw_and_enable import enable, withdraw
from tests.rules.test_leavers import NOW, USER, a_leaver

__all__ = ["calendar", "leaving"]  # fixtures


def drop_run(stack: Stack, content: bytes, run_id: str) -> dict[str, int]:
    """What HR's automation does every night: no person names anybody."""
    stack.fetch_user_ids(dropped(stack, content, f"inbox/{run_id}.csv"), run_id)
    stack.work_off(run_id)
    return dict(stack.report_run(run_id)["counts"])


# 1. "until a person names it by id": a file of ids is not a person


def test_a_nightly_file_of_ids_does_not_undo_a_withdrawal(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    withdraw(leaving, users=["111"])
    calendar.turn(1)

    counts = drop_run(leaving, b"user_id\n110\n111\n", "drop-1")

    assert leaver(leaving, "111").state is LeaverState.WITHDRAWN
    calendar.turn(33)
    due_run(leaving, "due-33")
    assert 111 in portal.user_ids()
    assert counts == {"disabled": 1, "skipped": 1}


def test_a_nightly_file_of_ids_does_not_disable_again_whoever_is_held(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(1)
    portal.edit(111, enabled="Y")
    due_run(leaving, "due-1")
    assert leaver(leaving, "111").state is LeaverState.HELD
    calendar.turn(2)

    drop_run(leaving, b"user_id\n110\n111\n", "drop-2")

    assert enabled(portal, "111") == ["Y"]
    assert leaver(leaving, "111").state is LeaverState.HELD


# 2. A look that saw a leaver enabled is forgotten


def test_whom_a_refused_daily_run_saw_enabled_is_held_all_the_same(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    for user_id in (110, 112):
        portal.edit(user_id, email=f"new{user_id}@example.com")
    portal.edit(111, enabled="Y")
    with pytest.raises(Exception, match="no longer have the username or e-mail"):
        leaving.fetch_user_ids(DUE, "due-31")
    assert sent(portal, "GET").count(111)  # a look saw this user enabled
    for user_id in (110, 112):
        portal.edit(user_id, email=f"user0{user_id}@example.com")
    portal.edit(111, enabled="N")
    calendar.turn(32)

    due_run(leaving, "due-32")

    assert 111 in portal.user_ids()


def test_whom_a_daily_run_that_failed_saw_enabled_is_held_all_the_same(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    portal.edit(110, enabled="Y")
    portal.edit(111, enabled="maybe")
    with pytest.raises(Exception, match="does not say whether user 111 is enabled"):
        leaving.fetch_user_ids(DUE, "due-31")
    leaving.report_run("due-31", failure={"Error": "PortalAnswerUnusable", "Cause": "{}"})
    portal.edit(110, enabled="N")
    portal.edit(111, enabled="N")
    calendar.turn(32)

    due_run(leaving, "due-32")

    assert 110 in portal.user_ids()


def test_whom_a_look_saw_enabled_is_held_even_if_the_run_is_stopped_before_the_put(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(leaving, LEAVERS)
    portal.edit(111, enabled="Y")
    leaving.plan(["111"], "run-2")
    key = leaving.next_batch(run_id="run-2")["key"]
    record_intent = Users.record_intent

    def stopped_right_before(self: Users, *args: Any, **kwargs: Any) -> bool:
        leaving.ledger.runs.press_stop("run-2", reason="x", by="y", now=kwargs["now"])
        return record_intent(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Users, "record_intent", stopped_right_before)
        leaving.change_until_finished("switch_user", 111, key, "run-2")
    assert leaving.report_run("run-2")["counts"] == {"not_attempted": 1}
    portal.edit(111, enabled="N")  # by somebody
    calendar.turn(31)

    due_run(leaving, "due-31")

    assert 111 in portal.user_ids()


def test_nobody_is_enabled_whom_a_look_has_seen_enabled_since_our_put(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    portal.edit(111, enabled="Y")
    calendar.turn(1)
    due_run(leaving, "due-1")  # held: enabled again
    portal.edit(111, enabled="N")  # by somebody, such as after an incident

    enable(leaving, ["111"])

    assert enabled(portal, "111") == ["N"]


# 3. What the daily run says


def test_a_stack_that_only_disables_hears_nothing_from_the_daily_run_when_nobody_waits(
    leaving: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    set_parameter("LEAVER_ACTION", "disable")
    run(leaving, LEAVERS)

    assert due_run(leaving, "due-1") == "Nobody waits to be deleted."


def test_the_daily_run_names_no_date_that_has_passed(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, LEAVERS)  # without a preview
    set_parameter("APPLY_ONLY_PLANS", "true")
    calendar.turn(40)

    assert "nobody is due before 2026-12-01" not in str(due_run(leaving, "due-40"))


def test_one_leaver_is_told_in_the_singular(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, ["110"])
    set_parameter("MAX_USERS", "0")
    calendar.turn(40)

    assert str(due_run(leaving, "due-40")).startswith("1 leaver is due")


# 4. A migration of names on a slow portal


def test_a_migration_is_noticed_by_those_who_were_looked_at(
    leaving: Stack,
    portal: PortalSimulator,
    calendar: Calendar,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users = [str(user_id) for user_id in range(110, 130)]
    run(leaving, users)
    calendar.turn(31)
    for user_id in users:
        portal.edit(int(user_id), email=f"new{user_id}@example.com")

    class Slow:
        """Time for three looks."""

        def __init__(self, _: float) -> None:
            self.asked = 0

        @property
        def is_over(self) -> bool:
            self.asked += 1
            return self.asked > 3

    monkeypatch.setattr(plan_due, "Patience", Slow)
    with pytest.raises(Exception, match="no longer have the username or e-mail"):
        leaving.fetch_user_ids(DUE, "due-31")

    assert {leaver(leaving, user_id).state for user_id in users} == {LeaverState.WAITING}


# 5. Rows


def test_plans_of_leavers_who_are_held_are_kept_too(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    set_parameter("RETENTION_DAYS", "90")
    set_parameter("GRACE_DAYS", "60")
    run(leaving, ["110"])
    portal.edit(110, enabled="Y")
    calendar.turn(1)
    due_run(leaving, "due-1")
    assert leaver(leaving, "110").state is LeaverState.HELD
    written = leaving.s3.head_object(Bucket="data", Key="runs/run-1/plan.json")["LastModified"]
    calendar.turn(50)

    due_run(leaving, "due-50")

    now = leaving.s3.head_object(Bucket="data", Key="runs/run-1/plan.json")["LastModified"]
    assert now - written > timedelta(days=49)


def test_a_preview_of_who_is_due_changes_no_row_but_of_whom_a_look_saw_enabled(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    portal.edit(111, enabled="Y")
    portal.remove(112)
    before = {user_id: leaver(leaving, user_id) for user_id in LEAVERS}

    leaving.fetch_user_ids({"source": {"due": True}}, "preview-31")
    leaving.report_run("preview-31")

    after = {user_id: leaver(leaving, user_id) for user_id in LEAVERS}
    assert after.pop("111").state is LeaverState.HELD
    del before["111"]
    assert after == before


def test_a_leaver_whom_the_report_no_longer_calls_absent_is_not_done(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    [row] = portal.database.execute("SELECT * FROM user WHERE user_id = 111")
    portal.remove(111)
    leaving.fetch_user_ids(DUE, "due-31")
    leaving.work_off("due-31")
    portal.add(**dict(row))

    assert leaving.report_run("due-31")["counts"] == {"deleted": 2, "unknown": 1}

    assert leaver(leaving, "111").state is LeaverState.HELD


def test_a_plan_that_only_disables_approves_no_deletion() -> None:
    waiting = a_leaver(is_from_preview=False)

    after = after_disabling(
        waiting,
        USER,
        portal_url=waiting.portal_url,
        action=Action.DISABLE,
        run_id="run-2",
        plan_sha256="1" * 64,
        is_from_preview=True,
        put_was_sent=False,
        grace_days=0,
        now=NOW + 1,
    )

    assert not after.is_from_preview


# 6. Held, but not alarmed


def test_whoever_the_check_before_a_delete_holds_is_counted_for_the_alarm(
    leaving: Stack,
    portal: PortalSimulator,
    calendar: Calendar,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan_deletion(leaving, calendar)
    portal.edit(111, enabled="Y")
    capsys.readouterr()

    leaving.work_off("due-31")
    leaving.report_run("due-31")

    assert leaver(leaving, "111").state is LeaverState.HELD
    assert f'"{Metric.LEAVERS_HELD}":[1.0]' in capsys.readouterr().out


# 7. Waiting for a turn


def test_the_history_of_a_run_that_waits_to_switch_does_not_fill_up() -> None:
    events_each_time = 5 + 2 + 2  # FetchUserIds, PreviewOrApply?, AwaitTurn
    longest = TEMPLATE["Parameters"]["MaxWaitHours"]["MaxValue"] * 3600
    waited = looks = 0
    while waited < longest:
        waited += seconds_between_looks(Action.DISABLE, waited=waited)
        looks += 1

    assert looks * events_each_time < 25_000 / 2


# 8. The caps of a plan of leavers who are due


def test_whoever_is_gone_or_held_does_not_count_towards_the_caps_of_an_applied_preview(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    portal.remove(112)
    set_parameter("MAX_USERS", "2")
    leaving.fetch_user_ids({"source": {"due": True}}, "preview-31")
    assert leaving.report_run("preview-31")["counts"] == {"already_absent": 1, "would_delete": 2}

    sealed = {"run_id": "preview-31", "sha256": leaving.plan_sha256("preview-31")}
    leaving.fetch_user_ids({"mode": "apply", "plan": sealed}, "run-31")
    leaving.work_off("run-31")

    assert leaving.report_run("run-31")["counts"]["deleted"] == 2


# A look that saw a leaver enabled voids the time that has passed, in any state of the row


def test_a_last_look_that_sees_a_leaver_enabled_keeps_a_resume_from_deleting(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    set_knobs(portal, delete_mode="ignored")
    leaving.fetch_user_ids(DUE, "due-31")
    leaving.work_off("due-31")
    portal.edit(111, enabled="Y")
    leaving.report_run("due-31")
    portal.edit(111, enabled="N")
    set_knobs(portal, delete_mode="synchronous")

    leaving.fetch_user_ids({"mode": "apply", "resume": "due-31"}, "again")
    leaving.work_off("due-31")
    leaving.report_run("due-31")

    assert 111 in portal.user_ids()
    assert leaver(leaving, "111").state is LeaverState.HELD


def test_a_look_that_sees_a_held_leaver_enabled_keeps_a_resume_from_deleting(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    set_knobs(portal, delete_mode="ignored")
    due_run(leaving, "due-31")
    set_knobs(portal, delete_mode="synchronous")
    leaving.plan(LEAVERS, "run-2")
    portal.edit(111, enabled="Y")
    leaving.work_off("run-2")  # skips 111, who is enabled again since the plan
    leaving.report_run("run-2")
    portal.edit(111, enabled="N")

    leaving.fetch_user_ids({"mode": "apply", "resume": "due-31"}, "again")
    leaving.work_off("due-31")
    leaving.report_run("due-31")

    assert 111 in portal.user_ids()


# A withdrawal holds for every run that has the user by then


def test_whoever_is_withdrawn_twice_is_not_disabled_by_a_run_in_between(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    withdraw(leaving, users=["111"])
    portal.edit(111, enabled="Y")
    calendar.turn(1)
    leaving.plan(LEAVERS, "run-2")  # names 111 by id
    calendar.turn(1.1)

    withdraw(leaving, users=["111"])
    leaving.work_off("run-2")

    assert leaving.report_run("run-2")["counts"] == {"disabled": 2, "skipped": 1}
    assert enabled(portal, "111") == ["Y"]
    assert leaver(leaving, "111").state is LeaverState.WITHDRAWN
