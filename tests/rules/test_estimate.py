"""What a plan will take."""

from bulk_user_deletion.rules.estimate import estimate


def test_the_time_is_a_delete_and_a_pause_for_each_user_over_the_concurrency() -> None:
    assert estimate(10, wait_seconds=60, concurrency=1).seconds == 1200
    assert estimate(10, wait_seconds=0, concurrency=2).seconds == 300
    assert estimate(0, wait_seconds=60, concurrency=1).seconds == 0


def test_a_thousand_users_cost_less_than_half_a_dollar_and_nobody_costs_nothing() -> None:
    assert 0.1 < estimate(1000, wait_seconds=60, concurrency=1).usd < 0.5
    assert estimate(0, wait_seconds=60, concurrency=1).usd == 0
