"""What to do next about a run that has ended, for each kind of open outcome."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.reports import Report, Rest
from bulk_user_deletion.models.runs import Mode, RunStatus
from bulk_user_deletion.models.users import Outcome, ReasonKind
from bulk_user_deletion.request import REQUEST_SCHEMA, read_request
from bulk_user_deletion.rules.advice import advice
from tests.builders import a_report, a_report_row


def test_nothing_is_left_to_do_after_a_run_that_deleted_everybody() -> None:
    assert advice(a_report(a_report_row())) == []


def test_a_previews_plan_is_applied_by_its_hash() -> None:
    report = a_report(
        a_report_row(outcome=Outcome.WOULD_DELETE),
        mode="preview",
        status=RunStatus.PREVIEWED,
        counts={"would_delete": 1},
    )

    [piece] = advice(report)

    assert piece.request == {"mode": "apply", "plan": {"run_id": "run-1", "sha256": "0" * 64}}
    assert piece.command == "bulk-user-deletion apply run-1"


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome.FAILED, "Fix that in the portal."),
        (Outcome.UNKNOWN, "Look this user up in the portal."),
        (Outcome.NOT_ATTEMPTED, "nothing was sent."),
    ],
)
def test_what_is_open_is_resumed(outcome: Outcome, said: str) -> None:
    report = a_report(
        a_report_row(outcome=outcome), status=RunStatus.INCOMPLETE, counts={outcome.value: 1}
    )

    about, resume = advice(report)

    assert about.text.startswith("1 ")
    assert said in about.text
    assert resume.request == {"mode": "apply", "resume": "run-1"}


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (Rest.IF_STILL_WANTED, "Resume only if this user should still be deleted."),
        (Rest.LIFT, "Every run on this portal is stopped: first lift that"),
        (Rest.NEVER, "The run cannot be resumed."),
    ],
)
def test_after_a_stop_by_a_person_nobody_is_told_to_delete_the_rest(rest: Rest, said: str) -> None:
    report = a_report(
        a_report_row(outcome=Outcome.NOT_ATTEMPTED),
        status=RunStatus.STOPPED,
        rest=rest,
        counts={"not_attempted": 1},
    )

    about, resume = advice(report)

    assert about.text == "1 not attempted: the run ended first, and nothing was sent."
    assert resume.text.startswith(said)
    assert bool(resume.command) == (rest is not Rest.NEVER)


def test_a_refused_run_is_sent_again_and_not_resumed() -> None:
    report = a_report(
        a_report_row(outcome=Outcome.NOT_ATTEMPTED),
        status=RunStatus.REFUSED,
        counts={"not_attempted": 1},
    )

    [piece] = advice(report)

    assert "send the request again" in piece.text
    assert piece.request is None


@pytest.mark.parametrize("rest", [Rest.IF_STILL_WANTED, Rest.LIFT])
def test_what_a_person_stopped_while_it_waited_is_sent_again_only_if_it_is_still_wanted(
    rest: Rest,
) -> None:
    [piece] = advice(a_report(status=RunStatus.REFUSED, rest=rest))

    assert "send the request again only if that is still wanted" in piece.text
    assert "Fix" not in piece.text


def test_a_refused_run_does_not_say_that_a_resume_cannot_help() -> None:
    row = a_report_row(user_id="", outcome=Outcome.NOT_ATTEMPTED, reason_kind=ReasonKind.NOT_LISTED)
    report = a_report(row, status=RunStatus.REFUSED, counts={"not_attempted": 1})

    [step] = advice(report)

    assert "send the request again" in step.text


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome.UNKNOWN, ReasonKind.LISTED_AGAIN),
        (Outcome.FAILED, ReasonKind.RECORD_INCOMPLETE),
    ],
)
def test_what_a_resume_cannot_decide_is_previewed_again_and_no_delete_is_made_up(
    outcome: Outcome, kind: ReasonKind
) -> None:
    row = a_report_row(user_id="", outcome=outcome, reason_kind=kind)
    report = a_report(row, status=RunStatus.INCOMPLETE, counts={outcome.value: 1})

    about, again = advice(report)

    assert "DELETE" not in about.text
    assert again.request == {"mode": "preview", "source": {"users": [row.entry]}}


def test_a_preview_with_an_open_entry_still_offers_its_plan() -> None:
    report = a_report(
        a_report_row(outcome=Outcome.WOULD_DELETE),
        a_report_row(2, outcome=Outcome.FAILED),
        mode="preview",
        status=RunStatus.INCOMPLETE,
        counts={"would_delete": 1, "failed": 1},
    )

    assert advice(report)[0].command == "bulk-user-deletion apply run-1"


def test_users_that_changed_since_the_plan_are_previewed_again_by_their_ids() -> None:
    reason = "changed_since_plan: the e-mail is another one"
    kind = ReasonKind.CHANGED_SINCE_PLAN
    rows = [
        a_report_row(n, user_id=str(n), outcome=Outcome.SKIPPED, reason=reason, reason_kind=kind)
        for n in (7, 9)
    ]

    [piece] = advice(a_report(*rows, counts={"skipped": 2}))

    assert piece.request == {"mode": "preview", "source": {"users": ["7", "9"]}}


def test_users_that_were_kept_on_purpose_need_no_action() -> None:
    row = a_report_row(outcome=Outcome.SKIPPED, reason="protected: service accounts")

    assert advice(a_report(row, counts={"skipped": 1})) == []


def test_unexplained_losses_need_an_investigation() -> None:
    [piece] = advice(a_report(a_report_row(), unexplained_losses=["130"]))

    assert "Find out who did" in piece.text


counts = st.dictionaries(st.sampled_from([o.value for o in Outcome]), st.integers(1, 3))


reports = st.builds(
    a_report,
    status=st.sampled_from(RunStatus),
    mode=st.sampled_from(["preview", "apply", ""]),
    rest=st.sampled_from(Rest),
    action=st.sampled_from(Action),
    counts=counts,
).map(lambda report: replace(report, requested=sum(report.counts.values())))


@given(reports)
def test_no_advice_contradicts_another(report: Report) -> None:
    """The run is resumed, or sent again, or its plan applied, or none of these: never two."""
    pieces = advice(report)

    done = [
        what
        for piece in pieces
        for what, is_said in {
            "apply": "plan" in (piece.request or {}),
            "resume": "resume" in (piece.request or {}),
            "send again": "send the request again" in piece.text,
            "no resume": "cannot be resumed" in piece.text,
        }.items()
        if is_said
    ]
    assert len(done) <= 1
    if report.rest is Rest.NEVER:
        assert not {"apply", "resume"} & {*done}
        assert not any("Resuming" in piece.text for piece in pieces)
    if "resume" in done and report.rest in {Rest.IF_STILL_WANTED, Rest.LIFT}:
        assert any("Resume only if" in piece.text for piece in pieces)
        assert not any("hen resume" in piece.text for piece in pieces)


@given(reports)
def test_every_request_that_is_given_can_be_sent(report: Report) -> None:
    for piece in advice(report):
        assert piece.text.endswith(".")
        if piece.request:
            assert set(piece.request) <= {*REQUEST_SCHEMA["properties"], "withdraw"}
            assert read_request(piece.request, file_drop_mode=Mode.PREVIEW)


@pytest.mark.parametrize("action", Action)
def test_a_preview_says_what_applying_its_plan_does(action: Action) -> None:
    report = a_report(
        a_report_row(outcome=action.would),
        action=action,
        grace_days=30,
        mode="preview",
        status=RunStatus.PREVIEWED,
        counts={action.would: 1},
    )

    text = advice(report)[0].text

    verb = {"delete_due": "delete", "disable_then_delete": "disable"}.get(action, action)
    assert f"To {verb} exactly these users" in text
    assert ("deleted 30 days later" in text) == (action is Action.DISABLE_THEN_DELETE)


def test_whoever_the_last_look_showed_enabled_is_not_called_uncertain() -> None:
    report = a_report(
        a_report_row(outcome=Outcome.UNKNOWN, reason_kind=ReasonKind.STILL_ENABLED),
        action=Action.DISABLE,
        status=RunStatus.INCOMPLETE,
        counts={"unknown": 1},
    )

    said = " ".join(piece.text for piece in advice(report))

    assert "showed this user enabled" in said
    assert "it is not known whether" not in said


def test_a_run_that_disabled_leavers_says_how_to_withdraw_them() -> None:
    report = a_report(
        a_report_row(outcome=Outcome.DISABLED),
        action=Action.DISABLE_THEN_DELETE,
        grace_days=30,
        counts={"disabled": 1},
    )

    [piece] = advice(report)

    assert "deleted 30 days after they were disabled" in piece.text
    assert piece.command == "bulk-user-deletion withdraw --run run-1 --reason WHY"
