"""Approval by hash: the plan of a preview is applied unchanged, once, soon, or not at all."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from bulk_user_deletion.errors import PlanEdited, RequestRefused
from bulk_user_deletion.models.users import Outcome
from local.portal import PortalSimulator
from tests.functions.stack import Stack


def approval(stack: Stack, run_id: str = "preview") -> dict[str, Any]:
    """The request that applies the plan of a preview."""
    plan = {"run_id": run_id, "sha256": stack.plan_sha256(run_id)}
    return {"mode": "apply", "plan": plan}


def edit(stack: Stack, run_id: str, **changes: Any) -> None:
    key = f"runs/{run_id}/plan.json"
    body = json.dumps({**stack.read_json(key), **changes})
    stack.s3.put_object(Bucket="data", Key=key, Body=body.encode())


def refusal(stack: Stack, request: dict[str, Any], run_id: str = "run-1") -> str:
    with pytest.raises(RequestRefused) as refused:
        stack.fetch_user_ids(request, run_id)
    return str(refused.value)


@pytest.fixture
def preview(stack: Stack) -> dict[str, Any]:
    """A preview of users 118 and 119, and of an administrator: the request that applies it."""
    stack.plan(["118", "102", "119"], "preview", mode="preview")
    return approval(stack)


def test_applying_a_plan_takes_over_every_entry_of_it(
    stack: Stack, preview: dict[str, Any]
) -> None:
    applied = stack.fetch_user_ids(preview)

    before, after = (stack.read_json(f"runs/{run_id}/plan.json") for run_id in ("preview", "run-1"))
    assert after["entries"] == before["entries"]
    assert after["applies"] == preview["plan"]["sha256"]
    assert (applied["next_step"], applied["users"]) == ("apply", 2)
    assert list(stack.hand_out()) == ["118", "119"]


def test_rule_1_a_plan_whose_bytes_changed_is_refused(
    stack: Stack, preview: dict[str, Any]
) -> None:
    edit(stack, "preview", reason="HR-9999")

    assert "it was edited" in refusal(stack, preview)


def test_rule_1_a_plan_that_is_edited_while_it_is_applied_deletes_nobody_else(
    stack: Stack, preview: dict[str, Any]
) -> None:
    stack.fetch_user_ids(preview)
    edit(stack, "run-1", entries=[])

    with pytest.raises(PlanEdited, match="somebody edited it"):
        stack.next_batch()


def test_a_plan_is_valid_for_one_run(stack: Stack, preview: dict[str, Any]) -> None:
    stack.fetch_user_ids(preview, "first")
    stack.end("first")

    assert "applied before, by run first" in refusal(stack, preview, "second")


def test_a_run_that_came_too_late_for_its_plan_is_not_resumed_either(
    stack: Stack, preview: dict[str, Any]
) -> None:
    stack.fetch_user_ids(preview, "first")
    stack.end("first")
    said = refusal(stack, preview, "second")
    cause = {"Error": "RequestRefused", "Cause": json.dumps({"errorMessage": said})}
    stack.report_run("second", cause)

    assert "nothing to resume" in refusal(stack, {"mode": "apply", "resume": "second"}, "third")
    report = stack.read_json("runs/second/report.json")
    assert report["status"] == "REFUSED"
    assert report["counts"] == {"not_attempted": 2, "skipped": 1}


def test_a_step_that_is_retried_may_apply_its_own_plan_again(
    stack: Stack, preview: dict[str, Any]
) -> None:
    assert stack.fetch_user_ids(preview)["users"] == stack.fetch_user_ids(preview)["users"] == 2


def test_an_apply_that_is_refused_leaves_its_plan_to_be_applied(
    stack: Stack, preview: dict[str, Any]
) -> None:
    refusal(stack, {**preview, "options": {"max_users": 1}}, "too-careful")
    stack.end("too-careful")

    assert stack.fetch_user_ids(preview)["users"] == 2


@pytest.mark.parametrize(("late", "is_refused"), [(0, False), (1, True)])
def test_a_plan_may_be_applied_for_24_hours_to_the_second(
    stack: Stack, late: int, is_refused: bool
) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as traveller:
        stack.plan(["118"], "preview", mode="preview")
        traveller.shift(24 * 3600 + late)

        if is_refused:
            assert "plans may be applied for 24 hours" in refusal(stack, approval(stack))
        else:
            assert stack.fetch_user_ids(approval(stack))["users"] == 1


def test_a_run_without_a_plan_cannot_be_applied(stack: Stack) -> None:
    request = {"mode": "apply", "plan": {"run_id": "nowhere", "sha256": "0" * 64}}

    assert "Run nowhere has no plan" in refusal(stack, request)


def test_the_plan_of_an_apply_is_not_one_to_be_approved(stack: Stack) -> None:
    stack.plan(["118"], "applied")

    with pytest.raises(RequestRefused, match="may not be applied"):
        stack.fetch_user_ids(approval(stack, "applied"), "applied")


def test_rule_5_the_caps_hold_for_a_plan_at_the_moment_it_is_applied(
    stack: Stack, preview: dict[str, Any]
) -> None:
    stack.portal.database.execute("DELETE FROM user WHERE user_id > 122")

    said = refusal(stack, {**preview, "options": {"max_percent": 10}})

    assert "13.6 % of the portal's 22 users" in said
    assert stack.writes() == []


def test_a_plan_protects_no_less_than_the_portal_does_when_it_is_applied(
    stack: Stack, preview: dict[str, Any]
) -> None:
    stack.fetch_user_ids(preview)
    keys = stack.hand_out()
    stack.portal.database.execute("UPDATE user SET type = 'administrator' WHERE user_id = 119")

    for user_id, key in keys.items():
        stack.delete_until_finished(user_id, key)

    assert [request.user_id for request in stack.writes()] == [118]
    row = stack.row(119)
    assert row is not None
    assert (row.outcome, row.reason) == (Outcome.SKIPPED, "administrator")


def test_apply_only_plans_refuses_every_other_source(
    stack: Stack, preview: dict[str, Any], set_parameter: Callable[[str, str], None]
) -> None:
    set_parameter("APPLY_ONLY_PLANS", "true")

    direct = {"mode": "apply", "source": {"users": ["118"]}}

    assert "ApplyOnlyPlans is on" in refusal(stack, direct, "direct")
    assert stack.fetch_user_ids(preview)["users"] == 2


@pytest.mark.parametrize("how", ["applied", "resumed"])
def test_rule_1_the_plan_of_another_portal_is_neither_applied_nor_resumed(
    stack: Stack, preview: dict[str, Any], set_parameter: Callable[[str, str], None], how: str
) -> None:
    if how == "resumed":
        stack.fetch_user_ids(preview)
        stack.end("run-1")
    request = preview if how == "applied" else {"mode": "apply", "resume": "run-1"}
    with PortalSimulator(users=40) as clone:  # the same ids, names and e-mails
        set_parameter("PORTAL_URL", clone.url)

        said = refusal(stack, request, "run-2")

        assert f"was made for {stack.portal.url}, and PortalUrl is {clone.url} now" in said
        assert clone.requests == []
