"""What others wrote is shown, but cannot control a terminal: in every form of a report."""

import csv
import io
import json
import unicodedata
from dataclasses import asdict

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from moto import mock_aws

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.report_page import report_page
from bulk_user_deletion.reports import report_csv, report_json
from bulk_user_deletion.rules.text import showable, showable_json
from bulk_user_deletion_cli.terminal import shown
from tests.builders import a_report, a_report_row

# Any text, and text full of what controls a terminal.
texts = st.text() | st.text(
    st.characters(categories=["Cc", "Cs", "Cf", "Zl", "Zp"], include_characters="ab,;=\"'<&[")
)


def obeyed(text: str) -> set[str]:
    """The characters of a text that control a terminal, or that cannot be written at all."""
    orders = {c for c in text if unicodedata.category(c) in {"Cc", "Cs"}}
    turned = {
        c for c in text if unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF"}
    }
    return orders | turned


@given(texts)
def test_nothing_is_obeyed_and_everything_else_stays(text: str) -> None:
    found = showable(text)

    assert not obeyed(found)
    assert len(found) == len(text)
    assert all(now in {was, "\ufffd"} for was, now in zip(text, found, strict=True))


@pytest.mark.parametrize(
    "text", ["jdoe", "Zoë Ångström", "山田太郎", "👩‍👩‍👧", "a b", "x@example.com"]
)
def test_names_as_people_have_them_stay_as_they_are(text: str) -> None:
    assert showable(text) == text


@given(texts)
@example("\x1b[2J\x9b31m")
def test_a_csv_report_is_a_line_for_each_entry_and_nothing_in_it_is_obeyed(name: str) -> None:
    written = report_csv(a_report(a_report_row(1, username=name, entry=name, reason=name)))

    assert written.count("\r\n") == 2
    assert not obeyed(written.replace("\r\n", ""))
    [row] = csv.DictReader(io.StringIO(written, newline=""))
    assert row["username"].removeprefix("'") in {showable(name), showable(name).removeprefix("'")}


@given(texts)
@example("\x1b[2J\x9b31m")
def test_nothing_on_the_page_is_obeyed(name: str) -> None:
    page = report_page(a_report(a_report_row(1, username=name, entry=name), warnings=[name]))

    assert obeyed(page) <= {"\n"}
    page.encode()


@given(texts)
@example("\x1b[2J\x9b31m\ud800")
def test_a_json_report_says_the_same_and_nothing_in_it_is_obeyed(name: str) -> None:
    report = report_json(a_report(a_report_row(1, username=name, entry=name)))

    written = showable_json(json.dumps(report, ensure_ascii=False, indent=2))

    assert obeyed(written) <= {"\n"}
    assert json.loads(written) == json.loads(json.dumps(report))


def test_a_json_report_is_stored_like_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    report = a_report(a_report_row(1, username="a\x9b31m\x1b[0m\ud800"))
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="data")
        Bucket("data").write_json("runs/run-1/report.json", report_json(report))
        body = Bucket("data").read_report("run-1", "json")

    assert not obeyed(body.decode()) - {"\n"}
    assert json.loads(body)["rows"][0]["username"] == asdict(report.rows[0])["username"]


@given(texts)
def test_the_operators_commands_print_nothing_that_is_obeyed(name: str) -> None:
    assert not obeyed(shown(name))
