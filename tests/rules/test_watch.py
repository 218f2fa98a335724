"""Who is back, for any portal and any past."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.names import fold, fold_loosely
from bulk_user_deletion.models.requests import Request, Source
from bulk_user_deletion.models.runs import Mode
from bulk_user_deletion.models.users import PortalUser
from bulk_user_deletion.models.watch import (
    Change,
    Departure,
    Part,
    Population,
    Return,
    Returned,
    Was,
    Watch,
    What,
)
from bulk_user_deletion.request import read_request
from bulk_user_deletion.rules.identity import user_keys
from bulk_user_deletion.rules.leavers import name_hash
from bulk_user_deletion.rules.watch import (
    LARGE_PERCENT,
    LARGE_USERS,
    Disabled,
    change_since,
    how_back,
    is_large,
    keys_on_record,
    large_changes,
    sentence_of,
    watch_json,
)
from tests.builders import a_user, portals, users

NOW = 1_800_000_000
PORTAL = "https://portal.example.com"
NO_LEAVERS = Disabled([])


def deletion(user: PortalUser, run_id: str = "run-1", *, at: int = NOW) -> Departure:
    return Departure(Was.DELETED, run_id, user.user_id, at)


def records(*deleted: PortalUser) -> dict[str, Departure]:
    """What the ledger has on record after these users were deleted, one after another."""
    found: dict[str, Departure] = {}
    for number, user in enumerate(deleted):
        found |= dict.fromkeys(user_keys(user), deletion(user, at=NOW + number))
    return found


def old_records(*deleted: PortalUser) -> dict[str, Departure]:
    """What earlier versions put on record."""
    return {key: Departure(Was.DELETED, "old") for user in deleted for key in user_keys(user)}


def a_leaver(user: PortalUser, state: LeaverState = LeaverState.WAITING) -> Leaver:
    return Leaver(
        user_id=user.user_id,
        portal_url=PORTAL,
        username_hash=name_hash(user.username),
        email_hash=name_hash(user.email),
        state=state,
        runs=("run-1", "run-2"),
        seen_disabled_at=NOW,
    )


def told(
    user: PortalUser,
    *,
    deleted: dict[str, Departure] | None = None,
    leavers: Sequence[Leaver] = (),
) -> tuple[What, str, str] | None:
    """How a user is back, by which parts, and who it was."""
    how = how_back(user, disabled=Disabled(leavers), deleted=deleted or {})
    return (how.what, " ".join(how.by), how.departure.user_id) if how else None


ANN = a_user(118, "ann", enabled="Y")
BOB = a_user(119, "bob", enabled="Y")


# After a deletion


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (ANN, (What.BACK, "id username email", "118")),
        (replace(ANN, user_id="300"), (What.BACK, "username email", "118")),
        (replace(ANN, user_id="300", username=" ANN "), (What.BACK, "username email", "118")),
        (replace(ANN, user_id="300", email="x@example.com"), (What.BACK, "username", "118")),
        (replace(ANN, user_id="300", username="ann2"), (What.POSSIBLY, "email", "118")),
        (replace(BOB, user_id="118"), (What.BACK, "id", "118")),
        (replace(ANN, user_id="300", enabled="N"), (What.BACK, "username email", "118")),
        (BOB, None),
        (PortalUser("300", "", "", "regular"), None),
    ],
)
def test_whoever_has_the_id_or_the_username_of_somebody_deleted_is_back(
    user: PortalUser, expected: object
) -> None:
    assert told(user, deleted=records(ANN)) == expected


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (ANN, (What.BACK, "id", "")),
        (replace(ANN, user_id="300"), (What.BACK, "username", "")),
        (replace(ANN, user_id="300", username="ann2"), (What.POSSIBLY, "email", "")),
        (BOB, None),
    ],
)
def test_records_of_earlier_versions_tell_one_part_because_the_others_may_be_somebody_elses(
    user: PortalUser, expected: object
) -> None:
    assert told(user, deleted=old_records(ANN)) == expected


def test_parts_of_two_people_are_not_put_together() -> None:
    user = PortalUser("300", "ann", BOB.email, "regular", "Y")

    assert told(user, deleted=records(ANN, BOB)) == (What.BACK, "username", "118")


def test_a_name_that_is_only_loosely_equal_is_a_possibility() -> None:
    strasse = a_user(118, "strasse", email="")
    straße = a_user(300, "straße", email="", enabled="Y")

    assert told(straße, deleted=records(strasse)) == (What.POSSIBLY, "username", "118")
    assert told(straße, deleted=records(a_user(119, "straße", email=""))) == (
        What.BACK,
        "username",
        "119",
    )


# After a run that disabled


@pytest.mark.parametrize("state", LeaverState)
@pytest.mark.parametrize(
    ("user", "settled", "otherwise"),
    [
        # The very user.
        (ANN, None, (What.ENABLED_AGAIN, "id username email", "118")),
        (replace(ANN, enabled="N"), None, None),
        (replace(ANN, enabled=""), None, (What.ENABLED_AGAIN, "id username email", "118")),
        # The same person with another id, whether or not the first account exists.
        (replace(ANN, user_id="300"), None, (What.BACK, "username email", "118")),
        (replace(ANN, user_id="300", enabled="N"), None, (What.BACK, "username email", "118")),
        (replace(ANN, user_id="300", username="x"), None, (What.POSSIBLY, "email", "118")),
        (BOB, None, None),
    ],
)
def test_a_leaver_is_back_unless_still_disabled_or_a_person_has_decided_that_they_stay(
    state: LeaverState, user: PortalUser, settled: object, otherwise: object
) -> None:
    found = told(user, leavers=[a_leaver(ANN, state)])

    if state is LeaverState.WITHDRAWN:
        assert found == settled
    elif state is LeaverState.DONE and user.user_id == "118":  # somebody saw this user gone
        assert found == (What.BACK, "id username email", "118")
    else:
        assert found == otherwise


def test_somebody_who_was_deleted_came_back_and_was_disabled_is_not_back() -> None:
    again = replace(ANN, user_id="300", enabled="N")

    assert told(again, deleted=records(ANN), leavers=[a_leaver(again)]) is None
    assert told(again, deleted=records(ANN)) is not None


def test_a_withdrawn_account_that_became_somebody_elses_is_compared_like_any_other() -> None:
    taken = replace(BOB, user_id="118")

    found = told(taken, deleted=records(BOB), leavers=[a_leaver(ANN, LeaverState.WITHDRAWN)])

    assert found == (What.BACK, "username email", "119")


def test_a_deletion_counts_before_the_row_of_the_leaver_who_was_deleted() -> None:
    how = how_back(
        replace(ANN, user_id="300"),
        disabled=Disabled([a_leaver(ANN, LeaverState.DONE)]),
        deleted=records(ANN),
    )

    assert how
    assert how.departure == deletion(ANN)


# For any of them


@given(users)
def test_white_space_is_no_name_that_two_people_could_share(user: PortalUser) -> None:
    keys = keys_on_record(user)

    assert keys
    assert all(key.partition(":")[2] for key in keys)


@given(portals, portals, st.booleans())
def test_whoever_shares_an_id_or_a_username_is_back_and_nobody_is_by_an_e_mail_alone(
    portal: list[PortalUser], gone: list[PortalUser], is_old: bool
) -> None:
    deleted = old_records(*gone) if is_old else records(*gone)
    for user in portal:
        how = how_back(user, disabled=NO_LEAVERS, deleted=deleted)
        same_id = any(user.user_id == other.user_id for other in gone)
        same_name = any(
            fold(user.username) and fold(user.username) == fold(other.username) for other in gone
        )
        loosely = any(
            fold_loosely(mine) and fold_loosely(mine) == fold_loosely(theirs)
            for other in gone
            for mine, theirs in ((user.username, other.username), (user.email, other.email))
        )
        if same_id or same_name:
            assert how
            assert how.what is What.BACK
        elif loosely:
            assert how is None or how.what is What.POSSIBLY
        else:
            assert how is None


@given(portals, portals)
def test_the_parts_that_are_told_all_belong_to_the_one_person_who_is_told(
    portal: list[PortalUser], gone: list[PortalUser]
) -> None:
    by_id = {user.user_id: user for user in gone}
    for user in portal:
        how = how_back(user, disabled=NO_LEAVERS, deleted=records(*gone))
        if how is None:
            continue
        person = by_id[how.departure.user_id]
        keys = set(keys_on_record(person))
        shared = {key.partition(":")[0] for key in keys_on_record(user) if key in keys}
        assert how.by
        assert set(how.by) <= shared


@given(users, portals, st.sampled_from(LeaverState))
def test_whoever_is_still_disabled_is_never_back_and_whoever_is_enabled_always_is(
    user: PortalUser, gone: list[PortalUser], state: LeaverState
) -> None:
    leavers = [a_leaver(user, state)]
    for enabled in ("Y", "N"):
        found = told(replace(user, enabled=enabled), deleted=records(*gone), leavers=leavers)
        if state is LeaverState.WITHDRAWN:
            assert found is None
        elif state is LeaverState.DONE:
            assert found
            assert found[0] is What.BACK
        else:
            assert (found is not None) == (enabled == "Y")
            assert not found or found[0] is What.ENABLED_AGAIN


# What is said


@given(st.integers(0, 10**5), st.integers(0, 10**5))
def test_a_change_is_large_above_a_share_and_a_number(changed: int, before: int) -> None:
    expected = changed >= LARGE_USERS and changed / max(before, 1) > LARGE_PERCENT / 100

    assert is_large(changed, before) == (expected if before else changed >= LARGE_USERS)


@pytest.mark.parametrize(
    ("left", "joined", "said"),
    [
        (0, 0, []),
        (9, 9, []),
        (10, 10, []),  # exactly a tenth
        (
            11,
            0,
            [
                (
                    "11 of 100 users have left since 2027-01-15T08:00:00Z, and this stack did not"
                    " delete them."
                )
            ],
        ),
        (0, 11, ["11 users have joined since 2027-01-15T08:00:00Z, when there were 100."]),
    ],
)
def test_large_losses_and_gains_are_said(left: int, joined: int, said: list[str]) -> None:
    before = Population(NOW, tuple(map(str, range(1, 101))))
    there = [str(number) for number in range(1 + left, 101 + joined)]
    gone = [str(number) for number in range(1, 1 + left)]

    change = change_since(before, there, left=gone)

    assert large_changes(change) == said
    assert change.joined == tuple(str(number) for number in range(101, 101 + joined))


def test_nothing_is_said_of_changes_where_there_is_nothing_to_compare_with() -> None:
    assert large_changes(None) == []


def returned(user_id: int, what: What = What.BACK, *, is_new: bool = True) -> Returned:
    how = Return(what, (Part.USERNAME,), deletion(ANN))
    return Returned(str(user_id), True, how, first_seen_at=NOW, is_new=is_new)


def a_watch(*back: Returned, **fields: object) -> Watch:
    defaults = {
        "run_id": "watch-1",
        "portal_url": PORTAL,
        "at": NOW,
        "portal_users": 40,
        "back": back,
        "held": (),
        "kept": (),
        "undecided": (),
        "change": None,
        "list_is_short": False,
    }
    return Watch(**{**defaults, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("watch", "said"),
    [
        (a_watch(), "Nobody is back among 40 users."),
        (a_watch(portal_users=1), "Nobody is back among 1 user."),
        (a_watch(returned(118)), "1 of 40 users is back, all for the first time: 118."),
        (
            a_watch(returned(118), returned(119, is_new=False)),
            "2 of 40 users are back, 1 for the first time: 118, 119.",
        ),
        (
            a_watch(returned(118, What.ENABLED_AGAIN, is_new=False)),
            "1 of 40 users is back, nobody for the first time: 118.",
        ),
        (
            a_watch(returned(118, What.POSSIBLY)),
            "Nobody is back among 40 users. 1 user is possibly back, by an e-mail alone: 118.",
        ),
        (a_watch(held=("118",)), "Nobody is back among 40 users. Held, and so not deleted: 118."),
        (
            a_watch(undecided=("118", "119")),
            (
                "Nobody is back among 40 users. 2 more users seem to be back, but no look has"
                " shown it yet: 118, 119."
            ),
        ),
        (
            a_watch(undecided=("118",)),
            (
                "Nobody is back among 40 users. 1 more user seems to be back, but no look has"
                " shown it yet: 118."
            ),
        ),
        (
            a_watch(list_is_short=True),
            (
                "Nobody is back among 40 users. The portal's list of users is incomplete: it lacks"
                " users whom a look shows. Others may be back. Check whatever is between the portal"
                " and this stack."
            ),
        ),
        (
            a_watch(*map(returned, range(101, 122)), change=Change(NOW, 20, (), ())),
            (
                "21 of 40 users are back, all for the first time:"
                f" {', '.join(map(str, range(101, 121)))}, …."
            ),
        ),
    ],
)
def test_a_watch_is_told_in_whole_sentences(watch: Watch, said: str) -> None:
    assert sentence_of(watch) == said
    assert watch_json(watch)["sentence"] == said


_RETURNED = st.builds(returned, st.integers(1, 10**6), st.sampled_from(What))


@given(st.lists(_RETURNED, max_size=5, unique_by=lambda user: user.user_id))
def test_the_list_can_be_previewed_as_it_is_and_has_nobody_who_is_only_possibly_back(
    back: list[Returned],
) -> None:
    request = watch_json(a_watch(*back))["preview"]

    surely = [user.user_id for user in back if user.how.what is not What.POSSIBLY]
    if not surely:
        assert request is None
        return
    read = read_request(request, file_drop_mode=Mode.APPLY)
    assert isinstance(read, Request)
    assert (read.mode, read.source) == (Mode.PREVIEW, Source(users=tuple(surely)))


def test_what_is_stored_of_somebody_is_ids_times_and_words() -> None:
    [stored] = watch_json(a_watch(returned(300)))["back"]

    assert stored == {
        "user_id": "300",
        "what": "back",
        "enabled": True,
        "first_seen_at": "2027-01-15T08:00:00Z",
        "is_new": True,
        "by": ["username"],
        "was": "deleted",
        "was_user_id": "118",
        "was_at": "2027-01-15T08:00:00Z",
        "run_id": "run-1",
    }
