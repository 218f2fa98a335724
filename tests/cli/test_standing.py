"""`runs`: which are listed, on a terminal of 80 columns and in a pipe."""

import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Mode, RunStatus
from bulk_user_deletion_cli import standing
from bulk_user_deletion_cli.deployment import Execution
from bulk_user_deletion_cli.main import main

LONG = f"{'8f14e45f-ceea-467f-a0e6-d2f5c1a6b7c8_' * 2}"  # as EventBridge names executions
STATUSES = [RunStatus.SUCCEEDED, RunStatus.INCOMPLETE, RunStatus.PREVIEWED, RunStatus.SUCCEEDED]


class Listed:
    """A stack with these runs, the newest first, and an order after each."""

    def __init__(self, statuses: list[RunStatus]) -> None:
        self.names = [f"run-{number}-{LONG}" for number in range(len(statuses))]
        self.resumed: dict[str, str] = {}  # by which execution
        self.reports = dict(zip(self.names, statuses, strict=True))
        self.ledger = SimpleNamespace(runs=SimpleNamespace(id_of=lambda name: name, read=self._row))
        self.bucket = SimpleNamespace(read_report=self._report)

    def _row(self, name: str) -> Any:
        if name not in self.reports:
            return None
        return SimpleNamespace(
            run_id=name,
            execution_arn=self.resumed.get(name, f"arn:{name}"),
            started_at=1_800_000_000,
            mode=Mode.APPLY,
            action=Action.DISABLE_THEN_DELETE,
            trigger="file drop",
            source="s3://a-data-bucket-with-a-long-name/inbox/leavers of the last\tmonth.csv",
        )

    def _report(self, name: str, _: str) -> bytes:
        return json.dumps({"status": self.reports[name], "sentence": ""}).encode()

    def executions(self) -> list[str]:
        return [f"arn:{name}" for run in self.names for name in (run, f"stop-{run}")]

    def execution(self, arn: str) -> Execution:
        return Execution(
            arn=arn,
            name=arn.rpartition(":")[2],
            status=ExecutionStatus.RUNNING if "resume" in arn else ExecutionStatus.SUCCEEDED,
            started_at=datetime(2026, 11, 25, tzinfo=UTC),
            output={},
        )


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> Result:
    monkeypatch.setattr(standing, "Deployment", lambda _: Listed(STATUSES))
    return CliRunner().invoke(main, ["runs", *options])


def test_in_a_pipe_each_run_is_a_line_of_cells_between_tabs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names, *lines = run(monkeypatch).stdout.splitlines()

    assert names.split("\t")[:3] == ["run", "started_at", "status"]
    assert [line.split("\t")[2] for line in lines] == STATUSES
    assert {line.count("\t") for line in lines} == {names.count("\t")}


def test_on_a_terminal_of_80_columns_no_line_is_longer_and_ids_are_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = io.StringIO()
    console = Console(file=text, width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr(standing, "make_console", lambda *, as_json: console)

    run(monkeypatch)

    lines = text.getvalue().splitlines()
    ids = {f"run-{number}-{LONG}" for number in range(len(STATUSES))}
    assert ids <= set(lines)
    assert max(len(line) for line in lines if line not in ids) <= 80
    assert "SUCCEEDED  apply, disable  file drop" in text.getvalue()


@pytest.mark.parametrize(
    ("options", "listed"),
    [
        (["--limit", "2"], STATUSES[:2]),
        (["--status", "INCOMPLETE"], ["INCOMPLETE"]),
        (["--status", "succeeded", "--limit", "1"], ["SUCCEEDED"]),
        (["--status", "SUCCEEDED", "--status", "PREVIEWED"], [*STATUSES[:1], *STATUSES[2:]]),
        (["--status", "STOPPED"], []),
    ],
)
def test_runs_are_listed_by_status_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, options: list[str], listed: list[str]
) -> None:
    as_json = run(monkeypatch, *options, "--json")
    as_text = run(monkeypatch, *options)

    assert [line["status"] for line in json.loads(as_json.stdout)["runs"]] == listed
    if not listed:
        assert (as_text.stdout, as_text.stderr) == ("", "There is no run that is STOPPED.\n")


def test_there_is_no_run_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "Deployment", lambda _: Listed([]))

    assert CliRunner().invoke(main, ["runs"]).stderr == "There is no run.\n"


def test_a_run_that_is_being_resumed_is_running_whatever_its_report_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = Listed([RunStatus.STOPPED])
    stack.resumed[stack.names[0]] = "arn:resume-1"
    monkeypatch.setattr(standing, "Deployment", lambda _: stack)

    listed = json.loads(CliRunner().invoke(main, ["runs", "--json"]).stdout)["runs"]

    assert [line["status"] for line in listed] == ["RUNNING"]
