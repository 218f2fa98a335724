"""From a source's raw content to entries; malformed content is refused whole, with its line."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.rules.identity import is_user_id
from bulk_user_deletion.sources import (
    entries_from_dataset,
    entries_from_file,
    entries_from_list,
)
from bulk_user_deletion.sources.columns import is_header_word
from bulk_user_deletion.sources.values import is_nothing

BOM = "\ufeff"

NOT_AN_ID = ["0", "0118", "-5", "+5", "1e3", "118.0", "1_000", "118 119", "²", "\uff11\uff11\uff18"]
SCRAPS = ["user_id", "username", "EMAIL", "118", "0", "jdoe", "é", " ", ",", ";", "\n", "\r", '"']
SCRAPS += [BOM, "\x00", "\u00a0", "\u2028"]
NOT_A_NAME = ["a\u200bb", "a\u00a0b", "a\tb", "a\x1fb", "a\u202eb", "x" * 321]


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(RequestRefused) as refused:
        read()
    return str(refused.value)


# CSV


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("user_id\n118\n119\n", [Entry(2, user_id="118"), Entry(3, user_id="119")]),
        ("username\njdoe\n", [Entry(2, username="jdoe")]),
        ("email\njdoe@example.com\n", [Entry(2, email="jdoe@example.com")]),
        (
            "user_id,username,email\n118,jdoe,jdoe@example.com\n",
            [Entry(2, user_id="118", username="jdoe", email="jdoe@example.com")],
        ),
        (  # each row by what it has
            "user_id,username,email\n118,,\n,jdoe,\n,,jdoe@example.com\n",
            [
                Entry(2, user_id="118"),
                Entry(3, username="jdoe"),
                Entry(4, email="jdoe@example.com"),
            ],
        ),
        ("jdoe@example.com\n118\n", [Entry(1, bare="jdoe@example.com"), Entry(2, bare="118")]),
        ("0118\n118\n", [Entry(1, bare="0118"), Entry(2, bare="118")]),
        ("118\njdoe\n", [Entry(1, bare="118"), Entry(2, bare="jdoe")]),
        (BOM + "user_id\n118\n", [Entry(2, user_id="118")]),
        (BOM + "118\n", [Entry(1, bare="118")]),
        ("user_id\r\n118\r\n", [Entry(2, user_id="118")]),
        ("user_id\r118\r", [Entry(2, user_id="118")]),
        ("user_id\n118", [Entry(2, user_id="118")]),
        ("[user_id]\n118\n", [Entry(2, user_id="118")]),
        (' "user_id" \n"118"\n'.replace(" ", ""), [Entry(2, user_id="118")]),
        ("user_id\n 118\t\n\u00a0119\u00a0\n", [Entry(2, user_id="118"), Entry(3, user_id="119")]),
        ("\n\nuser_id\n\n118\n  \n", [Entry(5, user_id="118")]),
        ("user_id,username\n118,\n,\n", [Entry(2, user_id="118")]),
        ('username\n"Doe, Jane"\n', [Entry(2, username="Doe, Jane")]),
        ('username\n"the ""boss"""\n', [Entry(2, username='the "boss"')]),
        ("user_id,\n118,\n119,,,\n", [Entry(2, user_id="118"), Entry(3, user_id="119")]),
        ("118,\n119,,\n", [Entry(1, bare="118"), Entry(2, bare="119")]),
        (";;\nuser_id;notes;\n118;x, y;\n", [Entry(3, user_id="118")]),
        ('"Doe, Jane"\njdoe\n', [Entry(1, bare="Doe, Jane"), Entry(2, bare="jdoe")]),
    ],
)
def test_a_csv_file_names_users_in_its_columns_or_in_its_only_one(
    text: str, entries: list[Entry]
) -> None:
    assert entries_from_file(text.encode()) == entries


def test_an_exported_file_is_accepted_as_it_is_and_other_columns_are_ignored() -> None:
    text = 'name,notes,user_id,id\n"Doe, Jane","left\nin spring",118,7\n"",",",119,8\n'

    assert entries_from_file(text.encode()) == [Entry(3, user_id="118"), Entry(4, user_id="119")]


