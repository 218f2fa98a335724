"""From a plan and the ledger to a report: one row per requested entry, and counts that add up."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import PlannedEntry
from bulk_user_deletion.models.reports import ReportRow, Rest
from bulk_user_deletion.models.runs import Mode, RunStatus, Stopper
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind, UserRow, UserState
from bulk_user_deletion.rules.reporting import (
    count_outcomes,
    iso,
    report_row,
    rest_of,
    run_status,
    sentence,
    settle,
    unfinished,
    with_doubts,
)
from tests.builders import a_plan, a_row, a_user, planned

JDOE = a_user(118, "jdoe")

# The last look


@pytest.mark.parametrize(
    ("row", "still_there", "outcome"),
    [
        # What is already certain is kept, whatever the last look says.
        (a_row(UserState.DONE, Outcome.DELETED), True, Outcome.DELETED),
        (a_row(UserState.DONE, Outcome.SKIPPED), False, Outcome.SKIPPED),
        (a_row(UserState.DONE, Outcome.FAILED), False, Outcome.FAILED),
        (a_row(UserState.DONE, Outcome.ALREADY_ABSENT), None, Outcome.ALREADY_ABSENT),
        # We sent a DELETE and the user is gone: deleted, also after a crash or a timeout.
        (a_row(UserState.DONE, Outcome.UNKNOWN), False, Outcome.DELETED),
        (a_row(UserState.INTENT), False, Outcome.DELETED),
        (a_row(UserState.SETTLING), False, Outcome.DELETED),
        (a_row(UserState.REFUSED), False, Outcome.DELETED),
        # Gone before we sent anything: somebody else did that.
        (a_row(UserState.REOPENED, Outcome.FAILED, attempts=0), False, Outcome.ALREADY_ABSENT),
        (a_row(UserState.REFUSED, attempts=0), False, Outcome.ALREADY_ABSENT),
        # Still there, or not looked at: the DELETE may be in progress, or may not have been sent.
        (a_row(UserState.DONE, Outcome.UNKNOWN), True, Outcome.UNKNOWN),
        (a_row(UserState.DONE, Outcome.UNKNOWN), None, Outcome.UNKNOWN),
        (a_row(UserState.INTENT), True, Outcome.UNKNOWN),
        (a_row(UserState.INTENT), None, Outcome.UNKNOWN),
        (a_row(UserState.SETTLING), True, Outcome.UNKNOWN),
        (a_row(UserState.SETTLING), None, Outcome.UNKNOWN),
        # The portal refused: that is final.
        (a_row(UserState.REFUSED), True, Outcome.FAILED),
        (a_row(UserState.REFUSED), None, Outcome.FAILED),
    ],
)
def test_rule_3_the_last_look_settles_every_user_that_was_started(
    row: UserRow, still_there: bool | None, outcome: Outcome
) -> None:
    assert settle(row, still_there=still_there).outcome is outcome


rows_of_the_ledger = st.builds(
    UserRow,
    user_id=st.just("118"),
    state=st.sampled_from(UserState),
    outcome=st.none() | st.sampled_from(Outcome),
    reason=st.sampled_from(["", "DELETE: HTTP 504"]),
    attempts=st.integers(0, 5),
).filter(
    # Only an open outcome is reopened.
    lambda row: row.state is not UserState.REOPENED or (row.outcome and row.outcome.is_open)
)


@given(rows_of_the_ledger, st.none() | st.booleans())
def test_rule_3_a_final_outcome_is_never_overwritten(
    row: UserRow, still_there: bool | None
) -> None:
    if row.state is UserState.DONE and row.outcome and not row.outcome.is_open:
        end = settle(row, still_there=still_there)
        assert (end.outcome, end.reason) == (row.outcome, row.reason)


@given(rows_of_the_ledger, st.none() | st.booleans())
def test_rule_4_nobody_is_called_deleted_who_was_seen_or_not_looked_at(
    row: UserRow, still_there: bool | None
) -> None:
    outcome = settle(row, still_there=still_there).outcome

    if outcome is Outcome.DELETED and still_there is not False:
        assert (row.state, row.outcome) == (UserState.DONE, Outcome.DELETED)


@pytest.mark.parametrize(
    ("still_there", "said"),
    [
        (True, "DELETE: HTTP 504; still there at the last look"),
        (None, "DELETE: HTTP 504; not looked at at the last look"),
        (False, "DELETE: HTTP 504; gone at the last look"),
    ],
)
def test_rule_3_an_unknown_carries_its_evidence(still_there: bool | None, said: str) -> None:
    assert (
        settle(a_row(UserState.SETTLING, reason="DELETE: HTTP 504"), still_there=still_there).reason
        == said
    )


def test_an_intent_without_an_answer_says_so() -> None:
    reason = settle(a_row(UserState.INTENT), still_there=True).reason

    assert reason.startswith("the DELETE's answer was not recorded")


def test_rule_3_whoever_was_called_absent_and_is_shown_again_is_unknown_with_both_findings() -> (
    None
):
    absent = planned(
        1, None, Outcome.ALREADY_ABSENT, "nobody has this id", ReasonKind.NOBODY_HOLDS_ID
    )
    others = (
        planned(2, JDOE),
        planned(3, None, Outcome.ALREADY_ABSENT, "earlier", ReasonKind.DELETED_BEFORE),
    )

    [doubted, *kept] = with_doubts(a_plan(absent, *others), {"9": "a look shows user 9"}).entries

    assert kept == [*others]
    assert doubted == replace(
        absent,
        outcome=Outcome.UNKNOWN,
        reason_kind=ReasonKind.LISTED_AGAIN,
        reason="a look shows user 9; it was already_absent: nobody has this id",
    )
    assert with_doubts(a_plan(absent), {"10": "another"}).entries == (absent,)


def test_only_users_whose_end_is_not_certain_are_looked_at_again() -> None:
    ids = [str(n) for n in range(1, 8)]
    states = [
        a_row(UserState.INTENT),
        a_row(UserState.REFUSED),
        a_row(UserState.SETTLING),
        a_row(UserState.DONE, Outcome.UNKNOWN),
        a_row(UserState.DONE, Outcome.DELETED),
        a_row(UserState.DONE, Outcome.FAILED),
    ]  # and the seventh was not started
    rows = {
        user_id: replace(row, user_id=user_id) for user_id, row in zip(ids, states, strict=False)
    }
    plan = a_plan(*(planned(n, a_user(n)) for n in range(1, 8)))

    assert [row.user_id for row in unfinished(plan, rows)] == ["1", "2", "3", "4"]


def test_rule_1_a_row_of_a_user_who_is_not_in_the_plan_is_ignored() -> None:
    plan = a_plan(planned(1, JDOE), planned(2, a_user(7), Outcome.SKIPPED, "administrator"))

    assert unfinished(plan, {"7": a_row(UserState.INTENT, user_id="7")}) == []


# One row per entry


def folded(entry: PlannedEntry, row: UserRow | None, mode: Mode = Mode.APPLY) -> ReportRow:
    return report_row(entry, row, mode=mode, not_attempted="Stopped by an operator: enough")


def test_a_row_says_who_was_requested_which_user_that_was_and_what_happened() -> None:
    row = a_row(
        UserState.DONE,
        Outcome.DELETED,
        reason="gone",
        attempts=2,
        delete_seconds=58,
        answered_at=1_794_999_999,
        ended_at=1_795_000_000,
    )

    assert folded(planned(3, JDOE), row) == ReportRow(
        line=3,
        entry="118",
        user_id="118",
        username="jdoe",
        email="jdoe@example.com",
        outcome=Outcome.DELETED,
        reason_kind=ReasonKind.NONE,
        reason="gone",
        portal_message="",
        warning="",
        attempts=2,
        delete_seconds=58,
        answered_at="2026-11-18T11:06:39Z",
        ended_at="2026-11-18T11:06:40Z",
        history="",
    )


def test_rule_8_a_user_that_was_not_started_when_the_run_stopped_is_not_attempted() -> None:
    row = folded(planned(1, JDOE), None)

    assert (row.outcome, row.reason) == (Outcome.NOT_ATTEMPTED, "Stopped by an operator: enough")
    assert (row.attempts, row.ended_at) == (0, "")


def test_rule_3_an_apply_never_reports_would_delete() -> None:
    row = report_row(planned(1, JDOE), None, mode=Mode.APPLY, not_attempted="")

    assert row.outcome is Outcome.NOT_ATTEMPTED


@pytest.mark.parametrize("state", [UserState.INTENT, UserState.SETTLING, UserState.REFUSED])
def test_rule_3_a_user_that_was_started_is_not_called_not_attempted(state: UserState) -> None:
    assert folded(planned(1, JDOE), a_row(state)).outcome is Outcome.UNKNOWN


def test_a_preview_says_who_would_be_deleted() -> None:
    row = report_row(planned(1, JDOE), None, mode=Mode.PREVIEW, not_attempted="")

    assert (row.outcome, row.reason) == (Outcome.WOULD_DELETE, "")


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.ALREADY_ABSENT, "nobody has this id"),
        (Outcome.UNRESOLVED, "ambiguous"),
        (Outcome.SKIPPED, "duplicate: the same user as line 1"),
    ],
)
@pytest.mark.parametrize(
    "row", [None, a_row(UserState.DONE, Outcome.DELETED, reason="gone", ended_at=1)]
)
def test_rule_3_what_the_plan_decided_is_kept_whatever_happened_to_the_user(
    outcome: Outcome, reason: str, row: UserRow | None
) -> None:
    """A duplicate's user has a row in the ledger: it belongs only to the first entry."""
    said = folded(planned(2, JDOE, outcome, reason), row)

    assert (said.outcome, said.reason) == (outcome, reason)
    assert (said.attempts, said.ended_at) == (0, "")


