"""JSON: a list of users, an answer with one such list in it, one user, or JSON Lines."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import starmap
from typing import Any, NoReturn

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.sources.columns import (
    KNOWN,
    OTHER_ID,
    USER_ID,
    column_called,
    columns_of,
    is_about_a_leaver,
    letters,
    names_another,
    names_of,
    twins,
    words,
)
from bulk_user_deletion.sources.hints import Hints, hint_columns
from bulk_user_deletion.sources.text import MOST_ENTRIES
from bulk_user_deletion.sources.values import is_nothing, read_bare, read_entry

LONGEST_VALUE = 65_536
_USUAL_VALUE = 1_024
_DEEPEST = 4

_BLANK = re.compile(r"[ \t\r\n]*")

# Keys under which answers and exports keep their list, as `letters` returns them. Under any other
# key the list may be of people who stay.
_PEOPLE = words(
    """
    users members people persons employees workers leavers accounts usernames userids emails
    profiles terminated terminatedusers terminations deprovisioned benutzer mitarbeiter
    """
)
_LISTS = _PEOPLE | words(
    """
    value values resources data d result results items records rows entries reportentry list
    content elements response hits embedded nodes page body payload
    """
)
# In an object that names somebody, these hold other people, whatever their form; so does any
# object that names somebody, except those that a person has or that ask for the deletion.
_OTHERS = words(
    """
    leaver leavers user users member members people persons person employee employees worker
    workers usernames userids terminatedusers subject target targets
    """
)
_SINGULAR = words("user person employee worker subject target")  # may be the username, too
_RELATED = words(
    """
    manager supervisor linemanager reportsto boss teamlead mentor assistant sponsor owner hrpartner
    createdby updatedby modifiedby lastmodifiedby changedby creator author requester requestedby
    requestor approver approvedby sender reporter submitter submittedby initiator initiatedby actor
    """
)
_YES_OR_NO = frozenset({"yes", "no", "y", "n", "x", "1", "0", "ja", "nein", "oui", "non"})
# Lists of addresses that are a person's own.
_OWN = words(
    """
    aliases noneditablealiases othermails proxyaddresses alternateemails alternateemailaddresses
    secondaryemails recoveryemails imaddresses additionalemails smtpaddresses
    """
)

_ERRORS = frozenset({"error", "errors", "errormessage", "exception", "fault"})

_UNKNOWN_LIST = (
    "The file holds a list of people under an unknown key, which may say anything about them."
    " Send only the list."
)

_NEXT = re.compile(
    "next.*|.*next(?:page|link|token|cursor|url|uri|marker)|continuation(?:token)?|cursor|scrollid"
    "|aftercursor|more|.*hasmore.*|hasnext.*|moreavailable|.*truncated|incomplete.*|morerecords"
)
_LAST = re.compile("(?:is)?last(?:page)?|done|iscomplete|complete")
_TOTAL = re.compile(
    "total|total(?:results|count|size|items|records|elements|hits|rows|users)|.*count|amount"
    "|recordstotal|numberofresults"
)
_PAGES = re.compile("totalpages|pagecount|pages|numpages|lastpage")


def entries_from_json(text: str, hints: Hints) -> Iterator[Entry]:
    """Read `[…]`, an object with one list of people, or one object after another.

    A user is a string or a whole number (an id, a username or an e-mail), or an object with keys
    such as the columns of a CSV file, by themselves or under `profile`. Other keys are ignored,
    except for what they hint at. In a sequence of objects, each begins a line. No more users than
    the caller asks for are decoded.

    Raises:
        RequestRefused: naming the entry, from 1; the line in JSON Lines.
    """
    reader = _Reader(text)
    if reader.take("["):
        yield from _list(reader, hints)
        reader.end()
    elif _are_several(reader):
        yield from _lines(reader, hints)
    else:
        yield from _document(reader, hints)


def _are_several(reader: "_Reader") -> bool:
    """Tell whether something follows the first object."""
    start = reader.place()
    try:
        reader.value("entry 1")
        return not reader.is_at_end()
    except RequestRefused:
        return False  # too long for a line, or malformed: what reads it as a document says where
    finally:
        reader.back_to(start)


def _list(reader: "_Reader", hints: Hints) -> Iterator[Entry]:
    for position, value in _elements(reader):
        yield _entry(position, value, f"entry {position}", hints)


def _elements(reader: "_Reader") -> Iterator[tuple[int, object]]:
    """Yield the values of a list whose bracket is taken, with their positions from 1."""
    if reader.take("]"):
        return
    position = 0
    while True:
        position += 1
        where = f"entry {position}"
        yield position, reader.value(where)
        if reader.take("]"):
            return
        if not reader.take(","):
            reader.refuse(f"a comma or the end of the list must follow {where}")


def _lines(reader: "_Reader", hints: Hints) -> Iterator[Entry]:
    before = 0
    while not reader.is_at_end():
        line = reader.line()
        if line == before:
            reader.refuse("each entry must begin on its own line")
        before = line
        where = f"line {line}"
        yield _entry(line, reader.value(where), where, hints)


# One user


def _entry(number: int, value: object, where: str, hints: Hints) -> Entry:
    if isinstance(value, str):
        return Entry(number, bare=read_bare(value, where))
    if not isinstance(value, dict):
        raise RequestRefused(
            f"The value in {where} is neither a name, nor a whole number, nor an object."
        )
    return _person(number, value, where, hints)


def _person(number: int, value: Mapping[str, Any], where: str, hints: Hints) -> Entry:
    named = _with_profile(value)
    keys = tuple(named)
    try:
        columns, beside = _columns(keys)
    except RequestRefused:  # the same again, with the place
        columns, beside = columns_of(keys, f"The object in {where}"), []
    if not columns:
        raise RequestRefused(_names_nobody(value, where))
    if not names_of(columns):
        raise RequestRefused(
            f"The object in {where} has an id that is not spelled user_id, and no name: it may be"
            " another system's. If it is the portal's, call it user_id."
        )
    if any(
        _holds_people(key, inner) or _is_of_others(value, key) or _is_of_a_leaver(value, key)
        for key, inner in value.items()
    ):
        raise RequestRefused(_names_and_lists(where))
    for column, index in twins(keys, columns):
        first, other = named[keys[columns[column]]], named[keys[index]]
        if str(first or "").strip().lower() != str(other or "").strip().lower():
            raise RequestRefused(
                f"The object in {where} has two keys that are {column}, and they differ. Remove the"
                " one that the portal does not go by."
            )
    values = {}
    for column, index in columns.items():
        given = named[keys[index]]
        if column == USER_ID and isinstance(given, float):
            raise RequestRefused(
                f"The user_id in {where} is neither text nor a whole number: a script gave it a"
                " fraction or an exponent. Export it as a whole number."
            )
        if column == OTHER_ID and not isinstance(given, str):
            given = ""  # surely another system's
        if given is not None and not isinstance(given, str):
            raise RequestRefused(f"The {column} in {where} is neither text nor a whole number.")
        values[column] = given or ""
    for index, word in beside:
        if (found := named[keys[index]]) is None or isinstance(found, str | bool):
            hints.see(number, word, -1, "" if found is None else found)
    if hints.mentions is not None:
        hints.mentions.see(value.values())
    return read_entry(number, values, where)


@lru_cache(maxsize=16)
def _columns(keys: tuple[str, ...]) -> tuple[dict[str, int], list[tuple[int, str]]]:
    """Return the columns of an object, and those that may hint: most objects have the same keys."""
    columns = columns_of(keys, "")
    return columns, hint_columns(keys, columns.values())


def _with_profile(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object, with what is under its `profile` if nothing of its own names anybody.

    Okta and Slack keep names there.
    """
    profile = value.get("profile")
    if isinstance(profile, dict) and not any(map(column_called, value)):
        return {**profile, **{key: inner for key, inner in value.items() if key not in profile}}
    return value


