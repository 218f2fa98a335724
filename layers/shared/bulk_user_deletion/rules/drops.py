"""What gateways and desktops leave in the inbox, and when a drop is no list, or none yet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

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
class Version:
    """One version of an object. A delete marker is one without content."""

    version_id: str
    size: int
    age_seconds: float
    is_deletion: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Call again after so long: content may come."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to do for this drop, and why."""

    because: str


def may_be_a_copy(versions: Sequence[Version], version_id: str, *, written_by: str) -> str:
    """Return the version that a drop may be a copy of, onto itself; empty when it is none.

    `versions` are those of the key, the newest first. A file that somebody wrote anew is meant, the
    same content or not: that is how a run is asked for once more.
    """
    at = _position(versions, version_id)
    if written_by in _WRITTEN_ANEW or at is None:
        return ""
    ours = versions[at]
    before = next((each for each in versions[at + 1 :] if not each.is_deletion), None)
    if before is None or ours.size != before.size or not ours.size:
        return ""
    # S3 tells times in whole seconds: of one and the same, which came first cannot be told.
    is_deleted_between = any(
        each.is_deletion and ours.age_seconds <= each.age_seconds <= before.age_seconds
        for each in versions
    )
    return "" if is_deleted_between else before.version_id


def of_empty(versions: Sequence[Version], version_id: str) -> Wait | Nothing | None:
    """Decide about an empty object: gateways make one first, and write its content after.

    None when it is not empty, or has been for so long that nothing will come.
    """
    at = _position(versions, version_id)
    if at is None or versions[at].size > 0:
        return None
    if any(not newer.is_deletion for newer in versions[:at]):
        return Nothing("The object was empty, and newer content has come: its own run reads it.")
    if versions[at].age_seconds < WAIT_SECONDS:
        return Wait(WAIT_SECONDS)
    return None


def _position(versions: Sequence[Version], version_id: str) -> int | None:
    return next((n for n, each in enumerate(versions) if each.version_id == version_id), None)
