"""The ledger's rows: their keys, their conversion to our types, and shared conditions."""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from hashlib import sha256

from bulk_user_deletion.ledger.table import Condition, Item, Key
from bulk_user_deletion.meter import PREFIX
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.guards import AcceptedGuard
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.requests import S3Object
from bulk_user_deletion.models.rosters import Roster
from bulk_user_deletion.models.runs import (
    Control,
    DropRow,
    Lock,
    Mode,
    Pace,
    Pause,
    Round,
    RoundEnd,
    RunRow,
    RunStatus,
    Stop,
    Stopper,
)
from bulk_user_deletion.models.users import (
    Outcome,
    PastOutcome,
    ReasonKind,
    Spent,
    UserRow,
    UserState,
)
from bulk_user_deletion.models.watch import Departure, FirstSeen, Was, What

# Deleting and switching access each have a lock: disabling is not kept waiting by deleting.
LOCKS: dict[bool, Key] = {True: ("lock", "lock"), False: ("lock", "switch")}
STOP: Key = ("stop", "stop")
TOKEN_LEASE: Key = ("token", "lease")
PACE: Key = ("pace", "pace")

IS_STOPPED = Condition("attribute_exists(stop_flag)")
IS_NOT_STOPPED = Condition("attribute_not_exists(stop_flag)")
IS_NOT_PAUSED = Condition("attribute_not_exists(#pause)")
IS_WITHDRAWN = Condition("attribute_exists(withdrawal)")
IS_NOT_WITHDRAWN = Condition("attribute_not_exists(withdrawal)")

# Prefixes of the sort keys of a run's rows, and the partitions of the intents of all runs, which
# the caps per day count: those to delete, and those to switch somebody's access.
USER = "user#"
RENEWAL = "renewal#"
ROUND = "round#"
PRESSED = "stop#"
INTENTS = {True: "intent", False: "switch"}
LEAVERS = "leaver"
ROSTERS = "roster"
WATCH = "watch"


def run_partition(run_id: str) -> str:
    """Return the partition of a run's rows, or of an execution's rows by its name."""
    return f"run#{run_id}"


def run_key(run_id: str) -> Key:
    """Return the key of a run's own row."""
    return run_partition(run_id), "run"


def run_keys(run_id: str) -> tuple[Key, ...]:
    """Return the keys of all rows that make up a `RunRow`."""
    return run_key(run_id), STOP, PACE


def user_key(run_id: str, user_id: str) -> Key:
    """Return the key of a user's row in a run."""
    return run_partition(run_id), f"{USER}{user_id}"


def renewal_key(run_id: str, at: int) -> Key:
    """Return the key of a renewal of the token."""
    return run_partition(run_id), f"{RENEWAL}{moment(at)}"


def round_key(run_id: str, number: int) -> Key:
    """Return the key of a round of a run. A request that is refused is its execution's first."""
    return run_partition(run_id), f"{ROUND}{number:06}"


def pressed_key(run_id: str, stop: Stop) -> Key:
    """Return the key of a press of a run's stop button: the same press has the same one."""
    digest = _hash(f"{stop.stopper} {stop.by} {stop.reason}")
    return run_partition(run_id), f"{PRESSED}{moment(stop.at)}#{digest[:16]}"


def resumes_key(name: str) -> Key:
    """Return the key of the row that says what an execution of this name resumed."""
    return run_partition(name), "resumes"


def turn_key(name: str) -> Key:
    """Return the key of the row that says what an execution of this name waits for."""
    return run_partition(name), "turn"


def intent_key(action: Action, at: int, run_id: str, user_id: str) -> Key:
    """Return the key of an intent that counts towards the caps per day."""
    return INTENTS[action.deletes], f"{moment(at)}#{run_id}#{user_id}"


def portal_prefix(portal_url: str) -> str:
    """Return what the sort keys of a portal's rows start with: ids are a portal's own."""
    return f"{_hash(portal_url.rstrip('/'))[:16]}#"


def roster_key(portal_url: str, run_id: str) -> Key:
    """Return the key of an accepted roster."""
    return ROSTERS, f"{portal_prefix(portal_url)}{run_id}"


def guard_key(portal_url: str, dataset_id: int) -> Key:
    """Return the key of the row about a portal's dataset as the guard."""
    return "guard", f"{_hash(portal_url)[:16]}#{dataset_id}"


def leaver_key(portal_url: str, user_id: str) -> Key:
    """Return the key of a leaver's row."""
    return LEAVERS, f"{portal_prefix(portal_url)}{user_id}"


def returned_prefix(portal_url: str) -> str:
    """Return what the sort keys of a portal's users who are back start with."""
    return f"{_hash(portal_url)[:16]}#{USER}"


def returned_key(portal_url: str, user_id: str) -> Key:
    """Return the key of the row of a user who is back."""
    return WATCH, f"{returned_prefix(portal_url)}{user_id}"


def last_watch_key(portal_url: str) -> Key:
    """Return the key of the row about the last watch of a portal."""
    return WATCH, f"{_hash(portal_url)[:16]}#last"


def moment(at: int) -> str:
    """Return a time as it is written in sort keys, which sort chronologically."""
    return f"{at:012}"


def event_key(fingerprint: str) -> Key:
    """Return the key of a trigger's event."""
    return f"event#{_hash(fingerprint)}", "event"


def drop_key(s3_object: S3Object) -> Key:
    """Return the key of the row about the last drop under an object's key."""
    return f"event#{_hash(f'drop {s3_object.bucket} {s3_object.key}')}", "drop"


