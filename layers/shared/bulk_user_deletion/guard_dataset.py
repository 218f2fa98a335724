"""The guard's dataset in the portal, and the ledger's memory of how many users it kept."""

import time
from collections.abc import Callable, Mapping
from sys import intern
from typing import Any

from bulk_user_deletion.errors import PortalAnswerUnusable, RequestRefused
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.guards import AcceptedGuard
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.guard import (
    NO_GUARD,
    Guard,
    GuardRow,
    guard_problem,
    read_guard,
)
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion.settings import Settings

# How long a reading serves for the checks right before a run's DELETEs.
KEPT_SECONDS = 600

# DeleteUser, the smallest function, holds all of it.
LARGEST_GUARD = 6 * 2**20


class GuardDataset:
    """The dataset that the parameter `GuardDataset` names. If that is 0, nobody is kept."""

    def __init__(
        self, settings: Settings, ledger: Ledger, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._recent: tuple[float, Guard] = (0, NO_GUARD)  # when it was read, and what it said

    def read(self, portal: Portal) -> Guard:
        """Read whom the guard keeps now.

        Raises:
            RequestRefused: it is not reliable; the message has the figures and what to do.
            TokenRejected, UserManagementDenied, PortalUnavailable, PortalAnswerUnusable
        """
        dataset_id = self._settings.guard_dataset
        if not dataset_id:
            return NO_GUARD
        try:
            rows = portal.dataset_rows(dataset_id, hook=_guard_row, limit=LARGEST_GUARD)
        except (RequestRefused, PortalAnswerUnusable) as error:
            raise type(error)(
                f"The guard cannot be read, and without it nobody is deleted. {error} A"
                f" guard may have at most {LARGEST_GUARD // 2**20} MiB."
            ) from None
        guard = read_guard(rows, dataset_id=dataset_id)
        if problem := guard_problem(
            guard,
            dataset_id=dataset_id,
            accepted=self._ledger.guards.accepted(self._settings.portal_url, dataset_id),
            now=self._clock(),
            max_age_hours=self._settings.guard_max_age_hours,
        ):
            raise RequestRefused(problem)
        return guard

    def accept(self, portal: Portal, *, run_id: str) -> Guard:
        """Read whom the guard keeps now, for a plan: the next reading is compared with this one.

        Raises: as `read`.
        """
        guard = self.read(portal)
        if self._settings.guard_dataset:
            self._record(AcceptedGuard(len(guard.reasons), int(self._clock()), f"run {run_id}"))
        return guard

    def accept_count(self, users: int, *, by: str, reason: str) -> str:
        """Record that a person accepts a guard of so many users; return what was done.

        Raises:
            RequestRefused: there is no guard.
        """
        dataset_id = self._settings.guard_dataset
        if not dataset_id:
            raise RequestRefused("GuardDataset is 0: there is no guard to accept.")
        before = self._ledger.guards.accepted(self._settings.portal_url, dataset_id)
        self._record(AcceptedGuard(users, int(self._clock()), by, reason))
        was = f"It was {before.users}." if before else "There was none before."
        return (
            f"A guard of {counted(users, 'user')}, dataset {dataset_id}, is accepted by {by}. {was}"
        )

    def recent(self, portal: Portal, *, since: int) -> Guard:
        """Return whom the guard keeps, read at most ten minutes ago, and after the second `since`.

        Raises: as `read`.
        """
        now = self._clock()
        read_at, guard = self._recent
        if not max(since + 1, now - KEPT_SECONDS) <= read_at <= now:
            self._recent = (0, NO_GUARD)  # not two at a time in memory
            guard = self.read(portal)
            self._recent = (now, guard)
        return guard

    def _record(self, accepted: AcceptedGuard) -> None:
        settings = self._settings
        self._ledger.guards.record(settings.portal_url, settings.guard_dataset, accepted)


def _guard_row(data: dict[str, Any]) -> GuardRow | Mapping[str, Any]:
    """Convert rows during parsing: as tuples they take a third of the memory."""
    if not {"user_id", "reason"} <= data.keys():
        return data
    reason = data["reason"]
    text = intern(reason if isinstance(reason, str) else "" if reason is None else str(reason))
    return GuardRow(data["user_id"], text, data.get("collected_at"), "collected_at" in data)
