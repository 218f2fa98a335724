"""Turns in the ledger: the run that an execution waits for."""

from bulk_user_deletion.ledger import rows
from bulk_user_deletion.ledger.table import Table, put


class Turns:
    """A row for each execution that had to wait.

    It belongs to the execution, not to its run: one that waits to resume a run does not own it yet.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def wait_for(self, name: str, run_id: str, *, now: int) -> None:
        """Record which run the execution `name` waits for; none once it is its turn."""
        turn = {"waits_for": run_id, **self._table.expiry(now)}
        self._table.write("Noting whose end is waited for", put(rows.turn_key(name), turn))

    def waits_for(self, name: str) -> str:
        """Return the run that the execution `name` waits for, or nothing."""
        key = rows.turn_key(name)
        return str(self._table.get_many([key]).get(key, {}).get("waits_for", ""))
