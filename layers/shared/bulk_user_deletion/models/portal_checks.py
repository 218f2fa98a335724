"""What a check of the portal finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PortalCheck:
    """What a check of the portal found, for `doctor`.

    `is_administrator` is about the user that our own token acts as. `clock_ahead_seconds` is how
    far the portal's clock is ahead of ours, None if it did not say.
    """

    portal_users: int
    is_administrator: bool
    clock_ahead_seconds: int | None
