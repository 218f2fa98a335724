"""What `Retry-After` and `Date` say, and that reading them never fails."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk_user_deletion.rules.headers import LONGEST_RETRY_AFTER, http_date, retry_after

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        (" 120 ", 120),
        ("007", 7),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Thu, 26 Nov 2026 12:02:00 GMT", 120),
        ("Thu, 26 Nov 2026 12:02:00", 120),  # without a zone: UTC
        ("Thu, 26 Nov 2026 13:02:00 +0100", 120),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0),
        ("1795694400", LONGEST_RETRY_AFTER),  # as large as an epoch
        ("9" * 30, LONGEST_RETRY_AFTER),
        ("9" * 5000, LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: int | None) -> None:
    assert retry_after(header, now=NOW) == seconds


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        (None, None),
        ("Thu, 26 Nov 2026 12:00:00 GMT", NOW),
        ("Thu, 26 Nov 2026 12:00:00", NOW),
        ("Thu, 26 Nov 2026 12:00:00 -0000", NOW),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
        ("Thu, 26 Nov 2026 12:00:00 +9999999999999999", None),
        ("yesterday", None),
    ],
)
def test_a_date_is_epoch_seconds_or_nothing(header: str | None, moment: float | None) -> None:
    assert http_date(header) == moment


# Text that resembles a date, and any other.
parts = st.sampled_from(
    [
        *("Thu,", "26", "Nov", "2026", "0001", "9999", "99999", "9" * 20, "9" * 4400),
        *("12:00:00", "24:61:61", "12:00", "GMT", "+0000", "-9999", "+99999999999", "EST"),
        *(",", ":", "-", "²", "٣"),
    ]
)
header_text = st.lists(parts, max_size=8).map(" ".join) | st.text(max_size=60)


@given(header_text)
@example("Fri, 31 Dec 99999999999999999999 23:59:59 GMT")
def test_reading_a_header_never_fails(header: str) -> None:
    seconds, moment = retry_after(header, now=NOW), http_date(header)

    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER
    assert moment is None or abs(moment) < 10**12


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_date_of_four_digits_is_read(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)

    assert http_date(format_datetime(moment, usegmt=True)) == moment.timestamp()
