"""`python -m local jump`: lets days pass at once for what `python -m local up` keeps running."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click

from local.deployed import PROJECT
from local.engine import Engine, EngineTime, JumpError

_FOLDER = PROJECT / ".local"
_DAY = 86_400


@contextmanager
def announced(aws: Engine) -> Iterator[None]:
    """Let `python -m local jump` find this emulated AWS, until the context ends."""
    _FOLDER.mkdir(exist_ok=True)
    file = _FOLDER / f"up-{os.getpid()}.json"
    with file.open("w", encoding="utf-8") as announcement:
        # The lock ends with this process, however it ends.
        fcntl.flock(announcement, fcntl.LOCK_EX)
        json.dump(asdict(aws.time), announcement)
        announcement.flush()
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


@click.command("jump")
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True),
    required=True,
    help="How many days pass; may be a fraction.",
)
@click.option(
    "--endpoint",
    envvar="AWS_ENDPOINT_URL",
    metavar="URL",
    help="Which one jumps, if several are up; AWS_ENDPOINT_URL by default.",
)
def jump_command(days: float, endpoint: str | None) -> None:
    """Let days pass at once for what `python -m local up` keeps running in this folder.

    Emulated AWS, the functions and the simulated portal jump together. Not while an execution is
    running.
    """
    time = _find(endpoint)
    try:
        now = time.jump(days * _DAY)
    except JumpError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{days:g} days later: {now:%Y-%m-%d %H:%M:%S} UTC.")


def _find(endpoint: str | None) -> EngineTime:
    """Return the time of the installation with this endpoint, or of the only one."""
    up = {time.endpoint: time for time in _running()}
    if not up:
        raise click.ClickException(
            "Nothing is up in this folder: run `python -m local up` in another terminal."
        )
    if endpoint is None and len(up) > 1:
        raise click.ClickException(f"Several are up: give --endpoint, one of {', '.join(up)}.")
    if endpoint is not None and endpoint not in up:
        raise click.ClickException(
            f"{endpoint} is not what `python -m local up` keeps running in this folder:"
            f" {', '.join(up)}. Give --endpoint, or unset AWS_ENDPOINT_URL."
        )
    return up[endpoint or next(iter(up))]


def _running() -> Iterator[EngineTime]:
    for file in sorted(_FOLDER.glob("up-*.json")):
        with file.open(encoding="utf-8") as announcement:
            try:
                fcntl.flock(announcement, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                yield EngineTime(**json.load(announcement))
            else:  # its process has ended without removing it
                file.unlink(missing_ok=True)
