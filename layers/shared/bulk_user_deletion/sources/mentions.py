"""Every value of a file that may be a name, whatever its column is called."""

import re
from collections.abc import Iterable, Mapping

_ADDRESS = re.compile(r"""[^\s,;|<>()\[\]"':]+@[^\s,;|<>()\[\]"':]+""")


class Mentions:
    """Collects the values of columns that name nobody: for a roster they may name who stays.

    A number does not: it may be another system's id, and somebody else's user id here. Of several
    e-mail addresses in a cell, each counts.
    """

    def __init__(self) -> None:
        self.values: set[str] = set()

    def see(self, values: Iterable[object]) -> None:
        """Take note of the values of a row, and of what is in lists and objects."""
        for value in values:
            if isinstance(value, Mapping):
                self.see(value.values())
            elif isinstance(value, list):
                self.see(value)
            elif isinstance(value, str) and (text := value.strip()) and not text.isdecimal():
                self.values.add(text)
                if "@" in text:
                    self.values.update(_ADDRESS.findall(text))
