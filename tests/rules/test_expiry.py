"""When a portal token expires, from the many formats that a portal may use."""

import math
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_user_deletion.rules.expiry import (
    MOST_VERSIONS_A_DAY,
    outlives_margin,
    parse_expires,
    renewals_warning,
)

NOW = datetime(2026, 11, 20, 20, 0, 0, tzinfo=UTC).timestamp()
LIFE = 840  # the configured lifetime, different from the 15 minutes below
IN_15_MINUTES = NOW + 900
DAY = 24 * 3600


def expires_at(expires: object) -> float:
    return parse_expires(expires, now=NOW, fallback_seconds=LIFE)


@pytest.mark.parametrize(
    "expires",
    [
        int(IN_15_MINUTES),
        IN_15_MINUTES + 0.0,
        str(int(IN_15_MINUTES)),
        f" {IN_15_MINUTES} ",
        "2026-11-20T20:15:00Z",
        "2026-11-20T20:15:00+00:00",
        "2026-11-20T21:15:00+01:00",
        "2026-11-20T12:15:00-08:00",
        "2026-11-20T20:15:00",
        "2026-11-20 20:15:00",
        " 2026-11-20 20:15:00\n",
        "2026-11-20T20:15:00.000Z",
        "20261120T201500Z",
    ],
)
def test_every_likely_way_to_write_a_moment_is_read(expires: object) -> None:
    assert expires_at(expires) == IN_15_MINUTES


def test_without_a_zone_it_is_utc_wherever_this_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        parsed = expires_at("2026-11-20 20:15:00")
    time.tzset()

    assert parsed == IN_15_MINUTES


@pytest.mark.parametrize(
    "expires",
    [
        None,
        "",
        "soon",
        True,
        False,
        [],
        {},
        {"date": "2026-11-20 20:15:00"},
        float("nan"),
        float("inf"),
        "nan",
        "-inf",
        pytest.param(10**400, id="an integer beyond every float"),
        pytest.param("1" * 400, id="a text beyond every float"),
        "20/11/2026 20:15",
        "2026-11-20T25:15:00",
    ],
)
def test_what_cannot_be_read_falls_back_to_the_configured_lifetime(expires: object) -> None:
    assert expires_at(expires) == NOW + LIFE


