"""The explorer itself, on actors that count: which orders it tries, and that each is repeatable."""

from collections.abc import Callable
from functools import partial
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interleavings.explorer import (
    Actor,
    Baton,
    Bounds,
    Found,
    Run,
    Schedule,
    Step,
    Strike,
    StuckError,
    at_random,
    within,
)

Program = Callable[[Baton, Actor, list[int]], None]


def runs(*programs: Program, wanted: int | None = None) -> Run:
    """Run programs that share a row with one number, which must be `wanted` in the end."""

    def run(schedule: Schedule) -> tuple[list[Step], list[str]]:
        clock, row = [0.0], [0]
        baton = Baton(
            schedule, now=lambda: clock[0], move_to=lambda moment: clock.__setitem__(0, moment)
        )
        baton.run([partial(_play, program, baton, row) for program in programs])
        return baton.trace, [] if wanted in (None, row[0]) else [f"{row[0]} is not {wanted}"]

    return run


def _play(program: Program, baton: Baton, row: list[int], actor: Actor) -> None:
    program(baton, actor, row)


def adds_one(baton: Baton, actor: Actor, row: list[int]) -> None:
    """Read a number, then write the next one, without a condition."""
    baton.call(actor, "read")
    before = row[0]
    baton.call(actor, "write")
    row[0] = before + 1


def calls(*names: str) -> Program:
    def program(baton: Baton, actor: Actor, row: list[int]) -> None:
        for name in names:
            baton.call(actor, name)

    return program


def test_a_lost_update_is_found_with_one_switch_and_its_schedule_finds_it_again() -> None:
    run = runs(adds_one, adds_one, wanted=2)

    found = [schedule for schedule, broken in within(run, 2, Bounds(switches=1)) if broken]

    assert found[0] == Schedule(first=0, switches=((1, 1),))
    trace, broken = run(found[0])
    assert broken == ["1 is not 2"]
    said = Found(found[0], broken, trace).describe(["one", "another"])
    assert "Schedule(first=0, switches=((1, 1),), strikes=())" in said
    assert [line.split() for line in said.splitlines()[-4:]] == [
        ["0", "one", "read"],
        ["1", "another", "read"],
        ["2", "write"],
        ["3", "one", "write"],
    ]


def test_every_order_is_tried_once_when_switches_are_not_bounded() -> None:
    run = runs(calls("a", "b", "c"), calls("x", "y", "z"))

    tried = list(within(run, 2, Bounds(switches=6)))
    orders = ["".join(step.call for step in run(schedule)[0]) for schedule, _ in tried]

    assert len(orders) == len(set(orders)) == 20  # 6 calls, of which 3 are the first actor's


@pytest.mark.parametrize(("switches", "expected"), [(0, 2), (1, 6), (2, 14)])
def test_schedules_with_fewer_switches_come_first(switches: int, expected: int) -> None:
    run = runs(calls("a", "b", "c"), calls("x", "y", "z"))

    numbers = [len(s.switches) for s, _ in within(run, 2, Bounds(switches=switches))]

    assert numbers == sorted(numbers)
    assert len(numbers) == expected


def test_each_call_is_struck_in_each_way() -> None:
    run = runs(calls("a", "b"))

    struck = {s.strikes for s, _ in within(run, 1, Bounds(switches=0, strikes=1))}

    assert struck == {(), *(((call, kind),) for call in range(2) for kind in Strike)}


def test_a_schedule_is_printed_as_it_is_written_in_code() -> None:
    schedule = Schedule(1, ((3, 0),), ((5, Strike.KILLED_AFTER),))

    text = "Schedule(first=1, switches=((3, 0),), strikes=((5, Strike.KILLED_AFTER),))"
    assert repr(schedule) == text
    assert eval(text) == schedule


def test_a_call_is_told_what_happens_to_it() -> None:
    told: list[Strike | None] = []

    def program(baton: Baton, actor: Actor, row: list[int]) -> None:
        told.extend(baton.call(actor, name) for name in ("a", "b"))

    runs(program)(Schedule(strikes=((1, Strike.LOST),)))

    assert told == [None, Strike.LOST]


def test_time_passes_when_all_sleep_and_whoever_wakes_first_goes_on() -> None:
    def sleeps(seconds: float) -> Program:
        def program(baton: Baton, actor: Actor, row: list[int]) -> None:
            baton.sleep(actor, seconds)
            baton.call(actor, f"after {seconds}")

        return program

    trace, _ = runs(sleeps(20), sleeps(10))(Schedule())

    assert [step.call for step in trace] == ["after 10", "after 20"]


def test_a_schedule_may_wake_whoever_sleeps_while_others_work() -> None:
    clock = [0.0]

    def sleeper(baton: Baton, actor: Actor, row: list[int]) -> None:
        baton.sleep(actor, 10)
        baton.call(actor, "wakes")

    def run(schedule: Schedule) -> tuple[list[str], float]:
        clock[0] = 0.0
        baton = Baton(
            schedule, now=lambda: clock[0], move_to=lambda moment: clock.__setitem__(0, moment)
        )
        works = calls("a", "b")
        baton.run([lambda actor: sleeper(baton, actor, []), lambda actor: works(baton, actor, [])])
        return [step.call for step in baton.trace], clock[0]

    assert run(Schedule()) == (["a", "b", "wakes"], 10)
    assert run(Schedule(switches=((1, 0),))) == (["a", "wakes", "b"], 10)


@given(seed=st.integers(0, 1000), depth=st.integers(1, 4))
def test_random_schedules_are_the_same_for_a_seed(seed: int, depth: int) -> None:
    run = runs(calls("a", "b", "c"), calls("x", "y"), calls("p"))

    def some() -> list[Schedule]:
        tried = at_random(run, 3, seed=seed, depth=depth, strikes=1)
        return [schedule for schedule, _ in islice(tried, 5)]

    assert some() == some()


def test_three_lost_updates_are_found_at_random() -> None:
    run = runs(adds_one, adds_one, adds_one, wanted=3)

    tried = islice(at_random(run, 3, seed=0, depth=2, strikes=0), 50)

    assert any("1 is not 3" in broken for _, broken in tried)


def test_what_an_actor_raises_is_raised_after_all_have_ended() -> None:
    ended = []

    def fails(baton: Baton, actor: Actor, row: list[int]) -> None:
        baton.call(actor, "a")
        raise ValueError("no")

    def works(baton: Baton, actor: Actor, row: list[int]) -> None:
        baton.call(actor, "b")
        ended.append("b")

    with pytest.raises(ValueError, match="no"):
        runs(fails, works)(Schedule())
    assert ended == ["b"]


def test_actors_that_never_end_are_noticed() -> None:
    def never_ends(baton: Baton, actor: Actor, row: list[int]) -> None:
        while True:
            baton.call(actor, "again")

    with pytest.raises(StuckError, match="3000 calls, the last one again"):
        runs(never_ends)(Schedule())