@pytest.mark.parametrize("content", [b"", b"\n\n", b" ,\n,,\n", BOM.encode(), b"user_id\n\n"])
def test_a_file_without_entries_has_none(content: bytes) -> None:
    """`check_size`, which sees every source, refuses an empty one."""
    assert entries_from_file(content) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"user_id\n118\n\xff\n", "Line 3 is not UTF-8"),
        (BOM.encode() + b"a\n\xff", "Line 2 is not UTF-8"),
        ("user_id\n118\n".encode("utf-16") + b"x", "The file is damaged UTF-16"),
        ("user_id\n\0\n".encode("utf-16"), "Line 2 has a NUL character"),
        ("user_id\n118\n".encode("utf-16-be"), "Line 1 has a NUL byte"),
        ("user_id\nMüller\n".encode("latin-1"), "Line 2 is not UTF-8"),
        (b'username\n"jdoe', "Line 2 is not CSV"),
        (b'username\n"jdoe"x\n', "Line 2 is not CSV"),
        (b"username\n" + b"x" * 65_537, "Line 2 is longer than 65536"),
        (b'username\n"' + b"x\n" * 80_000, "Line 65538 is not CSV: a cell has over"),
        (b"user_id,username\n118\n", "Line 2 has 1 cell, and the header has 2"),
        (b"user_id\n118,x\n", "Line 2 has 2 cells, and the header has 1"),
        (b"user_id,notes\n,left\n", "Line 2 names nobody: user_id is empty"),
        (b"username,user_id,n\n,,x\n", "Line 2 names nobody: user_id, username is empty"),
        (b"user_id,user_id\n118,119\n", "Line 1 names the column user_id twice"),
        (b"email,Email \na@b,c@d\n", "Line 1 names the column email twice"),
        (b"first,last\njane,doe\n", "Line 1 looks like a header, and none of its 2"),
        (b"118\n119,jdoe\n", "Line 2 has 2 columns"),
        (b"jdoe;Sales\nasmith;Legal\n", "Line 1 looks like a header, and none of its 2"),
        (b"118|jdoe\n119|asmith\n", "Line 1 has 2 columns, and no line above says"),
        (b"118\tjdoe\n119\tasmith\n", "Line 1 has 2 columns, and no line above says"),
    ],
)
def test_a_malformed_file_is_refused_whole_with_its_line(content: bytes, said: str) -> None:
    assert refusal(lambda: entries_from_file(content)).startswith(said)


@pytest.mark.parametrize("value", NOT_AN_ID)
def test_a_user_id_that_is_not_one_refuses_the_file(value: str) -> None:
    said = refusal(lambda: entries_from_file(f"user_id\n118\n{value}\n".encode()))

    assert said.startswith("The user_id in line 3, column user_id is not a user id")


@pytest.mark.parametrize("value", NOT_A_NAME)
@pytest.mark.parametrize("header", ["username\n", "email\n", "jdoe\n"])
def test_a_name_that_cannot_be_printed_or_is_too_long_refuses_the_file(
    header: str, value: str
) -> None:
    said = refusal(lambda: entries_from_file(f'{header}"{value}"\n'.encode()))

    assert said.startswith("The value in line 2")


@pytest.mark.parametrize(
    ("text", "line"), [('username\n"j\ndoe"\n', 3), ('"118\n119"\n', 2), ('email\n"a\r\nb"\n', 3)]
)
def test_a_quoted_line_break_does_not_hide_a_second_name(text: str, line: int) -> None:
    assert f"line {line}" in refusal(lambda: entries_from_file(text.encode()))


def test_of_several_mistakes_in_a_line_the_first_column_is_named() -> None:
    """A step that is retried says the same."""
    said = refusal(lambda: entries_from_file(b'user_id,username,email\nx,"a\tb","c\td"\n'))

    assert "column user_id" in said


@pytest.mark.parametrize(
    "text",
    [
        "user_id\njdoe\n",
        'username\n"jdoe"x\n',
        "username\njdoe,jdoe\n",
        "username\nj\u200bdoe jdoe\n",
        "jdoe\njdoe,jdoe\n",
    ],
)
def test_rule_6_a_refusal_names_the_place_and_not_what_stands_there(text: str) -> None:
    assert "jdoe" not in refusal(lambda: entries_from_file(text.encode()))


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.lists(st.sampled_from(SCRAPS)).map(lambda parts: "".join(parts).encode())
    | st.tuples(st.just(b"user_id,username\n"), st.binary()).map(b"".join)
)
def test_whatever_the_bytes_they_are_entries_or_refused(content: bytes) -> None:
    try:
        entries = entries_from_file(content)
    except RequestRefused:
        return
    for entry in entries:
        names = [entry.bare, entry.username, entry.email]
        assert any([entry.user_id, *names])
        assert not entry.user_id or is_user_id(entry.user_id)
        assert all(name == name.strip() and name.isprintable() for name in names)
    assert len({entry.line for entry in entries}) == len(entries)


ids = st.integers(1, 10**18).map(str)
names = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" "), max_size=20
).map(lambda text: "" if is_nothing(name := text.strip()) else name)
emails = st.just("") | st.text("abcÄé+.-", min_size=1, max_size=9).map(lambda name: f"u{name}@x.y")


