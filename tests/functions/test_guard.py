"""The guard: a dataset of the portal that keeps users from being deleted, on the real functions.

Its query is a real one, over the simulated portal's elements and their owners.
"""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from bulk_user_deletion import portal as portal_module
from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.errors import PortalAnswerUnusable, RequestRefused
from bulk_user_deletion.guard_dataset import KEPT_SECONDS, LARGEST_GUARD
from bulk_user_deletion.models.guards import AcceptedGuard
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.users import ReasonKind
from bulk_user_deletion.rules.answers import Answer
from local.portal import Fault, PortalSimulator
from tests.functions.stack import Stack
from tests.functions.test_due import DUE, leaver
from tests.functions.test_switch_user import enabled, run, sent, set_knobs

SetParameter = Callable[[str, str], None]

# Everybody who owns an element, as business or technical owner. The portal's own user is always
# in it: a guard is never empty.
OWNERS = """
SELECT business_owner AS user_id, CONCAT('owns ', name) AS reason, UTC_TIMESTAMP() AS collected_at
FROM element
UNION SELECT technical_owner, CONCAT('runs ', name), UTC_TIMESTAMP()
FROM element WHERE technical_owner IS NOT NULL
UNION SELECT 101, 'the account of the API', UTC_TIMESTAMP()
"""
FIRST_DAY = datetime(2026, 11, 1, 12, tzinfo=UTC)
BUSINESS = range(120, 139)  # owners whom no test deletes: 20 users with the API's own

ROWS = [{"user_id": number, "reason": "owns content"} for number in range(101, 121)]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The time of the functions and of the portal."""
    with time_machine.travel(FIRST_DAY, tick=True) as traveller:
        yield traveller


@pytest.fixture
def dataset(portal: PortalSimulator, clock: time_machine.Traveller) -> int:
    """The guard's dataset: twenty users are kept. All users are enabled."""
    for user_id in portal.user_ids():
        portal.edit(user_id, enabled="Y", ldap="N")
    for owner in BUSINESS:
        portal.add_element(f"board {owner}", business_owner=owner)
    return portal.add_dataset(OWNERS)


@pytest.fixture
def guarded(stack: Stack, dataset: int, set_parameter: SetParameter) -> Stack:
    """A stack with a guard."""
    set_parameter("GUARD_DATASET", str(dataset))
    return stack


def rows_of(portal: PortalSimulator, dataset: int, rows: list[dict[str, Any]]) -> None:
    """Let the dataset have been collected with these rows."""
    portal._datasets[dataset] = ("", rows)


def readings(portal: PortalSimulator) -> int:
    return sum(request.path == "/api/dataset_data" for request in portal.requests)


def accepted(stack: Stack, dataset: int) -> AcceptedGuard | None:
    return stack.ledger.guards.accepted(stack.portal.url, dataset)


def row_of(stack: Stack, user_id: int, run_id: str = "run-1") -> dict[str, Any]:
    report = stack.read_json(f"runs/{run_id}/report.json")
    [row] = [row for row in report["rows"] if row["user_id"] == str(user_id)]
    return dict(row)


def why_stopped(stack: Stack, run_id: str = "run-1") -> str:
    row = stack.ledger.runs.read(run_id)
    return row.stop.reason if row and row.stop else ""


# Kept


def test_whoever_owns_something_is_kept_and_everybody_else_is_deleted(
    guarded: Stack, portal: PortalSimulator, dataset: int
) -> None:
    counts = run(guarded, ["110", "120", "111"])

    assert counts == {"deleted": 2, "skipped": 1}
    assert sent(portal, "DELETE") == [110, 111]
    row = row_of(guarded, 120)
    assert row["reason_kind"] == ReasonKind.GUARDED
    assert row["reason"] == "guarded: owns board 120"
    kept = accepted(guarded, dataset)
    assert kept
    assert (kept.users, kept.by) == (20, "run run-1")


def test_an_owner_gained_between_plan_and_delete_is_kept(
    guarded: Stack, portal: PortalSimulator, dataset: int
) -> None:
    guarded.plan(["110", "111"])
    portal.add_element("new board", business_owner=120, technical_owner=111)
    portal.collect(dataset)

    guarded.work_off()

    assert guarded.report_run()["counts"] == {"deleted": 1, "skipped": 1}
    assert sent(portal, "DELETE") == [110]
    assert row_of(guarded, 111)["reason"] == "guarded: runs new board"
    assert row_of(guarded, 111)["attempts"] == 0


