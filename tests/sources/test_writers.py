"""A writer of each format: either exactly these people are read, or the file is refused."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import currently_in_test_context, event, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.rules.identity import Directory
from bulk_user_deletion.sources import entries_from_file
from bulk_user_deletion.sources.columns import NAMES
from tests.builders import a_user

EVERYBODY = [
    *(a_user(100 + n, f"user{n:04}", email=f"user{n:04}@example.com") for n in range(1, 60)),
    *(a_user(n, f"short{n}", email=f"short{n}@example.com") for n in range(1, 30)),  # a count's id
    *(
        a_user(900 + n, name, email=f"{name.lower()}@example.com")
        for n, name in enumerate(
            ["NULL", "Total", "User", "Name", "Guest", "hr", "Leavers", "None"]
        )
    ),
]
DIRECTORY = Directory(EVERYBODY)
PEOPLE = {user.user_id: user for user in EVERYBODY[:59]}

people = st.lists(st.sampled_from(sorted(PEOPLE)), min_size=1, max_size=6, unique=True)
columns = st.lists(
    st.sampled_from(["user_id", "username", "email", "login"]),
    min_size=1,
    max_size=3,
    unique=True,
)
besides = st.sampled_from(
    [
        *(("id", "4711"), ("Manager", "hr"), ("Manager Email", "hr@example.com")),
        *(("Name", "Jo Doe"), ("Department", "x"), ("Private E-Mail", "hr@example.com")),
        ("Employee ID", "3"),
    ]
)


def cell(column: str, user_id: str) -> str:
    user = PEOPLE[user_id]
    named = {"user_id": user.user_id, "username": user.username, "email": user.email}
    return {**named, "login": user.email}[column]


@st.composite
def headers(draw: st.DrawFn, column: str) -> str:
    """One of the table's names for a column, in letters that somebody may have used."""
    name = "user_id" if column == "user_id" else draw(st.sampled_from(sorted(NAMES[column])))
    if column == "user_id":
        return name
    return draw(st.sampled_from([name, name.upper(), name.capitalize(), f" {name} ", f"{name}:"]))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """The people, and a table that names them, its header first."""
    who = draw(people)
    named = draw(columns)
    others = draw(st.lists(besides, max_size=2, unique=True))
    header = [*(draw(headers(column)) for column in named), *(name for name, _ in others)]
    rows = [
        [*(cell(column, user_id) for column in named), *(value for _, value in others)]
        for user_id in who
    ]
    if len(named) > 1:  # a leaver without a mailbox
        for row in rows:
            if draw(st.integers(0, 4)) == 0:
                row[draw(st.integers(0, len(named) - 1))] = draw(
                    st.sampled_from(["", "NULL", "N/A", "\\N", "-", "None"])
                )
    order = draw(st.permutations(range(len(header))))
    return who, [[row[index] for index in order] for row in [header, *rows]]


def written(table: Sequence[Sequence[str]], delimiter: str, **style: Any) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, **style).writerows(table)
    return text.getvalue()


def whom(content: bytes) -> list[str | None] | None:
    """The ids of those who are named; None if the file is refused."""
    try:
        entries = entries_from_file(content)
    except RequestRefused as refusal:
        assert "example.com" not in str(refusal)  # noqa: PT017
        if currently_in_test_context():
            event("refused")
        return None
    users = [DIRECTORY.match(entry).user for entry in entries]
    return [user.user_id if user else None for user in users]


def check(content: bytes, who: list[str]) -> None:
    found = whom(content)
    if found is None:
        return
    assert [user_id for user_id in found if user_id] == [u for u in who if u in found]
    assert {user_id for user_id in found if user_id} <= set(who), "somebody else"


ENCODINGS: list[Callable[[str], bytes]] = [
    lambda text: text.encode(),
    lambda text: text.encode("utf-8-sig"),
    lambda text: text.encode("utf-16"),
    lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
]
encodings = st.sampled_from(ENCODINGS)
delimiters = st.sampled_from([",", ";", "\t", "|"])
styles = st.sampled_from(
    [
        {"lineterminator": end, "quoting": quoting}
        for end in ("\r\n", "\n", "\r")
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    ]
)