def test_an_entry_without_a_user_is_reported_as_it_was_requested() -> None:
    row = folded(planned(1, None, Outcome.UNRESOLVED, "not_found"), None)

    assert (row.entry, row.user_id, row.username, row.email) == ("9", "", "", "")


# Counts, status, sentence


def test_rule_3_three_outcomes_are_open_and_all_others_final() -> None:
    assert {outcome.value for outcome in Outcome if outcome.is_open} == {
        "failed",
        "unknown",
        "not_attempted",
    }


outcomes = st.sampled_from(Outcome)
planned_entries = st.lists(
    st.builds(
        planned,
        line=st.integers(1, 99),
        user=st.none() | st.builds(a_user, st.integers(1, 5)),
        outcome=st.sampled_from(
            [Outcome.WOULD_DELETE, Outcome.ALREADY_ABSENT, Outcome.SKIPPED, Outcome.UNRESOLVED]
        ),
    )
)
settled_rows = st.dictionaries(
    st.sampled_from("12345"),
    st.builds(a_row, state=st.just(UserState.DONE), outcome=outcomes),
)


@given(planned_entries, settled_rows, st.sampled_from(Mode), st.sampled_from(["", "stopped"]))
def test_rule_3_one_row_per_entry_and_the_counts_add_up_to_the_entries(
    entries: list[PlannedEntry], ledger: dict[str, UserRow], mode: Mode, why: str
) -> None:
    def row_of(user: PortalUser | None) -> UserRow | None:
        return ledger.get(user.user_id) if user else None

    rows = [
        report_row(entry, row_of(entry.user), mode=mode, not_attempted=why) for entry in entries
    ]
    counts = count_outcomes(rows)

    assert [row.line for row in rows] == [entry.entry.line for entry in entries]
    assert sum(counts.values()) == len(entries)
    assert all(counts.values())


