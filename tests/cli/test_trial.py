"""What `doctor --try-disabling` makes of the runs on a test account."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.users import Outcome, ReasonKind
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.doctor import State
from bulk_user_deletion_cli.runs import Ended
from bulk_user_deletion_cli.trial import Trial, account_problem, put_findings
from tests.builders import a_plan, a_user, planned
from tests.cli.test_leavers import a_leaver

SWITCHING = pytest.mark.parametrize("action", [Action.DISABLE, Action.ENABLE])
RECORD = "s3://data/runs/run-1/records/118-1.json"


def an_end(status: str = "SUCCEEDED", **row: Any) -> Ended:
    """A run of user 118 that ended with this row in its report, or without any."""
    rows = [{"reason": "", "reason_kind": "", "attempts": 1, **row}] if row else []
    report = {"rows": rows, "plan_sha256": "0" * 64}
    return Ended("run-1", status, "How it ended.", report)


@SWITCHING
def test_a_put_that_a_look_confirms_is_well_in_both_respects(action: Action) -> None:
    found = list(put_findings(action, an_end(outcome=action.done, attempts=2), RECORD))

    assert [finding.state for finding in found] == [State.WELL, State.WELL]
    assert f"after 2 PUTs found the user {action.done}" in found[0].said


@SWITCHING
def test_a_user_who_was_so_already_shows_nothing_of_a_put(action: Action) -> None:
    end = an_end(outcome=action.done, attempts=0, reason="without a PUT")

    put, fields = put_findings(action, end, RECORD)

    assert (put.state, fields.state) == (State.WRONG, State.UNKNOWN)


@SWITCHING
def test_a_put_that_changes_more_names_the_fields_and_the_record_of_before(action: Action) -> None:
    end = an_end(
        "STOPPED",
        outcome=Outcome.UNKNOWN,
        reason_kind=ReasonKind.RECORD_CHANGED,
        reason="these fields are not as before: email",
    )

    _, fields = put_findings(action, end, RECORD)

    assert fields.state is State.WRONG
    assert "email" in fields.said
    assert RECORD in fields.fix


@SWITCHING
@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.DISABLED, Outcome.ENABLED}))
def test_every_other_outcome_is_wrong_and_says_its_reason(action: Action, outcome: Outcome) -> None:
    end = an_end("INCOMPLETE", outcome=outcome, reason="what it was")

    put, fields = put_findings(action, end, RECORD)

    assert (put.state, put.said, fields.state) == (State.WRONG, "what it was", State.UNKNOWN)
    assert "report run-1" in put.fix


@SWITCHING
def test_a_run_without_a_report_is_wrong_and_says_how_it_ended(action: Action) -> None:
    put, _ = put_findings(action, an_end("ABORTED"), RECORD)

    assert (put.state, put.said) == (State.WRONG, "How it ended.")


@pytest.mark.parametrize("state", LeaverState)
@pytest.mark.parametrize("by_our_put", [True, False])
def test_a_leaver_is_no_test_account(state: LeaverState, by_our_put: bool) -> None:
    fits = state in {LeaverState.DISABLED, LeaverState.DONE} or (
        state is LeaverState.WITHDRAWN and not by_our_put  # as a trial leaves its account
    )

    problem = account_problem(a_leaver(118, state, by_our_put=by_our_put))

    assert (problem == "") is fits


def test_an_account_that_no_run_disabled_may_be_tried_on() -> None:
    assert account_problem(None) == ""


# The trial as a whole, with the ends of its runs given

Ends = dict[tuple[str, Action], Ended | BaseException]

PREVIEWED = an_end("PREVIEWED", outcome=Outcome.WOULD_ENABLE)


class StubTrial(Trial):
    """A trial whose runs end as given, by mode and action; `enabled` is what the list shows now."""

    def __init__(self, ends: Ends, *, enabled: str = "Y") -> None:
        leavers = SimpleNamespace(read=lambda *_: None)
        deployment = SimpleNamespace(
            parameters={"PortalUrl": "https://portal.example.com"},
            ledger=SimpleNamespace(leavers=leavers),
            bucket=SimpleNamespace(name="data"),
        )
        super().__init__(cast("Deployment", deployment), "118", lambda _: pytest.fail("no AWS"))
        self.ends = ends
        self.enabled = enabled
        self.action = Action.DISABLE
        self.sent: list[tuple[str, Action]] = []

    def _run(self, request: dict[str, Any]) -> Ended:
        self.action = request.get("action", self.action)
        self.sent.append((request["mode"], self.action))
        end = self.ends.get((request["mode"], self.action), PREVIEWED)
        if isinstance(end, BaseException):
            raise end
        return end

    def _planned(self, preview: Ended) -> Any:
        first = len(self.sent) == 1
        user = a_user(118, enabled="Y" if first else self.enabled)
        return a_plan(planned(1, user, outcome=Outcome.WOULD_DISABLE)).entries[0]


def the_account(trial: Trial) -> tuple[State, str]:
    """What is said about the account at the end."""
    last = list(trial.findings())[-1]
    return last.state, last.said


DISABLED = an_end(outcome=Outcome.DISABLED)
ENABLED = an_end(outcome=Outcome.ENABLED)
STILL = an_end("INCOMPLETE", outcome=Outcome.UNKNOWN, reason_kind=ReasonKind.STILL_ENABLED)


def test_an_account_is_disabled_and_enabled_again_each_through_a_preview() -> None:
    ends: Ends = {("apply", Action.DISABLE): DISABLED, ("apply", Action.ENABLE): ENABLED}
    tried = StubTrial(ends)

    assert the_account(tried) == (State.WELL, "user 118 is enabled, as before")
    assert tried.sent == [
        ("preview", Action.DISABLE),
        ("apply", Action.DISABLE),
        ("preview", Action.ENABLE),
        ("apply", Action.ENABLE),
    ]


@pytest.mark.parametrize(
    ("enabled", "state", "said"),
    [
        ("Y", State.WELL, "is enabled, as before"),
        ("N", State.WRONG, "is DISABLED now"),
        ("", State.WRONG, "is in an unknown state"),
    ],
)
@pytest.mark.parametrize(
    "ends",
    [
        {("apply", Action.DISABLE): STILL},
        {("apply", Action.DISABLE): an_end("ABORTED")},
        {("apply", Action.DISABLE): DISABLED, ("apply", Action.ENABLE): an_end("REFUSED")},
        {("apply", Action.DISABLE): DISABLED, ("preview", Action.ENABLE): an_end("REFUSED")},
    ],
)
def test_whatever_goes_wrong_the_state_of_the_account_is_said_as_the_portal_shows_it(
    ends: Ends, enabled: str, state: State, said: str
) -> None:
    found = the_account(StubTrial(ends, enabled=enabled))

    assert found == (state, f"user 118 {said}")


def refused(action: Action) -> BaseException:
    error = {"Error": {"Code": "ExpiredTokenException", "Message": "no"}}
    return ClientError(error, f"StartExecution to {action}")  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), refused(Action.ENABLE)])
@pytest.mark.parametrize("where", [("apply", Action.DISABLE), ("apply", Action.ENABLE)])
def test_where_it_is_cut_off_the_account_may_be_disabled_and_that_is_said(
    error: BaseException, where: tuple[str, Action], capsys: pytest.CaptureFixture[str]
) -> None:
    tried = StubTrial({("apply", Action.DISABLE): DISABLED, where: error})

    with pytest.raises(type(error)):
        list(tried.findings())

    said = capsys.readouterr().err
    assert "user 118 may be disabled" in said
    assert "bulk-user-deletion enable 118" in said


def test_cut_off_before_anything_was_sent_there_is_nothing_to_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        list(StubTrial({("preview", Action.DISABLE): SystemExit(1)}).findings())

    assert capsys.readouterr().err == ""
