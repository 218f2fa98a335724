"""Users that the portal no longer lists, and how many such losses a run tolerates."""

from collections.abc import Collection, Sequence

from bulk_user_deletion.rules.text import counted, some

MOST_LOOKS = 5


def missing_users(
    before: Collection[str], there: Collection[str], *, explained: Collection[str]
) -> list[str]:
    """Return the ids that were listed before and are not now, except those `explained`."""
    return sorted((set(before) - set(there)).difference(explained), key=int)


def spread(user_ids: Sequence[str]) -> list[str]:
    """Choose at most `MOST_LOOKS` of them, evenly spread: a list is usually cut at one end."""
    if len(user_ids) <= MOST_LOOKS:
        return list(user_ids)
    last = len(user_ids) - 1
    return [user_ids[number * last // (MOST_LOOKS - 1)] for number in range(MOST_LOOKS)]


def loss_problem(new: Sequence[str], *, after_canaries: bool, most: int) -> str:
    """Return why no other user may be started after these losses, or an empty string.

    One loss is too many while only the canaries are gone: nothing else explains it. Later, other
    administrators and syncs delete users too, so up to `most` per batch are tolerated.
    """
    if not new or (len(new) <= most and not after_canaries):
        return ""
    return (
        f"{counted(len(new), 'user')} left the portal that this run did not delete: {some(new)}."
        " Find out whether deleting one user deletes others too, or who else deletes users."
    )