@pytest.mark.parametrize(
    "expires",
    [
        900,  # a lifetime in seconds, not a time: 1970
        NOW,
        NOW - 1,
        "2026-11-20 15:15:00",  # a zone west of UTC, left out
        NOW + DAY + 1,
        IN_15_MINUTES * 1000,  # milliseconds
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_a_moment_in_the_past_or_more_than_a_day_ahead_is_not_believed(expires: object) -> None:
    assert expires_at(expires) == NOW + LIFE


def test_exactly_a_day_ahead_is_believed() -> None:
    assert expires_at(NOW + DAY) == NOW + DAY


moments = st.datetimes(timezones=st.timezones() | st.just(timezone(timedelta(hours=14))))
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**400)
    | st.floats()
    | st.text()
    | st.text("0123456789-:+T.Z eEinf")
    | moments.map(str)
    | moments.map(datetime.isoformat),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


@given(anything, st.floats(0, 4e9), st.integers(1, DAY))
def test_whatever_the_portal_sends_the_answer_lies_within_a_day(
    expires: object, now: float, fallback_seconds: int
) -> None:
    parsed = parse_expires(expires, now=now, fallback_seconds=fallback_seconds)

    assert parsed == now + fallback_seconds or now < parsed <= now + DAY


@given(st.floats(1, DAY - 1), st.integers(-12, 14))
def test_a_moment_with_its_zone_is_read_to_the_second_in_any_zone(ahead: float, hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    moment = datetime.fromtimestamp(int(NOW + ahead), zone)

    assert expires_at(moment.isoformat()) == moment.timestamp()


@pytest.mark.parametrize(
    ("life", "left", "outlives"),
    [
        (900, 31, True),
        (900, 30, False),
        (900, 0, False),
        (900, -5, False),
        (100, 11, True),  # a tenth of a short lifetime
        (100, 10, False),
        (3, 1, True),
        (3, 0.3, False),
    ],
)
def test_a_token_is_used_while_it_has_half_a_minute_or_a_tenth_of_its_lifetime_left(
    life: float, left: float, outlives: bool
) -> None:
    issued_at, expires_at = 0.0, float(life)

    assert (
        outlives_margin(issued_at=issued_at, expires_at=expires_at, now=expires_at - left)
        is outlives
    )


@pytest.mark.parametrize(
    ("life", "left", "outlives"),
    [
        (900, 91, True),  # the 60 s of the next DELETE, and the half minute
        (900, 90, False),
        (100, 51, True),  # half of a lifetime that is too short for that
        (100, 50, False),
        (30, 16, True),
        (30, 15, False),
    ],
)
def test_a_token_is_renewed_early_if_it_would_expire_during_the_next_delete(
    life: float, left: float, outlives: bool
) -> None:
    assert (
        outlives_margin(issued_at=0, expires_at=life, now=life - left, seconds_per_delete=60)
        is outlives
    )


@given(st.floats(1, DAY), st.floats(0, 2e9), st.floats(0, 1000))
def test_a_new_token_is_always_usable(life: float, issued_at: float, seconds: float) -> None:
    """Otherwise every renewal would cause the next one."""
    assert outlives_margin(
        issued_at=issued_at,
        expires_at=issued_at + life,
        now=issued_at,
        seconds_per_delete=seconds,
    )


# Versions of the secret


def warning(*, hours: float, minutes: float, seconds_per_delete: float = 60) -> str:
    return renewals_warning(
        run_seconds=hours * 3600, life_seconds=minutes * 60, seconds_per_delete=seconds_per_delete
    )


def renewals(*, run_seconds: float, life_seconds: float, seconds_per_delete: float) -> int:
    """How often a run requests a token in its busiest 24 hours: one user after another."""
    now, issued, times = 0.0, -math.inf, 0
    while now < min(run_seconds, DAY):
        if not outlives_margin(
            issued_at=issued,
            expires_at=issued + life_seconds,
            now=now,
            seconds_per_delete=seconds_per_delete,
        ):
            issued, times = now, times + 1
        now += 1
    return times


@pytest.mark.parametrize(
    ("hours", "minutes", "warned"),
    [
        (7, 15, False),  # 200 users, the most of a day, at the vendor's pace
        (22, 15, False),
        (23, 15, True),
        (100, 15, True),
        (100, 16, False),
        (8, 5, True),
        (0.01, 0.15, False),  # short tokens do not matter if the run is short
    ],
)
def test_a_run_that_needs_more_tokens_a_day_than_can_be_stored_gets_a_warning(
    hours: float, minutes: float, *, warned: bool
) -> None:
    assert bool(warning(hours=hours, minutes=minutes)) is warned


def test_the_warning_says_when_it_stops_and_what_helps() -> None:
    assert warning(hours=30, minutes=15) == (
        "This takes about 30 hours, and the portal's tokens last 900 s. Secrets Manager accepts 100"
        " new ones a day, so the run will stop after about 22 hours, and can be resumed a day"
        " later. To avoid that, raise API_TOKEN_LIFE_TIME in the portal to 16 minutes or more."
    )


def test_a_short_time_is_told_in_minutes() -> None:
    said = warning(hours=1, minutes=0.5)

    assert said.startswith("This takes about 60 minutes, and the portal's tokens last 30 s.")
    assert "0 hours" not in said


runs = st.fixed_dictionaries(
    {
        "run_seconds": st.integers(1, 3 * DAY),
        "life_seconds": st.integers(60, 7200),
        "seconds_per_delete": st.integers(0, 300),
    }
)


@given(runs)
@settings(max_examples=30, deadline=None)
def test_a_run_without_a_warning_stores_no_more_tokens_than_it_can(run: dict[str, int]) -> None:
    if not renewals_warning(**run):
        assert renewals(**run) <= MOST_VERSIONS_A_DAY + 1  # the one it starts with


@given(runs)
def test_what_the_warning_asks_for_is_enough(run: dict[str, int]) -> None:
    if said := renewals_warning(**run):
        minutes = int(said.removesuffix(" minutes or more.").rpartition(" ")[2])
        assert minutes * 60 > run["life_seconds"]
        assert renewals_warning(**{**run, "life_seconds": minutes * 60}) == ""
