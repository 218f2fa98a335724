"""What the portal's answers mean: the only table of statuses and transport errors, by call."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import NoneType
from typing import Any

from bulk_user_deletion.rules.text import one_line

_LONGEST_MESSAGE = 300


class Transport(StrEnum):
    """Why there is no complete answer."""

    NOT_SENT = "not_sent"  # no connection: the portal never saw the request
    LOST = "lost"  # timeout or reset: the portal may have acted on the request
    TOO_LARGE = "too_large"  # the body was larger than any valid answer


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is the decoded JSON, None if there was none to decode.

    `seconds` is how long the answer took, `retry_after` the seconds that the portal asks us to
    wait, `served_at` the time of its clock.
    """

    status: int | None
    body: Any = None
    transport: Transport | None = None
    seconds: float = 0.0
    retry_after: int | None = None
    served_at: float | None = None

    @property
    def message(self) -> str:
        """The portal's own error message, if this is one of its errors."""
        if isinstance(self.body, dict) and self.body.get("status") == "ERROR":
            return str(self.body.get("message", ""))
        return ""

    @property
    def portal_message(self) -> str:
        """The portal's own words for a report: one line of printable text of limited length.

        It may contain personal data, so it stays in the ledger's and the report's rows (rule 6).
        """
        return one_line(self.message, longest=_LONGEST_MESSAGE)

    @property
    def is_portal_error(self) -> bool:
        """True for the portal's own JSON error body; a proxy's page is not one."""
        return isinstance(self.body, dict) and self.body.get("status") == "ERROR"

    @property
    def is_success(self) -> bool:
        """True for any 2xx, regardless of its body."""
        return 200 <= (self.status or 0) < 300

    def describe(self) -> str:
        """Describe the answer for an operator, without its body, which may contain personal data."""
        if self.transport:
            return f"no answer ({self.transport})"
        if self.status == 200 and not isinstance(self.body, dict):
            return "HTTP 200, but no JSON object"
        if self.is_success:
            return f"HTTP {self.status}" + (", but an error" if self.is_portal_error else "")
        kind = "" if self.is_portal_error else ", not the portal's own error"
        return f"HTTP {self.status}{kind}"


class Call(StrEnum):
    """The kind of request that was sent to the portal."""

    TOKEN = "token"  # noqa: S105 -- POST /api/get_token
    READ = "read"  # GET of the users or of a dataset
    LOOK = "look"  # GET of one user
    DELETE = "delete"  # DELETE of one user
    PUT = "put"  # PUT of one user's field


class Verdict(StrEnum):
    """What to do now."""

    OK = "ok"
    GONE = "gone"  # the portal itself says that the user does not exist; two looks must agree
    TRY_AGAIN = "try_again"  # definitely nothing happened: wait, then retry
    LOOK = "look"  # something may have happened: look, never guess
    RENEW_TOKEN = "renew_token"  # noqa: S105
    REFUSE = "refuse"  # the portal refuses this: fail the user, or refuse the source
    STOP_CREDENTIALS = "stop_credentials"
    STOP_USER_MANAGEMENT = "stop_user_management"
    STOP_UNUSABLE = "stop_unusable"  # no decision can be based on this


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table: which answers it applies to, and the verdict for each call."""

    answer: str
    applies: Callable[[Answer], bool]
    token: Verdict
    read: Verdict
    look: Verdict
    delete: Verdict
    put: Verdict

    def verdict(self, call: Call) -> Verdict:
        return {
            Call.TOKEN: self.token,
            Call.READ: self.read,
            Call.LOOK: self.look,
            Call.DELETE: self.delete,
            Call.PUT: self.put,
        }[call]


def _status(*statuses: int, own: bool | None = None) -> Callable[[Answer], bool]:
    """Match statuses; `own` True or False matches only with or without the portal's error body."""
    return lambda answer: (
        answer.status in statuses and (own is None or own is answer.is_portal_error)
    )


def _between(first: int, last: int, *, own: bool | None = None) -> Callable[[Answer], bool]:
    return _status(*range(first, last + 1), own=own)


def _says(text: str, *statuses: int) -> Callable[[Answer], bool]:
    return lambda answer: answer.status in statuses and text in answer.message.lower()


def _ok_with(kind: type) -> Callable[[Answer], bool]:
    return lambda answer: answer.status == 200 and isinstance(answer.body, kind)


def _without(transport: Transport) -> Callable[[Answer], bool]:
    return lambda answer: answer.transport is transport


