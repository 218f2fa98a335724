"""CSV as spreadsheets, directories and databases write it, with or without header."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.sources.columns import columns_of
from bulk_user_deletion.sources.hints import Hints
from bulk_user_deletion.sources.table import LOOKED_FOR_A_HEADER, Row, entries_from_rows
from bulk_user_deletion.sources.text import lines

_DELIMITERS = ",;\t|"

_SEP = re.compile(r'("?)sep=([,;\t|])\1[,;\t|]*\r?\n?', re.IGNORECASE)
_TYPE = re.compile(r'"?#TYPE [^\r\n]*\r?\n?')
_TEMPLATE = re.compile(r'"?version:v[0-9.]+"?[,;\t]*\r?\n?', re.IGNORECASE)
# The template's row, in any language: a word, a colon and an example value.
_EXAMPLE = re.compile(r'"?[^\W\d_]{1,20}\s*[:\uff1a][^\r\n]*')


def entries_from_csv(text: str, hints: Hints) -> Iterator[Entry]:
    """Read CSV with comma, semicolon, tab or bar, whichever the header is read with.

    Raises:
        RequestRefused: naming the line and the column.
    """
    text, skipped, told, is_template = _without_preamble(text)
    delimiter = told or _delimiter(text, skipped)
    rows = _rows(text, delimiter, skipped)
    yield from entries_from_rows(_without_example(rows) if is_template else rows, hints)


def _without_preamble(text: str) -> tuple[str, int, str, bool]:
    """Cut off the line above the header that Excel, PowerShell or Entra's template writes.

    Returns the rest, how many lines were cut off, the delimiter if the line says it, and whether
    it is the template.
    """
    first = next(lines(text), "")
    rest = text[len(first) :]
    if match := _SEP.fullmatch(first.rstrip("\r\n")):
        return rest, 1, match[2], False
    if _TYPE.fullmatch(first):
        return rest, 1, "", False
    if _TEMPLATE.fullmatch(first.rstrip("\r\n")):
        return rest, 1, "", True
    return text, 0, "", False


def _without_example(rows: Iterator[Row]) -> Iterator[Row]:
    """Leave out the template's own example, which is below the header."""
    for number, row in enumerate(rows):
        if number != 1 or not _EXAMPLE.match(row[1][0]):
            yield row


def _delimiter(text: str, skipped: int) -> str:
    """Find the delimiter with which the header names a column, or else makes the most columns.

    Raises:
        RequestRefused: there are two readings of the header, or rows are quoted as a whole.
    """
    named: dict[str, list[str]] = {}
    columns: dict[str, int] = {}
    first_rows: list[Row] = []
    for delimiter in _DELIMITERS:
        head = _readable(text, delimiter, skipped)
        if not head:
            continue
        line, cells = head[0]
        if columns_of(cells, f"Line {line}"):
            named[delimiter] = cells
        columns[delimiter] = max(len(cells) for _, cells in head)
        first_rows.append((line, cells))
    if first_rows and all(_is_quoted_as_a_whole(cells) for _, cells in first_rows):
        raise RequestRefused(
            f"Line {first_rows[0][0]} as a whole is in one pair of quotes, and so may every row"
            " be: it has one cell. Save it with each cell quoted separately, or none."
        )
    if len({tuple(cells) for cells in named.values()}) > 1:
        raise RequestRefused(
            "The header can be read with more than one delimiter. Quote the cells that have a"
            " comma, a semicolon, a tab or a bar in them."
        )
    if named:
        return next(iter(named))
    widest = max(columns, key=columns.__getitem__, default=",")
    return widest if columns.get(widest, 0) > 1 else ","


def _readable(text: str, delimiter: str, skipped: int) -> list[Row]:
    """Return the first rows, up to one that cannot be read."""
    found: list[Row] = []
    with suppress(RequestRefused):
        found.extend(islice(_rows(text, delimiter, skipped), LOOKED_FOR_A_HEADER))
    return found


def _is_quoted_as_a_whole(cells: Sequence[str]) -> bool:
    """Return whether a row has one cell that is a header by itself: `"user_id,username"`."""
    [first, *others] = cells
    return not any(others) and any(
        delimiter in first and len(columns_of(first.split(delimiter), "")) > 0
        for delimiter in _DELIMITERS
    )


def _rows(text: str, delimiter: str, skipped: int) -> Iterator[Row]:
    """Yield the rows that are not blank, trimmed, with the number of their last line."""
    reader = csv.reader(lines(text), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num + skipped, cells
    except csv.Error as error:
        raise RequestRefused(
            f"Line {reader.line_num + skipped} is not CSV: {_said(str(error))}"
        ) from None


def _said(error: str) -> str:
    """Translate the csv module's errors into messages for operators."""
    if "new-line character" in error:
        return (
            "it has a carriage return, and other lines end with line feeds. Save the file with one"
            " kind of line ending."
        )
    if "field larger" in error:
        return "a cell has over 131072 characters. Check that its quote is closed."
    if "unexpected end" in error:
        return "a quote is opened in it or above it, and never closed. Close it."
    return (
        "something follows a closing quote. Check the quotes: a quote inside a quoted cell is"
        " doubled."
    )
