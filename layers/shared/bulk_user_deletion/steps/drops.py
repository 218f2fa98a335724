"""A drop is looked at before its run takes its turn: it may be no list, or none yet."""

from bulk_user_deletion.bucket import LONGEST_KEY, Bucket, result_key
from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models import Request, Source
from bulk_user_deletion.rules.drops import Nothing, Wait, may_be_a_copy, of_empty


def look_at_drop(
    request: Request, *, run_id: str, bucket: Bucket, ledger: Ledger, now: float
) -> Wait | Nothing | None:
    """Say what to do instead of reading a dropped file; None when it is to be read.

    Raises:
        RequestRefused: its key is so long that no answer can stand beside it.
        StoreUnavailable: S3 or DynamoDB does not answer.
    """
    dropped = request.source.s3 if isinstance(request.source, Source) else None
    if not request.dropped_key or dropped is None:
        return None
    length = len(result_key(dropped.key).encode())
    if length > LONGEST_KEY:
        raise RequestRefused(
            f"The name of the dropped file is too long for an answer beside it: that would have"
            f" {length} bytes, and S3 allows {LONGEST_KEY}. Drop it again under a shorter name."
        )
    if not dropped.version_id:
        return None
    versions = bucket.versions(dropped, now=now)
    before = may_be_a_copy(versions, dropped.version_id, written_by=dropped.written_by)
    if before and bucket.are_equal(dropped, before):
        return Nothing(
            "The file was copied onto itself: it has the content of the version before it, and the"
            " run of that one counts."
        )
    decided = of_empty(versions, dropped.version_id)
    if isinstance(decided, Wait) and not ledger.begin_waiting_for_content(run_id):
        return None  # waited for already
    return decided