def test_before_deletes_the_guard_is_read_again_after_ten_minutes(
    guarded: Stack, portal: PortalSimulator, dataset: int, clock: time_machine.Traveller
) -> None:
    guarded.plan(["110", "111", "112"])
    keys = guarded.hand_out()
    clock.shift(2)
    before = readings(portal)
    guarded.delete_user(110, keys["110"])
    portal.add_element("new board", business_owner=112)
    portal.collect(dataset)
    clock.shift(KEPT_SECONDS - 60)
    guarded.delete_user(111, keys["111"])
    assert readings(portal) == before + 1

    clock.shift(120)
    guarded.delete_user(112, keys["112"])

    assert readings(portal) == before + 2
    assert sent(portal, "DELETE") == [110, 111]
    assert 112 in portal.user_ids()


def test_a_stack_with_other_parameters_reads_its_own_guard(
    guarded: Stack, portal: PortalSimulator, set_parameter: SetParameter
) -> None:
    guarded.plan(["110", "111"])
    keys = guarded.hand_out()
    guarded.delete_user(110, keys["110"])
    other = portal.add_dataset("SELECT 111 AS user_id, 'runs a script' AS reason")

    set_parameter("GUARD_DATASET", str(other))
    guarded.delete_user(111, keys["111"])

    assert sent(portal, "DELETE") == [110]


def test_what_was_read_before_a_run_began_does_not_serve_for_it(
    guarded: Stack, portal: PortalSimulator, dataset: int, clock: time_machine.Traveller
) -> None:
    assert run(guarded, ["110"]) == {"deleted": 1}
    clock.shift(60)
    guarded.plan(["111"], "run-2")
    portal.add_element("new board", business_owner=111)
    portal.collect(dataset)

    guarded.work_off("run-2")

    assert guarded.report_run("run-2")["counts"] == {"skipped": 1}


def test_a_reading_of_a_time_to_come_does_not_serve(
    guarded: Stack, portal: PortalSimulator, dataset: int, clock: time_machine.Traveller
) -> None:
    guarded.plan(["110", "111"])
    keys = guarded.hand_out()
    clock.shift(3600)
    guarded.delete_user(110, keys["110"])
    portal.add_element("new board", business_owner=111)
    clock.shift(-3600)  # a clock that is put right
    portal.collect(dataset)

    guarded.delete_user(111, keys["111"])

    assert sent(portal, "DELETE") == [110]


def test_a_preview_tells_whom_the_guard_keeps_and_its_plan_is_narrowed_when_it_is_applied(
    guarded: Stack, portal: PortalSimulator, dataset: int
) -> None:
    guarded.plan(["110", "111", "120"], "preview", mode="preview")
    assert guarded.report_run("preview")["counts"] == {"would_delete": 2, "skipped": 1}
    portal.add_element("new board", business_owner=111)
    portal.collect(dataset)

    sealed = {"run_id": "preview", "sha256": guarded.plan_sha256("preview")}
    planned = guarded.fetch_user_ids({"mode": "apply", "plan": sealed}, "run-1")
    guarded.work_off()

    assert planned["users"] == 1
    assert guarded.report_run()["counts"] == {"deleted": 1, "skipped": 2}
    assert sent(portal, "DELETE") == [110]


def test_whoever_is_refused_for_now_and_gains_something_is_kept(
    guarded: Stack, portal: PortalSimulator, dataset: int, clock: time_machine.Traveller
) -> None:
    guarded.plan(["110"])
    key = guarded.hand_out()["110"]
    portal.faults.script(Fault.BUSY_503, method="DELETE", user_id=110)
    guarded.delete_user(110, key)
    portal.add_element("new board", business_owner=110)
    portal.collect(dataset)
    clock.shift(KEPT_SECONDS)

    guarded.delete_until_finished(110, key)

    assert 110 in portal.user_ids()
    assert row_of_ledger(guarded, 110) == ("skipped", ReasonKind.GUARDED)


def row_of_ledger(stack: Stack, user_id: int) -> tuple[str | None, ReasonKind]:
    row = stack.row(user_id)
    assert row
    return row.outcome, row.reason_kind


