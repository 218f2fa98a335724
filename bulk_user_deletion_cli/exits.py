"""How a command ends: one exit status for each meaning, and the errors that lead to them."""

from collections.abc import Mapping
from typing import Any, NoReturn

import click
from botocore.exceptions import BotoCoreError, ClientError

from bulk_user_deletion.store import error_code
from bulk_user_deletion_cli.target import told

SUCCEEDED = 0
ENDED_OTHERWISE = 1  # a run, or what was requested, did not end well: its report says more
REFUSED = 2  # nobody was touched: this command did not start it, or the stack refused
FAILED = 3  # this command could not do its work: AWS, the network, the disk, a closed pipe
USAGE = 64  # the command line itself is wrong; EX_USAGE of sysexits.h
INTERRUPTED = 130  # Ctrl-C, as shells count it


class _Told(click.ClickException):
    """An error whose commands name the stack."""

    def __init__(self, message: str) -> None:
        super().__init__(told(message))


class Refusal(_Told):
    """The request is not carried out, and nobody was touched."""

    exit_code = REFUSED


class Failure(_Told):
    """This command could not do its work. `about` are more keys of its JSON document."""

    exit_code = FAILED

    def __init__(self, message: str, **about: Any) -> None:
        super().__init__(message)
        self.about: Mapping[str, Any] = about


class EndedOtherwise(Failure):
    """An execution that this command started did not end well."""

    exit_code = ENDED_OTHERWISE


class OutputClosed(click.ClickException):
    """The reader of our output has stopped reading: there is nobody to tell."""

    exit_code = FAILED


class Interrupted(Failure):
    """Somebody pressed Ctrl-C."""

    exit_code = INTERRUPTED


def refuse(why: str) -> NoReturn:
    """Say why nothing is done, and exit.

    Raises:
        Refusal: always.
    """
    raise Refusal(why)


def sentence_of(error: Exception) -> str:
    """Return what to say about an error from outside."""
    if isinstance(error, ClientError):
        return (
            f"AWS refused {error.operation_name}: {error_code(error)}. Check what works:"
            " bulk-user-deletion doctor"
        )
    if isinstance(error, BotoCoreError):
        return f"{str(error).rstrip('.')}. Check what to set: bulk-user-deletion doctor"
    if isinstance(error, OSError):
        return f"{error.filename or 'The output'}: {error.strerror or error}."
    return str(error)
