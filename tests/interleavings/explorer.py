"""Runs a few actors one call at a time, in every order that is worth trying.

An actor is a thread that holds a baton while it works. Before each call to the outside it hands the
baton to whichever actor the schedule says, so that a schedule decides everything: the same one
leads to the same calls, answers and rows. Nothing here knows what the actors do.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random


class Strike(StrEnum):
    """What happens to one call, or to the invocation that makes it."""

    KILLED_BEFORE = "killed before"  # the invocation dies, and the call was not made
    KILLED_AFTER = "killed after"  # the invocation dies, and the call took effect
    THROTTLED = "throttled"  # refused: no effect
    LOST = "lost"  # it took effect, and the answer is lost
    ABORTED = "aborted"  # the execution is aborted, and what it waited for is killed

    def __repr__(self) -> str:
        """Return it as it is written in code, to be pasted with its schedule."""
        return f"Strike.{self.name}"


@dataclass(frozen=True)
class Schedule:
    """Which actor makes which call. Calls are counted from 0, over all actors.

    `first` makes the first call, and each actor goes on until the schedule names another one, or it
    waits or ends: then the first one that can go on does. `switches` are pairs of a call and the
    actor that makes it, `strikes` of a call and what happens to it.
    """

    first: int = 0
    switches: tuple[tuple[int, int], ...] = ()
    strikes: tuple[tuple[int, Strike], ...] = ()


@dataclass(frozen=True)
class Step:
    """One call of a trace: who made it, what it was, and who else could have made one."""

    actor: int
    call: str
    others: tuple[int, ...]


class Actor:
    """One of the threads. `wakes_at` is a time while it sleeps."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.wakes_at: float | None = None
        self.has_ended = False
        self._turn = threading.Semaphore(0)

    def wait_for_the_baton(self) -> None:
        self._turn.acquire()

    def take_the_baton(self) -> None:
        self._turn.release()


class StuckError(Exception):
    """The actors do not come to an end."""


class Baton:
    """Carries out one schedule. `trace` is what happened.

    `now` reads the clock that all actors share, and `move_to` sets it: time passes only when
    everybody sleeps, or when the schedule wakes somebody who does.
    """

    MOST_STEPS = 3000
    MOST_SECONDS = 60

    def __init__(
        self,
        schedule: Schedule,
        *,
        now: Callable[[], float],
        move_to: Callable[[float], None],
    ) -> None:
        self.schedule = schedule
        self.trace: list[Step] = []
        self._switches = dict(schedule.switches)
        self._strikes = dict(schedule.strikes)
        self._now, self._move_to = now, move_to
        self._actors: list[Actor] = []
        self._all_ended = threading.Semaphore(0)
        self._failures: list[BaseException] = []

    def run(self, programs: Sequence[Callable[[Actor], None]]) -> None:
        """Run a program per actor, all to their ends.

        Raises:
            BaseException: the first that a program raised, after all have ended.
        """
        self._actors = [Actor(number) for number in range(len(programs))]
        threads = [
            threading.Thread(target=self._play, args=(actor, program), daemon=True)
            for actor, program in zip(self._actors, programs, strict=True)
        ]
        for thread in threads:
            thread.start()
        self._choose(self._actors[self.schedule.first]).take_the_baton()
        if not self._all_ended.acquire(timeout=self.MOST_SECONDS):
            raise StuckError("an actor waits for something other than the baton")
        for thread in threads:
            thread.join()
        for failure in self._failures:
            raise failure

    def call(self, actor: Actor, what: str) -> Strike | None:
        """Return when it is the actor's turn to make a call, with what is to happen to it."""
        self._pass_on(actor)
        step = len(self.trace)
        if step >= self.MOST_STEPS:
            raise StuckError(f"{step} calls, the last one {what}")
        others = tuple(a.number for a in self._actors if not a.has_ended and a is not actor)
        self.trace.append(Step(actor.number, what, others))
        return self._strikes.get(step)

    def sleep(self, actor: Actor, seconds: float) -> None:
        """Return when an actor's time has passed, and it is its turn."""
        if seconds <= 0:
            return
        actor.wakes_at = self._now() + seconds
        self._pass_on(actor)
        self._move_to(max(self._now(), actor.wakes_at))
        actor.wakes_at = None

    def _play(self, actor: Actor, program: Callable[[Actor], None]) -> None:
        actor.wait_for_the_baton()
        try:
            program(actor)
        except BaseException as failure:  # noqa: BLE001 -- raised again by `run`
            self._failures.append(failure)
        actor.has_ended = True
        if all(other.has_ended for other in self._actors):
            self._all_ended.release()
        else:
            self._choose(actor).take_the_baton()

    def _pass_on(self, actor: Actor) -> None:
        chosen = self._choose(actor)
        if chosen is not actor:
            chosen.take_the_baton()
            actor.wait_for_the_baton()

    def _choose(self, current: Actor) -> Actor:
        """Return who makes the next call."""
        wanted = self._switches.get(len(self.trace))
        if wanted is not None and not self._actors[wanted].has_ended:
            return self._actors[wanted]
        able = [actor for actor in self._actors if not actor.has_ended]
        awake = [actor for actor in able if actor.wakes_at is None]
        if current in awake:
            return current
        return awake[0] if awake else min(able, key=lambda actor: actor.wakes_at or 0)