def test_outcomes_are_counted_in_the_order_of_their_table() -> None:
    rows = [
        folded(planned(1, JDOE, Outcome.UNRESOLVED), None),
        folded(planned(2, JDOE), None),
        folded(planned(3, JDOE), a_row(UserState.DONE, Outcome.DELETED)),
        folded(planned(4, JDOE), a_row(UserState.DONE, Outcome.DELETED)),
    ]

    assert list(count_outcomes(rows).items()) == [
        ("deleted", 2),
        ("unresolved", 1),
        ("not_attempted", 1),
    ]


@pytest.mark.parametrize(
    ("counts", "situation", "status"),
    [
        ({"deleted": 3}, {}, RunStatus.SUCCEEDED),
        ({"deleted": 1, "skipped": 2, "unresolved": 1}, {}, RunStatus.SUCCEEDED),
        ({"already_absent": 2, "skipped": 1}, {}, RunStatus.NOBODY_DELETED),
        ({}, {}, RunStatus.NOBODY_DELETED),
        ({"would_delete": 3}, {"mode": Mode.PREVIEW}, RunStatus.PREVIEWED),
        ({"deleted": 2, "failed": 1}, {}, RunStatus.INCOMPLETE),
        ({"deleted": 2, "unknown": 1}, {}, RunStatus.INCOMPLETE),
        ({"deleted": 2, "not_attempted": 1}, {}, RunStatus.INCOMPLETE),
        ({"deleted": 2, "not_attempted": 1}, {"stopped": True}, RunStatus.STOPPED),
        ({"deleted": 2, "not_attempted": 1}, {"stopped": True, "failed": True}, RunStatus.STOPPED),
        # A stop that came too late has no effect.
        ({"deleted": 3}, {"stopped": True}, RunStatus.SUCCEEDED),
        ({"deleted": 2, "not_attempted": 1}, {"failed": True}, RunStatus.FAILED),
        ({"deleted": 3}, {"failed": True}, RunStatus.FAILED),
        ({}, {"failed": True, "mode": None}, RunStatus.FAILED),
        ({}, {"refused": True, "failed": True}, RunStatus.REFUSED),
        ({"not_attempted": 3}, {"refused": True, "failed": True}, RunStatus.REFUSED),
        # Refused means that no user was touched: in the middle of a run, it failed.
        ({"deleted": 1, "not_attempted": 2}, {"refused": True, "failed": True}, RunStatus.FAILED),
        ({"deleted": 3}, {"refused": True}, RunStatus.FAILED),
        ({"unknown": 1, "not_attempted": 2}, {"refused": True, "failed": True}, RunStatus.FAILED),
        ({"failed": 1, "not_attempted": 2}, {"refused": True, "failed": True}, RunStatus.FAILED),
    ],
)
def test_a_run_is_named_after_the_worst_that_applies(
    counts: dict[str, int], situation: dict[str, Any], status: RunStatus
) -> None:
    situation = {
        "mode": Mode.APPLY,
        "refused": False,
        "failed": False,
        "stopped": False,
        **situation,
    }

    assert run_status(counts, action=Action.DELETE, **situation) is status


