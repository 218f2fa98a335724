"""Columns next to the names that say that somebody stays."""

import json
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.requests import Request, Source, Trigger
from bulk_user_deletion.models.runs import Mode
from bulk_user_deletion.sources import read_file
from bulk_user_deletion.sources.hints import check_hints, doubts

TODAY = date(2026, 5, 15)


def said(text: str) -> tuple[list[str], list[str]]:
    return doubts(read_file(text.encode()).hints, today=TODAY)


def column(name: str, *values: str) -> str:
    return "\n".join([f"username;{name}", *(f"user{n};{value}" for n, value in enumerate(values))])


MIXED = [
    ("Status", "terminated", "active"),
    ("STATE", "Inactive", "Active - Payroll"),
    ("User status", "DEPROVISIONED", "PASSWORD_EXPIRED"),
    ("Zustand", "ausgetreten", "aktiv"),
    ("active", "false", "TRUE"),
    ("accountEnabled", "False", "True"),
    ("suspended", "true", "false"),
    ("Block credential", "True", "False"),
    ("Gesperrt", "ja", "nein"),
    ("Status", "", "active"),
]


@pytest.mark.parametrize(("name", "leaves", "stays"), MIXED)
def test_a_status_by_which_some_stay_speaks_against_deleting_unseen(
    name: str, leaves: str, stays: str
) -> None:
    against, to_know = said(column(name, leaves, stays, leaves))

    assert against == ["Column 2 holds a status, by which some are staying (line 3)."]
    assert to_know == []


def test_the_lines_of_those_who_stay_are_named_the_first_of_them() -> None:
    assert said(column("Status", "left", "active", "active"))[0] == [
        "Column 2 holds a status, by which some are staying (lines 3, 4)."
    ]
    [many] = said(column("Status", "left", *["active"] * 50))[0]
    assert re.search(r"\(lines 3, 4, .*, …\)\.$", many)


@pytest.mark.parametrize(("name", "leaves", "stays"), MIXED)
def test_one_by_which_everybody_is_active_is_only_to_be_known(
    name: str, leaves: str, stays: str
) -> None:
    assert said(column(name, stays, stays)) == (
        [],
        ["Column 2 holds a status, by which everybody is active."],
    )
    assert said(column(name, leaves, leaves)) == ([], [])


@pytest.mark.parametrize("other", ["update", "Create", "keep", "HIRE", "no change", "Neu"])
def test_an_action_that_is_no_deletion_speaks_against_it(other: str) -> None:
    assert said(column("Action", "delete", other))[0] == [
        "Column 2 holds actions, and some are not deletions (line 3)."
    ]
    assert said(column("Action", other))[0]
    assert said(column("Action", "delete", "deactivate")) == ([], [])


@pytest.mark.parametrize(
    "value",
    [
        *("2026-05-16", "2026/05/16", "16.05.2026", "16.5.26", "05/16/2026", "16-05-2026"),
        *("20260516", "16 May 2026", "May 16, 2026", "16-May-26", "16. Mai 2026"),
        *("2026-05-16T00:00:00Z", "20260516083000.0Z", "46158", "46158.5"),
    ],
)
def test_a_last_day_to_come_speaks_against_it_however_it_is_written(value: str) -> None:
    assert said(column("Last Day", "2026-05-01", value))[0] == [
        "Column 2 holds last days, and one is still to come (line 3)."
    ]


@pytest.mark.parametrize(
    "value", ["2026-05-15", "15.05.2026", "14/05/2026", "never", "0", "118", "2026-99-99"]
)
def test_a_last_day_that_has_come_or_is_none_does_not(value: str) -> None:
    assert said(column("Termination Date", "2026-05-01", value)) == ([], [])


def test_days_and_months_are_told_apart_by_the_other_dates_of_the_column() -> None:
    assert said(column("Last Day", "14/04/2026", "06/05/2026")) == ([], [])
    assert said(column("Last Day", "04/14/2026", "06/05/2026"))[0]
    assert said(column("Last Day", "06/05/2026"))[0], "it may be in June"


def test_in_json_a_key_says_the_same() -> None:
    users = [{"userName": "a", "active": False}, {"userName": "b", "active": True}]

    assert said(json.dumps({"Resources": users}))[0] == [
        "A key of the file holds a status, by which some are staying (line 2)."
    ]


def request(mode: Mode, trigger: Trigger) -> Request:
    return Request(mode=mode, trigger=trigger, source=Source(dataset_id=1))


@pytest.mark.parametrize("trigger", [Trigger.S3, Trigger.SCHEDULE])
def test_only_an_apply_that_nobody_watches_is_refused(trigger: Trigger) -> None:
    hints = read_file(column("Status", "left", "active").encode()).hints

    with pytest.raises(RequestRefused, match=r"line 3.*Nobody was deleted"):
        check_hints(hints, request(Mode.APPLY, trigger), today=TODAY)
    for watched in (request(Mode.PREVIEW, trigger), request(Mode.APPLY, Trigger.CONSOLE)):
        assert len(check_hints(hints, watched, today=TODAY)) == 1


def test_that_everybody_is_active_refuses_nothing() -> None:
    hints = read_file(column("Status", "active").encode()).hints

    assert check_hints(hints, request(Mode.APPLY, Trigger.S3), today=TODAY)


@given(st.lists(st.text(max_size=12).filter(lambda text: text.isprintable()), min_size=1))
def test_whatever_a_date_column_holds_it_breaks_nothing(values: list[str]) -> None:
    cells = [value.replace('"', "").replace(";", "") for value in values]

    said(column("Last Day", *cells))
