"""Whom the guard keeps from being deleted, and when it is not reliable."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.guards import AcceptedGuard
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind
from bulk_user_deletion.rules.expiry import moment
from bulk_user_deletion.rules.guard import (
    MOST_SHRUNK_PERCENT,
    NO_GUARD,
    Guard,
    GuardRow,
    guard_problem,
    hand_over,
    read_guard,
)
from bulk_user_deletion.rules.identity import Directory
from bulk_user_deletion.rules.planning import narrowed, plan_entries
from bulk_user_deletion.rules.text import one_line
from tests.builders import TODAY, a_report_row, a_user, planned, protected_by, users

NOW = 1_795_000_000.0
HOUR = 3600

ids = st.integers(1, 30)
reasons = st.text(max_size=40) | st.sampled_from(["owns content", "runs scripts", "a | b", " "])


def a_row(user_id: object, reason: str = "owns content", **age: object) -> GuardRow:
    return GuardRow(user_id, reason, age.get("collected_at"), bool(age))


def a_guard(*user_ids: int, oldest: float | None = None, newest: float | None = None) -> Guard:
    guard = read_guard([a_row(user_id) for user_id in user_ids], dataset_id=43)
    return replace(guard, oldest=oldest, newest=newest if newest is not None else oldest)


def problem(guard: Guard, *, accepted: int = 0, max_age_hours: int = 24) -> str:
    return guard_problem(
        guard,
        dataset_id=43,
        accepted=AcceptedGuard(accepted, int(NOW) - HOUR, "run run-0") if accepted else None,
        now=NOW,
        max_age_hours=max_age_hours,
    )


# Whom it keeps


@given(st.lists(st.tuples(ids, reasons, st.booleans()), min_size=1, max_size=20))
def test_whoever_stands_in_it_is_kept_and_nobody_else(rows: list[tuple[int, str, bool]]) -> None:
    guard = read_guard(
        [a_row(str(number) if as_text else number, reason) for number, reason, as_text in rows],
        dataset_id=43,
    )

    named = {number for number, _, _ in rows}
    for number in range(1, 31):
        why = guard.reason_to_keep(a_user(number))
        assert (why is not None) == (number in named)
        if why:
            assert why.kind is ReasonKind.GUARDED
            assert why.text.startswith("guarded: ")


@given(st.lists(st.tuples(ids, reasons), min_size=1, max_size=20), st.randoms())
def test_what_it_says_is_one_line_of_limited_length_whatever_the_order_of_its_rows(
    rows: list[tuple[int, str]], chance: Any
) -> None:
    shuffled = chance.sample(rows, len(rows))
    guard, again = (
        read_guard([a_row(*row) for row in some], dataset_id=43) for some in (rows, shuffled)
    )

    for number, _ in rows:
        why = guard.reason_to_keep(a_user(number))
        assert why == again.reason_to_keep(a_user(number))
        assert why
        assert why.text.isprintable()
        assert len(why.text) <= 5 * 203 + 40


def test_nobody_is_kept_without_a_guard() -> None:
    assert NO_GUARD.reason_to_keep(a_user(7)) is None


def test_a_user_kept_for_more_reasons_than_are_shown_has_the_first_of_them() -> None:
    rows = [a_row(7, f"owns board {number}") for number in (5, 3, 1, 2, 4, 6, 7)]

    why = read_guard(rows, dataset_id=43).reason_to_keep(a_user(7))

    assert why
    assert why.text == (
        "guarded: owns board 1 | owns board 2 | owns board 3 | owns board 4 | owns board 5"
        " | more: see the dataset"
    )


# In a plan


@given(
    st.lists(users, max_size=4, unique_by=lambda user: user.user_id),
    st.sets(st.sampled_from(["1", "2", "3", "12"])),
    st.sampled_from(Action),
)
def test_in_a_plan_the_guard_keeps_from_being_deleted_and_from_nothing_else(
    portal: list[PortalUser], guarded: set[str], action: Action
) -> None:
    entries = [Entry(line, user_id=user.user_id) for line, user in enumerate(portal, start=1)]
    guard = read_guard([a_row(user_id) for user_id in ("99", *guarded)], dataset_id=43)
    without, kept = (
        plan_entries(
            entries,
            Directory(portal),
            protected=protected_by(),
            today=TODAY,
            deleted_before=(),
            action=action,
            guard=which,
        )
        for which in (NO_GUARD, guard)
    )

    for before, after, entry in zip(without, kept, entries, strict=True):
        if before.outcome is Outcome.WOULD_DELETE and entry.user_id in guarded:
            assert (after.outcome, after.reason_kind) == (Outcome.SKIPPED, ReasonKind.GUARDED)
        else:
            assert after == before


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=6), st.sets(ids))
def test_a_plan_that_is_applied_is_only_narrowed(
    outcomes: list[Outcome], guarded: set[int]
) -> None:
    rows = [
        planned(line, a_user(line), outcome=outcome)
        for line, outcome in enumerate(outcomes, start=1)
    ]
    guard = read_guard([a_row(user_id) for user_id in {99, *guarded}], dataset_id=43)

    for before, after in zip(rows, narrowed(rows, [], since=0, guard=guard), strict=True):
        if before.outcome is Outcome.WOULD_DELETE and before.entry.line in guarded:
            assert (after.outcome, after.reason_kind) == (Outcome.SKIPPED, ReasonKind.GUARDED)
        else:
            assert after == before


# The hand-over list


@given(st.dictionaries(ids, st.lists(reasons, min_size=1, max_size=4), min_size=1))
def test_the_hand_over_list_has_everybody_under_each_reason_and_nobody_else(
    kept: dict[int, list[str]],
) -> None:
    guard = read_guard(
        [a_row(number, reason) for number, some in kept.items() for reason in some], dataset_id=43
    )
    rows = [a_report_row(line=99, user_id="99")]
    for number in kept:
        why = guard.reason_to_keep(a_user(number))
        assert why
        rows.append(
            a_report_row(
                line=number,
                user_id=str(number),
                outcome=Outcome.SKIPPED,
                reason_kind=why.kind,
                reason=why.text,
            )
        )

    listed = hand_over(rows)

    for number, some in kept.items():
        under = {reason for reason, user_ids in listed.items() if str(number) in user_ids}
        assert under == {
            one_line(reason.replace("|", "/"), longest=40) or "no reason given" for reason in some
        }
    assert {user_id for user_ids in listed.values() for user_id in user_ids} == set(map(str, kept))
    sizes = [len(user_ids) for user_ids in listed.values()]
    assert sizes == sorted(sizes, reverse=True)


# When it is not reliable


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"reason": "owns content"}, "Row 2 of the guard, dataset 43, has no column user_id"),
        ({"user_id": 7}, "Row 2 of the guard, dataset 43, has no column reason"),
        ({}, "Row 2 of the guard, dataset 43, has no column user_id"),
        (a_row(None), "Row 2 of the guard, dataset 43, names no user id"),
        (a_row(""), "names no user id"),
        (a_row("jdoe"), "names no user id"),
        (a_row(0), "names no user id"),
        (a_row(-7), "names no user id"),
        (a_row(True), "names no user id"),
        (a_row(7.5), "names no user id"),
        (a_row([7]), "names no user id"),
        (a_row("007"), "names no user id"),
        (a_row(7, collected_at=None), "Row 1 of the guard, dataset 43, has a collected_at that"),
    ],
)
def test_a_row_that_cannot_be_read_refuses_and_is_named(
    row: GuardRow | Mapping[str, Any], said: str
) -> None:
    with pytest.raises(RequestRefused) as refused:
        read_guard([a_row(6), row, a_row(8)], dataset_id=43)

    assert said in str(refused.value)
    assert "nobody is deleted" in str(refused.value)
    assert "jdoe" not in str(refused.value)
    assert "owns content" not in str(refused.value)


def test_an_empty_guard_is_refused() -> None:
    with pytest.raises(RequestRefused, match="dataset 43, is empty"):
        read_guard([], dataset_id=43)


@pytest.mark.parametrize(
    "value",
    [
        NOW - HOUR,
        int(NOW) - HOUR,
        str(int(NOW) - HOUR),
        datetime.fromtimestamp(NOW - HOUR, UTC).isoformat(),
        datetime.fromtimestamp(NOW - HOUR, UTC).isoformat().replace("+00:00", "Z"),
        datetime.fromtimestamp(NOW - HOUR, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        datetime.fromtimestamp(NOW - HOUR, UTC).strftime(" %Y-%m-%dT%H:%M:%S "),
    ],
)
def test_its_age_is_read_in_the_usual_forms(value: object) -> None:
    guard = read_guard([a_row(7, collected_at=value)], dataset_id=43)

    assert (guard.oldest, guard.newest) == (NOW - HOUR, NOW - HOUR)
    assert problem(guard, max_age_hours=2) == ""


@given(st.none() | st.booleans() | st.text() | st.floats() | st.integers() | st.lists(ids))
def test_an_age_is_read_or_refused_and_never_ignored(value: object) -> None:
    rows = [a_row(7, collected_at=value)]
    at = moment(value)
    if at is None or not isfinite(at):
        with pytest.raises(RequestRefused, match="collected_at that cannot be read as a time"):
            read_guard(rows, dataset_id=43)
        return
    guard = read_guard(rows, dataset_id=43)

    assert guard.oldest == at
    is_recent = NOW - 24 * HOUR <= at <= NOW + 300
    assert (problem(guard) == "") == is_recent


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=6), st.integers(1, 48))
def test_the_oldest_row_decides_about_its_age_and_both_figures_are_told(
    hours: list[float], most: int
) -> None:
    rows = [a_row(7, collected_at=NOW - hour * HOUR) for hour in hours]

    said = problem(read_guard(rows, dataset_id=43), max_age_hours=most)

    if min(hours) * HOUR < -300.001:
        assert f"{-min(hours):.1f} hours from now" in said
    elif max(hours) > most + 0.001:
        assert f"collected {max(hours):.1f} hours ago" in said
        assert f"GuardMaxAgeHours allows {most}." in said
    elif min(hours) * HOUR > -299 and max(hours) < most - 0.001:
        assert said == ""


@given(st.integers(1, 400), st.integers(0, 400))
def test_it_is_refused_exactly_if_it_shrank_by_more_than_a_tenth(users: int, before: int) -> None:
    said = problem(a_guard(*range(1, users + 1)), accepted=before)

    assert bool(said) == (before > 0 and (before - users) / before > MOST_SHRUNK_PERCENT / 100)
    if said:
        assert f" {users} user" in said
        assert f"kept {before} when it was last accepted" in said
        assert f"accept-guard {users} --reason" in said


@given(st.integers(1, 400))
def test_what_a_person_accepts_is_accepted(users: int) -> None:
    assert problem(a_guard(*range(1, users + 1)), accepted=users) == ""
