"""What `watch` makes of what the stack found; an end-to-end test runs it."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion_cli import watch as command
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.doctor import State, _watch_schedule
from bulk_user_deletion_cli.main import main
from bulk_user_deletion_cli.watch import cells, next_steps


def a_user(user_id: str = "300", **fields: Any) -> dict[str, Any]:
    """Somebody whom run-1 deleted as user 118, and who is back with another id."""
    return {
        "user_id": user_id,
        "what": "back",
        "enabled": True,
        "first_seen_at": "2026-11-20T20:00:00Z",
        "is_new": True,
        "by": ["username"],
        "was": "deleted",
        "was_user_id": "118",
        "was_at": "2026-11-01T12:00:00Z",
        "run_id": "run-1",
        **fields,
    }


def found(*users: dict[str, Any], **fields: Any) -> dict[str, Any]:
    listed = [user["user_id"] for user in users if user["what"] != "possibly"]
    return {
        "run_id": "watch-1",
        "sentence": "1 of 40 users is back.",
        "back": list(users),
        "kept": [],
        "preview": {"source": {"users": listed}} if listed else None,
        **fields,
    }


@pytest.mark.parametrize(
    ("user", "said"),
    [
        (
            a_user(),
            "300|back, new|2026-11-20 20:00|enabled|username|deleted 2026-11-01 12:00 as 118|run-1",
        ),
        (
            a_user("118", what="enabled_again", is_new=False, was="disabled", by=["id"]),
            "118|enabled again|2026-11-20 20:00|enabled|id|disabled 2026-11-01 12:00|run-1",
        ),
        # From a record of an earlier version.
        (
            a_user(what="possibly", enabled=None, was_user_id="", was_at="", by=["email"]),
            "300|possibly, new|2026-11-20 20:00|not known|email|deleted|run-1",
        ),
        (
            a_user(enabled=False, run_id=""),
            "300|back, new|2026-11-20 20:00|disabled|username|deleted 2026-11-01 12:00 as 118|",
        ),
    ],
)
def test_a_user_is_told_by_id_with_who_it_was(user: dict[str, Any], said: str) -> None:
    assert "|".join(cells(user)) == said


def test_the_next_step_is_a_preview_by_id() -> None:
    assert next_steps(found()) == []
    assert next_steps(found(a_user("300"), a_user("301"), a_user("9", what="possibly"))) == [
        "Preview them: bulk-user-deletion preview --user 300 --user 301",
        'Or start the state machine with {"source": {"users": ["300", "301"]}}',
    ]
    [step] = next_steps(found(*(a_user(str(number)) for number in range(300, 330))))
    assert step == "Preview them with the request under `preview` in runs/watch-1/watch.json"


def run(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], *options: str) -> Result:
    """Run the command against a stack whose watch found this, or ended with this error."""
    succeeded = "error" not in answer
    status = ExecutionStatus.SUCCEEDED if succeeded else ExecutionStatus.FAILED
    execution = SimpleNamespace(
        name="watch-1", succeeded=succeeded, status=status, cause=answer.get("error", "")
    )
    started: list[object] = []
    deployment = SimpleNamespace(
        start=lambda request, kind: started.append((request, kind)),
        bucket=SimpleNamespace(read_watch=lambda run_id: answer),
    )
    monkeypatch.setattr(command, "Deployment", lambda _: deployment)
    monkeypatch.setattr(command, "wait", lambda deployment, arn: execution)
    result = CliRunner().invoke(main, ["watch", *options])
    assert started == [({"check": "population"}, "watch")]
    return result


def test_everybody_who_is_back_is_shown_and_the_last_line_is_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = found(a_user(), kept=["301"])

    shown = run(monkeypatch, answer)
    as_json = run(monkeypatch, answer, "--json")

    assert shown.exit_code == as_json.exit_code == 0
    assert "1 of 40 users is back." in shown.stdout
    assert "Back, and kept by a rule: 301." in shown.stdout
    assert "bulk-user-deletion preview --user 300" in shown.stdout
    assert json.loads(as_json.stdout) == answer
    assert "1 of 40 users is back." in as_json.stderr


def test_where_nobody_is_back_no_table_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = found(sentence="Nobody is back among 40 users.")

    assert run(monkeypatch, answer).stdout == "Nobody is back among 40 users.\n"


def test_more_users_than_a_terminal_shows_are_in_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_SHOWN", 1)

    assert "the first 1; --json has all" in run(monkeypatch, found(a_user(), a_user("301"))).stdout


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("The portal did not answer. Report: s3://data/x", "The portal did not answer.\n"),
        ("", "The watch ended FAILED.\n"),
    ],
)
def test_a_watch_that_fails_says_why(
    monkeypatch: pytest.MonkeyPatch, cause: str, said: str
) -> None:
    result = run(monkeypatch, {"error": cause})

    assert (result.exit_code, result.stderr) == (1, f"Error: {said}")


# doctor


@pytest.mark.parametrize(
    ("parameters", "state", "said"),
    [
        ({}, State.WELL, "none is set"),
        ({"WatchScheduleExpression": ""}, State.WELL, "none is set"),
        ({"WatchScheduleExpression": "rate(1 day)"}, State.WRONG, "rate(1 day) (UTC) is off"),
    ],
)
def test_doctor_says_when_the_watch_is_scheduled_and_whether_it_is_on(
    parameters: dict[str, str], state: State, said: str
) -> None:
    schedule = {"ScheduleExpression": "rate(1 day)", "State": "DISABLED"}
    deployment = SimpleNamespace(parameters=parameters, schedule=lambda _: schedule)

    finding = _watch_schedule("Schedule of the watch", cast("Deployment", deployment))

    assert finding.state is state
    assert said in finding.said