@settings(max_examples=300)
@given(tables(), delimiters, encodings, styles)
def test_a_table_names_exactly_its_people(
    table: tuple[list[str], list[list[str]]],
    delimiter: str,
    encode: Callable[[str], bytes],
    style: dict[str, Any],
) -> None:
    who, rows = table
    content = encode(written(rows, delimiter, **style))

    found = whom(content)

    if found is not None:
        assert found == who


@given(people, st.sampled_from(["username", "email", "login"]), st.data(), delimiters, encodings)
def test_one_known_column_is_always_read(
    who: list[str],
    column: str,
    data: st.DataObject,
    delimiter: str,
    encode: Callable[[str], bytes],
) -> None:
    """The other tests would not notice if everything were refused."""
    rows = [[data.draw(headers(column)), "Department"]]
    rows += [[cell(column, user_id), "x"] for user_id in who]

    assert whom(encode(written(rows, delimiter))) == who


titles = st.lists(
    st.sampled_from(
        ["Leavers in May", "User", "Report: leavers", "2026-05-01", "Name", "Guest", "#", "Total"]
    ),
    min_size=1,
    max_size=3,
)
totals = st.sampled_from(
    [["Total", "2"], ["2"], ["", "2"], ["Total: 2"], ["(2 rows)"], ["NULL"], ["User"], ["102"]]
)


@settings(max_examples=400)
@given(tables(), delimiters, st.data())
def test_titles_totals_and_blank_lines_are_nobody(
    table: tuple[list[str], list[list[str]]], delimiter: str, data: st.DataObject
) -> None:
    who, rows = table
    width = len(rows[0])

    def padded(cells: list[str]) -> list[str]:
        return (cells + [""] * width)[: max(width, len(cells))]

    draw = data.draw
    above = [padded([title]) for title in draw(titles)] if draw(st.booleans()) else []
    # A number below only numbers may be anything, even a user's id.
    below = [padded(draw(totals))] if width > 1 and draw(st.booleans()) else []
    blank = [[""] * width] if draw(st.booleans()) else []
    if draw(st.booleans()):
        rows = rows[1:]  # without its header

    check(written([*above, *blank, *rows, *blank, *below], delimiter).encode(), who)


@settings(max_examples=200)
@given(people, st.sampled_from(["username", "email"]), titles | st.just([]), st.data())
def test_a_bare_list_below_a_title_names_nobody_but_its_people(
    who: list[str], column: str, above: list[str], data: st.DataObject
) -> None:
    lines = [*above, *(cell(column, user_id) for user_id in who)]
    lines += data.draw(st.sampled_from([[], [str(len(lines))], ["Total: 2"], ["NULL"], ["User"]]))

    check("\n".join(lines).encode(), who)


WRAPPERS: list[Callable[[list[dict[str, Any]]], Any]] = [
    lambda users: users,
    *(
        (lambda users, key=key: {"@odata.context": "x", key: users, "count": len(users)})
        for key in ("value", "Resources", "members", "Users", "data", "users", "result", "values")
    ),
    lambda users: {"d": {"results": users}},
    lambda users: {"leavers": users, "requester": {"email": "hr@example.com"}},
    lambda users: {"users": users, "nextPage": None, "has_more": False},
    lambda users: {"metadata": [{"name": "user_id", "type": "int"}], "data": users},
]


@st.composite
def objects(draw: st.DrawFn) -> tuple[list[str], list[dict[str, Any]]]:
    """The people, and an object for each, as some program has them."""
    who = draw(people)
    named = draw(columns)
    keys = {
        column: draw(st.sampled_from(sorted(NAMES[column]))) if column != "user_id" else column
        for column in named
    }
    nested = draw(st.booleans())
    users = []
    for user_id in who:
        inner = {keys[column]: cell(column, user_id) for column in named}
        other = {"id": "3", "manager": {"email": "hr@example.com"}, "manager_email": "hr@x.y"}
        users.append({**other, **({"profile": inner} if nested else inner)})
    return who, users


