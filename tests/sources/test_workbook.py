"""Excel workbooks: what is shown is everything, or the file is refused; and nothing blows up."""

import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date

import pytest
from openpyxl import Workbook
from openpyxl.worksheet.table import Table
from openpyxl.worksheet.worksheet import Worksheet

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.sources import entries_from_file, read_file
from bulk_user_deletion.sources.workbook import MOST_COLUMNS, MOST_ROWS

LEAVERS: list[list[int | str]] = [
    ["user_id", "Username", "E-Mail", "Department"],
    [118, "user0018", "user0018@example.com", "Sales"],
    [119, "user0019", "user0019@example.com", "Sales"],
]
READ = [
    Entry(2, user_id="118", username="user0018", email="user0018@example.com"),
    Entry(3, user_id="119", username="user0019", email="user0019@example.com"),
]


def book_of(sheet: Worksheet) -> Workbook:
    assert isinstance(sheet.parent, Workbook)
    return sheet.parent


def saved(book: Workbook) -> bytes:
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def workbook(change: Callable[[Worksheet], object] = lambda sheet: None) -> bytes:
    book = Workbook()
    sheet = book.worksheets[0]
    for row in LEAVERS:
        sheet.append(row)
    change(sheet)
    return saved(book)


def with_part(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The workbook with one of its parts changed, or added."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            body = old.read(info)
            body = change(body) if info.filename == name else body
            new.writestr(info.filename, body, zipfile.ZIP_DEFLATED)
        if name not in old.namelist():
            new.writestr(name, change(b""), zipfile.ZIP_DEFLATED)
    return target.getvalue()


def refusal(content: bytes) -> str:
    with pytest.raises(RequestRefused) as refused:
        entries_from_file(content)
    assert "user00" not in str(refused.value)
    return str(refused.value)


SHEET = "xl/worksheets/sheet1.xml"


def test_the_one_sheet_is_read_and_whole_numbers_are_ids() -> None:
    assert entries_from_file(workbook()) == READ


def test_text_in_rich_runs_and_texts_of_their_own_is_read() -> None:
    inline = (
        b'<c r="B4" t="inlineStr"><is><r><t>user</t></r><r><t>0020</t></r>'
        b"<rPh><t>read aloud</t></rPh></is></c>"
    )
    content = with_part(
        workbook(),
        SHEET,
        lambda body: body.replace(b"</sheetData>", b'<row r="4">' + inline + b"</row></sheetData>"),
    )

    assert entries_from_file(content)[-1] == Entry(4, username="user0020")


def test_one_sheet_with_one_bare_column_is_read_and_of_several_none() -> None:
    book = Workbook()
    for name in ("jdoe", "asmith"):
        book.worksheets[0].append([name])

    assert entries_from_file(saved(book)) == [Entry(1, bare="jdoe"), Entry(2, bare="asmith")]

    book.create_sheet().append(["another"])
    with pytest.raises(RequestRefused):
        entries_from_file(saved(book))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: setattr(s.row_dimensions[3], "hidden", True), "Line 3 is hidden or filtered"),
        (lambda s: setattr(s.sheet_format, "zeroHeight", True), "Line 1 is hidden or filtered"),
        (lambda s: setattr(s.column_dimensions["D"], "hidden", True), "Column D .* is hidden"),
        (lambda s: s.merge_cells("B2:B3"), "merged in line 2"),
        (lambda s: s.merge_cells("A1:B1"), "merged in line 1"),
        (lambda s: s.cell(3, 3, "=C2"), "The formula in C3 has no stored value"),
        (lambda s: s.cell(3, 3, "#REF!"), "line 3, column email is a spreadsheet's error"),
        (lambda s: s.cell(3, 1, 1234567890123456), "line 3, column user_id is not a user id"),
        (lambda s: s.cell(3, 1, 118.5), "line 3, column user_id is not a user id"),
        (lambda s: s.append([2]), "number in line 4 stands alone"),
        (
            lambda s: s.append([None, None, "Total"]),
            "line 4, column email is not an e-mail address",
        ),
        (lambda s: s.insert_rows(1) or s.cell(1, 1, "Leavers"), "Line 2 looks like the header"),
        (lambda s: book_of(s).create_sheet().append(["Email"]), "2 sheets with people"),
        (lambda s: book_of(s).create_sheet().append(["x@example.com"]), "2 sheets with people"),
        (lambda s: s.cell(1, MOST_COLUMNS + 1, "x"), f"over {MOST_COLUMNS} columns"),
    ],
)
def test_what_shows_less_than_the_file_holds_or_cannot_be_told_is_refused(
    change: Callable[[Worksheet], object], said: str
) -> None:
    content = workbook(change)

    assert re.search(said, refusal(content)), refusal(content)


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        (b'<row r="3"', b'<row r="3" ht="0" customHeight="1"', "Line 3 is hidden"),
        (b"<sheetData>", b'<cols><col min="3" max="4" width="0"/></cols><sheetData>', "Column C"),
    ],
)
def test_what_is_shrunk_to_nothing_is_hidden(written: bytes, instead: bytes, said: str) -> None:
    content = with_part(workbook(), SHEET, lambda body: body.replace(written, instead))

    assert said in refusal(content)


