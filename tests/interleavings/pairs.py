"""Which steps are explored side by side, from which state, and how each exploration ends."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bulk_user_deletion.errors import TokenRejected
from bulk_user_deletion.models.users import Outcome
from local.portal import Knobs
from tests.functions.stack import EXECUTIONS
from tests.interleavings.explorer import Schedule, Step
from tests.interleavings.world import Performer, Snapshot, World, opened

FIRST, SECOND, THIRD = "105", "106", "107"
RUN = "run-1"
_DAY = 24 * 3600
_TO_WHOM = {"reason": "HR-1234", "by": "somebody"}
_STOP = {"stop": {"run_id": RUN, **_TO_WHOM}}
_WITHDRAW_RUN = {"withdraw": {"run_id": RUN, **_TO_WHOM}}
_RESUMES = 4

# Time starts at noon.
_MINUTES = {"CHANGE_WINDOWS": "MON-SUN 12:00-12:02"}
_WINDOW = range(12 * 3600, 12 * 3600 + 120)
_UNTIL_JUST_BEFORE_ITS_END, _BEYOND_ITS_END = 100, 30
_UNTIL_THE_NEXT = 23 * 3600 + 59 * 60

_DELETED = {Outcome.DELETED}
_ONE = {FIRST: _DELETED}
_BOTH = {FIRST: _DELETED, SECOND: _DELETED}

Program = Callable[[Performer], None]


@dataclass
class Scene:
    """A prepared world: who does what in it, and what must be so in the end.

    `users` are those whom plans name, `cap` is how many may be sent a DELETE within a day, `window`
    the seconds of a day in which that may be, and `end` does what is left to do, alone.
    """

    programs: Mapping[str, Program]
    end: Program
    users: tuple[str, ...] = (FIRST, SECOND)
    cap: int | None = None
    window: range = range(_DAY)


Prepare = Callable[[Performer], Scene]


@dataclass(frozen=True)
class Pair:
    """Two or three steps side by side. `parameters` are environment variables of the stack."""

    name: str
    prepare: Prepare
    parameters: Mapping[str, str] = field(default_factory=dict)


class Exploration:
    """Carries out schedules of one pair, each from the same state."""

    def __init__(self, world: World, pair: Pair) -> None:
        self.pair, self._world = pair, world
        for user_id in world.portal.user_ids():
            world.portal.edit(user_id, enabled="Y", ldap="N")
        self._scene = pair.prepare(world.somebody())
        self._was: Snapshot = world.take()
        self.actors = tuple(self._scene.programs)
        self.schedules = 0
        self.calls = 0
        self.checked: Counter[str] = Counter()

    def run(self, schedule: Schedule) -> tuple[list[Step], list[str]]:
        """Carry out a schedule; return what happened, and which rules were broken how."""
        world, scene = self._world, self._scene
        world.restore(self._was)
        judge = world.judge
        judge.planned, judge.cap, judge.window = {*scene.users}, scene.cap, scene.window
        trace = world.play(schedule, scene.programs)
        world.pass_time(1)  # what comes next is later than a stop
        scene.end(world.somebody())
        self.schedules += 1
        self.calls += len(trace)
        self.checked += judge.checked
        return trace, judge.broken


@contextmanager
def exploring(pair: Pair) -> Iterator[Exploration]:
    """Explore a pair, in a world of its own."""
    with opened(**pair.parameters) as world:
        yield Exploration(world, pair)


# What the actors do


def changes(function: str, user_id: str, batch_key: str) -> Program:
    """Let one child execution of a run change a user."""
    return lambda who: who.machine.change(function, user_id, batch_key, RUN)


def executes(request: Mapping[str, Any], name: str) -> Program:
    """Let an execution carry out a request."""

    def execute(who: Performer) -> None:
        who.machine.execute(request, name)

    return execute


def refreshes(rejected: str | None) -> Program:
    """Let a caller renew the token, whose last one was rejected."""

    def refresh(who: Performer) -> None:
        cause = f'{{"errorMessage": "{TokenRejected(rejected)}"}}'
        who.invoke(
            "refresh_token",
            {
                "run_id": RUN,
                "token": {"version_id": rejected, "renewals": 0},
                "rejection": {"Error": "TokenRejected", "Cause": cause},
            },
        )

    return refresh


# How it ends


def everybody_ends(users: Mapping[str, set[Outcome]], run_id: str = RUN) -> Program:
    """Report, close and resume a run as an operator would, until nothing of it is open.

    Then each of these users has one of these outcomes.
    """

    def end(who: Performer) -> None:
        counts = _reported(who, run_id)
        who.stack.ledger.portal.lift_stop()
        for number in range(_RESUMES):
            if not any(Outcome(outcome).is_open for outcome in counts):
                break
            name = f"{run_id}-resume-{number}"
            counts = who.machine.execute({"mode": "apply", "resume": run_id}, name)["counts"]
        judge = who.world.judge
        judge.holds(
            "nobody is lost",
            that=sum(counts.values()) == len(users),
            otherwise=f"run {run_id} has {counts}",
        )
        rows = {row.user_id: row for row in who.stack.ledger.users.read_all(run_id)}
        there = who.world.portal.user_ids()
        for user_id, outcomes in users.items():
            outcome = rows[user_id].outcome if user_id in rows else None
            is_gone = outcome in {Outcome.DELETED, Outcome.ALREADY_ABSENT}
            judge.holds(
                "nobody is lost",
                that=outcome in outcomes and is_gone == (int(user_id) not in there),
                otherwise=f"user {user_id} is {outcome} in the end",
            )

    return end


def _reported(who: Performer, run_id: str) -> Mapping[str, int]:
    """Return the counts of a run's report, once its execution or a closing has written it."""
    run = who.stack.ledger.runs.read(run_id)
    assert run is not None
    services = who.world.services
    if run.is_open and services.executions[run.execution_arn].status != "RUNNING":
        who.machine.execute({"close": run_id}, f"{run_id}-closing")
    elif run.is_open:
        name = run.execution_arn.removeprefix(EXECUTIONS)
        who.machine.report(run_id, name)
    report: Mapping[str, Any] = who.stack.read_json(f"runs/{run_id}/report.json")
    counts: Mapping[str, int] = report["counts"]
    return counts


