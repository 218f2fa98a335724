"""Change windows: when a run may send users a request."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import RunRow
from bulk_user_deletion.rules.estimate import estimate, windows_warning
from bulk_user_deletion.rules.windows import ALWAYS, LAST_SECONDS, Windows, pause_at, windows_of
from tests.definition.loading import TEMPLATE

DAYS = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600

# Each has both clock changes: at two, at midnight, by half an hour, and on the other half of the
# globe. UTC has none.
ZONES = ["Europe/Paris", "America/New_York", "Asia/Beirut", "Australia/Lord_Howe", "UTC"]

times = st.integers(0, 1439).map(lambda m: f"{m // 60:02}:{m % 60:02}")
# Close to when clocks change, and to each other.
small_hours = st.sampled_from(["00:00", "01:15", "01:59", "02:00", "02:30", "03:00", "23:30"])
any_time = times | small_hours


@st.composite
def a_window(draw: st.DrawFn) -> str:
    first, last = draw(st.sampled_from(DAYS)), draw(st.sampled_from(["", *DAYS]))
    start, end = draw(any_time), draw(any_time | st.just("24:00"))
    if start == end:
        end = "24:00"
    return f"{first}{f'-{last}' if last else ''} {start}-{end}"


some_windows = st.lists(a_window(), min_size=1, max_size=3).map("; ".join)


@st.composite
def a_moment(draw: st.DrawFn, zone: str) -> float:
    """Any time of two years; as often one within two hours of a clock change."""
    at = draw(st.integers(1_767_225_600, 1_830_297_600))
    if not draw(st.booleans()):
        return at
    tz = ZoneInfo(zone)
    day = datetime.fromtimestamp(at // DAY * DAY, tz)
    for number in range(366):
        now, then = (day + timedelta(days=n) for n in (number, number + 1))
        if now.utcoffset() != then.utcoffset():
            return int(now.timestamp()) + draw(st.integers(0, DAY + 2 * HOUR))
    return at


@st.composite
def windows_and_moment(draw: st.DrawFn) -> tuple[str, str, float]:
    zone = draw(st.sampled_from(ZONES))
    return draw(some_windows), zone, draw(a_moment(zone))


def minutes_of(text: str) -> set[tuple[str, str]]:
    """Every (weekday, time) that a clock may show in the windows, written out one by one."""
    shown = set()
    for window in text.split("; "):
        days, hours = window.split(" ")
        first, _, last = days.partition("-")
        start, end = (int(t[:2]) * 60 + int(t[3:]) for t in hours.split("-"))
        day = DAYS.index(first)
        while True:
            for minute in range(start, end if end > start else end + 1440):
                later, of_day = divmod(minute, 1440)
                weekday = DAYS[(day + later) % 7]
                shown.add((weekday, f"{of_day // 60:02}:{of_day % 60:02}"))
            if DAYS[day] == (last or first):
                break
            day = (day + 1) % 7
    return shown


def on_the_wall(at: float, zone: str) -> tuple[str, str]:
    local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(zone))
    return local.strftime("%a").upper(), local.strftime("%H:%M")


@given(windows_and_moment())
def test_a_window_is_open_exactly_while_a_clock_on_the_wall_shows_a_time_in_it(
    drawn: tuple[str, str, float],
) -> None:
    text, zone, at = drawn

    assert windows_of(text, zone).is_open(at) == (on_the_wall(at, zone) in minutes_of(text))


@given(windows_and_moment())
def test_no_request_is_sent_in_the_last_seconds_of_a_window(drawn: tuple[str, str, float]) -> None:
    text, zone, at = drawn
    windows = windows_of(text, zone)

    assert windows.may_send(at) == (windows.is_open(at) and windows.is_open(at + LAST_SECONDS))


@given(windows_and_moment())
def test_the_next_opening_is_the_first_minute_at_which_a_request_may_be_sent(
    drawn: tuple[str, str, float],
) -> None:
    text, zone, at = drawn
    windows = windows_of(text, zone)

    opens_at = windows.next_opening(at)

    assert windows.may_send(opens_at)
    assert opens_at == at or opens_at % MINUTE == 0
    step = at
    while step < opens_at:
        assert not windows.may_send(step)
        step += 4 * MINUTE


@given(windows_and_moment(), st.integers(0, 3 * DAY))
def test_open_seconds_are_the_minutes_that_are_open(
    drawn: tuple[str, str, float], seconds: int
) -> None:
    text, zone, at = drawn
    at = at // MINUTE * MINUTE
    seconds = seconds // MINUTE * MINUTE
    windows = windows_of(text, zone)

    counted = sum(windows.is_open(at + n * MINUTE) for n in range(seconds // MINUTE))

    assert windows.open_seconds(at, at + seconds) == counted * MINUTE


@given(
    windows_and_moment(),
    st.integers(1, 60),
    st.sampled_from([20.0, 62.5, 120.0, 900.0, 2 * HOUR]),
)
def test_the_end_is_that_of_users_who_are_started_one_after_the_other_in_windows(
    drawn: tuple[str, str, float], users: int, seconds_per_user: float
) -> None:
    """Also if a window is shorter than one user: a user who was started in it ends after it."""
    text, zone, at = drawn
    windows = windows_of(text, zone)

    ends_at = windows.end_of(users, seconds_per_user, at=at)

    now, closing = at, 0.0
    for _ in range(users):
        opens_at = windows.next_opening(now)
        now = opens_at + seconds_per_user
        closing = max(closing, opens_at)
    if ends_at is not None:
        # Each new window begins with a full user here, and may begin a little earlier there.
        assert ends_at <= now + MINUTE
        assert ends_at >= at + seconds_per_user


def test_without_windows_it_is_always_open() -> None:
    for text in ("", " ", " ; "):
        assert windows_of(text, "UTC") == ALWAYS
    assert ALWAYS.may_send(0)
    assert ALWAYS.next_opening(5) == 5
    assert ALWAYS.end_of(3, 120, at=1000) == 1360
    assert ALWAYS.open_seconds(10, 70) == 60
    assert ALWAYS.have_room_for(10**6, 120, at=0)


def at(text: str, zone: str = "Europe/Paris", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


NIGHTS = windows_of("MON-FRI 20:00-06:00; SAT-SUN 00:00-24:00", "Europe/Paris")


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23 19:59", False),  # a Monday
        ("2026-11-23 20:00", True),
        ("2026-11-24 05:59", True),
        ("2026-11-24 06:00", False),
        ("2026-11-28 06:00", True),  # the Friday's window ends, and the Saturday's goes on
        ("2026-11-29 23:59", True),
        ("2026-11-30 00:00", False),  # the Sunday's ends at midnight
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(
    moment: str, is_open: bool
) -> None:
    assert NIGHTS.is_open(at(moment)) == is_open


@pytest.mark.parametrize("day", DAYS)
def test_a_window_over_midnight_ends_on_the_day_after_whichever_day_it_is(day: str) -> None:
    windows = windows_of(f"{day} 20:00-06:00", "UTC")
    monday = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp())
    midnight = monday + DAYS.index(day) * DAY

    hours = [hour for hour in range(-168, 168) if windows.is_open(midnight + hour * HOUR)]

    assert hours == [*range(-148, -138), *range(20, 30)]


def test_an_hour_that_a_clock_change_skips_is_in_no_window() -> None:
    skipped = windows_of("SUN 02:00-03:00", "Europe/Paris")

    assert not any(skipped.is_open(at("2026-03-29 01:00") + n * MINUTE) for n in range(180))
    assert skipped.next_opening(at("2026-03-29 01:00")) == at("2026-04-05 02:00")


def test_an_hour_that_a_clock_change_repeats_is_open_twice() -> None:
    repeated = windows_of("SUN 02:15-02:45", "Europe/Paris")
    first, second = (at("2026-10-25 02:15", fold=fold) for fold in (0, 1))

    assert second - first == HOUR
    assert repeated.open_seconds(first, second + HOUR) == HOUR
    assert repeated.next_opening(first + 31 * MINUTE) == second


def test_a_night_with_a_clock_change_is_an_hour_shorter_or_longer() -> None:
    night = windows_of("SAT 20:00-06:00", "Europe/Paris")

    for day, hours in (("2026-03-28", 9), ("2026-10-24", 11), ("2026-11-28", 10)):
        assert night.open_seconds(at(f"{day} 12:00"), at(f"{day} 12:00") + DAY) == hours * HOUR


@pytest.mark.parametrize(
    "text",
    [
        "MON-FRI 20:00",
        "MON-FRI 20-06",
        "Mo-Fr 20:00-06:00",
        "MON,TUE 20:00-06:00",
        "MON-FRI 24:00-06:00",
        "MON-FRI 20:00-25:00",
        "MON-FRI 20:60-21:00",
        "20:00-06:00",
        "MON-FRI 20:00-06:00 SAT 00:00-24:00",
        "mon 20:00-21:00",
        "MON 20:00-20:00",
    ],
)
def test_what_is_not_a_window_is_refused_by_name_and_shown_how_to_write(text: str) -> None:
    for whole in (text, f"SUN 01:00-02:00; {text}"):
        with pytest.raises(RequestRefused, match=re.escape(repr(text))) as refused:
            windows_of(whole, "UTC")
        assert re.search(r"[A-Z-]+ \d\d:\d\d-\d\d:\d\d", str(refused.value).replace(text, ""))


@given(some_windows, st.sampled_from(["", "; ", " ;  "]))
def test_the_template_accepts_what_can_be_read(text: str, end: str) -> None:
    pattern = TEMPLATE["Parameters"]["ChangeWindows"]["AllowedPattern"]

    assert re.search(pattern, text + end)
    windows_of(text + end, "UTC")


@given(st.text("MONFRISATSU -;:0129", max_size=24))
def test_what_the_template_accepts_can_be_read_unless_it_ends_when_it_begins(text: str) -> None:
    pattern = TEMPLATE["Parameters"]["ChangeWindows"]["AllowedPattern"]
    if not re.search(pattern, text):
        return
    try:
        windows_of(text, "UTC")
    except RequestRefused as refused:
        assert "ends when it begins" in str(refused)  # noqa: PT017


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "/etc/passwd", "Europe/../../secret"])
def test_a_time_zone_that_does_not_exist_is_refused_by_name(zone: str) -> None:
    with pytest.raises(RequestRefused, match=r"ScheduleTimezone is .* not a time zone"):
        windows_of("MON 20:00-21:00", zone)


# Pauses

run_ids = st.text("abc-_0123", min_size=1, max_size=80)


def a_run(run_id: str = "run-1", round_number: int = 1) -> RunRow:
    return RunRow(run_id, "arn", is_open=True, round_number=round_number)


def test_a_run_is_paused_when_its_window_ends_until_the_next_one() -> None:
    assert pause_at(at("2026-11-24 05:59"), a_run(), windows=NIGHTS) is None

    pause = pause_at(at("2026-11-24 06:00"), a_run(), windows=NIGHTS)

    assert pause is not None
    assert (pause.at, pause.opens_at) == (at("2026-11-24 06:00"), at("2026-11-24 20:00"))


@given(run_ids, st.integers(1, 400), st.integers(0, DAY), st.integers(0, DAY))
def test_one_pause_is_resumed_by_one_execution_however_often_it_is_noticed(
    run_id: str, round_number: int, first: int, second: int
) -> None:
    never = windows_of("SUN 02:00-02:01", "UTC")
    run = a_run(run_id, round_number)
    names = set()
    for moment in (first, second):
        pause = pause_at(at("2026-11-24 06:00", "UTC") + moment, run, windows=never)
        assert pause is not None
        names.add(pause.resumed_by)

    [name] = names
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name)
    other = pause_at(first, a_run(run_id, round_number + 1), windows=never)
    assert other is not None
    assert other.resumed_by != name != run_id


# Plans


def warning(users: int, windows: Windows, moment: str = "2026-11-23 12:00") -> str:
    now = at(moment)
    estimated = estimate(
        users,
        action=Action.DELETE,
        wait_seconds=60,
        concurrency=1,
        seconds_per_delete=60,
        windows=windows,
        now=now,
    )
    return windows_warning(users, estimated, windows, now=now)


def test_a_plan_that_fits_into_a_window_has_no_warning() -> None:
    assert warning(0, NIGHTS) == ""
    assert warning(1_500, NIGHTS) == ""  # 50 hours: from Friday's evening to Sunday's end are 52
    assert warning(10**6, ALWAYS) == ""


def test_a_plan_that_fits_into_no_window_says_when_it_would_end() -> None:
    mornings = windows_of("MON-FRI 05:00-06:00", "Europe/Paris")

    assert warning(30, mornings) == ""
    assert warning(70, mornings) == (
        "No change window of the next two weeks is long enough for all 70 users. The run will pause"
        " when a window ends and continue in the next one; applied now, it would end about"
        " 2026-11-26 05:20 (Europe/Paris)."
    )
    assert "it would take more than 100 days" in warning(5_000, mornings)
