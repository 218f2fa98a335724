"""When a portal token expires, from the many formats in which a portal may write a time."""

import math
from datetime import UTC, datetime

from bulk_user_deletion.rules.text import counted

_DAY = 24 * 3600
_LONGEST_LIFE = _DAY
_LONGEST_REST = 30.0

# "Secrets Manager removes unlabeled versions when there are more than 100, but it does not remove
# versions created less than 24 hours ago": after this many in a day, it refuses more.
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
MOST_VERSIONS_A_DAY = 100


def parse_expires(expires: object, *, now: float, fallback_seconds: int) -> float:
    """Return when a token issued at `now` expires, in epoch seconds.

    `expires` may be epoch seconds (number or digits), ISO 8601 with or without a zone, or
    `YYYY-MM-DD HH:MM:SS`; without a zone it is read as UTC. A value that cannot be read, is in the
    past, or is more than a day ahead (a misread zone) gives `now + fallback_seconds`. This is only
    an estimate: a rejected token is renewed, whatever its expected expiry.
    """
    parsed = moment(expires)
    if parsed is not None and now < parsed <= now + _LONGEST_LIFE:
        return parsed
    return now + fallback_seconds


def moment(value: object) -> float | None:
    """Read a time, in epoch seconds; None if it is not a time. Without a zone it is read as UTC.

    It may be epoch seconds (a number or digits), ISO 8601, or `YYYY-MM-DD HH:MM:SS`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer too large for a float
        return None
    except ValueError:
        pass
    try:
        read = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def outlives_margin(
    *, issued_at: float, expires_at: float, now: float, seconds_per_delete: float = 0
) -> bool:
    """Return whether a token is valid for long enough to start another user with it.

    The margin is a tenth of its lifetime, at most 30 s, plus the time that a DELETE has been
    taking, so that the look after it needs no other token. It is never more than half of the
    lifetime, so that every new token can be used. The margin only saves requests: a request that is
    in progress when the token expires is not affected, and one that comes too late is rejected
    before it has any effect.
    """
    return expires_at - now > _margin(expires_at - issued_at, seconds_per_delete)


def _margin(life: float, seconds_per_delete: float) -> float:
    return min(min(_LONGEST_REST, life / 10) + seconds_per_delete, life / 2)


def renewals_warning(*, run_seconds: float, life_seconds: float, seconds_per_delete: float) -> str:
    """Return a warning if a run will renew its token more often than Secrets Manager allows.

    `run_seconds` is how long the run is expected to take, `life_seconds` the lifetime of a token.
    See docs/adr/0014-token-versions.md.
    """
    used = life_seconds - _margin(life_seconds, seconds_per_delete)
    in_a_day = min(run_seconds, _DAY)
    if in_a_day <= MOST_VERSIONS_A_DAY * used:
        return ""
    enough = in_a_day / MOST_VERSIONS_A_DAY + _LONGEST_REST + seconds_per_delete
    return (
        f"This takes about {_about(run_seconds)}, and the portal's tokens last"
        f" {life_seconds:.0f} s. Secrets Manager accepts {MOST_VERSIONS_A_DAY} new ones a day, so"
        f" the run will stop after about {_about(MOST_VERSIONS_A_DAY * used)}, and can be resumed"
        " a day later. To avoid that, raise API_TOKEN_LIFE_TIME in the portal to"
        f" {math.ceil(enough / 60)} minutes or more."
    )


def _about(seconds: float) -> str:
    hours = round(seconds / 3600)
    return counted(hours, "hour") if hours >= 2 else counted(round(seconds / 60), "minute")
