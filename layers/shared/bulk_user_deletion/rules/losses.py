"""Whom the portal lists no longer, and how many such losses a run may go on with."""

from collections.abc import Collection, Sequence

MOST_LOOKS = 5


def missing_users(
    before: Collection[str], there: Collection[str], *, explained: Collection[str]
) -> list[str]:
    """Return the ids that were listed before and are not now, but for those `explained`."""
    return sorted((set(before) - set(there)).difference(explained), key=int)


def spread(user_ids: Sequence[str]) -> list[str]:
    """Choose `MOST_LOOKS` of them at most, from all over: a list is cut at one end or the other."""
    if len(user_ids) <= MOST_LOOKS:
        return list(user_ids)
    last = len(user_ids) - 1
    return [user_ids[number * last // (MOST_LOOKS - 1)] for number in range(MOST_LOOKS)]


def loss_problem(new: Sequence[str], *, after_canaries: bool, most: int) -> str:
    """Say why nobody else may be started after these losses; empty when the run may go on.

    One loss is too many while only the canaries are gone: nothing but them explains it. Later other
    administrators and syncs delete users too, so that `most` per batch are let pass.
    """
    if not new or (len(new) <= most and not after_canaries):
        return ""
    users = "user" if len(new) == 1 else "users"
    shown = ", ".join(new[:20]) + (", …" if len(new) > 20 else "")
    return (
        f"{len(new)} {users} left the portal that this run did not delete: {shown}. Find out"
        " whether deleting one user deletes others too, or who else deletes users."
    )
