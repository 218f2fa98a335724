"""Turns a request into a sealed plan, or refuses it: nobody is touched here."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import PortalBusy, RequestRefused
from bulk_user_deletion.executions import Executions
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models import Entry, Limits, Mode, Plan, Request
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.request import read_request
from bulk_user_deletion.rules.identity import Directory, identity_keys, names_by_id
from bulk_user_deletion.rules.planning import (
    check_entries,
    check_size,
    distinct_entries,
    plan_entries,
    stricter,
)
from bulk_user_deletion.settings import Settings
from bulk_user_deletion.sources import (
    LARGEST_FILE,
    entries_from_csv,
    entries_from_dataset,
    entries_from_list,
)


@dataclass(frozen=True, slots=True)
class Planned:
    """What the state machine is told: `next_step` is preview, apply or nothing.

    `nothing_because` says why there is nothing to do: the event of a folder, or one that another
    run has taken.
    """

    next_step: str
    users: int = 0
    plan_sha256: str = ""
    nothing_because: str = ""


@dataclass(frozen=True, slots=True)
class FetchUserIds:
    """One invocation for one execution, whose input is `event`."""

    run_id: str
    execution_arn: str
    event: Mapping[str, Any]
    settings: Settings
    ledger: Ledger
    bucket: Bucket
    executions: Executions
    connect: Callable[[], Portal]
    clock: Callable[[], float] = time.time

    def run(self) -> Planned:
        """Check the request, read its source, resolve and limit it, store the plan.

        Raises:
            RequestRefused: nobody will be deleted; the message says why and what to do.
            TokenRejected: renew the token, then call again.
            PortalBusy: another run is deleting; call again later.
            RunClosed: the execution's name was used before.
            PortalUnavailable, StoreUnavailable: call again.
        """
        request = read_request(self.event, file_drop_mode=self.settings.file_drop_mode)
        if request is None:
            return Planned("nothing", nothing_because="The event names a folder, not a file.")
        now = int(self.clock())
        if request.fingerprint:
            first = self.ledger.claim_event(request.fingerprint, self.run_id, now=now)
            if first != self.run_id:
                because = f"The same event started run {first} before."
                return Planned("nothing", nothing_because=because)
        limits = stricter(self.settings.limits, request.options)
        self.ledger.open_run(
            self.run_id,
            execution_arn=self.execution_arn,
            request=request,
            wait_seconds=limits.wait_seconds,
            now=now,
        )
        if request.mode is Mode.APPLY:
            self._take_lock()
        plan = self._plan(request, limits)
        body = self.bucket.write_plan(plan)
        if plan.refusal:
            raise RequestRefused(plan.refusal)
        return Planned(request.mode.value, len(plan.users), sha256(body).hexdigest())

    def _take_lock(self) -> None:
        holder = self.ledger.take_lock(self.run_id, self.execution_arn)
        if holder != self.execution_arn and not self.executions.is_running(holder):
            holder = self.ledger.take_lock(self.run_id, self.execution_arn, instead_of=holder)
        if holder != self.execution_arn:
            raise PortalBusy(
                f"Execution {holder} is deleting users from this portal. Send the request again"
                " when it has ended."
            )

    def _plan(self, request: Request, limits: Limits) -> Plan:
        # What needs no portal comes first: a malformed list is refused before the portal is called.
        entries = self._entries_at_hand(request)
        portal = self.connect()
        if entries is None:
            dataset_id = request.source.dataset_id or 0
            entries = entries_from_dataset(portal.dataset_rows(dataset_id))
        directory = Directory(portal.users())
        distinct = distinct_entries(entries)
        planned = plan_entries(
            entries,
            directory,
            api_user=portal.user,
            deleted_before=self._deleted_before(entries, directory),
        )
        refusal = ""
        try:
            check_size(distinct=distinct, portal_users=len(directory.users), limits=limits)
            check_entries(planned, request, limits)
        except RequestRefused as error:  # planned all the same: the report lists every entry
            refusal = str(error)
        return Plan(
            run_id=self.run_id,
            mode=request.mode,
            created_at=int(self.clock()),
            source=request.source.describe(),
            reason=request.reason,
            requested_by=request.requested_by,
            limits=limits,
            portal_users=len(directory.users),
            distinct=distinct,
            entries=planned,
            refusal=refusal,
        )

    def _entries_at_hand(self, request: Request) -> list[Entry] | None:
        source = request.source
        if source.users is not None:
            return entries_from_list(source.users)
        if source.s3 is not None:
            return entries_from_csv(self.bucket.read(source.s3, limit=LARGEST_FILE))
        return None

    def _deleted_before(self, entries: list[Entry], directory: Directory) -> set[str]:
        """Return whom the ledger has on record as deleted; an id that is there needs none."""
        return self.ledger.deleted_before(
            {
                key
                for entry in entries
                if not names_by_id(entry) or directory.match(entry).user is None
                for key in identity_keys(entry)
            }
        )
