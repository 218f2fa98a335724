"""JSON: a list of users, the same under the key `users`, or JSON Lines."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models import Entry
from bulk_user_deletion.sources.columns import KNOWN, columns_of, read_bare, read_entry

LONGEST_VALUE = 65_536
_USUAL_VALUE = 1_024

_BLANK = re.compile(r"[ \t\r\n]*")
_USERS = re.compile(r'\{[ \t\r\n]*"users"[ \t\r\n]*:[ \t\r\n]*')


def entries_from_json(text: str) -> Iterator[Entry]:
    """Read `[…]`, `{"users": […]}`, or one object after the other, each beginning a line.

    A user is a string or a whole number (an id, a username or an e-mail), or an object with keys
    such as the columns of a CSV file. Other keys are ignored, whatever they hold. Not one user more
    than the caller asks for is decoded.

    Raises:
        RequestRefused: naming the entry, from 1; the line in JSON Lines.
    """
    reader = _Reader(text)
    if reader.take("["):
        yield from _list(reader)
        reader.end()
    elif reader.take_users():
        if not reader.take("["):
            raise RequestRefused("The key users of the file must hold a list.")
        yield from _list(reader)
        if not reader.take("}"):
            reader.refuse("the object with users may hold nothing else")
        reader.end()
    else:
        yield from _lines(reader)


def _list(reader: "_Reader") -> Iterator[Entry]:
    if reader.take("]"):
        return
    position = 0
    while True:
        position += 1
        where = f"entry {position}"
        yield _entry(position, reader.value(where), where)
        if reader.take("]"):
            return
        if not reader.take(","):
            reader.refuse(f"a comma or the end of the list must follow {where}")


def _lines(reader: "_Reader") -> Iterator[Entry]:
    before = 0
    while not reader.is_at_end():
        line = reader.line()
        if line == before:
            reader.refuse("each entry must begin a line of its own")
        before = line
        where = f"line {line}"
        yield _entry(line, reader.value(where), where)


def _entry(number: int, value: object, where: str) -> Entry:
    if isinstance(value, str):
        return Entry(number, bare=read_bare(value, where))
    if not isinstance(value, dict):
        raise RequestRefused(
            f"The value in {where} is neither a name, nor a whole number, nor an object."
        )
    named: Mapping[str, Any] = value
    keys = list(named)
    columns = columns_of(keys, f"The object in {where}")
    if not columns:
        raise RequestRefused(
            f"The object in {where} names nobody: it has none of {KNOWN}. An id of another system"
            " is no user_id."
        )
    values = {}
    for column, index in columns.items():
        given = named[keys[index]]
        if given is not None and not isinstance(given, str):
            raise RequestRefused(f"The {column} in {where} is neither text nor a whole number.")
        values[column] = given or ""
    return read_entry(number, values, where)


class _Reader:
    """A place in a text of JSON. No value is decoded that is longer than `LONGEST_VALUE`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line, self._counted = 1, 0
        self._skip_blank()
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_without_repetition,
            parse_int=str,  # `118` and `"118"` are one id, and no number is too long to be read
            parse_constant=_no_constant,
        )

    def take(self, mark: str) -> bool:
        """Go past a mark and the blanks behind it, if it is what comes next."""
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        self._skip_blank()
        return True

    def take_users(self) -> bool:
        """Go past the beginning of an object with the key `users`, if that comes next."""
        match = _USERS.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return match is not None

    def value(self, where: str) -> object:
        """Decode the value that comes next. Whole numbers are text."""
        for size in (_USUAL_VALUE, LONGEST_VALUE):
            try:
                # Of what is cut short, only a number can be read at all: one of so many digits.
                value, length = self._decoder.raw_decode(self._text[self._at : self._at + size])
            except _RepeatedKeyError:
                raise RequestRefused(f"An object in {where} has a key twice.") from None
            except RecursionError:
                raise RequestRefused(f"The value in {where} is nested too deeply.") from None
            except ValueError:
                continue
            self._at += length
            self._skip_blank()
            return value
        self.refuse(f"{where} is no value, or has more than {LONGEST_VALUE} characters")

    def line(self) -> int:
        """Return the line of this place, from 1."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def is_at_end(self) -> bool:
        """Tell whether nothing is left."""
        return self._at == len(self._text)

    def end(self) -> None:
        """Insist that nothing is left."""
        if not self.is_at_end():
            self.refuse("something follows the list")

    def refuse(self, why: str) -> NoReturn:
        """Refuse the file at this place."""
        raise RequestRefused(f"The file is not JSON as it should be in line {self.line()}: {why}.")

    def _skip_blank(self) -> None:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at


class _RepeatedKeyError(Exception):
    """An object says two things under one key; readers of JSON differ in which they take."""


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedKeyError
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
