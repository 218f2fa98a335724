"""Excel workbooks (.xlsx): the one sheet with people in it, read row by row and within bounds.

Only FetchUserIds imports this, and only for such a file. Why there is no library: docs/adr.
"""

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from io import BytesIO
from posixpath import dirname, join, normpath
from typing import NoReturn
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.sources.columns import columns_of
from bulk_user_deletion.sources.hints import Hints
from bulk_user_deletion.sources.table import LOOKED_FOR_A_HEADER, Row, entries_from_rows

MOST_ROWS = 20_000
MOST_COLUMNS = 256
_MOST_MEMBERS = 2_000
_MOST_SHEETS = 50
_MOST_BYTES = 64 * 2**20  # of XML, all parts together
_MOST_DIGITS = 15  # Excel keeps no more
_DEEPEST = 100  # elements in elements
_CHUNK = 2**16

_SAVE = "Save the list as a new .xlsx with one sheet, or as 'CSV UTF-8'."
_DAMAGED = f"The workbook is damaged. Open it in Excel, and save it again. {_SAVE}"
_BROKEN = (
    BadZipFile,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    UnicodeError,
    ValueError,
    zlib.error,
    expat.ExpatError,
)

_OTHERS = (
    ("word/document.xml", "The file is a Word document. Export the list as CSV."),
    ("ppt/presentation.xml", "The file is a presentation. Export the list as CSV."),
    ("xl/workbook.bin", "The file is a binary workbook (.xlsb). Save it as .xlsx."),
    ("Index/Document.iwa", "The file is a Numbers or Pages document. Export it as .xlsx or CSV."),
)


def entries_from_workbook(content: bytes, hints: Hints) -> Iterator[Entry]:
    """Read the one sheet that has people in it, as `entries_from_rows` reads rows.

    What is shown must be everything: hidden or filtered rows and columns, merged name cells
    and formulas without a stored value refuse the file.

    Raises:
        RequestRefused: naming the row.
    """
    if content.count(b"PK\x01\x02") > _MOST_MEMBERS:
        raise RequestRefused(f"The file has over {_MOST_MEMBERS} parts, and is not a list. {_SAVE}")
    sheet = _sheet_with_people(_Parts(content))
    yield from entries_from_rows(iter(sheet.rows), hints)


@dataclass(slots=True)
class _Sheet:
    """What a sheet shows. `rows` are those that are not blank, with their numbers."""

    is_hidden: bool = False
    rows: list[Row] = field(default_factory=list)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)  # from 0, both included
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)  # row, column, to, to
    refusal: str = ""

    def columns(self) -> Mapping[str, int]:
        """Return the columns of the first row that names users, or none."""
        for line, cells in self.rows[:LOOKED_FOR_A_HEADER]:
            if found := columns_of(cells, f"Line {line}"):
                return found
        return {}

    def has_addresses(self) -> bool:
        """Tell whether there is an e-mail address anywhere."""
        return any("@" in cell.strip("@") for _, cells in self.rows for cell in cells)


def _sheet_with_people(parts: "_Parts") -> _Sheet:
    shared = _shared_strings(parts)
    sheets = []
    for is_hidden, path in _sheets(parts):
        sheet = _read_sheet(parts, path, shared)
        sheet.is_hidden = is_hidden
        if sheet.rows:
            sheets.append(sheet)
    with_people = [each for each in sheets if each.columns() or each.has_addresses()]
    if not with_people and len(sheets) == 1:
        with_people = sheets
    if len(with_people) > 1:
        raise RequestRefused(
            f"The workbook has {len(with_people)} sheets with people in them, including hidden"
            f" ones: it is not clear which one is meant. {_SAVE}"
        )
    if not with_people and not sheets:
        return _Sheet()
    if not with_people:
        raise RequestRefused(
            f"The workbook has {len(sheets)} sheets, and none has a known column. {_SAVE}"
        )
    [sheet] = with_people
    if sheet.is_hidden:
        raise RequestRefused(f"The sheet with people in it is hidden. {_SAVE}")
    if sheet.refusal:
        raise RequestRefused(sheet.refusal)
    _refuse_hidden_columns(sheet)
    _refuse_merged_names(sheet)
    return sheet


