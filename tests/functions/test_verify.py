"""`verify` on what runs really leave behind, and on what somebody changed."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click import ClickException

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.models.users import Outcome
from bulk_user_deletion_cli.deployment import Deployment, Execution
from bulk_user_deletion_cli.evidence import Verdict, compare
from bulk_user_deletion_cli.verify import gather
from local.portal import Knobs
from tests.functions.stack import EXECUTIONS, Stack


def verified(stack: Stack, run_id: str = "run-1", *, succeeded: bool = True) -> dict[str, Verdict]:
    """What does not agree, in a run whose execution succeeded, or did not."""
    status = ExecutionStatus.SUCCEEDED if succeeded else ExecutionStatus.FAILED
    execution = Execution(EXECUTIONS + run_id, run_id, status, datetime.now(UTC), {})
    deployment = SimpleNamespace(
        ledger=stack.ledger,
        bucket=Bucket("data"),
        days=lambda _: 400,
        leavers=lambda: list(stack.ledger.leavers.read_all(stack.portal.url)),
        execution=lambda _: execution,
    )
    kept = gather(cast("Deployment", deployment), run_id)
    return {found.what: found.verdict for found in compare(kept) if found.verdict.is_bad}


def delete_two_of_four(stack: Stack) -> None:
    """Delete two users, keep an administrator, and find nobody under an id."""
    stack.plan(["118", "119", "1", "999"])
    stack.work_off()
    stack.report_run()


def edit(stack: Stack, name: str, change: Callable[[Any], Any]) -> None:
    """Write a file of the run again, with a change."""
    document = stack.read_json(f"runs/run-1/{name}")
    body = json.dumps(change(document), indent=2).encode()
    stack.s3.put_object(Bucket="data", Key=f"runs/run-1/{name}", Body=body)


def test_a_run_agrees_with_what_it_left_behind(stack: Stack) -> None:
    delete_two_of_four(stack)

    assert verified(stack) == {}


def test_a_preview_agrees(stack: Stack) -> None:
    stack.plan(["118", "119"], mode="preview")
    stack.report_run()

    assert verified(stack) == {}


@pytest.mark.parametrize("knobs", [Knobs(delete_mode="ignored"), Knobs(delete_mode="error")])
def test_a_run_that_left_users_open_agrees_and_again_when_it_was_resumed(
    stack: Stack, knobs: Knobs
) -> None:
    stack.portal.knobs = knobs
    stack.plan(["118", "119"])
    keys = stack.hand_out()
    stack.delete_until_finished("118", keys["118"])
    stack.ledger.runs.press_stop("run-1", reason="lunch", by="ann", now=time.time())
    stack.report_run()
    assert verified(stack, succeeded=False) == {}

    stack.portal.knobs = Knobs()
    stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, run_id="run-2")
    stack.work_off()
    stack.report_run()

    assert verified(stack) == {}


def test_a_run_that_disabled_leavers_agrees(
    stack: Stack, set_parameter: Callable[[str, str], None]
) -> None:
    set_parameter("LEAVER_ACTION", "disable_then_delete")
    stack.plan(["118", "119"])
    stack.work_off()
    stack.report_run()

    assert verified(stack) == {}


def test_a_run_that_was_refused_over_a_cap_agrees(
    stack: Stack, set_parameter: Callable[[str, str], None]
) -> None:
    set_parameter("MAX_USERS", "1")
    with pytest.raises(Exception, match="MaxUsers"):
        stack.plan(["118", "119"])
    stack.report_run(failure={"Error": "RequestRefused", "Cause": "{}"})

    assert verified(stack, succeeded=False) == {}


def test_an_absent_user_who_turns_out_to_be_there_agrees(stack: Stack) -> None:
    stack.plan(["118", "998"])
    stack.work_off()
    stack.portal.add(user_id=998, username="late")
    stack.report_run()

    report = stack.read_json("runs/run-1/report.json")
    assert report["counts"] == {"deleted": 1, "unknown": 1}
    assert verified(stack, succeeded=False) == {}


# What somebody changed


def test_an_edited_report_is_found(stack: Stack) -> None:
    delete_two_of_four(stack)

    edit(stack, "report.json", lambda report: {**report, "reason": "HR-9999"})

    assert verified(stack)["Report"] is Verdict.DIFFERS


def test_an_edited_plan_is_found(stack: Stack) -> None:
    delete_two_of_four(stack)

    edit(stack, "plan.json", lambda plan: {**plan, "reason": "HR-9999"})

    assert {"Files", "Plan"} <= verified(stack).keys()


def test_a_missing_row_is_found(stack: Stack) -> None:
    delete_two_of_four(stack)

    stack.table.delete_item(Key={"pk": "run#run-1", "sk": "user#118"})

    assert verified(stack)["Entries"] is Verdict.MISSING


def test_a_row_that_nobody_accounts_for_is_found(stack: Stack) -> None:
    delete_two_of_four(stack)

    stack.ledger.users.record_outcome("run-1", "130", Outcome.DELETED, reason="", now=1)

    assert verified(stack) == {"Ledger": Verdict.DIFFERS}


def test_an_intent_that_nobody_accounts_for_is_found(stack: Stack) -> None:
    delete_two_of_four(stack)

    at = f"{int(time.time()):012}"
    stack.table.put_item(Item={"pk": "intent", "sk": f"{at}#run-1#130", "expires_at": 1})
    stack.table.put_item(Item={"pk": "intent", "sk": f"{at}#run-7#131", "expires_at": 1})

    assert verified(stack) == {"Ledger": Verdict.DIFFERS}


def test_an_edited_batch_is_found(stack: Stack) -> None:
    delete_two_of_four(stack)

    [key] = [key for key in stack.keys() if "/batches/" in key]  # noqa: SIM118
    body = stack.read_bytes(key).replace(b'"118"', b'"130"')
    stack.s3.put_object(Bucket="data", Key=key, Body=body)

    assert verified(stack) == {"Batches": Verdict.DIFFERS}


# Runs that cannot be verified


def test_a_run_that_is_not_over_is_not_verified(stack: Stack) -> None:
    stack.plan(["118"])

    with pytest.raises(ClickException, match="not over"):
        verified(stack)


def test_of_a_run_that_there_never_was_nothing_is_kept(stack: Stack) -> None:
    with pytest.raises(ClickException, match="Nothing is kept of run run-9"):
        verified(stack, "run-9")
