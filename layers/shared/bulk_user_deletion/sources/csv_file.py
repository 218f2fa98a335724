"""CSV as spreadsheets and directories write it: comma, semicolon or tab, with or without header."""

import csv
import re
from collections.abc import Iterator
from itertools import chain, islice

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models import Entry
from bulk_user_deletion.rules.identity import is_user_id
from bulk_user_deletion.sources.columns import KNOWN, columns_of, read_bare, read_entry
from bulk_user_deletion.sources.text import lines

_DELIMITERS = ",;\t"
_LOOKED_FOR_A_HEADER = 20  # rows

_Row = tuple[int, list[str]]


def entries_from_csv(text: str) -> Iterator[Entry]:
    """Read a header that names users' columns, and a row each; or one bare column.

    Other columns are ignored. An empty last cell more than the header has is nothing; a cell less
    may be half a row, and is refused.

    Raises:
        RequestRefused: naming the line and the column.
    """
    text, skipped, told = _without_preamble(text)
    delimiter = told or _delimiter(text, skipped)
    rows = _rows(text, delimiter, skipped)
    first = next(rows, None)
    if first is None:
        return
    line, header = first
    columns = columns_of(header, f"Line {line}")
    if not columns:
        yield from _bare_column(chain([first], rows), delimiter)
        return
    for line, cells in rows:
        if len(cells) > len(header) and not any(cells[len(header) :]):
            del cells[len(header) :]
        if len(cells) != len(header):
            raise RequestRefused(
                f"Line {line} has {len(cells)} cells, and the header has {len(header)}. Check that"
                " the file is whole, and that cells with a delimiter in them are quoted."
            )
        values = {column: cells[index] for column, index in columns.items()}
        yield read_entry(line, values, f"line {line}")


def _without_preamble(text: str) -> tuple[str, int, str]:
    """Cut off the line that Excel (`sep=;`) or PowerShell (`#TYPE …`) writes above the header.

    Returns the rest, how many lines were cut off, and the delimiter if the line says it.
    """
    first = next(lines(text), "")
    if match := re.fullmatch(r'("?)sep=([,;\t])\1\r?\n?', first, re.IGNORECASE):
        return text[len(first) :], 1, match[2]
    if re.fullmatch(r'"?#TYPE [^\r\n]*\r?\n?', first):
        return text[len(first) :], 1, ""
    return text, 0, ""


def _delimiter(text: str, skipped: int) -> str:
    """Find the delimiter with which the header names a column, or else makes the most columns.

    Raises:
        RequestRefused: there are two readings of the header.
    """
    named: dict[str, list[str]] = {}
    columns: dict[str, int] = {}
    for delimiter in _DELIMITERS:
        try:
            line, cells = next(_rows(text, delimiter, skipped), (0, []))
        except RequestRefused:
            continue
        if columns_of(cells, f"Line {line}"):
            named[delimiter] = cells
        columns[delimiter] = len(cells)
    if len({tuple(cells) for cells in named.values()}) > 1:
        raise RequestRefused(
            "The header can be read with more than one delimiter. Quote the cells that have a"
            " comma, a semicolon or a tab in them."
        )
    if named:
        return next(iter(named))
    if 0 in columns.values():  # nothing but delimiters
        return min(columns, key=columns.__getitem__)
    widest = max(columns, key=columns.__getitem__, default=",")
    return widest if columns.get(widest, 0) > 1 else ","


def _rows(text: str, delimiter: str, skipped: int) -> Iterator[_Row]:
    """Yield the rows that are not blank, trimmed, with the number of their last line."""
    reader = csv.reader(lines(text), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num + skipped, cells
    except csv.Error as error:
        raise RequestRefused(
            f"Line {reader.line_num + skipped} is not CSV: {error}. Check the quotes: a quote"
            " inside a quoted cell is doubled."
        ) from None


def _bare_column(rows: Iterator[_Row], delimiter: str) -> Iterator[Entry]:
    head = list(islice(rows, _LOOKED_FOR_A_HEADER))
    for line, cells in head:
        # What stands above it, and the header too, would be read as names.
        if columns_of(re.split(f"[{_DELIMITERS}]", ",".join(cells)), f"Line {line}"):
            raise RequestRefused(
                f"Line {line} looks like the header, but other lines stand above it. Remove them."
            )
    title = head[0][1][0]
    may_be_a_header = not title.isdecimal() and "@" not in title
    for line, cells in chain(head, rows):
        while len(cells) > 1 and not cells[-1]:
            del cells[-1]
        if len(cells) > 1:
            raise RequestRefused(
                f"Line {line} has {len(cells)} columns, and no header names {KNOWN}. Add a header"
                " line."
            )
        if ";" in cells[0] or (delimiter != "," and "," in cells[0]):
            raise RequestRefused(
                f"Line {line} has a delimiter in its only column. Add a header line that names"
                f" {KNOWN}."
            )
        value = read_bare(cells[0], f"line {line}")
        if may_be_a_header and is_user_id(value):
            raise RequestRefused(
                f"The number in line {line} may be another system's id, because line {head[0][0]}"
                " may be a header. If it is a user id, make that line say user_id."
            )
        yield Entry(line, bare=value)
