"""What a portal's log shows about leavers: whether each was deleted when that was right.

It judges only by the requests: what each look showed, what each PUT asked for. It is told
what a person decides, and how long the grace time is.
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


Person = tuple[int, str, str]  # id, username and e-mail


@dataclass
class _Seen:
    """What looks have shown about a person.

    `disabled_at` is since when each look shows them disabled. `put_sent` and `is_ours` say that
    we sent a PUT to disable them, and that a look after it showed the effect. `rehired` says
    that a look has shown them enabled since they were disabled.
    """

    disabled_at: float | None = None
    grace_days: float = 0
    put_sent: bool = False
    is_ours: bool = False
    rehired: bool = False


@dataclass
class Witness:
    """Follows the log in order. Violations are recorded by user id."""

    grace_days: float
    before_due: set[int] = field(default_factory=set)  # sent a DELETE before it was due
    taken_back: set[int] = field(default_factory=set)  # or after a withdrawal, or a rehire
    disabled_though_withdrawn: set[int] = field(default_factory=set)
    enabled_not_ours: set[int] = field(default_factory=set)  # by a PUT, though we did not disable
    put_unseen: set[int] = field(default_factory=set)  # no look right before showed it was needed
    _people: dict[Person, _Seen] = field(default_factory=dict)
    _last: dict[int, tuple[Person, str]] = field(default_factory=dict)  # who, and Y or N
    _withdrawn: set[int] = field(default_factory=set)

    def follow(
        self, requests: Iterable[Request], *, direct: bool = False, heard: bool = True
    ) -> None:
        """Take note of the next requests.

        `direct` says that a DELETE is not for a leaver who is due. Without `heard`, the function
        was killed with what it saw, so it is not known who was seen enabled.
        """
        for request in requests:
            if request.user_id is None:
                continue
            match request.method:
                case "GET" if request.told:
                    self._look(request, request.user_id, request.told, heard=heard)
                case "PUT" if request.sent:
                    self._put(request, request.user_id, request.sent)
                case "DELETE" if not direct:
                    self._delete(request, request.user_id)

    def changed_grace(self, days: float) -> None:
        """Take note of another `GraceDays`: leavers who are already waiting keep the longer one."""
        self.grace_days = days
        for seen in self._people.values():
            seen.grace_days = min(seen.grace_days, days)

    def withdrawn(self, user_ids: Iterable[int]) -> None:
        """Take note of who must not be deleted, until a person names the user by id."""
        self._withdrawn.update(user_ids)

    def named(self, user_ids: Iterable[int]) -> None:
        """Take note of whom a person names by id."""
        named = set(user_ids)
        self._withdrawn -= named
        for person, seen in self._people.items():
            seen.rehired = seen.rehired and person[0] not in named

    def access(self, user_id: int) -> str:
        """Return what the last look at a user showed about their access: Y, N, or nothing."""
        return self._last[user_id][1] if user_id in self._last else ""

    def _look(self, request: Request, user_id: int, told: Any, *, heard: bool) -> None:
        person = (user_id, str(told["username"]).casefold(), str(told["email"]).casefold())
        access = str(told["enabled"]).upper()
        self._last[user_id] = person, access
        seen = self._people.setdefault(person, _Seen())
        if access == "N":
            if seen.disabled_at is None:
                seen.disabled_at, seen.grace_days = request.when, self.grace_days
            seen.is_ours = seen.is_ours or seen.put_sent
            seen.put_sent = False
        elif seen.disabled_at is not None and heard:
            seen.disabled_at, seen.is_ours, seen.rehired = None, False, True

    def _put(self, request: Request, user_id: int, asked: Any) -> None:
        if user_id not in self._last or self.access(user_id) == asked["enabled"]:
            self.put_unseen.add(user_id)
            return
        seen = self._people[self._last[user_id][0]]
        if asked["enabled"] == "Y":
            if not seen.is_ours:
                self.enabled_not_ours.add(user_id)
            return
        if user_id in self._withdrawn:
            self.disabled_though_withdrawn.add(user_id)
        seen.rehired = False
        seen.put_sent = seen.put_sent or request.fault not in DEFINITE_REFUSALS

    def _delete(self, request: Request, user_id: int) -> None:
        person, access = self._last.get(user_id, ((user_id, "", ""), ""))
        seen = self._people.get(person, _Seen())
        if user_id in self._withdrawn or seen.rehired or access != "N":
            self.taken_back.add(user_id)
            return
        days = max(self.grace_days, seen.grace_days)
        least = days * DAY - _ROUNDING_SECONDS
        if seen.disabled_at is None or request.when - seen.disabled_at < least:
            self.before_due.add(user_id)
