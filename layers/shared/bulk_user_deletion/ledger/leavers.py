"""Leavers in the ledger: whom a run disabled, and what happens to them next.

Rows of open leavers do not expire. Most changes belong to an outcome or an intent: those methods
return a `Write`, for the transaction of the other one.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bulk_user_deletion.errors import StoreUnavailable
from bulk_user_deletion.ledger import rows
from bulk_user_deletion.ledger.table import IS_NEW, Condition, Table, Write, put
from bulk_user_deletion.models.leavers import Leaver, LeaverState


def _is_unchanged(before: Leaver | None) -> Condition:
    if before is None:
        return IS_NEW
    return Condition(
        "#state = :was AND changed_at = :changed AND run_count = :runs",
        was=before.state,
        changed=before.changed_at,
        runs=len(before.runs),
    )


class Leavers:
    """A row for each user of a portal whom a run disabled."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self, portal_url: str, user_id: str) -> Leaver | None:
        """Return a user's row."""
        key = rows.leaver_key(portal_url, user_id)
        found = self._table.get_many([key])
        return rows.leaver_of(found[key]) if key in found else None

    def read_all(self, portal_url: str) -> Iterator[Leaver]:
        """Yield the rows of all users of a portal, whatever their state."""
        found = self._table.query(
            "Reading the leavers", rows.LEAVERS, prefix=rows.portal_prefix(portal_url)
        )
        return map(rows.leaver_of, found)

    def changing(self, after: Leaver, *, before: Leaver | None) -> Write:
        """Return the write that replaces a row, on condition that it is still as `before`."""
        return put(
            rows.leaver_key(after.portal_url, after.user_id),
            {**_attributes(after), **self._expiry(after)},
            _is_unchanged(before),
        )

    def change(self, after: Leaver, *, before: Leaver | None) -> bool:
        """Replace a row; return False if it is no longer as `before`."""
        return self._table.write(
            f"Changing the row of leaver {after.user_id}", self.changing(after, before=before)
        )

    def must_change(self, after: Leaver, *, before: Leaver) -> None:
        """Replace a row, if anything has changed.

        Raises:
            StoreUnavailable: it is no longer as `before`; call again.
        """
        if after != before and not self.change(after, before=before):
            raise StoreUnavailable(f"Leaver {before.user_id} was changed in the meantime.")

    def _expiry(self, leaver: Leaver) -> dict[str, int]:
        return self._table.expiry(leaver.changed_at) if leaver.state is LeaverState.DONE else {}


def _attributes(leaver: Leaver) -> dict[str, Any]:
    return {**asdict(leaver), "runs": list(leaver.runs), "run_count": len(leaver.runs)}