# The pairs


def _handed_out(who: Performer, *users: str) -> dict[str, str]:
    """Plan to change users, and hand them out; return each one's batch key."""
    who.world.start(RUN)
    who.stack.plan([*users], RUN)
    return who.stack.hand_out(RUN)


def _delete_twice(who: Performer) -> Scene:
    program = changes("delete_user", FIRST, _handed_out(who, FIRST)[FIRST])
    return Scene({"one": program, "another": program}, everybody_ends(_ONE))


def _in_the_background(prepare: Prepare) -> Prepare:
    """Let the portal answer a DELETE at once, and carry it out a minute later."""

    def prepared(who: Performer) -> Scene:
        scene = prepare(who)
        who.world.portal.knobs = Knobs(delete_mode="background", seconds_per_delete=60)
        return scene

    return prepared


def _delete_and(name: str, program: Program, *, is_aborted: bool = False) -> Prepare:
    users = _BOTH if is_aborted else _ONE

    def prepare(who: Performer) -> Scene:
        keys = _handed_out(who, *users)
        if is_aborted:
            who.world.end(RUN, "ABORTED")
        deletes = changes("delete_user", FIRST, keys[FIRST])
        return Scene({"DeleteUser": deletes, name: program}, everybody_ends(users))

    return prepare


def _delete_twice_and_stop(who: Performer) -> Scene:
    program = changes("delete_user", FIRST, _handed_out(who, FIRST)[FIRST])
    programs = {"one": program, "another": program, "stop": executes(_STOP, "stop")}
    return Scene(programs, everybody_ends(_ONE))


