"""When a leaver is due, over every course of events."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.actions import LEAVER_ACTIONS, Action
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind, Why
from bulk_user_deletion.rules.leavers import (
    DAY,
    Decided,
    Grace,
    after_deleting,
    after_disabling,
    after_enabling,
    due_at,
    grace_problem,
    held,
    is_due,
    is_same_person,
    name_hash,
    not_due,
    seen_enabled,
    withdrawn,
)
from tests.builders import a_user

NOW = 1_800_000_000
USER = PortalUser("118", "jdoe", "jdoe@example.com", "regular", "N")


def a_leaver(**fields: object) -> Leaver:
    leaver = Leaver(
        user_id="118",
        portal_url="https://portal.example.com",
        username_hash=name_hash("jdoe"),
        email_hash=name_hash("jdoe@example.com"),
        state=LeaverState.WAITING,
        runs=("run-1",),
        plan_sha256="0" * 64,
        seen_disabled_at=NOW,
        due_at=NOW + 30 * DAY,
        changed_at=NOW,
        changed_by="run-1",
    )
    return replace(leaver, **fields)  # type: ignore[arg-type]


@dataclass
class History:
    """What our looks have seen of one user, and the row that the rules make from it."""

    leaver: Leaver | None = None
    disabled_since: int | None = None  # by our looks, with no look in between that saw Y
    longest_grace: int = 0
    approved: bool = False
    is_withdrawn: bool = False
    now: int = NOW
    deleted_early: list[str] = field(default_factory=list)

    def disable(self, action: Action, grace: int, *, was_enabled: bool) -> None:
        if self.leaver and self.leaver.state in {LeaverState.HELD, LeaverState.WITHDRAWN}:
            return  # the plan skips users about whom a person must decide
        if was_enabled or self.disabled_since is None:
            self.disabled_since = self.now
            self.approved = False
            self.longest_grace = 0
        if self.leaver and was_enabled:
            why = Why(ReasonKind.ENABLED_AGAIN, "seen enabled")
            self.leaver = held(self.leaver, why, run_id="run-2", now=self.now)
        self.leaver = after_disabling(
            self.leaver,
            USER,
            portal_url="https://portal.example.com",
            action=action,
            run_id="run-2",
            plan_sha256="1" * 64,
            is_from_preview=True,
            put_was_sent=was_enabled,
            grace_days=grace if action is Action.DISABLE_THEN_DELETE else 0,
            now=self.now,
        )
        if action is Action.DISABLE_THEN_DELETE:
            self.approved = True
            self.longest_grace = max(self.longest_grace, grace)

    def see_enabled(self) -> None:
        self.disabled_since = None
        if self.leaver:
            self.leaver = seen_enabled(self.leaver, run_id="run-3", now=self.now)

    def withdraw(self) -> None:
        if self.leaver:
            self.is_withdrawn = True
            self.leaver = withdrawn(self.leaver, by="hr", reason="stays", now=self.now)

    def enable(self) -> None:
        if self.leaver:
            self.disabled_since = None
            self.leaver = after_enabling(self.leaver, run_id="run-4", now=self.now)

    def check(self, grace: int) -> None:
        if self.leaver is None or not is_due(self.leaver, now=self.now, grace=Grace(grace, False)):
            return
        assert self.approved
        assert not self.is_withdrawn
        assert self.disabled_since is not None
        assert self.now - self.disabled_since >= max(grace, self.longest_grace) * DAY


EVENTS = st.one_of(
    st.tuples(st.just("days"), st.integers(0, 100)),
    st.tuples(st.just("disable"), st.sampled_from(LEAVER_ACTIONS[:2]), st.booleans()),
    st.tuples(st.just("see_enabled")),
    st.tuples(st.just("withdraw")),
    st.tuples(st.just("enable")),
    st.tuples(st.just("grace"), st.integers(1, 90)),
)


@given(st.lists(EVENTS, max_size=12), st.integers(1, 90))
def test_rule_9_whatever_happens_nobody_is_due_before_the_grace_time_nor_after_a_withdrawal(
    events: list[tuple[object, ...]], grace: int
) -> None:
    history = History()
    for event in events:
        match event:
            case ("days", int(days)):
                history.now += days * DAY
            case ("grace", int(days)):
                grace = days
            case ("disable", Action() as action, bool(was_enabled)):
                history.disable(action, grace, was_enabled=was_enabled)
            case ("see_enabled",):
                history.see_enabled()
            case ("withdraw",):
                history.withdraw()
            case ("enable",):
                history.enable()
        history.check(grace)


def test_whoever_waits_is_due_once_the_time_is_over() -> None:
    leaver = a_leaver()

    assert not is_due(leaver, now=NOW + 30 * DAY - 1, grace=Grace(30, only_previewed=False))
    assert is_due(leaver, now=NOW + 30 * DAY, grace=Grace(30, only_previewed=False))


@pytest.mark.parametrize("missing", ["due_at", "seen_disabled_at"])
def test_rule_9_no_date_is_not_due(missing: str) -> None:
    leaver = a_leaver(**{missing: 0})

    assert not is_due(leaver, now=NOW + 999 * DAY, grace=Grace(1, only_previewed=False))


@given(st.integers(1, 365), st.integers(1, 365))
def test_the_longer_grace_time_counts(then: int, today: int) -> None:
    leaver = a_leaver(due_at=NOW + then * DAY)

    assert due_at(leaver, grace_days=today) == NOW + max(then, today) * DAY


@pytest.mark.parametrize("state", [state for state in LeaverState if state != "waiting"])
def test_only_whoever_waits_is_due(state: LeaverState) -> None:
    leaver = a_leaver(state=state)

    assert not is_due(leaver, now=NOW + 999 * DAY, grace=Grace(1, only_previewed=False))


@given(
    st.sampled_from([LeaverState.WITHDRAWN, LeaverState.HELD]),
    st.sampled_from(["N", "Y", "", "maybe"]),
)
def test_rule_10_whoever_was_withdrawn_or_is_held_is_not_deleted(
    state: LeaverState, is_enabled: str
) -> None:
    found = replace(USER, enabled=is_enabled)
    leaver = a_leaver(state=state)

    assert not_due(
        leaver, found, run_id="due-1", now=NOW + 999 * DAY, grace=Grace(1, only_previewed=False)
    )


@pytest.mark.parametrize(
    ("run_id", "grace", "is_due_again"),
    [("due-1", 30, True), ("due-1", 60, False), ("due-2", 30, False)],
)
def test_rule_9_another_try_is_made_by_the_same_run_and_on_the_same_conditions(
    run_id: str, grace: int, is_due_again: bool
) -> None:
    leaver = a_leaver(state=LeaverState.DELETING, changed_by="due-1")
    found = replace(USER, enabled="N")

    why = not_due(
        leaver, found, run_id=run_id, now=NOW + 31 * DAY, grace=Grace(grace, only_previewed=False)
    )

    assert (why is None) == is_due_again


DELETES = st.sampled_from([Action.DELETE, Action.DELETE_DUE])


@given(DELETES, st.sampled_from(Outcome), st.sampled_from(ReasonKind), st.sampled_from(LeaverState))
def test_only_whoever_is_gone_is_done(
    action: Action, outcome: Outcome, kind: ReasonKind, state: LeaverState
) -> None:
    after = after_deleting(
        a_leaver(state=state), outcome, Why(kind, "why"), action=action, run_id="due-1", now=NOW
    )

    gone = outcome in {Outcome.DELETED, Outcome.ALREADY_ABSENT}
    assert (after.state is LeaverState.DONE) == (gone or state is LeaverState.DONE)


@given(DELETES, st.sampled_from(Outcome), st.sampled_from(ReasonKind))
def test_rule_10_a_withdrawal_outlives_whatever_does_not_delete(
    action: Action, outcome: Outcome, kind: ReasonKind
) -> None:
    leaver = withdrawn(a_leaver(), by="hr", reason="stays", now=NOW)

    after = after_deleting(
        leaver, outcome, Why(kind, "why"), action=action, run_id="due-1", now=NOW
    )

    assert after.state in {LeaverState.WITHDRAWN, LeaverState.DONE}


@given(DELETES, st.sampled_from(Outcome), st.sampled_from(ReasonKind), st.sampled_from(LeaverState))
def test_rule_9_only_a_run_of_those_who_are_due_lets_anybody_wait_again(
    action: Action, outcome: Outcome, kind: ReasonKind, state: LeaverState
) -> None:
    before = a_leaver(state=state)

    after = after_deleting(
        before, outcome, Why(kind, "why"), action=action, run_id="run-5", now=NOW
    )

    if after.state is LeaverState.WAITING and after != before:
        assert action is Action.DELETE_DUE
        assert state is LeaverState.DELETING


@given(st.booleans(), st.booleans(), st.booleans())
def test_a_person_is_known_by_id_username_and_email_together(
    same_id: bool, same_name: bool, same_email: bool
) -> None:
    user = a_user(
        118 if same_id else 119,
        "JDOE " if same_name else "asmith",
        email="jdoe@Example.com" if same_email else "asmith@example.com",
    )

    assert is_same_person(a_leaver(), user) == (same_id and same_name and same_email)


@pytest.mark.parametrize(
    ("user_id", "username", "email", "is_skipped"),
    [
        ("118", "other", "other@example.com", True),
        ("999", "jdoe", "other@example.com", True),
        ("999", "other", "jdoe@example.com", True),
        ("999", "other", "other@example.com", False),
    ],
)
def test_a_decision_is_found_by_id_username_or_email(
    user_id: str, username: str, email: str, is_skipped: bool
) -> None:
    decided = Decided([withdrawn(a_leaver(), by="hr", reason="stays", now=NOW)])

    why = decided.reason_to_skip(PortalUser(user_id, username, email, "regular"))

    assert (why is not None) == is_skipped


@given(st.permutations([0, 1, 2]))
def test_rule_10_the_last_decision_about_a_name_counts(order: list[int]) -> None:
    decisions = [
        withdrawn(a_leaver(user_id=str(200 + days)), by="hr", reason="stays", now=NOW + days * DAY)
        for days in order
    ]
    anew = PortalUser("300", "jdoe", "jdoe@example.com", "regular")

    assert Decided(decisions).reason_to_skip(anew, since=NOW + 2 * DAY)
    assert not Decided(decisions).reason_to_skip(anew, since=NOW + 3 * DAY)


@pytest.mark.parametrize(("grace", "retention", "fits"), [(30, 60, True), (31, 60, False)])
def test_what_is_kept_must_outlive_the_grace_time(grace: int, retention: int, fits: bool) -> None:
    problem = grace_problem(Action.DISABLE_THEN_DELETE, grace_days=grace, retention_days=retention)

    assert (problem == "") == fits
    assert not grace_problem(Action.DELETE, grace_days=grace, retention_days=retention)
