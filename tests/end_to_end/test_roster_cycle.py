"""Four months of rosters on the real template: each report says what a table says."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import count
from typing import Any

import pytest

from bulk_user_deletion.bucket_keys import plan_key, result_key, watch_key
from local.engine import Engine
from local.portal import PortalSimulator
from tests.end_to_end.conftest import WAIT_SCALE, Application, Run
from tests.end_to_end.test_guard import OWNERS
from tests.end_to_end.test_lifecycle import daily_run, deletes

# What each month's report says about a person: how their entry ends, that no roster ever named
# them, or nothing at all, because they stay, are disabled or are gone.
STRANGER = "told, not planned"
NOTHING = "nothing"
TABLE = {
    "stays": [NOTHING, NOTHING, NOTHING, NOTHING],
    "renamed in the portal": [NOTHING, NOTHING, NOTHING, NOTHING],
    "joins in month 2": [NOTHING, NOTHING, NOTHING, NOTHING],
    "joins in month 2 and leaves": [NOTHING, NOTHING, "would_disable", NOTHING],
    "joins the portal alone": [NOTHING, STRANGER, STRANGER, STRANGER],
    "was never in a roster": [STRANGER, STRANGER, STRANGER, STRANGER],
    "is disabled": [NOTHING, NOTHING, NOTHING, NOTHING],
    "leaves in month 2": [NOTHING, "would_disable", NOTHING, NOTHING],
    "leaves in month 2 and owns a board": [NOTHING, "would_disable", NOTHING, NOTHING],
    "leaves in month 2 and is brought back": [NOTHING, "would_disable", NOTHING, NOTHING],
    "is brought back under a new id": [NOTHING, NOTHING, NOTHING, STRANGER],
    "leaves in month 2 and is hired again": [NOTHING, "would_disable", NOTHING, NOTHING],
    "leaves in month 3": [NOTHING, NOTHING, "would_disable", NOTHING],
    "leaves in month 3 and is enabled by a sync": [NOTHING, NOTHING, "would_disable", "skipped"],
    "leaves in month 4": [NOTHING, NOTHING, NOTHING, "would_disable"],
}
USERS = 150


class Portal:
    """The portal's people by what happens to them; all others stay."""

    def __init__(self, portal: PortalSimulator) -> None:
        self.simulator = portal
        administrators = portal.database.execute(
            "SELECT user_id FROM user WHERE type = 'administrator'"
        )
        self.administrators = {row[0] for row in administrators}
        first = max(self.administrators) + 1
        later = {who for who in TABLE if who.startswith("joins") or "new id" in who}
        self.ids: dict[str, int] = dict(
            zip((who for who in TABLE if who not in later), count(first), strict=False)
        )
        self.colleagues = portal.user_ids() - self.administrators - set(self.ids.values())

    def join(self, who: str, **fields: Any) -> int:
        """Create the account of somebody in the table."""
        user_id = self.simulator.add(**fields)
        self.ids[who] = user_id
        return user_id

    def column(self, name: str, but: Iterable[str]) -> list[str]:
        """A column of everybody who is in the company, except these."""
        left = {self.ids[who] for who in but}
        staying = self.colleagues | set(self.ids.values()) - left
        sql = f"SELECT user_id, {name} FROM user ORDER BY user_id"
        rows = self.simulator.database.execute(sql)
        return [str(row[1]) for row in rows if row[0] in staying]


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    """A stack that disables and then deletes, with a guard, on its own engine."""
    with Engine(wait_scale=WAIT_SCALE) as aws, PortalSimulator(users=USERS) as portal:
        portal.clock = aws.now
        for user_id in portal.user_ids():
            portal.edit(user_id, enabled="Y", ldap="N")
        application = Application(
            aws,
            "rosters",
            portal,
            LeaverAction="disable_then_delete",
            GuardDataset=str(portal.add_dataset(OWNERS)),
        )
        application.without_schedules()
        yield application


