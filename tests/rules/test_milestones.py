"""What happened to a run, in order, whatever it was."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.plans import Preview
from bulk_user_deletion.models.requests import Trigger
from bulk_user_deletion.models.runs import (
    Milestone,
    MilestoneKind,
    Mode,
    Round,
    RoundEnd,
    RunRow,
    RunStatus,
    Stop,
    Stopper,
)
from bulk_user_deletion.rules.milestones import milestone_text, milestones, stops_of_round
from bulk_user_deletion.rules.reporting import iso
from tests.builders import a_plan

RUN = RunRow("run-1", "arn", is_open=True, mode=Mode.APPLY, trigger="console", started_at=1_000)
END = RoundEnd(9_000, RunStatus.STOPPED, {"deleted": 1, "not_attempted": 2})
PLAN = a_plan(created_at=1_010)


def told(found: list[Milestone]) -> list[tuple[str, str]]:
    return [(one.at, milestone_text(one)) for one in found]


def test_a_run_that_was_started_directly() -> None:
    assert told(milestones(RUN, PLAN, [], [], end=END)) == [
        ("1970-01-01T00:16:40Z", "Started by hr-automation: HR-1234"),
        ("1970-01-01T00:16:50Z", "Planned"),
        ("1970-01-01T02:30:00Z", "Ended STOPPED: 1 deleted, 2 not attempted"),
    ]


def test_a_plan_that_was_approved_names_its_preview_and_its_hash() -> None:
    preview = Preview("run-0", 500, "platform team", "HR-1233")
    plan = replace(PLAN, applies="ab12", preview=preview)

    assert [text for _, text in told(milestones(RUN, plan, [], [], end=END))] == [
        "Planned in preview run-0 by platform team: HR-1233",
        "Plan of run-0 (sha256 ab12) approved by hr-automation: HR-1234",
        "Started",
        "Ended STOPPED: 1 deleted, 2 not attempted",
    ]


def test_a_run_that_was_stopped_and_resumed_says_by_whom_and_why() -> None:
    stop = Stop("wrong list", "night shift", 2_000)
    first_end = RoundEnd(2_100, RunStatus.STOPPED, {"not_attempted": 3}, stop)
    rounds = [
        Round(1, "run-1", 1_000, "", "", first_end),
        Round(2, "again", 5_000, "platform team", "the list is right"),
    ]

    found = milestones(replace(RUN, round_number=2), PLAN, rounds, [stop], end=END)

    assert [text for _, text in told(found)] == [
        "Started by hr-automation: HR-1234",
        "Planned",
        "Stop pressed by night shift: wrong list",
        "Ended STOPPED: 3 not attempted",
        "Resumed by platform team: the list is right (execution again)",
        "Ended STOPPED: 1 deleted, 2 not attempted",
    ]


def test_a_request_that_was_refused_before_there_was_a_run_says_who_sent_it_and_why() -> None:
    asked = Round(1, "run-1", 1_000, "hr-automation", "HR-1234")
    end = RoundEnd(1_001, RunStatus.REFUSED)

    assert [text for _, text in told(milestones(None, None, [asked], [], end=end))] == [
        "Started by hr-automation: HR-1234",
        "Ended REFUSED",
    ]


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        (Trigger.S3, "Started by a dropped file"),
        (Trigger.SCHEDULE, "Started by the schedule"),
        (Trigger.DUE, "Started by the daily schedule"),
        (Trigger.CONSOLE, "Started by an unnamed person"),
    ],
)
def test_what_starts_a_run_that_nobody_signs_is_told_instead(trigger: Trigger, said: str) -> None:
    unsigned = replace(PLAN, requested_by="", reason="")

    first, *_ = milestones(replace(RUN, trigger=trigger), unsigned, [], [], end=END)

    assert milestone_text(first) == said


def test_a_window_that_ends_pauses_a_run_and_does_not_end_it() -> None:
    paused = RoundEnd(9_000, RunStatus.PAUSED, {"not_attempted": 2})

    *_, last = milestones(RUN, PLAN, [], [], end=paused)

    assert milestone_text(last) == "Paused: 2 not attempted"


def test_users_who_are_changed_at_the_same_time_and_press_for_the_same_reason_press_once() -> None:
    stops = [Stop("The breaker tripped.", "breaker", at, Stopper.RUN) for at in (2_000, 2_001)]

    found = milestones(RUN, PLAN, [], stops, end=END)

    assert [one.at for one in found if one.kind is MilestoneKind.STOPPED] == [iso(2_000)]


happenings = st.lists(st.sampled_from(["stop", "portal stop", "end", "resume"]), max_size=12)


@given(happenings)
def test_whatever_happens_is_told_once_and_in_its_order(happenings: list[str]) -> None:
    """As the ledger records it: each press, each end before the next resume, each resume."""
    at, number = 1_010, 1
    rounds = [Round(1, "run-1", 1_000, "", "")]
    stops: list[Stop] = []
    portal_stop: Stop | None = None
    expected: list[tuple[MilestoneKind, str]] = []
    for happening in [*happenings, "end"]:
        at += 1
        match happening:
            case "stop":
                stops.append(Stop(f"reason {at}", "night shift", at))
                expected.append((MilestoneKind.STOPPED, iso(at)))
            case "portal stop" if portal_stop is None and rounds[-1].end is None:
                portal_stop = Stop("upgrade", "platform team", at, Stopper.PORTAL)
                expected.append((MilestoneKind.STOPPED, iso(at)))
            case "end" if rounds[-1].end is None:
                flag = next((stop for stop in stops if stop.at >= rounds[-1].at), portal_stop)
                flag = portal_stop or flag
                rounds[-1] = replace(
                    rounds[-1], end=RoundEnd(at, RunStatus.STOPPED, {"deleted": number}, flag)
                )
                expected.append((MilestoneKind.ENDED, iso(at)))
            case "resume":  # with an end before, or after a round that was interrupted
                number += 1
                rounds.append(Round(number, f"execution-{number}", at, "platform team", ""))
                expected.append((MilestoneKind.RESUMED, iso(at)))
    last = rounds[-1].end
    assert last is not None

    found = milestones(replace(RUN, round_number=number), PLAN, rounds, stops, end=last)

    if portal_stop and not any(row.end and row.end.stop == portal_stop for row in rounds):
        expected.remove((MilestoneKind.STOPPED, iso(portal_stop.at)))
    assert [(one.kind, one.at) for one in found][2:] == expected


@given(st.lists(st.sampled_from(Stopper), min_size=1, max_size=4), st.integers(0, 4))
def test_every_press_since_the_last_resume_decides_about_the_rest_and_none_before(
    stoppers: list[Stopper], resumed_after: int
) -> None:
    stops = [Stop("r", "b", 2_000 + 10 * n, stopper) for n, stopper in enumerate(stoppers)]
    resumed = Round(2, "again", 1_995 + 10 * resumed_after, "", "")
    since = stops[resumed_after:]
    run = replace(RUN, round_number=2, stop=since[0] if since else None)

    held_by = stops_of_round(run, [resumed], stops)

    assert held_by == {stop.stopper for stop in since}


def test_a_stop_that_was_lifted_holds_nothing() -> None:
    assert stops_of_round(RUN, [], [Stop("r", "b", 2_000)]) == set()
