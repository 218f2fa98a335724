"""Rosters in the ledger: which ones were accepted."""

from collections.abc import Iterator

from bulk_user_deletion.ledger import rows
from bulk_user_deletion.ledger.table import Table, put
from bulk_user_deletion.models.rosters import Roster


class Rosters:
    """A row for each accepted roster of a portal."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def accept(self, portal_url: str, roster: Roster) -> None:
        """Record that a roster was accepted; once more for the same run changes only the time."""
        accepted = {
            "run_id": roster.run_id,
            "accepted_ms": int(roster.accepted_at * 1000),
            "entries": roster.entries,
            **self._table.expiry(int(roster.accepted_at)),
        }
        key = rows.roster_key(portal_url, roster.run_id)
        self._table.write("Accepting the roster", put(key, accepted))

    def newest(self, portal_url: str, *, besides: str = "") -> Roster | None:
        """Return the roster that was accepted last, `besides` that of one run."""
        others = [roster for roster in self.read_all(portal_url) if roster.run_id != besides]
        return max(others, key=lambda roster: roster.accepted_at, default=None)

    def read_all(self, portal_url: str) -> Iterator[Roster]:
        """Yield the accepted rosters of a portal."""
        found = self._table.query(
            "Reading the rosters", rows.ROSTERS, prefix=rows.portal_prefix(portal_url)
        )
        return map(rows.roster_of, found)