@dataclass(frozen=True)
class Bounds:
    """How many switches and strikes a schedule may have, and of which kinds the latter."""

    switches: int
    strikes: int = 0
    kinds: tuple[Strike, ...] = tuple(Strike)


@dataclass
class Found:
    """A schedule that breaks a rule: which, and the calls that led there."""

    schedule: Schedule
    broken: list[str]
    trace: list[Step] = field(repr=False)

    def describe(self, actors: Sequence[str]) -> str:
        """Return it as text: the schedule as a value to paste into a test, and what happened."""
        struck = dict(self.schedule.strikes)
        lines = [*(f"  broken: {text}" for text in self.broken), f"  {self.schedule!r}"]
        before = None
        for number, step in enumerate(self.trace):
            who = actors[step.actor] if step.actor != before else ""
            what = f" -- {struck[number]}" if number in struck else ""
            lines.append(f"  {number:4} {who:18} {step.call}{what}")
            before = step.actor
        return "\n".join(lines)


# Carries out a schedule from the beginning; returns its trace and what it broke.
Run = Callable[[Schedule], tuple[list[Step], list[str]]]


def within(run: Run, actors: int, bounds: Bounds) -> Iterator[tuple[Schedule, list[str]]]:
    """Carry out every schedule within these bounds, each once, those with the fewest events first.

    A switch that nobody asks for, because an actor waits or ends, does not count.
    """
    waiting = [Schedule(first=first) for first in range(actors)]
    while waiting:
        later: list[Schedule] = []
        for schedule in waiting:
            trace, broken = run(schedule)
            yield schedule, broken
            later += _followed(schedule, trace, bounds)
        waiting = later


def _followed(schedule: Schedule, trace: Sequence[Step], bounds: Bounds) -> Iterator[Schedule]:
    """Yield each schedule with one event more, after those that a schedule has."""
    switched = schedule.switches[-1][0] if schedule.switches else 0
    struck = schedule.strikes[-1][0] if schedule.strikes else -1
    for number, step in enumerate(trace):
        # A call may be struck that is the first after a switch, but not the other way round: what
        # is switched at a struck call is another schedule's.
        if len(schedule.switches) < bounds.switches and number > max(switched, struck):
            for other in step.others:
                switches = (*schedule.switches, (number, other))
                yield Schedule(schedule.first, switches, schedule.strikes)
        if len(schedule.strikes) < bounds.strikes and number > struck and number >= switched:
            for kind in bounds.kinds:
                strikes = (*schedule.strikes, (number, kind))
                yield Schedule(schedule.first, schedule.switches, strikes)


def at_random(
    run: Run, actors: int, *, seed: int, depth: int, strikes: int
) -> Iterator[tuple[Schedule, list[str]]]:
    """Carry out schedules without end, of random priorities that change at `depth` random calls.

    After the probabilistic concurrency testing of Burckhardt et al. (ASPLOS 2010): the actor of the
    highest priority goes on, and at each of the random calls it falls behind all others.
    """
    chance = Random(seed)
    length = len(run(Schedule())[0])
    while True:
        order = chance.sample(range(actors), actors)
        first, switches = order[0], []
        for number in sorted(chance.sample(range(1, max(length, depth + 2)), depth)):
            order.append(order.pop(0))
            switches.append((number, order[0]))
        struck = sorted(chance.sample(range(length), chance.randint(0, strikes)))
        schedule = Schedule(
            first,
            tuple(switches),
            tuple((number, chance.choice(tuple(Strike))) for number in struck),
        )
        trace, broken = run(schedule)
        length = max(length, len(trace))
        yield schedule, broken