def test_after_a_delete_was_sent_the_guard_is_not_asked(
    guarded: Stack, portal: PortalSimulator, dataset: int, clock: time_machine.Traveller
) -> None:
    set_knobs(portal, delete_mode="background", seconds_per_delete=30)
    guarded.plan(["110"])
    key = guarded.hand_out()["110"]
    guarded.delete_user(110, key)
    portal.add_element("new board", business_owner=110)
    portal.collect(dataset)
    clock.shift(KEPT_SECONDS)
    before = readings(portal)

    guarded.delete_until_finished(110, key)

    assert row_of_ledger(guarded, 110)[0] == "deleted"
    assert readings(portal) == before


# Disabled anyway


@pytest.mark.parametrize("action", ["disable", "disable_then_delete"])
def test_a_guarded_user_is_disabled_and_enabled_whatever_the_guard_is(
    guarded: Stack, portal: PortalSimulator, dataset: int, action: str
) -> None:
    rows_of(portal, dataset, [])

    assert run(guarded, ["120"], action=action) == {"disabled": 1}
    assert enabled(portal, "120") == ["N"]
    assert run(guarded, ["120"], "run-2", action="enable") == {"enabled": 1}
    assert enabled(portal, "120") == ["Y"]
    assert readings(portal) == 0


def test_a_guarded_leaver_waits_and_is_deleted_after_the_guard_lets_go(
    guarded: Stack,
    portal: PortalSimulator,
    dataset: int,
    clock: time_machine.Traveller,
    set_parameter: SetParameter,
) -> None:
    set_parameter("LEAVER_ACTION", "disable_then_delete")
    assert run(guarded, ["110", "120"]) == {"disabled": 2}
    clock.shift(timedelta(days=31))
    portal.collect(dataset)

    planned = guarded.fetch_user_ids(DUE, "due-31")
    guarded.work_off("due-31")

    assert planned["users"] == 1
    assert guarded.report_run("due-31")["counts"] == {"deleted": 1, "skipped": 1}
    assert row_of(guarded, 120, "due-31")["reason"] == "guarded: owns board 120"
    assert leaver(guarded, "120").state is LeaverState.WAITING
    assert enabled(portal, "120") == ["N"]

    portal.hand_over(120, to=121)
    portal.collect(dataset)
    clock.shift(1)
    guarded.fetch_user_ids(DUE, "due-32")
    guarded.work_off("due-32")
    assert guarded.report_run("due-32")["counts"] == {"deleted": 1}
    assert 120 not in portal.user_ids()
    assert leaver(guarded, "120").state is LeaverState.DONE


def test_a_leaver_who_gains_something_after_the_plan_waits(
    guarded: Stack,
    portal: PortalSimulator,
    dataset: int,
    clock: time_machine.Traveller,
    set_parameter: SetParameter,
) -> None:
    set_parameter("LEAVER_ACTION", "disable_then_delete")
    run(guarded, ["110"])
    clock.shift(timedelta(days=31))
    portal.collect(dataset)
    guarded.fetch_user_ids(DUE, "due-31")
    portal.add_element("new board", business_owner=110)
    portal.collect(dataset)

    guarded.work_off("due-31")

    assert guarded.report_run("due-31")["counts"] == {"skipped": 1}
    assert not sent(portal, "DELETE")
    assert leaver(guarded, "110").state is LeaverState.WAITING


# Refused