def test_texts_that_cells_share_are_read() -> None:
    strings = b"<sst><si><t>Username</t></si><si> <r><t>user</t></r> <r><t>0020</t></r> </si></sst>"
    rows = b'<row r="1"><c r="A1" t="s"><v>0</v></c></row><row><c t="s"><v>1</v></c></row>'
    sheet = b"<worksheet><sheetData>" + rows + b"</sheetData></worksheet>"
    content = with_part(workbook(), SHEET, lambda _: sheet)

    assert entries_from_file(with_part(content, "xl/sharedStrings.xml", lambda _: strings)) == [
        Entry(2, username="user0020")
    ]
    assert "damaged" in refusal(
        with_part(content, "xl/sharedStrings.xml", lambda _: b"<sst><si><t>x</t></si></sst>")
    )


def test_a_filter_refuses_and_its_buttons_alone_do_not() -> None:
    def buttons(sheet: Worksheet) -> None:
        sheet.auto_filter.ref = "A1:D3"

    def filtered(sheet: Worksheet) -> None:
        buttons(sheet)
        sheet.auto_filter.add_filter_column(3, ["Sales"])

    def as_a_table(sheet: Worksheet) -> None:
        sheet.add_table(Table(displayName="Leavers", ref="A1:D3"))

    assert entries_from_file(workbook(buttons)) == READ
    assert entries_from_file(workbook(as_a_table)) == READ
    assert "has a filter" in refusal(workbook(filtered))
    in_the_table = with_part(
        workbook(as_a_table),
        "xl/tables/table1.xml",
        lambda body: body.replace(
            b"<tableColumns",
            b'<autoFilter ref="A1:D3"><filterColumn colId="3"/></autoFilter><tableColumns',
        ),
    )
    assert "has a filter" in refusal(in_the_table)


def test_a_hidden_sheet_with_people_is_one_too() -> None:
    def hidden_copy(sheet: Worksheet) -> None:
        other = book_of(sheet).create_sheet("everybody")
        other.append(["Email"])
        other.append(["user0020@example.com"])
        other.sheet_state = "veryHidden"

    assert "2 sheets with people in them, including hidden ones" in refusal(workbook(hidden_copy))


def test_a_sheet_that_alone_has_people_and_is_hidden_is_refused() -> None:
    book = Workbook()
    book.worksheets[0].append(["Leavers"])
    people = book.create_sheet("people")
    for row in LEAVERS:
        people.append(row)
    people.sheet_state = "hidden"

    assert "is hidden" in refusal(saved(book))


def test_sheets_without_people_and_what_stands_beside_do_no_harm() -> None:
    def notes(sheet: Worksheet) -> None:
        other = book_of(sheet).create_sheet("Notes")
        other.append(["Exported by HR"])
        other.row_dimensions[1].hidden = True
        sheet.cell(2, 7, "a note beside the table")
        sheet.merge_cells("D2:D3")

    assert entries_from_file(workbook(notes)) == READ


def test_a_stored_value_of_a_formula_is_read() -> None:
    content = with_part(
        workbook(lambda sheet: sheet.cell(3, 3, "=C2")),
        SHEET,
        lambda body: body.replace(
            b"<f>C2</f><v /></c>", b"<f>C2</f><v>user0019@example.com</v></c>"
        ).replace(b'<c r="C3">', b'<c r="C3" t="str">'),
    )

    assert entries_from_file(content) == READ


