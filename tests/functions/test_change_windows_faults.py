"""Change windows on bad days: a pause with losses, canaries, stops, crashes and rosters."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from bulk_user_deletion.models.runs import Stop
from bulk_user_deletion.steps.delete_user import DeleteUser
from tests.functions.machine import Machine
from tests.functions.stack import EXECUTIONS, Stack
from tests.functions.test_change_windows import (
    APPLY,
    LEAVERS,
    OPENING,
    Clock,
    SetParameter,
    clock,
    deletes,
    execute,
    machine,
    nights,
    pause,
    report,
    resume_at_opening,
)
from tests.functions.test_roster import drop, people
from tests.functions.test_switch_user import set_knobs

__all__ = ["clock", "machine", "nights"]


# Losses and canaries


def test_losses_are_looked_for_before_a_run_pauses_because_nobody_reads_its_report(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    """Deleting one user deletes others too: the next window must not continue with that."""
    clock.go_to(OPENING)
    nights.plan(LEAVERS)
    keys = nights.hand_out()
    nights.delete_user("110", keys["110"])
    for user_id in (130, 131, 132, 133):
        nights.portal.remove(user_id)
    clock.go_to(OPENING + timedelta(minutes=5))
    nights.delete_user("111", keys["111"])

    batch = nights.next_batch(1)
    assert (batch["check_losses"], batch["resumed_by"]) == (True, "")
    nights.check_losses(batch)

    assert nights.next_batch(1)["resumed_by"] == ""
    said = nights.report_run()
    assert said["status"] == "STOPPED"
    assert "4 users left the portal that this run did not delete" in said["sentence"]


def test_a_loss_after_the_first_canary_stops_a_run_that_was_to_be_paused(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    clock.go_to(OPENING)
    nights.plan(LEAVERS, options={"canary_users": 3})
    batch = nights.next_batch(0)
    nights.delete_user("110", batch["key"])
    nights.portal.remove(130)
    clock.go_to(OPENING + timedelta(minutes=5))

    batch = nights.next_batch(1)
    assert (batch["check_losses"], batch["is_canary"]) == (True, True)
    nights.check_losses(batch)

    assert nights.next_batch(1)["resumed_by"] == ""
    assert nights.report_run()["status"] == "STOPPED"


def test_a_canary_whose_put_did_nothing_stops_the_run_though_its_window_has_ended(
    clock: Clock, nights: Stack, set_parameter: SetParameter
) -> None:
    """Otherwise each window would begin with another user whom the portal does not disable."""
    set_parameter("CHANGE_WINDOWS_FOR", "delete_and_disable")
    set_parameter("LEAVER_ACTION", "disable")
    for user_id in LEAVERS:
        nights.portal.edit(int(user_id), enabled="Y", ldap="N")
    set_knobs(nights.portal, put_mode="ignored")
    clock.go_to(OPENING + timedelta(minutes=4))
    nights.plan(LEAVERS, options={"canary_users": 2})
    key = nights.next_batch(0)["key"]
    nights.change_user("switch_user", "110", key)
    clock.go_to(OPENING + timedelta(minutes=6))
    nights.change_until_finished("switch_user", "110", key)
    run = nights.ledger.runs.read("run-1")
    assert run is not None
    assert run.pause is not None

    assert nights.next_batch(1)["resumed_by"] == ""

    said = nights.report_run()
    assert said["status"] == "STOPPED"
    assert "canary user 110 ended unknown" in said["sentence"]


def test_a_canary_that_the_end_of_its_window_kept_from_its_request_stops_nothing(
    clock: Clock, nights: Stack
) -> None:
    clock.go_to(OPENING + timedelta(minutes=4))
    nights.plan(LEAVERS, options={"canary_users": 2})
    key = nights.next_batch(0)["key"]
    clock.go_to(OPENING + timedelta(minutes=5))
    nights.delete_user("110", key)
    check = nights.next_batch(1)
    nights.check_losses(check)

    assert nights.next_batch(1)["resumed_by"]

    assert nights.report_run()["status"] == "PAUSED"


# A pause belongs to the execution that holds the run


def test_a_function_that_outlives_its_execution_pauses_nobody_elses_run(
    clock: Clock, nights: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run was reported as stopped: it would be false that it resumes automatically."""
    clock.go_to(OPENING)
    nights.plan(LEAVERS)
    key = nights.hand_out()["110"]
    held = nights.ledger.runs.read("run-1")
    assert held is not None

    def closed_meanwhile(*_: object) -> int:
        stop = Stop("Its execution ended ABORTED.", "CloseRun", 0)
        nights.ledger.runs.take_over_stopped(held, execution_arn=EXECUTIONS + "closing", stop=stop)
        nights.ledger.runs.close("run-1", EXECUTIONS + "closing")
        clock.go_to(OPENING + timedelta(minutes=5))
        return 0

    monkeypatch.setattr(DeleteUser, "must_wait", closed_meanwhile)
    nights.delete_user("110", key)

    run = nights.ledger.runs.read("run-1")
    assert run is not None
    assert run.pause is None
    assert deletes(nights) == []