def _names_nobody(value: Mapping[str, Any], where: str) -> str:
    keys = {letters(key) for key in value}
    if "runid" in keys and keys & {"rows", "entries", "counts", "sentence"}:
        return (
            "The file is the plan, the report or the answer of a run, not a list. To delete the"
            " users whom a preview planned, apply its plan: bulk-user-deletion apply RUN-ID."
        )
    if keys & _ERRORS or (
        "message" in keys and keys <= {"status", "statuscode", "code", "message"}
    ):
        return "The file is a saved error response, not a list. Export the list again."
    return (
        f"The object in {where} names nobody: it has none of {KNOWN}. An id of another system is no"
        " user_id."
    )


def _is_an_answer(value: Mapping[str, Any]) -> bool:
    """Tell whether an object holds one user and nothing else, like the portal's answer for one.

    In an event or a ticket, the user is the sender.
    """
    beside = {letters(key) for key, inner in value.items() if inner is not None} - {"user"}
    return beside <= {"success", "status", "statuscode", "code", "message", "ok"}


def _names_and_lists(where: str) -> str:
    return (
        f"The object in {where} names somebody and holds other people, too: it is not clear"
        " who is meant. Send only the list."
    )


def _holds_people(key: str, value: object, depth: int = 0) -> bool:
    """Tell whether a value of an object is, or holds somewhere, a list of other people."""
    if depth > _DEEPEST:
        return False
    if isinstance(value, dict):
        return any(_holds_people(name, inner, depth + 1) for name, inner in value.items())
    if not isinstance(value, list) or letters(key) in _OWN:
        return False
    return any(_is_person(key, element) for element in value) or any(
        _holds_people("", inner, depth + 1)
        for element in value
        if isinstance(element, dict)
        for inner in element.values()
    )