def test_dates_of_a_workbook_are_dates() -> None:
    content = workbook(
        lambda sheet: [sheet.cell(1, 4, "Last Day"), sheet.cell(2, 4, date(2026, 5, 16))]
    )

    [hint] = read_file(content).hints

    assert (hint.last_day, hint.last_day_line) == (date(2026, 5, 16), 2)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("xl/vbaProject.bin", "has macros"),
        ("word/document.xml", "a Word document"),
        ("xl/workbook.bin", "a binary workbook"),
    ],
)
def test_what_is_no_plain_workbook_is_told(name: str, said: str) -> None:
    assert said in refusal(with_part(workbook(), name, lambda _: b"x"))


def test_an_archive_and_an_encrypted_workbook_are_told() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("leavers.csv", "user_id\n118\n")
    encrypted = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    encrypted += "EncryptedPackage".encode("utf-16-le")

    assert "a ZIP archive" in refusal(archive.getvalue())
    assert "encrypted with a password" in refusal(encrypted)
    assert "an old Excel workbook" in refusal(encrypted[:600])


def test_a_document_type_is_refused_before_its_entities_are_of_any_use() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    for part in (SHEET, "xl/workbook.xml", "xl/sharedStrings.xml", "_rels/.rels"):
        content = with_part(workbook(), part, lambda body: bomb + body.partition(b"?>")[2])
        assert "declares a document type" in refusal(content)


def padded(part: str, size: int) -> bytes:
    """The workbook with so many blanks at the end of one of its parts."""
    return with_part(workbook(), part, lambda body: (body or b"<sst/>") + b" " * size)


@pytest.mark.thorough
@pytest.mark.parametrize("part", [SHEET, "xl/sharedStrings.xml"])
def test_a_zip_bomb_is_refused_by_what_comes_out_of_it(part: str) -> None:
    bomb = padded(part, 65 * 2**20)

    assert len(bomb) < 200_000
    assert "over 64 MB when it is unpacked" in refusal(bomb)


def test_a_workbook_of_60_mb_when_it_is_unpacked_is_read() -> None:
    assert entries_from_file(padded(SHEET, 60 * 2**20)) == READ


def test_elements_in_elements_without_end_are_refused() -> None:
    content = with_part(workbook(), SHEET, lambda _: b"<a>" * 1_000_000)

    assert "is damaged" in refusal(content)


@pytest.mark.parametrize(("depth", "is_refused"), [(100, False), (101, True)])
def test_elements_may_be_100_deep_in_elements(depth: int, is_refused: bool) -> None:
    inside = depth - 1  # in <worksheet>
    deep = b"<a>" * inside + b"</a>" * inside
    content = with_part(
        workbook(), SHEET, lambda body: body.replace(b"</worksheet>", deep + b"</worksheet>")
    )

    if is_refused:
        assert "is damaged" in refusal(content)
    else:
        assert entries_from_file(content) == READ


def test_an_archive_of_very_many_parts_is_refused_unopened() -> None:
    assert "parts" in refusal(b"PK\x03\x04" + b"PK\x01\x02" * 3_000)


def test_rows_beyond_what_a_workbook_may_have_are_refused() -> None:
    rows = b"".join(b'<row r="%d"><c><v>1</v></c></row>' % n for n in range(4, MOST_ROWS + 6))
    content = with_part(
        workbook(), SHEET, lambda body: body.replace(b"</sheetData>", rows + b"</sheetData>")
    )

    assert f"over {MOST_ROWS} rows" in refusal(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body[: len(body) // 2],
        lambda body: body.replace(b't="inlineStr"', b't="s"').replace(b"<is><t>", b"<v>"),
        lambda body: body.replace(b'r="A1"', b'r="1A"'),
        lambda body: b"",
        lambda body: b"\x00" * 100,
    ],
)
def test_a_damaged_sheet_is_refused(damage: Callable[[bytes], bytes]) -> None:
    assert "damaged" in refusal(with_part(workbook(), SHEET, damage))


def test_other_files_do_not_load_what_only_workbooks_need() -> None:
    code = (
        "import sys; from bulk_user_deletion.sources import entries_from_file;"
        "entries_from_file(b'user_id\\n118\\n');"
        "print('bulk_user_deletion.sources.workbook' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "False"
