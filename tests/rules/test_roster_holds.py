"""A user whom a roster names is never due, whatever earlier runs do to their row."""

from hypothesis import assume, given
from hypothesis import strategies as st

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.users import Outcome, ReasonKind, Why
from bulk_user_deletion.rules.leavers import (
    DAY,
    Grace,
    after_deleting,
    held,
    is_due,
    is_held_by,
    may_be_deleted,
    seen_enabled,
    waiting_again,
)
from bulk_user_deletion.rules.rosters import why_named
from tests.rules.test_leavers import NOW, a_leaver

LATER = NOW + 400 * DAY
ANYBODY = Grace(30, only_previewed=False)

leavers = st.builds(
    a_leaver,
    state=st.sampled_from(LeaverState),
    reason_kind=st.sampled_from(ReasonKind),
    changed_by=st.sampled_from(["run-1", "run-2", ""]),
    seen_disabled_at=st.sampled_from([0, NOW]),
)
endings = st.lists(
    st.tuples(
        st.sampled_from([outcome for outcome in Outcome if not outcome.startswith("would")]),
        st.sampled_from([ReasonKind.NONE, ReasonKind.HELD, ReasonKind.CHANGED_SINCE_PLAN]),
    ),
    max_size=4,
)


def resumed(leaver: Leaver) -> Leaver:
    """A row after a resume, whichever run is resumed."""
    if is_held_by(leaver, leaver.changed_by):
        return waiting_again(leaver, run_id=leaver.changed_by, now=LATER)
    return leaver


@given(leaver=leavers, outcomes=endings, is_seen=st.booleans())
def test_rule_12_whom_a_roster_holds_no_run_of_before_makes_due_again(
    leaver: Leaver, outcomes: list[tuple[Outcome, ReasonKind]], is_seen: bool
) -> None:
    assume(may_be_deleted(leaver))
    row = held(leaver, why_named("roster-1"), run_id="roster-1", now=NOW)
    for outcome, kind in outcomes:
        ended = after_deleting(
            row, outcome, Why(kind, "said"), action=Action.DELETE_DUE, run_id="run-1", now=LATER
        )
        row = resumed(ended) if not is_seen else seen_enabled(ended, run_id="run-1", now=LATER)

        assert not is_due(row, now=LATER, grace=ANYBODY)


@given(leaver=leavers)
def test_rule_12_whom_a_roster_need_not_hold_no_resume_makes_due(leaver: Leaver) -> None:
    assume(not may_be_deleted(leaver))

    assert not is_due(resumed(leaver), now=LATER, grace=ANYBODY)
