"""How fast the portal is asked to delete, learned from its answers."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.runs import Pace, Pacing
from bulk_user_deletion.rules.answers import Answer, Transport
from bulk_user_deletion.rules.pace import (
    FIRST_WAIT,
    LONGEST_PATIENCE,
    LONGEST_WAIT,
    observe,
    patience_problem,
    pause,
)

NOW = 1_800_000_000.0
USUAL = Pace(seconds_per_delete=60.0, changed_at=int(NOW) - 1000)
WELL = Answer(200, {}, seconds=60.0)
BUSY = Answer(429, seconds=0.1)


def after(answer: Answer, pace: Pace = USUAL, *, now: float = NOW, is_delete: bool = True) -> Pace:
    return observe(pace, answer, is_delete=is_delete, now=now)


def waiting(seconds: int) -> Pace:
    return replace(USUAL, wait_seconds=seconds)


# The wait


@pytest.mark.parametrize(
    "answer",
    [
        BUSY,
        Answer(500, {"status": "ERROR", "message": "Deadlock found"}),
        Answer(502),
        Answer(503),
        Answer(None, transport=Transport.LOST, seconds=180),
        Answer(200, {}, seconds=92),  # half as long again as usual
    ],
    ids=lambda answer: answer.describe(),
)
def test_errors_and_slow_answers_double_the_wait(answer: Answer) -> None:
    assert after(answer).wait_seconds == FIRST_WAIT
    assert after(answer, waiting(40)).wait_seconds == 80
    assert after(answer, waiting(LONGEST_WAIT)).wait_seconds == LONGEST_WAIT


@pytest.mark.parametrize(("before", "then"), [(80, 40), (20, 10), (10, 5), (5, 0), (0, 0)])
def test_a_successful_delete_halves_the_wait(before: int, then: int) -> None:
    assert after(WELL, waiting(before)).wait_seconds == then


def test_a_look_says_nothing_about_the_pace_unless_the_portal_is_overloaded() -> None:
    look = Answer(200, {}, seconds=9.0)

    assert after(look, waiting(40), is_delete=False) == waiting(40)
    assert after(Answer(503), waiting(40), is_delete=False).wait_seconds == 80


@pytest.mark.parametrize("answer", [Answer(400), Answer(404), Answer(401), Answer(None)])
def test_a_refusal_for_other_reasons_is_not_a_sign_of_overload(answer: Answer) -> None:
    assert after(answer, is_delete=False) == USUAL


def test_of_five_users_refused_at_once_only_one_doubles_the_wait() -> None:
    pace = USUAL
    for _ in range(5):
        pace = after(replace(BUSY, seconds=2.0), pace)

    assert pace.wait_seconds == FIRST_WAIT


def test_answers_to_deletes_from_before_the_wait_changed_do_not_shrink_it() -> None:
    grown = after(BUSY)

    assert after(WELL, grown, now=NOW + 30).wait_seconds == FIRST_WAIT
    assert after(WELL, grown, now=NOW + 61).wait_seconds == 0


@given(st.lists(st.sampled_from([WELL, BUSY, Answer(None, transport=Transport.LOST)]), max_size=40))
def test_the_wait_is_bounded_and_ends_after_successful_deletes(
    answers: list[Answer],
) -> None:
    pace, now = USUAL, NOW
    for answer in [*answers, *[WELL] * 7]:
        now += 400
        pace = after(answer, pace, now=now)
        assert 0 <= pace.wait_seconds <= LONGEST_WAIT

    assert pace.wait_seconds == 0


# The seconds per delete


def test_the_first_delete_shows_how_long_one_takes() -> None:
    assert after(WELL, Pace()).seconds_per_delete == 60


@pytest.mark.parametrize("seconds", [55.0, 60.4, 66.4])
def test_a_normal_duration_is_not_recorded_again(seconds: float) -> None:
    assert after(replace(WELL, seconds=seconds)) is USUAL


def test_a_portal_that_becomes_slower_or_faster_is_followed_step_by_step() -> None:
    pace, now, seen = USUAL, NOW, []
    for _ in range(12):
        now += 200
        pace = after(replace(WELL, seconds=30), pace, now=now)
        seen.append(pace.seconds_per_delete)

    assert seen == sorted(seen, reverse=True)
    assert seen[0] == 54
    assert 30 <= seen[-1] <= 34


@pytest.mark.parametrize("answer", [BUSY, Answer(None, transport=Transport.LOST, seconds=180)])
def test_a_missing_answer_says_nothing_about_how_long_a_delete_takes(answer: Answer) -> None:
    assert after(answer).seconds_per_delete == 60


def test_every_change_is_a_new_version() -> None:
    assert after(BUSY).version == USUAL.version + 1


# Quiet time


def test_the_portals_retry_after_applies_to_all_runs() -> None:
    assert after(replace(BUSY, retry_after=120)).quiet_until == NOW + 121
    assert after(BUSY).quiet_until == 0


@pytest.mark.parametrize("retry_after", [LONGEST_PATIENCE, LONGEST_PATIENCE + 1, 86_400, 10**10])
def test_other_runs_wait_for_at_most_an_hour(retry_after: int) -> None:
    quiet_until = after(replace(BUSY, retry_after=retry_after)).quiet_until

    assert quiet_until == NOW + 1 + LONGEST_PATIENCE


def test_a_shorter_retry_after_does_not_end_a_longer_one() -> None:
    pace = replace(USUAL, quiet_until=int(NOW) + 500)

    assert after(replace(BUSY, retry_after=7), pace).quiet_until == NOW + 500


@pytest.mark.parametrize(
    ("retry_after", "too_long"),
    [(None, False), (0, False), (LONGEST_PATIENCE, False), (LONGEST_PATIENCE + 1, True)],
)
def test_a_portal_that_asks_for_more_than_an_hour_stops_the_run(
    retry_after: int | None, too_long: bool
) -> None:
    assert bool(patience_problem(retry_after)) is too_long


# The pause


@pytest.mark.parametrize(
    ("pacing", "wait", "least", "seconds"),
    [
        (Pacing.FIXED, 0, 60, 60),
        (Pacing.FIXED, 300, 60, 60),
        (Pacing.ADAPTIVE, 0, 0, 0),
        (Pacing.ADAPTIVE, 40, 0, 40),
        (Pacing.ADAPTIVE, 40, 90, 90),  # a request that asked for a pause gets it
    ],
)
def test_the_pause_is_fixed_or_follows_the_pace_and_is_never_less_than_requested(
    pacing: Pacing, wait: int, least: int, seconds: int
) -> None:
    assert pause(pacing, waiting(wait), least=least) == seconds


paces = st.builds(
    Pace,
    seconds_per_delete=st.floats(0, 200),
    wait_seconds=st.integers(0, LONGEST_WAIT),
    changed_at=st.integers(0, int(NOW)),
    quiet_until=st.integers(0, int(NOW) + 4000),
    version=st.integers(0, 99),
)
answers: st.SearchStrategy[Any] = st.builds(
    Answer,
    status=st.sampled_from([None, 200, 202, 400, 404, 429, 500, 503]),
    seconds=st.floats(0, 200),
    retry_after=st.none() | st.integers(0, 10**9),
    transport=st.none() | st.sampled_from(Transport),
)


@given(paces, answers, st.booleans())
def test_whatever_comes_the_pace_stays_within_its_bounds(
    pace: Pace, answer: Answer, is_delete: bool
) -> None:
    then = after(answer, pace, is_delete=is_delete)

    assert 0 <= then.wait_seconds <= LONGEST_WAIT
    assert pace.quiet_until <= then.quiet_until
    assert then.quiet_until <= max(pace.quiet_until, NOW + 1 + LONGEST_PATIENCE)
    assert (then == pace) is (then.version == pace.version)
