"""The watch in the ledger: who is back, since when that is on record, and which watch was last.

Rows of users who are back do not expire; once they are gone again, they do.
"""

from collections.abc import Iterator

from bulk_user_deletion.ledger import rows
from bulk_user_deletion.ledger.table import IS_NEW, Condition, Table, put, update
from bulk_user_deletion.models.watch import FirstSeen, What

_IS_BACK = Condition("is_back = :yes", yes=True)


def _is_not_seen_as(what: What) -> Condition:
    """A concurrent watch may have been faster: then its time counts."""
    return IS_NEW | Condition("is_back = :no OR what <> :what", no=False, what=what)


class WatchLog:
    """A row for each user of a portal who is back, and one for the last watch."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read_all(self, portal_url: str) -> Iterator[FirstSeen]:
        """Yield who is back, as far as watches have seen it."""
        found = self._table.query(
            "Reading who is back", rows.WATCH, prefix=rows.returned_prefix(portal_url)
        )
        return (rows.first_seen_of(item) for item in found if item["is_back"])

    def saw(self, portal_url: str, seen: FirstSeen) -> None:
        """Record that a user is back, unless it is on record."""
        item = {
            "user_id": seen.user_id,
            "what": seen.what,
            "first_seen_at": seen.at,
            "first_seen_by": seen.by,
            "is_back": True,
        }
        key = rows.returned_key(portal_url, seen.user_id)
        doing = f"Recording that user {seen.user_id} is back"
        self._table.write(doing, put(key, item, _is_not_seen_as(seen.what)))

    def saw_no_more(self, portal_url: str, user_id: str, *, now: int) -> None:
        """Record that a user is no longer back."""
        gone = {"is_back": False, **self._table.expiry(now)}
        key = rows.returned_key(portal_url, user_id)
        doing = f"Recording that user {user_id} is not back any more"
        self._table.write(doing, update(key, gone, _IS_BACK))

    def earlier(self, portal_url: str, *, than: str) -> str:
        """Return the last watch that is not this one; empty if there was none."""
        last = self._table.get("Reading the last watch", rows.last_watch_key(portal_url))
        if last.get("run_id") == than:
            return str(last["earlier_run_id"])
        return str(last.get("run_id", ""))

    def note(self, portal_url: str, run_id: str, *, earlier: str) -> None:
        """Record that a watch is the last one, and which one came before."""
        item = {"run_id": run_id, "earlier_run_id": earlier}
        self._table.write("Noting the watch", put(rows.last_watch_key(portal_url), item))
