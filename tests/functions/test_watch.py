"""The watch, on the real steps: which users that a run deleted or disabled are back."""

import json
import re
from typing import Any

import pytest

from bulk_user_deletion.errors import PortalUnavailable, RequestRefused
from bulk_user_deletion.ledger import rows
from bulk_user_deletion.looks import Looks, Seen
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.users import ReasonKind
from bulk_user_deletion.observability import Metric
from bulk_user_deletion.rules.identity import user_keys
from bulk_user_deletion.steps import watch_population
from local.portal import Fault, PortalSimulator
from tests.builders import a_user
from tests.functions.stack import Stack
from tests.functions.test_due import (
    LEAVERS,
    Calendar,
    SetParameter,
    calendar,
    due_run,
    leaver,
    leaving,
)
from tests.functions.test_observability import totals
from tests.functions.test_switch_user import run, sent, set_knobs
from tests.functions.test_withdraw_and_enable import withdraw

__all__ = ["calendar", "leaving"]  # fixtures

CHECK = {"check": "population"}


def watch(stack: Stack, run_id: str = "watch-1", event: dict[str, Any] = CHECK) -> dict[str, Any]:
    """A watch: what it stored, with the sentence that it returned."""
    done = stack.fetch_user_ids(event, run_id)
    assert (done["next_step"], done["users"]) == ("nothing", 0)
    found: dict[str, Any] = stack.read_json(f"runs/{run_id}/watch.json")
    assert found["sentence"] == done["nothing_because"]
    return found


