"""The rows that exist once, because there is one portal: lock, token lease, stop and pace."""

from dataclasses import asdict, replace
from decimal import Decimal

from bulk_user_deletion.ledger import rows
from bulk_user_deletion.ledger.table import IS_NEW, Condition, Table, delete, put, update
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Lock, Pace, Stop, Stopper


def _is_locked_by(execution_arn: str) -> Condition:
    return Condition("arn = :arn", arn=execution_arn)


def _is_free_to_lock(execution_arn: str, *, dead: str) -> Condition:
    return IS_NEW | _is_locked_by(execution_arn) | Condition("arn = :dead", dead=dead)


def _is_leased_by(owner: str) -> Condition:
    return Condition("lease_owner = :owner", owner=owner)


def _is_free_to_lease(owner: str, *, now: int) -> Condition:
    return IS_NEW | _is_leased_by(owner) | Condition("#until < :now", now=now)


def _is_unchanged_since(pace: Pace) -> Condition:
    return IS_NEW | Condition("version = :before", before=pace.version)


class PortalState:
    """The rows that exist once in the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def take_lock(
        self, action: Action, run_id: str, execution_arn: str, *, instead_of: str = ""
    ) -> Lock:
        """Try to take the portal's lock for an action; return who holds it now.

        `instead_of` is the holder's execution, if that is known to be dead.
        """
        doing = "Taking the portal's lock"
        is_free = _is_free_to_lock(execution_arn, dead=instead_of)
        lock = {"run_id": run_id, "arn": execution_arn}
        key = rows.LOCKS[action.deletes]
        if self._table.write(doing, put(key, lock, is_free)):
            return Lock(run_id, execution_arn)
        return rows.lock_of(self._table.get(doing, key))

    def lock(self, action: Action) -> Lock:
        """Return who holds the portal's lock for an action."""
        key = rows.LOCKS[action.deletes]
        return rows.lock_of(self._table.get_many([key]).get(key, {}))

    def release_locks(self, execution_arn: str) -> None:
        """Release whatever locks of the portal this execution holds."""
        for key in rows.LOCKS.values():
            self._table.write("Releasing lock", delete(key, _is_locked_by(execution_arn)))

    def take_token_lease(self, owner: str, *, until: int, now: int) -> bool:
        """Become the only caller that renews the token, until it is done or `until` has passed."""
        lease = {"lease_owner": owner, "until": until}
        taken = put(rows.TOKEN_LEASE, lease, _is_free_to_lease(owner, now=now))
        return self._table.write("Taking the lease on renewing the token", taken)

    def release_token_lease(self, owner: str) -> None:
        """Let the next caller renew the token."""
        self._table.write("Releasing token", delete(rows.TOKEN_LEASE, _is_leased_by(owner)))

    def press_stop(self, *, reason: str, by: str, now: float) -> None:
        """Stop every run until the stop is lifted. The first reason is kept."""
        flag = asdict(Stop(reason, by, int(now), Stopper.PORTAL))
        pressed = update(rows.STOP, once={"stop_flag": flag})
        self._table.write("Pressing the stop button", pressed)

    def lift_stop(self) -> bool:
        """Clear the stop flag; return False if it is not set."""
        return self._table.write("Lifting the stop", delete(rows.STOP, rows.IS_STOPPED))

    def stop(self) -> Stop | None:
        """Return who stopped every run on the portal, and why, if anyone did."""
        return rows.stop_of(self._table.get("Reading the stop button", rows.STOP))

    def pace(self) -> Pace:
        """Return how fast the portal has been deleting."""
        return rows.pace_of(self._table.get_many([rows.PACE]).get(rows.PACE, {}))

    def record_pace(self, after: Pace, *, before: Pace) -> bool:
        """Record what was observed; return False if the row was written since `before` was read."""
        pace = {**asdict(after), "seconds_per_delete": Decimal(str(after.seconds_per_delete))}
        recorded = put(rows.PACE, pace, _is_unchanged_since(before))
        return self._table.write("Recording the pace", recorded)

    def end_quiet(self) -> int:
        """Clear when the portal may be called again; return the cleared time, or 0."""
        while True:
            pace = self.pace()
            after = replace(pace, quiet_until=0, version=pace.version + 1)
            if not pace.quiet_until or self.record_pace(after, before=pace):
                return pace.quiet_until
