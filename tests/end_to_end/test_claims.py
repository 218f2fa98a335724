"""A portal that is wrong, short or odd, on the whole state machine: no report lies about it."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.engine import Engine
from local.portal import Fault, Knobs, PortalSimulator
from tests.end_to_end.conftest import Application, Run


@pytest.fixture(scope="module")
def odd(aws: Engine) -> Iterator[Application]:
    """A separate stack, whose portal is anything but ordinary; one canary."""
    with PortalSimulator(users=150) as portal:
        yield Application(
            aws,
            "odd",
            portal,
            MaxUsersPerDay="10000",
            MaxPercentPerDay="100",
            CanaryUsers="1",
        )


@pytest.fixture
def portal(odd: Application) -> PortalSimulator:
    """The simulated portal, at first without faults."""
    odd.behave()
    return odd.portal


def truthful(run: Run, portal: PortalSimulator) -> dict[str, int]:
    """Check a report against the portal's own table; return its counts."""
    there = portal.user_ids()
    for row in run.report["rows"]:
        if row["outcome"] in {"deleted", "already_absent"} and row["user_id"]:
            assert int(row["user_id"]) not in there, row
    counts: dict[str, int] = run.report["counts"]
    return counts


def row_of(run: Run, user_id: int) -> dict[str, Any]:
    [row] = [row for row in run.report["rows"] if row["user_id"] == str(user_id)]
    return dict(row)


def test_a_list_that_is_cut_short_makes_nobody_deleted(
    odd: Application, portal: PortalSimulator
) -> None:
    users = odd.leavers(4)
    for user in users[2:]:
        portal.faults.script(Fault.ERROR_200, user_id=user)
    sent = sum(request.method == "DELETE" for request in portal.requests)
    portal.knobs = Knobs(list_limit=8, list_limit_after=sent + len(users))

    run = odd.apply(users)

    assert truthful(run, portal) == {"deleted": 2, "unknown": 2}
    assert run.error == "UsersLeftOpen"
    portal.knobs = Knobs()
    again = odd.start({"mode": "apply", "resume": run.id})
    assert truthful(again, portal) == {"deleted": 4}


def test_a_user_whom_a_cached_list_goes_on_showing_is_unknown(
    odd: Application, portal: PortalSimulator
) -> None:
    users = odd.leavers(2)
    portal.knobs = Knobs(stale_list=(users[1],))

    run = odd.apply(users)

    assert truthful(run, portal) == {"deleted": 1, "unknown": 1}
    row = row_of(run, users[1])
    assert "in two lists a minute apart" in row["reason"]
    assert row["history"].startswith("deleted at ")


def test_an_id_beyond_the_end_of_the_list_refuses_the_run(
    odd: Application, portal: PortalSimulator
) -> None:
    (user,) = odd.leavers(1)
    portal.knobs = Knobs(hidden_users=(user,))

    run = odd.apply([user])

    assert run.error == "RequestRefused"
    assert f"is incomplete: it lacks user {user}" in run.cause
    assert run.writes == []


def test_our_own_user_is_kept_whatever_the_list_calls_it(
    odd: Application, portal: PortalSimulator
) -> None:
    (user,) = odd.leavers(1)
    portal.database.execute(
        "UPDATE user SET email = ?, type = 'power' WHERE user_id = ?", (portal.api_user, user)
    )

    run = odd.apply([user])

    assert run.outcomes == {str(user): "skipped"}
    assert run.report["rows"][0]["reason_kind"] == "self"
    assert run.writes == []


@pytest.mark.parametrize("every_look", ["gone", "there"])
def test_looks_that_do_not_tell_who_is_there_stop_the_run_before_its_first_delete(
    odd: Application, portal: PortalSimulator, every_look: Any
) -> None:
    portal.knobs = Knobs(every_look=every_look)

    run = odd.apply(odd.leavers(1))

    assert run.error == "PortalAnswerUnusable"
    assert run.writes == []


@pytest.mark.parametrize("gone_as", ["null_user", "empty_list", "error_200"])
def test_a_portals_own_way_to_say_nobody_is_learned(
    odd: Application, portal: PortalSimulator, gone_as: Any
) -> None:
    portal.knobs = Knobs(gone_as=gone_as)

    run = odd.apply([*odd.leavers(2), 9001])

    assert truthful(run, portal) == {"deleted": 2, "already_absent": 1}


def test_a_user_whom_the_portal_does_not_show_keeps_nobody_else(
    odd: Application, portal: PortalSimulator
) -> None:
    users = odd.leavers(4)
    portal.faults.rate(Fault.FORBIDDEN, 1.0, method="GET", user_id=users[2])

    run = odd.apply(users)

    assert truthful(run, portal) == {"deleted": 3, "failed": 1}
    portal.faults.clear()
    again = odd.start({"mode": "apply", "resume": run.id})
    assert truthful(again, portal) == {"deleted": 4}


def test_an_incomplete_record_fails_its_own_user_and_nobody_else(
    odd: Application, portal: PortalSimulator
) -> None:
    users = odd.leavers(3)
    portal.knobs = Knobs(
        odd_records={users[1]: {"type": ...}, users[2]: {"manager": {"username": 7}}}
    )

    run = odd.apply(users)

    assert truthful(run, portal) == {"deleted": 2, "failed": 1}
    assert row_of(run, users[1])["reason_kind"] == "record_incomplete"


def test_the_portals_own_words_stand_in_the_row_and_nowhere_else(
    odd: Application, portal: PortalSimulator
) -> None:
    users = odd.leavers(3)
    portal.knobs = Knobs(refusal="jdoe owns 12 elements")
    portal.faults.script(Fault.CONFLICT, user_id=users[1])

    run = odd.apply(users)

    assert truthful(run, portal) == {"deleted": 2, "failed": 1}
    assert row_of(run, users[1])["portal_message"] == "jdoe owns 12 elements"
    assert "owns" not in run.cause


def test_a_delete_that_removes_another_user_too_stops_the_run_after_its_canary(
    odd: Application, portal: PortalSimulator
) -> None:
    users = odd.leavers(3)
    (bystander,) = odd.leavers(1)
    portal.knobs = Knobs(takes_along={users[0]: (bystander,)})

    run = odd.apply(users)

    assert run.error == "RunStopped"
    assert f"did not delete: {bystander}" in run.cause
    assert truthful(run, portal) == {"deleted": 1, "not_attempted": 2}
    assert [request.user_id for request in run.writes] == users[:1]
    assert run.report["unexplained_losses"] == [str(bystander)]


def test_a_canary_that_proves_nothing_is_replaced(
    odd: Application, portal: PortalSimulator
) -> None:
    users = odd.leavers(3)
    preview = odd.preview(users)
    portal.database.execute("UPDATE user SET type = 'administrator' WHERE user_id = ?", users[:1])
    plan = {"run_id": preview.id, "sha256": preview.report["plan_sha256"]}

    run = odd.start({"mode": "apply", "plan": plan})

    assert truthful(run, portal) == {"deleted": 2, "skipped": 1}


def test_a_leaver_who_came_back_refuses_nobody_else(
    odd: Application, portal: PortalSimulator
) -> None:
    back, other = odd.leavers(2)
    odd.apply([f"user{back:04}"])
    portal.database.execute(
        "INSERT INTO user (username, first_name, last_name, email) VALUES (?, 'A', 'B', 'x@y.z')",
        (f"user{back:04}",),
    )

    run = odd.apply([f"user{back:04}", other])

    assert truthful(run, portal) == {"deleted": 1, "unresolved": 1}
    assert run.report["rows"][0]["reason_kind"] == "came_back"
