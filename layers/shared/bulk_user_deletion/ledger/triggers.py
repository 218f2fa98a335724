"""Triggers in the ledger: which run claimed an event, and what was dropped under a key before."""

from bulk_user_deletion.ledger import rows
from bulk_user_deletion.ledger.table import IS_NEW, Table, put
from bulk_user_deletion.models.requests import S3Object
from bulk_user_deletion.models.runs import DropRow


class Triggers:
    """A row for each event, and one for each key under which a file was dropped."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def claim_event(self, fingerprint: str, run_id: str, *, now: int) -> str:
        """Claim a trigger's event for `run_id`; return the run that claimed it first."""
        doing, key = "Claiming the event", rows.event_key(fingerprint)
        claim = {"run_id": run_id, **self._table.expiry(now)}
        if self._table.write(doing, put(key, claim, IS_NEW)):
            return run_id
        return str(self._table.get(doing, key)["run_id"])

    def claimed_by(self, fingerprint: str) -> str:
        """Return the run that claimed a trigger's event, or nothing."""
        claim = self._table.get("Reading who claimed the event", rows.event_key(fingerprint))
        return str(claim.get("run_id", ""))

    def last_drop(self, s3_object: S3Object) -> DropRow | None:
        """Return the last drop under a key that was looked at."""
        doing = "Reading what was dropped before"
        return rows.drop_of(self._table.get(doing, rows.drop_key(s3_object)))

    def note_drop(self, s3_object: S3Object, *, digest: str, run_id: str, now: int) -> None:
        """Record what was dropped under a key, and the run that it started."""
        drop = {"digest": digest, "run_id": run_id, **self._table.expiry(now)}
        self._table.write("Noting what was dropped", put(rows.drop_key(s3_object), drop))
