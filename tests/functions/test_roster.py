"""Rosters: users whom an earlier one named and a later one omits have left."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from bulk_user_deletion.models.leavers import LeaverState
from local.portal import PortalSimulator
from tests.functions.stack import Stack, dropped
from tests.functions.test_due import Calendar, SetParameter, calendar, due_run, leaver, leaving
from tests.functions.test_switch_user import run, sent

__all__ = ["calendar", "leaving"]  # fixtures

Users = Callable[[], list[int]]


def people(portal: PortalSimulator) -> list[int]:
    """The ids of all users who are not administrators."""
    rows = portal.database.execute("SELECT user_id FROM user WHERE type <> 'administrator'")
    return [row[0] for row in rows]


def drop(
    stack: Stack, ids: Iterable[int], run_id: str, key: str = "roster/people.csv"
) -> dict[str, Any]:
    """Drop a roster of these ids; return the report of its preview."""
    content = "user_id\n" + "\n".join(map(str, ids))
    planned = stack.fetch_user_ids(dropped(stack, content.encode(), key=key), run_id)
    assert planned["next_step"] == "preview"
    stack.report_run(run_id)
    return dict(stack.read_json(f"runs/{run_id}/report.json"))


def refused(stack: Stack, ids: Iterable[int], run_id: str, **more: Any) -> None:
    with pytest.raises(Exception, match=r"the previous roster still counts"):
        drop(stack, ids, run_id, **more)


def apply(stack: Stack, preview: str, run_id: str) -> dict[str, int]:
    sealed = {"run_id": preview, "sha256": stack.plan_sha256(preview)}
    stack.fetch_user_ids({"mode": "apply", "plan": sealed}, run_id)
    stack.work_off(run_id)
    return dict(stack.report_run(run_id)["counts"])


def test_the_first_roster_is_a_baseline_and_plans_nobody(
    leaving: Stack, portal: PortalSimulator
) -> None:
    report = drop(leaving, people(portal)[2:], "roster-1")

    assert report["status"] == "PREVIEWED"
    assert report["counts"] == {}
    assert "the baseline" in " ".join(report["warnings"])
    assert not leaving.writes()


def test_the_first_roster_is_the_baseline_when_its_step_is_retried_too(
    leaving: Stack, portal: PortalSimulator
) -> None:
    content = "user_id\n" + "\n".join(map(str, people(portal)))
    event = dropped(leaving, content.encode(), key="roster/people.csv")
    leaving.fetch_user_ids(event, "roster-1")

    leaving.fetch_user_ids(event, "roster-1")

    leaving.report_run("roster-1")
    report = leaving.read_json("runs/roster-1/report.json")
    assert "the baseline" in " ".join(report["warnings"])


def test_whoever_a_later_roster_lacks_is_disabled_and_deleted_later(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    calendar.turn(30)

    report = drop(leaving, everybody[2:], "roster-2")

    assert report["counts"] == {"would_disable": 2}
    assert not leaving.writes()
    assert apply(leaving, "roster-2", "run-2") == {"disabled": 2}
    assert sent(portal, "PUT") == everybody[:2]
    calendar.turn(61)
    assert due_run(leaving, "due-61") == {"deleted": 2}


def test_a_stack_that_deletes_disables_whoever_a_roster_lacks(
    leaving: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    set_parameter("LEAVER_ACTION", "delete")
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")

    drop(leaving, everybody[2:], "roster-2")

    assert apply(leaving, "roster-2", "run-2") == {"disabled": 2}
    assert not sent(portal, "DELETE")


def test_users_whom_no_roster_ever_named_are_told_in_groups_and_not_planned(
    leaving: Stack, portal: PortalSimulator
) -> None:
    everybody = people(portal)
    portal.edit(everybody[0], username="svc-reports", email="svc-reports@example.com")
    portal.edit(everybody[1], username="ada.amber", email="ada.amber@old.example.com")
    rows = portal.database.execute("SELECT user_id, email FROM user")
    emails = {row["user_id"]: row["email"] for row in rows}
    content = "email\n" + "\n".join(
        [*(emails[user_id] for user_id in everybody[3:]), "ada.amber@new.example.com"]
    )

    for number in (1, 2):
        event = dropped(leaving, content.encode(), key=f"roster/{number}.csv")
        leaving.fetch_user_ids(event, f"roster-{number}")
        leaving.report_run(f"roster-{number}")

    report = leaving.read_json("runs/roster-2/report.json")
    assert report["counts"] == {}
    said = " ".join(report["warnings"])
    assert f"look like service or shared accounts: {everybody[0]}." in said
    assert f"only by its domain: {everybody[1]}." in said
    assert f"match nothing in it: {everybody[2]}." in said


@pytest.mark.parametrize("column", ["username", "email"])
def test_whoever_is_named_by_any_column_even_loosely_stays(
    leaving: Stack, portal: PortalSimulator, column: str
) -> None:
    everybody = people(portal)
    portal.edit(everybody[0], **{column: "Straße@example.com"})
    drop(leaving, everybody, "roster-1")
    content = f"user_id,{column}\n" + "\n".join(f"{user_id}," for user_id in everybody[2:])
    content += "\n,STRASSE@EXAMPLE.COM"

    event = dropped(leaving, content.encode(), key="roster/people.csv")
    leaving.fetch_user_ids(event, "roster-2")

    leaving.report_run("roster-2")
    report = leaving.read_json("runs/roster-2/report.json")
    assert [row["user_id"] for row in report["rows"]] == [str(everybody[1])]


@pytest.mark.parametrize("mode", ["preview", "apply"])
def test_a_dropped_roster_is_only_previewed_whatever_file_drop_mode_says(
    leaving: Stack, portal: PortalSimulator, set_parameter: SetParameter, mode: str
) -> None:
    set_parameter("FILE_DROP_MODE", mode)

    drop(leaving, people(portal), "roster-1")

    assert not leaving.writes()


def test_a_roster_is_never_applied_directly(leaving: Stack, portal: PortalSimulator) -> None:
    roster = {"roster": {"dataset_id": portal.add_dataset("SELECT user_id FROM user")}}

    for request in (
        {"mode": "apply", "source": roster},
        {"scheduled_time": "now", "request": {"mode": "apply", "source": roster}},
    ):
        with pytest.raises(Exception, match="a roster is only previewed"):
            leaving.fetch_user_ids(request, "roster-1")
    with pytest.raises(Exception, match="users who are missing from a roster are disabled"):
        leaving.fetch_user_ids({"action": "delete", "source": roster}, "roster-2")


def test_a_dataset_can_be_a_roster(leaving: Stack, portal: PortalSimulator) -> None:
    everybody = people(portal)
    dataset = portal.add_dataset("SELECT user_id FROM user")
    request = {"source": {"roster": {"dataset_id": dataset}}}
    leaving.fetch_user_ids(request, "roster-1")
    leaving.report_run("roster-1")
    portal.edit(everybody[0], first_name="Left")
    gone = portal.add_dataset("SELECT user_id FROM user WHERE first_name <> 'Left'")

    leaving.fetch_user_ids({"source": {"roster": {"dataset_id": gone}}}, "roster-2")

    assert leaving.report_run("roster-2")["counts"] == {"would_disable": 1}


# Refused


def test_a_roster_that_names_too_few_of_the_portals_users_is_refused(
    leaving: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    set_parameter("ROSTER_MIN_MATCH_PERCENT", "80")
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")

    refused(leaving, [*everybody[len(everybody) // 4 :], *range(9000, 9010)], "roster-2")

    message = leaving.read_json("runs/roster-2/plan.json")["refusal"]
    assert f"of the portal's {len(everybody)} enabled and unprotected users" in message


def test_slow_cuts_add_up(leaving: Stack, portal: PortalSimulator, calendar: Calendar) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    calendar.turn(10)
    drop(leaving, everybody[3:], "roster-2")
    calendar.turn(20)

    refused(leaving, everybody[5:], "roster-3")

    calendar.turn(95)  # the largest of the last 90 days is the second one by now
    assert drop(leaving, everybody[6:], "roster-4")["counts"] == {"would_disable": 6}


@pytest.mark.parametrize("stated", [5, 37, 1000])
def test_the_number_of_rows_in_the_name_is_insisted_on(
    leaving: Stack, portal: PortalSimulator, stated: int
) -> None:
    everybody = people(portal)

    if stated == len(everybody):
        drop(leaving, everybody, "roster-1", key=f"roster/people.rows-{stated}.csv")
    else:
        refused(leaving, everybody, "roster-1", key=f"roster/people.rows-{stated}.csv")


def test_a_roster_with_a_status_by_which_some_do_not_stay_is_refused(
    leaving: Stack, portal: PortalSimulator
) -> None:
    lines = [f"{user_id},active" for user_id in people(portal)]
    lines[3] = lines[3].replace("active", "terminated")
    content = "user_id,status\n" + "\n".join(lines)

    with pytest.raises(Exception, match="Column 2 of the roster holds a status"):
        leaving.fetch_user_ids(
            dropped(leaving, content.encode(), key="roster/people.csv"), "roster-1"
        )


def test_a_refused_roster_leaves_everything_as_it_was(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    run(leaving, [str(everybody[0])])
    drop(leaving, everybody[2:], "roster-2")
    before = leaver(leaving, str(everybody[0]))

    refused(leaving, everybody, "roster-3", key="roster/people.rows-7.csv")

    assert leaver(leaving, str(everybody[0])) == before
    newest = leaving.ledger.rosters.newest(portal.url)
    assert newest
    assert newest.run_id == "roster-2"
    assert apply(leaving, "roster-2", "run-2") == {"disabled": 1}


# A newer one


def test_a_newer_roster_voids_the_plan_of_an_older_one(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    calendar.turn(0.1)
    drop(leaving, everybody[2:], "roster-2")
    calendar.turn(0.2)
    drop(leaving, everybody[1:], "roster-3")

    with pytest.raises(Exception, match="that of run roster-3 was accepted after it"):
        apply(leaving, "roster-2", "run-2")

    assert not leaving.writes()
    assert apply(leaving, "roster-3", "run-3") == {"disabled": 1}


def test_a_newer_roster_stops_a_run_that_applies_an_older_one(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    calendar.turn(1)
    drop(leaving, everybody[3:], "roster-2")
    sealed = {"run_id": "roster-2", "sha256": leaving.plan_sha256("roster-2")}
    leaving.fetch_user_ids({"mode": "apply", "plan": sealed}, "run-2")
    batch = leaving.next_batch(run_id="run-2")
    leaving.change_until_finished("switch_user", everybody[0], batch["key"], "run-2")
    calendar.turn(1.01)

    drop(leaving, everybody[1:], "roster-3")
    for user_id in everybody[1:3]:
        leaving.change_until_finished("switch_user", user_id, batch["key"], "run-2")
    leaving.work_off("run-2")

    report = leaving.report_run("run-2")
    assert report["counts"] == {"disabled": 1, "not_attempted": 2}
    assert sent(portal, "PUT") == [everybody[0]]
    assert "The roster of run roster-3 was accepted" in report["sentence"]
    with pytest.raises(Exception, match="that of run roster-3 was accepted after it"):
        leaving.fetch_user_ids({"mode": "apply", "resume": "run-2"}, "again")


def test_a_newer_roster_stops_no_run_that_applies_a_list(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    everybody = people(portal)
    leaving.plan(["110", "111"], "run-1")

    drop(leaving, [one for one in everybody if one not in (110, 111)], "roster-1")
    leaving.work_off("run-1")

    assert leaving.report_run("run-1")["counts"] == {"disabled": 2}


def test_a_roster_holds_the_leavers_whom_it_names(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    everybody = people(portal)
    first, second = everybody[:2]
    run(leaving, [str(first), str(second)])
    calendar.turn(5)

    drop(leaving, [first, *everybody[2:]], "roster-1")

    assert leaver(leaving, str(first)).state is LeaverState.HELD
    calendar.turn(31)
    assert due_run(leaving, "due-31") == {"deleted": 1}
    assert first in portal.user_ids()


def test_whoever_was_withdrawn_is_not_planned_again(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    run(leaving, [str(everybody[0])])
    order = {"users": [str(everybody[0])], "reason": "on leave", "by": "hr"}
    leaving.fetch_user_ids({"withdraw": order}, "withdraw-1")
    portal.edit(everybody[0], enabled="Y")
    calendar.turn(1)

    report = drop(leaving, everybody[1:], "roster-2")

    assert report["counts"] == {"skipped": 1}
