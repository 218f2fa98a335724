"""The command `watch`: who is back whom a run deleted or disabled. Ids and dates, never names."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from bulk_user_deletion.models.requests import Check
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.parts import as_json_option, make_console, make_table, wait
from bulk_user_deletion_cli.runs import ENDED_OTHERWISE, shown
from bulk_user_deletion_cli.wording import moment

_SHOWN = 1_000
_NAMED = 20

_ACCESS = {True: "enabled", False: "disabled", None: "not told"}


@click.command()
@as_json_option
@click.pass_obj
def watch(stack_name: str, as_json: bool) -> None:
    """Say who is back in the portal whom a run deleted or disabled.

    Nobody is changed there, and nobody is named: the ledger has ids alone. A leaver who waits to be
    deleted, and is enabled again, is held.
    """
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    execution = wait(deployment, deployment.start({"check": Check.POPULATION}, kind="watch"))
    if not execution.succeeded:
        said = execution.cause.partition(" Report: ")[0]
        click.echo(said or f"The watch ended {execution.status}.", err=True)
        raise SystemExit(ENDED_OTHERWISE)
    found = deployment.bucket.read_watch(execution.name)
    table = make_table("user id", "is", "first seen (UTC)", "access", "same", "was", "by run")
    for user in found["back"][:_SHOWN]:
        table.add_row(*map(shown, cells(user)))
    if found["back"]:
        console.print(table)
    if len(found["back"]) > _SHOWN:
        console.print(f"These are the first {_SHOWN}; --json has all of them.")
    console.print(shown(found["sentence"]), soft_wrap=True)
    if kept := found["kept"]:
        console.print(f"Back, and kept by a rule: {', '.join(kept[:_SHOWN])}.", soft_wrap=True)
    for line in next_steps(found):
        console.print(shown(line), soft_wrap=True)
    if as_json:
        click.echo(json.dumps(found))


def cells(user: Mapping[str, Any]) -> Sequence[str]:
    """Return what is told of somebody who is back, column by column."""
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
