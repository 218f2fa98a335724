"""What can go wrong with a single request, on purpose."""

import random
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What happens to a request instead of its normal answer.

    `…_BEFORE` and `…_AFTER` say whether it happens before or after the request takes effect.
    """

    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    HANG_BEFORE = "hang_before"  # no answer until the server closes, and no effect
    HANG_AFTER = "hang_after"
    TIMEOUT_504_BEFORE = "timeout_504_before"  # the request never reached the portal
    TIMEOUT_504_AFTER = "timeout_504_after"  # the front proxy times out; the portal has finished
    TIMEOUT_504_MEANWHILE = (
        "timeout_504_meanwhile"  # the front proxy times out; the portal continues
    )
    BAD_GATEWAY_BEFORE = "bad_gateway_before"
    HTML_503 = "html_503"
    BUSY_503 = "busy_503"  # the portal's own, before it does anything
    TOO_MANY_REQUESTS = "too_many_requests"  # 429 with Retry-After in seconds
    TOO_MANY_REQUESTS_DATE = "too_many_requests_date"  # and as an HTTP date
    DEADLOCK = "deadlock"
    BAD_REQUEST = "bad_request"
    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"
    UNAUTHORIZED = "unauthorized"
    SESSION_EXPIRED = "session_expired"
    PROXY_404 = "proxy_404"
    OWN_404 = "own_404"  # the portal's own, even if the user exists
    SERVER_ERROR = "server_error"  # the portal's own 500
    ERROR_200 = "error_200"  # the portal's own error, with 200
    HTML_200 = "html_200"
    EMPTY_LIST_200 = "empty_list_200"
    TRUNCATED_200 = "truncated_200"
    REDIRECT = "redirect"
    HUGE_BODY = "huge_body"


@dataclass
class _Script:
    fault: Fault
    method: str
    user_id: int | None
    skip: int


@dataclass
class _Rate:
    fault: Fault
    method: str
    user_id: int | None
    rate: float
    random: random.Random


@dataclass
class FaultPlan:
    """Which requests get which fault: by script, or by a seeded rate."""

    scripts: list[_Script] = field(default_factory=list)
    rates: list[_Rate] = field(default_factory=list)

    def script(
        self, fault: Fault, *, method: str = "DELETE", user_id: int | None = None, nth: int = 1
    ) -> None:
        """Give the `nth` matching request from now on this fault, once."""
        self.scripts.append(_Script(fault, method, user_id, nth - 1))

    def rate(
        self,
        fault: Fault,
        rate: float,
        *,
        method: str = "DELETE",
        user_id: int | None = None,
        seed: int = 0,
    ) -> None:
        """Give this share of the matching requests this fault."""
        chance = random.Random(seed)  # noqa: S311
        self.rates.append(_Rate(fault, method, user_id, rate, chance))

    def clear(self) -> None:
        """Remove all faults."""
        self.scripts.clear()
        self.rates.clear()

    def next_for(self, method: str, user_id: int | None) -> Fault | None:
        """Return the fault for a request that has just arrived, if it has one."""
        for script in self.scripts:
            if script.method == method and script.user_id in (None, user_id):
                if script.skip == 0:
                    self.scripts.remove(script)
                    return script.fault
                script.skip -= 1
        for rate in self.rates:
            matches = rate.method == method and rate.user_id in (None, user_id)
            if matches and rate.random.random() < rate.rate:
                return rate.fault
        return None
