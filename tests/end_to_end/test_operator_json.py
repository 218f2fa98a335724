"""What each command tells a script: the keys of its one JSON document, on the real template."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from bulk_user_deletion_cli.main import main
from local.portal import Knobs
from tests.end_to_end.conftest import Application, Command, said
from tests.end_to_end.test_operator_leavers import leavers

ENDED = {
    "run_id", "status", "sentence", "action", "requested", "outcomes", "warnings", "exit_status",
}  # fmt: skip
ORDER = {"said", "execution"}
KEYS = {
    "accept-guard": {"error", "exit_status"},  # this stack has no guard
    "apply": ENDED,
    "check": {"file", "refused", "by", "entries", "doubts", "notes"},
    "doctor": {"findings", "wrong"},
    "due": {"leavers"},
    "enable": ENDED,
    "end-quiet": {"error", "exit_status"},  # this portal has asked for nothing
    "plan": {
        *("run_id", "sha256", "created_at", "portal_url", "mode", "action", "grace_days"),
        *("source", "reason", "requested_by", "portal_users", "enabled_users", "distinct"),
        *("last_day", "users", "limits", "estimate", "warnings", "refusal", "entries"),
    },
    "preview": ENDED,
    "report": {*ENDED, "reports"},
    "resume": ENDED,
    "roster": ENDED,
    "runs": {"runs"},
    "status": ENDED,
    "stop": ORDER,
    "verify": {"run_id", "agrees", "findings"},
    "watch": {
        *("run_id", "portal_url", "at", "portal_users", "sentence", "back", "held", "kept"),
        *("undecided", "list_is_short", "change", "preview"),
    },
    "withdraw": {*ORDER, "all_kept"},
}


@pytest.fixture
def told(
    application: Application, command: Command, tmp_path: Path
) -> dict[str, tuple[Result, dict[str, Any]]]:
    """Every command's result and document, after a life with each of them."""
    first, second, kept = leavers(application, 3)
    file = tmp_path / "leavers.csv"
    file.write_text(f"user_id\n{first}\n{second}\n")
    told: dict[str, tuple[Result, dict[str, Any]]] = {}

    def run(name: str, *arguments: object) -> dict[str, Any]:
        result = command(name, *arguments, "--json")
        told[name] = (result, said(result))
        return told[name][1]

    why = ("--reason", "a test", "--by", "me")
    run("check", file)
    run_id = run("preview", file)["run_id"]
    run("plan", run_id)
    application.portal.knobs = Knobs(delete_mode="ignored")
    stopped = run("apply", run_id, "--yes-delete", 2)["run_id"]
    run("stop", stopped, *why)
    application.portal.knobs = Knobs()
    run("resume", stopped, "--yes-delete", 2)
    run("status", stopped)
    run("report", stopped, "--out", tmp_path)
    run("verify", stopped)
    run("runs", "--limit", 2)
    disable = ("preview", "--action", "disable_then_delete", "--user", kept, "--json")
    command("apply", said(command(*disable))["run_id"], "--yes-disable-then-delete", 1)
    run("due")
    run("withdraw", kept, *why)
    run("enable", kept)
    everybody = [*application.portal.user_ids()]
    people = tmp_path / "people.csv"
    people.write_text("user_id\n" + "\n".join(map(str, everybody)))
    run("roster", people)
    run("watch")
    run("doctor")
    run("end-quiet", *why)
    run("accept-guard", 5, *why)
    return told


def test_each_command_tells_scripts_all_that_it_tells_people(
    told: dict[str, tuple[Result, dict[str, Any]]],
) -> None:
    assert set(told) == set(KEYS) == set(main.commands)
    for name, (result, document) in told.items():
        assert set(document) == KEYS[name], name
        assert document.get("exit_status", result.exit_code) == result.exit_code, name

    statuses = {name: result.exit_code for name, (result, _) in told.items()}
    assert {name for name, status in statuses.items() if status} == {
        *("apply", "end-quiet", "accept-guard"),
    }
    assert (statuses["apply"], statuses["end-quiet"]) == (1, 2)
    plan = told["plan"][1]
    assert [entry["outcome"] for entry in plan["entries"]] == ["would_delete"] * 2
    assert set(plan["entries"][0]) == {
        *("line", "entry", "user_id", "username", "email"),
        *("outcome", "reason_kind", "reason", "warning"),
    }
    assert plan["limits"]["max_users"] == 50
    assert told["stop"][1]["said"].startswith("Run ")
    assert "left 2 users open" in told["stop"][1]["said"]
    assert told["resume"][1]["outcomes"] == {"deleted": 2}
    assert len(told["runs"][1]["runs"]) == 2
    for finding in told["doctor"][1]["findings"]:
        assert set(finding) == {"what", "state", "said", "fix"}
    assert json.loads(told["preview"][0].stdout) == told["preview"][1]


def started(application: Application) -> list[str]:
    """The runs that commands started; meanwhile the stack itself closes others."""
    return [arn for arn in application.executions() if ":run-" in arn]


def test_an_unknown_run_is_told_by_every_command_that_names_one(
    application: Application, command: Command
) -> None:
    runs = started(application)

    for name in ("plan", "apply", "resume", "status", "report"):
        result = command(name, "no-such-run", "--json")

        assert result.exit_code == 2, result.output
        assert said(result)["error"].startswith("There is no run no-such-run."), name
    assert started(application) == runs
    stopped = command("stop", "no-such-run", "--reason", "why", "--json")
    assert "There is no run no-such-run" in said(stopped)["error"]
    assert "deleted" not in said(stopped)["error"]


def test_what_came_of_an_order_is_told_by_its_name(
    application: Application, command: Command
) -> None:
    run_id = application.apply(application.leavers(1)).id
    refused = command("stop", run_id, "--reason", "wrong list", "--json")
    [order] = [arn.rpartition(":")[2] for arn in application.executions() if ":stop-" in arn][:1]

    status = command("status", order, "--json")

    assert said(refused)["error"] == (
        f"Run {run_id} has ended SUCCEEDED: 1 of 1 entry deleted; nothing is left open. Nothing"
        " was stopped."
    )
    assert (status.exit_code, said(status)["sentence"]) == (2, said(refused)["error"])
