"""Text that others wrote, made fit to be shown: on a page, in a spreadsheet, on a terminal."""

import re

# What a terminal obeys beside C0, what turns the order of letters around, what begins a new line,
# and halves of characters, which no encoding can write.
_BEYOND_C0 = "\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_UNSHOWABLE = re.compile(f"[\0-\x1f{_BEYOND_C0}]")
_UNSHOWABLE_IN_JSON = re.compile(f"[{_BEYOND_C0}]")


def showable(text: str) -> str:
    """Return a text in one line, with U+FFFD in place of each character that cannot be shown."""
    return _UNSHOWABLE.sub("\ufffd", text)


def showable_json(text: str) -> str:
    """Return a JSON document that says the same, with escapes for what cannot be shown.

    JSON itself has escaped what lies below the space.
    """
    return _UNSHOWABLE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
