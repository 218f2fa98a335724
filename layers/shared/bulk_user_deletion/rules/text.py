"""Words for people: counts with their nouns, and text from outside that is safe to show."""

import re
from collections.abc import Sequence

# Control characters of terminals other than C0, marks that change the text direction, line
# separators, and surrogates, which no encoding can write.
_BEYOND_C0 = "\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_UNSHOWABLE = re.compile(f"[\0-\x1f{_BEYOND_C0}]")
_UNSHOWABLE_IN_JSON = re.compile(f"[{_BEYOND_C0}]")


def showable(text: str) -> str:
    """Return the text in one line, with U+FFFD in place of each character that cannot be shown."""
    return _UNSHOWABLE.sub("\ufffd", text)


def one_line(text: str, *, longest: int) -> str:
    """Return the text as one line of printable characters, cut to a length."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:longest]


def showable_json(text: str) -> str:
    """Return an equivalent JSON document, with escapes for what cannot be shown.

    JSON itself has already escaped the C0 control characters.
    """
    return _UNSHOWABLE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun, and verb: `1 leaver is`, `2 leavers are`.

    Without `many`, an s makes the plural.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def some(ids: Sequence[str], *, most: int = 20) -> str:
    """Return ids as a list for people, cut after `most` of them."""
    return ", ".join(ids[:most]) + (", …" if len(ids) > most else "")


def lines_of(numbers: Sequence[int], *, most: int = 20) -> str:
    """Return lines of a file as a list for people: `line 3`, `lines 3, 7`."""
    word = "line" if len(numbers) == 1 else "lines"
    return f"{word} {some([str(number) for number in numbers], most=most)}"