def drop(application: Application, key: str, content: bytes) -> Run:
    """Drop a roster; check that its run only reads, and that it is answered."""
    before, known = len(application.portal.requests), set(application.executions())
    application.put(key, content)
    run = application.ended(application.new_execution(known), before)
    assert run.status == "SUCCEEDED", run.cause
    assert run.report["status"] == "PREVIEWED"
    answer = application.read_json(result_key(key))
    assert (answer["run_id"], answer["status"]) == (run.id, "PREVIEWED")
    assert only_reads(application, before)
    return run


def only_reads(application: Application, before: int) -> bool:
    """Whether each request since then is a GET, or a request for a token."""
    return all(
        request.method == "GET" or (request.method, request.path) == ("POST", "/api/get_token")
        for request in application.portal.requests[before:]
    )


def said_of_everybody(run: Run) -> dict[int, str]:
    """What a report says, by id: the outcome of an entry, or that no roster ever named them."""
    said = {int(row["user_id"]): str(row["outcome"]) for row in run.report["rows"]}
    for warning in run.report["warnings"]:
        if warning.startswith("No roster ever named"):
            ids = {int(word) for word in re.findall(r"\d+", warning.rpartition(":")[2])}
            assert not ids & set(said)
            said |= dict.fromkeys(ids, STRANGER)
    return said


def expected(portal: Portal, month: int) -> dict[int, str]:
    return {
        portal.ids[who]: months[month - 1]
        for who, months in TABLE.items()
        if who in portal.ids and months[month - 1] != NOTHING
    }


def apply(application: Application, preview: Run) -> Run:
    digest = sha256(application.read(plan_key(preview.id))).hexdigest()
    return application.start({"mode": "apply", "plan": {"run_id": preview.id, "sha256": digest}})


def watch(application: Application) -> dict[str, Any]:
    before = len(application.portal.requests)
    execution = application.wait(application.start_execution({"check": "population"}))
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert only_reads(application, before)
    return dict(application.read_json(watch_key(execution["name"])))


def refused(application: Application, run: Callable[[], Run]) -> str:
    before = len(application.portal.requests)
    ended = run()
    assert (ended.report["status"], ended.writes) == ("REFUSED", [])
    assert only_reads(application, before)
    return str(ended.report["sentence"])