@settings(max_examples=300)
@given(objects(), st.sampled_from(WRAPPERS), st.sampled_from([None, 2]), encodings)
def test_json_names_exactly_its_people(
    written_objects: tuple[list[str], list[dict[str, Any]]],
    wrap: Callable[[list[dict[str, Any]]], Any],
    indent: int | None,
    encode: Callable[[str], bytes],
) -> None:
    who, users = written_objects

    found = whom(encode(json.dumps(wrap(users), indent=indent)))

    if found is not None:
        assert found == who
    assert whom("\n".join(map(json.dumps, users)).encode()) in (None, who)


@given(objects(), st.sampled_from(["leavers", "users", "people", "x", "data"]), st.booleans())
def test_an_object_that_names_somebody_and_lists_others_is_refused(
    written_objects: tuple[list[str], list[dict[str, Any]]], key: str, deeper: bool
) -> None:
    _, users = written_objects
    listed: Any = {"inner": {key: users}} if deeper else users
    ticket = {"email": "hr@example.com", key: listed}

    assert whom(json.dumps(ticket).encode()) is None
    assert whom(json.dumps([ticket]).encode()) is None
    assert whom(json.dumps([ticket, ticket]).encode()) is None


MORE = [
    {"@odata.nextLink": "https://example.com"},
    {"nextPageToken": "abc"},
    {"next": "https://example.com"},
    {"has_more": True},
    {"isLast": False},
    {"total": 1_000},
    {"totalResults": 1_000, "itemsPerPage": 1},
    {"response_metadata": {"next_cursor": "abc"}},
    {"paging": {"next": {"href": "https://example.com"}}},
    {"links": [{"rel": "next", "href": "https://example.com"}]},
    {"page": {"totalPages": 3}},
    {"IsTruncated": True},
]


@given(objects(), st.sampled_from(MORE), st.booleans())
def test_a_page_of_several_is_refused(
    written_objects: tuple[list[str], list[dict[str, Any]]], more: dict[str, Any], before: bool
) -> None:
    _, users = written_objects
    document = {**more, "users": users} if before else {"users": users, **more}

    assert whom(json.dumps(document).encode()) is None


def workbook(rows: list[list[Any]]) -> bytes:
    """The same bytes for the same rows: without the time of writing."""
    book, file = Workbook(), io.BytesIO()
    for row in rows:
        book.worksheets[0].append(row)
    book.save(file)
    target = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if not name.startswith("docProps/"):
                new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)
    return target.getvalue()


@settings(max_examples=100)
@given(tables(), st.booleans())
def test_a_workbook_names_exactly_its_people(
    table: tuple[list[str], list[list[str]]], numbers: bool
) -> None:
    who, rows = table
    as_numbers = [
        [int(cell) if numbers and cell.isdecimal() else cell for cell in row] for row in rows
    ]

    found = whom(workbook(as_numbers))

    if found is not None:
        assert found == who


@settings(max_examples=200)
@given(tables(), st.data())
def test_a_damaged_workbook_is_read_or_refused(
    table: tuple[list[str], list[list[str]]], data: st.DataObject
) -> None:
    who, rows = table
    content = bytearray(workbook(rows))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))

    check(bytes(content), who)


@pytest.mark.parametrize("word", ["User", "Guest", "Name", "Account", "Login", "Benutzer", "Nom"])
@pytest.mark.parametrize("column", ["username", "email"])
def test_a_word_of_headers_above_names_is_nobody(word: str, column: str) -> None:
    who = ["118", "119"]
    content = "\n".join([word, *(cell(column, user_id) for user_id in who)]).encode()

    assert whom(content) in (None, who)