def _is_of_others(named: Mapping[str, Any], key: str) -> bool:
    """Tell whether a key of an object that names somebody says whom it is really about."""
    word, value = letters(key), named[key]
    if isinstance(value, dict):
        names_another = word not in _RELATED | {"profile"} and _names_somebody(value)
        return word in _OTHERS or names_another
    if word not in _OTHERS or is_nothing(str(value or "")) or str(value).lower() in _YES_OR_NO:
        return isinstance(value, list) and word in _OTHERS
    own = {inner.lower() for name, inner in named.items() if column_called(name) and inner}
    return isinstance(value, list) or (
        isinstance(value, str)
        and value.lower() not in own
        and ("@" in value or word not in _SINGULAR)
    )


def _is_of_a_leaver(named: Mapping[str, Any], key: str) -> bool:
    """Tell whether a key says that it is about a leaver, and names another than the object does."""
    value = named[key]
    if not isinstance(value, str) or is_nothing(value) or not is_about_a_leaver(key):
        return False
    own = {
        inner.lower()
        for name, inner in named.items()
        if isinstance(inner, str) and column_called(name)
    }
    return names_another(key, value, own)


def _is_somebody(key: str, value: object) -> bool:
    """Tell whether an object next to a list of people is one more of them."""
    return isinstance(value, dict) and letters(key) not in _RELATED and _names_somebody(value)


def _is_person(key: str, value: object) -> bool:
    """Tell whether an element of the list under `key` names somebody."""
    if isinstance(value, dict):
        return _names_somebody(value)
    if isinstance(value, str):
        return not is_nothing(value) and (letters(key) in _LISTS or "@" in value.strip("@"))
    return False


def _names_somebody(value: Mapping[str, Any]) -> bool:
    return any(
        isinstance(inner, str) and not is_nothing(inner) and column_called(key)
        for key, inner in _with_profile(value).items()
    )


def _is_link_to_next(value: object) -> bool:
    return isinstance(value, dict) and "next" in (value.get("rel"), value.get("relation"))


# An object that may hold a list


@dataclass
class _Found:
    """What a document holds: its lists under usual keys, whether others list people, the rest."""

    rest: dict[str, Any] = field(default_factory=dict)
    lists: list["_List"] = field(default_factory=list)
    has_others: bool = False  # under a key that says so
    names_within: bool = False  # not at its top
    people_elsewhere: bool = False  # in lists that are none of `lists`
    says_more: bool = False
    totals: list[int] = field(default_factory=list)


@dataclass
class _List:
    key: str
    length: int = 0
    people: bool = False
    entries: list[Entry] = field(default_factory=list)
    refusal: RequestRefused | None = None


def _document(reader: "_Reader", hints: Hints) -> Iterator[Entry]:
    found = _Found()
    line = reader.line()
    reader.take("{")
    _read_members(reader, found, hints, depth=0)
    reader.end()
    people = [each for each in found.lists if each.people]
    where = f"line {line}"
    if any(map(column_called, _with_profile(found.rest))):
        if people or found.has_others or found.people_elsewhere or found.names_within:
            raise RequestRefused(_names_and_lists(where))
        yield _person(line, found.rest, where, hints)
        return
    if people and (found.names_within or any(starmap(_is_somebody, found.rest.items()))):
        raise RequestRefused(_names_and_lists(where))
    if len(people) + found.people_elsewhere > 1:
        raise RequestRefused(
            "The file holds more than one list of people: it is not clear which one is meant. Send"
            " only that list."
        )
    usual = [each for each in found.lists if letters(each.key) in _LISTS]
    is_error = any(value and letters(key) in _ERRORS for key, value in found.rest.items())
    if not people and not found.people_elsewhere and (is_error or not usual):
        user = found.rest.get("user")
        if isinstance(user, dict) and _is_an_answer(found.rest):
            yield _person(line, user, where, hints)
            return
        raise RequestRefused(_names_nobody(found.rest, where))
    if found.people_elsewhere:
        raise RequestRefused(_UNKNOWN_LIST)
    chosen = people[0] if people else max(usual, key=lambda each: each.length)
    if letters(chosen.key) not in _LISTS:
        raise RequestRefused(_UNKNOWN_LIST)
    if "runid" in map(letters, found.rest):
        raise RequestRefused(_names_nobody({**found.rest, "rows": []}, where))
    if found.says_more or any(total > chosen.length for total in found.totals):
        raise RequestRefused(
            "The file is one page of several, as it refers to a next one or to a larger total. Send"
            " the whole list."
        )
    if chosen.refusal:
        raise chosen.refusal
    yield from chosen.entries


