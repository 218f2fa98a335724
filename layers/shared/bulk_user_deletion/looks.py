"""Looks at single users: the only evidence of who exists and who is gone.

A list is not evidence: it may be incomplete, cached or filtered. It only says whom to look at.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from http import HTTPStatus

from bulk_user_deletion.errors import PortalAnswerUnusable
from bulk_user_deletion.models.runs import Control
from bulk_user_deletion.models.users import PortalUser
from bulk_user_deletion.portal import Portal, user_in
from bulk_user_deletion.rules.answers import Answer, Call, Verdict, judge
from bulk_user_deletion.rules.identity import api_users, is_api_user
from bulk_user_deletion.rules.looking import (
    gone_shape,
    ids_that_nobody_holds,
    is_plain,
    says_gone,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look found.

    `verdict` is OK with the `user`, GONE, TRY_AGAIN if the answer is inconclusive, REFUSE if the
    portal does not show this user or its record is incomplete, or a verdict that stops the run.
    """

    answer: Answer
    verdict: Verdict
    user: PortalUser | None = None

    @property
    def is_this_users(self) -> bool:
        """True if the portal itself has a problem with this user, and perhaps with no other."""
        if self.verdict is Verdict.REFUSE:
            return self.answer.is_portal_error or self.answer.status == HTTPStatus.OK
        status = self.answer.status or 0
        return (
            self.verdict is Verdict.TRY_AGAIN
            and self.answer.is_portal_error
            and status >= HTTPStatus.INTERNAL_SERVER_ERROR
            and status != HTTPStatus.SERVICE_UNAVAILABLE
        )

    def describe(self) -> str:
        """Describe what is wrong with the answer, without any names."""
        if self.user and self.user.lacks:
            return f"its record lacks {self.user.lacks}"
        if self.answer.status == 200 and self.user is None and not self.answer.is_portal_error:
            return "HTTP 200, but no user"
        return self.answer.describe()


@dataclass(frozen=True, slots=True)
class Looks:
    """Looks in one round of a run, judged by its control looks."""

    portal: Portal
    control: Control

    def at(self, user_id: str, *, again: bool = True) -> Seen:
        """Look at one user. With `again`, "gone" must be confirmed by a second look."""
        seen = self._once(user_id)
        return self._once(user_id) if again and seen.verdict is Verdict.GONE else seen

    def at_api_user(self) -> Seen | None:
        """Look at the user that our token acts as, who exists; return None if its id is not known.

        OK means exactly that user, with all its fields. TRY_AGAIN is inconclusive.

        Raises:
            TokenRejected
        """
        if not self.control.self_ids:
            return None
        user_id = self.control.self_ids[0]
        answer = self.portal.look(user_id)
        if says_gone(answer, learned=self.control.gone):
            return Seen(answer, Verdict.GONE)
        seen = _seen(answer)
        if seen.verdict is Verdict.RENEW_TOKEN:
            self.portal.raise_for(seen.verdict, answer, f"looked at user {user_id}")
        if seen.user and seen.user.user_id != user_id:
            return replace(seen, verdict=Verdict.REFUSE)
        return seen

    def api_user_answers(self) -> bool:
        """Return whether the portal shows the user that our token acts as, with all its fields.

        Raises:
            TokenRejected, PortalUnavailable: this cannot be determined now; retry.
        """
        seen = self.at_api_user()
        if seen and seen.verdict is Verdict.TRY_AGAIN:
            what = f"looked at user {self.control.self_ids[0]}"
            self.portal.raise_for(seen.verdict, seen.answer, what)
        return seen is not None and seen.verdict is Verdict.OK

    def _once(self, user_id: str) -> Seen:
        answer = self.portal.look(user_id)
        if says_gone(answer, learned=self.control.gone):
            if is_plain(gone_shape(answer)):
                return Seen(answer, Verdict.GONE)
            witness = self.at_api_user()
            is_shown = witness is not None and witness.verdict is Verdict.OK
            return Seen(answer, Verdict.GONE if is_shown else Verdict.TRY_AGAIN)
        return _seen(answer)


def _seen(answer: Answer) -> Seen:
    verdict = judge(Call.LOOK, answer)
    if answer.status != HTTPStatus.OK or answer.body is None or answer.is_portal_error:
        return Seen(answer, verdict)
    user = user_in(answer)
    return Seen(answer, Verdict.OK if user and not user.lacks else Verdict.REFUSE, user)


def control_looks(portal: Portal, users: Collection[PortalUser]) -> Control:
    """Look at our own user, who exists, and at ids that nobody has: the answers must differ.

    Sends two requests, and a third if the portal has a special way to say "nobody".

    Raises:
        PortalAnswerUnusable: our own user is not listed or not shown, or a look does not
            distinguish a user who exists from nobody.
        TokenRejected, UserManagementDenied, PortalUnavailable
    """
    ours = api_users(users, portal.user, user_id=portal.user_id)
    if not ours and not portal.user_id:
        raise PortalAnswerUnusable(
            "The portal does not list the user that our token acts as: it shows us only some of its"
            " users. Use an administrator in the credentials secret. If the portal hides that user"
            " from everybody, add its id to the secret as user_id."
        )
    self_ids = tuple(dict.fromkeys(filter(None, (portal.user_id, *ours))))
    answer = portal.look(self_ids[0])
    seen = _seen(answer)
    if answer.status == HTTPStatus.FORBIDDEN:
        portal.raise_for(Verdict.STOP_USER_MANAGEMENT, answer, f"looked at user {self_ids[0]}")
    if seen.verdict in {Verdict.GONE, Verdict.REFUSE}:
        raise PortalAnswerUnusable(
            f"A look at user {self_ids[0]}, whom our own token acts as, does not show it"
            f" ({seen.describe()}): users who exist cannot be told from users who are gone. Nobody"
            " was deleted. Check PortalUrl, and whatever is between the portal and this stack."
        )
    if seen.verdict is not Verdict.OK:
        portal.raise_for(seen.verdict, answer, f"looked at user {self_ids[0]}")
    if not (seen.user and is_api_user(seen.user, portal.user)):
        raise PortalAnswerUnusable(
            f"User {self_ids[0]} is not the one that our own token acts as: the id in the"
            " credentials secret is another user's, or the portal answers for somebody else. Nobody"
            " was deleted."
        )
    return Control(self_ids, _learned(portal, {*self_ids, *(user.user_id for user in users)}))


def _learned(portal: Portal, taken: Collection[str]) -> str:
    shapes = []
    for user_id in ids_that_nobody_holds(taken):
        answer = portal.look(user_id)
        shape = gone_shape(answer)
        if not shape:
            verdict = judge(Call.LOOK, answer)
            if verdict not in {Verdict.OK, Verdict.REFUSE}:
                portal.raise_for(verdict, answer, f"looked at id {user_id}, which nobody has")
            raise PortalAnswerUnusable(
                f"A look at id {user_id}, which nobody has, does not say so"
                f" ({answer.describe()}): users who exist could not be told from users who are"
                " gone. Nobody was deleted. Check PortalUrl, and whatever is between the portal and"
                " this stack."
            )
        shapes.append(shape)
        if is_plain(shape):
            break
    if len(set(shapes)) > 1:
        raise PortalAnswerUnusable(
            "The portal answers in two different ways for two ids that nobody"
            " has: users who exist could not be told from users who are gone. Nobody was deleted."
        )
    return shapes[0]


class Patience:
    """A time limit for looks in one invocation, so that a slow portal does not time it out."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends = clock() + seconds

    @property
    def is_over(self) -> bool:
        return self._clock() >= self._ends