# Stops between two windows


def test_a_stop_that_is_lifted_before_the_next_window_leaves_the_run_to_be_resumed(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    pause(machine, clock)
    [name] = machine.continuations
    clock.started[name] = time.time()
    clock.wait(600)
    for word in ("stop", "lift"):
        order = {word: {"run_id": "run-1", "reason": "a doubt", "by": "night shift"}}
        nights.fetch_user_ids(order, word)

    said = machine.execute(machine.continuations.pop(name), name)

    assert (said["run_id"], said["status"]) == ("run-1", "SUCCEEDED")
    assert said["counts"] == {"deleted": 10}


# Crashes


def test_if_the_window_ends_before_a_resuming_step_is_retried_the_run_is_paused_again(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    """It is not left open for a day: the checks for this window say nothing about the next."""
    pause(machine, clock)
    [name] = machine.continuations
    request = machine.continuations.pop(name)
    clock.started[name] = time.time()
    clock.go_to(OPENING + timedelta(days=1, minutes=4))
    assert nights.fetch_user_ids(request, name)["next_step"] == "apply"  # the answer was lost
    clock.go_to(OPENING + timedelta(days=1, minutes=6))

    said = execute(machine, clock, request, name)

    assert (said["run_id"], said["status"]) == ("run-1", "PAUSED")
    assert resume_at_opening(machine, clock)["status"] == "SUCCEEDED"
    assert {when.date().day for _, when in deletes(nights)} == {25}


# What a report says


def test_a_paused_report_does_not_promise_another_delete_to_whoever_is_unknown(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    """An automatic resume leaves them as they are: another request takes a person."""
    clock.go_to(OPENING)
    nights.portal.knobs = replace(nights.portal.knobs, delete_mode="ignored")
    execute(machine, clock, APPLY, "run-1")
    said = report(nights)
    assert (said["status"], said["counts"]["unknown"]) == ("PAUSED", 1)

    page = nights.read_bytes("runs/run-1/report.html").decode()

    assert "resumes automatically" in page
    assert "sends another DELETE" not in page


# Rosters


def test_rule_12_whoever_a_roster_names_that_was_accepted_between_two_windows_is_kept(
    machine: Machine, clock: Clock, nights: Stack
) -> None:
    pause(machine, clock)
    stay = [user_id for user_id in people(nights.portal) if user_id not in {115, 116, 118, 119}]
    assert 117 in stay
    drop(nights, stay, "roster-1")
    nights.portal.requests.clear()

    said = resume_at_opening(machine, clock)

    assert 117 in nights.portal.user_ids()
    assert said["counts"] == {"deleted": 9, "skipped": 1}
    [kept] = [row for row in report(nights)["rows"] if row["outcome"] == "skipped"]
    assert (kept["user_id"], kept["reason_kind"]) == ("117", "named_by_roster")