def _delete_close_and_resume(who: Performer) -> Scene:
    keys = _handed_out(who, FIRST, SECOND)
    who.world.end(RUN, "ABORTED")
    programs = {
        "DeleteUser": changes("delete_user", FIRST, keys[FIRST]),
        "closing": executes({"close": RUN}, "closing"),
        "resume": executes({"mode": "apply", "resume": RUN}, "resume"),
    }
    return Scene(programs, everybody_ends(_BOTH))


def _switch_and(name: str, request: Mapping[str, Any] | None) -> Prepare:
    def prepare(who: Performer) -> Scene:
        keys = _handed_out(who, FIRST, SECOND)
        switches = changes("switch_user", FIRST, keys[FIRST])
        other = executes(request, name) if request else switches
        return Scene({"SwitchUser": switches, name: other}, _reported_only)

    return prepare


def _reported_only(who: Performer) -> None:
    """Report a run that disables both users, which nobody resumes.

    Somebody may have `failed` whose PUT was refused before the stop.
    """
    counts = _reported(who, RUN)
    known = {"disabled", "not_attempted", "unknown", "failed"}
    who.world.judge.holds(
        "nobody is lost",
        that=sum(counts.values()) == 2 and {*counts} <= known,
        otherwise=f"run {RUN} has {counts}",
    )


def _resume_and(name: str, request: Mapping[str, Any], end: Program) -> Prepare:
    def prepare(who: Performer) -> Scene:
        _handed_out(who, FIRST, SECOND)
        who.world.end(RUN, "ABORTED")
        who.machine.execute({"close": RUN}, "closing")
        who.world.pass_time(1)  # a stop of that second would refuse the resume
        return Scene({"resume": _RESUME, name: executes(request, name)}, end)

    return prepare


def _apply_beside_a_dead_execution(who: Performer) -> Scene:
    keys = _handed_out(who, FIRST)
    who.world.end(RUN, "ABORTED")
    apply = {"mode": "apply", "source": {"users": [FIRST, SECOND]}}

    def end(who: Performer) -> None:
        _reports("apply")(who)
        everybody_ends({FIRST: _GONE})(who)

    programs = {
        "DeleteUser": changes("delete_user", FIRST, keys[FIRST]),
        "apply": executes(apply, "apply"),
    }
    return Scene(programs, end)


_LEAVERS = {"LEAVER_ACTION": "disable_then_delete", "MAX_DISABLE_PERCENT": "100"}


def _due(who: Performer, *users: str) -> None:
    """Disable users, and let their grace time pass."""
    request = {"mode": "apply", "source": {"users": [*users]}, "action": "disable_then_delete"}
    who.machine.execute(request, "leaving")
    who.world.pass_time(31 * _DAY)


def _due_and_withdrawal(*, closes: bool = False) -> Prepare:
    ends = {FIRST: {Outcome.DELETED, Outcome.SKIPPED}, **({SECOND: _DELETED} if closes else {})}

    def prepare(who: Performer) -> Scene:
        _due(who, *ends)
        who.world.start(RUN)
        who.stack.fetch_user_ids({"mode": "apply", "source": {"due": True}}, RUN)
        keys = who.stack.hand_out(RUN)
        programs = {
            "DeleteUser": changes("delete_user", FIRST, keys[FIRST]),
            "withdrawal": executes({"withdraw": {"users": [FIRST], **_TO_WHOM}}, "withdrawal"),
        }
        if closes:
            who.world.end(RUN, "ABORTED")
            programs["closing"] = executes({"close": RUN}, "closing")
        return Scene(programs, everybody_ends(ends))

    return prepare


def _refresh_twice(who: Performer) -> Scene:
    who.world.start(RUN)
    refreshes(None)(who)
    version = who.world.token_version()
    return Scene({"one": refreshes(version), "another": refreshes(version)}, _has_a_token, users=())


