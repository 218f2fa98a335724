"""Names, compared as the portal's own database compares them, and more loosely."""

from itertools import groupby
from unicodedata import normalize


def fold(text: str) -> str:
    """Trim and lower-case: what is equal under this names one user, and may be deleted by it.

    However a letter is put together: files from some systems write é as e and an accent. A letter
    whose small form is another letter's too (the Kelvin sign, İ) stays as it is.
    """
    text = text.strip()
    if text.isascii():
        return text.lower()
    runs = groupby(text, key=_stands_alone)
    return "".join(
        letters if alone else normalize("NFC", normalize("NFC", letters).lower())
        for alone, run in runs
        for letters in ("".join(run),)
    )


def fold_loosely(text: str) -> str:
    """Trim and case-fold fully: ß is ss, a ligature is its letters, the long s is s.

    What is equal under this alone protects, and finds deletions that were recorded before `fold`
    was as strict as it is. Nobody is deleted by it.
    """
    text = text.strip()
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFC", text).casefold())


def _stands_alone(letter: str) -> bool:
    """Tell whether composing or lower-casing makes another letter of this one."""
    small = letter.lower()
    return normalize("NFC", letter) != letter or (small != letter and small.upper() != letter)
