"""Answers of the portal, and of what is in front of it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from local.portal.faults import Fault
from local.portal.knobs import Knobs

_PAGE = "<html><body><h1>{}</h1></body></html>"


@dataclass(frozen=True)
class Answer:
    """What is sent back, without what the server adds."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def json_answer(status: int, body: object, *headers: tuple[str, str]) -> Answer:
    """Return a document as JSON."""
    return Answer(status, json.dumps(body).encode(), headers=headers)


def error_answer(status: int, message: str, *headers: tuple[str, str]) -> Answer:
    """Return an error as the portal itself words it."""
    return json_answer(status, {"status": "ERROR", "message": message}, *headers)


def page(status: int, title: str) -> Answer:
    """Return a page, as a front proxy sends it."""
    return Answer(status, _PAGE.format(title).encode(), "text/html")


def instead(fault: Fault, knobs: Knobs, *, elsewhere: str, now: float) -> Answer:
    """Return the answer to a request that the fault keeps from having any effect.

    `elsewhere` is where a redirect points, `now` the time of the portal's clock.
    """
    match fault:
        case Fault.TIMEOUT_504_BEFORE:
            return page(504, "Gateway Time-out")
        case Fault.BAD_GATEWAY_BEFORE:
            return page(502, "Bad Gateway")
        case Fault.HTML_503:
            return page(503, "Service Unavailable")
        case Fault.BUSY_503:
            return error_answer(503, "Try again later")
        case Fault.TOO_MANY_REQUESTS:
            after = str(knobs.retry_after_seconds)
            return error_answer(429, "Too many requests", ("Retry-After", after))
        case Fault.TOO_MANY_REQUESTS_DATE:
            later = datetime.fromtimestamp(now + knobs.retry_after_seconds, UTC)
            return error_answer(
                429, "Too many requests", ("Retry-After", format_datetime(later, usegmt=True))
            )
        case Fault.DEADLOCK:
            return error_answer(
                500, "Deadlock found when trying to get lock; try restarting transaction"
            )
        case Fault.BAD_REQUEST:
            return error_answer(400, "Bad request")
        case Fault.FORBIDDEN:
            return error_answer(403, "Forbidden")
        case Fault.CONFLICT:
            return error_answer(409, knobs.refusal)
        case Fault.OWN_404:
            return error_answer(404, "User not found")
        case Fault.SERVER_ERROR:
            return error_answer(500, "Something went wrong")
        case Fault.ERROR_200:
            return error_answer(200, "Something went wrong")
        case Fault.UNAUTHORIZED:
            return error_answer(401, "Unauthorized")
        case Fault.SESSION_EXPIRED:
            return error_answer(412, "Session expired")
        case Fault.PROXY_404:
            return page(404, "Not Found")
        case Fault.HTML_200:
            return page(200, "Welcome")
        case Fault.EMPTY_LIST_200:
            return json_answer(200, [])
        case Fault.REDIRECT:
            where = knobs.location or elsewhere
            return Answer(302, headers=(("Location", where),))
        case _:
            raise ValueError(f"{fault} is not an answer")
