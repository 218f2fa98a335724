"""Rows of cells, from CSV or a workbook, to entries: the header, and what is not a person."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.rules.identity import is_user_id
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion.sources.columns import (
    EMAIL,
    KNOWN,
    OTHER_ID,
    SIGN_IN,
    USER_ID,
    USERNAME,
    column_called,
    columns_of,
    invisible,
    is_about_a_leaver,
    is_header_word,
    is_of_a_form,
    is_second_email,
    is_title,
    letters,
    names_another,
    names_of,
    twins,
)
from bulk_user_deletion.sources.hints import Hints, hint_columns
from bulk_user_deletion.sources.values import is_nothing, is_total, read_bare, read_entry

LOOKED_FOR_A_HEADER = 20  # rows

Row = tuple[int, list[str]]  # its line, and its cells, trimmed; not blank

_OUR_REPORT = {"line", "entry", "outcome", "reason"}
_NUMBER = re.compile(r"[0-9.,:/\- ]+")
_FIGURE = re.compile(r"[0-9][0-9.,:/\- ]*")


def entries_from_rows(rows: Iterator[Row], hints: Hints) -> Iterator[Entry]:
    """Read a header that names users' columns, and a row each; or one bare column.

    Other columns are ignored, except for what they hint at. An extra empty last cell is ignored; a
    missing cell may mean half a row, and is refused.

    Raises:
        RequestRefused: naming the line and the column.
    """
    head = list(islice(rows, LOOKED_FOR_A_HEADER))
    if not head:
        return
    line, header = head[0]
    columns = columns_of(header, f"Line {line}")
    if {letters(cell) for cell in header} >= _OUR_REPORT:
        raise RequestRefused(
            "The file is the report of a run, not a list. To delete the users whom a preview"
            " planned, apply its plan: bulk-user-deletion apply RUN-ID."
        )
    if not columns:
        _refuse_unknown_header(head)
        yield from _bare_column(chain(head, rows))
        return
    if not names_of(columns):
        raise RequestRefused(
            f"Line {line} has a column of ids that is not spelled user_id, and no other column"
            " that names anybody: the ids may be another system's. If they are the portal's, call"
            " it user_id."
        )
    if is_of_a_form(header):
        raise RequestRefused(
            f"Line {line} is the header of a form, and names in it may be those of the person who"
            " filled it in. Send a list of only those who leave."
        )
    yield from _named_columns(chain(head[1:], rows), header, columns, hints)


def _named_columns(
    rows: Iterator[Row], header: list[str], columns: dict[str, int], hints: Hints
) -> Iterator[Entry]:
    seen_beside = hint_columns(header, columns.values())
    width = len(header)
    same = twins(header, columns)
    about = [index for index, name in enumerate(header) if is_about_a_leaver(name)]
    read = {index for column, index in columns.items() if column in {USER_ID, USERNAME, EMAIL}}
    unread = [index for index in range(width) if index not in read]
    named = {*columns.values(), *(index for _, index in same)}
    numbers = [index for column, index in columns.items() if column in {USER_ID, USERNAME, SIGN_IN}]
    first = next(index for column, index in columns.items() if column != OTHER_ID)
    filled: set[int] = set()  # columns, in the rows above
    always: set[int] | None = None  # those filled in every one of them
    first_alone: tuple[int, int] | None = None  # a row of one number, and its column
    is_first = True
    for line, cells in rows:
        if len(cells) > width and not any(cells[width:]):
            del cells[width:]
        if len(cells) != width:
            raise RequestRefused(_other_width(line, len(cells), width))
        if column_called(cells[first]) and columns_of(cells, f"Line {line}") == columns:
            continue  # the header again: a second one for people, or from an appended file
        if is_first and any(is_header_word(cells[index]) for index in numbers):
            raise RequestRefused(
                f"Line {line} may be a second header, below the first. If it is, remove one of the"
                " two; if it is somebody's name, put it further down."
            )
        is_first = False
        in_row = [index for index, cell in enumerate(cells) if cell]
        if len(in_row) == 1 and in_row[0] in numbers:
            if filled - {*in_row}:
                _refuse_alone(line, cells[in_row[0]], "below")
            if not filled and cells[in_row[0]].isdecimal():
                first_alone = line, in_row[0]
        elif first_alone and first_alone[1] in in_row and not filled - {first_alone[1]}:
            _refuse_alone(first_alone[0], "0", "above")
        lacks = always is not None and not always.issubset(in_row)
        if not any(cells[index] and not cells[index].isdecimal() for index in named) and (
            lacks or any(is_total(cells[index]) for index in in_row)
        ):
            _refuse_totals(line, cells)
        elif lacks and len(in_row) == 1 and len(always or ()) >= _A_HEADING:
            _refuse_heading(line, cells[in_row[0]])
        filled.update(in_row)
        always = set(in_row) if always is None else always.intersection(in_row)
        values = {column: cells[index] for column, index in columns.items()}
        for column, index in same:
            if cells[index].lower() != values[column].lower():
                raise RequestRefused(
                    f"In line {line} the columns {columns[column] + 1} and {index + 1} differ, and"
                    f" both are {column}. Remove the one that the portal does not go by."
                )
        own = {value.lower() for value in values.values()} if about else set()
        if any(names_another(header[index], cells[index], own) for index in about):
            raise RequestRefused(
                f"Line {line} names one person, and another in a column that says who leaves. Send"
                " a list of only those who leave."
            )
        for index, word in seen_beside:
            hints.see(line, word, index, cells[index])
        if hints.mentions is not None:
            hints.mentions.see(cells[index] for index in unread)
        yield read_entry(line, values, f"line {line}")


_A_HEADING = 3  # cells that every row above a heading fills: a single cell is not one


def _refuse_totals(line: int, cells: Sequence[str]) -> None:
    """Refuse a row of numbers, or of words for a total, that lacks what every row above has."""
    if all(not cell or _FIGURE.fullmatch(cell) or is_total(cell) for cell in cells):
        raise RequestRefused(
            f"Line {line} has nothing but numbers, and the rows above it fill other columns: it may"
            " be a total. Remove that line, or fill its other columns."
        )


def _refuse_heading(line: int, value: str) -> None:
    """Refuse a word alone below rows of several cells, unless it is refused as no name anyway."""
    if "@" not in value and not any(map(str.isdecimal, value)) and not is_total(value):
        raise RequestRefused(
            f"The word in line {line} stands alone below rows that fill other columns: it may be a"
            " heading. Remove that line, or fill its other columns."
        )


def _refuse_alone(line: int, value: str, side: str) -> None:
    """Refuse a number, or a header's word, alone in its row when other rows fill other columns."""
    what = "number" if value.isdecimal() else "word"
    if value.isdecimal() or is_title(value):
        raise RequestRefused(
            f"The {what} in line {line} stands alone {side} rows that fill other columns: it may be"
            " a total. Remove that line, or fill its other columns."
        )


