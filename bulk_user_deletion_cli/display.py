"""A run's progress on the terminal, read from the ledger: ids and counts, never names."""

import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Mode, Waiting
from bulk_user_deletion.models.users import UserState
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion.rules.windows import ALWAYS, Windows
from bulk_user_deletion_cli.wording import awaited, in_progress

_PLAIN_LINE_SECONDS = 5


class Display:
    """A live progress bar on a terminal; otherwise a plain line every few seconds.

    `name` is the execution's name: the run's id, or that of an execution that resumes it.
    `windows_for` returns the change windows of an action: the time between them counts too.
    """

    def __init__(
        self,
        name: str,
        ledger: Ledger,
        bucket: Bucket,
        console: Console,
        windows_for: Callable[[Action], Windows] = lambda _: ALWAYS,
    ) -> None:
        self._windows_for = windows_for
        self._name = name
        self._ledger = ledger
        self._bucket = bucket
        self._console = console
        self._users: int | None = None
        self._started = time.monotonic()
        self._first_seen: tuple[int, float] | None = None  # users done, and when
        self._last_line = ("", 0.0)
        self._waits_for: Waiting | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[outcomes]}"),
            _Times(table_column=Column(no_wrap=True)),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("Planning", total=None, outcomes="", left=None)

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
        text = ", ".join(counts)
        left = self._seconds_left(done, self._windows_for(run.action))
        self._bar.update(
            self._task,
            description=in_progress(run.action),
            total=self._users,
            completed=done,
            outcomes=text,
            left=left,
        )
        if self._bar.disable:
            self._print_line(
                done, ", ".join([*counts, counted(run.renewals, "token renewal")]), left
            )

    def _seconds_left(self, done: int, windows: Windows) -> float | None:
        """Return how long the rest will take at the pace seen here; None before there is one."""
        now = time.monotonic()
        if self._first_seen is None:
            self._first_seen = (done, now)
        before, since = self._first_seen
        left = (self._users or 0) - done
        if done <= before or not left:
            return None
        at = time.time()
        ends_at = windows.end_of(left, (now - since) / (done - before), at=at)
        return ends_at - at if ends_at else None

    def _print_what_it_waits_for(self, waiting: Waiting | None) -> None:
        if waiting == self._waits_for:
            return
        self._waits_for = waiting
        said = f"Waiting for {awaited(waiting)}" if waiting else "Planning"
        self._bar.update(self._task, description=said)
        if self._bar.disable:
            self._console.print(said, soft_wrap=True)

    def _print_line(self, done: int, text: str, left: float | None) -> None:
        now = time.monotonic()
        line = f"{done} of {self._users} users done: {text}"
        last, printed = self._last_line
        if line == last or (now - printed < _PLAIN_LINE_SECONDS and done != self._users):
            return
        self._last_line = (line, now)
        self._console.print(f"{line}; {times(now - self._started, left)}", soft_wrap=True)


class _Times(ProgressColumn):
    """How long a task has taken, and will take."""

    def render(self, task: Task) -> Text:
        return Text(times(task.elapsed or 0.0, task.fields["left"]))


def times(elapsed: float, left: float | None) -> str:
    """Return how long it has taken and will take, as in `elapsed 0:05, about 0:08 left`."""
    about = "" if left is None else f", about {_clock(left)} left"
    return f"elapsed {_clock(elapsed)}{about}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