def _read_members(reader: "_Reader", found: _Found, hints: Hints, *, depth: int) -> None:
    """Read an object to its end; its brace is taken."""
    seen: set[str] = set()
    while not reader.take("}"):
        if seen and not reader.take(","):
            reader.refuse("a comma or the end of the object must follow")
        key = reader.value("a key")
        if not isinstance(key, str) or not reader.take(":"):
            reader.refuse("a key and a colon must come here")
        if key in seen:
            raise RequestRefused(f"An object in line {reader.line()} has a key twice.")
        seen.add(key)
        found.has_others = found.has_others or (
            letters(key) in _OTHERS and reader.comes(("[", "{"))
        )
        if reader.take("["):
            found.lists.append(_read_list(reader, found, key, hints))
        elif letters(key) in _LISTS and depth < _DEEPEST and reader.take("{"):
            _read_members(reader, found, hints, depth=depth + 1)
        else:
            value = reader.value(f"the object in line {reader.line()}")
            _note_pages(found, key, value)
            found.people_elsewhere = found.people_elsewhere or _holds_people(key, value)
            if depth == 0:
                found.rest[key] = value
            elif column_called(key) or _is_somebody(key, value):
                found.names_within = True


def _read_list(reader: "_Reader", found: _Found, key: str, hints: Hints) -> _List:
    """Read a list whose bracket is taken: under a usual key, as entries."""
    read = _List(key)
    is_usual = letters(key) in _LISTS
    is_own = letters(key) in _OWN
    for position, value in _elements(reader):
        read.length += 1
        read.people = read.people or (not is_own and _is_person(key, value))
        found.says_more = found.says_more or _is_link_to_next(value)
        if is_usual and read.refusal is None:
            if len(read.entries) == MOST_ENTRIES:
                raise RequestRefused(f"The file has over {MOST_ENTRIES} entries. Send it in parts.")
            try:
                read.entries.append(_entry(position, value, f"entry {position}", hints))
            except RequestRefused as refusal:
                read.refusal = refusal
    return read


def _note_pages(found: _Found, key: str, value: object, depth: int = 0) -> None:
    """Take note of what says that there is more than this page."""
    word = letters(key)
    if isinstance(value, dict):
        if _NEXT.fullmatch(word) and value.get("href"):
            found.says_more = True
        if _TOTAL.fullmatch(word) and isinstance(number := value.get("value"), str):
            _note_pages(found, key, number, depth + 1)  # as Elasticsearch counts
        for name, inner in value.items() if depth < _DEEPEST else ():
            _note_pages(found, name, inner, depth + 1)
        return
    if isinstance(value, list):
        found.says_more = found.says_more or any(map(_is_link_to_next, value))
        return
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 19 else 0
    if _NEXT.fullmatch(word):
        found.says_more |= bool(value) and value not in {"0", "false", "null", "None"}
    elif (_LAST.fullmatch(word) and value is False) or (_PAGES.fullmatch(word) and number > 1):
        found.says_more = True
    elif _TOTAL.fullmatch(word):
        found.totals.append(number)


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
        """Skip a mark and the blanks after it, if it comes next."""
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        self._skip_blank()
        return True

    def comes(self, marks: tuple[str, ...]) -> bool:
        """Tell whether one of the marks is what comes next."""
        return self._text.startswith(marks, self._at)

    def place(self) -> int:
        """Return this place, to come back to later."""
        return self._at

    def back_to(self, place: int) -> None:
        """Go back to a place."""
        self._at = place

    def value(self, where: str) -> object:
        """Decode the value that comes next. Whole numbers are text."""
        for size in (_USUAL_VALUE, LONGEST_VALUE):
            try:
                # If the text is cut short, only a number can be read at all: one of that many
                # digits.
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
        self.refuse(f"{where} is not a value, or has more than {LONGEST_VALUE} characters")

    def line(self) -> int:
        """Return the line of this place, from 1."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def is_at_end(self) -> bool:
        """Tell whether nothing is left."""
        return self._at == len(self._text)

    def end(self) -> None:
        """Make sure that nothing is left."""
        if not self.is_at_end():
            self.refuse("something follows the list")

    def refuse(self, why: str) -> NoReturn:
        """Refuse the file at this place."""
        raise RequestRefused(f"The file is not valid JSON in line {self.line()}: {why}.")

    def _skip_blank(self) -> None:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at


class _RepeatedKeyError(Exception):
    """An object has two values for one key; JSON parsers differ in which one they use."""


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedKeyError
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
