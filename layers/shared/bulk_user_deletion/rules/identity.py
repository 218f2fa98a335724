"""Which user an entry names: exactly one, or none."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from bulk_user_deletion.errors import PortalAnswerUnusable
from bulk_user_deletion.models.names import fold, fold_loosely
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.models.users import PortalUser, ReasonKind
from bulk_user_deletion.rules.text import counted

_USER_ID = re.compile(r"[1-9][0-9]{0,18}")


def is_user_id(text: str) -> bool:
    """Return whether `text` is a portal user id: decimal, positive, no sign, no leading zero."""
    return _USER_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Match:
    """The user that an entry names, or why there is none.

    `problem` is then not_found, ambiguous or columns_disagree; for columns_disagree, `detail` says
    which column names which user, by id.
    """

    user: PortalUser | None = None
    problem: ReasonKind = ReasonKind.NONE
    detail: str = field(default="", compare=False)


class Directory:
    """The portal's users, indexed by id, username and e-mail, as `fold` normalizes them.

    Raises:
        PortalAnswerUnusable: two different users are listed under one id.
    """

    def __init__(self, users: Iterable[PortalUser]) -> None:
        self._by_id: dict[str, PortalUser] = {}
        self._by_username: dict[str, tuple[PortalUser, ...]] = {}
        self._by_email: dict[str, tuple[PortalUser, ...]] = {}
        for user in users:
            if self._by_id.setdefault(user.user_id, user) is not user:
                if self._by_id[user.user_id] == user:
                    continue
                raise PortalAnswerUnusable(
                    f"The portal lists two different users with the id {user.user_id}, so users"
                    " cannot be told apart. Nobody was deleted."
                )
            if name := fold(user.username):
                self._by_username[name] = (*self._by_username.get(name, ()), user)
            if email := fold(user.email):
                self._by_email[email] = (*self._by_email.get(email, ()), user)

    @property
    def users(self) -> tuple[PortalUser, ...]:
        """Every user once, in the order in which they were listed."""
        return tuple(self._by_id.values())

    def match(self, entry: Entry) -> Match:
        """Find the one user that everything in `entry` names.

        All filled columns must name the same user. A bare value may be an id, a username or an
        e-mail; if it is one user's id and another's username, it is ambiguous. So is a number that
        is only someone's username: it may be the id of a user who has left.
        """
        named: dict[str, Collection[PortalUser]] = {}
        if entry.bare:
            name = fold(entry.bare)
            found = {user.user_id: user for user in self._with_id(name)}
            found |= {user.user_id: user for user in self._by_username.get(name, ())}
            found |= {user.user_id: user for user in self._by_email.get(name, ())}
            if found and is_user_id(name) and name not in self._by_id:
                return Match(problem=ReasonKind.AMBIGUOUS)
            named["name"] = found.values()
        if entry.user_id:
            named["id"] = self._with_id(fold(entry.user_id))
        if entry.username:
            named["username"] = self._by_username.get(fold(entry.username), ())
        if entry.email:
            named["e-mail"] = self._by_email.get(fold(entry.email), ())

        if not any(named.values()):
            return Match(problem=ReasonKind.NOT_FOUND)
        first, *others = named.values()
        in_all = [user for user in first if all(user in users for users in others)]
        if len(in_all) == 1:
            return Match(user=in_all[0])
        if in_all:
            return Match(problem=ReasonKind.AMBIGUOUS)
        return Match(problem=ReasonKind.COLUMNS_DISAGREE, detail=_who_names_whom(named))

    def lists(self, user_id: str) -> bool:
        """Return whether a listed user has this id."""
        return user_id in self._by_id

    def _with_id(self, user_id: str) -> tuple[PortalUser, ...]:
        user = self._by_id.get(user_id)
        return (user,) if user else ()


def _who_names_whom(named: Mapping[str, Collection[PortalUser]]) -> str:
    """Describe which column names which user, by id, and which names nobody."""
    said: list[str] = []
    for column, users in sorted(named.items(), key=lambda named: not named[1]):
        ids = [user.user_id for user in users]
        whom = f"user {ids[0]}" if len(ids) == 1 else counted(len(ids), "user") if ids else "nobody"
        said.append(f"the {column} {'' if said else 'names '}{whom}")
    return ", ".join(said)


def api_users(users: Iterable[PortalUser], name: str, *, user_id: str = "") -> tuple[str, ...]:
    """Return the ids of the users that a token may act as if it was requested for `name`.

    The credentials secret may give that user's username, e-mail or id.
    """
    return tuple(
        user.user_id for user in users if user.user_id == user_id or is_api_user(user, name)
    )


def is_api_user(user: PortalUser, name: str) -> bool:
    """Return whether a token that was requested for `name` may act as this user."""
    folded = fold_loosely(name)
    return bool(folded) and folded in (fold_loosely(user.username), fold_loosely(user.email))


def only_an_id(entry: Entry) -> str:
    """Return the id of an entry that consists of an id only; empty for any other entry."""
    if entry.username or entry.email or not names_by_id(entry) or (entry.bare and entry.user_id):
        return ""
    return fold(entry.user_id or entry.bare)


def names_by_id(entry: Entry) -> bool:
    """Return whether an entry has a user's id, alone or with names."""
    return bool(entry.user_id) or is_user_id(fold(entry.bare))


def id_key(user_id: str) -> str:
    """Return the key under which the deletion of the user with this id is recorded."""
    return f"id:{user_id}"


def keys_of_each_value(entry: Entry) -> list[tuple[str, ...]]:
    """Return the keys under which an earlier deletion of this entry's user may be recorded.

    There is one tuple for each value of the entry; any key in it records that value. A name may
    also be recorded as earlier versions folded it. Whitespace is not a name.
    """
    keys: list[tuple[str, ...]] = []
    if entry.bare and is_user_id(fold(entry.bare)):
        keys.append((id_key(fold(entry.bare)),))
    elif entry.bare:
        keys.append((*_name_keys("username", entry.bare), *_name_keys("email", entry.bare)))
    if entry.user_id:
        keys.append((id_key(fold(entry.user_id)),))
    if entry.username:
        keys.append(_name_keys("username", entry.username))
    if entry.email:
        keys.append(_name_keys("email", entry.email))
    return [each for each in keys if each]


def _name_keys(column: str, name: str) -> tuple[str, ...]:
    if not fold(name):
        return ()
    exact, loose = f"{column}:{fold(name)}", f"{column}:{fold_loosely(name)}"
    return (exact,) if exact == loose else (exact, loose)


def identity_keys(entry: Entry) -> list[str]:
    """Return all keys under which an earlier deletion of this entry's user may be recorded."""
    return [key for keys in keys_of_each_value(entry) for key in keys]


def user_keys(user: PortalUser) -> list[str]:
    """Return the keys under which the deletion of `user` is recorded."""
    entry = Entry(0, user_id=user.user_id, username=user.username, email=user.email)
    return [key for key, *_ in keys_of_each_value(entry)]
