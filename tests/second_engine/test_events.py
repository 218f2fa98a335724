"""Each sample of `events/` on the second engine, unchanged except for the names in capitals."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.models.runs import Pace
from tests.second_engine.engine import SecondEngine

EVENTS = Path(__file__).parents[2] / "events"

# The result of each: the status of its run, or what was done instead of one.
ENDS = {
    "accept_guard.json": "A guard of 40 users, dataset 42, is accepted by portal team. There was"
    " none before.",
    "apply_dataset.json": "SUCCEEDED",
    "apply_disable.json": "SUCCEEDED",
    "apply_file.json": "SUCCEEDED",
    "apply_list.json": "SUCCEEDED",
    "apply_plan.json": "SUCCEEDED",
    "check_population.json": "Nobody is back among 40 users.",
    "check_portal.json": "The portal works as expected, and lists 40 users.",
    "close_run.json": "STOPPED",
    "due.json": "Nobody waits to be deleted.",
    "end_quiet.json": "The portal may be called again: it had asked to be left alone until"
    " 2100-01-01T00:00:00Z.",
    "file_drop.json": "SUCCEEDED",
    "lift_stop.json": "The stop for every run on this portal is lifted.",
    "preview_dataset.json": "PREVIEWED",
    "preview_disable.json": "PREVIEWED",
    "preview_enable.json": "PREVIEWED",
    "preview_list.json": "PREVIEWED",
    "preview_roster.json": "PREVIEWED",
    "resume.json": "SUCCEEDED",
    "schedule.json": "PREVIEWED",
    "stop_portal.json": "The stop for every run on this portal is set: no further user is started.",
    "stop_run.json": "Run left-open has ended already, and left 1 user open. The stop is set: a"
    " resume that is waiting starts none of them. One that is sent from now on lifts this stop.",
    "watch.json": "Nobody is back among 40 users.",
    "withdraw_run.json": "Withdrawn by night shift. Will not be deleted: 118.",
    "withdraw_users.json": "Withdrawn by night shift. Will not be deleted: 118.",
}


def prepare(engine: SecondEngine, name: str) -> dict[str, str]:
    """Create what the sample refers to; return the values of its names in capitals."""
    stack = engine.stack
    stack.portal.add_dataset("SELECT user_id FROM user WHERE user_id IN (118, 120)")
    stack.portal.add_dataset("SELECT user_id FROM user")
    put = stack.s3.put_object(
        Bucket="data", Key="inbox/leavers.csv", Body=(EVENTS / "leavers.csv").read_bytes()
    )
    match name:
        case "apply_plan.json":
            engine.execute({"source": {"users": ["118"]}}, "a-preview")
        case "resume.json" | "stop_run.json":
            engine.trouble["DeleteUser"] = ["ZeroDivisionError"]
            engine.execute({"mode": "apply", "source": {"users": ["118"]}}, "left-open")
        case "withdraw_users.json" | "withdraw_run.json" | "preview_enable.json":
            request = {"mode": "apply", "action": "disable_then_delete"}
            engine.execute({**request, "source": {"users": ["118"]}}, "left-open")
        case "close_run.json":
            stack.plan(["118"], "cut-off")
        case "end_quiet.json":
            before = stack.ledger.portal.pace()
            stack.ledger.portal.record_pace(
                Pace(quiet_until=4_102_444_800, version=1), before=before
            )
        case "accept_guard.json":
            os.environ["GUARD_DATASET"] = "42"
            adapters.cache_clear()
        case "lift_stop.json":
            stack.ledger.portal.press_stop(reason="portal upgrade", by="platform team", now=1)
    return {
        "DATA-BUCKET-OF-THE-STACK": "data",
        "A1B2C3D4E5F6G7H8I9J0": put["VersionId"],
        "NAME-OF-THE-EXECUTION-THAT-ENDED": "cut-off",
        "RUN-ID-OF-THE-PREVIEW": "a-preview",
        "RUN-ID": "left-open",
        "0" * 64: stack.plan_sha256("a-preview") if name == "apply_plan.json" else "",
    }


def test_every_sample_is_here() -> None:
    assert set(ENDS) == {path.name for path in EVENTS.glob("*.json")}


@pytest.mark.parametrize("name", ENDS)
def test_a_sample_does_what_its_name_says(engine: SecondEngine, name: str) -> None:
    text = (EVENTS / name).read_text(encoding="utf-8")
    for placeholder, value in prepare(engine, name).items():
        text = text.replace(placeholder, value)
    before = len(engine.stack.writes())

    ended = engine.execute(json.loads(text))

    output: dict[str, Any] = ended.output or {}
    if ENDS[name] == "STOPPED":  # a closed run never claims success
        assert ended.error == "RunStopped"
    else:
        assert ENDS[name] in {output.get("status"), output.get("nothing_because")}, ended.cause
    sent = len(engine.stack.writes()) - before
    assert (sent > 0) == (name.startswith(("apply", "resume", "file_drop")))
