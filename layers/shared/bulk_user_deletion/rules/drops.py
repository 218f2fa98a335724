"""What gateways and desktops leave in the inbox, and when a drop is no list, or none yet."""

import re
from dataclasses import dataclass

from bulk_user_deletion.models.routes import Nothing, Wait
from bulk_user_deletion.models.runs import Mode, RunStatus

WAIT_SECONDS = 60  # for content to come under the key of an empty object

# How S3 names what wrote an object anew; whatever else wrote it may have copied it onto itself.
_WRITTEN_ANEW = {"PutObject", "POST Object", "PostObject", "CompleteMultipartUpload"}

_LEFT_BEHIND = re.compile(
    r"""
    (?:.*/)?(?:
        \.[^/]*                                     # .DS_Store, ._leavers.csv, .nfs0001
      | ~\$[^/]* | \.~lock\.[^/]* | ~[^/]*\.tmp     # Office's and LibreOffice's locks
      | [^/]*_\$folder\$ | _SUCCESS | _started_[^/]* | _committed_[^/]*
      | thumbs\.db | desktop\.ini | ehthumbs\.db | icon\r
      | [^/]*\.(?:tmp|temp|part|partial|filepart|crdownload|download|swp|swx|lock|lck|writing
               |uploading|upload|inprogress|in-progress|incomplete)
      | [^/]*~
    )
    | (?:.*/)?(?:__MACOSX|_temporary|\.Trash[^/]*|\.Spotlight-[^/]*|\.fseventsd|@eaDir)/.*
    """,
    re.IGNORECASE | re.VERBOSE,
)


def nothing_in(key: str) -> str:
    """Say why an object under this key is no drop; empty when it may be one."""
    if key.endswith("/"):  # the console's way of making a folder
        return "The event names a folder, not a file."
    if _LEFT_BEHIND.fullmatch(key):
        return "The event names a temporary file or one that a system keeps for itself, not a list."
    return ""


@dataclass(frozen=True, slots=True)
class EarlierDrop:
    """What was dropped under a key before, and how its run stands: open, or ended with `status`."""

    digest: str
    is_open: bool
    status: str


def is_a_copy(earlier: EarlierDrop, digest: str, *, written_by: str, mode: Mode) -> bool:
    """Tell whether a drop is only a copy of the one before it, whose run counts.

    A file that somebody wrote anew is meant, the same content or not: that is how a run is asked
    for once more. So is one whose earlier run came to nothing, or was a preview and is not now.
    """
    if digest != earlier.digest or written_by in _WRITTEN_ANEW:
        return False
    if earlier.is_open:
        return True
    counts = {RunStatus.SUCCEEDED, RunStatus.NOBODY_DELETED}
    return earlier.status in (counts if mode is Mode.APPLY else {*counts, RunStatus.PREVIEWED})


def of_empty(*, is_newest: bool, age_seconds: float) -> Wait | Nothing | None:
    """Decide about an empty object: gateways make one first, and write its content after.

    None when it has been empty for so long that nothing will come.
    """
    if not is_newest:
        return Nothing("The object was empty, and newer content has come: its own run reads it.")
    return Wait(WAIT_SECONDS) if age_seconds < WAIT_SECONDS else None
