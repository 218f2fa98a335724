"""When a portal token ends, from the many ways a portal may say it."""

from datetime import UTC, datetime

_LONGEST_LIFE = 24 * 3600


def parse_expires(expires: object, *, now: float, fallback_seconds: int) -> float:
    """Return when a token issued at `now` expires, in epoch seconds.

    `expires` may be epoch seconds (number or digits), ISO 8601 with or without a zone, or
    `YYYY-MM-DD HH:MM:SS`; without a zone it is read as UTC. What cannot be read, or lies in the
    past or more than a day ahead (a zone read wrongly), gives `now + fallback_seconds`. The guess
    is only that: a rejected token is renewed, whatever was expected of it.
    """
    parsed = _parse(expires)
    if parsed is not None and now < parsed <= now + _LONGEST_LIFE:
        return parsed
    return now + fallback_seconds


def _parse(expires: object) -> float | None:
    if isinstance(expires, bool) or not isinstance(expires, int | float | str):
        return None
    try:
        return float(expires)
    except OverflowError:  # an integer beyond every float
        return None
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(str(expires).strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def outlives_margin(*, issued_at: float, expires_at: float, now: float) -> bool:
    """Tell whether a token has enough life left to begin another user with it.

    The margin is a tenth of its life, 30 s at most: a request that is under way when the token
    ends is not affected, and one that comes late is rejected before it has any effect.
    """
    return expires_at - now > min(30.0, (expires_at - issued_at) / 10)
