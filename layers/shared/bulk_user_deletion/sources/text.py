"""A file's bytes as text, and the text as lines: cheaply refuses what is not a list of users."""

import codecs
from collections.abc import Iterator

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.sources.kinds import no_list_of_bytes, no_list_of_text

LONGEST_LINE = 65_536
MOST_ENTRIES = 100_000
_MOST_LINES = 1_000_000

_SAVE = "Save it as 'CSV UTF-8'."


def decoded(content: bytes) -> str:
    """Decode UTF-8, with or without a byte order mark, or UTF-16 with one.

    Raises:
        RequestRefused: it is something else, which is named if it can be recognized.
    """
    if said := no_list_of_bytes(content):
        raise RequestRefused(said)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = _from_utf16(content)
    else:
        text = _from_utf8(content)
    if said := no_list_of_text(text):
        raise RequestRefused(said)
    return text


def _from_utf16(content: bytes) -> str:
    try:
        text = content.decode("utf-16")
    except UnicodeDecodeError:
        raise RequestRefused(f"The file is damaged UTF-16. {_SAVE}") from None
    if (at := text.find("\0")) >= 0:
        line = text.count("\n", 0, at) + 1
        raise RequestRefused(f"Line {line} has a NUL character: the file is not text. {_SAVE}")
    return text.removeprefix("\ufeff")


def _from_utf8(content: bytes) -> str:
    if (at := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, at) + 1
        raise RequestRefused(
            f"Line {line} has a NUL byte: the file is not text, or it is UTF-16. {_SAVE}"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1  # the object is without its BOM
        raise RequestRefused(
            f"Line {line} is not UTF-8; the file may be Windows-1252, as Excel's 'CSV' is. {_SAVE}"
        ) from None


def lines(text: str) -> Iterator[str]:
    r"""Yield the lines of a text with their ends: \n, \r\n, or \r if no other is used.

    Raises:
        RequestRefused: one of them is longer than any line of a list of users, or there are more.
    """
    end_of_line = "\n" if "\n" in text else "\r"
    if text.count(end_of_line) > _MOST_LINES:
        raise RequestRefused(f"The file has more than {_MOST_LINES} lines. Send it in parts.")
    start = number = 0
    while start < len(text):
        number += 1
        end = text.find(end_of_line, start) + 1 or len(text)
        if end - start > LONGEST_LINE:
            raise RequestRefused(
                f"Line {number} is longer than {LONGEST_LINE} characters. Check that this is a list"
                " with one user on each line."
            )
        yield text[start:end]
        start = end