def _other_width(line: int, cells: int, width: int) -> str:
    return (
        f"Line {line} has {counted(cells, 'cell')}, and the header has {width}."
        " Check that the file is whole, and that cells with a delimiter in them are quoted."
    )


def _refuse_unknown_header(head: Sequence[Row]) -> None:
    """Refuse a file with a header below its first line, or with several columns and none."""
    for line, cells in head:
        if columns_of(cells, f"Line {line}"):
            raise RequestRefused(
                f"Line {line} looks like the header, but there are other lines above it. Remove"
                " them."
            )
    width = max(len(_used(cells)) for _, cells in head)
    if width == 1 and all(len(_used(cells)) <= 1 for _, cells in head):
        return
    line, cells = next(row for row in head if len(_used(row[1])) == width)
    used = _used(cells)
    filled = [cell for cell in used if cell]
    if len(head) == 1 or all("@" in cell.strip("@") for cell in filled):
        raise RequestRefused(
            f"Line {line} has {len(used)} values, and no line above says what they are. If they are"
            " users, put each on its own line."
        )
    if any("@" in cell or _NUMBER.fullmatch(cell) or is_nothing(cell) for cell in filled):
        raise RequestRefused(
            f"Line {line} has {len(used)} columns, and no line above says what they hold. Put one"
            f" there, with {KNOWN} above the column that holds it."
        )
    above = "" if line == head[0][0] else ", and remove the lines above it"
    if any(unseen := invisible(cell) for cell in filled):
        raise RequestRefused(
            f"Line {line} looks like a header, and has an invisible character: {unseen}. Remove it."
        )
    if second := next((n for n, cell in enumerate(cells, 1) if is_second_email(cell)), 0):
        raise RequestRefused(
            f"Line {line} looks like a header, and its column {second} is a second e-mail address,"
            " which names nobody here. Export the sign-in name or the work e-mail, too."
        )
    raise RequestRefused(
        f"Line {line} looks like a header, and none of its {len(used)} columns is known: rename"
        " the one that holds the usernames to username, or the one that holds the e-mail addresses"
        f" to email{above}."
    )


def _used(cells: Sequence[str]) -> Sequence[str]:
    """Return the cells up to the last one that is not empty."""
    return cells[: max((at for at, cell in enumerate(cells, 1) if cell), default=0)]


def _bare_column(rows: Iterator[Row]) -> Iterator[Entry]:
    title_line = 0
    word_line = line = 0
    value = ""
    may_be_a_header = False
    above: int | None = None  # how many lines without @ are above the first e-mail address
    names = emails = numbers = alphabetic = alphabetic_line = 0
    for line, cells in rows:
        used = _used(cells)
        if len(used) > 1:
            raise RequestRefused(
                f"Line {line} has {len(used)} columns, and the lines above it have one. Put a line"
                f" on top that says what they hold, with {KNOWN} above the column that holds it."
            )
        value = used[0]
        if not title_line:
            title_line = line
            may_be_a_header = not value.isdecimal() and "@" not in value
            if may_be_a_header and (unseen := invisible(value)):
                raise RequestRefused(
                    f"Line {line} has an invisible character: {unseen}. Remove it."
                )
        if not word_line and is_title(value):
            word_line = line
        value = read_bare(value, f"line {line}")
        if may_be_a_header and is_user_id(value):
            raise RequestRefused(
                f"The number in line {line} may be another system's id, because line {title_line}"
                " may be a header. If it is a user id, make that line say user_id."
            )
        if "@" in value:
            above = names if above is None else above
            emails += 1
        else:
            names += 1
            numbers += value.isdecimal()
            if value.isalpha():
                alphabetic, alphabetic_line = alphabetic + 1, line
        yield Entry(line, bare=value)
    if numbers == 1 and value == str(names + emails - 1):
        raise RequestRefused(
            f"The number in line {line} is the number of lines above it, and none of them is a"
            " number: it may be a total. Remove that line."
        )
    if word_line:
        raise RequestRefused(_may_be_a_header(word_line))
    if emails and names and names == above and (names == 1 or not numbers):
        raise RequestRefused(_may_be_a_header(title_line))
    if emails > 1 and names == alphabetic == 1:
        raise RequestRefused(
            f"Line {alphabetic_line} is a word among e-mail addresses: it may be a heading. If it"
            " is, remove it; if it is somebody's name, put a line on top of the file that says"
            " login."
        )


def _may_be_a_header(line: int) -> str:
    return (
        f"Line {line} may be a header that is not known. If it is one, call it email or username;"
        " if it is somebody's name, put a line on top of the file that says login."
    )
