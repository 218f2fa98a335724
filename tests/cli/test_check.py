"""`bulk-user-deletion check`: a list is read locally, in the same way as a drop."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import RunStatus
from bulk_user_deletion.rules.planning import EMPTY
from bulk_user_deletion.rules.reporting import sentence
from bulk_user_deletion.sources import LARGEST_FILE
from bulk_user_deletion_cli.main import main


def check(path: Path, content: bytes, *options: str) -> Result:
    path.write_bytes(content)
    return CliRunner().invoke(main, ["check", str(path), *options])


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file, without access to AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    return tmp_path / "leavers.csv"


def test_it_says_who_is_named_and_by_which_column(path: Path) -> None:
    result = check(path, b"User name,Mail\nuser0018,\n,user0019@example.com\n")

    assert result.exit_code == 0
    assert "user0018" in result.stdout
    assert "leavers.csv names 2 entries: 1 by username; 1 by email." in result.stdout


def test_it_says_the_very_sentence_that_a_drop_would_get(path: Path) -> None:
    result = check(path, b"email\nuser0018\n", "--json")

    why = (
        "The value in line 2, column email is not an e-mail address: it has no @. If the column"
        " holds usernames, call it username."
    )
    said = sentence(RunStatus.REFUSED, {}, action=Action.DELETE, why=why)
    assert result.exit_code == 2
    assert said in result.stderr
    assert json.loads(result.stdout)["refused"] == said


def test_an_empty_list_is_refused_as_a_drop_of_it(path: Path) -> None:
    result = check(path, b"user_id\n")

    assert result.exit_code == 2
    assert EMPTY in result.stdout


def test_a_file_larger_than_a_drop_may_be_is_refused_unread(path: Path) -> None:
    path.touch()
    with path.open("r+b") as file:
        file.truncate(LARGEST_FILE + 1)

    result = CliRunner().invoke(main, ["check", str(path)])

    assert result.exit_code == 2
    assert f"{LARGEST_FILE} are allowed" in result.stdout


def test_for_scripts_it_is_one_line_of_json(path: Path) -> None:
    content = b"user_id;username;status\n118;user0018;left\n119;;active\n120;user0020;left\n"
    result = check(path, content.replace(b"119;;", b"119;user0019;"), "--json")

    document = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert document["refused"] is None
    assert document["by"] == {"user_id and username": 3}
    assert document["entries"][0] == {"line": 2, "user_id": "118", "username": "user0018"}
    assert document["doubts"] == ["Column 3 holds a status, by which some are staying (line 3)."]
    assert document["notes"] == []


def test_what_may_not_be_deleted_unattended_is_reported(path: Path) -> None:
    result = check(path, b"username,Status\nuser0018,left\nuser0019,Active\n")

    assert result.exit_code == 0
    assert "Refused when unattended: Column 2 holds a status" in result.stdout
