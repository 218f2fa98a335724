"""Change windows: a run waits for one, pauses when it ends, and is resumed in the next one."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.ledger.users import Users
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.runs import Waiting
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.windows import windows_of
from local.portal import Fault, PortalSimulator
from tests.functions.machine import Machine
from tests.functions.memory_table import keep_in_memory
from tests.functions.stack import EXECUTIONS, Stack

SetParameter = Callable[[str, str], None]

NIGHTS = "MON-FRI 20:00-20:05; SAT-SUN 00:00-24:00"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday
OPENING = datetime(2026, 11, 23, 20, tzinfo=UTC)
LEAVERS = [str(user_id) for user_id in range(110, 120)]
APPLY = {"mode": "apply", "source": {"users": LEAVERS}}


@dataclass
class Clock:
    """The clock of functions and portal. It moves when a test, or a Wait state, moves it."""

    traveller: time_machine.Traveller
    started: dict[str, float] = field(default_factory=dict)
    ended: dict[str, ExecutionStatus] = field(default_factory=dict)

    def go_to(self, moment: datetime) -> None:
        self.traveller.move_to(moment)

    def wait(self, seconds: float) -> None:
        self.traveller.shift(timedelta(seconds=seconds))

    def status(self, _: Any, execution_arn: str) -> ExecutionStatus:
        return self.ended.get(execution_arn.rpartition(":")[2], ExecutionStatus.RUNNING)

    def started_at(self, _: Any, execution_arn: str) -> float:
        return self.started.setdefault(execution_arn.rpartition(":")[2], time.time())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with time_machine.travel(NOON, tick=False) as traveller:
        clock = Clock(traveller)
        executions = "bulk_user_deletion.executions.Executions"
        monkeypatch.setattr(f"{executions}.status", lambda *a: clock.status(*a))
        monkeypatch.setattr(f"{executions}.started_at", lambda *a: clock.started_at(*a))
        monkeypatch.setattr(f"{executions}.request", lambda *_: {})
        yield clock


@pytest.fixture
def nights(clock: Clock, stack: Stack, set_parameter: SetParameter) -> Stack:
    """A stack that deletes at night and on weekends, each user followed by a minute of pause."""
    set_parameter("CHANGE_WINDOWS", NIGHTS)
    return stack


@pytest.fixture
def machine(nights: Stack, clock: Clock) -> Machine:
    """Executions whose Wait states move the clock."""

    def wait(seconds: int) -> None:
        clock.wait(seconds)

    return Machine(nights, wait=wait)


def execute(machine: Machine, clock: Clock, request: dict[str, Any], name: str) -> dict[str, Any]:
    """Run an execution to its end, as Step Functions would see it."""
    clock.started[name] = time.time()
    said = machine.execute(request, name)
    clock.ended[name] = (
        ExecutionStatus.SUCCEEDED if said.get("succeeded", True) else ExecutionStatus.FAILED
    )
    return said


def resume_at_opening(machine: Machine, clock: Clock) -> dict[str, Any]:
    """Run the execution that the last pause has started to its end."""
    [name] = machine.continuations
    return execute(machine, clock, machine.continuations.pop(name), name)


def deletes(stack: Stack) -> list[tuple[int | None, datetime]]:
    return [
        (request.user_id, datetime.fromtimestamp(request.when, UTC))
        for request in stack.portal.requests
        if request.method == "DELETE"
    ]


def report(stack: Stack, run_id: str = "run-1") -> dict[str, Any]:
    said: dict[str, Any] = stack.read_json(f"runs/{run_id}/report.json")
    return said


def pause(machine: Machine, clock: Clock) -> None:
    """Apply ten users at opening; the window is over after five."""
    clock.go_to(OPENING)
    said = execute(machine, clock, APPLY, "run-1")
    assert said["status"] == "PAUSED"
    assert said["counts"] == {"deleted": 5, "not_attempted": 5}
    machine.stack.portal.requests.clear()


# At the door


def test_an_apply_outside_of_the_windows_waits_without_a_plan_a_lock_or_a_call(
    nights: Stack,
) -> None:
    planned = nights.plan(LEAVERS)

    assert (planned["next_step"], planned["wait_seconds"]) == ("wait", 3600)
    assert nights.ledger.turns.read("run-1") == Waiting(opens_at=int(OPENING.timestamp()))
    assert nights.ledger.portal.lock(Action.DELETE).run_id == ""
    assert nights.portal.requests == []
    assert nights.keys() == []


def test_it_is_planned_to_the_second_when_the_window_opens(nights: Stack, clock: Clock) -> None:
    clock.go_to(OPENING - timedelta(seconds=90))
    assert nights.plan(LEAVERS)["wait_seconds"] == 90

    clock.go_to(OPENING)

    assert nights.plan(LEAVERS)["next_step"] == "apply"
    assert nights.ledger.turns.read("run-1") is None


def test_a_lock_that_was_taken_before_the_window_ended_is_given_back(
    nights: Stack, clock: Clock
) -> None:
    clock.go_to(OPENING)
    nights.ledger.portal.take_lock(Action.DELETE, "run-1", EXECUTIONS + "run-1")
    clock.go_to(OPENING + timedelta(minutes=5))

    assert nights.plan(LEAVERS)["next_step"] == "wait"

    assert nights.ledger.portal.lock(Action.DELETE).run_id == ""


def test_a_preview_does_not_wait_and_says_when_the_run_would_end(nights: Stack) -> None:
    assert nights.fetch_user_ids({"source": {"users": LEAVERS}})["next_step"] == "preview"

    plan = nights.read_json("runs/run-1/plan.json")
    # Two minutes for each, so three in each night's five minutes.
    assert datetime.fromtimestamp(plan["estimate"]["ends_at"], UTC) == OPENING + timedelta(
        days=3, minutes=2
    )
    # The weekend has room for all of them.
    assert not [warning for warning in plan["warnings"] if "window" in warning]


def test_a_run_that_is_stopped_while_it_waits_is_refused(nights: Stack, clock: Clock) -> None:
    nights.plan(LEAVERS)
    order = {"stop": {"run_id": "run-1", "reason": "wrong list", "by": "night shift"}}
    nights.fetch_user_ids(order, "an-order")
    clock.wait(3600)

    with pytest.raises(RequestRefused, match="night shift stopped this run while it waited"):
        nights.plan(LEAVERS)


def test_windows_that_cannot_be_read_refuse_the_run_and_name_the_parameter(
    nights: Stack, set_parameter: SetParameter
) -> None:
    set_parameter("SCHEDULE_TIMEZONE", "Europe/Atlantis")

    with pytest.raises(RequestRefused, match=r"ScheduleTimezone is 'Europe/Atlantis'"):
        nights.plan(LEAVERS)


def test_only_hours_in_which_windows_are_open_count_as_waiting_for_ones_turn(
    nights: Stack, clock: Clock, set_parameter: SetParameter
) -> None:
    set_parameter("MAX_WAIT_HOURS", "1")
    clock.go_to(OPENING)
    nights.plan(["110"], "run-0")
    assert nights.plan(LEAVERS)["next_step"] == "wait"

    clock.go_to(OPENING + timedelta(days=4, minutes=2))  # twenty minutes of four windows

    assert nights.plan(LEAVERS)["next_step"] == "wait"


def test_a_plan_that_was_approved_in_time_is_applied_however_late_a_window_opens(
    nights: Stack, clock: Clock, set_parameter: SetParameter
) -> None:
    """Its age when a person approves it counts."""
    set_parameter("CHANGE_WINDOWS", "SUN 20:00-24:00")
    nights.fetch_user_ids({"source": {"users": LEAVERS}}, "preview")
    sealed = {"plan": {"run_id": "preview", "sha256": nights.plan_sha256("preview")}}
    clock.wait(23 * 3600)
    assert nights.fetch_user_ids({"mode": "apply", **sealed})["next_step"] == "wait"

    clock.go_to(datetime(2026, 11, 29, 20, tzinfo=UTC))

    assert nights.fetch_user_ids({"mode": "apply", **sealed})["next_step"] == "apply"


def test_a_plan_that_is_approved_too_late_is_refused_however_long_it_waits(
    nights: Stack, clock: Clock
) -> None:
    nights.fetch_user_ids({"source": {"users": LEAVERS}}, "preview")
    sealed = {"plan": {"run_id": "preview", "sha256": nights.plan_sha256("preview")}}
    clock.wait(25 * 3600)
    nights.fetch_user_ids({"mode": "apply", **sealed})
    clock.go_to(OPENING + timedelta(days=1))

    with pytest.raises(RequestRefused, match="plans may be applied for 24 hours"):
        nights.fetch_user_ids({"mode": "apply", **sealed})


@pytest.mark.parametrize(
    ("holds_for", "action", "waits"),
    [
        ("delete", "disable", False),
        ("delete", "disable_then_delete", False),
        ("delete_and_disable", "disable", True),
        ("delete_and_disable", "disable_then_delete", True),
        ("delete_and_disable", "enable", False),
        ("delete", "delete", True),
    ],
)
def test_windows_hold_for_deleting_and_for_disabling_only_where_the_stack_says_so(
    nights: Stack, set_parameter: SetParameter, holds_for: str, action: str, waits: bool
) -> None:
    set_parameter("CHANGE_WINDOWS_FOR", holds_for)
    for user_id in LEAVERS:
        nights.portal.edit(int(user_id), enabled="Y", ldap="N")

    planned = nights.plan(LEAVERS, action=action)

    assert planned["next_step"] == ("wait" if waits else "apply")


def test_orders_are_carried_out_at_any_time(nights: Stack) -> None:
    for order in ({"stop": {"reason": "upgrade", "by": "ops"}}, {"check": "portal"}):
        assert nights.fetch_user_ids(order, "an-order")["next_step"] == "nothing"


# At the end of a window


def test_when_a_window_ends_the_run_is_reported_as_paused_closed_and_unlocked(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    there = nights.portal.user_ids()
    clock.go_to(OPENING)

    said = execute(machine, clock, APPLY, "run-1")

    assert (said["status"], said["error"], said["succeeded"]) == ("PAUSED", "RunPaused", False)
    assert said["counts"] == {"deleted": 5, "not_attempted": 5}
    assert said["sentence"] == (
        "Paused after 5 of 10 entries (5 not attempted): the change window ended. The run"
        " resumes automatically at 2026-11-24T20:00:00Z, for those not attempted. To prevent that,"
        " stop the run."
    )
    assert there - nights.portal.user_ids() == {110, 111, 112, 113, 114}
    run = nights.ledger.runs.read("run-1")
    assert run is not None
    assert run.pause is not None
    assert (run.is_open, run.stop) == (False, None)
    assert list(machine.continuations) == [run.pause.resumed_by]
    assert nights.ledger.portal.lock(Action.DELETE).run_id == ""
    assert report(nights)["resumes_at"] == "2026-11-24T20:00:00Z"


def test_a_user_who_is_being_deleted_then_is_looked_at_to_the_end(
    nights: Stack, clock: Clock
) -> None:
    clock.go_to(OPENING + timedelta(minutes=4))
    nights.plan(LEAVERS)
    keys = nights.hand_out()
    nights.portal.faults.script(Fault.RESET_AFTER)
    progress = nights.delete_user("110", keys["110"])
    clock.go_to(OPENING + timedelta(minutes=6))
    if not progress["finished"]:
        progress = nights.delete_user("110", keys["110"])

    assert nights.delete_user("111", keys["111"]) == {
        "finished": True,
        "wait_seconds": 0,
        "tries": 0,
    }
    row = nights.row("110")
    assert row is not None
    assert (progress["finished"], row.outcome) == (True, "deleted")
    assert nights.row("111") is None
    assert [user_id for user_id, _ in deletes(nights)] == [110]


def test_nothing_is_sent_if_recording_the_intent_took_until_after_the_end(
    nights: Stack, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.go_to(OPENING + timedelta(minutes=4))
    nights.plan(LEAVERS)
    keys = nights.hand_out()
    record_intent = Users.record_intent

    def slowly(*args: Any, **kwargs: Any) -> bool:
        recorded = record_intent(*args, **kwargs)
        clock.go_to(OPENING + timedelta(minutes=5, seconds=1))
        return recorded

    monkeypatch.setattr(Users, "record_intent", slowly)

    assert nights.delete_user("110", keys["110"])["finished"]

    assert deletes(nights) == []
    assert nights.report_run()["counts"] == {"failed": 1, "not_attempted": 9}
    [failed] = [row for row in report(nights)["rows"] if row["outcome"] == "failed"]
    assert failed["reason"] == "no DELETE was sent: the change window ended before it could be"


def test_a_stop_counts_for_more_than_a_pause(nights: Stack, clock: Clock) -> None:
    clock.go_to(OPENING)
    nights.plan(LEAVERS)
    keys = nights.hand_out()
    clock.go_to(OPENING + timedelta(minutes=5))
    nights.delete_user("110", keys["110"])
    nights.ledger.runs.press_stop("run-1", reason="wrong list", by="ops", now=time.time())

    batch = nights.next_batch(1)
    said = nights.report_run()

    assert batch["resumed_by"] == ""
    assert said["status"] == "STOPPED"
    run = nights.ledger.runs.read("run-1")
    assert run is not None
    assert run.pause is None


def test_an_execution_of_an_earlier_version_stops_because_it_cannot_start_another_one(
    nights: Stack, clock: Clock
) -> None:
    clock.go_to(OPENING)
    nights.plan(LEAVERS)
    clock.go_to(OPENING + timedelta(minutes=5))
    event = {"run_id": "run-1", "execution_arn": EXECUTIONS + "run-1", "batch": {"number": 0}}

    batch = nights.invoke("next_batch", event)

    assert (batch["users"], batch["resumed_by"]) == (0, "")
    said = nights.report_run()
    assert said["status"] == "STOPPED"
    assert "before the stack was updated" in said["sentence"]


def test_a_paused_run_is_neither_a_success_nor_a_failure_to_the_alarms(
    machine: Machine, clock: Clock, nights: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    pause(machine, clock)

    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert not [line for line in metrics if {"RunsFailed", "RunsSucceeded"} & line.keys()]


# In the next window


def test_the_next_window_resumes_the_run_until_all_are_done(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    pause(machine, clock)

    said = resume_at_opening(machine, clock)

    assert (said["run_id"], said["status"]) == ("run-1", "SUCCEEDED")
    assert said["counts"] == {"deleted": 10}
    first, *_ = deletes(nights)
    assert first == (115, OPENING + timedelta(days=1))
    run = nights.ledger.runs.read("run-1")
    assert run is not None
    assert (run.round_number, run.pause, run.is_open) == (2, None, False)
    assert machine.continuations == {}


def test_rule_13_only_those_not_attempted_are_started_when_a_window_opens(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    """Another DELETE for a failed or unknown user takes a person."""
    clock.go_to(OPENING)
    nights.portal.faults.script(Fault.CONFLICT)
    execute(machine, clock, APPLY, "run-1")
    nights.portal.requests.clear()

    said = resume_at_opening(machine, clock)

    assert 110 not in {user_id for user_id, _ in deletes(nights)}
    assert said["status"] == "INCOMPLETE"
    assert said["counts"] == {"deleted": 9, "failed": 1}


def test_the_caps_hold_in_the_next_window(
    machine: Machine, clock: Clock, nights: Stack, set_parameter: SetParameter
) -> None:
    """Another run has used up the day in between."""
    pause(machine, clock)
    set_parameter("MAX_USERS_PER_DAY", "9")
    clock.go_to(OPENING + timedelta(days=1))
    other = {"mode": "apply", "source": {"users": ["120", "121", "122", "123"]}}
    assert execute(machine, clock, other, "run-2")["status"] == "SUCCEEDED"
    clock.go_to(OPENING + timedelta(days=1, minutes=4))
    nights.portal.requests.clear()

    said = resume_at_opening(machine, clock)

    assert (said["run_id"], said["status"]) == ("run-1", "STOPPED")
    assert "MaxUsersPerDay" in said["sentence"]
    assert report(nights)["counts"] == {"deleted": 5, "not_attempted": 5}
    assert deletes(nights) == []
    run = nights.ledger.runs.read("run-1")
    assert run is not None
    assert (run.pause, run.is_open) == (None, False)


def test_rule_8_a_stop_between_two_windows_holds(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    pause(machine, clock)
    [name] = machine.continuations
    clock.started[name] = time.time()
    clock.wait(3600)
    order = {"stop": {"run_id": "run-1", "reason": "wrong list", "by": "night shift"}}
    nights.fetch_user_ids(order, "an-order")

    said = machine.execute(machine.continuations.pop(name), name)

    assert (said["run_id"], said["status"]) == ("run-1", "STOPPED")
    assert "wrong list" in said["sentence"]
    assert deletes(nights) == []


def test_rule_10_a_withdrawal_between_two_windows_holds(
    machine: Machine, clock: Clock, nights: Stack, set_parameter: SetParameter
) -> None:
    set_parameter("CHANGE_WINDOWS_FOR", "delete_and_disable")
    set_parameter("LEAVER_ACTION", "disable_then_delete")
    set_parameter("DISABLE_WAIT_SECONDS", "60")
    for user_id in LEAVERS:
        nights.portal.edit(int(user_id), enabled="Y", ldap="N")
    clock.go_to(OPENING)
    assert execute(machine, clock, APPLY, "run-1")["status"] == "PAUSED"
    order = {"withdraw": {"run_id": "run-1", "reason": "not ours", "by": "hr"}}
    nights.fetch_user_ids(order, "an-order")
    nights.portal.requests.clear()

    said = resume_at_opening(machine, clock)

    assert (said["run_id"], said["status"]) == ("run-1", "STOPPED")
    assert said["counts"] == {"disabled": 5, "not_attempted": 5}
    assert nights.writes() == []
    leavers = nights.ledger.leavers.read_all(nights.portal.url)
    assert {leaver.state for leaver in leavers} == {LeaverState.WITHDRAWN}


def test_rule_1_a_user_who_was_protected_between_two_windows_is_kept(
    machine: Machine, clock: Clock, nights: Stack, set_parameter: SetParameter
) -> None:
    set_parameter("PROTECTED_LIST", "protected.csv")
    nights.s3.put_object(Bucket="data", Key="protected.csv", Body=b"user,until,reason\n")
    pause(machine, clock)
    body = b"user,until,reason\n117,2027-01-01,on leave\n"
    nights.s3.put_object(Bucket="data", Key="protected.csv", Body=body)

    said = resume_at_opening(machine, clock)

    assert said["counts"] == {"deleted": 9, "skipped": 1}
    assert 117 in nights.portal.user_ids()


def test_a_run_that_a_person_resumed_first_is_not_resumed_again(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    pause(machine, clock)
    by_hand = {"mode": "apply", "resume": "run-1", "reason": "again"}
    assert execute(machine, clock, by_hand, "by-hand")["status"] == "SUCCEEDED"
    nights.portal.requests.clear()

    said = resume_at_opening(machine, clock)

    assert said["next_step"] == "nothing"
    assert "does not wait for this execution" in said["nothing_because"]
    assert nights.portal.requests == []


def test_a_second_window_may_pause_it_again(machine: Machine, clock: Clock, nights: Stack) -> None:
    many = [str(user_id) for user_id in range(110, 123)]
    clock.go_to(OPENING)
    execute(machine, clock, {"mode": "apply", "source": {"users": many}}, "run-1")
    [first] = machine.continuations
    assert resume_at_opening(machine, clock)["status"] == "PAUSED"
    [second] = machine.continuations

    assert first != second
    assert resume_at_opening(machine, clock)["status"] == "SUCCEEDED"
    assert {when.date().day for _, when in deletes(nights)} == {23, 24, 25}


def test_when_the_waiting_execution_is_aborted_the_run_is_reported_as_stopped(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    pause(machine, clock)
    [name] = machine.continuations
    clock.started[name] = time.time()
    nights.fetch_user_ids(machine.continuations[name], name)
    clock.ended[name] = ExecutionStatus.ABORTED

    said = execute(machine, clock, {"close": name}, "closing")

    assert (said["run_id"], said["status"]) == ("run-1", "STOPPED")
    assert "Its execution ended ABORTED" in said["sentence"]
    assert deletes(nights) == []


def test_the_end_of_a_paused_execution_closes_nothing(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    """Its status change starts a closing, as that of every failed execution does."""
    pause(machine, clock)
    before = report(nights)

    said = execute(machine, clock, {"close": "run-1"}, "closing")

    assert said["next_step"] == "nothing"
    assert report(nights) == before
    assert resume_at_opening(machine, clock)["status"] == "SUCCEEDED"


def test_if_no_token_can_be_had_in_the_next_window_the_run_is_reported_as_stopped(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    pause(machine, clock)

    [name] = machine.continuations
    failure = {
        "Error": "CredentialsRefused",
        "Cause": '{"errorMessage": "The portal refused our credentials."}',
    }

    said = nights.report_run(name, failure, look=False)

    assert (said["run_id"], said["status"]) == ("run-1", "STOPPED")
    assert "The portal refused our credentials." in said["sentence"]
    assert said["counts"] == {"deleted": 5, "not_attempted": 5}
    assert nights.report_run(name, failure, look=False)["counts"] == said["counts"]  # a retry
    run = nights.ledger.runs.read("run-1")
    assert run is not None
    assert run.pause is None


# Any windows

a_window = st.tuples(st.integers(0, 1439), st.sampled_from([1, 2, 3, 7, 30, 200]))


def written(window: tuple[int, int]) -> str:
    start, minutes = window
    end = (start + minutes) % 1440
    return f"MON-SUN {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"


@contextmanager
def a_stack_of_its_own(windows: str, zone: str, seconds_per_request: float) -> Iterator[Stack]:
    """A stack whose clock moves with each request to the portal and each call to AWS too."""
    with ExitStack() as resources:
        portal = resources.enter_context(PortalSimulator(users=24))
        patch = resources.enter_context(pytest.MonkeyPatch.context())
        for name, value in {
            **Stack.environment(portal.url),
            "CHANGE_WINDOWS": windows,
            "SCHEDULE_TIMEZONE": zone,
            "MAX_PERCENT": "100",
            "MAX_PERCENT_PER_DAY": "100",
        }.items():
            patch.setenv(name, value)
        resources.enter_context(mock_aws())
        keep_in_memory(patch)
        traveller = resources.enter_context(time_machine.travel(NOON, tick=False))
        send, record_intent = Portal._send, Users.record_intent

        def sent(*args: Any, **kwargs: Any) -> Any:
            answer = send(*args, **kwargs)
            traveller.shift(timedelta(seconds=seconds_per_request))
            return answer

        def recorded(*args: Any, **kwargs: Any) -> bool:
            traveller.shift(timedelta(seconds=seconds_per_request))
            return record_intent(*args, **kwargs)

        patch.setattr(Portal, "_send", sent)
        patch.setattr(Users, "record_intent", recorded)
        clock = Clock(traveller)
        executions = "bulk_user_deletion.executions.Executions"
        patch.setattr(f"{executions}.status", lambda *a: clock.status(*a))
        patch.setattr(f"{executions}.started_at", lambda *a: clock.started_at(*a))
        stack = Stack(portal)
        stack.remaining_seconds = -2
        stack.clock = clock  # type: ignore[attr-defined]
        yield stack


@settings(max_examples=15, deadline=None)
@given(
    windows=st.lists(a_window, min_size=1, max_size=3).map(lambda w: "; ".join(map(written, w))),
    zone=st.sampled_from(["UTC", "Europe/Paris", "America/New_York"]),
    start=st.integers(0, 7 * 1440),
    seconds_per_request=st.sampled_from([0.5, 3, 9]),
    refusals=st.integers(0, 3),
)
def test_rule_13_whatever_the_windows_no_delete_is_outside_of_them_and_each_user_has_one_end(
    windows: str, zone: str, start: int, seconds_per_request: float, refusals: int
) -> None:
    """Also if a window is shorter than one user, and recording an intent outlasts it."""
    read = windows_of(windows, zone)
    leavers = [110, 111, 112, 113]
    with a_stack_of_its_own(windows, zone, seconds_per_request) as stack:
        clock: Clock = stack.clock  # type: ignore[attr-defined]
        machine = Machine(stack, wait=clock.wait)
        clock.go_to(NOON + timedelta(minutes=start))
        for _ in range(refusals):
            stack.portal.faults.script(Fault.TOO_MANY_REQUESTS)
        there = stack.portal.user_ids()

        request = {"mode": "apply", "source": {"users": [str(user) for user in leavers]}}
        said = execute(machine, clock, request, "run-1")
        rounds = 1
        while said["status"] == "PAUSED" and rounds < 12:
            said = resume_at_opening(machine, clock)
            rounds += 1

        sent = [request for request in stack.portal.requests if request.method == "DELETE"]
        assert all(read.is_open(request.when) for request in sent)
        worked = [request.user_id for request in sent if request.status == 200]
        assert len(worked) == len(set(worked))
        assert there - stack.portal.user_ids() == set(worked) <= set(leavers)
        assert sum(said["counts"].values()) == len(leavers)
        assert said["counts"].get("deleted", 0) == len(worked)
        assert said["status"] in {"SUCCEEDED", "INCOMPLETE", "PAUSED"}
