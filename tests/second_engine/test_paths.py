"""Every path through the definition, on the second engine, with the real handlers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from bulk_user_deletion.rules.batches import BATCH_SIZE
from local.portal import Fault, Knobs
from tests.definition.loading import definition, machines, states, ways_out
from tests.second_engine.engine import Execution, SecondEngine

LARGEST_PAYLOAD = 32 * 1024
LARGEST_RESULT = 256 * 1024

TWO = {"mode": "apply", "source": {"users": ["118", "119"]}}

ONE_CANARY = {**TWO, "options": {"canary_users": 1}}

DISABLE = {**TWO, "action": "disable"}

# Pieces of paths: a word for each state that is entered, in order.
TOKEN = "BeginRun FetchUserIds RefreshToken"
PLAN = f"{TOKEN} FetchUserIds PreviewOrApply?"
BATCH = "NextBatch AnyUsersLeft? DeleteUsers"
USER = "DeleteUser Finished? Pace"
SWITCHES = "NextBatch AnyUsersLeft? SwitchUsers"
SWITCH = "SwitchUser Switched? PaceSwitches"
REPORT = "NextBatch AnyUsersLeft? ReportRun Succeeded?"
CANARY = f"{PLAN} {BATCH} {USER} NextBatch AnyUsersLeft?"
FAILED = "ReportRun Succeeded? RunFailed"
CLOSE = "FetchUserIds PreviewOrApply? ReportRun"

Setup = Callable[[SecondEngine], object]


def as_it_is(engine: SecondEngine) -> None:
    pass


@dataclass
class Path:
    """A path through the machine: the request, what goes wrong, the states, how it ends."""

    name: str
    states: str
    request: Any = field(default_factory=lambda: TWO)
    setup: Setup = as_it_is
    error: str = ""
    deleted: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)  # in addition to those deleted
    disabled: list[int] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    waits: list[float] | None = None


def trouble(function: str, *script: str | Callable[[], object] | None) -> Setup:
    def set_up(engine: SecondEngine) -> None:
        engine.trouble[function] = list(script)

    return set_up


def all_of(*setups: Setup) -> Setup:
    def set_up(engine: SecondEngine) -> None:
        for one in setups:
            one(engine)

    return set_up


def before(function: str, nth: int, what: Setup) -> Setup:
    """Make something happen right before the `nth` call of a function."""

    def set_up(engine: SecondEngine) -> None:
        engine.trouble[function] = [*[None] * (nth - 1), lambda: what(engine)]

    return set_up


def expire(engine: SecondEngine) -> None:
    engine.stack.portal.expire_tokens()


def expire_for_good(engine: SecondEngine) -> None:
    expire(engine)
    engine.stack.fill_credentials(application_key="wrong")


def always(which: Fault, **where: Any) -> Setup:
    return lambda engine: engine.stack.portal.faults.rate(which, 1, **where)


def lose_the_batch(engine: SecondEngine) -> None:
    (key,) = [key for key in engine.stack.keys() if "/batches/1-00001-" in key]  # noqa: SIM118
    engine.stack.s3.delete_object(Bucket="data", Key=key)


def go_on_deleting(engine: SecondEngine) -> None:
    """Cut a function off from its execution in the middle of a DELETE, for one wait."""

    def lease(until: int) -> None:
        engine.stack.table.update_item(
            Key={"pk": "run#run-1", "sk": "user#119"},
            UpdateExpression="SET #state = :intent, lease_until = :until",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":intent": "intent", ":until": until},
        )

    def cut_off() -> None:
        lease(2_000_000_000)
        engine.during_waits = lambda: lease(0)

    engine.trouble["ReportRun"] = [cut_off]


def take_a_moment(engine: SecondEngine) -> None:
    """Make the portal answer before a user is gone."""
    engine.stack.portal.knobs = Knobs(delete_mode="background", seconds_per_delete=0.5)
    engine.during_waits = lambda: time.sleep(0.6)


def disable_after_a_moment(engine: SecondEngine) -> None:
    """Make the portal answer a PUT before the user is disabled."""
    engine.stack.portal.knobs = Knobs(put_mode="ignored")

    def disabled() -> None:
        engine.stack.portal.edit(118, enabled="N")

    engine.during_waits = disabled


def already_disabled(engine: SecondEngine) -> None:
    """Disable a user with an earlier run."""
    engine.execute({**DISABLE, "source": {"users": ["120"]}}, "run-0")


def seen_before(engine: SecondEngine) -> None:
    engine.stack.fetch_user_ids(SCHEDULED, "run-0")


def ended_early(engine: SecondEngine) -> None:
    engine.stack.plan(["118"], "run-0")


def await_a_turn(engine: SecondEngine) -> None:
    """Cut a dead execution's function off in the middle of a DELETE, for one wait."""
    stack = engine.stack
    stack.plan(["120"], "run-0")
    stack.cut_off("120", for_seconds=200, run_id="run-0")

    def forget() -> None:
        stack.table.delete_item(Key={"pk": "run#run-0", "sk": "user#120"})

    engine.during_waits = forget


