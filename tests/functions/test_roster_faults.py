"""Accidents of rosters, found by trying to break them."""

import json
import time
from collections.abc import Callable

import pytest

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.rosters import Roster
from bulk_user_deletion.models.runs import Mode
from bulk_user_deletion.models.users import ReasonKind
from local.portal import PortalSimulator
from tests.functions.stack import Stack, dropped
from tests.functions.test_due import DUE, Calendar, SetParameter, calendar, due_run, leaver, leaving
from tests.functions.test_roster import apply, drop, people, refused
from tests.functions.test_switch_user import enabled, run, set_knobs

__all__ = ["calendar", "leaving"]  # fixtures


# A file under roster/ names those who stay, whoever names the file


@pytest.mark.parametrize("mode", ["preview", "apply"])
def test_a_file_under_roster_is_no_list_of_leavers_in_a_request_either(
    leaving: Stack, portal: PortalSimulator, mode: str
) -> None:
    content = "user_id\n" + "\n".join(map(str, people(portal)[:5]))
    dropped(leaving, content.encode(), key="roster/people.csv")
    source = {"s3": {"bucket": "data", "key": "roster/people.csv"}}

    with pytest.raises(Exception, match=r"refused at source\.s3: a file under roster/"):
        leaving.fetch_user_ids({"mode": mode, "source": source}, "run-1")

    assert not leaving.writes()


# A roster holds everybody whom it names, whatever an earlier list did with them


def test_a_resume_does_not_delete_whom_a_roster_has_named_since(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, ["110", "111"])
    calendar.turn(31)
    set_knobs(portal, delete_mode="ignored")
    due_run(leaving, "due-31")
    assert leaver(leaving, "110").state is LeaverState.HELD
    set_knobs(portal, delete_mode="synchronous")
    drop(leaving, [one for one in people(portal) if one != 111], "roster-1")

    leaving.fetch_user_ids({"mode": "apply", "resume": "due-31"}, "again")
    leaving.work_off("due-31")
    leaving.report_run("due-31")

    assert 110 in portal.user_ids()
    assert 111 not in portal.user_ids()
    assert leaver(leaving, "110").reason_kind is ReasonKind.NAMED_BY_ROSTER


def test_whom_a_roster_names_while_a_delete_is_under_way_is_not_due_if_it_does_nothing(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, ["110", "111"])
    calendar.turn(31)
    leaving.fetch_user_ids(DUE, "due-31")
    batch = leaving.next_batch(run_id="due-31")
    set_knobs(portal, delete_mode="ignored")
    leaving.change_user("delete_user", 110, batch["key"], run_id="due-31")
    assert leaver(leaving, "110").state is LeaverState.DELETING

    drop(leaving, people(portal), "roster-1")
    leaving.change_until_finished("delete_user", 110, batch["key"], "due-31")
    leaving.work_off("due-31")
    leaving.report_run("due-31")
    set_knobs(portal, delete_mode="synchronous")
    leaving.fetch_user_ids({"mode": "apply", "resume": "due-31"}, "again")
    leaving.work_off("due-31")
    leaving.report_run("due-31")

    assert {110, 111} <= portal.user_ids()
    assert {leaver(leaving, user).state for user in ("110", "111")} == {LeaverState.HELD}