_OK, _AGAIN, _LOOK, _GONE = Verdict.OK, Verdict.TRY_AGAIN, Verdict.LOOK, Verdict.GONE
_RENEW, _REFUSE, _UNUSABLE = Verdict.RENEW_TOKEN, Verdict.REFUSE, Verdict.STOP_UNUSABLE
_CREDENTIALS, _MANAGEMENT = Verdict.STOP_CREDENTIALS, Verdict.STOP_USER_MANAGEMENT

# The first row that applies decides. "Own" is the portal's own JSON error body: a proxy in front of
# the portal does not speak for it, and so cannot say that a request had no effect. The body of a 2xx
# to a DELETE or a PUT is not relied on: a look follows anyway. Redirects are not followed, because the token
# must not go anywhere else.
# fmt: off
RULES = (
    #     answer                       applies                         asking for    reading      looking at   deleting     changing
    #                                                                  a token       a list       a user       a user       a user
    Rule("no connection",              _without(Transport.NOT_SENT),   _AGAIN,       _AGAIN,      _AGAIN,      _AGAIN,      _AGAIN),
    Rule("timeout, reset, TLS error",  _without(Transport.LOST),       _AGAIN,       _AGAIN,      _AGAIN,      _LOOK,       _LOOK),
    Rule("a body that is too large",   _without(Transport.TOO_LARGE),  _UNUSABLE,    _UNUSABLE,   _UNUSABLE,   _LOOK,       _LOOK),
    Rule("200 with its own error",     _status(200, own=True),         _UNUSABLE,    _UNUSABLE,   _REFUSE,     _OK,         _OK),
    Rule("200 with a JSON object",     _ok_with(dict),                 _OK,          _OK,         _OK,         _OK,         _OK),
    Rule("200 without whole JSON",     _ok_with(NoneType),             _AGAIN,       _AGAIN,      _AGAIN,      _OK,         _OK),
    Rule("any other 2xx",              _between(200, 299),             _UNUSABLE,    _UNUSABLE,   _UNUSABLE,   _OK,         _OK),
    Rule("401, no user management",    _says("user management", 401),  _MANAGEMENT,  _MANAGEMENT, _MANAGEMENT, _MANAGEMENT, _MANAGEMENT),
    Rule("401, 412",                   _status(401, 412),              _CREDENTIALS, _RENEW,      _RENEW,      _RENEW,      _RENEW),
    Rule("400, 500, a deadlock",       _says("deadlock", 400, 500),    _AGAIN,       _AGAIN,      _AGAIN,      _AGAIN,      _AGAIN),
    Rule("400, own",                   _status(400, own=True),         _CREDENTIALS, _REFUSE,     _REFUSE,     _REFUSE,     _REFUSE),
    Rule("400",                        _status(400),                   _CREDENTIALS, _REFUSE,     _REFUSE,     _LOOK,       _LOOK),
    Rule("403, own",                   _status(403, own=True),         _CREDENTIALS, _REFUSE,     _REFUSE,     _REFUSE,     _REFUSE),
    Rule("403",                        _status(403),                   _CREDENTIALS, _REFUSE,     _MANAGEMENT, _LOOK,       _LOOK),
    Rule("404, 410, own",              _status(404, 410, own=True),    _UNUSABLE,    _REFUSE,     _GONE,       _GONE,       _GONE),
    Rule("404",                        _status(404),                   _UNUSABLE,    _REFUSE,     _AGAIN,      _LOOK,       _LOOK),
    Rule("429",                        _status(429),                   _AGAIN,       _AGAIN,      _AGAIN,      _AGAIN,      _AGAIN),
    Rule("any other 4xx, own",         _between(400, 499, own=True),   _UNUSABLE,    _REFUSE,     _REFUSE,     _REFUSE,     _REFUSE),
    Rule("any other 4xx",              _between(400, 499),             _UNUSABLE,    _REFUSE,     _REFUSE,     _LOOK,       _LOOK),
    Rule("503, own",                   _status(503, own=True),         _AGAIN,       _AGAIN,      _AGAIN,      _AGAIN,      _AGAIN),
    Rule("any other 5xx",              _between(500, 599),             _AGAIN,       _AGAIN,      _AGAIN,      _LOOK,       _LOOK),
    Rule("a redirect, anything else",  lambda _: True,                 _UNUSABLE,    _UNUSABLE,   _UNUSABLE,   _LOOK,       _LOOK),
)
# fmt: on


def judge(call: Call, answer: Answer) -> Verdict:
    """Decide what an answer means for the call that got it."""
    return next(rule.verdict(call) for rule in RULES if rule.applies(answer))