def _refresh_and_delete(who: Performer) -> Scene:
    keys = _handed_out(who, FIRST)
    version = who.world.token_version()
    who.world.portal.expire_tokens()
    deletes = changes("delete_user", FIRST, keys[FIRST])
    return Scene({"DeleteUser": deletes, "RefreshToken": refreshes(version)}, everybody_ends(_ONE))


def _has_a_token(who: Performer) -> None:
    """The stored token is one that the portal accepts."""
    status = who.adapters.connect(None).look(FIRST).status
    who.world.judge.holds("nobody is lost", that=status == 200, otherwise=f"token: {status}")


def _two_applies(who: Performer) -> Scene:
    who.machine.execute({"mode": "preview", "source": {"users": [FIRST, SECOND]}}, "preview")
    sealed = {"run_id": "preview", "sha256": who.stack.plan_sha256("preview")}
    apply = {"mode": "apply", "plan": sealed}
    programs = {name: executes(apply, name) for name in ("apply-1", "apply-2")}
    return Scene(programs, _all_gone("apply-1", "apply-2"), cap=2)


def _daily_and_apply(who: Performer) -> Scene:
    _due(who, FIRST, SECOND)
    # The daily run may delete one of the two, or a person both that were not due, not three.
    apply = {"mode": "apply", "source": {"users": [SECOND, THIRD]}, "action": "delete"}
    programs = {
        "daily": executes({"mode": "apply", "source": {"due": True}}, "daily"),
        "apply": executes(apply, "apply"),
    }
    return Scene(programs, _reports("daily", "apply"), users=(FIRST, SECOND, THIRD), cap=2)


def _next_batch_and_stop(who: Performer) -> Scene:
    who.world.start(RUN)
    who.stack.plan([FIRST, SECOND], RUN)
    programs: dict[str, Program] = {
        "NextBatch": lambda who: who.machine.hand_out(RUN),
        "stop": executes(_STOP, "stop"),
    }
    return Scene(programs, everybody_ends(_BOTH))


def _next_batch_and_end_of_window(who: Performer) -> Scene:
    who.world.start(RUN)
    who.stack.plan([FIRST, SECOND], RUN)
    who.world.pass_time(_UNTIL_JUST_BEFORE_ITS_END)
    programs: dict[str, Program] = {
        "NextBatch": lambda who: who.machine.hand_out(RUN),
        "clock": lambda who: who.pass_time(_BEYOND_ITS_END),
    }
    return Scene(programs, everybody_ends(_BOTH), window=_WINDOW)


def _next_window_and(name: str, program: Program) -> Prepare:
    """Let a run be paused that would delete both users, and the next window open."""

    def prepare(who: Performer) -> Scene:
        who.world.start(RUN)
        who.stack.plan([FIRST, SECOND], RUN)
        who.world.pass_time(_UNTIL_JUST_BEFORE_ITS_END + _BEYOND_ITS_END)
        who.machine.hand_out(RUN)
        who.machine.report(RUN, RUN)
        [(resume, request)] = who.machine.continuations.items()
        who.world.pass_time(_UNTIL_THE_NEXT)
        programs = {"next window": executes(request, resume), name: program}
        return Scene(programs, everybody_ends(_BOTH), window=_WINDOW)

    return prepare


def _one_event_twice(who: Performer) -> Scene:
    request = {"mode": "apply", "source": {"users": [FIRST, SECOND]}}
    event = {"scheduled_time": "2026-11-02T12:00:00Z", "request": request}
    programs = {name: executes(event, name) for name in ("first", "second")}
    return Scene(programs, _all_gone("first", "second", plans=1))


def _all_gone(*runs: str, plans: int | None = None) -> Program:
    """Everybody is deleted by one of these runs; and no more than so many of them have a plan."""

    def end(who: Performer) -> None:
        _reports(*runs)(who)
        planned = [run for run in runs if who.stack.ledger.runs.read(run) and _is_sealed(who, run)]
        judge = who.world.judge
        if plans is not None:
            judge.holds(
                "one winner of each claim",
                that=len(planned) <= plans,
                otherwise=f"{planned} have a plan",
            )
        for run in planned:
            everybody_ends(dict.fromkeys(_BOTH, _GONE), run)(who)

    return end