def test_the_plan_of_a_list_disables_nobody_whom_a_roster_has_named_since(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    leaving.fetch_user_ids({"source": {"users": ["110", "111"]}}, "preview-1")
    leaving.report_run("preview-1")
    calendar.turn(0.1)
    drop(leaving, [one for one in people(portal) if one != 111], "roster-1")

    counts = apply(leaving, "preview-1", "run-1")

    assert counts == {"disabled": 1, "skipped": 1}
    assert enabled(portal, "110", "111") == ["Y", "N"]
    rows = leaving.read_json("runs/run-1/report.json")["rows"]
    [kept] = [row for row in rows if row["user_id"] == "110"]
    assert "roster-1" in kept["reason"]


def test_whom_a_roster_names_while_an_earlier_list_is_being_disabled_is_not_due(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    leaving.plan(["110", "111"], "run-1")
    calendar.turn(0.01)
    drop(leaving, [one for one in people(portal) if one != 111], "roster-1")
    leaving.work_off("run-1")
    leaving.report_run("run-1")
    calendar.turn(31)

    due_run(leaving, "due-31")

    assert 110 in portal.user_ids()
    assert 111 not in portal.user_ids()
    assert leaver(leaving, "110").reason_kind is ReasonKind.NAMED_BY_ROSTER


def test_whom_a_list_names_after_the_newest_roster_is_due(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    drop(leaving, people(portal), "roster-1")
    calendar.turn(1)
    run(leaving, ["110"])
    calendar.turn(32)

    assert due_run(leaving, "due-32") == {"deleted": 1}


# What an earlier roster named may have expired


def test_after_the_record_of_the_newest_roster_has_expired_the_next_one_is_the_baseline(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    leaving.s3.delete_object(Bucket="data", Key="runs/roster-1/roster.json")
    calendar.turn(1)

    report = drop(leaving, everybody[1:], "roster-2")

    assert report["counts"] == {}
    said = " ".join(report["warnings"])
    assert "It is the baseline" in said
    assert "run roster-1" in said
    calendar.turn(2)
    assert drop(leaving, everybody[2:], "roster-3")["counts"] == {"would_disable": 1}


# A refused roster changes nothing, and says nothing else


def test_a_first_roster_that_is_refused_does_not_say_that_it_is_the_baseline(
    leaving: Stack, portal: PortalSimulator
) -> None:
    refused(leaving, people(portal), "roster-1", key="roster/people.rows-7.csv")

    plan = leaving.read_json("runs/roster-1/plan.json")
    assert "baseline" not in " ".join(plan["warnings"])
    assert drop(leaving, people(portal), "roster-2")["counts"] == {}


@pytest.mark.parametrize(
    "name", ["rows-5,120", "rows-12345678901", "rows 5120", "rows.5120", "5120rows", "rows-"]
)
def test_a_number_of_rows_that_cannot_be_read_is_refused_and_not_ignored(
    leaving: Stack, portal: PortalSimulator, name: str
) -> None:
    with pytest.raises(Exception, match=r"rows"):
        drop(leaving, people(portal), "roster-1", key=f"roster/people.{name}.csv")


@pytest.mark.parametrize("name", ["browse.csv", "crows-and-ravens.csv", "people.csv", "arrows.csv"])
def test_a_name_without_a_number_of_rows_states_none(
    leaving: Stack, portal: PortalSimulator, name: str
) -> None:
    assert drop(leaving, people(portal), "roster-1", key=f"roster/{name}")["counts"] == {}


# Users for whom the portal does not say whether they are enabled


@pytest.mark.parametrize("value", ["", "maybe", "1"])
def test_whoever_is_neither_enabled_nor_disabled_and_not_in_the_roster_ends_the_run(
    leaving: Stack, portal: PortalSimulator, value: str
) -> None:
    everybody = people(portal)
    portal.edit(everybody[0], enabled=value)

    assert drop(leaving, everybody, "roster-1")["status"] == "PREVIEWED"
    with pytest.raises(Exception, match=f"whether user {everybody[0]} is enabled"):
        drop(leaving, everybody[1:], "roster-2")

    newest = leaving.ledger.rosters.newest(portal.url)
    assert newest
    assert newest.run_id == "roster-1"


# However a roster is written


Written = Callable[[list[int]], tuple[str, bytes]]


def as_json(ids: list[int]) -> tuple[str, bytes]:
    return "roster/people.json", json.dumps([{"user_id": one} for one in ids]).encode()


def as_names(ids: list[int]) -> tuple[str, bytes]:
    lines = ["username", "nobody.has.this", *(f"USER{one:04}" for one in ids)]
    return "roster/people.txt", "\r\n".join(lines).encode("utf-16")


@pytest.mark.parametrize("written", [as_json, as_names])
def test_a_roster_may_be_written_in_other_ways(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, written: Written
) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    calendar.turn(1)

    key, content = written(everybody[2:])
    leaving.fetch_user_ids(dropped(leaving, content, key=key), "roster-2")

    assert leaving.report_run("roster-2")["counts"] == {"would_disable": 2}
    answer = leaving.read_json(f"results/{key}.json")
    assert (answer["run_id"], answer["status"]) == ("roster-2", "PREVIEWED")


def test_our_own_user_and_whoever_is_protected_are_never_planned(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    everybody = sorted(portal.user_ids())
    portal.edit(everybody[5], username="svc-reports")
    leaving.s3.put_object(
        Bucket="data", Key="keep.csv", Body=b"user,until,reason\nsvc-*,,service accounts\n"
    )
    set_parameter("ROSTER_MAX_SHRINK_PERCENT", "50")
    drop(leaving, everybody, "roster-1")
    set_parameter("PROTECTED_LIST", "keep.csv")
    calendar.turn(1)

    report = drop(leaving, everybody[6:], "roster-2")

    planned = {int(row["user_id"]) for row in report["rows"]}
    assert planned == {everybody[3], everybody[4]}


def test_a_newer_roster_that_is_accepted_while_a_plan_is_sealed_stops_its_run(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    calendar.turn(1)
    drop(leaving, everybody[3:], "roster-2")
    calendar.turn(1.01)
    write_plan = Bucket.write_plan

    def accepting_another(bucket: Bucket, plan: Plan) -> bytes:
        if plan.mode is Mode.APPLY:
            newer = Roster("roster-3", time.time(), len(everybody))
            leaving.ledger.rosters.accept(portal.url, newer)
        return write_plan(bucket, plan)

    monkeypatch.setattr(Bucket, "write_plan", accepting_another)
    counts = apply(leaving, "roster-2", "run-2")

    assert counts == {"not_attempted": 3}
    assert not leaving.writes()


# Over a cap, and nobody at all: what is said must be true of a roster


@pytest.mark.parametrize(
    ("cap", "value"), [("MAX_DISABLE_USERS", "1"), ("MAX_DISABLE_PERCENT", "3")]
)
def test_a_roster_over_a_cap_is_refused_whole_and_not_to_be_sent_in_parts(
    leaving: Stack,
    portal: PortalSimulator,
    calendar: Calendar,
    set_parameter: SetParameter,
    cap: str,
    value: str,
) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    set_parameter(cap, value)
    calendar.turn(1)

    with pytest.raises(Exception, match="The roster lacks 2 users") as refusal:
        drop(leaving, everybody[2:], "roster-2")

    assert "in parts" not in str(refusal.value)
    newest = leaving.ledger.rosters.newest(portal.url)
    assert newest
    assert newest.run_id == "roster-1"


def test_the_plan_of_a_roster_that_lacks_nobody_is_not_called_an_empty_source(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    drop(leaving, people(portal), "roster-1")
    calendar.turn(0.1)

    with pytest.raises(Exception, match="The roster names everybody whom an earlier one named"):
        apply(leaving, "roster-1", "run-1")


# By any column


def in_a_second_address(_username: str, email: str) -> str:
    return f"email,private e-mail\nnobody@x.example.com,{email.upper()}\n"


def in_a_sign_in_name(_username: str, email: str) -> str:
    return f"email,upn\nnobody@x.example.com,{email}\n"


def in_a_list_of_addresses(_username: str, email: str) -> str:
    return f'email,proxyAddresses\nnobody@x.example.com,"smtp:a@b.example.com;SMTP:{email}"\n'


def in_a_column_of_any_name(username: str, _email: str) -> str:
    return f"email,alias\nnobody@x.example.com,{username}\n"


def in_a_key_of_json(_username: str, email: str) -> str:
    return json.dumps([{"email": "nobody@x.example.com", "alternateEmail": email}])


@pytest.mark.parametrize(
    "written",
    [
        in_a_second_address,
        in_a_sign_in_name,
        in_a_list_of_addresses,
        in_a_column_of_any_name,
        in_a_key_of_json,
    ],
)
def test_rule_12_whoever_is_named_in_a_column_that_no_list_is_read_by_stays(
    leaving: Stack,
    portal: PortalSimulator,
    calendar: Calendar,
    set_parameter: SetParameter,
    written: Callable[[str, str], str],
) -> None:
    set_parameter("ROSTER_MIN_MATCH_PERCENT", "0")
    set_parameter("ROSTER_MAX_SHRINK_PERCENT", "100")
    set_parameter("MAX_DISABLE_PERCENT", "100")
    set_parameter("MAX_DISABLE_PERCENT_PER_DAY", "100")
    everybody = people(portal)
    run(leaving, [str(everybody[1])])
    drop(leaving, everybody, "roster-1")
    calendar.turn(1)
    content = written(f"user{everybody[0]:04}", f"user{everybody[0]:04}@example.com")

    leaving.fetch_user_ids(dropped(leaving, content.encode(), key="roster/all"), "roster-2")
    leaving.report_run("roster-2")

    rows = leaving.read_json("runs/roster-2/report.json")["rows"]
    planned = {int(row["user_id"]) for row in rows}
    assert planned == set(everybody[2:])


def test_a_number_in_another_systems_column_names_nobody(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    calendar.turn(1)
    lines = [f"user{one:04}@example.com,{everybody[0]}" for one in everybody[2:]]
    content = "\n".join(["email,employee id", *lines])

    leaving.fetch_user_ids(dropped(leaving, content.encode(), key="roster/all"), "roster-2")

    assert leaving.report_run("roster-2")["counts"] == {"would_disable": 2}


def test_whoever_a_datasets_other_column_names_stays(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    everybody = people(portal)
    drop(leaving, everybody, "roster-1")
    calendar.turn(1)
    dataset = portal.add_dataset(
        "SELECT user_id, 'user' || printf('%04d', user_id - 1) || '@EXAMPLE.com' AS mail FROM user"
        f" WHERE user_id > {everybody[1]}"
    )

    leaving.fetch_user_ids({"source": {"roster": {"dataset_id": dataset}}}, "roster-2")

    assert leaving.report_run("roster-2")["counts"] == {"would_disable": 1}
