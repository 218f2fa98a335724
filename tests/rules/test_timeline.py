"""The timeline of a run, for a drawing."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.reports import ReportRow
from bulk_user_deletion.models.users import Outcome
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.timeline import WIDTH, timeline
from tests.builders import a_report, a_report_row

START = int(datetime(2026, 11, 20, 20, tzinfo=UTC).timestamp())


def row(answered: int, seconds: int, ended: int, **fields: Any) -> ReportRow:
    """Times in seconds from the start of the run."""
    return a_report_row(
        answered_at=iso(START + answered),
        delete_seconds=seconds,
        ended_at=iso(START + ended),
        **fields,
    )


def test_deletes_looks_and_the_waits_between_them_lie_where_they_were() -> None:
    report = a_report(
        row(100, 50, 150),
        row(600, 100, 600),
        started_at=iso(START),
        ended_at=iso(START + 1000),
        renewed_at=[iso(START + 10)],
        refused_at=[iso(START + 400)],
    )

    drawn = timeline(report)

    assert drawn is not None
    assert drawn.deletes == [(50, 50), (500, 100)]
    assert drawn.looks == [(100, 50)]
    assert drawn.waits == [(150, 350)]
    assert (drawn.renewals, drawn.refusals) == ([10], [400])
    assert drawn.gone == [(150, 1), (600, 2)]
    assert (drawn.seconds, drawn.delete_seconds, drawn.look_seconds) == (1000, 150, 50)
    assert (drawn.median_delete_seconds, drawn.longest_delete_seconds) == (75, 100)


def test_only_deleted_users_count_as_gone() -> None:
    report = a_report(row(100, 50, 150, outcome=Outcome.UNKNOWN), ended_at=iso(START + 1000))

    drawn = timeline(report)

    assert drawn is not None
    assert drawn.gone == []


def test_a_run_that_sent_nothing_has_no_timeline() -> None:
    assert timeline(a_report(a_report_row(answered_at="", ended_at=""))) is None


times = st.integers(0, 5000)


@given(st.lists(st.tuples(times, times, times), min_size=1, max_size=60), times)
def test_everything_is_drawn_within_the_run_and_no_more_often_than_can_be_seen(
    spans: list[tuple[int, int, int]], end: int
) -> None:
    rows = [row(a, seconds, ended) for a, seconds, ended in spans]
    drawn = timeline(a_report(*rows, started_at=iso(START), ended_at=iso(START + end)))

    assert drawn is not None
    for places in (drawn.deletes, drawn.looks, drawn.waits):
        assert len(places) <= WIDTH
        for start, width in places:
            assert 0 <= start <= WIDTH
            assert 0 <= width <= WIDTH
    assert [number for _, number in drawn.gone] == sorted({n for _, n in drawn.gone})
    assert drawn.gone[-1][1] == len(rows)
