"""Names, compared in the way the portal's database compares them, and more loosely."""

from itertools import groupby
from unicodedata import normalize


def fold(text: str) -> str:
    """Trim and lower-case: equal names are names of the same user, who may be deleted by them.

    Letters are composed first: files from some systems write é as e and an accent. A letter that
    shares its lower-case form with another letter (the Kelvin sign, İ) is left unchanged.
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

    Names that are equal only under this protect, and find deletions that were recorded before
    `fold` was as strict as it is now. No user is deleted by such a name.
    """
    text = text.strip()
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFC", text).casefold())


def _stands_alone(letter: str) -> bool:
    """Return whether composing or lower-casing turns this letter into another one."""
    small = letter.lower()
    return normalize("NFC", letter) != letter or (small != letter and small.upper() != letter)