def _refuse_hidden_columns(sheet: _Sheet) -> None:
    for start, end in sheet.hidden_columns:
        for line, cells in sheet.rows:
            if any(cells[start : end + 1]):
                raise RequestRefused(
                    f"Column {_column_name(start)} or one up to {_column_name(end)} is hidden, but"
                    f" not empty (line {line}): the file holds more than it shows."
                    " Copy what is shown into a new workbook."
                )


def _refuse_merged_names(sheet: _Sheet) -> None:
    columns = sheet.columns()
    named = set(columns.values()) or {0}
    # A title above the header may be merged: it is reported like any other title.
    first = next(
        (line for line, cells in sheet.rows if columns and columns_of(cells, f"Line {line}")),
        sheet.rows[0][0],
    )
    for row, column, to_row, to_column in sheet.merged:
        if to_row >= first and any(column <= index <= to_column for index in named):
            raise RequestRefused(
                f"Cells are merged in line {row}, where names are: it is not clear whom they are"
                " about. Unmerge them, and fill each."
            )


# Parts


class _Parts:
    """The parts of the package, read with limits on each and on all together."""

    def __init__(self, content: bytes) -> None:
        try:
            self._zip = ZipFile(BytesIO(content))
        except _BROKEN:
            raise RequestRefused(
                f"The file is a damaged Excel workbook or ZIP archive. {_SAVE}"
            ) from None
        self.names = set(self._zip.namelist())
        self._left = _MOST_BYTES
        self._check()

    def _check(self) -> None:
        for name, said in _OTHERS:
            if name in self.names:
                raise RequestRefused(said)
        if "mimetype" in self.names and "content.xml" in self.names:
            raise RequestRefused("The file is an OpenDocument file. Save it as .xlsx or CSV.")
        if any(name.lower().endswith("vbaproject.bin") for name in self.names):
            raise RequestRefused("The workbook has macros. Save it as .xlsx, without them.")
        if "[Content_Types].xml" not in self.names:
            raise RequestRefused("The file is a ZIP archive. Unpack it, and send the list in it.")
        if any(info.flag_bits & 1 for info in self._zip.infolist()):
            raise RequestRefused("The file is encrypted. Save it without a password.")

    def parse(
        self,
        path: str,
        start: Callable[[str, dict[str, str]], None],
        end: Callable[[str], None] | None = None,
        text: Callable[[str], None] | None = None,
    ) -> None:
        """Parse a part; names come without their namespaces.

        Raises:
            RequestRefused: it is not there, malformed, too large, or declares a document type.
        """
        parser = expat.ParserCreate(namespace_separator="|")
        parser.buffer_text = True
        depth = 0

        def start_element(name: str, found: dict[str, str]) -> None:
            nonlocal depth
            depth += 1
            if depth > _DEEPEST:
                raise RequestRefused(_DAMAGED)
            attributes = {key.rpartition("|")[2]: value for key, value in found.items()}
            start(name.rpartition("|")[2], attributes)

        def end_element(name: str) -> None:
            nonlocal depth
            depth -= 1
            if end:
                end(name.rpartition("|")[2])

        parser.StartElementHandler = start_element
        parser.EndElementHandler = end_element
        if text:
            parser.CharacterDataHandler = text
        parser.StartDoctypeDeclHandler = _refuse_document_type
        parser.EntityDeclHandler = _refuse_document_type
        try:
            with self._zip.open(path) as part:
                while chunk := part.read(_CHUNK):
                    self._left -= len(chunk)
                    if self._left < 0:
                        raise RequestRefused(
                            f"The workbook has over {_MOST_BYTES // 2**20} MB when it is unpacked:"
                            f" more than a list of {MOST_ROWS} people needs. {_SAVE}"
                        )
                    parser.Parse(chunk, False)
                parser.Parse(b"", True)
        except _BROKEN:
            raise RequestRefused(_DAMAGED) from None


def _refuse_document_type(*_: object) -> NoReturn:
    raise RequestRefused(f"The workbook declares a document type, which Excel never does. {_SAVE}")


