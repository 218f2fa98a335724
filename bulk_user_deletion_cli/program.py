"""The program around its commands: their shared options, and how each error is reported."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from bulk_user_deletion.errors import BulkUserDeletionError, RequestRefused
from bulk_user_deletion_cli.deployment import NoStackError
from bulk_user_deletion_cli.exits import (
    FAILED,
    INTERRUPTED,
    SUCCEEDED,
    USAGE,
    Failure,
    OutputClosed,
    Refusal,
    sentence_of,
)
from bulk_user_deletion_cli.target import on_target, target_options
from bulk_user_deletion_cli.terminal import make_console, say

_EXPECTED = (BotoCoreError, BulkUserDeletionError, ClientError, NoStackError, OSError)


class Program(click.Group):
    """Adds the options that name the stack to every command, and ends with one status per meaning.

    An error is one sentence, and with --json one JSON document; a traceback is a bug.
    """

    def add_command(
        self, cmd: click.Command, name: str | None = None, *, signs_in: bool = True
    ) -> None:
        """Add a command. One that `signs_in` itself says what is wrong with the profile."""
        if cmd.callback:
            cmd.callback = on_target(cmd.callback, signs_in=signs_in)
        cmd.params.extend(target_options())
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> Any:
        """Turn what AWS, the network or the disk said into one sentence."""
        try:
            return super().invoke(ctx)
        except RequestRefused as error:
            raise Refusal(str(error)) from None
        except BrokenPipeError:
            raise OutputClosed("") from None  # click would exit as after a run that failed
        except _EXPECTED as error:
            raise Failure(sentence_of(error)) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Carry out a command line; exit with its status."""
        words = list(sys.argv[1:] if args is None else args)

        def carry_out() -> Any:
            return super(Program, self).main(
                words, prog_name, complete_var, standalone_mode=False, **extra
            )

        if not standalone_mode:
            return carry_out()
        sys.exit(_status(carry_out, as_json="--json" in words))


def _status(carry_out: Callable[[], Any], *, as_json: bool) -> int:
    """Return the status of a command line, after reporting its error."""
    try:
        try:
            result = carry_out()
            status = result if isinstance(result, int) else SUCCEEDED
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else FAILED
        except click.Abort:
            status = _tell("Interrupted.", INTERRUPTED, {}, as_json=as_json)
        except click.UsageError as error:
            if not as_json:
                error.show()
                status = USAGE
            else:
                status = _tell(error.format_message(), USAGE, {}, as_json=True)
        except OutputClosed as error:
            _silence()
            return error.exit_code
        except click.ClickException as error:
            about = error.about if isinstance(error, Failure) else {}
            known = isinstance(error, Failure | Refusal)
            status = error.exit_code if known else FAILED
            status = _tell(error.format_message(), status, dict(about), as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        return FAILED
    except OSError as error:
        _silence()
        return _tell(sentence_of(error), FAILED, {}, as_json=False)
    return status


def _tell(message: str, status: int, about: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps({"error": message, "exit_status": status, **about}))
    with suppress(OSError):
        word = "" if status == INTERRUPTED else "[red]Error:[/red] "
        say(make_console(as_json=True), f"{word}{escape(message)}")
    return status


def _silence() -> None:
    """Write nothing more to an output that cannot be written to."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