@given(
    rows=st.lists(st.tuples(st.just("") | ids, names, emails, st.text('a,\n"\r'))),
    order=st.permutations([0, 1, 2, 3]),
    style=st.sampled_from(
        [
            {"lineterminator": "\r\n"},
            {"lineterminator": "\r\n", "quoting": csv.QUOTE_ALL},
            {"lineterminator": "\n", "quoting": csv.QUOTE_ALL},
        ]
    ),
    bom=st.sampled_from(["", BOM]),
)
def test_what_is_accepted_is_what_was_written(
    rows: list[tuple[str, str, str, str]],
    order: list[int],
    style: dict[str, Any],
    bom: str,
) -> None:
    rows = [row for row in rows if any(row[:3])]
    text = io.StringIO()
    writer = csv.writer(text, **style)
    for row in [("user_id", "username", "email", "notes"), *rows]:
        writer.writerow([row[column] for column in order])

    try:
        entries = entries_from_file((bom + text.getvalue()).encode())
    except RequestRefused:
        return

    # An address in the username's column may be the username or the e-mail.
    assert [(entry.user_id, entry.username or entry.bare, entry.email) for entry in entries] == [
        row[:3] for row in rows
    ]


@example(["1"], ["LEFT"])
@given(st.lists(ids, min_size=1), st.lists(names.filter(str.isalpha)))
def test_a_bare_column_is_read_as_it_was_written(numbers: list[str], words: list[str]) -> None:
    values = [*numbers, *words]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([value] for value in values)

    if any(is_header_word(word) or is_nothing(word) for word in words):
        return
    refused = ""
    entries: list[Entry] = []
    try:
        entries = entries_from_file(text.getvalue().encode())
    except RequestRefused as error:
        refused = str(error)

    # Such as LEFT: what may be a title names nobody.
    assert "may be a header that is not known" in refused or [e.bare for e in entries] == values


@pytest.mark.parametrize("header", ["id", "Employee ID", "Personalnummer", "jdoe"])
def test_numbers_below_what_may_be_a_header_of_another_systems_ids_are_refused(header: str) -> None:
    said = refusal(lambda: entries_from_file(f"{header}\njane\n118\n".encode()))

    assert said.startswith("The number in line 3 may be another system's id, because line 1 may")


# A request's list


def test_a_list_holds_ids_usernames_and_emails_by_their_position() -> None:
    assert entries_from_list(["118", " jdoe ", "jdoe@example.com"]) == [
        Entry(1, bare="118"),
        Entry(2, bare="jdoe"),
        Entry(3, bare="jdoe@example.com"),
    ]


@pytest.mark.parametrize("value", ["", " ", "\u00a0", *NOT_A_NAME])
def test_a_list_with_a_value_that_is_no_name_is_refused_by_its_position(value: str) -> None:
    said = refusal(lambda: entries_from_list(["118", value]))

    assert said.startswith(
        (
            "The value in source.users, entry 2 is empty",
            "The value in source.users, entry 2 has an invisible character",
        )
    )


@pytest.mark.parametrize("value", ["-5", "+5", "1e3", "118.0", "1,000", "1" * 40, "../1"])
def test_a_list_with_what_was_a_number_or_a_path_is_refused_by_its_position(value: str) -> None:
    said = refusal(lambda: entries_from_list(["118", value]))

    assert said.startswith("The value in source.users, entry 2 is neither a name nor a user id")


@given(st.lists(st.text()))
def test_every_list_becomes_entries_or_is_refused(values: list[str]) -> None:
    try:
        entries = entries_from_list(values)
    except RequestRefused:
        return
    assert [entry.bare for entry in entries] == [value.strip() for value in values]


# A dataset


def test_a_dataset_names_ids_as_numbers_or_as_text() -> None:
    rows: list[dict[str, object]] = [
        {"user_id": 118},
        {"user_id": "119", "username": "jdoe"},
        {"user_id": " 120 "},
    ]

    assert entries_from_dataset(rows) == [
        Entry(1, user_id="118"),
        Entry(2, user_id="119"),
        Entry(3, user_id="120"),
    ]


@pytest.mark.parametrize(
    "value", [None, "", True, False, 0, -5, 118.0, [], {}, ["118"], *NOT_AN_ID]
)
def test_a_dataset_with_a_user_id_that_is_none_is_refused_by_its_row(value: object) -> None:
    rows: list[dict[str, object]] = [{"user_id": "118"}, {"user_id": value}]

    assert "row 2 of the dataset" in refusal(lambda: entries_from_dataset(rows))


@pytest.mark.parametrize("row", [{}, {"id": 118}, {"User_ID": 118}])
def test_a_dataset_without_the_column_user_id_is_refused(row: dict[str, int]) -> None:
    said = refusal(lambda: entries_from_dataset([row]))

    assert said.startswith("Row 1 of the dataset has no column user_id")


def test_an_empty_dataset_has_no_entries() -> None:
    assert entries_from_dataset([]) == []


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["user_id", "x"]),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | ids,
        )
    )
)
def test_rule_5_a_half_valid_dataset_is_refused_whole(rows: list[dict[str, object]]) -> None:
    try:
        entries = entries_from_dataset(rows)
    except RequestRefused:
        return
    assert [entry.user_id for entry in entries] == [str(row["user_id"]).strip() for row in rows]
    assert all(is_user_id(entry.user_id) for entry in entries)
