"""A second reading of a file, as slow and as plain as possible: no csv module, no streaming.

It says whom a valid file names, and does not have to refuse anything.
"""

import json
from typing import Any

Named = tuple[str, str, str, str]  # bare, user_id, username, email

_OTHER_ID = 4
_NOTHING = {"null", "\\n", "none", "n/a", "nil", "#n/a", "-", "?", "."}

_WORDS = {
    "userid": _OTHER_ID,
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
    """Everybody whom a file names, in order."""
    text = content.decode()
    if text.startswith("\ufeff"):
        text = text[1:]
    if text.strip()[:1] in ("[", "{") and not text.strip()[1:2].isalpha():
        return [_of_value(value) for value in _values(text)]
    return _of_csv(text)


def _kind(name: str) -> int | None:
    if name.strip() in {"user_id", "[user_id]"}:
        return 1
    if any(mark in name for mark in ",;|"):
        return None
    return _WORDS.get("".join(c for c in name.lower() if c.isalnum() and c.isascii()))


def _named(cells: dict[int, str]) -> Named:
    """Whom a row names: a sign-in name counts if there is neither username nor e-mail."""
    text = [cells.get(kind, "").strip() for kind in range(5)]
    bare, user_id, username, email, other = [
        "" if cell.lower() in _NOTHING else cell for cell in text
    ]
    if username or email:
        bare = ""
    if "@" in username.strip("@") and email.lower() in {"", username.lower()}:
        return username, user_id or _number(other), "", ""
    return bare, user_id or _number(other), username, email


def _number(text: str) -> str:
    return text if text.isdecimal() else ""


# CSV


def _of_csv(text: str) -> list[Named]:
    first = text.replace("\r", "\n").split("\n")[0]
    delimiters = [",", ";", "\t", "|"]
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
    named = []
    for row in table[1:]:
        if [_kind(cell) for cell in row[: len(kinds)]] == kinds:
            continue  # the header once more
        cells = {kind: cell for kind, cell in zip(kinds, row, strict=False) if kind is not None}
        named.append(_named(cells))
    return named


def _table(text: str, delimiter: str) -> list[list[str]] | None:
    """Rows that are not blank, letter by letter; None if the quotes make no sense."""
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
        lists = [value for value in first.values() if isinstance(value, list)]
        if "users" not in first and lists and not any(_of_value(first)):
            return lists[0]
        return list(first.get("users", values))
    return first


def _of_value(value: Any) -> Named:
    if not isinstance(value, dict):
        return str(value).strip(), "", "", ""
    return _named({kind: value[key] or "" for key in value if (kind := _kind(key)) is not None})
