"""Turns what starts a run into a `Request`: a person's JSON, a file's or a schedule's event.

Everything is validated before the portal is called.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent
from aws_lambda_powertools.utilities.validation import SchemaValidationError, validate

from bulk_user_deletion.bucket_keys import ROSTERS
from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.actions import LEAVER_ACTIONS, Action
from bulk_user_deletion.models.requests import (
    AcceptGuardOrder,
    Check,
    CheckOrder,
    CloseOrder,
    EndQuietOrder,
    Request,
    Resume,
    S3Object,
    SealedPlan,
    Source,
    StopOrder,
    Trigger,
    WithdrawOrder,
)
from bulk_user_deletion.models.runs import Mode
from bulk_user_deletion.rules.drops import nothing_in
from bulk_user_deletion.rules.identity import is_user_id
from bulk_user_deletion.rules.rosters import stated_rows
from bulk_user_deletion.rules.text import one_line

_WHOLE = "the request"
_LONGEST_REASON = 500
_LONGEST_BY = 200
_RUN_ID = {"type": "string", "minLength": 1, "maxLength": 80}

_DATASET_ID = {"type": "integer", "minimum": 1}
_S3_OBJECT: dict[str, Any] = {
    "type": "object",
    "required": ["bucket", "key"],
    "additionalProperties": False,
    "properties": {
        "bucket": {"type": "string", "minLength": 1},
        "key": {"type": "string", "minLength": 1},
        "version_id": {"type": "string"},
    },
}

REQUEST_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "mode": {"enum": [mode.value for mode in Mode]},
        "plan": {
            "type": "object",
            "required": ["run_id", "sha256"],
            "additionalProperties": False,
            "properties": {
                "run_id": _RUN_ID,
                "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            },
        },
        "resume": _RUN_ID,
        "only": {"enum": ["not_attempted"]},
        "source": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": {
                "dataset_id": _DATASET_ID,
                "s3": _S3_OBJECT,
                "users": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": ["string", "integer"]},
                },
                "due": {"enum": [True]},
                "roster": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "dataset_id": _DATASET_ID,
                        "s3": _S3_OBJECT,
                        "rows": {"type": "integer", "minimum": 1},
                    },
                },
            },
        },
        "action": {"enum": [action.value for action in (*LEAVER_ACTIONS, Action.ENABLE)]},
        "reason": {"type": "string", "maxLength": _LONGEST_REASON},
        "requested_by": {"type": "string", "maxLength": _LONGEST_BY},
        "options": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "max_users": {"type": "integer", "minimum": 0},
                "max_percent": {"type": "number", "minimum": 0, "maximum": 100},
                "wait_seconds": {"type": "integer", "minimum": 0, "maximum": 3600},
                "canary_users": {"type": "integer", "minimum": 0},
            },
        },
    },
}

_ORDER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["reason", "by"],
    "additionalProperties": False,
    "properties": {
        "run_id": _RUN_ID,
        "reason": {"type": "string", "minLength": 1, "maxLength": _LONGEST_REASON},
        "by": {"type": "string", "minLength": 1, "maxLength": _LONGEST_BY},
    },
}
_STOP_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {"stop": _ORDER_SCHEMA, "lift": _ORDER_SCHEMA},
}

_WITHDRAW_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "withdraw": {
            **_ORDER_SCHEMA,
            "properties": {
                **_ORDER_SCHEMA["properties"],
                "users": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": ["string", "integer"]},
                },
            },
        }
    },
}
_END_QUIET_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "end_quiet": {
            **_ORDER_SCHEMA,
            "properties": {name: _ORDER_SCHEMA["properties"][name] for name in ("reason", "by")},
        }
    },
}

_ACCEPT_GUARD_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "accept_guard": {
            "type": "object",
            "required": ["users", "reason", "by"],
            "additionalProperties": False,
            "properties": {
                "users": {"type": "integer", "minimum": 1},
                **{name: _ORDER_SCHEMA["properties"][name] for name in ("reason", "by")},
            },
        }
    },
}

_CLOSE_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "properties": {"close": _RUN_ID},
}

_CHECK_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "properties": {"check": {"enum": [check.value for check in Check]}},
}

# The fields that are read from EventBridge's and the schedule's events.
_OBJECT_CREATED_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {
            "type": "object",
            "required": ["bucket", "object"],
            "properties": {
                "bucket": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string", "minLength": 1}},
                },
                "object": {
                    "type": "object",
                    "required": ["key"],
                    "properties": {"key": {"type": "string", "minLength": 1}},
                },
            },
        },
    },
}
_SCHEDULE_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["scheduled_time", "request"],
    "additionalProperties": False,
    "properties": {
        "scheduled_time": {"type": "string", "minLength": 1},
        "request": {"type": "object"},
    },
}


def asker_of(event: Any) -> tuple[str, str]:
    """Return who sent a request that was refused, and why, as far as it can be read."""
    said = event if isinstance(event, Mapping) else {}
    by, reason = said.get("requested_by"), said.get("reason")
    return (
        one_line(by, longest=_LONGEST_BY) if isinstance(by, str) else "",
        one_line(reason, longest=_LONGEST_REASON) if isinstance(reason, str) else "",
    )


def read_request(
    event: Mapping[str, Any], *, file_drop_mode: Mode
) -> (
    Request
    | StopOrder
    | WithdrawOrder
    | EndQuietOrder
    | AcceptGuardOrder
    | CloseOrder
    | CheckOrder
    | None
):
    """Read an execution's input; return None if it asks for nothing (`nothing_in`).

    `event` is a request, an EventBridge "Object Created" event, `{"scheduled_time": …, "request":
    …}` as a schedule sends it (the request may be a check), or an order: `{"stop": {"reason",
    "by"}}`, with a `run_id` for one run and without for the whole portal, `{"lift": …}` with the
    same fields, `{"withdraw": {"reason", "by"}}` with `users` (ids) or a `run_id`, `{"end_quiet":
    {"reason", "by"}}`, `{"accept_guard": {"users", "reason", "by"}}`, `{"close": NAME}`, which the
    end of an execution sends, or `{"check": "portal"}` or `{"check": "population"}`.

    Raises:
        RequestRefused: naming the invalid field.
    """
    if not isinstance(event, Mapping):
        raise RequestRefused("The request must be a JSON object.")
    if event.get("detail-type") == "Object Created":
        return _from_object_created(dict(event), file_drop_mode)
    if "stop" in event or "lift" in event:
        _check(event, _STOP_SCHEMA)
        [(word, order)] = event.items()
        return StopOrder(**order, lift=word == "lift")
    if "withdraw" in event:
        _check(event, _WITHDRAW_SCHEMA)
        return _withdraw_order(event["withdraw"])
    if "end_quiet" in event:
        _check(event, _END_QUIET_SCHEMA)
        return EndQuietOrder(**event["end_quiet"])
    if "accept_guard" in event:
        _check(event, _ACCEPT_GUARD_SCHEMA)
        order = event["accept_guard"]
        return AcceptGuardOrder(int(order["users"]), order["reason"], order["by"])
    if "close" in event:
        _check(event, _CLOSE_SCHEMA)
        return CloseOrder(event["close"])
    if "check" in event:
        return _check_order(event)
    if "scheduled_time" in event:
        _check(event, _SCHEDULE_SCHEMA)
        what = json.dumps(event["request"], sort_keys=True)
        fingerprint = f"schedule {event['scheduled_time']} {what}"
        if "check" in event["request"]:
            return replace(_check_order(event["request"]), fingerprint=fingerprint)
        request = _from_document(event["request"], trigger=Trigger.SCHEDULE)
        if isinstance(request.source, Source) and request.source.due:
            request = replace(request, trigger=Trigger.DUE)
        return _with_fingerprint(request, fingerprint)
    return _from_document(event, trigger=Trigger.CONSOLE)


def _check(document: Any, schema: dict[str, Any]) -> None:
    _check_keys(document, schema, _WHOLE)
    try:
        validate(event=document, schema=schema)
    except SchemaValidationError as error:
        # fastjsonschema calls the document `data`, and does not quote its values.
        path = ".".join(str(part) for part in (error.path or ["data"])[1:]) or _WHOLE
        message = str(error.validation_message or "is not valid").removeprefix("data").lstrip(". ")
        if error.definition and error.rule in {"minProperties", "maxProperties"}:
            message = f"it must have exactly one of {', '.join(error.definition['properties'])}"
        raise RequestRefused(f"The request was refused at {path}: {message}.") from None


def _check_keys(document: Any, schema: Mapping[str, Any], path: str) -> None:
    """Refuse an unknown key, and suggest the one that was probably meant."""
    if not isinstance(document, Mapping) or schema.get("type") != "object":
        return
    known: Mapping[str, Any] = schema.get("properties", {})
    for key, value in document.items():
        if key in known:
            _check_keys(value, known[key], key if path == _WHOLE else f"{path}.{key}")
        elif schema.get("additionalProperties") is False:
            raise RequestRefused(f"The request was refused at {path}: {_no_key(key, known)}")


def _no_key(key: str, known: Mapping[str, Any]) -> str:
    """Return what is wrong with a key. An unknown key may be a name, so it is not repeated."""
    for name, inner in known.items():
        if key in inner.get("properties", {}):
            return f'"{key}" belongs in "{name}".'
    folded = {re.sub("[^a-z0-9]", "", name): name for name in known}
    if close := get_close_matches(re.sub("[^a-z0-9]", "", key.casefold()), folded, n=1):
        return f'one key is not known. Did you mean "{folded[close[0]]}"?'
    return f"one key is not known. Known keys: {', '.join(known)}."


def _from_document(document: Any, *, trigger: Trigger) -> Request:
    _check(document, REQUEST_SCHEMA)
    mode = Mode(document.get("mode", Mode.PREVIEW))
    named = [word for word in ("source", "plan", "resume") if word in document]
    if len(named) != 1:
        raise RequestRefused("The request must have exactly one of source, plan and resume.")
    if named != ["source"] and mode is not Mode.APPLY:
        raise RequestRefused(f'With {named[0]} the request needs "mode": "apply".')
    if "only" in document and "resume" not in document:
        raise RequestRefused("The request was refused at only: it goes with resume.")
    source = _source(document)
    if isinstance(source, Source) and source.is_roster and mode is Mode.APPLY:
        raise RequestRefused(
            "The request was refused at mode: a roster is only previewed. Read the preview, then"
            " apply its plan."
        )
    return Request(
        mode=mode,
        trigger=trigger,
        source=source,
        options=document.get("options", {}),
        reason=document.get("reason", ""),
        requested_by=document.get("requested_by", ""),
        action=_action(document, source, trigger),
    )


def _action(
    document: dict[str, Any], source: Source | SealedPlan | Resume, trigger: Trigger
) -> Action | None:
    given = document.get("action")
    if isinstance(source, Source) and source.due:
        if given:
            raise RequestRefused(
                "The request was refused at action: the source due takes none. Leavers who are"
                " due are deleted."
            )
        return Action.DELETE_DUE
    if given and not isinstance(source, Source):
        raise RequestRefused(
            "The request was refused at action: a plan has its own. Leave it out, or start a new"
            " preview."
        )
    action = Action(given) if given else None
    if isinstance(source, Source) and source.is_roster and action in {Action.DELETE, Action.ENABLE}:
        raise RequestRefused(
            "The request was refused at action: users who are missing from a roster are"
            " disabled, and deleted later if the stack does so. Leave the action out, or make it"
            " disable."
        )
    if action is Action.ENABLE and trigger is not Trigger.CONSOLE:
        raise RequestRefused(
            "The request was refused at action: only a person may enable users. Start it by hand."
        )
    return action


def _roster(roster: dict[str, Any]) -> Source:
    if ("dataset_id" in roster) is ("s3" in roster):
        raise RequestRefused(
            "The request was refused at source.roster: it must have exactly one of dataset_id, s3."
        )
    dataset_id, s3_object = roster.get("dataset_id"), roster.get("s3")
    return Source(
        dataset_id=int(dataset_id) if dataset_id else None,
        s3=S3Object(**s3_object) if s3_object else None,
        is_roster=True,
        rows=int(roster["rows"]) if "rows" in roster else None,
    )


def _check_order(order: Mapping[str, Any]) -> CheckOrder:
    _check(order, _CHECK_SCHEMA)
    return CheckOrder(Check(order["check"]))


def _withdraw_order(order: dict[str, Any]) -> WithdrawOrder:
    if ("users" in order) is ("run_id" in order):
        raise RequestRefused(
            "The request was refused at withdraw: it must have exactly one of users and run_id."
        )
    users = tuple(
        normalised for user in order.get("users", ()) if (normalised := str(user).strip())
    )
    if not all(map(is_user_id, users)):
        raise RequestRefused(
            "The request was refused at withdraw.users: these must be user ids, because a name may"
            " belong to another user by now."
        )
    return WithdrawOrder(order["reason"], order["by"], users, order.get("run_id", ""))


def _source(document: dict[str, Any]) -> Source | SealedPlan | Resume:
    if "plan" in document:
        return SealedPlan(**document["plan"])
    if "resume" in document:
        return Resume(document["resume"], only_not_attempted="only" in document)
    source = document["source"]
    if "roster" in source:
        return _roster(source["roster"])
    dataset_id = source.get("dataset_id")
    s3_object = source.get("s3")
    users = source.get("users")
    if s3_object and s3_object["key"].startswith(ROSTERS):
        raise RequestRefused(
            f"The request was refused at source.s3: a file under {ROSTERS} names those who stay,"
            ' and a list those who leave. Send {"roster": {"s3": …}} as the source.'
        )
    return Source(
        dataset_id=int(dataset_id) if dataset_id else None,  # 42.0 is an integer to JSON
        s3=S3Object(**s3_object) if s3_object else None,
        users=tuple(str(user) for user in users) if users else None,
        due=source.get("due", False),
    )


def _from_object_created(event: dict[str, Any], mode: Mode) -> Request | None:
    _check(event, _OBJECT_CREATED_SCHEMA)
    detail = S3EventBridgeNotificationEvent(event).detail
    dropped = detail.object
    # Not `dropped.key`, which URL-decodes it: unlike S3's own notifications, EventBridge sends the
    # key unencoded, and `a+b.csv` would become `a b.csv`.
    key = str(dropped["key"])
    if nothing_in(key):
        return None
    s3_object = S3Object(
        bucket=detail.bucket.name,
        key=key,
        version_id=str(dropped.get("version-id") or ""),
        etag=str(dropped.get("etag") or ""),
        written_by=str(event["detail"].get("reason") or ""),
    )
    is_roster = key.startswith(ROSTERS)
    source = Source(s3=s3_object, is_roster=is_roster, rows=stated_rows(key) if is_roster else None)
    # Whatever FileDropMode says, a roster is only previewed.
    request = Request(mode=Mode.PREVIEW if is_roster else mode, trigger=Trigger.S3, source=source)
    which = s3_object.version_id or s3_object.etag
    sequencer = dropped.get("sequencer") or ""
    return _with_fingerprint(request, f"s3 {s3_object.bucket} {key} {which} {sequencer}")


def _with_fingerprint(request: Request, fingerprint: str) -> Request:
    return replace(request, fingerprint=fingerprint)
