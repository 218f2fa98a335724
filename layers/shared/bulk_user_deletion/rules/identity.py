"""Which user an entry names: exactly one, or nobody."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from bulk_user_deletion.errors import PortalAnswerUnusable
from bulk_user_deletion.models import Entry, PortalUser, fold

_USER_ID = re.compile(r"[1-9][0-9]{0,18}")


def is_user_id(text: str) -> bool:
    """Tell whether `text` is a portal user id: decimal, positive, without sign or leading zero."""
    return _USER_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Match:
    """The user an entry names, or why there is none.

    `problem` is empty, `not_found`, `ambiguous` or `columns_disagree`.
    """

    user: PortalUser | None = None
    problem: str = ""


class Directory:
    """The portal's users, to be found by id, username and e-mail, trimmed and case-folded.

    Raises:
        PortalAnswerUnusable: two different users are listed under one id.
    """

    def __init__(self, users: Iterable[PortalUser]) -> None:
        self.users = tuple(dict.fromkeys(users))
        self._by_id: dict[str, list[PortalUser]] = defaultdict(list)
        self._by_username: dict[str, list[PortalUser]] = defaultdict(list)
        self._by_email: dict[str, list[PortalUser]] = defaultdict(list)
        for user in self.users:
            if user.user_id in self._by_id:
                raise PortalAnswerUnusable(
                    f"The portal lists two different users under the id {user.user_id}: nobody can"
                    " be told apart by it. Nobody was deleted."
                )
            self._by_id[user.user_id].append(user)
            if user.username.strip():
                self._by_username[fold(user.username)].append(user)
            if user.email.strip():
                self._by_email[fold(user.email)].append(user)

    def match(self, entry: Entry) -> Match:
        """Find the one user that everything in `entry` names.

        Each filled column must name the same user. A bare value may be an id, a username or an
        e-mail; when it is one user's id and another's username, it is ambiguous. So is a number
        that is somebody's username alone: it may be the id of a user who has left.
        """
        named: list[dict[str, PortalUser]] = []
        if entry.bare:
            name = fold(entry.bare)
            named.append(
                _by_user_id(
                    self._by_id.get(name, ()),
                    self._by_username.get(name, ()),
                    self._by_email.get(name, ()),
                )
            )
            if is_user_id(name) and name not in self._by_id and named[0]:
                return Match(problem="ambiguous")
        if entry.user_id:
            named.append(_by_user_id(self._by_id.get(fold(entry.user_id), ())))
        if entry.username:
            named.append(_by_user_id(self._by_username.get(fold(entry.username), ())))
        if entry.email:
            named.append(_by_user_id(self._by_email.get(fold(entry.email), ())))

        if not any(named):
            return Match(problem="not_found")
        in_all = set.intersection(*(set(users) for users in named))
        if len(in_all) == 1:
            return Match(user=named[0][in_all.pop()])
        return Match(problem="ambiguous" if in_all else "columns_disagree")


def _by_user_id(*groups: Iterable[PortalUser]) -> dict[str, PortalUser]:
    return {user.user_id: user for group in groups for user in group}


def names_by_id(entry: Entry) -> bool:
    """Tell whether an entry gives a user's id, alone or beside names."""
    return bool(entry.user_id) or is_user_id(fold(entry.bare))


def identity_keys(entry: Entry) -> list[str]:
    """Return the keys under which an earlier deletion of this entry's user is on record."""
    keys = []
    if entry.bare:
        name = fold(entry.bare)
        keys += [f"id:{name}"] if is_user_id(name) else [f"username:{name}", f"email:{name}"]
    if entry.user_id:
        keys.append(f"id:{fold(entry.user_id)}")
    if entry.username:
        keys.append(f"username:{fold(entry.username)}")
    if entry.email:
        keys.append(f"email:{fold(entry.email)}")
    return keys


def user_keys(user: PortalUser) -> list[str]:
    """Return the keys under which the deletion of `user` is recorded."""
    return identity_keys(Entry(0, user_id=user.user_id, username=user.username, email=user.email))
