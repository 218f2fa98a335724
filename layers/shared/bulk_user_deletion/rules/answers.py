"""What the portal's answers mean: the one table of status or transport error, step by step."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Transport(StrEnum):
    """Why there is no whole answer."""

    NOT_SENT = "not_sent"  # no connection: the portal never saw the request
    LOST = "lost"  # time-out or reset: the portal may have acted on the request
    TOO_LARGE = "too_large"  # the body went on beyond what any answer needs


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is the decoded JSON, None when there was none to decode.

    `seconds` is how long the answer took, `retry_after` the seconds the portal asks us to wait.
    """

    status: int | None
    body: Any = None
    transport: Transport | None = None
    seconds: float = 0.0
    retry_after: int | None = None

    @property
    def message(self) -> str:
        """The portal's own error message, if this is one of its errors."""
        if isinstance(self.body, dict) and self.body.get("status") == "ERROR":
            return str(self.body.get("message", ""))
        return ""

    @property
    def is_portal_error(self) -> bool:
        """True for the portal's own JSON error body; a proxy's page is not one."""
        return isinstance(self.body, dict) and self.body.get("status") == "ERROR"

    def describe(self) -> str:
        """Name the answer for an operator. Bodies may hold personal data: they stay out."""
        if self.transport:
            return f"no answer ({self.transport})"
        success = 200 <= (self.status or 0) < 300
        kind = "" if success or self.is_portal_error else ", not the portal's own error"
        return f"HTTP {self.status}{kind}"


class Step(StrEnum):
    """What was asked of the portal."""

    TOKEN = "token"  # noqa: S105 -- POST /api/get_token
    READ = "read"  # GET of the users or of a dataset
    LOOK = "look"  # GET of one user
    DELETE = "delete"  # DELETE of one user


class Verdict(StrEnum):
    """What to do now."""

    OK = "ok"
    GONE = "gone"  # the portal itself says that there is no such user
    TRY_AGAIN = "try_again"  # definitely nothing happened: wait, then the same again
    LOOK = "look"  # something may have happened: look, never guess
    RENEW_TOKEN = "renew_token"  # noqa: S105
    REFUSE = "refuse"  # the portal will not do this: fail the user, or refuse the source
    STOP_CREDENTIALS = "stop_credentials"
    STOP_USER_MANAGEMENT = "stop_user_management"
    STOP_UNUSABLE = "stop_unusable"  # no decision can be based on this


def judge(step: Step, answer: Answer) -> Verdict:
    """Decide what an answer means for the step that got it."""
    if answer.transport:
        return _without_answer(step, answer.transport)
    status = answer.status or 0
    if status == 401 and "user management" in answer.message.lower():
        return Verdict.STOP_USER_MANAGEMENT
    match step, status:
        case _, 400 | 500 if "deadlock" in answer.message.lower():
            return Verdict.TRY_AGAIN
        case Step.TOKEN, 400 | 401 | 403 | 412:
            return Verdict.STOP_CREDENTIALS
        case _, 401 | 412:
            return Verdict.RENEW_TOKEN
        case Step.DELETE, _ if 200 <= status < 300:
            return Verdict.OK
        case _, 200 if answer.body is None:  # not JSON, or cut short
            return Verdict.TRY_AGAIN
        case _, 200:
            return Verdict.OK if isinstance(answer.body, dict) else Verdict.STOP_UNUSABLE
        case ((Step.LOOK | Step.DELETE), 404) if answer.is_portal_error:
            return Verdict.GONE
        case Step.LOOK, 404:  # a proxy's, with the portal perhaps behind it
            return Verdict.TRY_AGAIN
        case _, 429:
            return Verdict.TRY_AGAIN
        case _, 503 if answer.is_portal_error or step is not Step.DELETE:
            return Verdict.TRY_AGAIN
        case Step.LOOK, 403:
            return Verdict.STOP_USER_MANAGEMENT
        case Step.DELETE, _ if status >= 500 or not answer.is_portal_error:
            return Verdict.LOOK  # only the portal itself can say that it did nothing
        case _, _ if 400 <= status < 500 and step is not Step.TOKEN:
            return Verdict.REFUSE
        case _, _ if status >= 500:
            return Verdict.TRY_AGAIN
        case _:
            return Verdict.STOP_UNUSABLE


def _without_answer(step: Step, transport: Transport) -> Verdict:
    if transport is Transport.NOT_SENT:
        return Verdict.TRY_AGAIN
    if step is Step.DELETE:
        return Verdict.LOOK
    return Verdict.STOP_UNUSABLE if transport is Transport.TOO_LARGE else Verdict.TRY_AGAIN
