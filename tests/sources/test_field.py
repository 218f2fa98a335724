"""Files as people send them: each names exactly these people, or is refused in words that help."""

import re
from datetime import date
from pathlib import Path

import pytest

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.models.users import PortalUser
from bulk_user_deletion.rules.identity import Directory
from bulk_user_deletion.sources import entries_from_file, read_file
from bulk_user_deletion.sources.hints import doubts
from tests.builders import a_user

FIELD = Path(__file__).parent / "field"

# User N of them has the id 100 + N; strasse, hr and NULL are there to be hit by mistake.
DIRECTORY = Directory(
    [
        *(a_user(100 + n, f"user{n:04}", email=f"user{n:04}@example.com") for n in range(1, 200)),
        a_user(900, "strasse", email="strasse@example.com"),
        a_user(901, "hr", email="hr@example.com"),
        a_user(902, "NULL", email="null@example.com"),
        a_user(903, "User", email="user@example.com"),
    ]
)

READ: dict[str, list[int]] = {
    "event-with-manager.json": [118],
    "header-user-login.csv": [118, 119, 120, 121, 122, 123],
    "null-beside-mail.csv": [118, 119],
    "entra-mail-empty.csv": [118, 119],
    "az-ad-user-list.json": [118],
    "graph-value.json": [118],
    "scim-resources.json": [118],
    "users-next-null.json": [118],
    "okta-users.json": [118],
    "okta-users.ndjson": [118, 119],
    "entra-bulk-template.csv": [218, 219],
    "m365-active-users.csv": [218],
    "pipes.csv": [118, 119],
    "powershell5-utf16.csv": [118],
    "header-german.csv": [118],
    "header-french.csv": [118],
    "header-upn.csv": [118],
    "header-email-id.csv": [118],
    "header-company-email.csv": [118],
    "brackets.csv": [118],
    "status-active.csv": [118, 119],
    "bom-and-sep.csv": [118],
    "gam-full.csv": [118],
}
REFUSED: dict[str, str] = {
    "author-and-leavers.json": r"names somebody and holds other people",
    "header-user.csv": r"Line 1 may be a header",
    "count-below-ids.csv": r"line 4 .* may be a total",
    "null-as-username.csv": r"Line 7 names nobody",
    "header-alternate-email.csv": r"second e-mail address, which names nobody",
    "title-block.csv": r"Line 5 looks like a header.*rename",
    "two-names-in-a-cell.csv": r"line 2, column username has two names",
    "html-table.xls": r"a web page",
    "psql.txt": r"a table printed for people",
    "ldifde.ldf": r"LDIF",
    "rtf.rtf": r"a formatted document",
    "our-report.csv": r"the report of a run.*apply its plan",
    "mailto.csv": r"line 2, column email begins with a prefix such as mailto",
    "name-and-mail.csv": r"line 2, column email is a name and an address",
    "total-row.csv": r"line 4, column email is not an e-mail address",
    "ids-as-floats.csv": r"line 2, .*a spreadsheet or a script changed the number",
    "ids-with-thousands.csv": r"line 2, .*a spreadsheet or a script changed the number",
    "row-in-quotes.csv": r"Line 1 as a whole is in one pair of quotes",
    "zero-width.csv": r"line 2, .*ZERO WIDTH SPACE \(U\+200B\), at position 21 of 21",
    "zero-width-header.csv": r"Line 1 .*name of column 1: ZERO WIDTH SPACE",
    "old-mac-line-ends.csv": r"Line 1 is not CSV: it has a carriage return",
}
UNRESOLVED: dict[str, str] = {
    "strasse.csv": "not_found",
    "columns-disagree.csv": "the e-mail names user 118, the username nobody",
    "two-header-lines.csv": "the username names user 118, the e-mail user 118, the id nobody",
}


def test_every_file_has_its_right_value_here() -> None:
    assert sorted({*READ, *REFUSED, *UNRESOLVED}) == sorted(path.name for path in FIELD.iterdir())


def whom(entries: list[Entry]) -> list[PortalUser | None]:
    return [DIRECTORY.match(entry).user for entry in entries]


@pytest.mark.parametrize("name", READ)
def test_exactly_these_people_are_read(name: str) -> None:
    users = whom(entries_from_file((FIELD / name).read_bytes()))

    assert [int(user.user_id) if user else None for user in users] == READ[name]


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_words_that_help_and_repeat_nothing(name: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        entries_from_file((FIELD / name).read_bytes())

    assert re.search(REFUSED[name], str(refused.value))
    assert "user00" not in str(refused.value)


@pytest.mark.parametrize("name", UNRESOLVED)
def test_it_names_nobody_who_could_be_deleted(name: str) -> None:
    [entry] = entries_from_file((FIELD / name).read_bytes())
    match = DIRECTORY.match(entry)

    assert match.user is None
    assert UNRESOLVED[name] in (match.problem, match.detail)


def test_a_status_that_says_that_somebody_stays_is_told_with_its_line() -> None:
    hints = read_file((FIELD / "status-active.csv").read_bytes()).hints

    against, _ = doubts(hints, today=date(2026, 5, 1))

    assert against == ["Column 3 holds a status, by which some are staying (line 3)."]
