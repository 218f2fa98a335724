"""Users in the ledger: each from the intent to delete onwards, and who was deleted before."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from bulk_user_deletion.ledger import rows
from bulk_user_deletion.ledger.runs import held
from bulk_user_deletion.ledger.table import (
    IS_NEW,
    Condition,
    Item,
    Key,
    Table,
    check,
    delete,
    put,
    update,
)
from bulk_user_deletion.models.runs import RunRow
from bulk_user_deletion.models.users import (
    Outcome,
    PastOutcome,
    PortalUser,
    ReasonKind,
    UserRow,
    UserState,
)
from bulk_user_deletion.rules.identity import user_keys

_COUNTED_SECONDS = 2 * 24 * 3600

_MAY_BE_SENT_A_DELETE = IS_NEW | Condition(
    "#state = :refused OR #state = :reopened",
    refused=UserState.REFUSED,
    reopened=UserState.REOPENED,
)
_MAY_HAVE_BEEN_SENT_A_DELETE = Condition(
    "#state = :intent OR #state = :settling OR #state = :declined",
    intent=UserState.INTENT,
    settling=UserState.SETTLING,
    declined=UserState.DECLINED,
)
_HAS_NO_OUTCOME = IS_NEW | Condition("#state <> :done", done=UserState.DONE)
_IS_UNKNOWN = Condition("outcome = :unknown", unknown=Outcome.UNKNOWN)


def _is_open_for(execution_arn: str) -> Condition:
    return Condition("is_open = :yes AND execution_arn = :arn", yes=True, arn=execution_arn)


def _sends_a_delete(owner: str) -> Condition:
    return Condition(
        "lease_owner = :owner AND #state = :intent", owner=owner, intent=UserState.INTENT
    )


def _was_sent(attempts: int) -> Condition:
    sent = Condition("attempts = :attempts", attempts=attempts)
    return sent if attempts else sent | Condition("attribute_not_exists(attempts)")


def _ended_as(outcome: Outcome) -> Condition:
    return Condition("#state = :done AND outcome = :was", done=UserState.DONE, was=outcome)


def _is_of_run(run_id: str) -> Condition:
    return Condition("run_id = :run", run=run_id)


class Users:
    """The row of each user in a run, the last day's intents, and who was deleted before."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def run_and_user(
        self, run_id: str, user_id: str, *, execution_arn: str
    ) -> tuple[RunRow, UserRow | None]:
        """Return the run that an execution holds open, and one user's row in it.

        Raises:
            RunClosed: the run has ended, or belongs to another execution.
        """
        key = rows.user_key(run_id, user_id)
        found = self._table.get_many([*rows.run_keys(run_id), key])
        run = held(rows.run_of(run_id, found), run_id, execution_arn)
        return run, rows.user_of(found[key]) if key in found else None

    def read(self, run_id: str, user_ids: Iterable[str]) -> dict[str, UserRow]:
        """Return the rows of those of these users that a run has started."""
        found = self._table.get_many(rows.user_key(run_id, user_id) for user_id in user_ids)
        return {row.user_id: row for row in map(rows.user_of, found.values())}

    def read_all(self, run_id: str) -> Iterator[UserRow]:
        """Yield the rows of all users that a run has started."""
        found = self._table.query(
            "Reading the run's rows", rows.run_partition(run_id), prefix=rows.USER
        )
        return map(rows.user_of, found)

    def reopen(self, run_id: str, row: UserRow) -> None:
        """Allow an open outcome to be replaced, and move it to the row's history."""
        if row.outcome is None or not row.outcome.is_open:
            raise ValueError(f"User {row.user_id} has no open outcome.")
        self._update(
            run_id,
            row.user_id,
            {"state": UserState.REOPENED, "looks": 0, "waited": 0},
            _ended_as(row.outcome),
            append={"history": [_past(row.outcome, row)]},
        )

    def record_intent(
        self,
        run_id: str,
        user_id: str,
        *,
        execution_arn: str,
        owner: str,
        lease_until: int,
        now: int,
        is_first: bool,
    ) -> bool:
        """Record that `owner` is about to send a DELETE; only then may it be sent.

        False means that it must not: the run was stopped or closed, or this user already has a
        DELETE in progress or an outcome. One transaction decides, so that a stop takes effect
        before the next DELETE and two callers never both send one. `is_first` says that no DELETE
        was sent for this user since the run was started or resumed: it counts towards the caps
        per day.
        """
        intent = update(
            rows.user_key(run_id, user_id),
            {
                "state": UserState.INTENT,
                "lease_owner": owner,
                "lease_until": lease_until,
                **self._table.expiry(now),
            },
            _MAY_BE_SENT_A_DELETE,
            add={"attempts": 1},
        )
        counted = put(rows.intent_key(now, run_id, user_id), {"expires_at": now + _COUNTED_SECONDS})
        return self._table.transact(
            f"Recording the intent to delete user {user_id}",
            [
                check(rows.run_key(run_id), _is_open_for(execution_arn) & rows.IS_NOT_STOPPED),
                check(rows.STOP, rows.IS_NOT_STOPPED),
                intent,
            ],
            [counted] if is_first else [],
        )

    def count_intents(self, *, since: int) -> int:
        """Count the users that were sent a DELETE, or were about to be, since a point in time."""
        return self._table.count(
            "Counting the last day's deletions", rows.INTENT, since=rows.moment(since)
        )

    def record_refusal(
        self, run_id: str, user_id: str, *, owner: str, reason: str, portal_message: str, now: int
    ) -> None:
        """Record that the portal definitely did nothing, so that another DELETE may follow."""
        self._update(
            run_id,
            user_id,
            {
                "state": UserState.REFUSED,
                "reason": reason,
                "portal_message": portal_message,
                "lease_until": 0,
            },
            _sends_a_delete(owner),
            append={"refused_at": [now]},
        )

    def record_sent(self, run_id: str, sent: UserRow, *, owner: str) -> None:
        """Record that a DELETE was sent, how long it took, and what the answer was."""
        self._update(
            run_id,
            sent.user_id,
            {
                "state": sent.state,
                "reason": sent.reason,
                "portal_message": sent.portal_message,
                "lease_until": 0,
                "delete_seconds": sent.delete_seconds,
                "answered_at": sent.answered_at,
            },
            _sends_a_delete(owner),
        )

    def record_look(
        self, run_id: str, user_id: str, *, wait_seconds: int, is_declined: bool
    ) -> None:
        """Record a look that did not show the user gone, and the wait before the next one.

        `is_declined` says that the portal said it did not delete this user. That is kept.
        """
        state = UserState.DECLINED if is_declined else UserState.SETTLING
        self._update(
            run_id,
            user_id,
            {"state": state, "lease_until": 0},
            _MAY_HAVE_BEEN_SENT_A_DELETE,
            add={"looks": 1, "waited": wait_seconds},
        )

    def record_outcome(
        self,
        run_id: str,
        user_id: str,
        outcome: Outcome,
        *,
        reason: str,
        now: int,
        kind: ReasonKind = ReasonKind.NONE,
        portal_message: str = "",
        gone: PortalUser | None = None,
        attempts: int | None = None,
    ) -> bool:
        """Record how a user ended; return False if the user already has an outcome.

        Only `unknown` may be replaced, and only by `deleted`. `gone` is the user that we deleted:
        a later request that names this user finds the record. With `attempts`, the outcome is
        recorded only if exactly that many DELETEs were sent for the user; otherwise False.
        """
        is_replaceable = _HAS_NO_OUTCOME
        if outcome is Outcome.DELETED:
            is_replaceable |= _IS_UNKNOWN
        if attempts is not None:
            is_replaceable &= _was_sent(attempts)
        ended = {
            "state": UserState.DONE,
            "outcome": outcome,
            "reason": reason,
            "reason_kind": kind,
            "ended_at": now,
            "lease_until": 0,
            **self._table.expiry(now),
            **({"portal_message": portal_message} if portal_message else {}),
        }
        return self._table.transact(
            f"Recording the outcome of user {user_id}",
            [update(rows.user_key(run_id, user_id), ended, is_replaceable)],
            [
                put(key, {"run_id": run_id, **self._table.expiry(now)})
                for key in (_deleted_keys(gone) if gone else [])
            ],
        )

    def withdraw_outcome(
        self, run_id: str, row: UserRow, user: PortalUser, *, reason: str, now: int
    ) -> bool:
        """Replace an outcome that says "gone" by `unknown`: the portal shows `user` after all.

        The old outcome moves to the row's history. The record of the deletion is withdrawn if this
        run wrote it. Returns False if the outcome has changed in the meantime.
        """
        if row.outcome not in {Outcome.DELETED, Outcome.ALREADY_ABSENT}:
            raise ValueError(f"User {row.user_id} did not end as gone.")
        withdrawn = update(
            rows.user_key(run_id, row.user_id),
            {
                "outcome": Outcome.UNKNOWN,
                "reason": reason,
                "reason_kind": ReasonKind.LISTED_AGAIN,
                "ended_at": now,
            },
            _ended_as(row.outcome),
            append={"history": [_past(row.outcome, row)]},
        )
        on_record = self._table.get_many(_deleted_keys(user))
        forgotten = [
            delete(key, _is_of_run(run_id))
            for key, record in on_record.items()
            if record["run_id"] == run_id
        ]
        doing = f"Withdrawing the outcome of user {row.user_id}"
        return self._table.transact(doing, [withdrawn], forgotten)

    def deleted_before(self, keys: Collection[str]) -> set[str]:
        """Return those of the `identity_keys` that have a record of an earlier deletion."""
        by_row = {rows.deleted_key(key): key for key in keys}
        return {by_row[key] for key in self._table.get_many(by_row)}

    def _update(
        self,
        run_id: str,
        user_id: str,
        values: Item,
        condition: Condition,
        **more: Mapping[str, Any],
    ) -> None:
        """Update a user's row. If the condition is not met, nothing is lost.

        Then another invocation took over when our lease expired, and what it found is kept.
        """
        self._table.write(
            f"Writing the row of user {user_id}",
            update(rows.user_key(run_id, user_id), values, condition, **more),
        )


def _deleted_keys(user: PortalUser) -> dict[Key, None]:
    return dict.fromkeys(map(rows.deleted_key, user_keys(user)))


def _past(outcome: Outcome, row: UserRow) -> dict[str, Any]:
    return asdict(PastOutcome(outcome, row.reason, row.ended_at, row.attempts))
