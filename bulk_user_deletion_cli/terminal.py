"""What people read on the terminal: prose wraps, commands do not, tables are for both."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bulk_user_deletion.rules.text import showable
from bulk_user_deletion_cli.target import told

# What must be copied in one piece: a command up to the end of its sentence, a request, a word.
_PIECE = re.compile(
    r"`[^`]*`\S*"
    r"|\(?(?:bulk-user-deletion|aws|export) (?:(?!\. [A-Z]|\)|, or |$).)+\S*"
    r"|\{.*\}\S*"
    r"|\S+"
)


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the program's end, where rich would exit as after a run that failed."""
        raise BrokenPipeError


def make_console(*, as_json: bool) -> Console:
    """Return the console for people: standard error if a script reads standard output."""
    return _Console(stderr=as_json, highlight=False)


def shown(text: str) -> str:
    """Return text from outside in a form that the console prints unchanged."""
    return escape(showable(text))


def say(console: Console, markup: str, *, indent: int = 0) -> None:
    """Print prose, wrapped at the width of a terminal; in a pipe each line stays one line.

    `indent` is how many columns the second and later lines are indented.
    """
    for line in told(markup).split("\n"):
        text = Text.from_markup(line)
        if not console.is_terminal:
            console.print(text, soft_wrap=True)
            continue
        for number, part in enumerate(text.divide(breaks(text.plain, console.width, indent))):
            part.rstrip()
            console.print(" " * indent * bool(number), part, sep="", soft_wrap=True)


def breaks(plain: str, width: int, indent: int = 0) -> list[int]:
    """Return where to break a line so that it fits, and no command is broken.

    A command that is longer than a line has one of its own.
    """
    found: list[int] = []
    start, margin = 0, 0
    for piece in _PIECE.finditer(plain):
        is_first = not plain[start : piece.start()].strip()
        if not is_first and piece.end() - start + margin > width:
            start, margin = piece.start(), indent
            found.append(start)
    return found


def make_table(*names: str, whole: int = 1) -> Table:
    """Return a table whose first columns are never cut, because other commands take them as input.

    `whole` is their number.
    """
    table = Table(box=None)
    for number, name in enumerate(names):
        table.add_column(name, no_wrap=number < whole, overflow="fold")
    return table


def print_rows(
    console: Console, names: Sequence[str], rows: Iterable[Sequence[str]], *, whole: int = 1
) -> None:
    """Print a table: in columns on a terminal, and in a pipe one line each, separated by tabs."""
    if console.is_terminal:
        table = make_table(*names, whole=whole)
        for row in rows:
            table.add_row(*map(shown, row))
        console.print(table)
        return
    for line in tab_separated(names, rows):
        console.file.write(f"{line}\n")  # rich would print spaces in place of tabs


def tab_separated(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield lines of cells that are separated by tabs; the first one has the names."""
    for row in (names, *rows):
        yield "\t".join(map(showable, row))


def print_json(document: Any) -> None:
    """Print the one JSON document of a command."""
    click.echo(json.dumps(document))
