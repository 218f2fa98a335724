"""`python -m local run`, as a user starts it."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.portal import PortalSimulator

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class Ended:
    """How a command ended, what it printed, and its last line as JSON."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.stdout.splitlines()[-1]))


def run(*arguments: str | Path) -> Ended:
    command = [sys.executable, "-m", "local", "run", *map(str, arguments)]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture
def portal() -> Iterator[PortalSimulator]:
    with PortalSimulator(users=100) as portal:
        yield portal


def access(portal: PortalSimulator, folder: Path, **other: str) -> list[str]:
    document = {
        "application_id": portal.application_id,
        "application_key": portal.application_key,
        "user": portal.api_user,
        **other,
    }
    file = folder / "credentials.json"
    file.write_text(json.dumps(document))
    return ["--portal-url", portal.url, "--credentials", str(file)]


def test_without_a_portal_25_of_400_simulated_users_are_deleted(tmp_path: Path) -> None:
    ended = run("--wait-scale", "0.002", "--out", tmp_path, "--json")

    assert ended.status == 0, ended.stderr
    assert ended.json["status"] == "SUCCEEDED"
    assert ended.json["outcomes"] == {"deleted": 25, "already_absent": 1, "skipped": 1}
    assert set(ended.json["reports"]) == {"html", "json", "csv"}
    with Path(ended.json["reports"]["csv"]).open(encoding="utf-8", newline="") as report:
        assert len(list(csv.DictReader(report))) == 27
    assert "25 of 25 users done" in ended.stderr
    assert "renewals" in ended.stderr
    assert "Secrets Manager accepts" not in ended.stderr  # true of the scaled clock alone
    assert str(tmp_path) in ended.stderr.replace("\n", "")


def test_another_portal_is_named_by_its_address_and_nothing_else_changes(
    portal: PortalSimulator, tmp_path: Path
) -> None:
    before = portal.user_ids()

    ended = run(
        *access(portal, tmp_path), "--event", "events/apply_list.json", "--wait-scale", "0.001",
        "--out", tmp_path, "--json",
    )  # fmt: skip

    assert ended.status == 0, ended.stderr
    assert portal.user_ids() == before - {118, 120, 121}


def test_a_dropped_file_starts_a_preview_by_default(
    portal: PortalSimulator, tmp_path: Path
) -> None:
    before = portal.user_ids()

    ended = run(
        *access(portal, tmp_path), "--drop", "events/leavers.csv", "--out", tmp_path, "--json",
    )  # fmt: skip

    assert ended.status == 0, ended.stderr
    assert ended.json["outcomes"] == {"would_delete": 3}
    assert portal.user_ids() == before


def test_a_refused_request_ends_with_status_2_and_the_reason(
    portal: PortalSimulator, tmp_path: Path
) -> None:
    before = portal.user_ids()

    ended = run(
        *access(portal, tmp_path), "--event", "events/apply_list.json", "--set", "MaxPercent=2",
        "--out", tmp_path, "--json",
    )  # fmt: skip

    assert ended.status == 2
    assert ended.json["status"] == "REFUSED"
    assert "MaxPercent allows 2 %" in ended.stderr.replace("\n", " ")
    assert portal.user_ids() == before


def test_wrong_credentials_end_with_status_1_and_say_what_to_check(
    portal: PortalSimulator, tmp_path: Path
) -> None:
    ended = run(
        *access(portal, tmp_path, application_key="wrong"), "--event", "events/apply_list.json",
        "--out", tmp_path,
    )  # fmt: skip

    assert ended.status == 1
    assert "application_key" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--portal-url", "http://127.0.0.1:9"], "go together"),
        (
            [
                "--portal-url",
                "http://127.0.0.1:9",
                "--credentials",
                "events/leavers.csv",
                "--drop",
                "events/leavers.csv",
            ],
            "must be a JSON object",
        ),
        (["--event", "events/apply_list.json", "--drop", "events/leavers.csv"], "exclude"),
        (["--set", "MaxUsers"], "Parameter=value"),
        (["--event", "no-such-file.json"], "does not exist"),
        (["--set", "Maxusers=5"], "Maxusers"),
        (["--set", "MaxPercent=101"], "MaxPercent"),
    ],
)
def test_invalid_arguments_are_refused_at_once(arguments: list[str], said: str) -> None:
    ended = run(*arguments)

    assert ended.status == 2
    assert said in ended.stderr
