"""What a portal's log shows of leavers: whether each was deleted when that was right.

It judges by the requests alone: what each look showed, what each PUT asked for. What a person
decides, and how long the grace time is, it is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from local.portal import Fault, Request

DAY = 24 * 3600

# The application counts in whole seconds.
_ROUNDING_SECONDS = 1

# The portal did nothing, and said so.
DEFINITE_REFUSALS = {
    Fault.BUSY_503,
    Fault.DEADLOCK,
    Fault.TOO_MANY_REQUESTS,
    Fault.TOO_MANY_REQUESTS_DATE,
    Fault.UNAUTHORIZED,
    Fault.SESSION_EXPIRED,
}


@dataclass
class _Seen:
    """What looks have shown of a user, and what was decided.

    `disabled_at` is since when each look shows this very person disabled. `put_sent` and `is_ours`
    say that a PUT of ours to disable the user was sent, and that a look after it showed the effect.
    `rehired` says that somebody enabled the user since.
    """

    person: tuple[str, str] = ("", "")
    access: str = ""
    disabled_at: float | None = None
    grace_days: float = 0
    put_sent: bool = False
    is_ours: bool = False
    rehired: bool = False
    withdrawn: bool = False


@dataclass
class Witness:
    """Follows the log in its order. What must not happen is found by user id."""

    grace_days: float
    before_due: set[int] = field(default_factory=set)  # sent a DELETE before it was due
    taken_back: set[int] = field(default_factory=set)  # or after a withdrawal, or a rehire
    disabled_though_withdrawn: set[int] = field(default_factory=set)
    enabled_not_ours: set[int] = field(default_factory=set)  # by a PUT, though we did not disable
    put_unseen: set[int] = field(default_factory=set)  # no look right before showed it was needed
    _users: dict[int, _Seen] = field(default_factory=dict)

    def follow(
        self, requests: Iterable[Request], *, direct: bool = False, heard: bool = True
    ) -> None:
        """Take note of the next requests.

        `direct` says that a DELETE is not one of a leaver who is due. Without `heard`, the function
        was killed with what it saw, so that nobody knows who was seen enabled.
        """
        for request in requests:
            if request.user_id is None:
                continue
            seen = self._users.setdefault(request.user_id, _Seen())
            match request.method:
                case "GET" if request.status == 404 and not request.fault:
                    self._users[request.user_id] = _Seen(withdrawn=seen.withdrawn)
                case "GET" if request.told:
                    self._look(seen, request, request.told, heard=heard)
                case "PUT" if request.sent:
                    self._put(seen, request, request.user_id, request.sent)
                case "DELETE" if not direct:
                    self._delete(seen, request, request.user_id)

    def changed_grace(self, days: float) -> None:
        """Take note of another `GraceDays`: whoever waits already has the longer one."""
        self.grace_days = days
        for seen in self._users.values():
            seen.grace_days = min(seen.grace_days, days)

    def withdrawn(self, user_ids: Iterable[int]) -> None:
        """Take note of who must not be deleted, until a person names the user by id."""
        for user_id in user_ids:
            self._users.setdefault(user_id, _Seen()).withdrawn = True

    def named(self, user_ids: Iterable[int]) -> None:
        """Take note of whom a person names by id."""
        for user_id in user_ids:
            seen = self._users.setdefault(user_id, _Seen())
            seen.withdrawn = seen.rehired = False

    def access(self, user_id: int) -> str:
        """Return what the last look at a user showed of their access: Y, N, or nothing."""
        return self._users.get(user_id, _Seen()).access

    def _look(self, seen: _Seen, request: Request, told: Any, *, heard: bool) -> None:
        person = (str(told["username"]).casefold(), str(told["email"]).casefold())
        seen.access = str(told["enabled"]).upper()
        if person != seen.person:
            seen.person, seen.disabled_at, seen.is_ours = person, None, False
        if seen.access == "N":
            if seen.disabled_at is None:
                seen.disabled_at, seen.grace_days = request.when, self.grace_days
            seen.is_ours = seen.is_ours or seen.put_sent
            seen.put_sent = False
        elif seen.disabled_at is not None and heard:
            seen.disabled_at, seen.is_ours, seen.rehired = None, False, True

    def _put(self, seen: _Seen, request: Request, user_id: int, asked: Any) -> None:
        if seen.access == asked["enabled"] or not seen.access:
            self.put_unseen.add(user_id)
        if asked["enabled"] == "Y":
            if not seen.is_ours:
                self.enabled_not_ours.add(user_id)
            return
        if seen.withdrawn:
            self.disabled_though_withdrawn.add(user_id)
        seen.rehired = False
        seen.put_sent = seen.put_sent or request.fault not in DEFINITE_REFUSALS

    def _delete(self, seen: _Seen, request: Request, user_id: int) -> None:
        if seen.withdrawn or seen.rehired:
            self.taken_back.add(user_id)
            return
        days = max(self.grace_days, seen.grace_days)
        least = days * DAY - _ROUNDING_SECONDS
        if seen.disabled_at is None or request.when - seen.disabled_at < least:
            self.before_due.add(user_id)
