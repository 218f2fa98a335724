"""The stack's parameters, as the functions see them."""

import re

import pytest

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Limits, Mode, Pacing
from bulk_user_deletion.settings import ChangeWindowsFor, Settings

ENVIRONMENT = {
    "PORTAL_URL": "https://portal.example.com",
    "CA_BUNDLE": "/opt/ca/portal.pem",
    "LEDGER_TABLE": "ledger",
    "DATA_BUCKET": "data",
    "CREDENTIALS_SECRET": "credentials",
    "TOKEN_SECRET": "token",
    "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:topic",
    "FILE_DROP_MODE": "preview",
    "APPLY_ONLY_PLANS": "true",
    "PLAN_MAX_AGE_HOURS": "24",
    "MAX_WAIT_HOURS": "12",
    "CHANGE_WINDOWS": "MON-FRI 20:00-06:00",
    "CHANGE_WINDOWS_FOR": "delete_and_disable",
    "SCHEDULE_TIMEZONE": "Europe/Paris",
    "PROTECTED_LIST": "protected.csv",
    "RETENTION_DAYS": "400",
    "OBJECT_LOCK_DAYS": "30",
    "PACING": "fixed",
    "CONCURRENCY": "1",
    "TOKEN_LIFE_SECONDS": "900",
    "READ_TIMEOUT_SECONDS": "180",
    "WAIT_SECONDS": "60",
    "MAX_USERS": "50",
    "MAX_PERCENT": "10",
    "MAX_USERS_PER_DAY": "200",
    "MAX_PERCENT_PER_DAY": "20",
    "CANARY_USERS": "2",
    "MAX_NOT_FOUND_PERCENT": "12.5",
    "MAX_UNEXPLAINED_LOSSES": "3",
    "LEAVER_ACTION": "disable_then_delete",
    "GRACE_DAYS": "30",
    "ROSTER_MIN_MATCH_PERCENT": "80",
    "ROSTER_MAX_SHRINK_PERCENT": "10",
    "GUARD_DATASET": "43",
    "GUARD_MAX_AGE_HOURS": "12",
    "MAX_DISABLE_USERS": "100",
    "MAX_DISABLE_PERCENT": "15",
    "MAX_DISABLE_USERS_PER_DAY": "400",
    "MAX_DISABLE_PERCENT_PER_DAY": "25",
    "DISABLE_WAIT_SECONDS": "2",
}


def test_with_adaptive_pacing_the_least_pause_is_none() -> None:
    settings = Settings.from_environment({**ENVIRONMENT, "PACING": "adaptive"})

    assert (settings.pacing, settings.limits.wait_seconds) == (Pacing.ADAPTIVE, 0)


def test_every_variable_of_the_template_is_read() -> None:
    assert Settings.from_environment(ENVIRONMENT) == Settings(
        portal_url="https://portal.example.com",
        ca_bundle="/opt/ca/portal.pem",
        ledger_table="ledger",
        data_bucket="data",
        credentials_secret="credentials",
        token_secret="token",
        topic_arn="arn:aws:sns:us-east-1:123456789012:topic",
        file_drop_mode=Mode.PREVIEW,
        apply_only_plans=True,
        plan_max_age_hours=24,
        max_wait_hours=12,
        protected_list="protected.csv",
        retention_days=400,
        object_lock_days=30,
        pacing=Pacing.FIXED,
        concurrency=1,
        token_life_seconds=900,
        read_timeout_seconds=180,
        max_unexplained_losses=3,
        limits=Limits(
            max_users=50,
            max_percent=10.0,
            max_users_per_day=200,
            max_percent_per_day=20.0,
            wait_seconds=60,
            canary_users=2,
            max_not_found_percent=12.5,
        ),
        switch_limits=Limits(
            max_users=100,
            max_percent=15.0,
            max_users_per_day=400,
            max_percent_per_day=25.0,
            wait_seconds=2,
            canary_users=2,
            max_not_found_percent=12.5,
        ),
        leaver_action=Action.DISABLE_THEN_DELETE,
        grace_days=30,
        roster_min_match_percent=80.0,
        roster_max_shrink_percent=10.0,
        guard_dataset=43,
        guard_max_age_hours=12,
        change_windows="MON-FRI 20:00-06:00",
        change_windows_for=ChangeWindowsFor.DELETE_AND_DISABLE,
        timezone="Europe/Paris",
    )


def test_what_else_is_in_the_environment_does_not_matter() -> None:
    assert Settings.from_environment(
        {**ENVIRONMENT, "AWS_REGION": "us-east-1"}
    ) == Settings.from_environment(ENVIRONMENT)


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_variable_that_is_missing_is_an_error_and_never_a_default(name: str) -> None:
    environment = {key: value for key, value in ENVIRONMENT.items() if key != name}

    with pytest.raises(KeyError, match=name):
        Settings.from_environment(environment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FILE_DROP_MODE", "Apply"),
        ("FILE_DROP_MODE", ""),
        ("PACING", "Adaptive"),
        ("PACING", ""),
        ("MAX_USERS", ""),
        ("MAX_USERS", "unlimited"),
        ("MAX_USERS", "1e3"),
        ("MAX_PERCENT", "10 %"),
        ("MAX_NOT_FOUND_PERCENT", ""),
        ("WAIT_SECONDS", "60s"),
        ("CANARY_USERS", "None"),
        ("TOKEN_LIFE_SECONDS", "15m"),
    ],
)
def test_a_value_that_cannot_be_read_is_an_error(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(value))):
        Settings.from_environment({**ENVIRONMENT, name: value})


def test_rule_5_zero_stays_zero() -> None:
    limits = Settings.from_environment({**ENVIRONMENT, "MAX_USERS": "0", "MAX_PERCENT": "0"}).limits

    assert (limits.max_users, limits.max_percent) == (0, 0.0)


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    assert Settings.from_environment() == Settings.from_environment(ENVIRONMENT)
