"""Leavers who are due: disabled today, deleted after the grace time, unless something objects."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from bulk_user_deletion.errors import PortalAnswerUnusable
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.users import Outcome, ReasonKind
from local.portal import PortalSimulator
from tests.functions.stack import Stack
from tests.functions.test_switch_user import enabled, run, sent, set_knobs

SetParameter = Callable[[str, str], None]

LEAVERS = ["110", "111", "112"]
DUE = {"mode": "apply", "source": {"due": True}}
FIRST_DAY = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Calendar:
    """The days of a test: `turn` moves on to a day, counted from the first."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self._traveller = traveller
        self._day = 0.0

    def turn(self, day: float) -> None:
        self._traveller.shift(timedelta(days=day - self._day))
        self._day = day


@pytest.fixture
def calendar() -> Iterator[Calendar]:
    with time_machine.travel(FIRST_DAY, tick=True) as traveller:
        yield Calendar(traveller)


@pytest.fixture
def leaving(
    calendar: Calendar, stack: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> Stack:
    """A stack that disables and deletes 30 days later; everybody in the portal is enabled."""
    set_parameter("LEAVER_ACTION", "disable_then_delete")
    for user_id in portal.user_ids():
        portal.edit(user_id, enabled="Y", ldap="N")
    return stack


def due_run(stack: Stack, run_id: str) -> dict[str, int] | str:
    """Carry out a daily run; return its counts, or why there was nothing to do."""
    planned = stack.fetch_user_ids(DUE, run_id)
    if planned["next_step"] == "nothing":
        return str(planned["nothing_because"])
    stack.work_off(run_id)
    return dict(stack.report_run(run_id)["counts"])


def plan_deletion(leaving: Stack, calendar: Calendar) -> None:
    """Disable the leavers, and let run `due-31` plan to delete all of them once they are due."""
    run(leaving, LEAVERS)
    calendar.turn(31)
    leaving.fetch_user_ids(DUE, "due-31")


def leaver(stack: Stack, user_id: str) -> Leaver:
    found = stack.ledger.leavers.read(stack.portal.url, user_id)
    assert found
    return found


def test_rule_9_leavers_are_deleted_when_their_grace_time_is_over_and_not_before(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    others = portal.user_ids() - {110, 111, 112}
    assert run(leaving, LEAVERS) == {"disabled": 3}

    calendar.turn(29.9)
    said = due_run(leaving, "due-29")
    assert str(said).startswith("3 leavers wait to be deleted; nobody is due before 2026-12-01T12:")
    assert not sent(portal, "DELETE")

    calendar.turn(30.1)
    assert due_run(leaving, "due-30") == {"deleted": 3}
    assert portal.user_ids() == others
    assert {leaver(leaving, user_id).state for user_id in LEAVERS} == {LeaverState.DONE}


def test_when_nobody_waits_the_portal_is_not_asked_for_anything(
    leaving: Stack, portal: PortalSimulator
) -> None:
    assert due_run(leaving, "due-1") == "Nobody waits to be deleted."

    assert not portal.requests


def test_whoever_was_only_disabled_is_never_due(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS, action="disable")
    calendar.turn(300)

    assert due_run(leaving, "due-300") == "Nobody waits to be deleted."
    assert {leaver(leaving, user_id).state for user_id in LEAVERS} == {LeaverState.DISABLED}


def test_whoever_is_enabled_again_is_held_and_not_disabled_again(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(3)
    portal.edit(111, enabled="Y")

    assert due_run(leaving, "due-3") == {"skipped": 1}

    assert leaver(leaving, "111").state is LeaverState.HELD
    assert leaver(leaving, "111").reason_kind is ReasonKind.ENABLED_AGAIN
    calendar.turn(31)
    assert due_run(leaving, "due-31") == {"deleted": 2}
    assert enabled(portal, "111") == ["Y"]
    assert sent(portal, "PUT").count(111) == 1


def test_a_look_before_the_delete_insists_that_the_user_is_still_disabled(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    plan_deletion(leaving, calendar)
    portal.edit(111, enabled="Y")

    leaving.work_off("due-31")

    assert leaving.report_run("due-31")["counts"] == {"deleted": 2, "skipped": 1}
    assert 111 in portal.user_ids()
    assert leaver(leaving, "111").state is LeaverState.HELD


def test_rule_9_a_longer_grace_time_holds_before_the_next_delete(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    plan_deletion(leaving, calendar)
    set_parameter("GRACE_DAYS", "32")

    leaving.work_off("due-31")

    assert leaving.report_run("due-31")["counts"] == {"skipped": 3}
    assert not sent(portal, "DELETE")
    assert leaver(leaving, "110").state is LeaverState.WAITING
    calendar.turn(33)
    assert due_run(leaving, "due-33") == {"deleted": 3}


@pytest.mark.parametrize("value", ["", "maybe", "1", "no"])
def test_rule_4_before_the_delete_only_y_or_n_says_whether_a_leaver_is_enabled(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, value: str
) -> None:
    plan_deletion(leaving, calendar)
    portal.edit(110, enabled=value)

    with pytest.raises(PortalAnswerUnusable, match="does not say whether user 110 is enabled"):
        leaving.work_off("due-31")

    assert not sent(portal, "DELETE")
    stopped = leaving.ledger.runs.read("due-31")
    assert stopped
    assert stopped.stop


@pytest.mark.parametrize("field", ["username", "email"])
def test_whoever_has_another_name_is_held(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, field: str
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    portal.edit(111, **{field: "new@example.com"})

    assert due_run(leaving, "due-31") == {"deleted": 2, "skipped": 1}

    assert 111 in portal.user_ids()
    assert leaver(leaving, "111").reason_kind is ReasonKind.CHANGED_SINCE_PLAN


def test_a_migration_of_names_refuses_the_run_and_holds_nobody(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    for user_id in (110, 111):
        portal.edit(user_id, email=f"new{user_id}@example.com")

    with pytest.raises(Exception, match="2 of 3 leavers no longer have the username or e-mail"):
        leaving.fetch_user_ids(DUE, "due-31")

    assert not sent(portal, "DELETE")
    assert {leaver(leaving, user_id).state for user_id in LEAVERS} == {LeaverState.WAITING}


def test_whoever_is_gone_by_hand_is_already_absent_and_done(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(3)
    portal.remove(111)

    assert due_run(leaving, "due-3") == {"already_absent": 1}
    assert leaver(leaving, "111").state is LeaverState.DONE


def test_somebody_who_was_created_anew_under_another_id_is_left_alone(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    old = leaving.portal.database.execute("SELECT * FROM user WHERE user_id = 111")[0]
    portal.remove(111)
    new = portal.add(username=old["username"], email=old["email"])
    calendar.turn(31)

    assert due_run(leaving, "due-31") == {"deleted": 2, "already_absent": 1}
    assert new in portal.user_ids()


def test_the_oldest_are_deleted_first_up_to_the_caps_and_the_others_the_next_day(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, ["112"], "run-1")
    calendar.turn(1)
    run(leaving, ["110", "111"], "run-2")
    set_parameter("MAX_USERS_PER_DAY", "2")
    calendar.turn(40)

    assert due_run(leaving, "due-40") == {"deleted": 2}
    assert 112 not in portal.user_ids()
    report = leaving.read_json("runs/due-40/report.json")
    assert "1 leaver is due, but the caps leave them for the next run." in report["warnings"]
    calendar.turn(41.1)
    assert due_run(leaving, "due-41") == {"deleted": 1}


def test_a_longer_grace_time_counts_for_whoever_waits_already_and_a_shorter_one_does_not(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, LEAVERS)
    set_parameter("GRACE_DAYS", "60")
    calendar.turn(45)
    assert isinstance(due_run(leaving, "due-45"), str)
    set_parameter("GRACE_DAYS", "1")

    assert due_run(leaving, "due-45-again") == {"deleted": 3}


def test_a_shorter_grace_time_does_not_hasten_anybody(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, LEAVERS)
    set_parameter("GRACE_DAYS", "1")
    calendar.turn(20)

    assert isinstance(due_run(leaving, "due-20"), str)
    assert not sent(portal, "DELETE")


def test_a_later_list_of_the_same_users_leaves_the_earliest_date(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS, "run-1")
    calendar.turn(10)
    assert run(leaving, LEAVERS, "run-2") == {"disabled": 3}
    calendar.turn(31)

    assert due_run(leaving, "due-31") == {"deleted": 3}


def test_a_later_list_that_finds_a_user_enabled_begins_the_time_anew(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS, "run-1")
    calendar.turn(10)
    portal.edit(111, enabled="Y")
    assert run(leaving, LEAVERS, "run-2") == {"disabled": 3}

    calendar.turn(31)
    assert due_run(leaving, "due-31") == {"deleted": 2}
    calendar.turn(40.5)
    assert due_run(leaving, "due-40") == {"deleted": 1}


def test_a_direct_delete_closes_the_row(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, LEAVERS, "run-1")
    set_parameter("LEAVER_ACTION", "delete")

    assert run(leaving, ["111"], "run-2") == {"deleted": 1}

    assert leaver(leaving, "111").state is LeaverState.DONE
    calendar.turn(31)
    assert due_run(leaving, "due-31") == {"deleted": 2}


def test_whoever_a_delete_did_not_delete_is_held_until_the_run_is_resumed(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    set_knobs(portal, delete_mode="ignored")
    assert due_run(leaving, "due-31") == {"unknown": 3}
    assert {leaver(leaving, user_id).state for user_id in LEAVERS} == {LeaverState.HELD}
    assert due_run(leaving, "due-31-again") == "Nobody waits to be deleted."

    set_knobs(portal, delete_mode="synchronous")
    leaving.fetch_user_ids({"mode": "apply", "resume": "due-31"}, "again")
    leaving.work_off("due-31")

    assert leaving.report_run("due-31")["counts"] == {"deleted": 3}
    assert {leaver(leaving, user_id).state for user_id in LEAVERS} == {LeaverState.DONE}


def test_whoever_was_not_attempted_waits_on(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    plan_deletion(leaving, calendar)
    leaving.fetch_user_ids({"stop": {"run_id": "due-31", "reason": "x", "by": "y"}}, "stop")
    leaving.work_off("due-31")
    assert leaving.report_run("due-31")["counts"] == {"not_attempted": 3}

    assert due_run(leaving, "due-31-again") == {"deleted": 3}


def test_a_stack_that_only_disables_now_deletes_nobody_who_is_due(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, LEAVERS)
    set_parameter("LEAVER_ACTION", "disable")
    calendar.turn(31)

    with pytest.raises(Exception, match="LeaverAction of this stack is disable"):
        leaving.fetch_user_ids(DUE, "due-31")

    assert not sent(portal, "DELETE")


def test_where_only_plans_are_applied_only_whoever_a_preview_showed_is_ever_due(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, ["110"], "run-1")
    leaving.fetch_user_ids({"source": {"users": ["111"]}}, "preview-1")
    leaving.report_run("preview-1")
    set_parameter("APPLY_ONLY_PLANS", "true")
    sealed = {"run_id": "preview-1", "sha256": leaving.plan_sha256("preview-1")}
    leaving.fetch_user_ids({"mode": "apply", "plan": sealed}, "run-2")
    leaving.work_off("run-2")
    leaving.report_run("run-2")
    calendar.turn(31)

    assert due_run(leaving, "due-31") == {"deleted": 1}
    assert {110} <= portal.user_ids()
    assert 111 not in portal.user_ids()


def test_a_daily_run_whose_step_is_retried_decides_the_same_about_everybody(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    portal.edit(111, enabled="Y")
    portal.remove(112)
    calendar.turn(31)

    for _ in range(2):
        leaving.fetch_user_ids(DUE, "due-31")
        entries = leaving.read_json("runs/due-31/plan.json")["entries"]
        assert {row["entry"]["user_id"]: row["outcome"] for row in entries} == {
            "110": Outcome.WOULD_DELETE,
            "111": Outcome.SKIPPED,
            "112": Outcome.ALREADY_ABSENT,
        }


def test_users_of_another_portal_are_not_due_here(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, LEAVERS)
    set_parameter("PORTAL_URL", portal.url + "/another")
    calendar.turn(31)

    assert due_run(leaving, "due-31") == "Nobody waits to be deleted."


def test_the_daily_run_delivered_twice_is_one_run(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    event = {"scheduled_time": "2026-12-02T03:00:00Z", "request": DUE}

    leaving.fetch_user_ids(event, "due-31")
    again = leaving.fetch_user_ids(event, "due-31-again")

    assert again["nothing_because"] == "The same event started run due-31 before."


def test_a_grace_time_that_outlives_what_is_kept_is_refused(
    leaving: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    set_parameter("GRACE_DAYS", "365")
    set_parameter("RETENTION_DAYS", "390")

    with pytest.raises(Exception, match="RetentionDays must be at least 30 more"):
        leaving.plan(LEAVERS)

    assert not leaving.writes()


def test_plans_that_open_leavers_rest_on_are_kept_from_expiring(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    set_parameter("RETENTION_DAYS", "90")
    set_parameter("GRACE_DAYS", "60")
    run(leaving, LEAVERS)
    written = leaving.s3.head_object(Bucket="data", Key="runs/run-1/plan.json")["LastModified"]
    digest = leaving.plan_sha256()
    calendar.turn(50)

    due_run(leaving, "due-50")

    now = leaving.s3.head_object(Bucket="data", Key="runs/run-1/plan.json")["LastModified"]
    assert now - written > timedelta(days=49)
    assert leaving.plan_sha256() == digest


def test_rule_9_whoever_any_run_sees_enabled_is_not_due_even_if_disabled_again_by_somebody(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    leaving.plan(LEAVERS, "run-2")  # while they are disabled
    portal.edit(111, enabled="Y")
    leaving.work_off("run-2")
    assert leaving.report_run("run-2")["counts"] == {"disabled": 2, "skipped": 1}
    portal.edit(111, enabled="N")
    calendar.turn(31)

    assert due_run(leaving, "due-31") == {"deleted": 2}
    assert 111 in portal.user_ids()


def test_a_daily_run_that_was_missed_for_a_week_deletes_whoever_is_due_by_then(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(37)

    assert due_run(leaving, "due-37") == {"deleted": 3}


@pytest.mark.parametrize("ahead", [-40 * 24 * 3600, 40 * 24 * 3600])
def test_rule_9_the_portals_clock_does_not_matter(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, ahead: int
) -> None:
    set_knobs(portal, clock_ahead_seconds=ahead)
    run(leaving, LEAVERS)
    calendar.turn(29)

    assert isinstance(due_run(leaving, "due-29"), str)
    assert not sent(portal, "DELETE")


def test_what_the_portal_told_of_a_user_is_kept_before_the_delete_too(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, ["110"])
    calendar.turn(31)

    due_run(leaving, "due-31")

    assert leaving.read_json("runs/run-1/records/110-1.json")["enabled"] == "Y"
    assert leaving.read_json("runs/due-31/records/110-1.json")["enabled"] == "N"


def test_a_preview_of_who_is_due_touches_nobody_and_its_plan_can_be_applied(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    leaving.fetch_user_ids({"source": {"due": True}}, "preview-31")
    assert leaving.report_run("preview-31")["counts"] == {"would_delete": 3}
    assert not sent(portal, "DELETE")

    sealed = {"run_id": "preview-31", "sha256": leaving.plan_sha256("preview-31")}
    leaving.fetch_user_ids({"mode": "apply", "plan": sealed}, "run-31")
    leaving.work_off("run-31")

    assert leaving.report_run("run-31")["counts"] == {"deleted": 3}


def test_rule_11_a_plan_of_who_is_due_is_not_applied_on_a_stack_that_only_disables_by_now(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(31)
    leaving.fetch_user_ids({"source": {"due": True}}, "preview-31")
    leaving.report_run("preview-31")
    set_parameter("LEAVER_ACTION", "disable")

    sealed = {"run_id": "preview-31", "sha256": leaving.plan_sha256("preview-31")}
    with pytest.raises(Exception, match="LeaverAction of this stack is disable"):
        leaving.fetch_user_ids({"mode": "apply", "plan": sealed}, "run-31")

    assert not sent(portal, "DELETE")


def test_whoever_is_on_leave_is_not_due_when_a_later_list_only_disables(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS, "run-1", action="disable")
    calendar.turn(100)
    assert run(leaving, ["110"], "run-2") == {"disabled": 1}

    calendar.turn(129)
    assert isinstance(due_run(leaving, "due-129"), str)
    calendar.turn(130.1)
    assert due_run(leaving, "due-130") == {"deleted": 1}
    assert {111, 112} <= portal.user_ids()


def test_rule_11_a_stack_that_becomes_more_careful_while_a_run_deletes_stops_it(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    plan_deletion(leaving, calendar)
    key = leaving.next_batch(run_id="due-31")["key"]
    leaving.change_until_finished("delete_user", 110, key, "due-31")

    set_parameter("LEAVER_ACTION", "disable")
    with pytest.raises(Exception, match="LeaverAction of this stack is disable"):
        leaving.change_user("delete_user", 111, key, run_id="due-31")

    assert sent(portal, "DELETE") == [110]
    assert leaving.report_run("due-31")["counts"] == {"deleted": 1, "not_attempted": 2}


def test_leavers_are_found_with_and_without_a_slash_at_the_end_of_the_address(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, LEAVERS)
    set_parameter("PORTAL_URL", portal.url + "/")
    calendar.turn(31)

    assert due_run(leaving, "due-31") == {"deleted": 3}
