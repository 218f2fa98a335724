"""Users in the ledger: each from the first intent onwards, and who was deleted before."""

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
    Write,
    check,
    delete,
    put,
    update,
)
from bulk_user_deletion.meter import meter
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver
from bulk_user_deletion.models.runs import RunRow
from bulk_user_deletion.models.users import (
    Outcome,
    PastOutcome,
    PortalUser,
    ReasonKind,
    UserRow,
    UserState,
)
from bulk_user_deletion.models.watch import Departure
from bulk_user_deletion.rules.identity import user_keys

_COUNTED_SECONDS = 2 * 24 * 3600

_NOTHING: Mapping[str, int] = {}

_MAY_BE_SENT_A_DELETE = IS_NEW | Condition(
    "#state = :refused OR #state = :reopened",
    refused=UserState.REFUSED,
    reopened=UserState.REOPENED,
)
_MAY_BE_SENT_A_PUT = _MAY_BE_SENT_A_DELETE | Condition(
    "#state = :settling", settling=UserState.SETTLING
)
_MAY_HAVE_BEEN_SENT_A_REQUEST = Condition(
    "#state = :intent OR #state = :settling OR #state = :declined",
    intent=UserState.INTENT,
    settling=UserState.SETTLING,
    declined=UserState.DECLINED,
)
_CONTRADICTABLE = {
    Outcome.DELETED,
    Outcome.ALREADY_ABSENT,
    Outcome.DISABLED,
    Outcome.ENABLED,
}
_HAS_NO_OUTCOME = IS_NEW | Condition("#state <> :done", done=UserState.DONE)
_IS_UNKNOWN = Condition("outcome = :unknown", unknown=Outcome.UNKNOWN)


def _is_open_for(execution_arn: str) -> Condition:
    return Condition("is_open = :yes AND execution_arn = :arn", yes=True, arn=execution_arn)


