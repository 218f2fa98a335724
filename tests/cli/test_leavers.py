"""What `due`, `withdraw` and `enable` make of the ledger's rows; end-to-end tests run them."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.rules.leavers import DAY, Grace, is_due
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion_cli import leavers as commands
from bulk_user_deletion_cli import parts
from bulk_user_deletion_cli.leavers import by_date, count_by_state, disabled_by, line_of
from bulk_user_deletion_cli.main import main

NOW = 1_800_000_000
GRACE = Grace(30, only_previewed=False)


def a_leaver(user_id: int = 118, state: LeaverState = LeaverState.WAITING, **fields: Any) -> Leaver:
    """A leaver of run-1, whom our PUT disabled ten days ago and who is due in twenty."""
    seen = NOW - 10 * DAY
    defaults = {
        "portal_url": "https://portal.example.com",
        "username_hash": "u" * 64,
        "email_hash": "e" * 64,
        "runs": ("run-1",),
        "by_our_put": True,
        "seen_disabled_at": seen,
        "due_at": seen + 30 * DAY,
    }
    return Leaver(user_id=str(user_id), state=state, **{**defaults, **fields})


leavers = st.builds(
    a_leaver,
    st.integers(1, 10**6),
    st.sampled_from(LeaverState),
    is_from_preview=st.booleans(),
    seen_disabled_at=st.just(0) | st.integers(NOW - 100 * DAY, NOW),
    due_at=st.just(0) | st.integers(NOW - 100 * DAY, NOW + 400 * DAY),
)
graces = st.builds(Grace, st.integers(1, 365), only_previewed=st.booleans())


@given(leavers, graces)
def test_whoever_is_due_has_a_date_that_is_over_and_nobody_else_who_waits_has(
    leaver: Leaver, grace: Grace
) -> None:
    line = line_of(leaver, grace=grace, now=NOW)

    assert line["is_due"] is is_due(leaver, now=NOW, grace=grace)
    if leaver.state is LeaverState.WAITING:
        is_over = bool(line["due_at"]) and line["due_at"] <= iso(NOW)
        assert line["is_due"] is is_over
        assert line["due_at"] or "never due" in line["why"]


@given(leavers, graces)
def test_nothing_of_a_leaver_is_told_that_names_a_person(leaver: Leaver, grace: Grace) -> None:
    line = line_of(leaver, grace=grace, now=NOW)

    assert {leaver.username_hash, leaver.email_hash}.isdisjoint(map(str, line.values()))


def test_the_later_date_counts_where_grace_days_was_changed() -> None:
    leaver = a_leaver()

    shorter, longer = (
        line_of(leaver, grace=Grace(days, only_previewed=False), now=NOW) for days in (7, 60)
    )

    assert shorter["due_at"] == iso(leaver.due_at)
    assert longer["due_at"] == iso(leaver.seen_disabled_at + 60 * DAY)


@pytest.mark.parametrize(
    ("leaver", "why"),
    [
        (a_leaver(), ""),
        (a_leaver(due_at=NOW), ""),  # GraceDays says 30 by now
        (a_leaver(seen_disabled_at=NOW - 30 * DAY), ""),
        (a_leaver(seen_disabled_at=NOW - 30 * DAY, due_at=NOW), "due"),
        (a_leaver(seen_disabled_at=NOW - 31 * DAY, due_at=NOW - DAY), "overdue for 1 day"),
        (
            a_leaver(seen_disabled_at=NOW - 90 * DAY, due_at=NOW - 60 * DAY),
            "overdue for 60 days",
        ),
        (a_leaver(due_at=0), "never due: there is no date"),
        (a_leaver(state=LeaverState.HELD, reason="enabled_again: since"), "enabled_again: since"),
        (a_leaver(state=LeaverState.WITHDRAWN, by="ops", reason="HR-1"), "by ops: HR-1"),
        (a_leaver(state=LeaverState.DISABLED, due_at=0), ""),
    ],
)
def test_it_is_said_what_a_leaver_waits_for(leaver: Leaver, why: str) -> None:
    assert line_of(leaver, grace=GRACE, now=NOW)["why"] == why


def test_without_a_preview_nobody_is_due_under_apply_only_plans() -> None:
    strict = Grace(30, only_previewed=True)
    fresh, previewed = a_leaver(), a_leaver(is_from_preview=True)

    assert "ApplyOnlyPlans" in line_of(fresh, grace=strict, now=NOW)["why"]
    assert line_of(fresh, grace=strict, now=NOW)["due_at"] == ""
    assert line_of(previewed, grace=strict, now=NOW)["due_at"]


def test_the_earliest_comes_first_and_whoever_has_no_date_last() -> None:
    never, late, early = a_leaver(1, due_at=0), a_leaver(2), a_leaver(3)
    late = a_leaver(2, due_at=late.due_at + DAY)

    assert [leaver.user_id for leaver in by_date([never, late, early], GRACE)] == ["3", "2", "1"]


def test_leavers_are_counted_by_state() -> None:
    over = a_leaver(1, seen_disabled_at=NOW - 31 * DAY, due_at=NOW - DAY)
    listed = [over, a_leaver(2), a_leaver(3, LeaverState.HELD)]

    assert count_by_state(listed, grace=GRACE, now=NOW) == "2 waiting, 1 held; 1 due now."


def test_a_run_is_enabled_as_far_as_our_put_disabled_it_and_nobody_is_gone() -> None:
    listed = [
        a_leaver(1),
        a_leaver(2, by_our_put=False),
        a_leaver(3, LeaverState.DONE),
        a_leaver(4, LeaverState.WITHDRAWN, runs=("run-0", "run-1", "run-2")),
        a_leaver(5, runs=("run-2",)),
        a_leaver(6, LeaverState.DISABLED),
    ]

    assert disabled_by(listed, "run-1") == ("1", "4", "6")


# The commands, with a stack that notes what is started


class StubDeployment:
    """A stack with these leavers, whose executions all succeed."""

    def __init__(self, listed: list[Leaver]) -> None:
        self.listed = listed
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.grace = GRACE
        self.ledger = SimpleNamespace(runs=SimpleNamespace(id_of=lambda name: name))

    def leavers(self) -> list[Leaver]:
        return self.listed

    def start(self, request: dict[str, Any], *, kind: str = "run") -> str:
        self.started.append((kind, request))
        return "arn"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubDeployment:
    """A stack with one leaver of each state, whose id is 1, 2 and so on in the states' order."""
    stub = StubDeployment([a_leaver(n, state) for n, state in enumerate(LeaverState, start=1)])
    monkeypatch.setattr(commands, "Deployment", lambda _: stub)
    execution = SimpleNamespace(
        name="withdraw-1",
        succeeded=True,
        status=ExecutionStatus.SUCCEEDED,
        nothing_because="What was done.",
    )
    monkeypatch.setattr(parts, "wait", lambda *_: execution)
    return stub


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize(("user_id", "state"), list(enumerate(LeaverState, start=1)))
def test_withdraw_fails_for_scripts_where_it_may_come_too_late(
    stub: StubDeployment, user_id: int, state: LeaverState
) -> None:
    result = run("withdraw", str(user_id), "--reason", "stays", "--by", "ops")

    order = {"users": [str(user_id)], "reason": "stays", "by": "ops"}
    assert stub.started == [("withdraw", {"withdraw": order})]
    assert result.output == "What was done.\n"
    too_late = state in {LeaverState.DELETING, LeaverState.DONE}
    assert result.exit_code == (1 if too_late else 0)


