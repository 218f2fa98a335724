"""Turns in the ledger: the run whose end an execution waits for."""

from bulk_user_deletion.ledger import rows
from bulk_user_deletion.ledger.table import Table, put


class Turns:
    """A row for each execution that had to wait.

    It is the execution's, not its run's: one that waits to resume a run does not have it yet.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def wait_for(self, name: str, run_id: str, *, now: int) -> None:
        """Note that the execution `name` waits for a run to end; for none when it has its turn."""
        turn = {"waits_for": run_id, **self._table.expiry(now)}
        self._table.write("Noting whose end is waited for", put(rows.turn_key(name), turn))

    def waits_for(self, name: str) -> str:
        """Return the run whose end the execution `name` waits for, or nothing."""
        key = rows.turn_key(name)
        return str(self._table.get_many([key]).get(key, {}).get("waits_for", ""))