def _sends_a_request(owner: str) -> Condition:
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

    def run_user_and_leaver(
        self, run_id: str, user_id: str, *, execution_arn: str, portal_url: str
    ) -> tuple[RunRow, UserRow | None, Leaver | None]:
        """Return the run that an execution holds open, one user's row in it, and as a leaver.

        Raises:
            RunClosed: the run has ended, or belongs to another execution.
        """
        key, leaver_key = rows.user_key(run_id, user_id), rows.leaver_key(portal_url, user_id)
        found = self._table.get_many([*rows.run_keys(run_id), key, leaver_key])
        return (
            held(rows.run_of(run_id, found), run_id, execution_arn),
            rows.user_of(found[key]) if key in found else None,
            rows.leaver_of(found[leaver_key]) if leaver_key in found else None,
        )

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

    def reopen(self, run_id: str, row: UserRow, *, leaver: Write | None = None) -> None:
        """Allow an open outcome to be replaced, and move it to the row's history.

        A `leaver`, whose change belongs to it, must still be as it was read: otherwise nothing is
        changed, and the user keeps the outcome.
        """
        if row.outcome is None or not row.outcome.is_open:
            raise ValueError(f"User {row.user_id} has no open outcome.")
        reopened = update(
            rows.user_key(run_id, row.user_id),
            {"state": UserState.REOPENED, "looks": 0, "waited": 0},
            _ended_as(row.outcome),
            append={"history": [_past(row.outcome, row)]},
        )
        doing = f"Writing the row of user {row.user_id}"
        if leaver:
            self._table.transact(doing, [reopened, leaver])
        else:
            self._table.write(doing, reopened)

    def record_intent(
        self,
        run_id: str,
        user_id: str,
        *,
        action: Action,
        execution_arn: str,
        owner: str,
        lease_until: int,
        now: int,
        is_first: bool,
        leaver: Write | None = None,
    ) -> bool:
        """Record that `owner` is about to send a DELETE or a PUT; only then may it be sent.

        False means that it must not: the run was stopped, paused, withdrawn or closed, this user
        already has a request in progress or an outcome, or the `leaver`, whose change belongs to
        the intent, was withdrawn or changed otherwise. One transaction decides, so that a stop
        takes effect before the next request and two callers never both send one. `is_first` says
        that none was sent for this user since the run was started or resumed: it counts towards
        the caps per day.
        """
        beside = [
            check(
                rows.run_key(run_id),
                _is_open_for(execution_arn)
                & rows.IS_NOT_STOPPED
                & rows.IS_NOT_PAUSED
                & rows.IS_NOT_WITHDRAWN,
            ),
            check(rows.STOP, rows.IS_NOT_STOPPED),
            *([leaver] if leaver else []),
        ]
        counted = put(
            rows.intent_key(action, now, run_id, user_id), {"expires_at": now + _COUNTED_SECONDS}
        )
        others = [counted] if is_first else []
        taken = meter.so_far(writes=2 * (1 + len(beside) + len(others)))
        intent = update(
            rows.user_key(run_id, user_id),
            {
                "state": UserState.INTENT,
                "lease_owner": owner,
                "lease_until": lease_until,
                **self._table.expiry(now),
            },
            _MAY_BE_SENT_A_DELETE if action.deletes else _MAY_BE_SENT_A_PUT,
            add={"attempts": 1, **taken},
        )
        is_recorded = self._table.transact(
            f"Recording the intent to change user {user_id}", [intent, *beside], others
        )
        if is_recorded:
            meter.recorded(taken)
        return is_recorded

    def count_intents(self, action: Action, *, since: int) -> int:
        """Count the users that were sent a DELETE (or a PUT), or were about to be, since a time."""
        return self._table.count(
            "Counting the last day's intents",
            rows.INTENTS[action.deletes],
            since=rows.moment(since),
        )

    def intents_of(self, run_id: str, action: Action, *, since: int) -> Iterator[str]:
        """Yield the ids of a run's users with an intent that counts towards the caps per day."""
        found = self._table.query_since(
            "Reading the last days' intents", rows.INTENTS[action.deletes], since=rows.moment(since)
        )
        for item in found:
            _, of_run, user_id = item["sk"].split("#")
            if of_run == run_id:
                yield user_id

    def record_refusal(
        self, run_id: str, user_id: str, *, owner: str, reason: str, portal_message: str, now: int
    ) -> None:
        """Record that the portal definitely did nothing, so that another request may follow."""
        self._update(
            run_id,
            user_id,
            {
                "state": UserState.REFUSED,
                "reason": reason,
                "portal_message": portal_message,
                "lease_until": 0,
            },
            _sends_a_request(owner),
            append={"refused_at": [now]},
        )

    def record_sent(self, run_id: str, sent: UserRow, *, owner: str) -> None:
        """Record that a request was sent, how long it took, and what the answer was."""
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
            _sends_a_request(owner),
        )

    def record_look(
        self, run_id: str, user_id: str, *, wait_seconds: int, is_declined: bool
    ) -> None:
        """Record a look that did not show the effect yet, and the wait before the next one.

        `is_declined` says that the portal said it did nothing for this user. That is kept.
        """
        state = UserState.DECLINED if is_declined else UserState.SETTLING
        self._update(
            run_id,
            user_id,
            {"state": state, "lease_until": 0},
            _MAY_HAVE_BEEN_SENT_A_REQUEST,
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
        portal_url: str = "",
        attempts: int | None = None,
        leaver: Write | None = None,
        is_withdrawn: bool | None = None,
    ) -> bool:
        """Record how a user ended; return False if the user already has an outcome.

        Only `unknown` may be replaced, and only by an outcome that one of our requests had. `gone`
        is the user that we deleted from `portal_url`: a later request that names this user finds
        the record, and so does a watch. With `attempts`, the outcome is recorded only if exactly
        that many requests were sent for the user; otherwise False. It is False too if the `leaver`,
        whose change belongs to the outcome, was changed in the meantime, or the run was withdrawn
        and `is_withdrawn` says otherwise.
        """
        is_replaceable = _HAS_NO_OUTCOME
        if outcome in {Outcome.DELETED, Outcome.DISABLED, Outcome.ENABLED}:
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
        deletion = {
            "run_id": run_id,
            "user_id": user_id,
            "deleted_at": now,
            "portal_url": portal_url,
            **self._table.expiry(now),
        }
        beside = [leaver] if leaver else []
        if is_withdrawn is not None:
            order = rows.IS_WITHDRAWN if is_withdrawn else rows.IS_NOT_WITHDRAWN
            beside.append(check(rows.run_key(run_id), order))
        others = [put(key, deletion) for key in (_deleted_keys(gone) if gone else [])]
        taken = meter.so_far(writes=2 * (1 + len(beside) + len(others)))
        is_recorded = self._table.transact(
            f"Recording the outcome of user {user_id}",
            [update(rows.user_key(run_id, user_id), ended, is_replaceable, add=taken), *beside],
            others,
        )
        if is_recorded:
            meter.recorded(taken)
        return is_recorded

    def take_back_outcome(
        self,
        run_id: str,
        row: UserRow,
        user: PortalUser,
        *,
        reason: str,
        kind: ReasonKind,
        now: int,
        leaver: Write | None = None,
    ) -> bool:
        """Replace an outcome that the portal contradicts with `unknown`: it shows `user` after all.

        The old outcome moves to the row's history. The record of a deletion is withdrawn if this
        run wrote it. Returns False if the outcome or the `leaver` has changed in the meantime.
        """
        if row.outcome not in _CONTRADICTABLE:
            raise ValueError(f"User {row.user_id} has no outcome to take back.")
        taken_back = update(
            rows.user_key(run_id, row.user_id),
            {
                "outcome": Outcome.UNKNOWN,
                "reason": reason,
                "reason_kind": kind,
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
        return self._table.transact(
            f"Taking back the outcome of user {row.user_id}",
            [taken_back, *([leaver] if leaver else [])],
            forgotten,
        )

    def deleted_before(self, keys: Collection[str]) -> set[str]:
        """Return those of the `identity_keys` that have a record of an earlier deletion."""
        by_row = {rows.deleted_key(key): key for key in keys}
        return {by_row[key] for key in self._table.get_many(by_row)}

    def deletions(self, keys: Iterable[str], *, portal_url: str) -> dict[str, Departure]:
        """Return the records of earlier deletions from a portal, by `identity_keys`.

        Records of earlier versions do not say from which portal: they count for every one.
        """
        by_row = {rows.deleted_key(key): key for key in keys}
        return {
            by_row[row]: rows.deletion_of(record)
            for row, record in self._table.get_many(by_row).items()
            if record.get("portal_url", portal_url) == portal_url
        }

    def _update(
        self,
        run_id: str,
        user_id: str,
        values: Item,
        condition: Condition,
        *,
        add: Mapping[str, int] = _NOTHING,
        **more: Mapping[str, Any],
    ) -> None:
        """Update a user's row. If the condition is not met, nothing is lost.

        Then another invocation took over when our lease expired, and what it found is kept.
        """
        taken = meter.so_far(writes=1)
        write = update(
            rows.user_key(run_id, user_id), values, condition, add={**add, **taken}, **more
        )
        if self._table.write(f"Writing the row of user {user_id}", write):
            meter.recorded(taken)


def _deleted_keys(user: PortalUser) -> dict[Key, None]:
    return dict.fromkeys(map(rows.deleted_key, user_keys(user)))


def _past(outcome: Outcome, row: UserRow) -> dict[str, Any]:
    return asdict(PastOutcome(outcome, row.reason, row.ended_at, row.attempts))
