"""Runs that disable users: on the real functions, against a portal that may change them oddly."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bulk_user_deletion.models.users import Outcome, ReasonKind
from local.portal import Fault, PortalSimulator
from tests.functions.stack import Stack
from tests.functions.test_waiting import Clock, clock

__all__ = ["clock"]  # a fixture

SetParameter = Callable[[str, str], None]

LEAVERS = ["110", "111", "112"]


@pytest.fixture
def disabling(stack: Stack, portal: PortalSimulator, set_parameter: SetParameter) -> Stack:
    """A stack that only disables, and a portal in which everybody is enabled."""
    set_parameter("LEAVER_ACTION", "disable")
    for user_id in portal.user_ids():
        portal.edit(user_id, enabled="Y", ldap="N")
    return stack


def run(stack: Stack, users: list[str], run_id: str = "run-1", **request: object) -> dict[str, int]:
    """Apply a list of users from the plan to the report; return the counts."""
    stack.plan(users, run_id, **request)
    stack.work_off(run_id)
    return dict(stack.report_run(run_id)["counts"])


def enabled(portal: PortalSimulator, *user_ids: str) -> list[str]:
    rows = portal.database.execute("SELECT user_id, enabled FROM user")
    found = {str(row["user_id"]): row["enabled"] for row in rows}
    return [found.get(user_id, "gone") for user_id in user_ids]


def set_knobs(portal: PortalSimulator, **changes: object) -> None:
    portal.knobs = replace(portal.knobs, **changes)  # type: ignore[arg-type]


def sent(portal: PortalSimulator, method: str) -> list[int | None]:
    return [request.user_id for request in portal.requests if request.method == method]


def test_users_are_disabled_and_nobody_is_deleted(
    disabling: Stack, portal: PortalSimulator
) -> None:
    before = portal.user_ids()

    counts = run(disabling, LEAVERS)

    assert counts == {"disabled": 3}
    assert enabled(portal, *LEAVERS, "113") == ["N", "N", "N", "Y"]
    assert sent(portal, "PUT") == [110, 111, 112]
    assert not sent(portal, "DELETE")
    assert portal.user_ids() == before


def test_whoever_is_disabled_already_is_sent_nothing(
    disabling: Stack, portal: PortalSimulator
) -> None:
    portal.edit(111, enabled="n")

    counts = run(disabling, LEAVERS)

    assert counts == {"disabled": 3}
    assert sent(portal, "PUT") == [110, 112]
    row = disabling.row(111)
    assert row
    assert row.reason == "disabled already: no PUT was sent"


def test_a_put_is_recorded_before_it_is_sent_with_everything_that_the_portal_told_of_the_user(
    disabling: Stack, portal: PortalSimulator
) -> None:
    set_knobs(portal, extra_fields={"groups": [1, 2], "manager": {"id": "7"}})

    run(disabling, ["110"])

    kept = disabling.read_json("runs/run-1/records/110-1.json")
    assert kept["enabled"] == "Y"
    assert kept["groups"] == [1, 2]
    assert kept["manager"] == {"id": "7"}


@pytest.mark.parametrize("answer", ["user", "bare", "no_content"])
def test_what_a_put_answers_does_not_matter(
    disabling: Stack, portal: PortalSimulator, answer: str
) -> None:
    set_knobs(portal, put_answer=answer)

    assert run(disabling, LEAVERS) == {"disabled": 3}


def test_a_put_that_is_ignored_is_sent_three_times_and_the_user_is_named_first(
    disabling: Stack, portal: PortalSimulator
) -> None:
    set_knobs(portal, put_mode="ignored")
    portal.edit(112, enabled="N")

    counts = run(disabling, ["112", "110"])

    assert counts == {"disabled": 1, "unknown": 1}
    assert sent(portal, "PUT") == [110, 110, 110]
    report = disabling.read_json("runs/run-1/report.json")
    assert report["rows"][0]["user_id"] == "110"
    assert report["rows"][0]["reason_kind"] == ReasonKind.STILL_ENABLED
    assert report["warnings"][0].startswith("User 110 is still enabled")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault",
    [
        Fault.RESET_BEFORE,
        Fault.RESET_AFTER,
        Fault.HANG_AFTER,
        Fault.TIMEOUT_504_AFTER,
        Fault.TIMEOUT_504_MEANWHILE,
        Fault.BAD_GATEWAY_BEFORE,
        Fault.TRUNCATED_200,
        Fault.HTML_200,
        Fault.SERVER_ERROR,
        Fault.PROXY_404,
        Fault.BUSY_503,
        Fault.TOO_MANY_REQUESTS,
        Fault.DEADLOCK,
        Fault.UNAUTHORIZED,
        Fault.SESSION_EXPIRED,
    ],
)
def test_a_put_that_is_lost_or_refused_for_the_moment_ends_disabled(
    disabling: Stack, portal: PortalSimulator, fault: Fault
) -> None:
    portal.faults.script(fault, method="PUT", user_id=110)

    assert run(disabling, LEAVERS) == {"disabled": 3}
    assert enabled(portal, *LEAVERS) == ["N", "N", "N"]
    assert sent(portal, "PUT").count(110) <= 2


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.CONFLICT, Fault.BAD_REQUEST])
def test_a_user_whom_the_portal_refuses_to_disable_has_failed_and_is_named_first(
    disabling: Stack, portal: PortalSimulator, fault: Fault
) -> None:
    portal.faults.script(fault, method="PUT", user_id=111)

    assert run(disabling, LEAVERS) == {"disabled": 2, "failed": 1}
    assert sent(portal, "PUT").count(111) == 1
    report = disabling.read_json("runs/run-1/report.json")
    assert report["rows"][0]["user_id"] == "111"
    assert report["rows"][0]["outcome"] == Outcome.FAILED


def test_directory_users_whom_the_portal_does_not_let_us_disable_stop_the_run_after_three(
    disabling: Stack, portal: PortalSimulator
) -> None:
    set_knobs(portal, put_refused_for_ldap=True)
    users = [str(user_id) for user_id in range(110, 116)]
    for user_id in users:
        portal.edit(int(user_id), ldap="Y")

    run(disabling, users)

    assert sent(portal, "PUT") == [110, 111, 112]


def test_a_portal_that_replaces_the_record_is_stopped_at_the_first_user(
    disabling: Stack, portal: PortalSimulator
) -> None:
    set_knobs(portal, put_mode="replaces")

    counts = run(disabling, LEAVERS)

    assert counts == {"unknown": 1, "not_attempted": 2}
    assert sent(portal, "PUT") == [110]
    report = disabling.read_json("runs/run-1/report.json")
    assert report["status"] == "STOPPED"
    assert "first_name" in report["sentence"]


def test_a_date_of_the_last_change_is_the_portals_own_business(
    disabling: Stack, portal: PortalSimulator
) -> None:
    set_knobs(portal, touches_records=True)

    assert run(disabling, LEAVERS) == {"disabled": 3}


@pytest.mark.parametrize("value", ["", "maybe", "1", "TRUE", "yes"])
def test_a_portal_that_does_not_say_whether_a_user_is_enabled_stops_the_run(
    disabling: Stack, portal: PortalSimulator, value: str
) -> None:
    disabling.plan(LEAVERS)
    portal.edit(110, enabled=value)

    with pytest.raises(Exception, match="does not say whether user 110 is enabled"):
        disabling.work_off()

    assert not sent(portal, "PUT")
    run_row = disabling.ledger.runs.read("run-1")
    assert run_row
    assert run_row.stop


def test_a_user_who_was_enabled_again_since_the_plan_is_left_alone(
    disabling: Stack, portal: PortalSimulator
) -> None:
    portal.edit(110, enabled="N")
    disabling.plan(LEAVERS)
    portal.edit(110, enabled="Y")

    disabling.work_off()

    assert disabling.report_run()["counts"] == {"disabled": 2, "skipped": 1}
    assert enabled(portal, "110") == ["Y"]


def test_rule_8_a_stop_holds_before_the_next_put(disabling: Stack, portal: PortalSimulator) -> None:
    disabling.plan(LEAVERS)
    key = disabling.next_batch()["key"]
    disabling.change_until_finished("switch_user", 110, key)
    disabling.fetch_user_ids({"stop": {"run_id": "run-1", "reason": "x", "by": "y"}}, "stop-1")

    disabling.change_until_finished("switch_user", 111, key)

    assert sent(portal, "PUT") == [110]
    assert disabling.report_run()["counts"] == {"disabled": 1, "not_attempted": 2}


def test_a_stop_between_two_puts_ends_the_user_as_still_enabled(
    disabling: Stack, portal: PortalSimulator
) -> None:
    set_knobs(portal, put_mode="ignored")
    disabling.plan(["110"])
    key = disabling.next_batch()["key"]
    disabling.change_user("switch_user", 110, key)
    disabling.fetch_user_ids({"stop": {"run_id": "run-1", "reason": "x", "by": "y"}}, "stop-1")

    disabling.change_until_finished("switch_user", 110, key)

    assert sent(portal, "PUT") == [110]
    row = disabling.row(110)
    assert row
    assert row.outcome is Outcome.UNKNOWN
    assert row.reason_kind is ReasonKind.STILL_ENABLED


def test_a_run_that_was_aborted_between_a_put_and_its_look_reports_what_the_last_look_shows(
    disabling: Stack, portal: PortalSimulator
) -> None:
    disabling.plan(["110", "111"])
    portal.faults.script(Fault.REDIRECT, method="GET", user_id=110, nth=2)
    key = disabling.next_batch()["key"]
    with pytest.raises(Exception, match="was unusable"):
        disabling.change_user("switch_user", 110, key)

    counts = disabling.report_run()["counts"]

    assert counts == {"disabled": 1, "not_attempted": 1}
    leaver = disabling.ledger.leavers.read(portal.url, "110")
    assert leaver
    assert leaver.by_our_put


def test_a_resumed_run_disables_whoever_was_left(disabling: Stack, portal: PortalSimulator) -> None:
    set_knobs(portal, put_mode="ignored")
    assert run(disabling, LEAVERS)["unknown"] == 3
    set_knobs(portal, put_mode="synchronous")

    disabling.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "run-2")
    disabling.work_off()

    assert disabling.report_run()["counts"] == {"disabled": 3}


def test_a_user_whom_a_sync_enables_before_the_report_is_not_called_disabled(
    disabling: Stack, portal: PortalSimulator
) -> None:
    disabling.plan(LEAVERS)
    disabling.work_off()
    portal.edit(111, enabled="Y")

    assert disabling.report_run()["counts"] == {"disabled": 2, "unknown": 1}
    assert disabling.row(111).reason_kind is ReasonKind.STILL_ENABLED  # type: ignore[union-attr]


def test_whoever_was_disabled_and_is_gone_at_the_last_look_was_still_disabled(
    disabling: Stack, portal: PortalSimulator
) -> None:
    disabling.plan(LEAVERS)
    disabling.work_off()
    portal.remove(111)
    set_knobs(portal, stale_list=(111,), odd_records={111: {"enabled": "Y"}})

    said = disabling.report_run()

    assert (said["counts"], said["wait_seconds"]) == ({"disabled": 3}, 0)


def test_without_a_last_list_a_look_that_is_not_answered_takes_nothing_back(
    disabling: Stack, portal: PortalSimulator
) -> None:
    disabling.plan(LEAVERS)
    disabling.work_off()
    set_knobs(portal, odd_records={130: {"id": ...}})
    portal.faults.rate(Fault.PROXY_404, 1.0, method="GET", user_id=111)

    said = disabling.report_run()

    assert (said["counts"], said["wait_seconds"]) == ({"disabled": 3}, 0)


def test_only_a_put_makes_a_canary(
    disabling: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    set_parameter("CANARY_USERS", "1")
    portal.edit(110, enabled="N")
    set_knobs(portal, put_mode="ignored")

    counts = run(disabling, ["110", "111", "112"])

    assert counts == {"unknown": 1, "not_attempted": 2}
    assert set(sent(portal, "PUT")) == {111}


def test_disabling_has_its_own_caps_of_enabled_users_and_does_not_count_as_deleting(
    disabling: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    set_parameter("MAX_USERS", "0")
    set_parameter("MAX_DISABLE_USERS", "3")

    assert run(disabling, LEAVERS) == {"disabled": 3}
    with pytest.raises(Exception, match="MaxDisableUsers allows 3"):
        disabling.plan([*LEAVERS, "113"], "run-2")
    set_parameter("MAX_DISABLE_USERS_PER_DAY", "4")
    with pytest.raises(Exception, match="3 users were sent a PUT"):
        disabling.plan(["114", "115"], "run-3")


@pytest.mark.parametrize("action", ["delete", "disable_then_delete"])
def test_rule_11_a_request_can_only_be_more_careful_than_the_stack(
    disabling: Stack, portal: PortalSimulator, action: str
) -> None:
    with pytest.raises(Exception, match="LeaverAction of this stack is disable"):
        disabling.plan(LEAVERS, action=action)

    assert not disabling.writes()


def test_a_preview_says_who_would_be_disabled_and_its_plan_can_be_applied_once(
    disabling: Stack, portal: PortalSimulator
) -> None:
    disabling.fetch_user_ids({"source": {"users": LEAVERS}}, "preview-1")
    said = disabling.report_run("preview-1")
    assert said["counts"] == {"would_disable": 3}
    assert not disabling.writes()

    sealed = {"run_id": "preview-1", "sha256": disabling.plan_sha256("preview-1")}
    disabling.fetch_user_ids({"mode": "apply", "plan": sealed}, "run-1")
    disabling.work_off()

    assert disabling.report_run()["counts"] == {"disabled": 3}


def test_rule_11_a_plan_and_a_resume_that_are_harsher_than_the_stack_is_today_are_refused(
    stack: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    for user_id in LEAVERS:
        portal.edit(int(user_id), enabled="Y")
    stack.fetch_user_ids({"source": {"users": LEAVERS}}, "preview-1")
    stack.report_run("preview-1")
    stack.plan(["115"], "run-1")
    stack.report_run("run-1", failure={"Error": "States.TaskFailed", "Cause": ""})
    set_parameter("LEAVER_ACTION", "disable_then_delete")

    sealed = {"run_id": "preview-1", "sha256": stack.plan_sha256("preview-1")}
    with pytest.raises(Exception, match="LeaverAction of this stack is disable_then_delete"):
        stack.fetch_user_ids({"mode": "apply", "plan": sealed}, "run-2")
    with pytest.raises(Exception, match="LeaverAction of this stack is disable_then_delete"):
        stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "run-3")

    assert not stack.writes()


def test_a_function_that_deletes_does_not_touch_a_batch_to_be_disabled_nor_the_other_way_round(
    stack: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    portal.edit(110, enabled="Y", ldap="N")
    stack.plan(["110"], "run-1", action="disable")
    stack.plan(["112"], "run-2")

    with pytest.raises(Exception, match="run-1 is a run to disable"):
        stack.change_user("delete_user", 110, stack.next_batch(run_id="run-1")["key"])
    with pytest.raises(Exception, match="run-2 is a run to delete"):
        stack.change_user(
            "switch_user", 112, stack.next_batch(run_id="run-2")["key"], run_id="run-2"
        )

    assert not stack.writes()


def test_disabling_does_not_wait_for_a_run_that_deletes(
    stack: Stack, portal: PortalSimulator, clock: Clock
) -> None:
    portal.edit(110, enabled="Y", ldap="N")
    stack.plan(["115"], "run-1")  # holds the lock on deleting
    assert stack.plan(["116"], "run-3")["next_step"] == "wait"

    stack.plan(["110"], "run-2", action="disable")
    stack.work_off("run-2")

    assert stack.report_run("run-2")["counts"] == {"disabled": 1}


def test_users_who_need_nothing_do_not_use_up_the_canaries(
    disabling: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    set_parameter("CANARY_USERS", "2")
    set_parameter("MAX_DISABLE_PERCENT", "100")
    set_parameter("MAX_DISABLE_PERCENT_PER_DAY", "100")
    users = [str(user_id) for user_id in range(110, 130)]
    for user_id in users[2:]:
        portal.edit(int(user_id), enabled="N")
    disabling.plan(users)
    portal.edit(110, username="another")  # the first canary changed since the plan

    disabling.work_off()

    assert disabling.report_run()["counts"] == {"disabled": 19, "skipped": 1}
