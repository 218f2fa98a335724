"""What a plan will take."""

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Estimate
from bulk_user_deletion.rules.estimate import SECONDS_PER_DELETE, estimate
from bulk_user_deletion.rules.windows import ALWAYS


def estimated(
    users: int,
    *,
    wait_seconds: int,
    concurrency: int,
    seconds_per_delete: float = SECONDS_PER_DELETE,
) -> Estimate:
    return estimate(
        users,
        action=Action.DELETE,
        wait_seconds=wait_seconds,
        concurrency=concurrency,
        seconds_per_delete=seconds_per_delete,
        windows=ALWAYS,
        now=0,
    )


def test_the_time_is_a_delete_and_a_pause_for_each_user_over_the_concurrency() -> None:
    assert estimated(10, wait_seconds=60, concurrency=1).seconds == 1200
    assert estimated(10, wait_seconds=0, concurrency=2).seconds == 300
    assert estimated(10, wait_seconds=0, concurrency=1, seconds_per_delete=7.5).seconds == 75
    assert estimated(0, wait_seconds=60, concurrency=1).seconds == 0


def test_a_thousand_users_cost_less_than_a_quarter_and_nobody_costs_nothing() -> None:
    assert 0.1 < estimated(1000, wait_seconds=60, concurrency=1).usd <= 0.25
    assert estimated(0, wait_seconds=60, concurrency=1).usd == 0
