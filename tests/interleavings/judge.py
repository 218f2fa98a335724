"""What must hold after every call, read from the ledger's rows and the requests to the portal.

These are the rules of docs/rules.md, as far as two invocations side by side could break them. The
judge knows rows and requests, and no code of the application decides for it.
"""

import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from bulk_user_deletion.errors import TokenRejected
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.users import Outcome, UserState
from local.portal import PortalSimulator
from tests.functions.memory_services import Services
from tests.functions.memory_table import Tables

Row = Mapping[str, Any]
Key = tuple[str, str]

RULES = (
    "one DELETE or PUT in flight per user",
    "one DELETE per user and round",
    "no DELETE once a look saw the user gone",
    "no intent once a stop is recorded",
    "no intent once a withdrawal is recorded",
    "no DELETE outside of a change window",
    "no request without its intent",
    "nobody outside the plan",
    "a final outcome never changes",
    "an outcome says what is so",
    "the cap per day is kept",
    "one winner of each claim",
    "every error is ours",
    "nobody is lost",
)
_WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}
_DAY = 24 * 3600
_SPARE_SECONDS = 300  # before its end a token is renewed ahead
_FINAL = {outcome.value for outcome in Outcome if not outcome.is_open}
_MAY_BE_SENT_ANOTHER = {UserState.REFUSED, UserState.REOPENED}
_NO_ROW: Row = {}


@dataclass
class Invocation:
    """One invocation of a function. A dead one makes no further calls, not even to clean up."""

    function: str
    request_id: str
    execution_arn: str
    deadline: float
    is_dead: bool = False


class Acting(Protocol):
    """Whoever makes a call: in which invocation, for which run.

    `rejection` is the Cause that a renewal of the token was given.
    """

    run_id: str
    rejection: str
    invocation: Invocation | None


class Watched(Protocol):
    """What a judge sees of the world."""

    tables: Tables
    services: Services
    portal: PortalSimulator

    @property
    def performer(self) -> Acting | None:
        """Whoever makes calls in this thread."""


