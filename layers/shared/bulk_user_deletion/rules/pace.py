"""How fast the portal is asked to delete: what its answers show, and the resulting pause."""

from dataclasses import replace

from bulk_user_deletion.models.runs import Pace, Pacing
from bulk_user_deletion.rules.answers import Answer, Transport

FIRST_WAIT = 5
LONGEST_WAIT = 300

# The longest time that a portal may ask a run to wait. Beyond that the run stops, to be resumed: it
# does not hold the portal's lock for a day. Other runs wait no longer than this either: a longer
# time may be a mistake, and one header must not keep everyone out.
LONGEST_PATIENCE = 3600

_SMOOTHING = 0.2


def observe(pace: Pace, answer: Answer, *, is_delete: bool, now: float) -> Pace:
    """Return the pace after an answer: the same one if the answer shows nothing new.

    A 429, a 5xx, a lost answer, or a DELETE that took half as long again as usual doubles the
    wait, up to `LONGEST_WAIT`; a DELETE that went well halves it. With several users at a time,
    answers to requests that were sent before the last change of the wait do not change it again:
    they reflect the earlier pace. `Retry-After` applies to all runs.
    """
    strained = is_strained(answer)
    usual, wait, changed_at = pace.seconds_per_delete, pace.wait_seconds, pace.changed_at
    slow = is_delete and bool(usual) and answer.seconds > 1.5 * usual + 1
    if now - answer.seconds >= changed_at:
        if strained or slow:
            wait = min(LONGEST_WAIT, max(FIRST_WAIT, 2 * wait))
        elif is_delete:
            wait = wait // 2 if wait >= 2 * FIRST_WAIT else 0
    if wait != pace.wait_seconds:
        changed_at = int(now)
    # A difference within a tenth and half a second is normal: there is nothing to record.
    if is_delete and not strained and abs(answer.seconds - usual) > 0.1 * usual + 0.5:
        usual = round(usual + _SMOOTHING * (answer.seconds - usual) if usual else answer.seconds, 1)
    after = replace(
        pace,
        seconds_per_delete=usual,
        wait_seconds=wait,
        changed_at=changed_at,
        quiet_until=_quiet_until(pace, answer, now),
    )
    return pace if after == pace else replace(after, version=pace.version + 1)


def asked_to_wait(pace: Pace, answer: Answer, *, now: float) -> Pace:
    """Return the pace after an answer that only counts for its `Retry-After`."""
    after = replace(pace, quiet_until=_quiet_until(pace, answer, now))
    return pace if after == pace else replace(after, version=pace.version + 1)


def _quiet_until(pace: Pace, answer: Answer, now: float) -> int:
    if not is_strained(answer) or answer.retry_after is None:
        return pace.quiet_until
    return max(pace.quiet_until, int(now) + 1 + min(answer.retry_after, LONGEST_PATIENCE))


def is_strained(answer: Answer) -> bool:
    """Return whether an answer is a sign that the portal is overloaded."""
    status = answer.status or 0
    return answer.transport is Transport.LOST or status == 429 or status >= 500


def pause(pacing: Pacing, pace: Pace, *, least: int) -> int:
    """Return the pause after each DELETE: `least`, or the adaptive pause if that is longer."""
    return max(least, pace.wait_seconds) if pacing is Pacing.ADAPTIVE else least


def patience_problem(retry_after: int | None) -> str:
    """Return why the run cannot wait as long as the portal asks, or an empty string if it can."""
    if retry_after is None or retry_after <= LONGEST_PATIENCE:
        return ""
    return (
        f"The portal asks to be left alone for {retry_after} s, and a run waits"
        f" {LONGEST_PATIENCE} s at most. When that time is over, resume the run."
    )
