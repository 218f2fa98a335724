"""The two headers of an answer that are read. Reading them never raises, whatever they contain."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

# Thirty years: a longer wait makes no difference.
LONGEST_RETRY_AFTER = 10**9


def retry_after(header: str | None, *, now: float) -> int | None:
    """Read `Retry-After`: whole seconds or an HTTP date (RFC 9110, section 10.2.3).

    Returns the seconds to wait, at most `LONGEST_RETRY_AFTER`, or None if it is neither.
    """
    text = (header or "").strip()
    if re.fullmatch("[0-9]+", text):
        digits = text.lstrip("0")
        too_many = len(digits) > len(str(LONGEST_RETRY_AFTER))  # int() is slow then
        return LONGEST_RETRY_AFTER if too_many else min(int(digits or 0), LONGEST_RETRY_AFTER)
    moment = http_date(text)
    if moment is None:
        return None
    return max(0, min(round(moment - now), LONGEST_RETRY_AFTER))


def http_date(header: str | None) -> float | None:
    """Read an HTTP date, such as the server's clock in `Date` (RFC 9110, section 5.6.7).

    Returns epoch seconds, or None if it is not a valid date. Without a zone it is read as UTC.
    """
    try:
        moment = parsedate_to_datetime(header or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