def broken(portal: PortalSimulator, dataset: int, how: str) -> None:
    """Make the guard unreliable."""
    match how:
        case "empty":
            rows_of(portal, dataset, [])
        case "unknown":
            del portal._datasets[dataset]
        case "forbidden":
            set_knobs(portal, dataset_access=False)
        case "without reasons":
            rows_of(portal, dataset, [{"user_id": 120}])
        case "without ids":
            rows_of(portal, dataset, [{"reason": "owns content"}])
        case "of names":
            rows_of(portal, dataset, [*ROWS[:2], {"user_id": "jdoe", "reason": "owns content"}])
        case "old":
            old = (datetime.now(UTC) - timedelta(hours=30)).isoformat()
            rows_of(portal, dataset, [{**row, "collected_at": old} for row in ROWS])
        case "of tomorrow":
            later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
            rows_of(portal, dataset, [{**row, "collected_at": later} for row in ROWS])
        case "of no time":
            rows_of(portal, dataset, [*ROWS, {**ROWS[0], "collected_at": "last night"}])
        case "shrunk":
            rows_of(portal, dataset, ROWS[:17])
        case "too large":
            row = {"user_id": 120, "reason": "x" * 2**20}
            rows_of(portal, dataset, [row] * (LARGEST_GUARD // 2**20 + 1))


BROKEN = {
    "empty": ("is empty", "Collect it"),
    "unknown": ("The guard cannot be read", "Check that it exists"),
    "forbidden": ("The guard cannot be read", "may read it"),
    "without reasons": ("Row 1 of the guard", "no column reason"),
    "without ids": ("Row 1 of the guard", "no column user_id"),
    "of names": ("Row 3 of the guard", "names no user id"),
    "old": ("collected 30.0 hours ago", "GuardMaxAgeHours allows 24"),
    "of tomorrow": ("2.0 hours from now", "in UTC"),
    "of no time": ("Row 1 of the guard", "collected_at that cannot be read"),
    "shrunk": ("keeps 17 users, and kept 20", "accept-guard 17 --reason WHY"),
    "too large": ("The guard cannot be read", "at most 6 MiB"),
}
PERMANENT = (RequestRefused, PortalAnswerUnusable)


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("planning", ["apply", "preview", "plan", "due", "check"])
def test_a_guard_that_cannot_be_relied_on_refuses_the_run_and_leaves_everything_as_it_was(
    guarded: Stack,
    portal: PortalSimulator,
    dataset: int,
    clock: time_machine.Traveller,
    set_parameter: SetParameter,
    how: str,
    planning: str,
) -> None:
    request: dict[str, Any] = {"mode": "apply", "source": {"users": ["110"]}}
    guarded.plan(["110"], "preview", mode="preview")
    match planning:
        case "preview":
            request["mode"] = "preview"
        case "plan":
            sealed = {"run_id": "preview", "sha256": guarded.plan_sha256("preview")}
            request = {"mode": "apply", "plan": sealed}
        case "due":
            run(guarded, ["110"], "leave", action="disable_then_delete")
            set_parameter("LEAVER_ACTION", "disable_then_delete")
            clock.shift(timedelta(days=31))
            request = DUE
        case "check":
            request = {"check": "portal"}
    broken(portal, dataset, how)
    before = (portal.user_ids(), accepted(guarded, dataset), len(guarded.writes()))

    with pytest.raises(PERMANENT) as refused:
        guarded.fetch_user_ids(request, "run-1")

    for said in BROKEN[how]:
        assert said in str(refused.value)
    assert "obody is deleted" in str(refused.value)
    assert "owns content" not in str(refused.value)
    assert (portal.user_ids(), accepted(guarded, dataset), len(guarded.writes())) == before
    if planning == "due":
        assert leaver(guarded, "110").state is LeaverState.WAITING
    if planning == "plan":  # it was not used up
        set_knobs(portal, dataset_access=True)
        portal._datasets[dataset] = (OWNERS, [])
        portal.collect(dataset)
        assert guarded.fetch_user_ids(request, "run-2")["users"] == 1


@pytest.mark.parametrize("how", BROKEN)
def test_a_guard_that_breaks_during_a_run_stops_it_before_the_next_user(
    guarded: Stack, portal: PortalSimulator, dataset: int, clock: time_machine.Traveller, how: str
) -> None:
    guarded.plan(["110", "111", "112"])
    keys = guarded.hand_out()
    guarded.delete_user(110, keys["110"])
    clock.shift(KEPT_SECONDS)
    broken(portal, dataset, how)

    with pytest.raises(PERMANENT):
        guarded.delete_user(111, keys["111"])
    guarded.delete_user(112, keys["112"])

    for said in BROKEN[how]:
        assert said in why_stopped(guarded)
    assert sent(portal, "DELETE") == [110]
    assert guarded.report_run()["counts"] == {"deleted": 1, "not_attempted": 2}


def test_a_resume_is_refused_without_a_guard_and_does_the_rest_with_one(
    guarded: Stack, portal: PortalSimulator, dataset: int
) -> None:
    guarded.plan(["110", "111"])
    broken(portal, dataset, "shrunk")
    keys = guarded.hand_out()
    with pytest.raises(RequestRefused):
        guarded.delete_user(110, keys["110"])
    guarded.report_run()

    with pytest.raises(RequestRefused, match="keeps 17 users, and kept 20"):
        guarded.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "again")
    portal._datasets[dataset] = (OWNERS, [])
    portal.add_element("new board", business_owner=111)
    portal.collect(dataset)
    guarded.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "again")
    guarded.work_off()

    assert guarded.report_run()["counts"] == {"deleted": 1, "skipped": 1}
    assert sent(portal, "DELETE") == [110]