def how(found: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    """Who is back, how and by what, and who it was."""
    return {
        user["user_id"]: (user["what"], " ".join(user["by"]), user["was_user_id"])
        for user in found["back"]
    }


def listed(found: dict[str, Any]) -> list[str]:
    """Whom the list to preview names."""
    return list(found["preview"]["source"]["users"]) if found["preview"] else []


def names(portal: PortalSimulator, user_id: int) -> tuple[str, str]:
    """A user's username and e-mail."""
    sql = "SELECT username, email FROM user WHERE user_id = ?"
    [row] = portal.database.execute(sql, (user_id,))
    return row["username"], row["email"]


def restore(portal: PortalSimulator, user_id: int, username: str, email: str) -> None:
    """Create a user with an id that was somebody's before, as restoring a backup does."""
    portal.add(user_id=user_id, username=username, email=email)


@pytest.fixture
def deleted(stack: Stack, portal: PortalSimulator) -> dict[int, tuple[str, str]]:
    """Three users whom a run has deleted: their names, by id."""
    were = {user_id: names(portal, user_id) for user_id in (110, 111, 112)}
    assert run(stack, list(map(str, were))) == {"deleted": 3}
    return were


def bring_back(portal: PortalSimulator, deleted: dict[int, tuple[str, str]]) -> int:
    """Restore user 110, and recreate user 111 under another id; return that id."""
    restore(portal, 110, *deleted[110])
    return portal.add(username=deleted[111][0], email=deleted[111][1])


def on_record(stack: Stack, deleted: dict[int, tuple[str, str]]) -> list[dict[str, Any]]:
    """The records of these deletions, three for each."""
    found = []
    for user_id, (username, email) in deleted.items():
        for key in user_keys(a_user(user_id, username, email=email)):
            pk, sk = rows.deleted_key(key)
            found.append(dict(stack.table.get_item(Key={"pk": pk, "sk": sk})["Item"]))
    return found


# After deletions


def test_nobody_is_back_where_nobody_was_deleted(stack: Stack, portal: PortalSimulator) -> None:
    found = watch(stack)

    assert found["sentence"] == "Nobody is back among 40 users."
    assert (found["back"], found["preview"], found["change"]) == ([], None, None)
    assert stack.writes() == []
    assert stack.ledger.runs.read("watch-1") is None


def test_whoever_is_back_is_told_by_id_with_who_it_was(
    stack: Stack, portal: PortalSimulator, deleted: dict[int, tuple[str, str]]
) -> None:
    before = portal.user_ids()
    restore(portal, 110, *deleted[110])
    recreated = portal.add(username=deleted[111][0].upper(), email=deleted[111][1])
    shared = portal.add(username="another", email=deleted[112][1])
    reused = portal.add(username="third", email="third@example.com")
    asked = len(portal.requests)

    found = watch(stack)

    assert how(found) == {
        "110": ("back", "id username email", "110"),
        str(recreated): ("back", "username email", "111"),
        str(shared): ("possibly", "email", "112"),
    }
    assert found["sentence"] == (
        f"2 of 41 users are back, all for the first time: 110, {recreated}. 1 user is possibly"
        f" back, by an e-mail alone: {shared}."
    )
    assert {user["was"] for user in found["back"]} == {"deleted"}
    assert {user["run_id"] for user in found["back"]} == {"run-1"}
    assert all(user["was_at"] for user in found["back"])
    assert {user["enabled"] for user in found["back"]} == {True}
    assert listed(found) == ["110", str(recreated)]
    assert {request.method for request in portal.requests[asked:]} == {"GET"}
    assert portal.user_ids() == before | {110, recreated, shared, reused}


def test_the_list_that_a_watch_makes_is_previewed_as_it_is(
    stack: Stack, portal: PortalSimulator, deleted: dict[int, tuple[str, str]]
) -> None:
    recreated = portal.add(username=deleted[111][0], email=deleted[111][1])
    request = watch(stack)["preview"]

    planned = stack.fetch_user_ids(request, "preview-1")

    assert (planned["next_step"], planned["users"]) == ("preview", 1)
    [entry] = stack.read_json("runs/preview-1/plan.json")["entries"]
    assert (entry["user"]["user_id"], entry["outcome"]) == (str(recreated), "would_delete")


def test_rule_6_nothing_that_a_watch_stores_says_or_logs_is_a_name(
    stack: Stack,
    portal: PortalSimulator,
    deleted: dict[int, tuple[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    portal.add(username=deleted[111][0], email=deleted[111][1])
    capsys.readouterr()

    found = watch(stack)

    written = stack.table.query(
        KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": rows.WATCH}
    )["Items"]
    assert len(written) == 2
    said = json.dumps([found, written], default=str) + capsys.readouterr().out
    said += stack.read_bytes("runs/watch-1/population.json").decode()
    for name in deleted[111]:
        assert name not in said


def test_records_of_earlier_versions_say_which_part_is_there_again(
    stack: Stack, portal: PortalSimulator, deleted: dict[int, tuple[str, str]]
) -> None:
    for item in on_record(stack, deleted):
        old = {name: item[name] for name in ("pk", "sk", "run_id", "expires_at")}
        stack.table.put_item(Item=old)
    recreated = bring_back(portal, deleted)
    shared = portal.add(username="another", email=deleted[112][1])

    found = watch(stack)

    assert how(found) == {
        "110": ("back", "id", ""),
        str(recreated): ("back", "username", ""),
        str(shared): ("possibly", "email", ""),
    }
    assert {user["was_at"] for user in found["back"]} == {""}


def test_a_deletion_from_another_portal_is_nobody_of_this_one(
    stack: Stack, portal: PortalSimulator, deleted: dict[int, tuple[str, str]]
) -> None:
    for item in on_record(stack, deleted):
        stack.table.put_item(Item={**item, "portal_url": "https://other.example.com"})
    restore(portal, 110, *deleted[110])

    assert how(watch(stack)) == {}


def test_a_deletion_that_a_report_takes_back_is_nobody_who_is_back(
    stack: Stack, portal: PortalSimulator
) -> None:
    portal.faults.script(Fault.ERROR_200, user_id=120)
    for _ in range(2):  # "gone" twice, although the user exists
        portal.faults.script(Fault.OWN_404, method="GET", user_id=120, nth=2)

    assert run(stack, ["120"]) == {"unknown": 1}

    assert how(watch(stack)) == {}


def test_a_list_that_still_shows_somebody_deleted_is_not_believed(
    stack: Stack, portal: PortalSimulator, deleted: dict[int, tuple[str, str]]
) -> None:
    set_knobs(portal, stale_list=(110,))

    found = watch(stack)

    assert (found["back"], found["undecided"]) == ([], [])
    assert 110 in sent(portal, "GET")


def test_a_look_decides_under_which_name_somebody_is_there(
    stack: Stack,
    portal: PortalSimulator,
    deleted: dict[int, tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recreated = portal.add(username=deleted[111][0], email="x@example.com")
    look = Looks.at

    def renamed_since_the_list(looks: Looks, user_id: str) -> Seen:
        portal.edit(recreated, username="renamed")
        return look(looks, user_id)

    monkeypatch.setattr(Looks, "at", renamed_since_the_list)

    assert how(watch(stack)) == {}


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.SERVER_ERROR])
def test_whom_the_portal_does_not_show_is_undecided(
    stack: Stack, portal: PortalSimulator, deleted: dict[int, tuple[str, str]], fault: Fault
) -> None:
    recreated = bring_back(portal, deleted)
    portal.faults.rate(fault, 1, method="GET", user_id=110)

    found = watch(stack)

    assert found["undecided"] == ["110"]
    assert list(how(found)) == [str(recreated)]
    assert "1 more user seems to be back, but no look has shown it yet: 110." in found["sentence"]


def test_a_look_that_shows_another_user_decides_about_nobody(
    stack: Stack,
    portal: PortalSimulator,
    deleted: dict[int, tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recreated = bring_back(portal, deleted)
    look = Looks.at
    monkeypatch.setattr(Looks, "at", lambda looks, user_id: look(looks, str(recreated)))

    found = watch(stack)

    assert found["undecided"] == ["110"]
    assert list(how(found)) == [str(recreated)]


def test_looks_that_take_too_long_are_left_to_the_next_watch(
    stack: Stack,
    portal: PortalSimulator,
    deleted: dict[int, tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    restore(portal, 110, *deleted[110])
    watch(stack, "watch-1")
    restore(portal, 111, *deleted[111])
    with monkeypatch.context() as patch:
        patch.setattr(watch_population, "_SECONDS_FOR_LOOKS", 0)
        late = watch(stack, "watch-2")

    assert (late["back"], late["undecided"]) == ([], ["110", "111"])
    [first, second] = watch(stack, "watch-3")["back"]
    assert (first["user_id"], first["is_new"]) == ("110", False)
    assert (second["user_id"], second["is_new"]) == ("111", True)


def test_a_portal_that_does_not_answer_fails_the_watch_which_starts_over(
    stack: Stack, portal: PortalSimulator, deleted: dict[int, tuple[str, str]]
) -> None:
    restore(portal, 110, *deleted[110])
    restore(portal, 111, *deleted[111])
    portal.faults.script(Fault.BUSY_503, method="GET", user_id=111)
    portal.faults.script(Fault.BUSY_503, method="GET", user_id=111)
    portal.faults.script(Fault.BUSY_503, method="GET", user_id=111)
    with pytest.raises(PortalUnavailable):
        watch(stack)

    found = watch(stack)

    assert [user["is_new"] for user in found["back"]] == [True, True]


# After runs that disabled


def test_whoever_is_enabled_again_is_back_and_whoever_is_disabled_still_is_not(
    leaving: Stack, portal: PortalSimulator
) -> None:
    run(leaving, LEAVERS)
    assert how(watch(leaving)) == {}
    portal.edit(111, enabled="Y")  # by a sync, or by a person

    found = watch(leaving, "watch-2")

    assert how(found) == {"111": ("enabled_again", "id username email", "111")}
    [user] = found["back"]
    assert (user["was"], user["run_id"], user["enabled"]) == ("disabled", "run-1", True)
    assert listed(found) == ["111"]
    assert "Held, and so not deleted: 111." in found["sentence"]


def test_rule_9_nobody_is_due_whom_a_look_of_the_watch_has_seen_enabled(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(3)
    portal.edit(111, enabled="Y")
    found = watch(leaving)
    portal.edit(111, enabled="N")  # as if nothing had been

    assert found["held"] == ["111"]
    held = leaver(leaving, "111")
    assert (held.state, held.reason_kind) == (LeaverState.HELD, ReasonKind.ENABLED_AGAIN)
    assert held.changed_by == "watch-1"
    calendar.turn(31)
    assert due_run(leaving, "due-31") == {"deleted": 2}
    assert 111 in portal.user_ids()


def test_whoever_was_only_disabled_and_is_enabled_again_is_back_and_not_held(
    leaving: Stack, portal: PortalSimulator
) -> None:
    run(leaving, ["111"], action="disable")
    portal.edit(111, enabled="Y")

    found = watch(leaving)

    assert (list(how(found)), found["held"]) == (["111"], [])
    assert leaver(leaving, "111").state is LeaverState.DISABLED


def test_a_leaver_who_was_deleted_by_hand_and_created_again_is_back_under_another_id(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    username, email = names(portal, 111)
    portal.remove(111)
    recreated = portal.add(username=username, email=email, enabled="N")
    expected = {str(recreated): ("back", "username email", "111")}

    assert how(watch(leaving)) == expected
    calendar.turn(1)
    assert due_run(leaving, "due-1") == {"already_absent": 1}

    found = watch(leaving, "watch-2")

    assert how(found) == expected
    assert [user["enabled"] for user in found["back"]] == [False]


def test_whoever_was_withdrawn_or_enabled_by_a_run_is_where_a_person_wants_them(
    leaving: Stack, portal: PortalSimulator
) -> None:
    run(leaving, LEAVERS)
    withdraw(leaving, users=["110"])
    portal.edit(110, enabled="Y")
    assert run(leaving, ["111"], "enable-1", action="enable") == {"enabled": 1}

    assert how(watch(leaving)) == {}


def test_a_leaver_who_is_deleted_when_due_and_comes_back_is_told_by_the_deletion(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    username, email = names(portal, 111)
    run(leaving, LEAVERS)
    calendar.turn(31)
    assert due_run(leaving, "due-31") == {"deleted": 3}
    recreated = portal.add(username=username, email=email)

    [user] = watch(leaving)["back"]

    assert (user["user_id"], user["was"], user["run_id"]) == (str(recreated), "deleted", "due-31")


def test_a_portal_that_does_not_say_who_is_enabled_leaves_leavers_undecided(
    leaving: Stack, portal: PortalSimulator
) -> None:
    run(leaving, ["111"])
    set_knobs(portal, omit_user_fields=("enabled",))

    found = watch(leaving)

    assert (found["back"], found["undecided"], found["held"]) == ([], ["111"], [])
    assert leaver(leaving, "111").state is LeaverState.WAITING


# Who is kept


def test_whoever_is_protected_is_told_apart_and_is_not_in_the_list(
    stack: Stack,
    portal: PortalSimulator,
    deleted: dict[int, tuple[str, str]],
    set_parameter: SetParameter,
) -> None:
    recreated = {user_id: portal.add(username=deleted[user_id][0]) for user_id in (110, 111)}
    chief = portal.add(username=deleted[112][0], type="administrator")
    body = f"user,until,reason\n{deleted[110][0]},,hired again\n"
    stack.s3.put_object(Bucket="data", Key="keep.csv", Body=body.encode())
    set_parameter("PROTECTED_LIST", "keep.csv")

    found = watch(stack)

    assert found["kept"] == [str(recreated[110])]
    # A leaver who is an administrator is not listed: a person must look into that.
    assert list(how(found)) == [str(recreated[111]), str(chief)]
    assert listed(found) == [str(recreated[111]), str(chief)]


def test_a_protected_leaver_who_is_enabled_again_is_held_all_the_same(
    leaving: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    run(leaving, ["111"])
    portal.edit(111, enabled="Y")
    leaving.s3.put_object(Bucket="data", Key="keep.csv", Body=b"user,until,reason\n111,,x\n")
    set_parameter("PROTECTED_LIST", "keep.csv")

    found = watch(leaving)

    assert (found["kept"], found["held"], found["back"]) == (["111"], ["111"], [])


def test_a_protected_list_that_is_missing_fails_the_watch(
    stack: Stack, set_parameter: SetParameter
) -> None:
    set_parameter("PROTECTED_LIST", "gone.csv")

    with pytest.raises(RequestRefused, match=r"gone\.csv is missing"):
        watch(stack)


# From one watch to the next


def test_somebody_is_new_once_and_again_after_having_been_away(
    stack: Stack, portal: PortalSimulator, calendar: Calendar, deleted: dict[int, tuple[str, str]]
) -> None:
    recreated = portal.add(username=deleted[111][0], email=deleted[111][1])
    calendar.turn(1)
    [first] = watch(stack, "watch-1")["back"]
    calendar.turn(2)
    [second] = watch(stack, "watch-2")["back"]
    portal.remove(recreated)
    calendar.turn(3)
    assert how(watch(stack, "watch-3")) == {}
    restore(portal, recreated, *deleted[111])
    calendar.turn(4)
    [third] = watch(stack, "watch-4")["back"]

    assert [user["is_new"] for user in (first, second, third)] == [True, False, True]
    assert first["first_seen_at"] == second["first_seen_at"]
    assert first["first_seen_at"][:10] == "2026-11-02"
    assert third["first_seen_at"][:10] == "2026-11-05"


def test_a_possibility_that_becomes_certain_is_new(
    stack: Stack,
    portal: PortalSimulator,
    deleted: dict[int, tuple[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    user_id = portal.add(username="another", email=deleted[111][1])
    capsys.readouterr()
    watch(stack, "watch-1")
    assert totals(capsys)[Metric.USERS_BACK] == 0
    portal.edit(user_id, username=deleted[111][0])

    [user] = watch(stack, "watch-2")["back"]

    assert (user["what"], user["is_new"]) == ("back", True)
    assert totals(capsys)[Metric.USERS_BACK] == 1


def test_users_are_counted_when_they_are_first_seen(
    leaving: Stack,
    portal: PortalSimulator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(leaving, LEAVERS)
    portal.edit(111, enabled="Y")
    capsys.readouterr()

    watch(leaving, "watch-1")
    assert totals(capsys) == {
        Metric.USERS_BACK: 1,
        Metric.LEAVERS_HELD: 1,
        Metric.POPULATION_CHANGES: 0,
    }

    watch(leaving, "watch-2")
    assert totals(capsys) == {
        Metric.USERS_BACK: 0,
        Metric.LEAVERS_HELD: 0,
        Metric.POPULATION_CHANGES: 0,
    }


def test_rule_7_a_watch_that_is_cut_off_and_repeated_finds_and_counts_the_same(
    leaving: Stack, portal: PortalSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    run(leaving, LEAVERS)
    watch(leaving, "watch-1")
    portal.edit(111, enabled="Y")
    for number in range(20):
        portal.add(username=f"new{number}")
    capsys.readouterr()

    first, counted = watch(leaving, "watch-2"), totals(capsys)
    again, counted_again = watch(leaving, "watch-2"), totals(capsys)

    assert again == first | {"at": again["at"]}
    assert counted_again == counted
    assert len(first["change"]["joined"]) == 20
    assert counted[Metric.POPULATION_CHANGES] == 1


def test_rule_7_the_same_event_of_the_schedule_is_one_watch(
    stack: Stack, portal: PortalSimulator
) -> None:
    event = {"scheduled_time": "2026-11-23T07:00:00Z", "request": CHECK}
    watch(stack, "watch-1", event)
    asked = len(portal.requests)

    done = stack.fetch_user_ids(event, "watch-2")

    assert done["nothing_because"] == "The same event started check watch-1 before."
    assert len(portal.requests) == asked
    later = {**event, "scheduled_time": "2026-11-30T07:00:00Z"}
    assert watch(stack, "watch-3", later)["back"] == []


def test_large_losses_and_gains_are_told_without_whom_this_stack_deleted(
    stack: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    watch(stack, "watch-1")
    assert run(stack, [str(number) for number in range(110, 115)]) == {"deleted": 5}
    left = list(range(120, 129))
    for user_id in left:
        portal.remove(user_id)
    few = watch(stack, "watch-2")
    portal.remove(130)
    many = [portal.add(username=f"new{number}") for number in range(11)]
    for user_id in range(131, 140):
        portal.remove(user_id)

    much = watch(stack, "watch-3")

    assert few["sentence"] == "Nobody is back among 26 users."
    assert few["change"]["users_before"] == 40
    assert few["change"]["left"] == [str(user_id) for user_id in left]
    assert not few["change"]["is_large"]
    assert much["change"]["is_large"]
    assert much["change"]["joined"] == [str(user_id) for user_id in many]
    assert "10 of 26 users have left since" in much["sentence"]
    assert re.search(
        r"11 users have joined since [\dT:-]+Z, when there were 26\.", much["sentence"]
    )


def test_a_short_list_is_told_and_is_nothing_to_compare_the_next_one_with(
    stack: Stack, portal: PortalSimulator, deleted: dict[int, tuple[str, str]]
) -> None:
    recreated = portal.add(username=deleted[111][0])
    watch(stack, "watch-1")
    set_knobs(portal, list_limit=20)

    short = watch(stack, "watch-2")

    assert "The portal's list of users is incomplete" in short["sentence"]
    assert (short["list_is_short"], short["change"]["left"]) == (True, [])
    kept = stack.keys()
    assert "runs/watch-1/population.json" in kept
    assert "runs/watch-2/population.json" not in kept
    set_knobs(portal, list_limit=None)
    whole = watch(stack, "watch-3")
    assert (whole["change"]["users_before"], whole["change"]["joined"]) == (38, [])
    [user] = whole["back"]
    assert (user["user_id"], user["is_new"]) == (str(recreated), False)


def test_a_population_that_has_expired_is_nothing_to_compare_with(stack: Stack) -> None:
    watch(stack, "watch-1")
    stack.s3.delete_object(Bucket="data", Key="runs/watch-1/population.json")

    assert watch(stack, "watch-2")["change"] is None
