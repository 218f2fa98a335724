"""From a source's raw content to `Entry`s. Malformed content is refused whole, with its line."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models import Entry
from bulk_user_deletion.rules.identity import is_user_id

LARGEST_FILE = 50 * 2**20

_COLUMNS = ("user_id", "username", "email")
_LONGEST_NAME = 320  # the longest e-mail address there can be (RFC 3696, erratum 1690)


def entries_from_list(users: Sequence[str]) -> list[Entry]:
    """Read a request's list: each an id, a username or an e-mail.

    Raises:
        RequestRefused: naming the position, from 1.
    """
    return [
        Entry(line=position, bare=_name(user, f"source.users, entry {position}"))
        for position, user in enumerate(users, start=1)
    ]


def entries_from_dataset(rows: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """Read a dataset's rows: the column `user_id` says who.

    Raises:
        RequestRefused: naming the row, from 1.
    """
    entries = []
    for position, row in enumerate(rows, start=1):
        if "user_id" not in row:
            raise RequestRefused(
                f"Row {position} of the dataset has no column user_id. Add it to its query."
            )
        value = row["user_id"]
        where = f"row {position} of the dataset"
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise RequestRefused(f"The user_id in {where} is empty or not a number.")
        entries.append(Entry(line=position, user_id=_user_id(str(value), where)))
    return entries


def entries_from_csv(content: bytes) -> list[Entry]:
    """Read a CSV file: a header naming user_id, username or email, or one bare column.

    Other columns are ignored. `content` is UTF-8, with or without a byte order mark.

    Raises:
        RequestRefused: naming the line and the column.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1  # the object is without its BOM
        raise RequestRefused(f"Line {line} is not UTF-8. Save the file as 'CSV UTF-8'.") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise RequestRefused(f"Line {reader.line_num} is not CSV: {error}.") from None
    if not rows:
        return []
    header = [cell.casefold() for cell in rows[0][1]]
    if not set(header) & set(_COLUMNS):
        return _bare_column(rows)
    columns = {name: header.index(name) for name in _COLUMNS if name in header}
    twice = [name for name in _COLUMNS if header.count(name) > 1]
    if twice:
        raise RequestRefused(f"Line {rows[0][0]} names the column {twice[0]} twice.")
    return [_row_entry(line, cells, header, columns) for line, cells in rows[1:]]


def _row_entry(line: int, cells: list[str], header: list[str], columns: Mapping[str, int]) -> Entry:
    if len(cells) != len(header):
        raise RequestRefused(
            f"Line {line} has {len(cells)} cells, and the header has {len(header)}."
        )
    values = {name: cells[index] for name, index in columns.items() if cells[index]}
    if not values:
        raise RequestRefused(f"Line {line} names nobody: {', '.join(sorted(columns))} is empty.")
    for name, value in values.items():
        where = f"line {line}, column {name}"
        values[name] = _user_id(value, where) if name == "user_id" else _name(value, where)
    return Entry(line, **values)


def _bare_column(rows: list[tuple[int, list[str]]]) -> list[Entry]:
    for line, cells in rows:
        if len(cells) != 1:
            raise RequestRefused(
                f"Line {line} has {len(cells)} columns, and no header names user_id, username or"
                " email. Add a header line."
            )
    return [Entry(line, bare=_name(cells[0], f"line {line}")) for line, cells in rows]


def _user_id(value: str, where: str) -> str:
    value = value.strip()
    if not is_user_id(value):
        raise RequestRefused(
            f"The user_id in {where} is not a user id: it must be a whole number from 1."
        )
    return value


def _name(value: str, where: str) -> str:
    value = value.strip()
    if not value or len(value) > _LONGEST_NAME or not value.isprintable():
        raise RequestRefused(
            f"The value in {where} is empty, longer than {_LONGEST_NAME} characters, or has"
            " characters that cannot be printed."
        )
    return value
