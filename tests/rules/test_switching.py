"""One user's PUT: what is decided after each look."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.users import (
    Outcome,
    PastOutcome,
    ReasonKind,
    UserRow,
    UserState,
    Why,
)
from bulk_user_deletion.rules.decisions import End, LookAgain, Send
from bulk_user_deletion.rules.switching import (
    MAX_PUTS,
    SETTLE_SECONDS,
    access_problem,
    changed_fields,
    decide,
    settle,
    settle_wait,
)
from tests.builders import a_user

SWITCHES = [Action.DISABLE, Action.DISABLE_THEN_DELETE, Action.ENABLE]

rows = st.builds(
    UserRow,
    user_id=st.just("118"),
    state=st.sampled_from([state for state in UserState if state is not UserState.DONE]),
    outcome=st.none(),
    reason=st.sampled_from(["", "PUT: HTTP 504"]),
    attempts=st.integers(0, 5),
    waited=st.integers(0, 200),
    looks=st.integers(0, 20),
    history=st.sampled_from([(), (PastOutcome(Outcome.UNKNOWN, "", 0, 0),)]),
)
access = st.sampled_from(["Y", "N", "y", " n "])
fields = st.dictionaries(
    st.sampled_from(["first_name", "type", "groups", "last_modified", "x y"]),
    st.one_of(st.none(), st.text(max_size=3), st.lists(st.integers(), max_size=2)),
)


@given(st.sampled_from(SWITCHES), st.none() | rows, access, st.booleans(), st.booleans())
def test_a_put_is_sent_only_while_a_look_shows_that_it_is_needed_and_three_times_at_most(
    action: Action, row: UserRow | None, enabled: str, is_kept: bool, may_send: bool
) -> None:
    found = a_user(118, enabled=enabled)
    keep = Why(ReasonKind.PROTECTED, "protected") if is_kept else None

    decision = decide(action, row, found, keep=keep, changed=[], may_send=may_send)

    if isinstance(decision, Send):
        assert found.is_enabled != (action is Action.ENABLE)
        assert not is_kept
        in_flight = row and row.state not in {UserState.REFUSED, UserState.REOPENED}
        if row and in_flight:
            assert may_send
            assert row.attempts_this_round < MAX_PUTS


@given(st.sampled_from(SWITCHES), st.none() | rows, access, st.booleans())
def test_nobody_is_called_disabled_whom_the_look_shows_enabled_nor_the_other_way_round(
    action: Action, row: UserRow | None, enabled: str, may_send: bool
) -> None:
    found = a_user(118, enabled=enabled)

    decision = decide(action, row, found, keep=None, changed=[], may_send=may_send)

    is_as_wanted = found.is_enabled == (action is Action.ENABLE)
    assert (isinstance(decision, End) and decision.outcome is action.done) == is_as_wanted


@given(st.sampled_from(SWITCHES), rows, access, st.booleans())
def test_a_record_that_a_put_changed_stops_the_run_whatever_else_is_seen(
    action: Action, row: UserRow, enabled: str, is_last: bool
) -> None:
    row = replace(row, attempts=max(1, row.attempts))
    found = a_user(118, enabled=enabled)

    end = (
        settle(action, row, found, is_gone=False, changed=["type"])
        if is_last
        else decide(action, row, found, keep=None, changed=["type"], may_send=True)
    )

    assert isinstance(end, End)
    assert (end.outcome, end.kind) == (Outcome.UNKNOWN, ReasonKind.RECORD_CHANGED)
    assert "type" in end.stop


@given(st.sampled_from(SWITCHES), rows, st.none() | access, st.booleans())
def test_the_last_look_never_calls_somebody_switched_who_was_not_seen_so(
    action: Action, row: UserRow, enabled: str | None, is_gone: bool
) -> None:
    found = None if enabled is None or is_gone else a_user(118, enabled=enabled)

    end = settle(action, row, found, is_gone=is_gone, changed=[])

    if end.outcome is action.done:
        assert found
        assert found.is_enabled == (action is Action.ENABLE)


def test_settling_ends_after_each_puts_own_time_by_the_waits_and_not_by_a_clock() -> None:
    for puts in (1, 2, 3):
        row = UserRow("118", UserState.SETTLING, attempts=puts)
        waits = []
        while (wait := settle_wait(row)) is not None:
            waits.append(wait)
            row = replace(row, looks=row.looks + 1, waited=row.waited + wait)
        assert sum(waits) == SETTLE_SECONDS * puts
        assert all(wait > 0 for wait in waits)


def test_a_look_that_still_shows_the_old_access_is_repeated_first() -> None:
    row = UserRow("118", UserState.SETTLING, attempts=1)

    decision = decide(
        Action.DISABLE, row, a_user(118, enabled="Y"), keep=None, changed=[], may_send=True
    )

    assert decision == LookAgain("still enabled")


def test_a_user_who_is_as_before_after_a_refused_put_is_failed() -> None:
    row = UserRow("118", UserState.DECLINED, reason="PUT: HTTP 403", attempts=1)
    found = a_user(118, enabled="Y")

    decision = decide(Action.DISABLE, row, found, keep=None, changed=[], may_send=True)

    assert decision == End(Outcome.FAILED, "PUT: HTTP 403; still enabled", ReasonKind.STILL_ENABLED)


@pytest.mark.parametrize(
    ("state", "enabled", "end"),
    [
        (UserState.SETTLING, "N", (Outcome.DISABLED, "disabled at the last look", "")),
        (UserState.SETTLING, "Y", (Outcome.UNKNOWN, "still enabled at the last look", "still")),
        (UserState.SETTLING, None, (Outcome.UNKNOWN, "not looked at at the last look", "")),
        (UserState.SETTLING, "gone", (Outcome.UNKNOWN, "gone at the last look", "")),
        (UserState.DECLINED, "Y", (Outcome.FAILED, "still enabled at the last look", "still")),
        (UserState.DECLINED, None, (Outcome.UNKNOWN, "not looked at at the last look", "")),
        (UserState.REFUSED, "Y", (Outcome.FAILED, "", "still")),
        (UserState.REFUSED, None, (Outcome.FAILED, "", "")),
    ],
)
def test_the_last_look_says_what_became_of_a_user_who_was_sent_a_put(
    state: UserState, enabled: str | None, end: tuple[Outcome, str, str]
) -> None:
    row = UserRow("118", state, reason="PUT: HTTP 504", attempts=1)
    found = a_user(118, enabled=enabled) if enabled in {"Y", "N"} else None
    outcome, seen, kind = end

    settled = settle(Action.DISABLE, row, found, is_gone=enabled == "gone", changed=[])

    assert settled == End(
        outcome,
        f"PUT: HTTP 504; {seen}" if seen else "PUT: HTTP 504",
        ReasonKind.STILL_ENABLED if kind else ReasonKind.NONE,
    )


@pytest.mark.parametrize("value", ["", "1", "true", "yes", "enabled", "NO", "\uff39"])
def test_only_y_and_n_say_whether_somebody_is_enabled(value: str) -> None:
    assert access_problem(a_user(118, enabled=value))


@pytest.mark.parametrize("value", ["Y", "n", " N ", "y"])
def test_y_and_n_are_read_in_either_case(value: str) -> None:
    assert not access_problem(a_user(118, enabled=value))


@given(fields, st.sampled_from(["Y", "N"]), st.sampled_from(["Y", "N"]))
def test_the_switch_itself_may_change_and_nothing_else_has(
    record: dict[str, Any], before: str, after: str
) -> None:
    assert not changed_fields({**record, "enabled": before}, {**record, "enabled": after})


@given(fields, st.sampled_from(["first_name", "type", "groups"]), st.sampled_from(["gone", "new"]))
def test_a_field_that_is_lost_or_new_or_another_is_found(
    record: dict[str, Any], name: str, how: str
) -> None:
    before = {**record, name: "Ada"}
    after = {other: value for other, value in record.items() if other != name}
    if how == "new":
        after[name] = "Ben"

    assert changed_fields(before, after) == [name]


@pytest.mark.parametrize("before", ["2026-11-01T10:00:00Z", "", None, 1_790_000_000])
def test_a_time_of_the_last_change_may_change(before: object) -> None:
    after = "2026-11-26 10:00:00.123456+00:00" if before != 1_790_000_000 else 1_790_000_500

    assert not changed_fields({"last_modified": before}, {"last_modified": after})


def test_a_time_that_is_lost_has_changed() -> None:
    assert changed_fields({"hired": "2020-01-01"}, {"hired": ""}) == ["hired"]


def test_rule_6_a_field_with_an_odd_name_is_not_repeated() -> None:
    assert changed_fields({"jdoe@example.com": 1}, {}) == ["a field with an odd name"]