all_counts = st.dictionaries(st.sampled_from([o.value for o in Outcome]), st.integers(1, 3))
flags = st.booleans()


@given(all_counts, st.none() | st.sampled_from(Mode), flags, flags, flags)
def test_rule_3_success_is_claimed_only_when_nothing_is_left_open(
    counts: dict[str, int], mode: Mode | None, refused: bool, failed: bool, stopped: bool
) -> None:
    status = run_status(
        counts, action=Action.DELETE, mode=mode, refused=refused, failed=failed, stopped=stopped
    )

    left_open = sum(counts.get(name, 0) for name in ("failed", "unknown", "not_attempted"))
    if status.is_success:
        assert left_open == 0
        assert not refused
        assert not failed
    if status is RunStatus.SUCCEEDED:
        assert counts.get("deleted")
    if status in {RunStatus.REFUSED, RunStatus.NOBODY_DELETED} and mode is Mode.APPLY:
        assert not counts.get("deleted")


@given(all_counts, st.sampled_from(RunStatus))
def test_every_status_has_its_sentence(counts: dict[str, int], status: RunStatus) -> None:
    said = sentence(status, counts, action=Action.DELETE, why="Because.")

    assert said.endswith(".")
    assert "  " not in said


@given(
    all_counts,
    st.sampled_from([s for s in RunStatus if not s.is_success]),
    st.sampled_from(Rest),
)
def test_whatever_made_a_run_fail_its_sentence_says_what_to_do_next(
    counts: dict[str, int], status: RunStatus, rest: Rest
) -> None:
    """It is the Cause that the console shows."""
    said = sentence(status, counts, action=Action.DELETE, why="The portal is down.", rest=rest)

    steps = (
        *("esume the run", "send the request again", "See the report", "Resume only if"),
        "The run resumes automatically",
    )
    assert any(step in said for step in steps)
    assert len(said) < 400


@given(all_counts, st.sampled_from(RunStatus), st.sampled_from(Rest), st.sampled_from(Action))
def test_only_a_run_that_its_own_checks_ended_is_simply_resumed(
    counts: dict[str, int], status: RunStatus, rest: Rest, action: Action
) -> None:
    said = sentence(status, counts, action=action, why="Because.", rest=rest)

    if "resume the run: nothing is done twice" in said:
        assert rest is Rest.RESUME
    assert not ("cannot be resumed" in said and "esume only if" in said)
    assert "_" not in said
    assert not re.search(r"\b0 (not attempted|failed|unknown|were)", said)


