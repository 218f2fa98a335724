"""What a run took, from what was counted and what is modelled, and its price."""

from dataclasses import astuple, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.costs import Event, Figures
from bulk_user_deletion.models.plans import Estimate
from bulk_user_deletion.models.users import Spent
from bulk_user_deletion.rules.costs import expected, of_run, sentence, total, usd
from local.engine.packaging import load_template
from tests.definition.loading import PROJECT

ONE = Spent(invocations=1, ms=60_500, portal_ms=60_000, writes=17, reads=5, secrets=1)


def entered(state: str, at: float = 0.0) -> Event:
    return Event("TaskStateEntered", state, at)


def called(state: str, start: float, end: float, how: str = "TaskSucceeded") -> list[Event]:
    return [Event("TaskScheduled", "", start), Event("TaskStarted", "", start), Event(how, "", end)]


HISTORY = [
    Event("PassStateEntered", "BeginRun", 0),
    entered("FetchUserIds"),
    *called("FetchUserIds", 0, 2, "TaskFailed"),
    entered("RefreshToken"),
    *called("RefreshToken", 2, 3),
    entered("FetchUserIds"),
    *called("FetchUserIds", 3, 5),
    Event("MapStateEntered", "DeleteUsers", 5),
    Event("MapRunStarted", "", 5),
    entered("ReportRun"),
    Event("TaskScheduled", "", 6),
    Event("TaskStarted", "", 6),
]


def test_an_executions_own_steps_are_measured_by_its_history() -> None:
    cost = of_run([], [HISTORY], renewals=1, now=7)

    assert cost.measured.transitions == 6
    assert cost.measured.invocations == 4
    assert cost.measured.billed_ms == 2000 + 1000 + 2000 + 1000
    assert cost.measured.gb_seconds == 2 + 0.25 + 2 + 1
    assert cost.measured.renewals == 1
    assert cost.modelled.transitions == 2  # Succeeded?, and the end
    assert cost.modelled.invocations == cost.modelled.renewals == 0


def test_a_retry_is_a_transition_and_an_invocation() -> None:
    retried = [
        entered("ReportRun"),
        *called("ReportRun", 0, 1, "TaskFailed"),
        *called("ReportRun", 6, 7),
    ]

    cost = of_run([], [retried], renewals=0, now=8)

    assert (cost.measured.transitions, cost.measured.invocations) == (2, 2)
    assert cost.measured.billed_ms == 2000


def test_users_are_measured_by_what_their_invocations_recorded_and_their_states_modelled() -> None:
    settled = replace(ONE, invocations=3)

    cost = of_run([ONE, settled], [HISTORY], renewals=1, now=7)

    assert cost.measured.portal_seconds == 120
    assert cost.measured.ledger_writes == 34
    assert cost.measured.secret_calls == 2
    assert cost.measured.invocations == 4 + 4
    assert cost.modelled.transitions == 2 + 4 + (4 + 2 * 3)
    assert cost.modelled.file_writes == 2 + 4  # a record each, and the plan, the report, …


def test_renewals_while_users_are_changed_are_what_the_machine_did_not_do_itself() -> None:
    before = of_run([ONE], [HISTORY], renewals=1, now=7)
    after = of_run([ONE], [HISTORY], renewals=3, now=7)

    assert after.measured.renewals == 3
    assert after.modelled.renewals == 0
    assert after.modelled.transitions == before.modelled.transitions + 2 * 2
    assert after.modelled.invocations == 2 * 2
    assert after.usd > before.usd


def test_the_rounds_of_a_resumed_run_add_up() -> None:
    first = of_run([], [HISTORY], renewals=1, now=7)
    both = of_run([], [HISTORY, HISTORY], renewals=2, now=7)

    assert both.measured.transitions == 2 * first.measured.transitions
    assert both.measured.renewals == 2
    assert both.modelled.transitions == 2 * first.modelled.transitions
    assert both.usd == pytest.approx(2 * first.usd, rel=0.01)


def test_an_execution_that_aws_has_forgotten_is_modelled() -> None:
    cost = of_run([ONE], [None], renewals=0, now=7)

    assert cost.measured.transitions == 0
    assert cost.modelled.transitions > 4 + 10
    assert cost.usd > 0


@given(st.lists(st.sampled_from([ONE, Spent(), replace(ONE, invocations=4)])), st.integers(0, 9))
def test_the_price_is_that_of_all_figures_and_grows_with_every_user(
    spent: list[Spent], renewals: int
) -> None:
    cost = of_run(spent, [HISTORY], renewals=renewals, now=7)
    more = of_run([*spent, ONE], [HISTORY], renewals=renewals, now=7)

    assert cost.usd == pytest.approx(usd(total([cost.measured, cost.modelled])), abs=1e-6)
    assert more.usd > cost.usd
    assert all(value >= 0 for part in (cost.measured, cost.modelled) for value in astuple(part))


def test_every_figure_but_those_that_are_shares_of_others_has_a_price() -> None:
    shares = {"billed_ms", "portal_seconds", "renewals"}

    for field in fields(Figures):
        one = usd(Figures(**{field.name: 1_000_000}))
        assert (one == usd(Figures())) == (field.name in shares), field.name


def test_what_is_expected_grows_with_users_and_with_the_time_of_a_request() -> None:
    ten = expected(10, seconds=60, wait_seconds=60, concurrency=1)
    thousand = expected(1_000, seconds=60, wait_seconds=60, concurrency=1)
    quick = expected(1_000, seconds=2, wait_seconds=0, concurrency=1)

    assert usd(quick) < usd(thousand)
    assert 90 * usd(ten) > usd(thousand) > 50 * usd(ten)
    assert thousand.portal_seconds == 60_000


def test_the_memory_of_the_functions_is_the_templates() -> None:
    template = load_template(PROJECT / "template.yaml")

    def gb(function: str) -> float:
        properties = template["Resources"][f"{function}Function"]["Properties"]
        usual = template["Globals"]["Function"]["MemorySize"]
        return float(properties.get("MemorySize", usual)) / 1024

    for function in ("FetchUserIds", "RefreshToken", "NextBatch", "CheckLosses", "ReportRun"):
        history = [entered(function), *called(function, 0, 1)]
        assert of_run([], [history], renewals=0, now=1).measured.gb_seconds == gb(function)
    for function in ("DeleteUser", "SwitchUser"):
        cost = of_run([Spent(invocations=1, ms=1000)], [], renewals=0, now=1)
        assert cost.measured.gb_seconds == gb(function)


def test_the_cost_stands_beside_the_estimate() -> None:
    cost = of_run([ONE], [HISTORY], renewals=1, now=7)

    said = sentence(cost, Estimate(120, 0.0123), action=Action.DELETE)
    both = sentence(cost, Estimate(120, 0.0123), action=Action.DISABLE_THEN_DELETE)

    assert said.startswith(f"This run cost about {cost.usd:.4f} USD")
    assert said.endswith("its plan estimated 0.0123 USD.")
    assert both.endswith("0.0123 USD, deleting them later included.")
    assert sentence(cost, None, action=Action.DELETE).endswith("AWS's list prices.")
