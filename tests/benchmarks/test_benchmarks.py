"""The benchmarks' own code: what is counted, what is compared, and that they run at all."""

import json
from pathlib import Path

import pytest

from benchmarks import cost, disabling, limit, planning, preview, rosters, scale, vendor, watch
from benchmarks.application import good_deletes, largest_payload, seconds_per_user, transitions
from benchmarks.figures import Figure, save
from benchmarks.functions import Invocation
from benchmarks.limit import Case, shares
from benchmarks.vendor import beside, vendors_loop
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


def a_delete(
    at: float, status: int = 200, method: str = "DELETE", seconds: float = 0.5, user_id: int = 1
) -> Request:
    return Request(at, method, f"/api/user/id/{user_id}", {}, user_id, status, 1, seconds)


def test_the_time_of_all_slots_is_divided_without_a_remainder() -> None:
    # Two at a time, three in a batch: the second slot has nobody in each batch's last round.
    log = [a_delete(at, seconds=10) for at in (1, 1, 12, 24, 25, 36)]

    found = shares(log, since=0, concurrency=2, batch=3)

    whole = 2 * 46
    assert found.deleting == pytest.approx(100 * 60 / whole)
    assert found.last_rounds == pytest.approx(100 * (11 + 11) / whole)
    assert found.between_batches == pytest.approx(100 * 2 * 2 / whole)
    assert found.users == pytest.approx(100 * (whole - 60 - 22 - 4) / whole)


def test_the_time_between_two_deletes_is_divided_without_a_remainder() -> None:
    log = [
        a_delete(0, user_id=1, seconds=5),
        a_delete(6, method="GET", user_id=1, seconds=1),
        a_delete(20, method="GET", user_id=2, seconds=1),
        a_delete(23, user_id=2, seconds=5),
        a_delete(29, method="GET", user_id=2, seconds=1),
    ]

    found = beside(log, good_deletes(log), pause=10)

    assert (found.looking, found.preparing, found.starting) == (2, 3, 3)
    assert found.looking + found.preparing + found.starting + 10 == 23 - 5
    assert found.looks == 2


def an_invocation(written: dict[str, int], read: dict[str, int]) -> Invocation:
    calls = {"dynamodb:TransactWriteItems": 2, "dynamodb:UpdateItem": 1, "s3:PutObject": 1}
    return Invocation(None, "", "", 0, 0, 0, calls, 0, 0, written, read)


def test_the_busiest_partition_is_the_one_that_is_written_most() -> None:
    invocations = 2 * [an_invocation({"run#one": 8, "intent": 2}, {"run#one": 4, "pace": 1})]

    figures = {row.what: row.value for row in cost.busiest_partition(cost.DISABLE, invocations)}

    assert figures["SwitchUser: writes to `run`, per user"] == 8
    assert figures["SwitchUser: reads of it, per user"] == 4
    assert figures["SwitchUser: its share of a partition's writes, 20 at a time, 2 s each"] == 8
    assert figures["SwitchUser: users a second that a partition allows"] == 125


def test_calls_are_counted_by_service() -> None:
    figures = {row.what: row.value for row in cost.calls_per_user("F", [an_invocation({}, {})])}

    assert figures == {"F to dynamodb, per user": 3, "F to s3, per user": 1}


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


def test_the_limit_is_measured_after_the_canaries() -> None:
    figures = {row.what: row for row in limit.run(users=6, cases=[Case(2, 30, 0.5)])}

    measured = [row.value for row in figures.values()]
    assert sum(measured) == pytest.approx(100)
    assert figures["lost between batches, 2 at a time, 30 s scaled to 0.5 s"].value == 0


def test_the_vendors_loop_and_ours_are_compared_at_the_smallest_size() -> None:
    figures = {row.what: row for row in vendor.run(paces=(5,), users=3)}

    assert figures["users deleted by us, fixed"].value == 3
    assert figures["looks between an answer and the next DELETE"].reached


def test_a_preview_is_answered_at_the_smallest_size() -> None:
    [figure] = preview.run(listed=3, users=130)

    assert figure.value > 0


def test_disabling_runs_at_the_smallest_size() -> None:
    figures = {row.what: row for row in disabling.run(leavers=4, scale=0.05)}

    assert figures["leavers disabled"].value == 4
    assert figures["portal requests per leaver"].value == 3
    assert figures["time per leaver"].value >= 2
