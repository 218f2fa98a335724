"""Users who are kept, no matter who requests their deletion."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.names import fold_loosely
from bulk_user_deletion.models.users import PortalUser, ReasonKind, Why
from bulk_user_deletion.rules.identity import is_api_user

_HEADER = ["user", "until", "reason"]
_KNOWN_TYPES = {"regular", "power", "administrator"}


@dataclass(frozen=True, slots=True)
class Protection:
    """One line of the protected list: an id, username or e-mail, or a pattern such as `svc-*`.

    `until` is the last day on which it applies, None for no end.
    """

    line: int
    user: str
    until: date | None

    def holds_for(self, user: PortalUser, today: date) -> bool:
        """Return whether it names `user`, even loosely, and has not expired."""
        if self.until and today > self.until:
            return False
        names = (user.user_id, fold_loosely(user.username), fold_loosely(user.email))
        # Equality first: a name may contain special characters of patterns, such as `[`.
        return any(name == self.user or fnmatchcase(name, self.user) for name in names if name)


@dataclass(frozen=True, slots=True)
class Protected:
    """All users who are kept: administrators, our own API user, and those on the protected list.

    `api_user` is the name in the credentials secret of the user that our token acts as, `self_ids`
    are the ids of all users with that name.
    """

    api_user: str
    listed: Sequence[Protection] = ()
    self_ids: Collection[str] = ()

    def reason_to_keep(self, user: PortalUser, *, today: date) -> Why | None:
        """Return why `user` must be kept, or None if there is no reason."""
        if user.user_id in self.self_ids or is_api_user(user, self.api_user):
            return Why(ReasonKind.SELF, "self: the user our own API token acts as")
        if user.is_administrator:
            return Why(ReasonKind.ADMINISTRATOR, "administrator")
        if not user.lacks and fold_loosely(user.type) not in _KNOWN_TYPES:
            return Why(
                ReasonKind.PROTECTED,
                "protected: of a user type that this application does not know",
            )
        for protection in self.listed:
            if protection.holds_for(user, today):
                return Why(
                    ReasonKind.PROTECTED,
                    f"protected: line {protection.line} of the protected list",
                )
        return None


def read_protected_list(content: bytes) -> list[Protection]:
    """Read the protected list: CSV with the header `user,until,reason`, in UTF-8.

    `until` is a date such as 2027-01-31, or empty. A list that cannot be read completely does not
    protect reliably, so it refuses the run.

    Raises:
        RequestRefused: naming the line.
    """
    # Imported here because DeleteUser rarely needs them: most stacks have no such list.
    import csv
    import io

    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestRefused(f"The protected list is not CSV in UTF-8: {error}.") from None
    if not rows or [fold_loosely(cell) for cell in rows[0]] != _HEADER:
        raise RequestRefused("Line 1 of the protected list must be: user,until,reason")
    protections = []
    for line, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(_HEADER) or not row[0].strip():
            raise RequestRefused(f"Line {line} of the protected list must have user,until,reason.")
        if not row[0].strip().isprintable():
            raise RequestRefused(
                f"Line {line} of the protected list has characters that cannot be printed, and"
                " would protect nobody."
            )
        protections.append(Protection(line, fold_loosely(row[0]), _until(row[1], line)))
    return protections


def _until(text: str, line: int) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise RequestRefused(
            f"Line {line} of the protected list: `until` must be a date such as 2027-01-31."
        ) from None
