"""No order in which two or three steps make their calls breaks a rule, nor one call that fails.

A failure prints its schedule. Pasted into a test like the last ones here, it is a test case.
`make explore` goes on where this ends.
"""

from itertools import chain, islice

import pytest

from tests.interleavings.explorer import Bounds, Found, Schedule, at_random, within
from tests.interleavings.pairs import PAIRS, Pair, exploring

# Pairs that make no more calls than this are explored here with two switches; the others, and three
# steps at once, with one.
FEW_CALLS = 20
RANDOM = 15

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("pair", PAIRS.values(), ids=lambda pair: pair.name.replace(" ", "_"))
def test_no_interleaving_breaks_a_rule(pair: Pair) -> None:
    with exploring(pair) as exploration:
        actors = len(exploration.actors)
        is_short = actors == 2 and len(exploration.run(Schedule())[0]) <= FEW_CALLS
        systematic = within(exploration.run, actors, Bounds(switches=2 if is_short else 1))
        random = at_random(exploration.run, actors, seed=0, depth=2, strikes=2)
        for schedule, broken in chain(systematic, islice(random, RANDOM)):
            if broken:
                trace, _ = exploration.run(schedule)
                pytest.fail(Found(schedule, broken, trace).describe(exploration.actors))
        assert exploration.checked.total() > exploration.schedules


# What was found once


@pytest.mark.parametrize(
    ("pair", "schedule"),
    [
        ("a resume with a withdrawal of the run", Schedule(first=0, switches=((5, 1),))),
        ("SwitchUser with a withdrawal of its run", Schedule(first=1, switches=((3, 0),))),
        # Here the judge was wrong: a function's request is not in flight once its time is up.
        (
            "an apply beside what a dead execution left",
            Schedule(first=0, switches=((6, 1), (18, 1))),
        ),
    ],
)
def test_a_schedule_that_broke_a_rule_does_so_no_longer(pair: str, schedule: Schedule) -> None:
    with exploring(PAIRS[pair]) as exploration:
        assert exploration.run(schedule)[1] == []


def test_the_same_schedule_leads_to_the_same_calls() -> None:
    with exploring(PAIRS["DeleteUser with a resume"]) as exploration:
        schedule = Schedule(first=0, switches=((6, 1), (20, 0)))

        assert exploration.run(schedule) == exploration.run(schedule)
