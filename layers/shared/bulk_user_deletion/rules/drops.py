"""What gateways and desktops leave in the inbox, and when a drop is not a list, or not one yet."""

import re
from dataclasses import dataclass

from bulk_user_deletion.models.routes import Nothing, Wait
from bulk_user_deletion.models.runs import Mode, RunStatus

WAIT_SECONDS = 60  # for the content of an empty object to be written

# S3's names for writes of new content. Any other write may have copied the object onto itself.
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
    """Return why an object under this key is not a drop, or an empty string if it may be one."""
    if key.endswith("/"):  # how the console creates a folder
        return "The event names a folder, not a file."
    if _LEFT_BEHIND.fullmatch(key):
        return "The event names a temporary or system file, not a list."
    return ""


@dataclass(frozen=True, slots=True)
class EarlierDrop:
    """The previous drop under a key, and the state of its run: open, or ended with `status`."""

    digest: str
    is_open: bool
    status: str


def is_a_copy(earlier: EarlierDrop, digest: str, *, written_by: str, mode: Mode) -> bool:
    """Return whether a drop is only a copy of the previous one, whose run counts.

    A file that was written again is intended, even with the same content: that is how to request
    another run. The same goes for one whose earlier run had no effect, or was a preview and now is
    not.
    """
    if digest != earlier.digest or written_by in _WRITTEN_ANEW:
        return False
    if earlier.is_open:
        return True
    counts = {RunStatus.SUCCEEDED, RunStatus.NOBODY_DELETED}
    return earlier.status in (counts if mode is Mode.APPLY else {*counts, RunStatus.PREVIEWED})


def of_empty(*, is_newest: bool, age_seconds: float) -> Wait | Nothing | None:
    """Decide what to do about an empty object: gateways create one first, then write its content.

    Returns None if it has been empty for so long that no content will come.
    """
    if not is_newest:
        return Nothing("The object was empty, and newer content has arrived: its own run reads it.")
    return Wait(WAIT_SECONDS) if age_seconds < WAIT_SECONDS else None
