"""The benchmarks' own code: what is counted, what is compared, and that they run at all."""

import json
from pathlib import Path

import pytest

from benchmarks import cost, disabling, planning, rosters, scale, watch
from benchmarks.application import good_deletes, largest_payload, seconds_per_user, transitions
from benchmarks.figures import Figure, save
from benchmarks.vendor import vendors_loop
from local.portal import Knobs, PortalSimulator
from local.portal.simulator import Request

NOBODY_WAITS = 0.0


@pytest.mark.parametrize(
    ("value", "target", "at_most", "reached"),
    [
        (1.0, 1.0, True, True),
        (1.1, 1.0, True, False),
        (1.0, 1.0, False, True),
        (0.9, 1.0, False, False),
        (5.0, None, True, None),
    ],
)
def test_a_figure_knows_whether_it_is_good_enough(
    value: float, target: float | None, at_most: bool, reached: bool | None
) -> None:
    assert Figure("a", "b", value, target=target, at_most=at_most).reached is reached


def test_figures_are_kept_as_json_with_their_verdicts(tmp_path: Path) -> None:
    save([Figure("a", "b", 2.0, "s", 1.0)], tmp_path / "figures.json", seconds=3)

    document = json.loads((tmp_path / "figures.json").read_bytes())
    assert document["seconds"] == 3
    assert document["figures"][0]["reached"] is False


EVENTS = [
    {"type": "PassStateEntered", "stateEnteredEventDetails": {"name": "BeginRun", "input": "{}"}},
    {"type": "PassStateExited", "stateExitedEventDetails": {"name": "BeginRun", "output": "ä"}},
    {
        "type": "TaskStateEntered",
        "stateEnteredEventDetails": {"name": "FetchUserIds", "input": "{" + 9 * " " + "}"},
    },
]


def test_transitions_are_the_states_that_were_entered() -> None:
    assert transitions(EVENTS) == {"BeginRun": 1, "FetchUserIds": 1}


def test_the_largest_payload_is_counted_in_bytes() -> None:
    assert largest_payload(EVENTS) == 11
    assert largest_payload(EVENTS[:2]) == 2
    assert largest_payload([]) == 0


def a_delete(at: float, status: int = 200, method: str = "DELETE") -> Request:
    return Request(at, method, "/api/user/id/1", {}, 1, status, 1, 0.5)


def test_the_time_per_user_is_that_from_one_good_delete_to_the_next() -> None:
    log = [a_delete(10), a_delete(11, method="GET"), a_delete(12), a_delete(13, 412), a_delete(16)]

    assert seconds_per_user(good_deletes(log)) == 3


def test_the_vendors_loop_deletes_one_after_the_other() -> None:
    with PortalSimulator(users=20) as portal:
        vendors_loop(portal, [110, 111, 112], NOBODY_WAITS)

        assert {110, 111, 112}.isdisjoint(portal.user_ids())
        assert [request.method for request in portal.requests] == ["POST", *["DELETE"] * 3]


def test_the_vendors_loop_continues_without_effect_after_its_token_expires() -> None:
    with PortalSimulator(users=20, knobs=Knobs(token_life_seconds=0)) as portal:
        vendors_loop(portal, [110, 111], NOBODY_WAITS)

        assert {110, 111} <= portal.user_ids()
        assert [request.status for request in portal.requests] == [200, 412, 412]


def test_planning_rosters_scale_and_watch_run_at_the_smallest_size() -> None:
    figures = {
        (row.part, row.what): row
        for row in [
            *planning.run(users=30),
            *rosters.run(users=30),
            *scale.run(sizes=(2, 3)),
            *watch.run(users=30),
        ]
    }

    assert figures["planning", "peak memory"].reached
    assert figures["rosters", "peak memory"].reached
    assert figures["watch", "peak memory"].reached
    assert figures["watch", "calls to read the ledger"].value == 2
    assert figures["scale, 3 users", "users deleted"].value == 3
    assert figures["scale, 3 users", "portal requests per user"].reached


def test_estimates_and_reports_are_compared_at_the_smallest_size() -> None:
    figures = {row.what: row.value for row in cost.side_by_side(sizes=(3,))}

    assert abs(figures["transitions: taken"] - figures["transitions: estimated"]) <= 8
    assert abs(figures["ledger_writes: taken"] - figures["ledger_writes: estimated"]) <= 8
    assert 0.5 < figures["what the report says"] / figures["estimate of the plan"] < 2


def test_disabling_runs_at_the_smallest_size() -> None:
    figures = {row.what: row for row in disabling.run(leavers=4, scale=0.05)}

    assert figures["leavers disabled"].value == 4
    assert figures["portal requests per leaver"].value == 3
    assert figures["time per leaver"].value >= 2
