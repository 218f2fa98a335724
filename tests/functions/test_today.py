"""What a command refuses before anybody types is what the stack refuses, in the same words.

And the figures above the prompt are those by which the stack decides.
"""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.requests import SealedPlan
from bulk_user_deletion.rules.leavers import withdrawn
from bulk_user_deletion.settings import Settings
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.today import applied_today, resumed_today
from tests.functions.stack import Stack

SetParameter = Callable[[str, str], None]


def deployment(stack: Stack) -> Deployment:
    """The stack as an operator's commands see it; every execution has ended."""
    found = SimpleNamespace(
        ledger=stack.ledger,
        bucket=Bucket("data"),
        settings=Settings.from_environment(),
        execution=lambda _: None,
    )
    return cast("Deployment", found)


def sealed(stack: Stack, run_id: str = "preview") -> SealedPlan:
    return SealedPlan(run_id, stack.plan_sha256(run_id))


def apply(stack: Stack, plan: SealedPlan, name: str = "run-1") -> dict[str, Any]:
    request = {"mode": "apply", "plan": {"run_id": plan.run_id, "sha256": plan.sha256}}
    return stack.fetch_user_ids(request, name)


def nothing(stack: Stack, set_parameter: SetParameter) -> None:
    pass


def too_old(stack: Stack, set_parameter: SetParameter) -> None:
    set_parameter("PLAN_MAX_AGE_HOURS", "-1")


def over_a_lowered_cap(stack: Stack, set_parameter: SetParameter) -> None:
    set_parameter("MAX_USERS", "2")


def over_a_cap_per_day(stack: Stack, set_parameter: SetParameter) -> None:
    stack.plan(["130", "131"], "before")
    stack.work_off("before")
    stack.report_run("before")
    set_parameter("MAX_USERS_PER_DAY", "4")


def another_portal(stack: Stack, set_parameter: SetParameter) -> None:
    set_parameter("PORTAL_URL", "https://another.example.com")


def a_milder_stack(stack: Stack, set_parameter: SetParameter) -> None:
    set_parameter("LEAVER_ACTION", "disable")


def stopped(stack: Stack, set_parameter: SetParameter) -> None:
    stack.ledger.portal.press_stop(reason="upgrade", by="platform team", now=1)


def edited(stack: Stack, set_parameter: SetParameter) -> None:
    body = stack.read_bytes("runs/preview/plan.json")
    stack.s3.put_object(Bucket="data", Key="runs/preview/plan.json", Body=b" " + body)


def applied(stack: Stack, set_parameter: SetParameter) -> None:
    apply(stack, sealed(stack), "first")
    stack.end("first")


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (nothing, ""),
        (too_old, "plans may be applied for -1 hours"),
        (over_a_lowered_cap, "MaxUsers allows 2"),
        (over_a_cap_per_day, "MaxUsersPerDay allows 4"),
        (another_portal, "PortalUrl is https://another.example.com now"),
        (a_milder_stack, "LeaverAction of this stack is disable"),
        (stopped, "platform team stopped every run"),
        (edited, "it was edited"),
        (applied, "applied before, by run first"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_apply_is_refused_before_anybody_types_in_the_words_of_the_stack(
    stack: Stack,
    set_parameter: SetParameter,
    happens: Callable[..., None],
    says: str,
) -> None:
    stack.plan(["118", "119", "120"], "preview", mode="preview")
    plan = sealed(stack)
    happens(stack, set_parameter)
    before = stack.writes()

    refused = ""
    try:
        today = applied_today(deployment(stack), plan)
    except RequestRefused as error:
        refused = str(error)

    assert stack.writes() == before
    if not says:
        assert apply(stack, plan)["users"] == today.users == 3
        return
    assert says in refused
    with pytest.raises(RequestRefused) as by_the_stack:
        apply(stack, plan)
    assert str(by_the_stack.value) == refused


def test_the_figures_are_those_of_today_and_not_of_the_plan(
    stack: Stack, set_parameter: SetParameter
) -> None:
    stack.plan(["118", "119", "102"], "preview", mode="preview")
    stack.plan(["130", "131"], "before")
    stack.work_off("before")
    stack.report_run("before")
    set_parameter("MAX_USERS", "10")
    set_parameter("WAIT_SECONDS", "120")

    today = applied_today(deployment(stack), sealed(stack))

    rows = today.rows()
    assert rows["To be deleted"] == "2 users"
    assert rows["Caps today"] == "3 of 10 entries per run, and 7.5 of 50 % of 40 users"
    assert rows["In 24 hours"] == "5 of 100, and 11.9 of 60 %, including 2 before this run"
    assert "120 s after each" in rows["Pace"]
    assert today.estimate.seconds >= 240
    assert apply(stack, sealed(stack))["users"] == today.users


def test_whoever_was_withdrawn_since_the_preview_is_not_counted_any_more(
    stack: Stack, set_parameter: SetParameter
) -> None:
    set_parameter("LEAVER_ACTION", "disable_then_delete")
    for user_id in (118, 119):
        stack.portal.edit(user_id, enabled="Y")
    stack.plan(["118"], "before")
    stack.work_off("before")
    stack.report_run("before")
    stack.plan(["118", "119"], "preview", mode="preview")
    [leaver] = stack.ledger.leavers.read_all(stack.portal.url)
    kept = withdrawn(leaver, by="night shift", reason="stays", now=int(time.time()) + 1)
    assert stack.ledger.leavers.change(kept, before=leaver)

    today = applied_today(deployment(stack), sealed(stack))

    assert (today.users, today.planned) == (1, 2)
    assert "1 user, of 2 in the plan" in today.rows()["To be disabled"]
    assert apply(stack, sealed(stack))["users"] == 1


def left_open(stack: Stack) -> None:
    """A run of three that has ended after its first."""
    stack.plan(["118", "119", "120"])
    keys = stack.hand_out()
    stack.delete_until_finished(118, keys["118"])
    stack.report_run()


def test_a_resume_shows_what_is_left(stack: Stack) -> None:
    left_open(stack)

    today = resumed_today(deployment(stack), "run-1")

    rows = today.rows()
    assert rows["To be deleted"].startswith("2 users, of 3 in the plan")
    assert rows["Caps today"] == "2 of 50 entries per run, and 5.1 of 50 % of 39 users"
    assert rows["In 24 hours"] == "3 of 100, and 7.5 of 60 %, including 1 before this run"
    resumed = stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "resumed")
    assert resumed["users"] == today.users


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (over_a_lowered_cap, "MaxUsers allows 1"),
        (another_portal, "PortalUrl is https://another.example.com now"),
        (a_milder_stack, "LeaverAction of this stack is disable"),
        (stopped, "platform team stopped every run"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_resume_is_refused_before_anybody_types_in_the_words_of_the_stack(
    stack: Stack,
    set_parameter: SetParameter,
    happens: Callable[..., None],
    says: str,
) -> None:
    left_open(stack)
    happens(stack, set_parameter)
    if happens is over_a_lowered_cap:
        set_parameter("MAX_USERS", "1")

    with pytest.raises(RequestRefused, match=says) as before:
        resumed_today(deployment(stack), "run-1")
    with pytest.raises(RequestRefused) as by_the_stack:
        stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "resumed")

    assert str(by_the_stack.value) == str(before.value)


def test_a_run_that_left_nobody_open_is_not_resumed(stack: Stack) -> None:
    stack.plan(["118"])
    stack.work_off()
    stack.report_run()

    with pytest.raises(RequestRefused, match="nothing to resume"):
        resumed_today(deployment(stack), "run-1")
