"""How a portal says that nobody has an id, and the control looks that reveal it."""

import re
from collections.abc import Collection
from hashlib import sha256

from bulk_user_deletion.rules.answers import Answer

OWN_404 = "own_404"
OWN_410 = "own_410"
NULL_USER = "null_user"
EMPTY_LIST = "empty_list"
_SAME_ERROR = "error:"

# What HTTP itself defines as gone, in the portal's own words: accepted without being learned.
_PLAIN = {404: OWN_404, 410: OWN_410}

_LARGEST_ID = 2**31 - 1  # a portal's database may not support larger ones


def gone_shape(answer: Answer) -> str:
    """Return the way in which an answer to a look says "nobody", or an empty string.

    The table is fixed: the portal's own 404 and 410, 200 with `{"user": null}` or `[]`, and 200
    with an error. Such an error is identified by a hash of its message without numbers, because the
    message may contain a name. 401, 403, 429, 5xx and answers that are not JSON never say "nobody".
    """
    if answer.status in _PLAIN:
        return _PLAIN[answer.status] if answer.is_portal_error else ""
    if answer.status != 200:
        return ""
    if answer.is_portal_error:
        message = re.sub("[0-9]+", "", answer.message).encode("utf-8", "replace")
        return _SAME_ERROR + sha256(message).hexdigest()
    if answer.body == []:
        return EMPTY_LIST
    if isinstance(answer.body, dict) and answer.body.get("user", ...) is None:
        return NULL_USER
    return ""


def is_plain(shape: str) -> bool:
    """Return whether this way of saying "nobody" needs no further evidence."""
    return shape in _PLAIN.values()


def says_gone(answer: Answer, *, learned: str) -> bool:
    """Return whether an answer to a look says "nobody", as HTTP does or in the learned way."""
    shape = gone_shape(answer)
    return bool(shape) and (is_plain(shape) or shape == learned)


def ids_that_nobody_holds(taken: Collection[str]) -> tuple[str, str]:
    """Choose two ids for a control look: far above the highest one that is `taken`.

    If there is no room above, the highest free ones below it.
    """
    highest = max((int(user_id) for user_id in taken if int(user_id) <= _LARGEST_ID), default=0)
    candidate, chosen = (highest + _LARGEST_ID) // 2, list[str]()
    while len(chosen) < 2:
        if str(candidate) not in taken:
            chosen.append(str(candidate))
        candidate -= 1
    return chosen[0], chosen[1]
