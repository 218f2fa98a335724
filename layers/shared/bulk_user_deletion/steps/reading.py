"""Reads whom a source names: in the request, from a file, or from the portal."""

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.models.requests import Source
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.sources import (
    LARGEST_FILE,
    Mentions,
    Reading,
    entries_from_dataset,
    entries_from_list,
    read_file,
)


def read_at_hand(source: Source, bucket: Bucket) -> Reading | None:
    """Read a list or a file; return None for a dataset, which the portal has.

    Raises:
        RequestRefused: the source is malformed.
        StoreUnavailable: call again.
    """
    if source.users is not None:
        return Reading(entries_from_list(source.users))
    if source.s3 is not None:
        mentions = Mentions() if source.is_roster else None
        return read_file(bucket.read(source.s3, limit=LARGEST_FILE), mentions)
    return None


def read_roster(source: Source, portal: Portal) -> Reading:
    """Read a dataset of everybody who stays from the portal, with the values of all its columns.

    Raises:
        RequestRefused: it cannot be read, or lacks the column `user_id`.
        TokenRejected, UserManagementDenied, PortalUnavailable, PortalAnswerUnusable
    """
    rows, mentions = portal.dataset_rows(source.dataset_id or 0), Mentions()
    entries = entries_from_dataset(rows)
    for row in rows:
        mentions.see(row.values())
    return Reading(entries, mentions=mentions.values)


def read_dataset(source: Source, portal: Portal) -> list[Entry]:
    """Read a dataset from the portal.

    Raises:
        RequestRefused: it cannot be read, or lacks the column `user_id`.
        TokenRejected, UserManagementDenied, PortalUnavailable, PortalAnswerUnusable
    """
    return entries_from_dataset(portal.dataset_rows(source.dataset_id or 0))