@pytest.mark.parametrize(
    ("counts", "rest", "said"),
    [
        (
            {"deleted": 10, "not_attempted": 15},
            Rest.IF_STILL_WANTED,
            (
                "Because. 10 of 25 entries deleted. The other 15 were not touched. Resume only if"
                " they should still be deleted."
            ),
        ),
        (
            {"deleted": 1, "not_attempted": 1},
            Rest.IF_STILL_WANTED,
            (
                "Because. 1 of 2 entries deleted. The last one was not touched. Resume only if this"
                " user should still be deleted."
            ),
        ),
        (
            {"deleted": 1, "unknown": 2},
            Rest.IF_STILL_WANTED,
            (
                "Because. 1 of 3 entries deleted, 2 unknown. Resume only if they should still be"
                " deleted."
            ),
        ),
        (
            {"deleted": 1, "unknown": 1},
            Rest.SETTLE,
            (
                "Because. 1 of 2 entries deleted, 1 unknown. See the report for each: a resume"
                " would not help."
            ),
        ),
        (
            {"not_attempted": 3},
            Rest.LIFT,
            (
                "Because. 0 of 3 entries deleted. The other 3 were not touched. The stop holds"
                " until it is lifted. Resume only if they should still be deleted."
            ),
        ),
        (
            {"deleted": 1, "not_attempted": 2},
            Rest.NEVER,
            (
                "Because. 1 of 3 entries deleted. The other 2 were not touched. See the report for"
                " each: the run cannot be resumed."
            ),
        ),
    ],
)
def test_who_stopped_a_run_decides_what_may_be_done_about_the_rest(
    counts: dict[str, int], rest: Rest, said: str
) -> None:
    how = sentence(RunStatus.STOPPED, counts, action=Action.DELETE, why="Because.", rest=rest)

    assert how == said


@given(st.sets(st.sampled_from(Stopper)), *[st.booleans()] * 3)
def test_a_resume_is_advised_only_after_a_stop_of_the_run_itself(
    stoppers: set[Stopper], is_withdrawn: bool, is_edited: bool, is_replaced: bool
) -> None:
    rest = rest_of(
        [folded(planned(1, JDOE), None)],
        stoppers=stoppers,
        is_withdrawn=is_withdrawn,
        is_edited=is_edited,
        is_replaced=is_replaced,
    )

    for_good = is_withdrawn or is_edited or is_replaced
    assert (rest is Rest.NEVER) == (
        for_good or bool(stoppers & {Stopper.ROSTER, Stopper.WITHDRAWAL})
    )
    assert (rest is Rest.RESUME) == (not for_good and stoppers <= {Stopper.RUN})


@pytest.mark.parametrize(
    ("status", "counts", "said"),
    [
        (
            RunStatus.SUCCEEDED,
            {"deleted": 2, "skipped": 1},
            "2 of 3 entries deleted; nothing is left open.",
        ),
        (
            RunStatus.NOBODY_DELETED,
            {"already_absent": 2, "unresolved": 1},
            "Nobody was deleted: of 3 entries, 2 already absent, 1 unresolved.",
        ),
        (
            RunStatus.NOBODY_DELETED,
            {"unresolved": 1},
            "Nobody was deleted: of 1 entry, 1 unresolved.",
        ),
        (
            RunStatus.PREVIEWED,
            {"would_delete": 2, "unresolved": 1},
            "Preview: 2 of 3 entries would be deleted. Nobody was touched.",
        ),
        (
            RunStatus.REFUSED,
            {"not_attempted": 3},
            "Refused: Because. Nobody was deleted: fix that, then send the request again.",
        ),
        (
            RunStatus.STOPPED,
            {"deleted": 1, "not_attempted": 2},
            (
                "Because. 1 of 3 entries deleted. The other 2 were not touched. When that is"
                " resolved, resume the run: nothing is done twice."
            ),
        ),
        (
            RunStatus.INCOMPLETE,
            {"deleted": 1, "failed": 1, "unknown": 1},
            (
                "1 of 3 entries deleted, 1 failed, 1 unknown. See the report for each, then"
                " resume the run: nothing is done twice."
            ),
        ),
        (
            RunStatus.FAILED,
            {"deleted": 1, "not_attempted": 2},
            (
                "The run failed with 1 of 3 entries deleted (2 not attempted). Because. When that"
                " is fixed, resume the run: nothing is done twice."
            ),
        ),
        (
            RunStatus.FAILED,
            {"deleted": 3},
            (
                "The run failed with 3 of 3 entries deleted. Because. No user is left open. See the"
                " report for each."
            ),
        ),
    ],
)
def test_the_sentence_says_how_it_ended_and_what_is_left_to_do(
    status: RunStatus, counts: dict[str, int], said: str
) -> None:
    assert sentence(status, counts, action=Action.DELETE, why="Because.") == said


def test_a_moment_is_written_in_utc_to_the_second() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(1_795_000_000.999) == "2026-11-18T11:06:40Z"
