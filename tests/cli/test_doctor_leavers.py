"""What doctor says about leavers, the grace time and the daily schedule."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bulk_user_deletion.models.actions import LEAVER_ACTIONS, Action
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.rules.leavers import DAY, SPARE_DAYS, Grace
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.doctor import State, _due_schedule, _grace_time, leavers_finding
from tests.cli.test_leavers import NOW, a_leaver

GRACE = Grace(30, only_previewed=False)


def overdue(days: int, user_id: int = 118) -> Leaver:
    seen = NOW - (30 + days) * DAY
    return a_leaver(user_id, seen_disabled_at=seen, due_at=seen + 30 * DAY)


@pytest.mark.parametrize(
    ("leavers", "state", "said"),
    [
        ([], State.WELL, "0 waiting, 0 held"),
        ([a_leaver()], State.WELL, "1 waiting, 0 held"),
        ([a_leaver(), overdue(1)], State.WELL, "2 waiting, 0 held; the oldest has been due for 1"),
        ([overdue(2), overdue(3)], State.WRONG, "the oldest has been due for 3 days"),
        ([a_leaver(state=LeaverState.HELD)], State.WRONG, "0 waiting, 1 held"),
        ([a_leaver(state=LeaverState.WITHDRAWN)], State.WELL, "0 waiting, 0 held"),
    ],
)
def test_leavers_are_wrong_where_a_person_must_decide_or_nobody_deletes_them(
    leavers: list[Leaver], state: State, said: str
) -> None:
    finding = leavers_finding("Leavers", leavers, grace=GRACE, now=NOW)

    assert finding.state is state
    assert said in finding.said
    assert bool(finding.fix) is (state is State.WRONG)


def test_under_apply_only_plans_nobody_is_overdue_whom_no_preview_showed() -> None:
    strict = Grace(30, only_previewed=True)

    assert leavers_finding("Leavers", [overdue(9)], grace=strict, now=NOW).state is State.WELL


def a_deployment(**parameters: str) -> Deployment:
    deployment = Deployment.__new__(Deployment)  # without clients of AWS
    stack = {
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ]
    }
    vars(deployment).update(stack=stack, resources={})
    return deployment


@pytest.mark.parametrize("action", LEAVER_ACTIONS)
@pytest.mark.parametrize("spare", [SPARE_DAYS - 1, SPARE_DAYS])
def test_plans_must_outlive_the_grace_time_where_leavers_wait(action: Action, spare: int) -> None:
    days = {"GraceDays": "60", "RetentionDays": str(60 + spare)}

    finding = _grace_time("Grace time", a_deployment(LeaverAction=action, **days))

    too_short = action is Action.DISABLE_THEN_DELETE and spare < SPARE_DAYS
    assert finding.state is (State.WRONG if too_short else State.WELL)
    assert bool(finding.fix) is too_short
    if not too_short:
        assert action in finding.said


def test_a_stack_of_an_earlier_version_deletes_and_has_no_daily_schedule() -> None:
    earlier = a_deployment()

    assert "LeaverAction is delete" in _grace_time("Grace time", earlier).said
    missing = _due_schedule("Schedule of deletions", earlier)
    assert (missing.state, "nobody who is due is deleted" in missing.said) == (State.WRONG, True)


@pytest.mark.parametrize(("state", "found"), [("ENABLED", State.WELL), ("DISABLED", State.WRONG)])
def test_the_daily_schedule_must_be_on(state: str, found: State) -> None:
    schedule: dict[str, Any] = {"ScheduleExpression": "cron(0 3 * * ? *)", "State": state}
    deployment = SimpleNamespace(resources={"DueSchedule": "x"}, schedule=lambda _: schedule)

    finding = _due_schedule("Schedule of deletions", cast("Deployment", deployment))

    assert finding.state is found
    assert "cron(0 3 * * ? *)" in finding.said
