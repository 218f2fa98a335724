"""The ledger: one DynamoDB table that remembers what was asked of the portal, and what came of it.

Every promise about crashes and repetitions rests on the conditions of the writes below.

| pk              | sk             | row                                                       |
|-----------------|----------------|-----------------------------------------------------------|
| `run#RUN_ID`    | `run`          | the run: whose execution, open or closed, the stop flag   |
| `run#RUN_ID`    | `user#USER_ID` | one user, from the intent to delete on                    |
| `run#NAME`      | `resumes`      | the run that an execution of this name resumed            |
| `run#NAME`      | `turn`         | the run whose end an execution of this name waits for     |
| `run#RUN_ID`    | `renewal#TIME` | a renewal of the token while the run went on              |
| `event#…`       | `event`        | a trigger's fingerprint: the run that took it             |
| `event#…`       | `drop`         | a dropped key: the hash of what came last, and its run    |
| `deleted#…`     | `deleted`      | somebody we deleted, by a hash of id, username or e-mail  |
| `intent`        | `TIME#…`       | a user's first DELETE, and the first after each resume    |
| `lock`          | `lock`         | the run that may delete from this portal                  |
| `stop`          | `stop`         | the stop button for the whole portal, while it is pressed |
| `token`         | `lease`        | the caller that is renewing the token                     |
| `pace`          | `pace`         | how fast the portal deletes, and when it wants a rest     |
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from hashlib import sha256
from random import uniform
from time import sleep
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from bulk_user_deletion.errors import RunClosed, StoreUnavailable
from bulk_user_deletion.models.requests import Request, S3Object
from bulk_user_deletion.models.runs import Control, DropRow, Limits, Lock, Mode, Pace, RunRow, Stop
from bulk_user_deletion.models.users import (
    Outcome,
    PastOutcome,
    PortalUser,
    ReasonKind,
    UserRow,
    UserState,
)
from bulk_user_deletion.rules.identity import user_keys
from bulk_user_deletion.store import CONFIG, error_code, store_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_COUNTED_SECONDS = 2 * 24 * 3600
_BATCH_GET = 100

# How often in a row a batch may leave keys unprocessed, and how long is waited: 13 s at most.
_MAX_UNPROCESSED = 8
_FIRST_BACKOFF_SECONDS = 0.025
_PORTAL_STOP_KEY = ("stop", "stop")
_PACE_KEY = ("pace", "pace")
_PORTAL_STOP = dict(zip(("pk", "sk"), _PORTAL_STOP_KEY, strict=True))

_Item = Mapping[str, Any]

# What each round of a run is carried out with.
_ROUND = (
    "wait_seconds = :wait, canary_users = :canary, self_ids = :self_ids, gone_shape = :gone_shape"
)


def _round_values(limits: Limits, control: Control) -> dict[str, Any]:
    return {
        ":wait": limits.wait_seconds,
        ":canary": limits.canary_users,
        ":self_ids": list(control.self_ids),
        ":gone_shape": control.gone,
    }


class Ledger:
    """The table's rows, and the conditions under which they may change.

    Rows are kept for `kept_days`; a reader need not say how long.
    """

    def __init__(self, table_name: str, *, kept_days: int = 400) -> None:
        self._kept_seconds = kept_days * 24 * 3600
        self._table = boto3.resource("dynamodb", config=CONFIG).Table(table_name)
        self._client = self._table.meta.client

    # Runs

    def open_run(self, run_id: str, *, execution_arn: str, request: Request, now: int) -> bool:
        """Open a run for an execution; the same execution may do so again, which returns False.

        Raises:
            RunClosed: another execution had a run of this name, or this one was closed.
        """
        item: dict[str, str | int | bool] = {
            "pk": f"run#{run_id}",
            "sk": "run",
            "execution_arn": execution_arn,
            "is_open": True,
            "mode": request.mode.value,
            "trigger": request.trigger,
            "source": request.source.describe(),
            "dropped_key": request.dropped_key,
            "started_at": now,
            "round_number": 1,
            "renewals": 0,
            "expires_at": now + self._kept_seconds,
        }
        with store_errors("Opening the run"):
            try:
                self._table.put_item(Item=item, ConditionExpression="attribute_not_exists(pk)")
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                self.open_run_of(run_id, execution_arn)
                return False
        return True

    def seal_plan(
        self,
        run_id: str,
        *,
        execution_arn: str,
        plan_sha256: str,
        limits: Limits,
        control: Control,
    ) -> None:
        """Record the hash of a run's plan, the pace it is carried out at, and its control looks.

        Raises:
            RunClosed: the run is not open for this execution.
        """
        self._update_held(
            run_id,
            execution_arn,
            f"SET plan_sha256 = :sha256, {_ROUND}",
            {":sha256": plan_sha256, **_round_values(limits, control)},
        )

    def resume_run(
        self,
        run: RunRow,
        *,
        name: str,
        execution_arn: str,
        limits: Limits,
        control: Control,
        started_at: float,
        now: int,
    ) -> None:
        """Hand a run over to the execution `name`, which resumes it: open, and not stopped.

        `started_at` is when that execution started: a stop that was pressed since then stands.

        Raises:
            RunClosed: another execution has taken it meanwhile, or it was stopped meanwhile.
        """
        with store_errors("Resuming the run"):
            # First, so that this execution's own end can be traced to the run, whenever it comes.
            self._table.put_item(
                Item={
                    "pk": f"run#{name}",
                    "sk": "resumes",
                    "run_id": run.run_id,
                    "expires_at": now + self._kept_seconds,
                }
            )
        self._update_held(
            run.run_id,
            run.execution_arn,
            "SET execution_arn = :new, is_open = :yes, round_number = round_number + :one,"
            f" {_ROUND} REMOVE stop_flag, stopped_at_ms, checked_batch",
            {
                ":new": execution_arn,
                ":yes": True,
                ":one": 1,
                **_round_values(limits, control),
                ":started": int(started_at * 1000),
            },
            condition=" AND (attribute_not_exists(stopped_at_ms) OR stopped_at_ms < :started)",
        )

    def take_over_stopped(self, run: RunRow, *, execution_arn: str, stop: Stop) -> None:
        """Hand an open run over to the execution that closes it, with the stop flag set.

        Raises:
            RunClosed: another execution has taken it meanwhile.
        """
        self._update_held(
            run.run_id,
            run.execution_arn,
            "SET execution_arn = :new, stop_flag = if_not_exists(stop_flag, :stop)",
            {":new": execution_arn, ":stop": asdict(stop)},
        )

    def run_of(self, name: str) -> str:
        """Return the run that an execution of this name carries out: its own, or a resumed one."""
        item = self._rows((f"run#{name}", "resumes")).get("resumes")
        return str(item["run_id"]) if item else name

    def run(self, run_id: str) -> RunRow | None:
        """Return a run's row, with the stop flag that holds for it, and the portal's pace."""
        items = self._rows((f"run#{run_id}", "run"), _PORTAL_STOP_KEY, _PACE_KEY)
        return _run_row(run_id, items)

    def open_run_of(self, run_id: str, execution_arn: str) -> RunRow:
        """Return the run that an execution holds open.

        Raises:
            RunClosed: it has ended, or is another execution's.
        """
        return _held(self.run(run_id), run_id, execution_arn)

    def press_stop(self, run_id: str, *, reason: str, by: str, now: float) -> bool:
        """Set the stop flag: no further user is begun. The first reason stands while
        the run is open.

        Without a `run_id` it holds for the whole portal until it is lifted. False means that there
        is no such run.
        """
        flag = {"reason": reason, "by": by, "at": int(now)}
        if run_id:
            values = {":stop": flag, ":now": int(now * 1000)}
            # The stop of a closed run is an old one: this is news.
            return self._update_run(
                run_id,
                "SET stop_flag = :stop, stopped_at_ms = :now",
                {**values, ":no": False},
                condition="is_open = :no",
            ) or self._update_run(
                run_id,
                "SET stop_flag = if_not_exists(stop_flag, :stop), stopped_at_ms = :now",
                values,
            )
        with store_errors("Pressing the stop button"):
            self._table.update_item(
                Key=_PORTAL_STOP,
                UpdateExpression="SET stop_flag = if_not_exists(stop_flag, :stop)",
                ExpressionAttributeValues={":stop": flag},
            )
        return True

    def lift_stop(self, run_id: str) -> bool:
        """Take the stop flag back, of a run or of the whole portal; False when none is set."""
        with store_errors("Lifting the stop"):
            try:
                if run_id:
                    self._table.update_item(
                        Key={"pk": f"run#{run_id}", "sk": "run"},
                        UpdateExpression="REMOVE stop_flag",
                        ConditionExpression="attribute_exists(stop_flag)",
                    )
                else:
                    self._table.delete_item(
                        Key=_PORTAL_STOP, ConditionExpression="attribute_exists(stop_flag)"
                    )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return False
        return True

    def portal_stop(self) -> Stop | None:
        """Return who stopped every run on the portal, if somebody did."""
        with store_errors("Reading the stop button"):
            item = self._table.get_item(Key=_PORTAL_STOP, ConsistentRead=True).get("Item")
        return _stop(item)

    def count_renewal(self, run_id: str, *, now: int) -> None:
        """Note that the token was renewed while this run was going on."""
        if not self._update_run(run_id, "ADD renewals :one", {":one": 1}):
            return
        # A row of its own: each intent pays for the size of the run's.
        with store_errors("Noting the renewal of the token"):
            self._table.update_item(
                Key={"pk": f"run#{run_id}", "sk": f"renewal#{now:012}"},
                UpdateExpression="SET expires_at = :kept",
                ExpressionAttributeValues={":kept": now + self._kept_seconds},
            )

    def renewals(self, run_id: str) -> list[int]:
        """Return when the token was renewed while this run was going on."""
        return [
            int(item["sk"].removeprefix("renewal#")) for item in self._run_rows(run_id, "renewal#")
        ]

    def record_losses(
        self, run_id: str, execution_arn: str, *, after_batch: int, losses: Sequence[str]
    ) -> None:
        """Record that losses were looked for after a batch, and all that the run had until then.

        Raises:
            RunClosed: the run is not open for this execution.
        """
        self._update_held(
            run_id,
            execution_arn,
            "SET checked_batch = :batch, losses = :losses",
            {":batch": after_batch, ":losses": list(losses)},
        )

    def close_run(self, run_id: str, execution_arn: str) -> None:
        """Close an execution's run: it may begin nobody any more.

        Raises:
            RunClosed: another execution has taken it meanwhile.
        """
        self._update_held(run_id, execution_arn, "SET is_open = :no", {":no": False})

    def _update_held(
        self,
        run_id: str,
        execution_arn: str,
        expression: str,
        values: Mapping[str, Any],
        *,
        condition: str = "",
    ) -> None:
        """Update a run's row while it is that execution's, and on a further condition if any."""
        with store_errors("Writing the run"):
            try:
                self._table.update_item(
                    Key={"pk": f"run#{run_id}", "sk": "run"},
                    UpdateExpression=expression,
                    ConditionExpression=f"execution_arn = :held{condition}",
                    ExpressionAttributeValues={**values, ":held": execution_arn},
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                raise _closed(run_id) from None

    def _update_run(
        self,
        run_id: str,
        expression: str,
        values: Mapping[str, Any],
        *,
        condition: str = "attribute_exists(pk)",
    ) -> bool:
        with store_errors("Writing the run"):
            try:
                self._table.update_item(
                    Key={"pk": f"run#{run_id}", "sk": "run"},
                    UpdateExpression=expression,
                    ExpressionAttributeValues=dict(values),
                    ConditionExpression=condition,
                )
            except ClientError as error:  # a request that was refused never had a row
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return False
        return True

    def begin_waiting_for_content(self, run_id: str) -> bool:
        """Note that a run waits for content under its drop's key; False when it did before."""
        return self._update_run(
            run_id,
            "SET waited_for_content = :yes",
            {":yes": True},
            condition="attribute_exists(pk) AND attribute_not_exists(waited_for_content)",
        )

    # Users

    def run_and_user(
        self, run_id: str, user_id: str, *, execution_arn: str
    ) -> tuple[RunRow, UserRow | None]:
        """Return the run that an execution holds open, and one user's row in it.

        Raises:
            RunClosed: the run has ended, or is another execution's.
        """
        items = self._rows(
            (f"run#{run_id}", "run"),
            (f"run#{run_id}", f"user#{user_id}"),
            _PORTAL_STOP_KEY,
            _PACE_KEY,
        )
        user = items.get(f"user#{user_id}")
        return (
            _held(_run_row(run_id, items), run_id, execution_arn),
            _user_row(user) if user else None,
        )

    def user_rows(self, run_id: str, user_ids: Iterable[str]) -> dict[str, UserRow]:
        """Return the rows of these users, of those whom a run has started."""
        keys = [(f"run#{run_id}", f"user#{user_id}") for user_id in user_ids]
        return {row.user_id: row for row in map(_user_row, self._get_many(keys))}

    def users(self, run_id: str) -> Iterator[UserRow]:
        """Yield the rows of all users that a run began."""
        return map(_user_row, self._run_rows(run_id, "user#"))

    def _run_rows(self, run_id: str, kind: str) -> Iterator[_Item]:
        start: dict[str, Any] = {}
        while True:
            with store_errors("Reading the run's rows"):
                page = self._table.query(
                    KeyConditionExpression="pk = :pk AND begins_with(sk, :kind)",
                    ExpressionAttributeValues={":pk": f"run#{run_id}", ":kind": kind},
                    ConsistentRead=True,
                    **start,
                )
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def reopen_user(self, run_id: str, row: UserRow) -> None:
        """Let an open outcome be replaced: it goes into the row's history, as it stands."""
        if row.outcome is None or not row.outcome.is_open:
            raise ValueError(f"User {row.user_id} has no open outcome.")
        past = asdict(PastOutcome(row.outcome, row.reason, row.ended_at, row.attempts))
        self._update_user(
            run_id,
            row.user_id,
            "SET #state = :reopened, looks = :zero, waited = :zero,"
            " history = list_append(if_not_exists(history, :none), :past)",
            {
                ":reopened": UserState.REOPENED,
                ":zero": 0,
                ":none": [],
                ":past": [past],
                ":done": UserState.DONE,
                ":outcome": row.outcome,
            },
            condition="#state = :done AND outcome = :outcome",
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

        False means that it must not: the run was stopped or closed, or this user has a DELETE
        under way or an outcome already. One transaction decides, so that a stop holds before the
        next DELETE and two callers never both send one. `is_first` tells that this user was sent
        no DELETE since the run was begun or resumed: it counts towards the caps per day.
        """
        portal_is_not_stopped: TransactWriteItemTypeDef = {
            "ConditionCheck": {
                "TableName": self._table.name,
                "Key": _PORTAL_STOP,
                "ConditionExpression": "attribute_not_exists(stop_flag)",
            }
        }
        counted: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self._table.name,
                "Item": {
                    "pk": "intent",
                    "sk": f"{now:012}#{run_id}#{user_id}",
                    "expires_at": now + _COUNTED_SECONDS,
                },
            }
        }
        run_is_open: TransactWriteItemTypeDef = {
            "ConditionCheck": {
                "TableName": self._table.name,
                "Key": {"pk": f"run#{run_id}", "sk": "run"},
                "ConditionExpression": (
                    "is_open = :yes AND execution_arn = :arn AND attribute_not_exists(stop_flag)"
                ),
                "ExpressionAttributeValues": {":yes": True, ":arn": execution_arn},
            }
        }
        intent: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table.name,
                "Key": {"pk": f"run#{run_id}", "sk": f"user#{user_id}"},
                "ConditionExpression": (
                    "attribute_not_exists(pk) OR #state = :refused OR #state = :reopened"
                ),
                "UpdateExpression": (
                    "SET #state = :intent, lease_owner = :owner, lease_until = :until,"
                    " expires_at = :kept ADD attempts :one"
                ),
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": {
                    ":refused": UserState.REFUSED,
                    ":reopened": UserState.REOPENED,
                    ":intent": UserState.INTENT,
                    ":owner": owner,
                    ":until": lease_until,
                    ":kept": now + self._kept_seconds,
                    ":one": 1,
                },
            }
        }
        with store_errors(f"Recording the intent to delete user {user_id}"):
            try:
                self._client.transact_write_items(
                    TransactItems=[
                        run_is_open,
                        portal_is_not_stopped,
                        intent,
                        *([counted] if is_first else []),
                    ]
                )
            except self._client.exceptions.TransactionCanceledException as error:
                if any(
                    reason.get("Code") == "ConditionalCheckFailed"
                    for reason in error.response.get("CancellationReasons", [])
                ):
                    return False
                raise StoreUnavailable(
                    f"Recording the intent to delete user {user_id}: transaction cancelled."
                ) from None
        return True

    def count_intents(self, *, since: int) -> int:
        """Count the users that were sent a DELETE, or were about to be, since a moment."""
        count, start = 0, dict[str, Any]()
        while True:
            with store_errors("Counting the last day's deletions"):
                page = self._table.query(
                    Select="COUNT",
                    KeyConditionExpression="pk = :pk AND sk >= :since",
                    ExpressionAttributeValues={":pk": "intent", ":since": f"{since:012}"},
                    ConsistentRead=True,
                    **start,
                )
            count += page["Count"]
            if "LastEvaluatedKey" not in page:
                return count
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def record_refusal(
        self, run_id: str, user_id: str, *, owner: str, reason: str, portal_message: str, now: int
    ) -> None:
        """Record that the portal definitely did nothing: another DELETE may follow."""
        self._update_user(
            run_id,
            user_id,
            "SET #state = :refused, reason = :reason, portal_message = :message,"
            " lease_until = :zero, refused_at = list_append(if_not_exists(refused_at, :none), :at)",
            {
                ":refused": UserState.REFUSED,
                ":reason": reason,
                ":message": portal_message,
                ":none": [],
                ":at": [now],
                ":zero": 0,
                ":owner": owner,
            },
            condition="lease_owner = :owner AND #state = :intent",
        )

    def record_sent(self, run_id: str, sent: UserRow, *, owner: str) -> None:
        """Record that a DELETE was sent, how long it took, and what its answer was."""
        self._update_user(
            run_id,
            sent.user_id,
            "SET #state = :sent, reason = :reason, portal_message = :message, lease_until = :zero,"
            " delete_seconds = :seconds, answered_at = :at",
            {
                ":sent": sent.state,
                ":reason": sent.reason,
                ":message": sent.portal_message,
                ":seconds": sent.delete_seconds,
                ":at": sent.answered_at,
                ":zero": 0,
                ":owner": owner,
            },
            condition="lease_owner = :owner AND #state = :intent",
        )

    def record_look(
        self, run_id: str, user_id: str, *, wait_seconds: int, is_declined: bool
    ) -> None:
        """Record a look that did not show a user gone, and the wait before the next one.

        `is_declined` tells that the portal said it did not delete this user: that stands.
        """
        self._update_user(
            run_id,
            user_id,
            "SET #state = :state, lease_until = :zero ADD looks :one, waited :wait",
            {
                ":state": UserState.DECLINED if is_declined else UserState.SETTLING,
                ":settling": UserState.SETTLING,
                ":declined": UserState.DECLINED,
                ":zero": 0,
                ":one": 1,
                ":wait": wait_seconds,
            },
            condition="#state = :intent OR #state = :settling OR #state = :declined",
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
        """Record how a user ended; False when an outcome stands already.

        Only `unknown` gives way, and only to `deleted`. `gone` is the user that we deleted: a
        later request that names them finds it on record. With `attempts` it is recorded only
        while the user was sent so many DELETEs, and False when there were more since.
        """
        is_late = outcome is Outcome.DELETED
        condition = "attribute_not_exists(pk) OR #state <> :done"
        if is_late:
            condition += " OR outcome = :unknown"
        if attempts is not None:
            unchanged = "attempts = :attempts"
            if not attempts:
                unchanged += " OR attribute_not_exists(attempts)"
            condition = f"({condition}) AND ({unchanged})"
        row: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table.name,
                "Key": {"pk": f"run#{run_id}", "sk": f"user#{user_id}"},
                "ConditionExpression": condition,
                "UpdateExpression": (
                    "SET #state = :done, outcome = :outcome, reason = :reason,"
                    " reason_kind = :kind, ended_at = :now, lease_until = :zero,"
                    " expires_at = :kept"
                    + (", portal_message = :message" if portal_message else "")
                ),
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": {
                    ":done": UserState.DONE,
                    **({":unknown": Outcome.UNKNOWN} if is_late else {}),
                    **({":attempts": attempts} if attempts is not None else {}),
                    ":outcome": outcome,
                    ":reason": reason,
                    ":kind": kind,
                    **({":message": portal_message} if portal_message else {}),
                    ":now": now,
                    ":zero": 0,
                    ":kept": now + self._kept_seconds,
                },
            }
        }
        memory: list[TransactWriteItemTypeDef] = [
            {
                "Put": {
                    "TableName": self._table.name,
                    "Item": {
                        "pk": _deleted_pk(key),
                        "sk": "deleted",
                        "run_id": run_id,
                        "expires_at": now + self._kept_seconds,
                    },
                }
            }
            for key in dict.fromkeys(user_keys(gone) if gone else [])
        ]
        with store_errors(f"Recording the outcome of user {user_id}"):
            try:
                self._client.transact_write_items(TransactItems=[row, *memory])
            except self._client.exceptions.TransactionCanceledException as error:
                reasons = error.response.get("CancellationReasons", [])
                if reasons and reasons[0].get("Code") == "ConditionalCheckFailed":
                    return False
                raise StoreUnavailable(
                    f"Recording the outcome of user {user_id}: transaction cancelled."
                ) from None
        return True

    def withdraw_outcome(
        self, run_id: str, row: UserRow, user: PortalUser, *, reason: str, now: int
    ) -> bool:
        """Make an outcome that says "gone" `unknown`, because the portal shows `user` after all.

        The old outcome goes into the row's history, and the record of the deletion is withdrawn,
        where it is this run's. False when the outcome is no longer as it was.
        """
        if row.outcome not in {Outcome.DELETED, Outcome.ALREADY_ABSENT}:
            raise ValueError(f"User {row.user_id} did not end as gone.")
        past = asdict(PastOutcome(row.outcome, row.reason, row.ended_at, row.attempts))
        update: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table.name,
                "Key": {"pk": f"run#{run_id}", "sk": f"user#{row.user_id}"},
                "ConditionExpression": "#state = :done AND outcome = :gone",
                "UpdateExpression": (
                    "SET outcome = :unknown, reason = :reason, reason_kind = :kind,"
                    " ended_at = :now, history = list_append(if_not_exists(history, :none), :past)"
                ),
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": {
                    ":done": UserState.DONE,
                    ":gone": row.outcome,
                    ":unknown": Outcome.UNKNOWN,
                    ":reason": reason,
                    ":kind": ReasonKind.LISTED_AGAIN,
                    ":now": now,
                    ":none": [],
                    ":past": [past],
                },
            }
        }
        on_record = self._get_many(
            [(pk, "deleted") for pk in dict.fromkeys(map(_deleted_pk, user_keys(user)))]
        )
        forgotten: list[TransactWriteItemTypeDef] = [
            {
                "Delete": {
                    "TableName": self._table.name,
                    "Key": {"pk": item["pk"], "sk": "deleted"},
                    "ConditionExpression": "run_id = :run",
                    "ExpressionAttributeValues": {":run": run_id},
                }
            }
            for item in on_record
            if item["run_id"] == run_id
        ]
        with store_errors(f"Withdrawing the outcome of user {row.user_id}"):
            try:
                self._client.transact_write_items(TransactItems=[update, *forgotten])
            except self._client.exceptions.TransactionCanceledException as error:
                reasons = error.response.get("CancellationReasons", [])
                if reasons and reasons[0].get("Code") == "ConditionalCheckFailed":
                    return False
                raise StoreUnavailable(
                    f"Withdrawing the outcome of user {row.user_id}: transaction cancelled."
                ) from None
        return True

    def deleted_before(self, keys: Collection[str]) -> set[str]:
        """Return those of the `identity_keys` under which an earlier deletion is on record."""
        by_pk = {_deleted_pk(key): key for key in keys}
        found = self._get_many([(pk, "deleted") for pk in by_pk])
        return {by_pk[item["pk"]] for item in found}

    def _update_user(
        self,
        run_id: str,
        user_id: str,
        expression: str,
        values: Mapping[str, Any],
        *,
        condition: str,
    ) -> None:
        needed = {":intent": UserState.INTENT} if ":intent" in condition else {}
        with store_errors(f"Writing the row of user {user_id}"):
            try:
                self._table.update_item(
                    Key={"pk": f"run#{run_id}", "sk": f"user#{user_id}"},
                    UpdateExpression=expression,
                    ConditionExpression=condition,
                    ExpressionAttributeNames={"#state": "state"},
                    ExpressionAttributeValues={**values, **needed},
                )
            except ClientError as error:
                # Somebody else took over when our lease ended: what they found stands.
                if error_code(error) != "ConditionalCheckFailedException":
                    raise

    # The pace

    def pace(self) -> Pace:
        """Return how fast the portal has been deleting."""
        return _pace(self._rows(_PACE_KEY).get("pace"))

    def record_pace(self, after: Pace, *, before: Pace) -> bool:
        """Record what was observed; False when somebody else did since `before` was read."""
        item: dict[str, str | int | Decimal] = {
            **dict(zip(("pk", "sk"), _PACE_KEY, strict=True)),
            **asdict(after),
            "seconds_per_delete": Decimal(str(after.seconds_per_delete)),
        }
        with store_errors("Recording the pace"):
            try:
                self._table.put_item(
                    Item=item,
                    ConditionExpression="attribute_not_exists(pk) OR version = :before",
                    ExpressionAttributeValues={":before": before.version},
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return False
        return True

    def end_quiet(self) -> int:
        """Forget when the portal may be called again; return when that was, 0 if it did not say."""
        while True:
            pace = self.pace()
            after = replace(pace, quiet_until=0, version=pace.version + 1)
            if not pace.quiet_until or self.record_pace(after, before=pace):
                return pace.quiet_until

    # One's turn

    def wait_for(self, name: str, run_id: str, *, now: int) -> None:
        """Note that the execution `name` waits for the end of a run; of none when it has its turn.

        The row is the execution's, not its run's: one that waits to resume a run does not have it.
        """
        with store_errors("Noting whose end is waited for"):
            self._table.put_item(
                Item={
                    "pk": f"run#{name}",
                    "sk": "turn",
                    "waits_for": run_id,
                    "expires_at": now + self._kept_seconds,
                }
            )

    def waits_for(self, name: str) -> str:
        """Return the run whose end the execution `name` waits for, or nothing."""
        return str(self._rows((f"run#{name}", "turn")).get("turn", {}).get("waits_for", ""))

    # Triggers, the lock, the token's lease

    def claim_event(self, fingerprint: str, run_id: str, *, now: int) -> str:
        """Take a trigger's event for `run_id`; return the run that has it, the first one to ask."""
        key = {"pk": f"event#{sha256(fingerprint.encode()).hexdigest()}", "sk": "event"}
        with store_errors("Claiming the event"):
            try:
                self._table.put_item(
                    Item={**key, "run_id": run_id, "expires_at": now + self._kept_seconds},
                    ConditionExpression="attribute_not_exists(pk)",
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                item = self._table.get_item(Key=key, ConsistentRead=True)["Item"]
                return str(item["run_id"])
        return run_id

    def last_drop(self, s3_object: S3Object) -> DropRow | None:
        """Return what was dropped last under a key, and looked at."""
        with store_errors("Reading what was dropped before"):
            item = self._table.get_item(Key=_drop_key(s3_object), ConsistentRead=True).get("Item")
        return DropRow(str(item["digest"]), str(item["run_id"])) if item else None

    def note_drop(self, s3_object: S3Object, *, digest: str, run_id: str, now: int) -> None:
        """Note what was dropped under a key, and the run that it started."""
        with store_errors("Noting what was dropped"):
            self._table.put_item(
                Item={
                    **_drop_key(s3_object),
                    "digest": digest,
                    "run_id": run_id,
                    "expires_at": now + self._kept_seconds,
                }
            )

    def take_lock(self, run_id: str, execution_arn: str, *, instead_of: str = "") -> Lock:
        """Take the portal's lock; return who has it now.

        `instead_of` names the holder's execution when it is known to be dead.
        """
        with store_errors("Taking the portal's lock"):
            try:
                self._table.put_item(
                    Item={"pk": "lock", "sk": "lock", "run_id": run_id, "arn": execution_arn},
                    ConditionExpression="attribute_not_exists(pk) OR arn = :arn OR arn = :dead",
                    ExpressionAttributeValues={":arn": execution_arn, ":dead": instead_of},
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                key = {"pk": "lock", "sk": "lock"}
                item = self._table.get_item(Key=key, ConsistentRead=True).get("Item", {})
                return Lock(str(item.get("run_id", "")), str(item.get("arn", "")))
        return Lock(run_id, execution_arn)

    def release_lock(self, execution_arn: str) -> None:
        """Give the portal's lock back, if this execution has it."""
        self._delete_if("lock", "lock", "arn", execution_arn)

    def take_token_lease(self, owner: str, *, until: int, now: int) -> bool:
        """Become the one caller that renews the token, until it is done or `until` has passed."""
        with store_errors("Taking the lease on renewing the token"):
            try:
                self._table.put_item(
                    Item={"pk": "token", "sk": "lease", "lease_owner": owner, "until": until},
                    ConditionExpression=(
                        "attribute_not_exists(pk) OR #until < :now OR lease_owner = :owner"
                    ),
                    ExpressionAttributeNames={"#until": "until"},
                    ExpressionAttributeValues={":now": now, ":owner": owner},
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return False
        return True

    def release_token_lease(self, owner: str) -> None:
        """Let the next caller renew the token."""
        self._delete_if("token", "lease", "lease_owner", owner)

    def _delete_if(self, pk: str, sk: str, attribute: str, value: str) -> None:
        with store_errors(f"Releasing {pk}"):
            try:
                self._table.delete_item(
                    Key={"pk": pk, "sk": sk},
                    ConditionExpression="#attribute = :value",
                    ExpressionAttributeNames={"#attribute": attribute},
                    ExpressionAttributeValues={":value": value},
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise

    def _rows(self, *keys: tuple[str, str]) -> dict[str, dict[str, Any]]:
        return {item["sk"]: item for item in self._get_many(keys)}

    def _get_many(self, keys: Iterable[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        """Yield the rows of these keys.

        A throttled table leaves keys unprocessed without an error, and wants to be asked for them
        "using an exponential backoff algorithm":
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
        """
        pending = [{"pk": pk, "sk": sk} for pk, sk in keys]
        in_a_row = 0
        while pending:
            asked, pending = pending[:_BATCH_GET], pending[_BATCH_GET:]
            with store_errors("Reading the ledger"):
                answer = self._client.batch_get_item(
                    RequestItems={self._table.name: {"Keys": asked, "ConsistentRead": True}}
                )
            yield from answer["Responses"].get(self._table.name, [])
            unread = answer.get("UnprocessedKeys", {}).get(self._table.name)
            if not unread:
                in_a_row = 0
                continue
            in_a_row += 1
            if in_a_row > _MAX_UNPROCESSED:
                raise StoreUnavailable("Reading the ledger: keys are left unprocessed.")
            sleep(uniform(0, _FIRST_BACKOFF_SECONDS * 2**in_a_row))  # noqa: S311 -- no secret
            pending += unread["Keys"]  # type: ignore[arg-type]


def _held(run: RunRow | None, run_id: str, execution_arn: str) -> RunRow:
    if run is None or not run.is_open or run.execution_arn != execution_arn:
        raise _closed(run_id)
    return run


def _closed(run_id: str) -> RunClosed:
    return RunClosed(
        f"Run {run_id} is not open for this execution: it has ended, or another execution has"
        " it. Start a new execution under a new name."
    )


def _drop_key(s3_object: S3Object) -> dict[str, str]:
    where = f"drop {s3_object.bucket} {s3_object.key}"
    return {"pk": f"event#{sha256(where.encode()).hexdigest()}", "sk": "drop"}


def _deleted_pk(key: str) -> str:
    return f"deleted#{sha256(key.encode()).hexdigest()}"


def _stop(item: _Item | None) -> Stop | None:
    flag = item.get("stop_flag") if item else None
    return Stop(flag["reason"], flag["by"], int(flag["at"])) if flag else None


def _pace(item: _Item | None) -> Pace:
    if item is None:
        return Pace()
    return Pace(
        seconds_per_delete=float(item["seconds_per_delete"]),
        wait_seconds=int(item["wait_seconds"]),
        changed_at=int(item["changed_at"]),
        quiet_until=int(item["quiet_until"]),
        version=int(item["version"]),
    )


def _run_row(run_id: str, items: Mapping[str, _Item]) -> RunRow | None:
    item = items.get("run")
    if item is None:
        return None
    return RunRow(
        run_id=run_id,
        execution_arn=item["execution_arn"],
        is_open=item["is_open"],
        mode=Mode(item["mode"]),
        trigger=item["trigger"],
        source=item["source"],
        dropped_key=item["dropped_key"],
        started_at=int(item["started_at"]),
        plan_sha256=item.get("plan_sha256", ""),
        wait_seconds=int(item.get("wait_seconds", 0)),
        canary_users=int(item.get("canary_users", 0)),
        round_number=int(item["round_number"]),
        renewals=int(item["renewals"]),
        stop=_stop(item) or _stop(items.get("stop")),
        stopped_at=int(item.get("stopped_at_ms", 0)) / 1000,
        pace=_pace(items.get("pace")),
        control=Control(tuple(item.get("self_ids", ())), item.get("gone_shape", "")),
        losses=tuple(item.get("losses", ())),
        checked_batch=int(item.get("checked_batch", 0)),
    )


def _user_row(item: _Item) -> UserRow:
    def number(name: str) -> int:
        return int(item.get(name, Decimal(0)))

    return UserRow(
        user_id=item["sk"].removeprefix("user#"),
        state=UserState(item["state"]),
        outcome=Outcome(item["outcome"]) if "outcome" in item else None,
        reason=item.get("reason", ""),
        attempts=number("attempts"),
        looks=number("looks"),
        waited=number("waited"),
        lease_until=number("lease_until"),
        lease_owner=item.get("lease_owner", ""),
        delete_seconds=number("delete_seconds"),
        answered_at=number("answered_at"),
        refused_at=tuple(int(at) for at in item.get("refused_at", [])),
        ended_at=number("ended_at"),
        history=tuple(
            PastOutcome(
                Outcome(past["outcome"]),
                past["reason"],
                int(past["ended_at"]),
                int(past["attempts"]),
            )
            for past in item.get("history", [])
        ),
        reason_kind=ReasonKind(item.get("reason_kind", "")),
        portal_message=item.get("portal_message", ""),
    )
