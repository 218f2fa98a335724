"""What the terminal shows about a run that waits for its turn, or is in progress."""

import io
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Mode, Waiting
from bulk_user_deletion.models.users import UserRow, UserState
from bulk_user_deletion_cli.display import Display
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