def test_rule_12_everybody_in_four_months_of_rosters_is_as_the_table_says(
    application: Application,
) -> None:
    simulator = application.portal
    portal = Portal(simulator)
    ids = portal.ids
    owner = ids["leaves in month 2 and owns a board"]
    simulator.add_element("the board", business_owner=owner)
    for colleague in sorted(portal.colleagues)[:20]:
        simulator.add_element(f"board {colleague}", business_owner=colleague)
    simulator.edit(ids["is disabled"], enabled="N")
    never = ["was never in a roster", "is disabled"]

    # Month 1, by id: the baseline.
    watch(application)
    lines = ["user_id", *portal.column("user_id", never)]
    first = drop(application, "roster/month-1.csv", "\n".join(lines).encode())
    assert said_of_everybody(first) == expected(portal, 1)
    assert only_reads(application, 0)

    # Month 2, by e-mail, in capitals, with its number of rows in the name.
    application.jump(days=30)
    for who in ("joins in month 2", "joins in month 2 and leaves", "joins the portal alone"):
        portal.join(
            who, username=who.replace(" ", "."), email=f"{who.replace(' ', '.')}@x.example.com"
        )
    left = [
        *never,
        "joins the portal alone",
        *(who for who in ids if who.startswith("leaves in month 2")),
    ]
    emails = [f" {email.upper()}" for email in portal.column("email", left)]
    content = "\r\n".join(["E-Mail", *emails]).encode()
    cut = "\r\n".join(["E-Mail", *emails[:-3]]).encode()
    whole_name = f"month-2.rows-{len(emails)}.csv"
    known = set(application.executions())
    application.put(f"roster/cut/{whole_name}", cut)
    arn = application.new_execution(known)
    said = refused(application, lambda: application.ended(arn, len(simulator.requests)))
    assert f"has {len(emails) - 3} rows, and its sender says {len(emails)}" in said
    second = drop(application, f"roster/{whole_name}", content)
    assert said_of_everybody(second) == expected(portal, 2)
    assert only_reads(application, 0)
    disabled = apply(application, second)
    assert disabled.report["counts"] == {"disabled": 4}  # owners of a board as well
    assert {request.user_id for request in disabled.writes} == {
        user_id for user_id, outcome in expected(portal, 2).items() if outcome == "would_disable"
    }
    assert {request.method for request in disabled.writes} == {"PUT"}

    # Month 3, by username, as JSON: somebody was rehired, and somebody has another username.
    application.jump(days=28)
    simulator.edit(ids["renamed in the portal"], username="another.name")
    gone = [who for who in left if who != "leaves in month 2 and is hired again"]
    left = [
        *gone,
        "joins in month 2 and leaves",
        "leaves in month 3",
        "leaves in month 3 and is enabled by a sync",
    ]
    people = [{"username": username} for username in portal.column("username", left)]
    voided = drop(application, "roster/month-3.json", json.dumps(people).encode())
    third = drop(application, "roster/month-3-again.json", json.dumps(people).encode())
    assert said_of_everybody(third) == expected(portal, 3)
    said = refused(application, lambda: apply(application, voided))
    assert f"that of run {third.id} was accepted after it" in said
    assert apply(application, third).report["counts"] == {"disabled": 3}

    # Their grace time is over: the one who was rehired is held, the owner of a board is guarded.
    application.jump(days=3)
    simulator.collect(42)
    due = daily_run(application, 61)
    assert isinstance(due, Run)
    assert due.outcomes == {
        str(ids["leaves in month 2"]): "deleted",
        str(ids["leaves in month 2 and is brought back"]): "deleted",
        str(owner): "skipped",
    }
    assert due.report["guarded"] == {"owns the board": [str(owner)]}
    simulator.edit(ids["leaves in month 2 and is hired again"], enabled="Y")

    # A sync brings two people back, and the watch finds both.
    application.jump(days=9)
    number = ids["leaves in month 2 and is brought back"]
    again = portal.join(
        "is brought back under a new id",
        username=f"user{number:04}",
        email=f"user{number:04}@example.com",
    )
    enabled = ids["leaves in month 3 and is enabled by a sync"]
    simulator.edit(enabled, enabled="Y")
    found = watch(application)
    back = {user["user_id"]: user["what"] for user in found["back"]}
    assert back.items() >= {str(again): "back", str(enabled): "enabled_again"}.items()
    assert found["held"] == [str(enabled)]

    # The board is handed over: its owner of then is deleted.
    simulator.hand_over(owner, to=min(portal.colleagues))
    simulator.collect(42)
    handed_over = daily_run(application, 70)
    assert isinstance(handed_over, Run)
    assert handed_over.outcomes == {str(owner): "deleted"}
    assert deletes(handed_over) == {owner}

    # Month 4, by id and e-mail.
    application.jump(days=18)
    simulator.edit(ids["renamed in the portal"], email="another.name@example.com")
    left = [*left, "is brought back under a new id", "leaves in month 4"]
    rows = zip(portal.column("user_id", left), portal.column("email", left), strict=True)
    lines = ["user_id;email", *(f"{user_id};{email}" for user_id, email in rows)]
    fourth = drop(application, "roster/month-4.csv", "\n".join(lines).encode())
    assert said_of_everybody(fourth) == expected(portal, 4)
    assert apply(application, fourth).report["counts"] == {"disabled": 1, "skipped": 1}

    # After another month only those who left are gone, and nobody whom the last roster names.
    application.jump(days=31)
    simulator.collect(42)
    last = daily_run(application, 119)
    assert isinstance(last, Run)
    assert deletes(last) == {
        ids["joins in month 2 and leaves"],
        ids["leaves in month 3"],
        ids["leaves in month 4"],
    }
    ended = {request.user_id for request in simulator.requests if request.method == "DELETE"}
    assert ended == {
        *deletes(last),
        owner,
        ids["leaves in month 2"],
        ids["leaves in month 2 and is brought back"],
    }
    assert (
        simulator.user_ids()
        == (portal.administrators | portal.colleagues | set(ids.values())) - ended
    )
    without_access = simulator.database.execute("SELECT user_id FROM user WHERE enabled = 'N'")
    assert {row[0] for row in without_access} == {ids["is disabled"]}
