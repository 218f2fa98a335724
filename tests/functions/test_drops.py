"""Drops by gateways: copies onto themselves, empty objects first, files that systems leave."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from openpyxl import Workbook

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.bucket_keys import LONGEST_KEY, result_key
from bulk_user_deletion.errors import RequestRefused, StoreUnavailable
from bulk_user_deletion.rules.drops import nothing_in
from tests.functions.machine import Machine
from tests.functions.stack import Stack, dropped

LIST = b"user_id\n118\n"
KEY = "inbox/leavers.csv"


def written_by(event: dict[str, Any], reason: str) -> dict[str, Any]:
    """The event with S3's name for how the object was written."""
    return {**event, "detail": {**event["detail"], "reason": reason}}


def answer(stack: Stack, key: str = KEY) -> Any:
    return stack.read_json(f"results/{key}.json")


# Copies onto themselves


def copied_onto_itself(stack: Stack) -> dict[str, Any]:
    """What a gateway does when only a file's time or owner changes."""
    copy = stack.s3.copy_object(
        Bucket="data",
        Key=KEY,
        CopySource={"Bucket": "data", "Key": KEY},
        MetadataDirective="REPLACE",
        Metadata={"mtime": "1"},
    )
    return {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {
            "bucket": {"name": "data"},
            "object": {"key": KEY, "version-id": copy["VersionId"], "sequencer": "0062"},
            "reason": "CopyObject",
        },
    }


def test_a_copy_onto_itself_does_nothing_and_the_answer_stays(stack: Stack) -> None:
    machine = Machine(stack)
    machine.execute(written_by(dropped(stack, LIST), "PutObject"), "run-1")
    before = len(stack.portal.requests)

    ended = machine.execute(copied_onto_itself(stack), "run-2")

    assert ended["nothing_because"].startswith("The file was copied onto itself")
    assert stack.portal.requests[before:] == []
    assert (answer(stack)["run_id"], answer(stack)["counts"]) == ("run-1", {"deleted": 1})
    run = stack.ledger.runs.read("run-2")
    assert run
    assert not run.is_open


def test_the_same_file_dropped_again_is_a_new_run(stack: Stack) -> None:
    """This is how to repeat a refused request, or to get a fresh preview."""
    machine = Machine(stack)
    machine.execute(written_by(dropped(stack, LIST), "PutObject"), "run-1")

    again = machine.execute(written_by(dropped(stack, LIST), "PutObject"), "run-2")

    assert again["status"] == "NOBODY_DELETED"
    assert answer(stack)["run_id"] == "run-2"


def test_a_copy_with_different_content_is_read(stack: Stack) -> None:
    machine = Machine(stack)
    machine.execute(written_by(dropped(stack, LIST), "PutObject"), "run-1")
    other = written_by(dropped(stack, b"user_id\n119\n"), "CopyObject")

    assert machine.execute(other, "run-2")["counts"] == {"deleted": 1}


def test_alternating_contents_each_count(stack: Stack) -> None:
    machine = Machine(stack)
    for number, content in enumerate([LIST, b"user_id\n120\n", LIST]):
        event = written_by(dropped(stack, content), "CopyObject")
        assert "counts" in machine.execute(event, f"run-{number}")


def test_copies_of_a_copy_do_nothing_either(stack: Stack) -> None:
    machine = Machine(stack)
    machine.execute(dropped(stack, LIST), "run-1")

    for name in ("run-2", "run-3"):
        assert "counts" not in machine.execute(copied_onto_itself(stack), name)


def test_a_copy_of_a_refused_list_is_read_again(stack: Stack) -> None:
    machine = Machine(stack)
    stack.ledger.portal.press_stop(reason="portal upgrade", by="platform team", now=1)
    assert not machine.execute(dropped(stack, LIST), "run-1")["succeeded"]
    stack.ledger.portal.lift_stop()

    assert machine.execute(copied_onto_itself(stack), "run-2")["counts"] == {"deleted": 1}


# Empty objects


def test_an_empty_object_waits_once_for_content(stack: Stack) -> None:
    event = dropped(stack, b"")

    first = stack.fetch_user_ids(event, "run-1")

    assert (first["next_step"], first["wait_seconds"]) == ("wait", 60)
    assert stack.portal.requests == []
    with pytest.raises(RequestRefused, match="The source is empty"):
        stack.fetch_user_ids(event, "run-1")


def test_content_that_arrives_later_is_read_by_its_own_run(stack: Stack) -> None:
    placeholder = dropped(stack, b"")
    stack.fetch_user_ids(placeholder, "run-1")
    content = dropped(stack, LIST)

    done = stack.fetch_user_ids(placeholder, "run-1")
    ended = Machine(stack).execute(content, "run-2")

    assert done["next_step"] == "nothing"
    assert "newer content has arrived" in done["nothing_because"]
    assert ended["counts"] == {"deleted": 1}
    assert answer(stack)["run_id"] == "run-2"
    run = stack.ledger.runs.read("run-1")
    assert run
    assert not run.is_open


