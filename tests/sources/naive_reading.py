"""A second reading of a file, as slow and as plain as can be: no csv module, no streaming.

It says whom a file names when the file is in order, and is not asked to refuse anything.
"""

import json
from typing import Any

Named = tuple[str, str, str, str]  # bare, user_id, username, email

_WORDS = {
    "userid": 1,
    "username": 2,
    "samaccountname": 2,
    "loginname": 2,
    "logonname": 2,
    "email": 3,
    "emailaddress": 3,
    "emailaddressrequired": 3,
    "emailwork": 3,
    "mail": 3,
    "primaryemail": 3,
    "workemail": 3,
    "login": 0,
    "userprincipalname": 0,
}


def whom(content: bytes) -> list[Named]:
    """Everybody that a file names, in its order."""
    text = content.decode()
    if text.startswith("\ufeff"):
        text = text[1:]
    if text.strip()[:1] in ("[", "{"):
        return [_of_value(value) for value in _values(text)]
    return _of_csv(text)


def _kind(name: str) -> int | None:
    letters = "".join(c for c in name.lower() if c not in " \u00a0\n_-.:*()[]")
    return _WORDS.get(letters)


def _named(cells: dict[int, str]) -> Named:
    bare, user_id, username, email = (cells.get(kind, "").strip() for kind in range(4))
    return bare, user_id, username, email


# CSV


def _of_csv(text: str) -> list[Named]:
    first = text.replace("\r", "\n").split("\n")[0]
    delimiters = [",", ";", "\t"]
    if first[1:-1] in {f"sep={delimiter}" for delimiter in delimiters} and first[0] == '"':
        first = first[1:-1]
    if first.lower() in {f"sep={delimiter}" for delimiter in delimiters}:
        delimiters = [first[4]]
        text = text[len(text.replace("\r", "\n").split("\n")[0]) + 1 :].removeprefix("\n")
    elif first.startswith(("#TYPE ", '"#TYPE ')):
        text = text[len(text.replace("\r", "\n").split("\n")[0]) + 1 :].removeprefix("\n")
    tables = [rows for delimiter in delimiters if (rows := _table(text, delimiter)) is not None]
    for table in tables:
        if table and any(_kind(cell) is not None for cell in table[0]):
            return _of_columns(table)
    if not all(tables):
        return []
    widest = max(tables, key=lambda table: len(table[0]))
    return [(row[0], "", "", "") for row in widest]


def _of_columns(table: list[list[str]]) -> list[Named]:
    kinds = [_kind(cell) for cell in table[0]]
    if any(kind in (1, 2, 3) for kind in kinds):
        kinds = [None if kind == 0 else kind for kind in kinds]
    named = []
    for row in table[1:]:
        cells = {kind: cell for kind, cell in zip(kinds, row, strict=False) if kind is not None}
        named.append(_named(cells))
    return named


def _table(text: str, delimiter: str) -> list[list[str]] | None:
    """Rows that are not blank, letter by letter; None when the quotes make no sense."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    rows: list[list[str]] = []
    row: list[str] = []
    cell = ""
    quoted = False
    at = 0
    while at < len(text):
        letter = text[at]
        at += 1
        if quoted and text[at - 1 : at + 1] == '""':
            cell += '"'
            at += 1
        elif quoted:
            if letter == '"':
                quoted = False
                if text[at : at + 1] not in {"", "\n", delimiter}:
                    return None
            else:
                cell += letter
        elif letter == '"' and not cell and (at == 1 or text[at - 2] in f"{delimiter}\n"):
            quoted = True
        elif letter == delimiter:
            row.append(cell)
            cell = ""
        elif letter == "\n":
            rows.append([*row, cell])
            row, cell = [], ""
        else:
            cell += letter
    if quoted:
        return None
    rows.append([*row, cell])
    trimmed = [[cell.strip() for cell in row] for row in rows]
    return [row for row in trimmed if any(row)]


# JSON


def _values(text: str) -> list[Any]:
    decoder = json.JSONDecoder(parse_int=str)
    values = []
    rest = text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        values.append(value)
        rest = rest[end:].strip()
    [first, *others] = values
    if others or not isinstance(first, list | dict):
        return values
    if isinstance(first, dict):
        return list(first.get("users", values))
    return first


def _of_value(value: Any) -> Named:
    if not isinstance(value, dict):
        return str(value).strip(), "", "", ""
    cells = {kind: value[key] or "" for key in value if (kind := _kind(key)) is not None}
    if any(kind in cells for kind in (1, 2, 3)):
        cells.pop(0, None)
    return _named(cells)
