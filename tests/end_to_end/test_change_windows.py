"""Change windows on the real template: a run over three evenings, and what happens in between."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bulk_user_deletion.rules.windows import LAST_SECONDS, windows_of
from bulk_user_deletion_cli.main import main
from local.engine import Engine
from local.engine.jumping import JumpError
from local.portal import Knobs, PortalSimulator
from tests.end_to_end.conftest import WAIT_SCALE, Application

WINDOWS = "MON-SUN 20:00-21:00"
OPEN = windows_of(WINDOWS, "UTC")

USERS_AN_EVENING = 4


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    """A stack that deletes only in the evening, on its own engine: its time jumps."""
    with Engine(wait_scale=WAIT_SCALE) as aws, PortalSimulator(users=300) as portal:
        application = Application(
            aws,
            "evenings",
            portal,
            ChangeWindows=WINDOWS,
            ProtectedList="protected.csv",
            CanaryUsers="1",
            MaxPercentPerDay="100",
        )
        application.without_schedules()
        application.put("protected.csv", b"user,until,reason\n")
        yield application


def seconds_to(application: Application, hour: int, second: int) -> float:
    now = datetime.fromtimestamp(application.aws.now(), UTC)
    moment = now.replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(seconds=second)
    return (moment - now).total_seconds() % 86_400


def next_evening(application: Application) -> None:
    """Let time pass until the next window opens."""
    until(lambda: jumps(application, seconds_to(application, 20, 1)), "time could not jump")


def jumps(application: Application, seconds: float) -> bool:
    """Jump, unless an execution is between two waits right now."""
    try:
        application.aws.jump(seconds)
    except JumpError:
        return False
    return True


def until(what: Callable[[], Any], otherwise: str) -> Any:
    deadline = time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
    return found


class Evenings:
    """A run of these users that begins late in an evening, and is watched in the next ones."""

    def __init__(self, application: Application, users: list[int]) -> None:
        self.application = application
        self.portal = application.portal
        self.portal.knobs = Knobs(seconds_per_delete=0.2)
        self.before = len(self.portal.requests)
        next_evening(application)
        source = {"users": [str(user) for user in users]}
        self.arn = application.start_execution({"mode": "apply", "source": source})
        self.run_id = self.arn.rpartition(":")[2]

    def end_after(self, number: int) -> None:
        """Let the window end for new users while another user is being deleted."""
        wanted = len(self.deletes()) + number
        until(lambda: len(self.deletes()) >= wanted, "nobody was deleted")
        aws = self.application.aws
        aws.time.let_pass(seconds_to(self.application, 21, 1 - LAST_SECONDS))

    def reported(self) -> dict[str, Any]:
        """Wait for the end of the execution in progress; return its report."""
        execution = self.application.wait(self.arn)
        assert execution["status"] in {"SUCCEEDED", "FAILED"}
        report = self.application.read_json(f"runs/{self.run_id}/report.json")
        assert sum(report["counts"].values()) == report["requested"]
        return dict(report)

    def continuation(self) -> str:
        """Return the execution that waits to resume the run."""

        def waiting() -> str:
            windows = [arn for arn in self.application.executions() if arn.endswith("-window")]
            running = [arn for arn in windows if self.application.is_running(arn)]
            return running[0] if running else ""

        self.arn = until(waiting, "nothing waits for the next window")
        return self.arn

    def verified(self) -> Result:
        """Compare what is kept of the run, as an operator does."""
        runner = CliRunner(env=self.application.aws.environment)
        return runner.invoke(main, ["--stack-name", "evenings", "verify", self.run_id])

    def running(self) -> list[str]:
        """Return the executions in progress."""
        executions = self.application.executions()
        return [arn for arn in executions if self.application.is_running(arn)]

    def deletes(self) -> list[tuple[int | None, datetime]]:
        return [
            (request.user_id, datetime.fromtimestamp(request.when, UTC))
            for request in self.portal.requests[self.before :]
            if request.method == "DELETE"
        ]


def test_rule_13_a_run_over_three_evenings_deletes_nobody_outside_of_them_and_each_user_once(
    application: Application,
) -> None:
    portal = application.portal
    leavers = application.leavers(14)
    protected = leavers[-1]
    others = portal.user_ids() - set(leavers)

    evenings = Evenings(application, leavers)
    evenings.end_after(USERS_AN_EVENING)
    report = evenings.reported()
    assert report["status"] == "PAUSED"
    application.put("protected.csv", f"user,until,reason\n{protected},2099-01-01,stays\n".encode())
    for ends_early in (True, False):
        evenings.continuation()
        next_evening(application)
        if ends_early:
            evenings.end_after(USERS_AN_EVENING)
        report = evenings.reported()

    assert report["counts"] == {"deleted": 13, "skipped": 1}
    assert report["status"] == "SUCCEEDED"
    assert [user_id for user_id, _ in evenings.deletes()] == leavers[:-1]
    assert all(OPEN.is_open(when.timestamp()) for _, when in evenings.deletes())
    assert len({when.date() for _, when in evenings.deletes()}) == 3
    assert portal.user_ids() == others | {protected}
    application.put("protected.csv", b"user,until,reason\n")


def test_rule_8_a_run_that_is_stopped_between_two_evenings_is_reported_and_goes_no_further(
    application: Application,
) -> None:
    evenings = Evenings(application, application.leavers(12))
    evenings.end_after(USERS_AN_EVENING)
    assert evenings.reported()["status"] == "PAUSED"
    paused = evenings.verified()
    assert paused.exit_code == 0, paused.output
    deleted = evenings.deletes()
    evenings.continuation()

    order = {"stop": {"run_id": evenings.run_id, "reason": "wrong list", "by": "night shift"}}
    application.order(order)
    next_evening(application)
    report = evenings.reported()

    assert report["status"] == "STOPPED"
    assert "wrong list" in report["sentence"]
    assert report["counts"] == {"deleted": len(deleted), "not_attempted": 12 - len(deleted)}
    assert evenings.deletes() == deleted
    stopped = evenings.verified()
    assert stopped.exit_code == 0, stopped.output


def test_a_run_that_is_aborted_in_a_window_is_closed_and_not_resumed_by_itself(
    application: Application,
) -> None:
    evenings = Evenings(application, application.leavers(12))
    until(evenings.deletes, "nobody was deleted")

    application.abort(evenings.arn)
    report = application.closed(evenings.arn)

    assert report["status"] == "STOPPED"
    assert "ABORTED" in report["sentence"]
    until(lambda: not evenings.running(), "an execution waits for the next window")
    before = evenings.deletes()
    next_evening(application)
    assert evenings.deletes() == before


def test_when_the_execution_that_waits_for_a_window_is_aborted_the_run_says_so(
    application: Application,
) -> None:
    evenings = Evenings(application, application.leavers(12))
    evenings.end_after(USERS_AN_EVENING)
    assert evenings.reported()["status"] == "PAUSED"

    application.abort(evenings.continuation())

    def stopped() -> bool:
        report = application.read_json(f"runs/{evenings.run_id}/report.json")
        return bool(report["status"] == "STOPPED")

    until(stopped, "the run is still reported as paused")
