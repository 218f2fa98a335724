"""When a portal token ends, from the many ways a portal may say it."""

from datetime import UTC, datetime

_LONGEST_LIFE = 24 * 3600

# Secrets Manager wants no more than a new version every 10 minutes, over a day; a token is renewed
# some time before it ends.
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
SHORTEST_LIFE = 12 * 60


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


def outlives_margin(
    *, issued_at: float, expires_at: float, now: float, seconds_per_delete: float = 0
) -> bool:
    """Tell whether a token has enough life left to begin another user with it.

    The margin is a tenth of its life, 30 s at most, and the time that a DELETE has been taking, so
    that the look after it needs no other token; but never more than half of its life, so that
    every new token is good for something. It only saves requests: one that is under way when the
    token ends is not affected, and one that comes late is rejected before it has any effect.
    """
    life = expires_at - issued_at
    return expires_at - now > min(min(30.0, life / 10) + seconds_per_delete, life / 2)


def short_life_warning(life_seconds: float) -> str:
    """Warn of tokens that have to be renewed more often than Secrets Manager likes, or nothing."""
    if life_seconds >= SHORTEST_LIFE:
        return ""
    return (
        f"The portal's tokens live {life_seconds:.0f} s. Secrets Manager wants no more than a new"
        " one every 10 minutes: raise API_TOKEN_LIFE_TIME in the portal to 15 minutes or more, or a"
        " long run may stop on the way, to be resumed a day later."
    )
