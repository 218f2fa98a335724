"""Turns in the ledger: what an execution waits for before its run may start."""

from bulk_user_deletion.ledger import rows
from bulk_user_deletion.ledger.table import Table, put
from bulk_user_deletion.models.runs import Waiting


class Turns:
    """A row for each execution that had to wait.

    It belongs to the execution, not to its run: one that waits to resume a run does not own it yet.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def wait_for(self, name: str, waiting: Waiting, *, now: int) -> None:
        """Record what the execution `name` waits for; nothing once it is its turn."""
        turn = {
            "waits_for": waiting.run_id,
            "opens_at": waiting.opens_at,
            **self._table.expiry(now),
        }
        self._table.write("Noting what is waited for", put(rows.turn_key(name), turn))

    def read(self, name: str) -> Waiting | None:
        """Return what the execution `name` waits for, or None."""
        key = rows.turn_key(name)
        item = self._table.get_many([key]).get(key, {})
        waiting = Waiting(str(item.get("waits_for", "")), int(item.get("opens_at", 0)))
        return waiting if waiting.run_id or waiting.opens_at else None