def test_withdraw_fails_for_scripts_where_an_id_is_not_a_leavers(stub: StubDeployment) -> None:
    assert run("withdraw", "1", "99", "--reason", "stays").exit_code == 1
    assert run("withdraw", "1", "2", "--reason", "stays").exit_code == 0


def test_a_whole_run_is_withdrawn_by_its_id_alone(stub: StubDeployment) -> None:
    result = run("withdraw", "--run", "run-1", "--reason", "stays", "--by", "ops")

    order = {"run_id": "run-1", "reason": "stays", "by": "ops"}
    assert stub.started == [("withdraw", {"withdraw": order})]
    assert result.exit_code == 1  # one of them is done, and one is being deleted


@pytest.mark.parametrize("name", ["withdraw", "enable"])
@pytest.mark.parametrize("users", [(), ("1", "--run", "run-1")])
def test_either_users_or_a_run_are_named(
    stub: StubDeployment, name: str, users: tuple[str, ...]
) -> None:
    result = run(name, *users, "--reason", "why")

    assert result.exit_code == 64
    assert "Name user ids, or --run." in result.output
    assert not stub.started


def test_nobody_is_enabled_where_a_run_disabled_nobody(stub: StubDeployment) -> None:
    result = run("enable", "--run", "run-2")

    assert result.exit_code == 2
    assert "disabled nobody who may be enabled" in result.output
    assert not stub.started


def test_due_lists_who_is_open_unless_states_are_named(stub: StubDeployment) -> None:
    def listed(result: Result) -> set[str]:
        assert result.exit_code == 0, result.output
        return {row["user_id"] for row in json.loads(result.stdout.splitlines()[-1])["leavers"]}

    number = {state: str(n) for n, state in enumerate(LeaverState, start=1)}
    open_states = (LeaverState.WAITING, LeaverState.DELETING, LeaverState.HELD)
    assert listed(run("due", "--json")) == {number[state] for state in open_states}
    for state in LeaverState:
        assert listed(run("due", "--json", "--state", state.value)) == {number[state]}
    stub.listed = []
    assert run("due").output == "Nobody is waiting or deleting or held.\n"


def test_due_never_starts_anything(stub: StubDeployment) -> None:
    assert run("due", "--json").exit_code == 0
    assert not stub.started