def test_one_that_stays_empty_is_refused_and_answered(stack: Stack) -> None:
    ended = Machine(stack).execute(dropped(stack, b""), "run-1")

    assert not ended["succeeded"]
    assert "The source is empty" in answer(stack)["sentence"]


def test_a_file_that_names_nobody_is_not_waited_for(stack: Stack) -> None:
    with pytest.raises(RequestRefused, match="The source is empty"):
        stack.fetch_user_ids(dropped(stack, b"user_id\n"), "run-1")


# Files that systems leave


@pytest.mark.parametrize(
    "name",
    [
        *(".DS_Store", "2026/.DS_Store", "._leavers.csv", "2026_$folder$", "a/b_$folder$"),
        *("~$leavers.xlsx", ".~lock.leavers.ods#", "Thumbs.db", "desktop.ini", "leavers.csv~"),
        *("leavers.csv.filepart", "leavers.csv.part", "leavers.tmp", "x.crdownload", ".nfs0001"),
        *("__MACOSX/leavers.csv", "_SUCCESS", "_temporary/0/part-0", "leavers.csv.swp", "2026/"),
    ],
)
def test_files_that_systems_leave_behind_do_nothing(stack: Stack, name: str) -> None:
    ended = Machine(stack).execute(dropped(stack, LIST, f"inbox/{name}"), "run-1")

    assert ended["nothing_because"] == nothing_in(f"inbox/{name}") != ""
    assert stack.portal.requests == []
    assert [key for key in stack.keys() if key.startswith("results/")] == []  # noqa: SIM118


@pytest.mark.parametrize(
    "key",
    [
        "inbox/leavers.csv",
        "inbox/no suffix",
        "inbox/parts.csv",
        "inbox/tmp/x.csv",
        "inbox/x.part.csv",
    ],
)
def test_a_list_of_any_other_name_is_a_drop(key: str) -> None:
    assert nothing_in(key) == ""


# The answer


def test_a_name_too_long_for_an_answer_is_refused_and_still_reported(stack: Stack) -> None:
    room = LONGEST_KEY - len(result_key("inbox/"))
    longest, longer = (f"inbox/{'ä' * (room // 2)}{'x' * more}" for more in (room % 2, 2))

    fits = Machine(stack).execute(dropped(stack, LIST, longest), "run-1")
    refused = Machine(stack).execute(dropped(stack, LIST, longer), "run-2")

    assert fits["counts"] == {"deleted": 1}
    assert answer(stack, longest)["run_id"] == "run-1"
    assert "too long for an answer" in refused["sentence"]
    assert "shorter name" in stack.read_json("runs/run-2/report.json")["sentence"]
    run = stack.ledger.runs.read("run-2")
    assert run
    assert not run.is_open


def test_an_answer_that_cannot_be_written_does_not_hold_up_the_report(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Bucket, key: str, data: Any) -> None:
        if key.startswith("results/"):
            raise StoreUnavailable("Writing the answer: SlowDown on PutObject.")
        self.write_text(key, json.dumps(data), "application/json")

    monkeypatch.setattr(Bucket, "write_json", fails)

    ended = Machine(stack).execute(dropped(stack, LIST), "run-1")

    assert ended["succeeded"]
    report = stack.read_json("runs/run-1/report.json")
    assert [w for w in report["warnings"] if "answer to the dropped file could not be" in w]
    with pytest.raises(ClientError):
        answer(stack)
    run = stack.ledger.runs.read("run-1")
    assert run
    assert not run.is_open


# What the other columns say

MIXED = b"username,Status\nuser0118,left\nuser0119,Active\n"


def test_a_drop_whose_columns_say_that_a_user_stays_deletes_nobody_unattended(stack: Stack) -> None:
    ended = Machine(stack).execute(dropped(stack, MIXED), "run-1")

    assert "by which some are staying (line 3)" in ended["sentence"]
    assert stack.portal.requests == []


def test_in_a_preview_it_is_a_note(stack: Stack, set_parameter: Callable[[str, str], None]) -> None:
    set_parameter("FILE_DROP_MODE", "preview")

    ended = Machine(stack).execute(dropped(stack, MIXED), "run-1")

    assert ended["status"] == "PREVIEWED"
    warnings = stack.read_json("runs/run-1/report.json")["warnings"]
    assert [w for w in warnings if "by which some are staying (line 3)" in w]


def test_columns_that_disagree_refuse_by_whom_each_of_them_names(stack: Stack) -> None:
    content = b"User name,email\nJo Doe,user0118@example.com\n"

    ended = Machine(stack).execute(dropped(stack, content), "run-1")

    assert "line 2: the e-mail names user 118, the username nobody" in ended["sentence"]
    assert stack.writes() == []


def test_a_workbook_that_is_dropped_is_read(stack: Stack) -> None:
    book = Workbook()
    for row in (["user_id", "E-Mail"], [118, "user0118@example.com"]):
        book.worksheets[0].append(row)
    file = io.BytesIO()
    book.save(file)

    ended = Machine(stack).execute(dropped(stack, file.getvalue(), "inbox/leavers.xlsx"), "run-1")

    assert ended["counts"] == {"deleted": 1}
