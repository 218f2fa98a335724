"""What becomes of each of a company's people, by what was ordered and by the calendar alone.

It knows nothing of the application: no run, no plan, no ledger. Days are numbered from 0. Orders
are given at noon, and whoever is due is deleted in the night before a day, at three.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Fate(StrEnum):
    """How a person stands in the portal."""

    THERE = "there"
    DISABLED = "disabled"
    GONE = "gone"


@dataclass
class Company:
    """Everybody who ever was in the portal, by id.

    `due` has the first night in which a disabled person may be deleted. `employed` are those whom
    the personnel department takes for colleagues: it puts them on its rosters. Whoever was
    `touched` by an order, a person or a sync is not a leaver again, unless by id.
    """

    grace_days: int
    fates: dict[int, Fate] = field(default_factory=dict)
    due: dict[int, int] = field(default_factory=dict)
    employed: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)

    def join(self, user_ids: Iterable[int]) -> None:
        """Take note of new colleagues."""
        for user_id in user_ids:
            self.fates[user_id] = Fate.THERE
            self.employed.add(user_id)

    def delete(self, user_ids: Iterable[int]) -> None:
        """Take note of an order to delete people at once."""
        for user_id in user_ids:
            self._leaves(user_id, Fate.GONE)

    def disable(self, user_ids: Iterable[int], *, day: int) -> None:
        """Take note of an order to disable people at noon of a day, and to delete them later."""
        for user_id in user_ids:
            if self.fates[user_id] is not Fate.GONE:
                self._leaves(user_id, Fate.DISABLED)
                self.due[user_id] = day + self.grace_days + 1

    def night(self, day: int) -> set[int]:
        """Take note of the night before a day; return who is deleted in it."""
        deleted = {user_id for user_id, night in self.due.items() if night <= day}
        self.delete(deleted)
        return deleted

    def keep(self, user_id: int, fate: Fate, *, employed: bool = False) -> None:
        """Take note that a leaver is not deleted by us, and of how they stand from now on."""
        self._leaves(user_id, fate)
        if employed:
            self.employed.add(user_id)

    def waiting(self, *, day: int) -> list[int]:
        """Return who waits, and is not deleted in the next nights."""
        return sorted(user_id for user_id, night in self.due.items() if night > day + 2)

    def fresh(self) -> list[int]:
        """Return the colleagues to whom nothing has happened yet."""
        return sorted(self.employed - self.touched)

    def named(self, fate: Fate) -> set[int]:
        """Return everybody of a fate."""
        return {user_id for user_id, its in self.fates.items() if its is fate}

    def differing(self, access: dict[int, str]) -> set[int]:
        """Return whoever does not stand in the portal as here; `access` has Y or N by id."""
        expected = {Fate.THERE: "Y", Fate.DISABLED: "N", Fate.GONE: None}
        return {
            user_id
            for user_id in self.fates.keys() | access.keys()
            if user_id not in self.fates or access.get(user_id) != expected[self.fates[user_id]]
        }

    def _leaves(self, user_id: int, fate: Fate) -> None:
        self.fates[user_id] = fate
        self.due.pop(user_id, None)
        self.employed.discard(user_id)
        self.touched.add(user_id)
