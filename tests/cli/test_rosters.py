"""`roster`: what it asks the state machine for."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bulk_user_deletion_cli import rosters
from bulk_user_deletion_cli.main import main


class Started:
    """A deployment that only remembers what was started."""

    requests: list[dict[str, Any]]

    def __init__(self, _: str) -> None:
        pass

    def upload(self, file: Path) -> dict[str, Any]:
        return {"s3": {"bucket": "data", "key": f"uploads/1/{file.name}"}}

    def start(self, request: dict[str, Any]) -> str:
        Started.requests.append(request)
        return "arn"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    Started.requests = []
    monkeypatch.setattr(rosters, "Deployment", Started)
    end = type("End", (), {"exit_status": 0, "report": {}, "run_id": "run-1"})()
    monkeypatch.setattr(rosters, "follow", lambda *_, **__: end)
    return Started.requests


def test_a_file_is_uploaded_and_previewed_as_a_roster(
    started: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("user_id\n118\n", encoding="utf-8")

    result = CliRunner().invoke(main, ["roster", str(file), "--rows", "1", "--reason", "HR-1"])

    assert result.exit_code == 0, result.output
    [request] = started
    key = "uploads/1/people.csv"
    assert request["mode"] == "preview"
    assert request["source"] == {"roster": {"s3": {"bucket": "data", "key": key}, "rows": 1}}
    assert request["reason"] == "HR-1"


def test_a_dataset_is_previewed_as_a_roster(started: list[dict[str, Any]]) -> None:
    CliRunner().invoke(main, ["roster", "--dataset", "42"])

    assert started[0]["source"] == {"roster": {"dataset_id": 42}}


@pytest.mark.parametrize("arguments", [[], ["--dataset", "42", __file__]])
def test_exactly_one_roster_is_named(started: list[dict[str, Any]], arguments: list[str]) -> None:
    result = CliRunner().invoke(main, ["roster", *arguments])

    assert result.exit_code == 64
    assert not started
