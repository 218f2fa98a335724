"""What the terminal shows about a run that waits for its turn."""

import io
from types import SimpleNamespace
from typing import cast

from rich.console import Console

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.runs import Mode
from bulk_user_deletion_cli.display import Display


def test_a_run_that_waits_says_for_whom_once_and_when_its_turn_has_come() -> None:
    waits = iter(["run-1", "run-1", "run-3", "", ""])
    ledger = SimpleNamespace(
        turns=SimpleNamespace(waits_for=lambda _: next(waits)),
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
        "Planning",
    ]
