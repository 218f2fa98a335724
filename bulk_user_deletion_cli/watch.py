"""The command `watch`: which deleted or disabled users are back. Ids and dates, never names."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from bulk_user_deletion.models.requests import Check
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.exits import EndedOtherwise
from bulk_user_deletion_cli.parts import as_json_option, wait
from bulk_user_deletion_cli.terminal import make_console, print_json, print_rows, say, shown
from bulk_user_deletion_cli.wording import moment

_SHOWN = 1_000
_NAMED = 20

_ACCESS = {True: "enabled", False: "disabled", None: "not known"}


@click.command()
@as_json_option
@click.pass_obj
def watch(stack_name: str, as_json: bool) -> None:
    """Say which users that a run deleted or disabled are back in the portal.

    Nobody is changed there, and nobody is named: the ledger has only ids. A waiting leaver who is
    enabled again is held.
    """
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    execution = wait(deployment, deployment.start({"check": Check.POPULATION}, kind="watch"))
    if not execution.succeeded:
        said = execution.cause.partition(" Report: ")[0]
        raise EndedOtherwise(
            said or f"The watch ended {execution.status}.", execution=execution.name
        )
    found = deployment.bucket.read_watch(execution.name)
    if as_json:
        print_json(found)
    elif found["back"]:
        names = ("user id", "is", "first seen (UTC)", "access", "same", "was", "by run")
        print_rows(console, names, map(cells, found["back"][:_SHOWN]))
    if len(found["back"]) > _SHOWN:
        say(console, f"These are the first {_SHOWN}; --json has all of them.")
    say(console, shown(found["sentence"]))
    if kept := found["kept"]:
        say(console, f"Back, and kept by a rule: {', '.join(kept[:_SHOWN])}.")
    for line in next_steps(found):
        say(console, shown(line))


def cells(user: Mapping[str, Any]) -> Sequence[str]:
    """Return what is shown about somebody who is back, column by column."""
    was = f"{user['was']} {moment(user['was_at'])}".strip()
    if user["was_user_id"] not in {"", user["user_id"]}:
        was = f"{was} as {user['was_user_id']}"
    return (
        user["user_id"],
        f"{user['what'].replace('_', ' ')}{', new' if user['is_new'] else ''}",
        moment(user["first_seen_at"]),
        _ACCESS[user["enabled"]],
        ", ".join(user["by"]),
        was,
        user["run_id"],
    )


def next_steps(found: Mapping[str, Any]) -> list[str]:
    """Return how to preview those who are back, in words and as a request."""
    if not found["preview"]:
        return []
    users = found["preview"]["source"]["users"]
    if len(users) > _NAMED:
        return [
            f"Preview them with the request under `preview` in runs/{found['run_id']}/watch.json"
        ]
    options = " ".join(f"--user {user_id}" for user_id in users)
    return [
        f"Preview them: bulk-user-deletion preview {options}",
        f"Or start the state machine with {json.dumps(found['preview'])}",
    ]
