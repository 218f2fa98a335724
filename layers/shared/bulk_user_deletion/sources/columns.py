"""What the columns of a file, or the keys of an object, are called, and what may stand in them."""

import re
from collections.abc import Mapping, Sequence

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models import Entry
from bulk_user_deletion.rules.identity import is_user_id

# What programs and spreadsheets make of numbers, and paths; some usernames are digits alone.
_NO_ID = re.compile(r"[+-]?[0-9][0-9.,]*(e[+-]?[0-9]+)?|.*\.\./.*", re.IGNORECASE)
_MAY_BE_A_NAME = re.compile("[0-9]{1,19}")
_LONGEST_NAME = 320  # the longest e-mail address there can be (RFC 3696, erratum 1690)

SIGN_IN = "login"

# What the portal calls it, and what the exports of directories and HR systems do, in any case and
# spacing. Every other column is ignored, `id`, `uid` and `employee id` among them: those are some
# other system's, and a number of another system may be somebody's user id here.
NAMES: Mapping[str, frozenset[str]] = {
    "user_id": frozenset({"userid"}),
    "username": frozenset({"username", "samaccountname", "loginname", "logonname"}),
    "email": frozenset(
        {
            "email",
            "emailaddress",
            "emailaddressrequired",  # Google: Email Address [Required]
            "emailwork",  # Workday: Email - Work
            "mail",  # LDAP, Entra
            "primaryemail",
            "workemail",
        }
    ),
    # The portal may know it as the username or as the e-mail: it is taken for either, and only
    # where there is none of the columns above.
    SIGN_IN: frozenset({"login", "userprincipalname"}),
}
_SPACING = str.maketrans("", "", " \u00a0\n_-.:*()[]")
_COLUMN_OF = {name: column for column, names in NAMES.items() for name in names}

KNOWN = "user_id, username or email"


def columns_of(header: Sequence[str], where: str) -> dict[str, int]:
    """Return which of the portal's words stand where in a header; empty when none does.

    Raises:
        RequestRefused: two columns are the same one.
    """
    found: dict[str, list[int]] = {}
    for index, name in enumerate(header):
        if column := _COLUMN_OF.get(name.casefold().translate(_SPACING)):
            found.setdefault(column, []).append(index)
    if len(found) > 1:
        found.pop(SIGN_IN, None)
    for column, (index, *others) in found.items():
        if others:
            raise RequestRefused(
                f"{where} names the column {column} twice, as number {index + 1} and as number"
                f" {others[0] + 1}. Remove the one that the portal does not go by."
            )
    return {column: index for column, (index,) in found.items()}


def read_entry(line: int, values: Mapping[str, str], where: str) -> Entry:
    """Make an entry of the cells of one row, by column; empty ones do not count.

    Raises:
        RequestRefused: all are empty, or one is not what its column says.
    """
    fields = {}
    for column, value in values.items():
        if not (value := value.strip()):
            continue
        place = f"{where}, column {column}"
        if column == "user_id":
            fields[column] = read_user_id(value, place)
        elif column != SIGN_IN:
            fields[column] = read_name(value, place)
        elif is_user_id(value):  # bare, it would be taken for the portal's id
            raise RequestRefused(f"The value in {place} is a number, and no name to sign in with.")
        else:
            fields["bare"] = read_bare(value, place)
    if not fields:
        raise RequestRefused(
            f"{where[:1].upper()}{where[1:]} names nobody: {', '.join(sorted(values))} is empty."
        )
    return Entry(line, **fields)


def read_user_id(value: str, where: str) -> str:
    """Return a user id, trimmed.

    Raises:
        RequestRefused: it is none.
    """
    value = value.strip()
    if not is_user_id(value):
        raise RequestRefused(
            f"The user_id in {where} is not a user id: it must be a whole number from 1. If it is"
            " another system's id, remove that column and name users by username or email."
        )
    return value


def read_name(value: str, where: str) -> str:
    """Return a username, an e-mail or a bare value, trimmed.

    Raises:
        RequestRefused: nobody can be called so.
    """
    value = value.strip()
    if not value or len(value) > _LONGEST_NAME or not value.isprintable():
        raise RequestRefused(
            f"The value in {where} is empty, longer than {_LONGEST_NAME} characters, or has"
            " characters that cannot be printed."
        )
    return value


def read_bare(value: str, where: str) -> str:
    """Return a value that may be an id, a username or an e-mail, trimmed.

    Raises:
        RequestRefused: it is none of them.
    """
    value = read_name(value, where)
    if _NO_ID.fullmatch(value) and not _MAY_BE_A_NAME.fullmatch(value):
        raise RequestRefused(
            f"The value in {where} is neither a name nor a user id, which is a whole number from 1."
        )
    return value
