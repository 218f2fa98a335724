"""Counts what an invocation takes. It is added to the user's row by writes that are made anyway.

Lambda does not tell a function what it is billed or what it called, so an invocation counts that
itself. What it uses after its last write is not in the row.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping

# The prefix of the attributes of a user's row; the rest of the name is the field of `Spent`.
PREFIX = "spent_"


class Meter:
    """What this process's invocation has used since that was last recorded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counted: Counter[str] = Counter()
        self._since = 0.0
        self._is_for_user = False

    def start(self, *, is_for_user: bool) -> None:
        """Begin an invocation. What it uses for anything but a user is not recorded."""
        self._counted = Counter(invocations=1)
        self._since = self._clock()
        self._is_for_user = is_for_user

    def count(self, name: str, number: int = 1) -> None:
        """Add to a figure, which is a field of `Spent`."""
        self._counted[name] += number

    def so_far(self, *, writes: int) -> dict[str, int]:
        """Return what is not recorded yet, with a write that is about to record it.

        These are the attributes to add to the user's row.
        """
        if not self._is_for_user:
            return {}
        taken = {**self._counted, "ms": round((self._clock() - self._since) * 1000)}
        taken["writes"] = taken.get("writes", 0) + writes
        return {f"{PREFIX}{name}": number for name, number in taken.items() if number}

    def recorded(self, taken: Mapping[str, int]) -> None:
        """Start again, because `so_far` was recorded. The write itself has counted its units."""
        self._counted -= Counter({k.removeprefix(PREFIX): n for k, n in taken.items()})
        self._since += taken.get(f"{PREFIX}ms", 0) / 1000


meter = Meter()