# A correct reduction


def test_a_shrink_is_accepted_by_a_person_with_its_figure(
    guarded: Stack, portal: PortalSimulator, dataset: int
) -> None:
    run(guarded, ["110"])
    for owner in BUSINESS[:5]:
        portal.hand_over(owner, to=138)
    portal.collect(dataset)
    with pytest.raises(RequestRefused, match="keeps 15 users, and kept 20"):
        guarded.plan(["111"], "run-2")

    order = {"accept_guard": {"users": 15, "reason": "handed over", "by": "portal team"}}
    done = guarded.fetch_user_ids(order, "order")

    assert done["nothing_because"] == (
        f"A guard of 15 users, dataset {dataset}, is accepted by portal team. It was 20."
    )
    assert run(guarded, ["111"], "run-3") == {"deleted": 1}
    assert run(guarded, ["120"], "run-4") == {"deleted": 1}


def test_what_is_accepted_is_the_figure_and_not_any_guard_after_it(
    guarded: Stack, portal: PortalSimulator, dataset: int
) -> None:
    run(guarded, ["110"])
    order = {"accept_guard": {"users": 15, "reason": "handed over", "by": "portal team"}}
    guarded.fetch_user_ids(order, "order")
    rows_of(portal, dataset, ROWS[:8])

    with pytest.raises(RequestRefused, match="keeps 8 users, and kept 15"):
        guarded.plan(["111"], "run-2")


def test_a_guard_may_grow_and_shrink_by_a_tenth_between_readings(
    guarded: Stack, portal: PortalSimulator, dataset: int
) -> None:
    for number, users in enumerate((20, 18, 17, 16, 40), start=1):
        rows_of(portal, dataset, [{**ROWS[0], "user_id": user} for user in range(120, 120 + users)])
        guarded.plan(["110"], f"run-{number}", mode="preview")
        kept = accepted(guarded, dataset)
        assert kept
        assert kept.users == users


def test_each_dataset_of_each_portal_has_its_own_figure(
    guarded: Stack, portal: PortalSimulator, dataset: int, set_parameter: SetParameter
) -> None:
    run(guarded, ["110"])
    small = portal.add_dataset("SELECT 101 AS user_id, 'the API' AS reason")

    set_parameter("GUARD_DATASET", str(small))
    assert run(guarded, ["111"], "run-2") == {"deleted": 1}

    assert guarded.ledger.guards.accepted("https://another.example.com", dataset) is None


def test_without_a_guard_there_is_nothing_to_accept_and_nothing_is_read(
    stack: Stack, portal: PortalSimulator
) -> None:
    order = {"accept_guard": {"users": 15, "reason": "handed over", "by": "portal team"}}
    with pytest.raises(RequestRefused, match="GuardDataset is 0"):
        stack.fetch_user_ids(order, "order")

    run(stack, ["110"])

    assert readings(portal) == 0


# A portal that does not answer


@pytest.mark.parametrize(
    ("status", "retry_after", "waits", "said"),
    [
        (429, None, [10, 20, 40, 80, 160, 0], "did not answer 6 requests for the guard in a row"),
        (500, None, [10, 20, 40, 80, 160, 0], "did not answer 6 requests for the guard in a row"),
        (503, "30", [30, 30, 30, 30, 30, 0], "did not answer 6 requests for the guard in a row"),
        (429, "7200", [0], "asks to be left alone for 7200 s"),
    ],
)
def test_a_portal_that_does_not_answer_for_the_guard_is_asked_again_and_then_stops_the_run(
    guarded: Stack,
    portal: PortalSimulator,
    status: int,
    retry_after: str | None,
    waits: list[int],
    said: str,
) -> None:
    guarded.plan(["110"])
    key = guarded.hand_out()["110"]
    set_knobs(portal, dataset_busy=status, retry_after=retry_after)

    assert guarded.delete_until_finished(110, key) == waits

    assert said in why_stopped(guarded)
    assert not sent(portal, "DELETE")
    assert guarded.row(110) is None


