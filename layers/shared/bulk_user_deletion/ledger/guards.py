"""The guard in the ledger: how many users a dataset kept when it was last accepted."""

from dataclasses import asdict

from bulk_user_deletion.ledger import rows
from bulk_user_deletion.ledger.table import Table, put
from bulk_user_deletion.models.guards import AcceptedGuard


class Guards:
    """A row for each portal and dataset. It does not expire."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def accepted(self, portal_url: str, dataset_id: int) -> AcceptedGuard | None:
        """Return what was accepted last."""
        key = rows.guard_key(portal_url, dataset_id)
        found = self._table.get_many([key])
        return rows.guard_of(found[key]) if key in found else None

    def record(self, portal_url: str, dataset_id: int, accepted: AcceptedGuard) -> None:
        """Record what is accepted now."""
        key = rows.guard_key(portal_url, dataset_id)
        self._table.write("Recording the guard", put(key, asdict(accepted)))
