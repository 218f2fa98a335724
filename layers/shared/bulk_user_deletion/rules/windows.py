"""Change windows: when a run may send users a request, by the wall clock of a time zone.

A window is open while a clock on the wall shows a time in it: where a clock change skips that time,
it is not open, and where a clock change repeats it, it is open twice. Windows begin and end on full
minutes.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from itertools import count
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.runs import Pause, RunRow

# A request is sent a moment after the check: intents are recorded in between. So none is sent in
# the last seconds of a window.
LAST_SECONDS = 10

# Weeks are alike except for clock changes, which may skip a window once: each opens within this
# time.
_HORIZON_SECONDS = 15 * 24 * 3600

# An end that is farther away than this is not worth computing.
_LONGEST_PLAN_SECONDS = 100 * 24 * 3600

_MINUTE = 60
_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_DAY = "|".join(_DAYS)
_WINDOW = re.compile(
    rf"(?P<first>{_DAY})(?:-(?P<last>{_DAY}))?\s+"
    r"(?P<start>(?:[01]\d|2[0-3]):[0-5]\d)-(?P<end>(?:[01]\d|2[0-3]):[0-5]\d|24:00)"
)


@dataclass(frozen=True, slots=True)
class Window:
    """Hours on some days of the week, 0 being Monday.

    `start` and `end` are minutes of the day. A window whose `end` comes first ends on the next day.
    """

    days: frozenset[int]
    start: int
    end: int

    def shows(self, weekday: int, minute: int) -> bool:
        """Return whether a clock on the wall that shows this time shows one in the window."""
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        began_today = weekday in self.days and minute >= self.start
        began_yesterday = (weekday - 1) % 7 in self.days and minute < self.end
        return began_today or began_yesterday


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a window is open without a break: epoch seconds, the end not included."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Windows:
    """All change windows of a stack. Without any, it is always open."""

    windows: tuple[Window, ...] = ()
    timezone: ZoneInfo | None = None

    def is_open(self, at: float) -> bool:
        """Return whether a window is open at a time."""
        if not self.windows:
            return True
        local = datetime.fromtimestamp(at, self.timezone)
        minute = local.hour * 60 + local.minute
        return any(window.shows(local.weekday(), minute) for window in self.windows)

    def may_send(self, at: float) -> bool:
        """Return whether a request may be sent at a time: a window is open, and stays so."""
        return self.is_open(at) and self.is_open(at + LAST_SECONDS)

    def next_opening(self, at: float) -> float:
        """Return when a request may be sent next: `at`, if it may be now."""
        return next(self._spans(at, _HORIZON_SECONDS)).start

    def open_seconds(self, since: float, until: float) -> float:
        """Return for how long windows were open between two times."""
        spans = self._spans(since, until - since)
        return sum(min(span.end, until) - span.start for span in spans if span.start < until)

    def end_of(self, users: int, seconds_per_user: float, *, at: float) -> float | None:
        """Return when this many users are done, if started from `at` on, or None if too far away.

        A user who was started before a window ends is finished after it, if necessary.
        """
        for span in self._spans(at, _LONGEST_PLAN_SECONDS):
            fit = _fit(span, seconds_per_user)
            if users <= fit:
                return span.start + users * seconds_per_user
            users -= fit
        return None

    def have_room_for(self, users: int, seconds_per_user: float, *, at: float) -> bool:
        """Return whether any one window of the next two weeks is long enough for all users."""
        spans = self._spans(at, _HORIZON_SECONDS)
        return any(users <= _fit(span, seconds_per_user) for span in spans)

    def describe(self, at: float) -> str:
        """Return a time in words, as the wall clock of these windows shows it."""
        local = datetime.fromtimestamp(at, self.timezone)
        return f"{local:%Y-%m-%d %H:%M} ({local.tzinfo or 'UTC'})"

    def _spans(self, at: float, seconds: float) -> Iterator[Span]:
        """Yield the times of sending that begin within these seconds, the first one from `at` on.

        Clock changes make arithmetic on days wrong, so each minute is looked at.
        """
        if not self.windows:
            yield Span(at, float("inf"))
            return
        start = at if self.may_send(at) else None
        for minute in count(int(at // _MINUTE + 1) * _MINUTE, _MINUTE):
            if start is None and minute > at + seconds:
                return
            is_open = self.is_open(minute)
            if is_open and start is None:
                start = minute
            elif not is_open and start is not None:
                yield Span(start, minute)
                start = None
            elif start is not None and minute > at + seconds + _HORIZON_SECONDS:
                yield Span(start, float("inf"))  # the windows follow each other without a break
                return


ALWAYS = Windows()


@cache
def windows_of(text: str, timezone: str) -> Windows:
    """Read `ChangeWindows`, such as `MON-FRI 20:00-06:00; SAT-SUN 00:00-24:00`; empty is always.

    Raises:
        RequestRefused: naming the part that is not a window.
    """
    parts = [part.strip() for part in text.split(";")]
    if not any(parts):
        return ALWAYS
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise RequestRefused(
            f"ScheduleTimezone is {timezone!r}, which is not a time zone, so it is not"
            " known when ChangeWindows are open. Set it to a name such as Europe/Paris."
        ) from None
    return Windows(tuple(_window(part) for part in parts if part), zone)


def pause_at(now: float, run: RunRow, *, windows: Windows) -> Pause | None:
    """Return the pause of a run, or None if it may start users now.

    The execution that resumes it has the same name however often this is asked in one round, so
    that only one can be started. A name has at most 80 characters:
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """
    if windows.may_send(now):
        return None
    digest = sha256(f"{run.run_id} {run.round_number}".encode()).hexdigest()[:16]
    opens_at = math.ceil(windows.next_opening(now))
    return Pause(int(now), opens_at, f"{run.run_id[:50]}-{digest}-window")


def _fit(span: Span, seconds_per_user: float) -> int:
    """Return how many users can be started in a span, one after the other."""
    if span.end == float("inf") or not seconds_per_user:
        return 10**9
    seconds = span.end - LAST_SECONDS - span.start
    return max(1, -int(-seconds // seconds_per_user))


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text)
    if not found:
        raise RequestRefused(
            f"ChangeWindows has {text!r}, which is not a window. Write it like MON-FRI 20:00-06:00"
            " or SAT 00:00-24:00, with semicolons between windows."
        )
    start, end = _minutes(found["start"]), _minutes(found["end"])
    if start == end:
        raise RequestRefused(
            f"ChangeWindows has {text!r}, which ends when it begins. For a whole day write"
            f" {found['first']} 00:00-24:00."
        )
    first, last = _DAYS.index(found["first"]), _DAYS.index(found["last"] or found["first"])
    days = frozenset((first + number) % 7 for number in range((last - first) % 7 + 1))
    return Window(days, start, end)


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
