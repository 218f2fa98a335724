"""A run's progress on the terminal, read from the ledger: ids and counts, never names."""

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.runs import Mode, Waiting
from bulk_user_deletion.models.users import UserState
from bulk_user_deletion_cli.wording import awaited, in_progress

_PLAIN_LINE_SECONDS = 5


class Display:
    """A live progress bar on a terminal; otherwise a plain line every few seconds.

    `name` is the execution's name: the run's id, or that of an execution that resumes it.
    """

    def __init__(self, name: str, ledger: Ledger, bucket: Bucket, console: Console) -> None:
        self._name = name
        self._ledger = ledger
        self._bucket = bucket
        self._console = console
        self._users: int | None = None
        self._started = time.monotonic()
        self._last_line = ("", 0.0)
        self._waits_for: Waiting | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[outcomes]}"),
            TimeElapsedColumn(),
            TextColumn("to go"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("Planning", total=None, outcomes="")

    def __enter__(self) -> Self:
        self._console.print(f"Run: {self._name}")
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self) -> None:
        """Read the ledger and show its current state."""
        if self._users is None:
            self._print_what_it_waits_for(self._ledger.turns.read(self._name))
        run_id = self._ledger.runs.id_of(self._name)
        run = self._ledger.runs.read(run_id)
        if run is None or run.mode is not Mode.APPLY:
            return
        if self._users is None and (plan := self._bucket.read_plan(run_id)):
            self._users = len(plan.users)
        if self._users is None:
            return
        outcomes = Counter(
            row.outcome.value
            for row in self._ledger.users.read_all(run_id)
            if row.state is UserState.DONE and row.outcome
        )
        done = outcomes.total()
        counts = [f"{number} {name}" for name, number in outcomes.items()]
        text = ", ".join([*counts, f"{run.renewals} renewals"])
        self._bar.update(
            self._task,
            description=in_progress(run.action),
            total=self._users,
            completed=done,
            outcomes=text,
        )
        if self._bar.disable:
            self._print_line(done, text)

    def _print_what_it_waits_for(self, waiting: Waiting | None) -> None:
        if waiting == self._waits_for:
            return
        self._waits_for = waiting
        said = f"Waiting for {awaited(waiting)}" if waiting else "Planning"
        self._bar.update(self._task, description=said)
        if self._bar.disable:
            self._console.print(said, soft_wrap=True)

    def _print_line(self, done: int, text: str) -> None:
        now = time.monotonic()
        line = f"{done} of {self._users} users done: {text}"
        last, printed = self._last_line
        if line == last or (now - printed < _PLAIN_LINE_SECONDS and done != self._users):
            return
        self._last_line = (line, now)
        to_go = (now - self._started) / done * (self._users - done) if done and self._users else 0
        self._console.print(f"{line}, about {to_go:.0f} s to go" if to_go else line)
