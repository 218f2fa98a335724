"""When a run may start: in a change window, and one at a time while the others wait.

Runs that switch access take turns as well, but do not wait for those that delete.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import PortalBusy, RequestRefused, RunClosed
from bulk_user_deletion.executions import Executions
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.requests import Request, Source
from bulk_user_deletion.models.routes import Nothing, Wait
from bulk_user_deletion.models.runs import Lock, Stop, Stopper, Waiting
from bulk_user_deletion.rules.deletion import leases_left
from bulk_user_deletion.rules.windows import Windows
from bulk_user_deletion.settings import Settings

# How often a waiting run checks whether it is its turn. A run that switches access does so sooner,
# for the first hour: an execution's history ends at 25,000 events.
LOOK_AGAIN_SECONDS = 300
_LOOK_AGAIN_SOON_SECONDS = 30
_SOON_SECONDS = 3600

# A run that waits for a change window regularly checks whether it was stopped, or the stack's
# windows were changed.
_LOOK_FOR_WINDOWS_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of one execution, whose name is `run_id`."""

    run_id: str
    execution_arn: str
    settings: Settings
    ledger: Ledger
    bucket: Bucket
    executions: Executions
    clock: Callable[[], float] = time.time

    def instead(self, run_id: str, request: Request, action: Action) -> Wait | Nothing | None:
        """Take the portal's lock for an action, or return what to do while that is not possible.

        It is not while no change window is open, or another run holds the lock. `run_id` is the run
        to carry out: the execution's own, or one that it resumes.

        A waiting run is planned when it is its turn, because the portal's users change and the
        other runs' deletions count towards the caps. A file that was replaced in the meantime is
        left to the run that the new file started.

        Raises:
            RequestRefused: the run was stopped while it waited, its file was deleted, or the change
                windows cannot be read.
            PortalBusy: it has waited for `MaxWaitHours` during which windows were open.
        """
        has_waited = self.ledger.turns.read(self.run_id) is not None
        if has_waited and self._is_replaced(request):
            self.ledger.runs.close(self.run_id, self.execution_arn)
            return Nothing(
                "The file was replaced while this run waited: the run that the new file started"
                " reads it."
            )
        windows = self.settings.windows_for(action)
        if wait := self._until_opening(windows):
            return wait
        lock, wait_seconds = self._lock(run_id, action)
        if lock.execution_arn == self.execution_arn:
            if has_waited:
                self.ledger.turns.wait_for(self.run_id, Waiting(), now=self._now())
            return None
        hours = self.settings.max_wait_hours
        started_at = self.executions.started_at(self.execution_arn) or self.clock()
        waited = windows.open_seconds(started_at, self.clock())
        if waited >= hours * 3600:
            raise PortalBusy(
                f"This run has waited {hours} h for its turn (MaxWaitHours), and run {lock.run_id}"
                f" is still {'deleting' if action.deletes else 'switching'} users of this portal."
                " When that has ended, send the request again."
            )
        self.ledger.turns.wait_for(self.run_id, Waiting(lock.run_id), now=self._now())
        return Wait(wait_seconds or seconds_between_looks(action, waited=waited))

    def _until_opening(self, windows: Windows) -> Wait | None:
        """Return how long to wait until a change window opens; meanwhile it holds no lock."""
        now = self.clock()
        opens_at = windows.next_opening(now)
        if opens_at <= now:
            return None
        self.ledger.portal.release_locks(self.execution_arn)
        self.ledger.turns.wait_for(
            self.run_id, Waiting(opens_at=math.ceil(opens_at)), now=self._now()
        )
        return Wait(min(math.ceil(opens_at - now), _LOOK_FOR_WINDOWS_SECONDS))

    def _is_replaced(self, request: Request) -> bool:
        """Check what may have happened to a run while it waited."""
        run = self.ledger.runs.read(
            self.run_id
        )  # an execution that resumes another one's run has none of its own
        if run and run.stop:
            raise RequestRefused(
                f"{run.stop.by} stopped this run while it waited for its turn:"
                f" {run.stop.reason.rstrip('.')}. Nobody was deleted."
            )
        source = request.source
        if not request.dropped_key or not isinstance(source, Source) or source.s3 is None:
            return False
        return not self.bucket.is_current(source.s3)

    def _lock(self, run_id: str, action: Action) -> tuple[Lock, int]:
        """Return who holds the portal's lock, and how long to wait if the holder is dead."""
        portal = self.ledger.portal
        lock = portal.take_lock(action, run_id, self.execution_arn)
        holder = lock.execution_arn
        if holder != self.execution_arn and not self.executions.status(holder).is_running:
            if lock.run_id != run_id and (wait_seconds := self._outlast(lock)):
                return lock, wait_seconds
            lock = portal.take_lock(action, run_id, self.execution_arn, instead_of=holder)
        return lock, 0

    def _outlast(self, lock: Lock) -> int:
        """Return for how long a function of a dead execution may still be changing a user.

        Its run may have the same users as this one, and a second request while the first one is in
        progress would bypass the ledger.
        """
        run = self.ledger.runs.read(lock.run_id)
        if run and run.is_open and run.execution_arn == lock.execution_arn:
            stop = Stop(
                "Its execution ended before it could report.",
                "FetchUserIds",
                self._now(),
                Stopper.RUN,
            )
            with suppress(RunClosed):  # taken over in the meantime, which stops it too
                self.ledger.runs.take_over_stopped(run, execution_arn=run.execution_arn, stop=stop)
        return leases_left(self.ledger.users.read_all(lock.run_id), now=self._now())

    def _now(self) -> int:
        return int(self.clock())


def seconds_between_looks(action: Action, *, waited: float) -> int:
    """Return how long a run that has `waited` for its turn waits before it looks again."""
    is_soon = not action.deletes and waited < _SOON_SECONDS
    return _LOOK_AGAIN_SOON_SECONDS if is_soon else LOOK_AGAIN_SECONDS


def check_may_apply(*, is_sealed: bool, apply_only_plans: bool, ledger: Ledger) -> None:
    """Refuse to change users while the stack forbids it, or the whole portal is stopped.

    `is_sealed` says that the plan of a preview is to be applied.

    Raises:
        RequestRefused: no user will be deleted; the message says why and what to do.
    """
    if apply_only_plans and not is_sealed:
        raise RequestRefused(
            "ApplyOnlyPlans is on: only the plan of a preview may be applied. Start a preview"
            " of this source, read it, then apply its plan as its notification says."
        )
    if stop := ledger.portal.stop():
        raise RequestRefused(
            f"{stop.by} stopped every run on this portal: {stop.reason}. Nobody was deleted."
            " When that is resolved, lift it: bulk-user-deletion stop --lift --reason WHY, or start"
            ' {"lift": {"reason", "by"}}. Then send this again.'
        )
