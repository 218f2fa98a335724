"""The stack that a command works on, and how every printed command names it."""

import os
import re
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import boto3
import click

STACK_VARIABLE = "BULK_USER_DELETION_STACK"
_DEFAULT_STACK = "bulk-user-deletion"
_PROGRAM = "bulk-user-deletion"
_META = f"{__name__}.target"


@dataclass
class Target:
    """A stack by its name, and the profile and region that were given on the command line."""

    stack_name: str = ""
    profile: str | None = None
    region: str | None = None

    @property
    def options(self) -> str:
        """Return what one of our commands needs to reach this stack from the same shell."""
        stack = {} if self.stack_name == default_stack() else {"--stack-name": self.stack_name}
        return _written(stack) + self.options_of_aws

    @property
    def options_of_aws(self) -> str:
        """Return what a command of the AWS CLI needs."""
        return _written({"--profile": self.profile, "--region": self.region})

    def sign_in(self) -> None:
        """Let every client of AWS use the profile and the region.

        Raises:
            botocore.exceptions.ProfileNotFound: there is no such profile.
        """
        if self.profile or self.region:
            boto3.setup_default_session(profile_name=self.profile, region_name=self.region)


def _written(options: Mapping[str, str | None]) -> str:
    return "".join(f" {name} {shlex.quote(value)}" for name, value in options.items() if value)


def default_stack() -> str:
    """Return the stack that is meant without --stack-name."""
    return os.environ.get(STACK_VARIABLE) or _DEFAULT_STACK


def current_target() -> Target:
    """Return the target of the command that is being carried out."""
    context = click.get_current_context(silent=True)
    if context is None:
        return Target(default_stack())
    found: Target = context.meta.setdefault(_META, Target(default_stack()))
    return found


def target_options() -> list[click.Parameter]:
    """Return the options that name the target: of the program, and of each of its commands."""

    def keep(_: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value:
            setattr(current_target(), str(parameter.name), value)

    return [
        click.Option([option], callback=keep, expose_value=False, metavar=metavar, help=said)
        for option, metavar, said in (
            (
                "--stack-name",
                "NAME",
                f"The deployed stack; otherwise {STACK_VARIABLE}, or else {_DEFAULT_STACK}.",
            ),
            ("--profile", "NAME", "Profile of the AWS configuration."),
            ("--region", "REGION", "Region of the stack."),
        )
    ]


def on_target(callback: Callable[..., Any], *, signs_in: bool) -> Callable[..., Any]:
    """Return a command's callback, for which `pass_obj` is the stack's name."""

    @wraps(callback)
    def called(*arguments: Any, **options: Any) -> Any:
        target = current_target()
        click.get_current_context().obj = target.stack_name
        if signs_in:
            target.sign_in()
        return callback(*arguments, **options)

    return called


def told(text: str) -> str:
    """Return a text in which each command for the shell names the target."""
    context = click.get_current_context(silent=True)
    commands = getattr(context.find_root().command, "commands", {}) if context else {}
    target = current_target()
    return with_options(text, commands, ours=target.options, of_aws=target.options_of_aws)


def with_options(text: str, commands: Collection[str], *, ours: str, of_aws: str) -> str:
    """Return a text in which each of these commands of ours, and each of AWS's, has its options."""
    if commands and ours:
        names = "|".join(map(re.escape, sorted(commands, key=len, reverse=True)))
        text = re.sub(rf"\b{_PROGRAM} (?=(?:{names})\b)", lambda _: f"{_PROGRAM}{ours} ", text)
    if of_aws:  # a service, an operation, an option
        text = re.sub(r"\baws (?=[a-z0-9-]+ [a-z-]+ --)", lambda _: f"aws{of_aws} ", text)
    return text
