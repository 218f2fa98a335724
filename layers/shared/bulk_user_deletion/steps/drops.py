"""Checks a drop before its run takes its turn: it may not be a list, or not yet."""

from dataclasses import dataclass
from hashlib import sha256

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.bucket_keys import LONGEST_KEY, result_key
from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.requests import Request, S3Object, Source
from bulk_user_deletion.models.routes import Nothing, Wait
from bulk_user_deletion.models.runs import DropRow
from bulk_user_deletion.rules.drops import EarlierDrop, is_a_copy, of_empty
from bulk_user_deletion.sources import LARGEST_FILE


@dataclass(frozen=True, slots=True)
class DropLook:
    """One check of the drop that a run is about."""

    request: Request
    run_id: str
    bucket: Bucket
    ledger: Ledger
    now: float

    def instead(self) -> Wait | Nothing | None:
        """Return what to do instead of reading a dropped file, or None to read it.

        Raises:
            RequestRefused: its key is too long for an answer, it was deleted, or it is
                too large.
            StoreUnavailable: S3 or DynamoDB does not respond.
        """
        source = self.request.source
        dropped = source.s3 if isinstance(source, Source) and self.request.dropped_key else None
        if dropped is None:
            return None
        length = len(result_key(dropped.key).encode())
        if length > LONGEST_KEY:
            raise RequestRefused(
                "The name of the dropped file is too long for an answer: that would have"
                f" {length} bytes, and S3 allows {LONGEST_KEY}. Drop it again with a shorter name."
            )
        if not dropped.version_id:
            return None  # without versioning there is no previous version, and none is pinned
        before = self.ledger.triggers.last_drop(dropped)
        if before and before.run_id == self.run_id:
            return None  # decided by an earlier invocation for this run
        content = self.bucket.read(dropped, limit=LARGEST_FILE)
        if not content:
            return self._of_empty(dropped)
        digest = sha256(content).hexdigest()
        if before and self._counts(before, digest, dropped):
            return Nothing(
                "The file was copied onto itself: it has the content of the version before it, and"
                f" run {before.run_id} for that version counts."
            )
        self.ledger.triggers.note_drop(
            dropped, digest=digest, run_id=self.run_id, now=int(self.now)
        )
        return None

    def _counts(self, before: DropRow, digest: str, dropped: S3Object) -> bool:
        """Return whether this drop is a copy of the previous one, whose run counts."""
        run = self.ledger.runs.read(before.run_id)
        answer = self.bucket.read_answer(dropped.key)
        status = str(answer.get("status", "")) if answer.get("run_id") == before.run_id else ""
        earlier = EarlierDrop(before.digest, bool(run and run.is_open), status)
        return is_a_copy(earlier, digest, written_by=dropped.written_by, mode=self.request.mode)

    def _of_empty(self, dropped: S3Object) -> Wait | Nothing | None:
        newest = self.bucket.newest(dropped)
        if newest is None:
            return None
        decided = of_empty(
            is_newest=newest.version_id in {"", dropped.version_id},
            age_seconds=self.now - newest.written_at,
        )
        runs = self.ledger.runs
        if isinstance(decided, Wait) and not runs.start_waiting_for_content(self.run_id):
            return None  # already waited for
        return decided