_GONE = {Outcome.DELETED, Outcome.ALREADY_ABSENT}


def _is_sealed(who: Performer, run_id: str) -> bool:
    run = who.stack.ledger.runs.read(run_id)
    return bool(run and run.plan_sha256)


def _reports(*runs: str) -> Program:
    """Each of these runs that was opened has ended, with a report if it had a plan."""

    def end(who: Performer) -> None:
        for run_id in runs:
            run = who.stack.ledger.runs.read(run_id)
            if run and run.is_open:
                who.machine.execute({"close": run_id}, f"{run_id}-closing")
            run = who.stack.ledger.runs.read(run_id)
            who.world.judge.holds(
                "nobody is lost",
                that=run is None or not run.is_open,
                otherwise=f"run {run_id} is open",
            )

    return end


_RESUME = executes({"mode": "apply", "resume": RUN}, "resume")
_CLOSE = executes({"close": RUN}, "closing")

PAIRS = {
    pair.name: pair
    for pair in (
        Pair("DeleteUser with itself", _delete_twice),
        Pair("DeleteUser with itself, deleting takes a minute", _in_the_background(_delete_twice)),
        Pair("DeleteUser with the closing", _delete_and("closing", _CLOSE, is_aborted=True)),
        Pair("DeleteUser with a resume", _delete_and("resume", _RESUME, is_aborted=True)),
        Pair(
            "DeleteUser with a resume, deleting takes a minute",
            _in_the_background(_delete_and("resume", _RESUME, is_aborted=True)),
        ),
        Pair("DeleteUser with a stop", _delete_and("stop", executes(_STOP, "stop"))),
        Pair(
            "DeleteUser with a stop of the portal",
            _delete_and("stop", executes({"stop": _TO_WHOM}, "stop")),
        ),
        Pair("DeleteUser when due with a withdrawal", _due_and_withdrawal(), _LEAVERS),
        Pair("SwitchUser with itself", _switch_and("another", None), _LEAVERS),
        Pair("SwitchUser with a stop", _switch_and("stop", _STOP), _LEAVERS),
        Pair(
            "SwitchUser with a withdrawal of its run",
            _switch_and("withdrawal", _WITHDRAW_RUN),
            _LEAVERS,
        ),
        Pair("a resume with a stop", _resume_and("stop", _STOP, everybody_ends(_BOTH))),
        Pair(
            "a resume with a withdrawal of the run",
            _resume_and("withdrawal", _WITHDRAW_RUN, _reported_only),
            _LEAVERS,
        ),
        Pair("an apply beside what a dead execution left", _apply_beside_a_dead_execution),
        Pair("RefreshToken with itself", _refresh_twice),
        Pair("RefreshToken with DeleteUser", _refresh_and_delete),
        Pair("two applies of one plan", _two_applies),
        Pair(
            "the daily run with an apply",
            _daily_and_apply,
            {**_LEAVERS, "LEAVER_ACTION": "delete", "MAX_USERS_PER_DAY": "2"},
        ),
        Pair("NextBatch with a stop", _next_batch_and_stop),
        Pair("NextBatch with the end of its window", _next_batch_and_end_of_window, _MINUTES),
        Pair(
            "a paused run with a stop", _next_window_and("stop", executes(_STOP, "stop")), _MINUTES
        ),
        Pair("a paused run with a resume", _next_window_and("resume", _RESUME), _MINUTES),
        Pair("one event delivered twice", _one_event_twice),
        Pair("DeleteUser twice with a stop", _delete_twice_and_stop),
        Pair("DeleteUser with the closing and a resume", _delete_close_and_resume),
        Pair(
            "DeleteUser when due with a withdrawal and the closing",
            _due_and_withdrawal(closes=True),
            _LEAVERS,
        ),
    )
}
