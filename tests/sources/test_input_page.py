"""docs/input.md says what happens to files, line by line."""

import pytest

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.sources import MOST_ENTRIES, entries_from_file
from bulk_user_deletion.sources.columns import NAMES, columns_of
from bulk_user_deletion.sources.json_file import LONGEST_VALUE
from bulk_user_deletion.sources.text import LONGEST_LINE
from bulk_user_deletion.sources.workbook import MOST_ROWS
from tests.input_table import PAGE, code, content, rows, shown


@pytest.mark.parametrize("row", rows("Accepted files"), ids=lambda row: row[0])
def test_a_file_of_the_page_is_accepted_as_it_says(row: tuple[str, ...]) -> None:
    _, file, users = row

    assert shown(entries_from_file(content(file))) == users


@pytest.mark.parametrize("row", rows("Refused files"), ids=lambda row: row[0])
def test_a_file_of_the_page_is_refused_as_it_says(row: tuple[str, ...]) -> None:
    _, file, message = row

    with pytest.raises(RequestRefused) as refused:
        entries_from_file(content(file))

    assert str(refused.value) == message


def test_the_names_of_the_page_are_known_as_what_it_says() -> None:
    said = [code(column) for column, _ in rows("Columns")]

    assert said == list(NAMES)
    for column, others in rows("Columns"):
        for name in (column, *(name for name in others.split(", ") if name)):
            assert list(columns_of([code(name)], "")) == [code(column)]


def test_the_page_names_the_limits() -> None:
    assert f"at most 50 MB and {MOST_ENTRIES:,} entries" in PAGE
    assert f"a workbook at most {MOST_ROWS:,} rows" in PAGE
    assert f"longer than {LONGEST_LINE:,} characters" in PAGE
    assert LONGEST_LINE == LONGEST_VALUE