def _sheets(parts: _Parts) -> Iterator[tuple[bool, str]]:
    """Yield for each sheet whether it is hidden, and its path."""
    book = _target(parts, "_rels/.rels", "officeDocument", "") or "xl/workbook.xml"
    if book not in parts.names:
        raise RequestRefused("The file is a ZIP archive, not a workbook. Send the list itself.")
    found: list[tuple[bool, str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            hidden = attributes.get("state", "visible") != "visible"
            found.append((hidden, attributes.get("id", "")))

    parts.parse(book, start)
    if len(found) > _MOST_SHEETS:
        raise RequestRefused(f"The workbook has over {_MOST_SHEETS} sheets. {_SAVE}")
    targets = _targets(parts, _relations_of(book), dirname(book))
    if not found or any(relation not in targets for _, relation in found):
        raise RequestRefused(_DAMAGED)
    for hidden, relation in found:
        kind, path = targets[relation]
        if kind == "worksheet":  # others hold charts
            yield hidden, path


def _relations_of(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/_rels/{name}.rels".lstrip("/")


def _targets(parts: _Parts, path: str, folder: str) -> dict[str, tuple[str, str]]:
    """Return the relations of a part: their kind and target, by id."""
    found: dict[str, tuple[str, str]] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "")
            target = target.lstrip("/") if target.startswith("/") else join(folder, target)
            kind = attributes.get("Type", "").rpartition("/")[2]
            found[attributes.get("Id", "")] = (kind, normpath(target))

    if path in parts.names:
        parts.parse(path, start)
    return found


def _target(parts: _Parts, path: str, kind: str, folder: str) -> str:
    targets = _targets(parts, path, folder).values()
    return next((target for each, target in targets if each == kind), "")


def _shared_strings(parts: _Parts) -> list[str]:
    """Return the texts that cells refer to by number, without their phonetic hints."""
    path = next((name for name in parts.names if name.lower() == "xl/sharedstrings.xml"), "")
    strings: list[str] = []
    pieces: list[str] = []
    inside: list[str] = []

    def start(name: str, _: dict[str, str]) -> None:
        inside.append(name)
        if name == "si":
            pieces.clear()

    def end(name: str) -> None:
        inside.pop()
        if name == "si":
            strings.append(_unescaped("".join(pieces)))

    def text(data: str) -> None:
        if inside and inside[-1] == "t" and "rPh" not in inside:
            pieces.append(data)

    if path:
        parts.parse(path, start, end, text)
    return strings


# A sheet


def _read_sheet(parts: _Parts, path: str, shared: list[str]) -> _Sheet:
    reader = _SheetReader(shared)
    parts.parse(path, reader.start, reader.end, reader.text)
    sheet = reader.sheet
    width = max((len(cells) for _, cells in sheet.rows), default=0)
    for _, cells in sheet.rows:
        cells += [""] * (width - len(cells))
    if not sheet.refusal:
        for target_kind, target in _targets(parts, _relations_of(path), dirname(path)).values():
            if target_kind == "table" and target in parts.names and _is_filtered(parts, target):
                sheet.refusal = _FILTERED
    return sheet


_FILTERED = (
    "The sheet has a filter: the file holds more people than it shows. Copy what is shown into a"
    " new workbook."
)


def _is_filtered(parts: _Parts, path: str) -> bool:
    found = []

    def start(name: str, _: dict[str, str]) -> None:
        if name == "filterColumn":
            found.append(name)

    parts.parse(path, start)
    return bool(found)


class _SheetReader:
    """Handles a sheet's elements one by one, and keeps the texts of its cells."""

    def __init__(self, shared: list[str]) -> None:
        self.sheet = _Sheet()
        self._shared = shared
        self._inside: list[str] = []
        self._rows_are_hidden = False
        self._row = self._column = 0
        self._is_hidden = False
        self._cells: dict[int, str] = {}
        self._kind = ""
        self._has_formula = self._has_value = False
        self._pieces: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Handle the start of an element."""
        self._inside.append(name)
        match name:
            case "sheetFormatPr":
                self._rows_are_hidden = _is_true(attributes.get("zeroHeight"))
            case "col":
                self._see_column(attributes)
            case "row":
                self._row = _number(attributes.get("r")) or self._row + 1
                self._column = -1
                self._cells = {}
                hidden = attributes.get("hidden")
                self._is_hidden = (
                    _is_true(hidden) if hidden is not None else self._rows_are_hidden
                ) or _is_zero(attributes.get("ht"))
            case "c":
                self._column = _column_of(attributes.get("r", ""), self._column + 1)
                self._kind = attributes.get("t", "n")
                self._has_formula = self._has_value = False
                self._pieces = []
            case "f":
                self._has_formula = True
            case "v" | "is":
                self._has_value = True
            case "filterColumn":
                self._refuse(_FILTERED)
            case "mergeCell":
                self._see_merged(attributes.get("ref", ""))

    def text(self, data: str) -> None:
        """Handle a piece of text."""
        inside = self._inside[-1] if self._inside else ""
        if inside == "v" or (inside == "t" and "rPh" not in self._inside and "is" in self._inside):
            self._pieces.append(data)

    def end(self, name: str) -> None:
        """Handle the end of an element."""
        self._inside.pop()
        if name == "c":
            self._end_cell()
        elif name == "row" and self._cells:
            self._end_row()

    def _end_cell(self) -> None:
        text = "".join(self._pieces)
        if self._has_formula and not text and self._kind != "str":
            self._refuse(
                f"The formula in {_column_name(self._column)}{self._row} has no stored value. Open"
                " the workbook in Excel, and save it: it puts the values there."
            )
        if self._kind == "s":
            number = _number(text, default=-1)
            if not 0 <= number < len(self._shared):
                raise ValueError("no such text")
            text = self._shared[number]
        elif self._kind == "b":
            text = "TRUE" if text.strip() == "1" else "FALSE" if text else ""
        elif self._kind == "n":
            text = _as_shown(text.strip())
        else:
            text = _unescaped(text)
        if text := text.strip():
            self._cells[self._column] = text

    def _end_row(self) -> None:
        if self._is_hidden:
            self._refuse(
                f"Line {self._row} is hidden or filtered out, but not empty: the file"
                " holds more than it shows. Copy what is shown into a new workbook."
            )
        if len(self.sheet.rows) > MOST_ROWS:
            raise RequestRefused(
                f"The workbook has over {MOST_ROWS} rows. Save it as 'CSV UTF-8', which may have"
                " more."
            )
        width = max(self._cells) + 1
        self.sheet.rows.append((self._row, [self._cells.get(at, "") for at in range(width)]))

    def _see_column(self, attributes: dict[str, str]) -> None:
        is_hidden = _is_true(attributes.get("hidden")) or _is_zero(attributes.get("width"))
        if is_hidden:
            first, last = _number(attributes.get("min")), _number(attributes.get("max"))
            self.sheet.hidden_columns.append((max(first - 1, 0), max(last - 1, 0)))

    def _see_merged(self, area: str) -> None:
        start, _, end = area.partition(":")
        ends = [_CELL.fullmatch(cell) for cell in (start, end or start)]
        if not all(ends):
            raise ValueError("no such cells")
        corners = [(int(found[2]), _column_of(found[0], 0)) for found in ends if found]
        self.sheet.merged.append((*corners[0], *corners[1]))

    def _refuse(self, why: str) -> None:
        """Record why this sheet may not be read; it may contain no users."""
        self.sheet.refusal = self.sheet.refusal or why


_CELL = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _column_of(reference: str, default: int) -> int:
    """Return the column of a cell such as `B7`, from 0."""
    found = _CELL.fullmatch(reference)
    column = default
    if found:
        column = 0
        for letter in found[1]:
            column = column * 26 + ord(letter) - 64
        column -= 1
    elif reference:
        raise ValueError("no such cell")
    if column >= MOST_COLUMNS:
        raise RequestRefused(f"The workbook has over {MOST_COLUMNS} columns. {_SAVE}")
    return column


def _column_name(column: int) -> str:
    name = ""
    column += 1
    while column > 0:
        column, letter = divmod(column - 1, 26)
        name = chr(65 + letter) + name
    return name


def _number(text: str | None, default: int = 0) -> int:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else default


def _is_true(text: str | None) -> bool:
    return text in {"1", "true"}


def _is_zero(size: str | None) -> bool:
    """Return whether a row's height or a column's width hides it."""
    return size is not None and float(size) < 1


def _unescaped(text: str) -> str:
    """Restore the characters that the format writes as `_x000D_`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _as_shown(text: str) -> str:
    """Return a number as text: a whole one with its digits, if Excel keeps them.

    A longer one stays in scientific notation, which is not an id: its last digits are lost.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number.is_finite() or number != number.to_integral_value():
        return text
    if number.adjusted() >= _MOST_DIGITS:
        return f"{number:.14e}"
    return str(int(number))
