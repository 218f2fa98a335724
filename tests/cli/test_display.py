"""What the terminal shows about a run that is waiting for its turn, or is in progress."""

import io
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Mode, Waiting
from bulk_user_deletion.models.users import Outcome, UserRow, UserState
from bulk_user_deletion.rules.windows import ALWAYS, Windows, windows_of
from bulk_user_deletion_cli.display import Display, times
from tests.builders import a_user


def test_a_run_that_waits_says_for_what_once_and_when_its_turn_has_come() -> None:
    waits = iter(
        [Waiting("run-1"), Waiting("run-1"), Waiting("run-3"), Waiting(opens_at=1790000000), None]
    )
    ledger = SimpleNamespace(
        turns=SimpleNamespace(read=lambda _: next(waits)),
        runs=SimpleNamespace(
            id_of=lambda name: name, read=lambda _: SimpleNamespace(mode=Mode.APPLY)
        ),
    )
    bucket = SimpleNamespace(read_plan=lambda _: None)
    shown = io.StringIO()

    with Display(
        "run-2", cast("Ledger", ledger), cast("Bucket", bucket), Console(file=shown)
    ) as display:
        for _ in range(5):
            display.update()

    assert shown.getvalue().split("\n")[:-1] == [
        "Run: run-2",
        "Waiting for run run-1 to end",
        "Waiting for run run-3 to end",
        "Waiting for the change window that opens at 2026-09-21T14:13:20Z",
        "Planning",
    ]


@pytest.mark.parametrize(
    ("action", "doing", "done"),
    [
        (Action.DELETE, "Deleting", "1 deleted"),
        (Action.DELETE_DUE, "Deleting", "1 deleted"),
        (Action.DISABLE, "Disabling", "1 disabled"),
        (Action.DISABLE_THEN_DELETE, "Disabling", "1 disabled"),
        (Action.ENABLE, "Enabling", "1 enabled"),
    ],
)
def test_progress_is_told_in_the_words_of_the_action(action: Action, doing: str, done: str) -> None:
    run = SimpleNamespace(mode=Mode.APPLY, action=action, renewals=0)
    ledger = SimpleNamespace(
        turns=SimpleNamespace(read=lambda _: None),
        runs=SimpleNamespace(id_of=lambda name: name, read=lambda _: run),
        users=SimpleNamespace(
            read_all=lambda _: [UserRow("118", UserState.DONE, outcome=action.done)]
        ),
    )
    bucket = SimpleNamespace(read_plan=lambda _: SimpleNamespace(users=[a_user(118), a_user(119)]))
    shown = io.StringIO()

    with Display(
        "run-1",
        cast("Ledger", ledger),
        cast("Bucket", bucket),
        Console(file=shown, force_terminal=True, width=150),
    ) as display:
        display.update()

    assert doing in shown.getvalue()
    assert done in shown.getvalue()
    assert ("elet" in shown.getvalue()) is action.deletes


class Clock:
    """A clock that moves when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr("bulk_user_deletion_cli.display.time.monotonic", lambda: self.now)
        monkeypatch.setattr("bulk_user_deletion_cli.display.time.time", lambda: self.now)


def progress(
    monkeypatch: pytest.MonkeyPatch, *seen: tuple[float, int], windows: Windows = ALWAYS
) -> list[str]:
    """The plain lines of a run of 10 users, with so many of them done after so many seconds."""
    clock = Clock(monkeypatch)
    done = 0
    run = SimpleNamespace(mode=Mode.APPLY, action=Action.DELETE, renewals=1)
    ledger = SimpleNamespace(
        turns=SimpleNamespace(read=lambda _: None),
        runs=SimpleNamespace(id_of=lambda name: name, read=lambda _: run),
        users=SimpleNamespace(
            read_all=lambda _: [
                UserRow(str(number), UserState.DONE, outcome=Outcome.DELETED)
                for number in range(done)
            ]
        ),
    )
    users = [a_user(number) for number in range(1, 11)]
    bucket = SimpleNamespace(read_plan=lambda _: SimpleNamespace(users=users))
    text = io.StringIO()
    with Display(
        "run-1",
        cast("Ledger", ledger),
        cast("Bucket", bucket),
        Console(file=text, width=200),
        lambda _: windows,
    ) as display:
        for seconds, done in seen:  # noqa: B007 -- read_all reads it
            clock.now = 1_000.0 + seconds
            display.update()
    return text.getvalue().splitlines()[1:]


def test_there_is_no_estimate_before_a_user_is_done_and_none_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert progress(monkeypatch, (5, 0), (15, 2), (75, 5), (80, 10)) == [
        "0 of 10 users done: 1 token renewal; elapsed 0:05",
        "2 of 10 users done: 2 deleted, 1 token renewal; elapsed 0:15, about 0:40 left",
        "5 of 10 users done: 5 deleted, 1 token renewal; elapsed 1:15, about 1:10 left",
        "10 of 10 users done: 10 deleted, 1 token renewal; elapsed 1:20",
    ]


def test_the_time_between_change_windows_counts_until_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is 00:16:40, and each user takes 5 s."""
    after_midnight = windows_of("MON-SUN 00:00-00:17", "UTC")

    lines = progress(monkeypatch, (0, 0), (10, 2), windows=after_midnight)

    # Nobody is started in the last 10 s: all eight wait until midnight, and take 40 s then.
    assert lines[1].endswith("elapsed 0:10, about 23:43:50 left")


def test_whoever_looks_in_the_middle_is_told_the_pace_that_they_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert progress(monkeypatch, (0, 8), (60, 9)) == [
        "8 of 10 users done: 8 deleted, 1 token renewal; elapsed 0:00",
        "9 of 10 users done: 9 deleted, 1 token renewal; elapsed 1:00, about 1:00 left",
    ]


@pytest.mark.parametrize(
    ("elapsed", "left", "said"),
    [
        (5, 8, "elapsed 0:05, about 0:08 left"),
        (59.6, None, "elapsed 1:00"),
        (3_725, 36_000, "elapsed 1:02:05, about 10:00:00 left"),
    ],
)
def test_times_are_told_like_on_a_clock(elapsed: float, left: float | None, said: str) -> None:
    assert times(elapsed, left) == said


def test_progress_is_one_line_of_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    run = SimpleNamespace(mode=Mode.APPLY, action=Action.DELETE, renewals=12)
    ended = [Outcome.DELETED] * 200 + [Outcome.UNKNOWN] * 15
    rows = [
        UserRow(str(number), UserState.DONE, outcome=outcome)
        for number, outcome in enumerate(ended)
    ]
    seen = iter([[], rows])
    ledger = SimpleNamespace(
        turns=SimpleNamespace(read=lambda _: None),
        runs=SimpleNamespace(id_of=lambda name: name, read=lambda _: run),
        users=SimpleNamespace(read_all=lambda _: next(seen)),
    )
    bucket = SimpleNamespace(read_plan=lambda _: SimpleNamespace(users=range(1_000)))
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80, color_system=None)

    with Display("run-1", cast("Ledger", ledger), cast("Bucket", bucket), console) as display:
        display.update()
        display.update()

    assert "\x1b[1A" not in text.getvalue()  # moves up, to draw over a second line
    last = text.getvalue().split("\x1b[2K")[-1].split("\n")[0]
    assert len(last) <= 80
    assert "215/1000" in last
    assert "200 deleted, 15 unknown elapsed 0:00, about 0:00 left" in last
