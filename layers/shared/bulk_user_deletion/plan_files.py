"""Plans and lists of users as JSON, one entry a line: a hundred thousand fit a small function.

Neither reading nor writing holds all entries as dictionaries at once: that takes several times
the memory.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import (
    Entry,
    Estimate,
    Plan,
    PlannedEntry,
    PlannedUser,
    Preview,
)
from bulk_user_deletion.models.runs import Limits, Mode
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind

_quoted = json.encoder.encode_basestring


def plan_to_json(plan: Plan) -> bytes:
    """Write a plan: the JSON of `dataclasses.asdict`, with its entries last."""
    fields = asdict(replace(plan, entries=()))
    del fields["entries"]
    head = json.dumps(fields, ensure_ascii=False)[:-1]
    return _lines(f'{head}, "entries": [', map(_planned_entry, plan.entries), "]}")


def plan_from_json(text: str) -> Plan:
    """Read a plan, whether or not it has one entry a line."""
    data = json.loads(text, object_hook=_revived)
    return Plan(
        **{
            **data,
            "mode": Mode(data["mode"]),
            "limits": Limits(**data["limits"]),
            "estimate": Estimate(**data["estimate"]),
            "entries": tuple(data["entries"]),
            "warnings": tuple(data["warnings"]),
            "self_ids": tuple(data.get("self_ids", ())),
            "action": Action(data.get("action", Action.DELETE)),
            "preview": Preview(**preview) if (preview := data.get("preview")) else None,
        }
    )


def users_to_json(users: Iterable[PortalUser]) -> bytes:
    """Write a list of users."""
    return _lines("[", map(_user, users), "]")


def users_from_json(body: bytes) -> list[PortalUser]:
    """Read a list of users, whether or not it has one user a line."""
    users: list[PortalUser] = json.loads(body, object_hook=_revived)
    return users


def batch_to_json(users: Iterable[PortalUser], action: Action) -> bytes:
    """Write a batch: each user carries the action, so that no reader can misread it.

    A version that does not know actions cannot read it, and so deletes nobody in it.
    """
    lines = (f'{_user(user)[:-1]}, "action": "{action.value}"}}' for user in users)
    return _lines("[", lines, "]")


def batch_from_json(body: bytes) -> list[PlannedUser]:
    """Read a batch. One from before there were actions is to be deleted."""
    return [
        PlannedUser(user=PortalUser(**line), action=Action(action))
        for line in json.loads(body)
        for action in [line.pop("action", Action.DELETE)]
    ]


def _lines(head: str, lines: Iterable[str], tail: str) -> bytes:
    """Write one line after another, without ever holding all of them as strings."""
    body = bytearray(head.encode())
    for number, line in enumerate(lines):
        body += b",\n" if number else b"\n"
        body += line.encode()
    body += b"\n"
    body += tail.encode()
    return bytes(body)


# Written by hand, because `asdict` and an encoder take ten times as long.


def _planned_entry(row: PlannedEntry) -> str:
    entry = row.entry
    return (
        f'{{"entry": {{"line": {entry.line}, "bare": {_quoted(entry.bare)},'
        f' "user_id": {_quoted(entry.user_id)}, "username": {_quoted(entry.username)},'
        f' "email": {_quoted(entry.email)}}}, "outcome": "{row.outcome.value}",'
        f' "reason": {_quoted(row.reason)}, "reason_kind": "{row.reason_kind.value}",'
        f' "user": {_user(row.user) if row.user else "null"},'
        f' "warning": {_quoted(row.warning)}}}'
    )


def _user(user: PortalUser) -> str:
    return (
        f'{{"user_id": {_quoted(user.user_id)}, "username": {_quoted(user.username)},'
        f' "email": {_quoted(user.email)}, "type": {_quoted(user.type)},'
        f' "enabled": {_quoted(user.enabled)}, "ldap": {_quoted(user.ldap)},'
        f' "lacks": {_quoted(user.lacks)}}}'
    )


def _revived(data: dict[str, Any]) -> Any:
    """Turn a JSON object back into its type; the parser handles the inner objects first."""
    if "line" in data:
        return Entry(**data)
    if "username" in data:
        return PortalUser(**{**data, "type": sys.intern(data["type"])})
    if "entry" in data:
        return PlannedEntry(
            **{
                **data,
                "outcome": Outcome(data["outcome"]),
                "reason_kind": ReasonKind(data.get("reason_kind", "")),
            }
        )
    return data