def test_a_portal_that_answers_for_the_guard_at_last_goes_on(
    guarded: Stack, portal: PortalSimulator
) -> None:
    guarded.plan(["110"])
    key = guarded.hand_out()["110"]
    set_knobs(portal, dataset_busy=503)
    waiting = guarded.delete_user(110, key)
    set_knobs(portal, dataset_busy=None)

    guarded.delete_user(110, key, tries=waiting["tries"])

    assert sent(portal, "DELETE") == [110]


def test_a_token_that_expires_before_the_guard_is_read_is_renewed(
    guarded: Stack, portal: PortalSimulator
) -> None:
    guarded.plan(["110", "120"])
    key = guarded.hand_out()["110"]
    portal.faults.script(Fault.SESSION_EXPIRED, method="GET", nth=2)  # after the look

    guarded.delete_until_finished(110, key)

    assert sent(portal, "DELETE") == [110]


# Told


def test_the_report_gathers_the_guarded_by_reason_and_the_mail_has_no_reason(
    guarded: Stack, portal: PortalSimulator, dataset: int
) -> None:
    portal.database.execute("UPDATE element SET name = 'sales' WHERE business_owner < 123")
    portal.add_element("=<b>forecast</b>", business_owner=121)
    portal.collect(dataset)

    run(guarded, ["110", "120", "121", "122"])

    report = guarded.read_json("runs/run-1/report.json")
    assert report["guarded"] == {
        "owns sales": ["120", "121", "122"],
        "owns =<b>forecast</b>": ["121"],
    }
    page = guarded.read_bytes("runs/run-1/report.html").decode()
    assert "<dt>owns sales</dt><dd>3: 120 user0120, 121 user0121, 122 user0122</dd>" in page
    assert "owns =&lt;b&gt;forecast&lt;/b&gt;" in page
    assert "<b>forecast" not in page


def test_rule_6_reasons_stand_in_no_log_no_state_and_no_mail(
    guarded: Stack,
    portal: PortalSimulator,
    dataset: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mails: list[str] = []
    monkeypatch.setattr(
        "bulk_user_deletion.topic.Topic.publish", lambda _, *texts: mails.extend(texts)
    )
    portal.add_element("the board of Jane Doe", business_owner=111)
    portal.collect(dataset)
    guarded.plan(["110", "111", "112"])
    portal.add_element("the board of Jane Doe", business_owner=112)
    portal.collect(dataset)

    guarded.work_off()
    said = guarded.report_run()

    assert row_of(guarded, 112)["reason"] == "guarded: owns the board of Jane Doe"
    logged = [str(vars(record)) for record in caplog.records]
    assert any("User taken a step further" in line for line in logged)
    for text in (*logged, json.dumps(said), *mails):
        assert "Jane Doe" not in text
    assert "2 kept by the guard, users 111, 112" in mails[1]


def test_a_guarded_due_leaver_is_told_to_stay_waiting(
    guarded: Stack,
    portal: PortalSimulator,
    dataset: int,
    clock: time_machine.Traveller,
    set_parameter: SetParameter,
) -> None:
    set_parameter("LEAVER_ACTION", "disable_then_delete")
    run(guarded, ["120"])
    clock.shift(timedelta(days=31))
    portal.collect(dataset)

    guarded.fetch_user_ids(DUE, "due-31")
    guarded.work_off("due-31")
    said = guarded.report_run("due-31")

    assert (said["status"], said["counts"]) == ("NOBODY_DELETED", {"skipped": 1})
    page = guarded.read_bytes("runs/due-31/report.html").decode()
    assert "1 kept by the guard, user 120" in page
    assert "They keep waiting" in page


# Its size


def test_the_largest_guard_takes_little_of_the_smallest_functions_memory(
    guarded: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"user_id": "100000", "reason": "owns content", "collected_at": "2026-11-01 12:00:00"}
    number = LARGEST_GUARD // len(json.dumps([row])) - 10
    rows = [{**row, "user_id": str(100_000 + n)} for n in range(number)]
    body = bytearray(json.dumps({"data": rows, "amount": number}).encode())
    del rows

    def answered(*_: object, hook: Any, **__: object) -> Answer:
        return Answer(200, portal_module._decode(bytearray(body), hook))

    monkeypatch.setattr(portal_module.Portal, "_send", answered)
    guard = adapters().guard

    tracemalloc.start()
    try:
        kept = guard.recent(adapters().portal(), since=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(kept.reasons) == number > 50_000
    assert peak < 40 * 2**20