def deleted_key(identity_key: str) -> Key:
    """Return the key of the record of a deleted user, which does not reveal who it was."""
    return f"deleted#{_hash(identity_key)}", "deleted"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def stop_of(item: Item, name: str = "stop_flag") -> Stop | None:
    """Return the stop flag of a row, or another one of its kind, if it is set."""
    flag = item.get(name)
    return pressed_of(flag) if flag else None


def pressed_of(item: Item) -> Stop:
    """Return a press of the stop button."""
    stopper = Stopper(item.get("stopper", Stopper.PERSON))
    return Stop(item["reason"], item["by"], int(item["at"]), stopper)


def round_of(item: Item) -> Round:
    """Return a round of a run from its row."""
    end = None
    if "status" in item:
        counts = {name: int(number) for name, number in item["counts"].items()}
        end = RoundEnd(
            int(item["ended_at"]), RunStatus(item["status"]), counts, stop_of(item, "stop")
        )
    return Round(
        number=int(item["sk"].removeprefix(ROUND)),
        execution=item.get("execution", ""),
        at=int(item.get("at", 0)),
        by=item.get("by", ""),
        reason=item.get("reason", ""),
        end=end,
    )


def _pause_of(item: Item) -> Pause | None:
    pause = item.get("pause")
    if not pause:
        return None
    return Pause(int(pause["at"]), int(pause["opens_at"]), pause["resumed_by"])


def pace_of(item: Item) -> Pace:
    """Return the portal's pace; without a row, nothing is known about it."""
    if not item:
        return Pace()
    return Pace(
        seconds_per_delete=float(item["seconds_per_delete"]),
        wait_seconds=int(item["wait_seconds"]),
        changed_at=int(item["changed_at"]),
        quiet_until=int(item["quiet_until"]),
        version=int(item["version"]),
    )


def lock_of(item: Item) -> Lock:
    """Return who holds the portal's lock; without a row, no one does."""
    return Lock(str(item.get("run_id", "")), str(item.get("arn", "")))


def drop_of(item: Item) -> DropRow | None:
    """Return the last drop under a key."""
    return DropRow(str(item["digest"]), str(item["run_id"])) if item else None


def run_of(run_id: str, found: Mapping[Key, Item]) -> RunRow | None:
    """Return a run from the rows of its `run_keys`, with the stop flag that applies to it.

    A run that was withdrawn is stopped, whether or not its stop button was pressed as well.
    """
    item = found.get(run_key(run_id))
    if item is None:
        return None
    withdrawal = stop_of(item, "withdrawal")
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
        stop=stop_of(item) or withdrawal or stop_of(found.get(STOP, {})),
        stopped_at=int(item.get("stopped_at_ms", 0)) / 1000,
        pause=_pause_of(item),
        pace=pace_of(found.get(PACE, {})),
        control=Control(tuple(item.get("self_ids", ())), item.get("gone_shape", "")),
        losses=tuple(item.get("losses", ())),
        checked_batch=int(item.get("checked_batch", 0)),
        action=Action(item.get("action", Action.DELETE)),
        grace_days=int(item.get("grace_days", 0)),
        is_from_preview=bool(item.get("is_from_preview", False)),
        withdrawal=withdrawal,
        roster_run=item.get("roster_run", ""),
        earlier=tuple(item.get("earlier", ())),
        report_sha256=item.get("report_sha256", ""),
    )


def user_of(item: Item) -> UserRow:
    """Return a user from its row."""

    def number(name: str) -> int:
        return int(item.get(name, Decimal(0)))

    return UserRow(
        user_id=item["sk"].removeprefix(USER),
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
        history=tuple(_past_outcome_of(past) for past in item.get("history", [])),
        reason_kind=ReasonKind(item.get("reason_kind", "")),
        portal_message=item.get("portal_message", ""),
        spent=Spent(**{field.name: number(f"{PREFIX}{field.name}") for field in fields(Spent)}),
    )


def roster_of(item: Item) -> Roster:
    """Return an accepted roster from its row."""
    return Roster(item["run_id"], int(item["accepted_ms"]) / 1000, int(item["entries"]))


def leaver_of(item: Item) -> Leaver:
    """Return a leaver from its row."""
    return Leaver(
        user_id=item["user_id"],
        portal_url=item["portal_url"],
        username_hash=item["username_hash"],
        email_hash=item["email_hash"],
        state=LeaverState(item["state"]),
        runs=tuple(item["runs"]),
        plan_sha256=item["plan_sha256"],
        is_from_preview=item["is_from_preview"],
        by_our_put=item["by_our_put"],
        seen_disabled_at=int(item.get("seen_disabled_at", 0)),
        due_at=int(item.get("due_at", 0)),
        reason_kind=ReasonKind(item["reason_kind"]),
        reason=item["reason"],
        by=item["by"],
        changed_at=int(item["changed_at"]),
        changed_by=item["changed_by"],
    )


def deletion_of(item: Item) -> Departure:
    """Return a deletion from the record of one part of somebody's identity."""
    return Departure(
        Was.DELETED,
        item["run_id"],
        item.get("user_id", ""),
        int(item.get("deleted_at", 0)),
    )


def first_seen_of(item: Item) -> FirstSeen:
    """Return when a user who is back was first seen."""
    return FirstSeen(
        item["user_id"], What(item["what"]), int(item["first_seen_at"]), item["first_seen_by"]
    )


def guard_of(item: Item) -> AcceptedGuard:
    """Return the guard as it was last accepted."""
    return AcceptedGuard(int(item["users"]), int(item["at"]), item["by"], item["reason"])


def _past_outcome_of(past: Item) -> PastOutcome:
    return PastOutcome(
        Outcome(past["outcome"]), past["reason"], int(past["ended_at"]), int(past["attempts"])
    )
