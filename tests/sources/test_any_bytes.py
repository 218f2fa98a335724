"""Any bytes are entries or a refusal; and what is accepted, another reading reads the same."""

import csv
import io
import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.rules.identity import is_user_id
from bulk_user_deletion.sources import LARGEST_FILE, MOST_ENTRIES, entries_from_file
from tests.sources.naive_reading import whom

WORDS = ["user_id", "User ID", "username", "E-Mail", "mail", "login", "userPrincipalName", "id"]
WORDS += ["notes", "", "user_id;x", "sep=;"]
VALUES = ["118", "119", "0", "0118", "-5", "1e3", "jdoe", "jdoe@example.com", "a;b", "a,b", "é"]
VALUES += ["", " ", "\u00a0", "x\ty", 'the "boss"', "two\nlines", "\u200b"]
SCRAPS = [b"", b'"', b",", b";", b"\n", b"\r", b"[", b"}", b"\x00", b"\xff", b"\xef\xbb\xbf"]
ENDS = ["\n", "\r\n", "\r"]

words = st.sampled_from(WORDS)
cells = st.sampled_from(VALUES) | st.sampled_from(["118", "119", "120", "jdoe", ""])


@st.composite
def csv_files(draw: st.DrawFn) -> bytes:
    """What a spreadsheet may write, and a little more."""
    delimiter = draw(st.sampled_from([",", ",", ";", "\t"]))
    header = draw(st.lists(words, min_size=1, max_size=4))
    rows = draw(st.lists(st.lists(cells, min_size=len(header), max_size=len(header)), max_size=5))
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=delimiter,
        lineterminator=draw(st.sampled_from(ENDS)),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    writer.writerows([header, *rows] if draw(st.integers(0, 3)) else rows)
    before = draw(
        st.sampled_from(["", "", "", "\ufeff", "\n", f"sep={delimiter}\n", "#TYPE x\r\n"])
    )
    after = draw(st.sampled_from(["", "", "", "\n\n", f"{delimiter}\n", ",,"]))
    return (before + text.getvalue() + after).encode()


odd_values: st.SearchStrategy[Any] = (
    st.sampled_from(VALUES) | st.integers(-3, 200) | st.none() | st.booleans() | st.floats()
)
plain_values: st.SearchStrategy[Any] = st.sampled_from(["118", 119, 120, "121"])
objects = st.dictionaries(st.sampled_from(["user_id", "User ID"]), plain_values, min_size=1)
objects |= st.dictionaries(words, plain_values | odd_values, max_size=3)
plain_values |= odd_values
json_files = st.one_of(
    st.lists(plain_values | objects, max_size=5).map(json.dumps),
    st.lists(objects, max_size=5).map(lambda users: json.dumps({"users": users})),
    st.lists(objects, max_size=5).map(lambda users: "\n".join(map(json.dumps, users))),
).map(str.encode)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file that lost, gained or changed a few bytes in transit."""
    content = draw(csv_files() | json_files)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = start + draw(st.integers(0, 3))
        scraps = [
            b"",
            b'"',
            b",",
            b";",
            b"\n",
            b"\r",
            b"[",
            b"}",
            b"\x00",
            b"\xff",
            b"\xef\xbb\xbf",
        ]
        content = content[:start] + draw(st.sampled_from(scraps)) + content[end:]
    return content


def check(content: bytes) -> None:
    try:
        entries = entries_from_file(content)
    except RequestRefused:
        event("refused")
        return
    event("accepted" if entries else "empty")
    named = [(entry.bare, entry.user_id, entry.username, entry.email) for entry in entries]
    assert named == whom(content)
    for bare, user_id, *names in named:
        assert any([bare, user_id, *names])
        assert not user_id or is_user_id(user_id)
        assert all(name == name.strip() and name.isprintable() for name in (bare, *names))
    assert len({entry.line for entry in entries}) == len(entries)


@settings(max_examples=300)
@given(csv_files())
@example(b"user_id,\n118,\n119,,,\n")
@example(b'username\n"a,b"\n')
def test_whatever_a_spreadsheet_writes(content: bytes) -> None:
    check(content)


@settings(max_examples=300)
@given(json_files)
def test_whatever_a_program_writes(content: bytes) -> None:
    check(content)


@settings(max_examples=300)
@given(damaged())
@example(b',"users": []}')
@example(b"a,b;;")
@example(b"#TYPE x\r118\n119")
def test_whatever_happens_to_a_file_on_its_way(content: bytes) -> None:
    check(content)


@settings(max_examples=200)
@example(b'{"": {}, "rows": []}')
@given(st.binary() | st.text().map(str.encode) | st.text('[]{}":,;\n\r1e.u').map(str.encode))
def test_whatever_the_bytes(content: bytes) -> None:
    check(content)


# Size. Both figures are far above what was measured, and far below what would do harm.

_SECONDS = 20
_TIMES_THE_FILE = 6


def filled(scrap: bytes, head: bytes = b"") -> bytes:
    return head + scrap * ((LARGEST_FILE - len(head)) // len(scrap))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("head", "scrap", "said"),
    [
        (b"", b"x", "Line 1 is longer than 65536 characters"),
        (b"", "é😀".encode(), "Line 1 is longer than 65536 characters"),
        (b"", b",", "Line 1 is longer than 65536 characters"),
        (b'username\n"', b"x\n", "more than 1000000 lines"),
        (b'username\n"', b"x" * 99 + b"\n", "is not CSV: a cell has over 131072"),
        (b"", b"\n", "more than 1000000 lines"),
        (b"", b"\r", "more than 1000000 lines"),
        (b"", b"\0", "NUL byte"),
        (b"", b"\xfe\xfd", "not UTF-8"),
        (b"", b"[", "nested too deeply|entry 1 is not a value"),
        (b"", b'{"a":', "nested too deeply|line 1 is no value"),
        (b"[", b"[],", "neither a name, nor a whole number, nor an object"),
        (b"[[", b"[],", "entry 1 is not a value, or has more than 65536 characters"),
        (b'["', b"x", "entry 1 is not a value, or has more than 65536 characters"),
        (b"[", b"1", "The value in entry 1 is empty, or longer than 320 characters"),
        (b"[", b" ", "entry 1 is not a value"),
    ],
)
def test_50_mb_of_nothing_good_are_refused_cheaply(head: bytes, scrap: bytes, said: str) -> None:
    content = filled(scrap, head)
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(RequestRefused, match=said):
            entries_from_file(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert time.process_time() - started < _SECONDS
    assert peak < _TIMES_THE_FILE * LARGEST_FILE


@pytest.mark.thorough
def test_100_000_entries_are_read_and_one_more_is_refused() -> None:
    table = "\n".join(["user_id", *map(str, range(1, MOST_ENTRIES + 1))])
    as_json = json.dumps(list(range(1, MOST_ENTRIES + 1)))

    assert len(entries_from_file(table.encode())) == MOST_ENTRIES
    for content in (f"{table}\n100001", as_json.replace("]", ", 100001]")):
        with pytest.raises(RequestRefused, match="has over 100000 entries"):
            entries_from_file(content.encode())
