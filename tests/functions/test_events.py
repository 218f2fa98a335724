"""Each sample of events/ is run: the functions do what its index says."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bulk_user_deletion.models.runs import Pace
from local.portal import PortalSimulator
from tests.functions.stack import Stack

EVENTS = Path(__file__).resolve().parents[2] / "events"

# The result of each: the next step, and the number of users.
EXPECTED: dict[str, tuple[str, int]] = {
    "preview_list.json": ("preview", 3),
    "preview_dataset.json": ("preview", 3),
    "apply_plan.json": ("apply", 1),
    "apply_list.json": ("apply", 3),
    "apply_dataset.json": ("apply", 3),
    "apply_file.json": ("apply", 3),
    "resume.json": ("apply", 1),
    "stop_run.json": ("nothing", 0),
    "stop_portal.json": ("nothing", 0),
    "lift_stop.json": ("nothing", 0),
    "end_quiet.json": ("nothing", 0),
    "accept_guard.json": ("nothing", 0),
    "check_portal.json": ("nothing", 0),
    "check_population.json": ("nothing", 0),
    "watch.json": ("nothing", 0),
    "preview_disable.json": ("preview", 3),
    "apply_disable.json": ("apply", 3),
    "preview_roster.json": ("preview", 0),
    "preview_enable.json": ("preview", 1),
    "withdraw_users.json": ("nothing", 0),
    "withdraw_run.json": ("nothing", 0),
    "due.json": ("nothing", 0),
    "file_drop.json": ("apply", 3),
    "schedule.json": ("preview", 3),
    "close_run.json": ("close", 0),
}


def test_every_file_is_in_the_index_and_every_line_of_the_index_is_a_file() -> None:
    index = (EVENTS / "README.md").read_text(encoding="utf-8")

    listed = re.findall(r"\| \[(.+?)\]\(\1\) \|", index)

    files = {path.name for path in EVENTS.iterdir()} - {"README.md"}
    assert sorted(listed) == sorted(files)
    assert set(EXPECTED) == files - {"leavers.csv"}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_sample_does_what_its_index_says(
    stack: Stack,
    portal: PortalSimulator,
    name: str,
    set_parameter: Callable[[str, str], None],
) -> None:
    names = "('user0118', 'user0120', 'user0121')"
    dataset = portal.add_dataset(f"SELECT user_id FROM user WHERE username IN {names}")
    assert dataset == 42
    body = (EVENTS / "leavers.csv").read_bytes()
    version = stack.s3.put_object(Bucket="data", Key="inbox/leavers.csv", Body=body)["VersionId"]
    run = "run-1"
    match name:
        case "apply_plan.json":
            stack.plan(["130"], run, mode="preview")
            stack.report_run(run)
        case "resume.json":
            stack.plan(["130"], run)
            stack.report_run(run)
        case "stop_run.json" | "close_run.json":
            stack.plan(["130"], run)
        case "preview_enable.json" | "withdraw_users.json" | "withdraw_run.json" | "due.json":
            portal.edit(118, enabled="Y")
            stack.plan(["118"], run, action="disable_then_delete")
            stack.work_off(run)
            stack.report_run(run)
        case "end_quiet.json":
            stack.ledger.portal.record_pace(Pace(quiet_until=2**32), before=Pace())
        case "accept_guard.json":
            set_parameter("GUARD_DATASET", str(dataset))
        case "lift_stop.json":
            stack.ledger.portal.press_stop(reason="upgrade", by="us", now=1)
        case "preview_roster.json":
            dataset = portal.add_dataset("SELECT user_id FROM user")
    text = (EVENTS / name).read_text(encoding="utf-8")
    for placeholder, value in {
        "DATA-BUCKET-OF-THE-STACK": "data",
        '"dataset_id": 43': f'"dataset_id": {dataset}',
        "RUN-ID-OF-THE-PREVIEW": run,
        "RUN-ID": run,
        "NAME-OF-THE-EXECUTION-THAT-ENDED": run,
        "A1B2C3D4E5F6G7H8I9J0": version,
        "0" * 64: stack.plan_sha256(run) if name == "apply_plan.json" else "",
    }.items():
        text = text.replace(placeholder, value)
    event: dict[str, Any] = json.loads(text)
    before = len(stack.writes())

    done = stack.fetch_user_ids(event, "run-2")

    assert (done["next_step"], done["users"]) == EXPECTED[name]
    assert len(stack.writes()) == before