class Judge:
    """Follows one schedule. `broken` are sentences; `checked` counts checks by rule."""

    def __init__(self, world: Watched) -> None:
        self._world = world
        self.broken: list[str] = []
        self.checked: Counter[str] = Counter()
        self.planned: set[str] = set()  # whom a plan names: the scenario says so
        self.cap: int | None = None
        self.window = range(_DAY)  # the seconds of a day, in UTC, in which a DELETE may be sent
        # Until when each request may be in flight: its function is killed when its time is up.
        self._in_flight: dict[str, list[float]] = defaultdict(list)
        self._seen_gone: set[str] = set()
        self._withdrawn: set[str] = set()
        self._sent: Counter[tuple[str, int, str]] = Counter()
        self._deleted_at: dict[str, float] = {}
        self._intended_at: dict[str, float] = {}

    def holds(self, rule: str, *, that: bool, otherwise: str) -> None:
        """Count a check, and note if it failed."""
        assert rule in RULES, rule
        self.checked[rule] += 1
        if not that:
            self.broke(rule, otherwise)

    def broke(self, rule: str, how: str) -> None:
        """Note that a rule was broken."""
        self.broken.append(f"{rule}: {how}")

    # Requests to the portal

    def sends(self, method: str, path: str, user_id: str) -> None:
        """Judge a request that is about to be sent: from now on it may be in flight."""
        if method not in {"DELETE", "PUT", "POST"}:
            return
        what = user_id or path
        if method == "POST":
            rule, who = "one winner of each claim", "two callers renew the token"
            self.holds(rule, that=not self._is_in_flight(what), otherwise=who)
            self._judge_renewal()
        else:
            self.holds(
                "one DELETE or PUT in flight per user",
                that=not self._is_in_flight(what),
                otherwise=f"{method} of user {user_id} beside another one",
            )
            self._judge_change(method, user_id)
        self._in_flight[what].append(self._deadline)

    def sent(self, method: str, path: str, user_id: str) -> None:
        """Take note that a request is not in flight any more."""
        if method in {"DELETE", "PUT", "POST"}:
            self._in_flight[user_id or path].remove(self._deadline)

    def _is_in_flight(self, what: str) -> bool:
        return any(until > time.time() for until in self._in_flight[what])

    @property
    def _deadline(self) -> float:
        """When the invocation that acts is killed."""
        performer = self._world.performer
        return performer.invocation.deadline if performer and performer.invocation else math.inf

    def answered(self, method: str, path: str, user_id: str, status: int | None) -> None:
        """Take note of an answer."""
        if method == "GET" and user_id and status == 404:
            self._seen_gone.add(user_id)
        if method == "DELETE" and status != 429:
            run_id, _ = self._intent(user_id)
            run = self._rows().get((f"run#{run_id}", "run"), _NO_ROW)
            key = (run_id, int(run.get("round_number", 0)), user_id)
            self._sent[key] += 1
            self.holds(
                "one DELETE per user and round",
                that=self._sent[key] == 1,
                otherwise=f"user {user_id} was sent {self._sent[key]} in {key[:2]}",
            )
        if method == "DELETE":
            self._deleted_at[user_id] = time.time()
            recent = [at for at in self._deleted_at.values() if time.time() - at < _DAY]
            if self.cap is not None:
                self.holds(
                    "the cap per day is kept",
                    that=len(recent) <= self.cap,
                    otherwise=f"{len(recent)} users were sent a DELETE, and {self.cap} may be",
                )

    def _judge_renewal(self) -> None:
        """Nobody asks for a token while another one is stored than the one that was rejected."""
        performer = self._world.performer
        if performer is None or "token" not in self._world.services.secrets:
            return
        stored = json.loads(self._world.services.secrets["token"][1])
        is_new = stored["version_id"] != TokenRejected.version_in(performer.rejection)
        self.holds(
            "one winner of each claim",
            that=not is_new or stored["expires_at"] < time.time() + _SPARE_SECONDS,
            otherwise="a token is renewed that nobody rejected",
        )

    def _judge_change(self, method: str, user_id: str) -> None:
        _, row = self._intent(user_id)
        performer = self._world.performer
        owner = performer.invocation.request_id if performer and performer.invocation else ""
        self.holds(
            "no request without its intent",
            that=row.get("state") == UserState.INTENT and row.get("lease_owner") == owner,
            otherwise=f"{method} of user {user_id} by {owner}, and the row is {dict(row)}",
        )
        self.holds(
            "nobody outside the plan",
            that=user_id in self.planned,
            otherwise=f"{method} of user {user_id}",
        )
        self.holds(
            "no DELETE once a look saw the user gone",
            that=user_id not in self._seen_gone,
            otherwise=f"{method} of user {user_id}",
        )
        # Time that passes after the intent was recorded cannot be noticed before the request.
        if method == "DELETE":
            self.holds(
                "no DELETE outside of a change window",
                that=int(self._intended_at.get(user_id, 0)) % _DAY in self.window,
                otherwise=f"user {user_id}",
            )

    def _intent(self, user_id: str) -> tuple[str, Row]:
        """Return the run of the invocation that acts, and the user's row in it."""
        performer = self._world.performer
        run_id = performer.run_id if performer else ""
        return run_id, self._rows().get((f"run#{run_id}", f"user#{user_id}"), _NO_ROW)

    # Rows of the ledger

    def _rows(self) -> Mapping[Key, Row]:
        rows: Mapping[Key, Row] = vars(self._world.tables)["_tables"]["ledger"].rows
        return rows

    @contextmanager
    def watching(self, operation: str, given: Mapping[str, Any]) -> Iterator[None]:
        """Judge what a call changes."""
        if operation not in _WRITES or self._world.performer is None:
            yield
            return
        keys = list(_keys(operation, given))
        rows = self._rows()
        before = {key: rows.get(key, _NO_ROW) for key in keys}
        yield
        for key in keys:
            after = rows.get(key, _NO_ROW)
            if after is not before[key]:
                self._judge_row(key, before[key], after, before)

    def _judge_row(self, key: Key, before: Row, after: Row, others: Mapping[Key, Row]) -> None:
        pk, sk = key
        if sk.startswith("user#"):
            self._judge_user(pk, sk.removeprefix("user#"), before, after, others)
        elif sk == "run" and before:
            self._judge_run(pk, before, after)
        elif pk == "leaver" and after.get("state") == LeaverState.WITHDRAWN:
            self._withdrawn.add(after["user_id"])
        elif pk == "lock" and before and before.get("arn") != after.get("arn"):
            self._judge_lock(before)
        elif key == ("token", "lease") and before:
            self._judge_lease(before, after)
        elif sk == "event":
            self.holds(
                "one winner of each claim", that=not before, otherwise=f"{key} claimed twice"
            )

    def _judge_user(
        self, pk: str, user_id: str, before: Row, after: Row, others: Mapping[Key, Row]
    ) -> None:
        if after.get("state") == UserState.INTENT and (
            before.get("state") != UserState.INTENT
            or before.get("lease_owner") != after.get("lease_owner")
        ):
            self._judge_intent(pk, user_id, before, others)
        was, now = before.get("outcome"), after.get("outcome")
        was_final = was in _FINAL and before.get("state") == UserState.DONE
        self.holds(
            "a final outcome never changes",
            that=not was_final or (was == now and after.get("state") == UserState.DONE),
            otherwise=f"user {user_id} was {was}, and is {after.get('state')} {now}",
        )
        if after.get("state") == UserState.DONE and before.get("state") != UserState.DONE:
            self._judge_outcome(user_id, str(now))

    def _judge_intent(self, pk: str, user_id: str, before: Row, others: Mapping[Key, Row]) -> None:
        rows = self._rows()
        run = rows.get((pk, "run"), _NO_ROW)
        performer = self._world.performer
        arn = performer.invocation.execution_arn if performer and performer.invocation else ""
        self.holds(
            "no intent once a stop is recorded",
            that=not {"stop_flag", "pause"} & {*run}
            and not rows.get(("stop", "stop"))
            and bool(run.get("is_open"))
            and run.get("execution_arn") == arn,
            otherwise=f"user {user_id} by {arn}, and the run is {dict(run)}",
        )
        self.holds(
            "no intent once a withdrawal is recorded",
            that=user_id not in self._withdrawn and "withdrawal" not in run,
            otherwise=f"user {user_id}",
        )
        self._intended_at[user_id] = time.time()
        state = before.get("state")
        is_put = str(run.get("action", "delete")) in {"disable", "disable_then_delete", "enable"}
        self.holds(
            "one winner of each claim",
            that=not before
            or state in _MAY_BE_SENT_ANOTHER
            or (is_put and state == UserState.SETTLING),
            otherwise=f"an intent for user {user_id}, who is {state}",
        )

    def _judge_outcome(self, user_id: str, outcome: str) -> None:
        self._world.portal.user_ids()  # what is done in the background is done
        found = self._world.portal.database.execute(
            "SELECT enabled FROM user WHERE user_id = ?", (int(user_id),)
        )
        if outcome in {Outcome.DELETED, Outcome.ALREADY_ABSENT}:
            that = not found
        elif outcome == Outcome.DISABLED:
            that = bool(found) and found[0]["enabled"] == "N"
        else:
            that = outcome != Outcome.SKIPPED or bool(found)
        self.holds(
            "an outcome says what is so",
            that=that,
            otherwise=f"user {user_id} is {outcome}, and the portal says {len(found)}",
        )

    def _judge_run(self, pk: str, before: Row, after: Row) -> None:
        was, now = before["execution_arn"], after.get("execution_arn")
        running = self._world.services.executions.get(was)
        self.holds(
            "one winner of each claim",
            that=was == now
            or running is None
            or running.status != "RUNNING"
            or not before["is_open"],
            otherwise=f"{pk} taken from {was}, which runs, by {now}",
        )

        if "stop_flag" in before and "stop_flag" not in after:
            started = self._world.services.executions[str(now)].started_at
            self.holds(
                "no intent once a stop is recorded",
                that=before.get("stopped_at_ms", 0) < int(started * 1000),
                otherwise=f"{now} has lifted a stop that was pressed after it had started",
            )

    def _judge_lock(self, before: Row) -> None:
        performer = self._world.performer
        arn = performer.invocation.execution_arn if performer and performer.invocation else ""
        holder = self._world.services.executions.get(before["arn"])
        self.holds(
            "one winner of each claim",
            that=arn == before["arn"] or holder is None or holder.status != "RUNNING",
            otherwise=f"the lock of {before['arn']}, which runs, was taken or released by {arn}",
        )

    def _judge_lease(self, before: Row, after: Row) -> None:
        performer = self._world.performer
        owner = performer.invocation.request_id if performer and performer.invocation else ""
        self.holds(
            "one winner of each claim",
            that=before["lease_owner"] == owner or before["until"] < time.time(),
            otherwise=f"the token lease of {before['lease_owner']} was taken by {owner}",
        )


def _keys(operation: str, given: Mapping[str, Any]) -> Iterator[Key]:
    if operation == "TransactWriteItems":
        for item in given["TransactItems"]:
            yield from _keys("", next(iter(item.values())))
        return
    key = given.get("Key") or given["Item"]
    yield key["pk"], key["sk"]