def close_the_window(engine: SecondEngine) -> None:
    """Let the change window end: the next one opens in an hour."""
    opens = datetime.now(UTC) + timedelta(hours=1)
    window = f"MON-SUN {opens:%H:%M}-{opens + timedelta(minutes=30):%H:%M}"
    engine.set_parameter("CHANGE_WINDOWS", window)


SCHEDULED = {
    "scheduled_time": "2026-11-20T20:00:00Z",
    "request": {"source": {"users": ["118"]}},
}

PATHS = [
    Path(
        "happy",
        f"{PLAN} {BATCH} {USER} {USER} {REPORT} RunSucceeded",
        deleted=[118, 119],
        waits=[60, 60],
    ),
    Path("preview", f"{PLAN} ReportRun Succeeded? RunSucceeded", {"source": TWO["source"]}),
    Path("refused", f"BeginRun FetchUserIds {FAILED}", {**TWO, "modus": 1}, error="RequestRefused"),
    Path(
        "over a cap",
        f"{TOKEN} FetchUserIds {FAILED}",
        {**TWO, "options": {"max_users": 1}},
        error="RequestRefused",
    ),
    Path(
        "a change window that ends",
        f"{CANARY} CheckLosses NextBatch AnyUsersLeft? ResumeAtNextWindow {FAILED}",
        ONE_CANARY,
        before("NextBatch", 2, close_the_window),
        error="RunPaused",
        deleted=[118],
    ),
    Path(
        "a change window that ends, when nothing can be started",
        f"{CANARY} CheckLosses NextBatch AnyUsersLeft? ResumeAtNextWindow {FAILED}",
        ONE_CANARY,
        all_of(
            before("NextBatch", 2, close_the_window),
            lambda engine: engine.delete_started_machine(),
        ),
        error="StepFunctions.StateMachineDoesNotExistException",
        deleted=[118],
    ),
    Path(
        "an event that another run has taken",
        "BeginRun FetchUserIds PreviewOrApply? NothingToDo",
        SCHEDULED,
        seen_before,
    ),
    Path(
        "another run's end to wait for",
        "BeginRun FetchUserIds PreviewOrApply? AwaitTurn FetchUserIds PreviewOrApply?"
        f" {BATCH} {USER} {USER} {REPORT} RunSucceeded",
        setup=await_a_turn,
        deleted=[118, 119],
    ),
    Path(
        "an order",
        "BeginRun FetchUserIds PreviewOrApply? NothingToDo",
        {"stop": {"reason": "upgrade", "by": "platform team"}},
    ),
    Path(
        "a run to close",
        f"BeginRun FetchUserIds PreviewOrApply? {FAILED}",
        {"close": "run-0"},
        ended_early,
        error="RunStopped",
    ),
    Path("no token to be had", f"{TOKEN} {FAILED}", TWO, expire_for_good, "CredentialsRefused"),
    Path(
        "token always rejected",
        f"{TOKEN} " + "FetchUserIds RefreshToken " * 5 + FAILED,
        setup=always(Fault.UNAUTHORIZED, method="GET"),
        error="CredentialsRefused",
    ),
    Path(
        "token rejected once",
        f"{PLAN} {BATCH} {USER} DeleteUser RefreshTokenForUser {USER} {REPORT} RunSucceeded",
        setup=before("DeleteUser", 2, expire),
        deleted=[118, 119],
    ),
    Path(
        "token always rejected for one user",
        f"{PLAN} {BATCH} {USER} "
        + "DeleteUser RefreshTokenForUser " * 6
        + f"LeftToTheReport {REPORT} RunFailed",
        setup=always(Fault.SESSION_EXPIRED, method="GET", user_id=119),
        error="RunStopped",
        deleted=[118],
    ),
    Path(
        "token rejected before the report",
        f"{PLAN} {BATCH} {USER} {USER} NextBatch AnyUsersLeft?"
        " ReportRun RefreshTokenForReport ReportRun Succeeded? RunSucceeded",
        setup=before("ReportRun", 1, expire),
        deleted=[118, 119],
    ),
    Path(
        "no token for the report",
        f"{PLAN} {BATCH} {USER} {USER} NextBatch AnyUsersLeft?"
        " ReportRun RefreshTokenForReport LookNoMore ReportRun Succeeded? RunSucceeded",
        setup=before("ReportRun", 1, expire_for_good),
        deleted=[118, 119],
    ),
    Path(
        "losses looked for after the canary",
        f"{CANARY} CheckLosses {BATCH} {USER} {REPORT} RunSucceeded",
        ONE_CANARY,
        deleted=[118, 119],
    ),
    Path(
        "token rejected before losses are looked for",
        f"{CANARY} CheckLosses RefreshTokenForLosses CheckLosses {BATCH} {USER} {REPORT}"
        " RunSucceeded",
        ONE_CANARY,
        before("CheckLosses", 1, expire),
        deleted=[118, 119],
    ),
    Path(
        "no token to look for losses",
        f"{CANARY} CheckLosses RefreshTokenForLosses"
        " ReportRun RefreshTokenForReport LookNoMore ReportRun Succeeded? RunFailed",
        ONE_CANARY,
        before("CheckLosses", 1, expire_for_good),
        error="RunStopped",
        deleted=[118],
    ),
    Path(
        "losses that cannot be looked for",
        f"{CANARY} CheckLosses {FAILED}",
        ONE_CANARY,
        trouble("CheckLosses", "ZeroDivisionError"),
        error="ZeroDivisionError",
        deleted=[118],
    ),
    Path(
        "a loss after the canary",
        f"{CANARY} CheckLosses {REPORT} RunFailed",
        ONE_CANARY,
        lambda engine: setattr(engine.stack.portal, "knobs", Knobs(takes_along={118: (130,)})),
        error="RunStopped",
        deleted=[118],
        lost=[130],
    ),
    Path(
        "retry, then success",
        f"{PLAN} {BATCH} {USER} {USER} {REPORT} RunSucceeded",
        setup=trouble("NextBatch", "StoreUnavailable", "Lambda.TooManyRequestsException"),
        deleted=[118, 119],
        calls={"NextBatch": 4},
    ),
    Path(
        "retries spent",
        f"{PLAN} NextBatch {FAILED}",
        setup=trouble("NextBatch", *["StoreUnavailable"] * 6),
        error="StoreUnavailable",
        calls={"NextBatch": 6},
    ),
    Path(
        "an unknown error",
        f"{PLAN} {BATCH} DeleteUser LeftToTheReport {USER} {REPORT} RunFailed",
        setup=trouble("DeleteUser", "ZeroDivisionError"),
        error="UsersLeftOpen",
        deleted=[119],
        calls={"DeleteUser": 2},
    ),
    Path(
        "settle",
        f"{PLAN} {BATCH} DeleteUser Finished? Settle {USER} {REPORT} RunSucceeded",
        {**TWO, "source": {"users": ["118"]}},
        setup=take_a_moment,
        deleted=[118],
    ),
    Path(
        "canary stops",
        f"{PLAN} {BATCH} " + "DeleteUser Finished? Settle " * 8 + f"{USER} {REPORT} RunFailed",
        {**TWO, "options": {"canary_users": 1}},
        lambda engine: setattr(engine.stack.portal, "knobs", Knobs(delete_mode="ignored")),
        error="RunStopped",
    ),
    Path(
        "a batch that is gone",
        f"{PLAN} {BATCH} {FAILED}",
        setup=lambda engine: engine.functions.after.update(
            NextBatch=lambda: lose_the_batch(engine)
        ),
        error="States.Runtime",  # on AWS States.ItemReaderFailed; the Catch is for all
    ),
    Path(
        "a DELETE in progress when the run ends",
        f"{PLAN} {BATCH} {USER} {USER} {REPORT} AwaitLeases ReportRun Succeeded? RunSucceeded",
        setup=go_on_deleting,
        deleted=[118, 119],
    ),
    Path(
        "a report that cannot be written",
        f"{PLAN} {BATCH} {USER} {USER} NextBatch AnyUsersLeft? ReportRun OnceMore? ReportFailed",
        setup=trouble("ReportRun", "ZeroDivisionError"),
        error="ReportFailed",
        deleted=[118, 119],
    ),
    Path(
        "a closing that cannot report at first",
        f"BeginRun {CLOSE} OnceMore? AwaitRepair BeginAgain {CLOSE} Succeeded? RunFailed",
        {"close": "run-0"},
        all_of(ended_early, trouble("ReportRun", "Runtime.ImportModuleError")),
        error="RunStopped",
        waits=[3600],
    ),
    Path(
        "a closing that can never report",
        f"BeginRun {CLOSE} OnceMore? AwaitRepair BeginAgain {CLOSE} OnceMore? ReportFailed",
        {"close": "run-0"},
        all_of(ended_early, trouble("ReportRun", *["Runtime.ImportModuleError"] * 2)),
        error="ReportFailed",
        calls={"FetchUserIds": 2, "ReportRun": 2},
        waits=[3600],
    ),
    Path(
        "users to disable",
        f"{PLAN} {SWITCHES} {SWITCH} {SWITCH} {REPORT} RunSucceeded",
        DISABLE,
        disabled=[118, 119],
        waits=[0, 0],
    ),
    Path(
        "a user who is disabled after a moment",
        f"{PLAN} {SWITCHES} SwitchUser Switched? SettleSwitch {SWITCH} {REPORT} RunSucceeded",
        {**DISABLE, "source": {"users": ["118"]}},
        disable_after_a_moment,
        disabled=[118],
    ),
    Path(
        "losses looked for after a canary that is disabled",
        f"{PLAN} {SWITCHES} {SWITCH} NextBatch AnyUsersLeft? CheckLosses"
        f" {SWITCHES} {SWITCH} {REPORT} RunSucceeded",
        {**ONE_CANARY, "action": "disable"},
        disabled=[118, 119],
    ),
    Path(
        "token rejected once while users are disabled",
        f"{PLAN} {SWITCHES} {SWITCH} SwitchUser RefreshTokenForSwitch {SWITCH} {REPORT}"
        " RunSucceeded",
        DISABLE,
        before("SwitchUser", 2, expire),
        disabled=[118, 119],
    ),
    Path(
        "token always rejected for one user to disable",
        f"{PLAN} {SWITCHES} {SWITCH} "
        + "SwitchUser RefreshTokenForSwitch " * 6
        + f"SwitchLeftToTheReport {REPORT} RunFailed",
        DISABLE,
        always(Fault.SESSION_EXPIRED, method="GET", user_id=119),
        error="RunStopped",
        disabled=[118],
    ),
    Path(
        "an unknown error while users are disabled",
        f"{PLAN} {SWITCHES} SwitchUser SwitchLeftToTheReport {SWITCH} {REPORT} RunFailed",
        DISABLE,
        trouble("SwitchUser", "ZeroDivisionError"),
        error="UsersLeftOpen",
        disabled=[119],
        calls={"SwitchUser": 2},
    ),
    Path(
        "a batch to disable that is gone",
        f"{PLAN} {SWITCHES} {FAILED}",
        DISABLE,
        lambda engine: engine.functions.after.update(NextBatch=lambda: lose_the_batch(engine)),
        error="States.Runtime",  # on AWS States.ItemReaderFailed; the Catch is for all
    ),
    Path(
        "a daily run when nobody waits",
        "BeginRun FetchUserIds PreviewOrApply? NothingToDo",
        {"mode": "apply", "source": {"due": True}},
        calls={"FetchUserIds": 1},
    ),
    Path(
        "leavers to withdraw",
        "BeginRun FetchUserIds PreviewOrApply? NothingToDo",
        {"withdraw": {"users": ["120"], "reason": "on leave", "by": "hr"}},
        already_disabled,
        disabled=[120],
    ),
    Path(
        "access to give back",
        f"BeginRun FetchUserIds PreviewOrApply? {SWITCHES} {SWITCH} {REPORT} RunSucceeded",
        {"mode": "apply", "action": "enable", "source": {"users": ["120"]}},
        already_disabled,
    ),
    Path(
        "functions that are asleep",
        f"{PLAN} {BATCH} {USER} {USER} {REPORT} RunSucceeded",
        setup=all_of(
            *(
                trouble(function, *[f"Lambda.{name}"] * 3)
                for function, name in (
                    ("FetchUserIds", "CodeArtifactUserPendingException"),
                    ("RefreshToken", "ResourceNotReadyException"),
                    ("NextBatch", "ENINotReadyException"),
                    ("DeleteUser", "ResourceConflictException"),
                    ("ReportRun", "CodeArtifactUserPendingException"),
                )
            )
        ),
        deleted=[118, 119],
    ),
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_path_goes_through_its_states_to_its_end(engine: SecondEngine, path: Path) -> None:
    portal = engine.stack.portal
    there = portal.user_ids()
    for user_id in (118, 119, 120):
        portal.edit(user_id, enabled="Y", ldap="N")
    enabled = with_access(engine)
    path.setup(engine)

    ended = engine.execute(path.request)

    assert ended.states == path.states.split()
    assert (ended.status, ended.error) == ("FAILED" if path.error else "SUCCEEDED", path.error)
    assert there - portal.user_ids() == {*path.deleted, *path.lost}
    assert (enabled - with_access(engine)) & portal.user_ids() == set(path.disabled)
    writes = [request for request in engine.stack.writes() if request.status == 200]
    deletes = [request.user_id for request in writes if request.method == "DELETE"]
    assert set(path.deleted) <= set(deletes)
    assert len(deletes) == len(set(deletes))
    assert "DeleteUser" in path.states.split() or not deletes
    for function, number in path.calls.items():
        assert ended.calls[function] == number
    if path.waits:
        # The pause is counted from the DELETE's answer: some of it may have passed.
        assert ended.waits == pytest.approx(path.waits, abs=5)
    check_sizes(ended)


def with_access(engine: SecondEngine) -> set[int]:
    rows = engine.stack.portal.database.execute("SELECT user_id FROM user WHERE enabled = 'Y'")
    return {row["user_id"] for row in rows}


def check_sizes(ended: Execution) -> None:
    """Neither engine has AWS's limits: check that nothing comes near them."""
    for name, payloads in ended.payloads.items():
        assert max(len(payload.encode()) for payload in payloads) < LARGEST_PAYLOAD, name
    for end in ("Pace", "LeftToTheReport", "PaceSwitches", "SwitchLeftToTheReport"):
        for output in ended.payloads.get(end, []):
            assert len(output) * BATCH_SIZE < LARGEST_RESULT / 10


def test_the_paths_together_take_every_transition() -> None:
    """Each Next, each branch of each Choice and its default, and each Catch."""
    ways: dict[str, set[str]] = {name: set() for name in states(definition())}
    for machine in machines(definition()):
        for path in PATHS:
            entered = [name for name in path.states.split() if name in machine["States"]]
            for name, after in pairwise(entered):
                ways[name].add(after)
        for name, state in machine["States"].items():
            assert ways_out(state) <= ways[name], name
    assert {name for path in PATHS for name in path.states.split()} == set(ways)
