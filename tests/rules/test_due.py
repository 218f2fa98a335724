"""Which leavers are deleted today."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind, Why
from bulk_user_deletion.rules.due import (
    Found,
    due_entries,
    due_without_preview,
    migration_problem,
    overdue_days,
    why_held,
)
from bulk_user_deletion.rules.leavers import DAY, Grace, is_due, is_same_person, name_hash
from tests.rules.test_leavers import NOW, a_leaver

GRACE = Grace(30, only_previewed=False)


def found(number: int, *, days: int, seen: str = "as left", protected: bool = False) -> Found:
    """Somebody who was disabled `days` ago, and what is seen now."""
    username = f"svc{number}" if protected else f"user{number}"
    at = NOW - days * DAY
    leaver = a_leaver(
        user_id=str(number),
        username_hash=name_hash(username),
        email_hash="",
        seen_disabled_at=at,
        due_at=at + 30 * DAY,
    )
    user = PortalUser(str(number), username, "", "regular", "N")
    match seen:
        case "enabled":
            user = PortalUser(str(number), username, "", "regular", "Y")
        case "renamed":
            user = PortalUser(str(number), "another", "", "regular", "N")
        case "gone":
            return Found(leaver, None)
        case "not shown":
            return Found(leaver, None, problem="HTTP 500")
    return Found(leaver, user)


SEEN = ["as left", "as left", "enabled", "renamed", "gone", "not shown"]
people = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from(SEEN), st.booleans()), max_size=12
).map(
    lambda many: [
        found(number, days=days, seen=seen, protected=protected)
        for number, (days, seen, protected) in enumerate(sorted(many, reverse=True), start=101)
    ]
)


def keep(user: PortalUser) -> Why | None:
    return Why(ReasonKind.PROTECTED, "protected") if user.username.startswith("svc") else None


@given(people, st.integers(0, 12))
def test_rule_9_only_whoever_is_due_and_as_they_were_left_is_planned_the_earliest_first(
    many: list[Found], room: int
) -> None:
    entries, later = due_entries(many, now=NOW, grace=GRACE, keep=keep, room=room)

    planned = [row.user for row in entries if row.outcome is Outcome.WOULD_DELETE]
    assert len(planned) <= room
    by_id = {one.leaver.user_id: one for one in many}
    for user in planned:
        assert user
        one = by_id[user.user_id]
        assert is_due(one.leaver, now=NOW, grace=GRACE)
        assert user.is_disabled
        assert is_same_person(one.leaver, user)
        assert not keep(user)
    ids = [int(user.user_id) for user in planned if user]
    assert ids == sorted(ids)
    assert not later or len(planned) == room
    assert all(int(leaver.user_id) > max(ids, default=0) for leaver in later)


@given(people, st.integers(0, 12))
def test_rule_3_whoever_is_due_gone_or_changed_has_one_entry_or_waits_for_another_day(
    many: list[Found], room: int
) -> None:
    entries, later = due_entries(many, now=NOW, grace=GRACE, keep=keep, room=room)

    told = [row.entry.user_id for row in entries] + [leaver.user_id for leaver in later]
    assert len(told) == len(set(told))
    for one in many:
        is_news = is_due(one.leaver, now=NOW, grace=GRACE) or one.is_gone or why_held(one)
        assert (one.leaver.user_id in told) == bool(is_news)


def test_a_migration_is_more_than_a_fifth_with_another_name() -> None:
    as_left = [found(number, days=40) for number in range(101, 109)]
    renamed = [found(number, days=40, seen="renamed") for number in (201, 202)]

    assert not migration_problem([*as_left, *renamed])
    assert migration_problem([*as_left[:7], *renamed])


def test_one_rename_is_no_migration_however_few_there_are() -> None:
    assert not migration_problem([found(101, days=40, seen="renamed")])


def test_an_entry_says_what_became_of_a_leaver() -> None:
    many = [
        found(101, days=40),
        found(102, days=40, protected=True),
        found(103, days=40, seen="not shown"),
        found(104, days=1, seen="gone"),
        found(105, days=1, seen="renamed"),
    ]

    entries, later = due_entries(many, now=NOW, grace=GRACE, keep=keep, room=9)

    assert later == []
    assert [
        (row.entry.line, row.entry.user_id, row.outcome, row.reason_kind) for row in entries
    ] == [
        (1, "101", Outcome.WOULD_DELETE, ReasonKind.NONE),
        (2, "102", Outcome.SKIPPED, ReasonKind.PROTECTED),
        (3, "103", Outcome.FAILED, ReasonKind.RECORD_INCOMPLETE),
        (4, "104", Outcome.ALREADY_ABSENT, ReasonKind.NOBODY_HOLDS_ID),
        (5, "105", Outcome.SKIPPED, ReasonKind.CHANGED_SINCE_PLAN),
    ]


def test_whom_a_preview_would_make_due_is_told_and_nobody_else() -> None:
    grace = Grace(30, only_previewed=True)
    waiting, early = found(101, days=40), found(102, days=29)
    shown = found(103, days=40)
    shown = Found(replace(shown.leaver, is_from_preview=True), shown.user)
    others = [found(104, days=40, seen="gone"), found(105, days=40, seen="renamed")]
    many = [waiting, early, shown, *others]

    assert due_without_preview(many, now=NOW, grace=grace) == [waiting.leaver]
    assert due_without_preview(many, now=NOW, grace=GRACE) == []


def test_the_backlog_is_told_in_days() -> None:
    later = [found(101, days=33).leaver, found(102, days=31).leaver]

    assert overdue_days(later, now=NOW, grace=GRACE) == 3
    assert overdue_days([], now=NOW, grace=GRACE) == 0
