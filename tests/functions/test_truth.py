"""The truth test: whatever a portal says, the report claims nothing false.

A portal draws its lists, looks and answers from the table of lies in docs/safety.md. Whatever it
draws, users that the report calls deleted or already absent are not in the portal's own table; all
others were not deleted by us, or are unknown; and no run goes on forever.

One lie is left out, because it cannot be detected: a consistent one, which every look and every
list repeats about an id from its DELETE on.
"""

import csv
import io
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from bulk_user_deletion.adapters import adapters
from local.portal import Fault, Knobs, PortalSimulator
from local.portal.answers import Answer
from tests.functions.machine import Machine
from tests.functions.memory_table import keep_in_memory
from tests.functions.stack import Stack

ASKED = range(108, 114)
EVERYBODY = range(101, 120)
NOBODY = 9001

Body = dict[str, Any]

LIST_LIES = ("cut", "empty", "stale", "omits", "odd", "nested", "twice")
LOOK_LIES = (
    Fault.OWN_404,
    Fault.PROXY_404,
    Fault.FORBIDDEN,
    Fault.SERVER_ERROR,
    Fault.ERROR_200,
    Fault.HTML_200,
    Fault.EMPTY_LIST_200,
    Fault.BUSY_503,
    Fault.RESET_BEFORE,
    Fault.TOO_MANY_REQUESTS,
)
DELETE_LIES = (
    Fault.ERROR_200,  # and nothing is done
    Fault.OWN_404,
    Fault.CONFLICT,
    Fault.BAD_GATEWAY_BEFORE,
    Fault.RESET_BEFORE,
    Fault.RESET_AFTER,
    Fault.TIMEOUT_504_AFTER,
    Fault.TRUNCATED_200,
    Fault.PROXY_404,
    Fault.BUSY_503,
    Fault.FORBIDDEN,
)


@dataclass(frozen=True)
class Lies:
    """What a portal draws: for each of its lists in turn, and by user for each look and DELETE.

    None is the truth, which the portal tells once its lies are used up.
    """

    lists: tuple[str | None, ...]
    looks: dict[int, tuple[Fault | None, ...]]
    deletes: dict[int, Fault | None]
    ignored: frozenset[int] = frozenset()  # a DELETE of theirs succeeds, and does nothing
    gone_as: str = "error"
    retry_after: str = "7"


@dataclass
class LyingPortal(PortalSimulator):
    """A portal that follows a script of lies, and remembers what it said about each user."""

    def __init__(self, lies: Lies) -> None:
        super().__init__(users=len(EVERYBODY), knobs=Knobs(gone_as=lies.gone_as))  # type: ignore[arg-type]
        self.lists = list(lies.lists)
        self.looks = {user: list(each) for user, each in lies.looks.items()}
        self.deletes = dict(lies.deletes)
        self.ignored = lies.ignored
        self.first_list: list[Body] = super()._list()
        self.said: dict[int, list[str]] = {}

    def handle(
        self, method: str, target: str, token: str, body: bytes
    ) -> tuple[Answer | None, Fault | None]:
        path = target.split("?")[0]
        number = path.removeprefix("/api/user/id/")
        if number.isdecimal():
            user = int(number)
            if method == "DELETE":
                self.said[user] = []
                lie = self.deletes.pop(user, None)
                mode: Any = "ignored" if user in self.ignored else "synchronous"
                self.knobs = Knobs(gone_as=self.knobs.gone_as, delete_mode=mode)
            else:
                waiting = self.looks.get(user, [])
                lie = waiting.pop(0) if waiting else None
            if lie:
                self.faults.script(lie, method=method, user_id=user)
        answer, fault = super().handle(method, target, token, body)
        if number.isdecimal() and method == "GET" and answer:
            gone = answer.status == 404 or b"no user" in answer.body or b"null" in answer.body
            self.said.setdefault(int(number), []).append("gone" if gone else "there")
        return answer, fault

    def _list(self) -> list[Body]:
        users = super()._list()
        match self.lists.pop(0) if self.lists else None:
            case "cut":
                users = users[: len(users) // 2]
            case "empty":
                users = []
            case "stale":
                users = self.first_list
            case "omits":
                users = [user for user in users if int(user["id"]) % 3]
            case "odd":
                [odd] = [user for user in users if user["id"] == "110"] or [{}]
                odd.pop("type", None)
            case "nested":
                users = [{**user, "manager": {"username": user["id"]}} for user in users]
            case "twice":
                users = [*users, *users[:3]]
        shown = {int(user["id"]) for user in users}
        for user, said in self.said.items():
            said.append("there" if user in shown else "gone")
        return users


lies = st.builds(
    Lies,
    lists=st.lists(st.none() | st.sampled_from(LIST_LIES), max_size=4).map(tuple),
    looks=st.dictionaries(
        st.sampled_from([*ASKED, 101]),
        st.lists(st.none() | st.sampled_from(LOOK_LIES), max_size=5).map(tuple),
        max_size=4,
    ),
    deletes=st.dictionaries(
        st.sampled_from(ASKED), st.none() | st.sampled_from(DELETE_LIES), max_size=4
    ),
    ignored=st.frozensets(st.sampled_from(ASKED), max_size=2),
    gone_as=st.sampled_from(["error", "null_user", "empty_list", "error_200"]),
)


def consistent(portal: LyingPortal, user_id: int) -> bool:
    """Return whether the portal has only said "gone" about a user since the DELETE."""
    return set(portal.said.get(user_id, [])) <= {"gone"}


@pytest.mark.thorough
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lies, st.integers(0, 2), st.booleans())
@example(  # the last list is cut short, and two DELETEs did nothing
    Lies((None, "cut"), {}, {112: Fault.ERROR_200, 113: Fault.ERROR_200}), 0, False
)
@example(  # gone for one look, and back
    Lies((), {110: (None, None, Fault.OWN_404)}, {}, frozenset({110})), 0, False
)
@example(Lies(("cut",), {}, {}), 0, True)  # an id beyond the end of the list
@example(Lies((), {101: (Fault.OWN_404,)}, {}), 0, False)  # our own user is not shown
def test_whatever_the_portal_says_the_report_claims_nothing_false(
    drawn: Lies, canaries: int, by_id_alone: bool
) -> None:
    with (
        LyingPortal(drawn) as portal,
        pytest.MonkeyPatch.context() as patch,
        mock_aws(),
    ):
        keep_in_memory(patch)
        environment = {"MAX_PERCENT": "100", "MAX_PERCENT_PER_DAY": "100"}
        for name, value in {**Stack.environment(portal.url), **environment}.items():
            patch.setenv(name, value)
        stack = Stack(portal)
        stack.remaining_seconds = -2
        asked = [str(user) for user in ASKED] if by_id_alone else [f"user{u:04}" for u in ASKED]
        request: Body = {
            "mode": "apply",
            "source": {"users": [*asked, str(NOBODY)]},
            "options": {"canary_users": canaries},
        }

        resume: Body = {"mode": "apply", "resume": "run-0"}

        for execution, asks in enumerate([request, resume]):
            Machine(stack).execute(asks, f"run-{execution}")
            if "runs/run-0/report.csv" in stack.keys():  # noqa: SIM118 -- no dict
                check_against_the_truth(stack, portal)
        adapters.cache_clear()


def check_against_the_truth(stack: Stack, portal: LyingPortal) -> None:
    """Compare the report with the portal's own table."""
    there = portal.user_ids()
    sent = {request.user_id for request in portal.requests if request.method == "DELETE"}
    assert set(EVERYBODY) - there <= sent
    assert sent <= set(ASKED)
    text = stack.read_bytes("runs/run-0/report.csv").decode()
    for row in csv.DictReader(io.StringIO(text)):
        entry = row["entry"]
        user_id = int(row["user_id"] or entry.removeprefix("user"))
        if row["outcome"] in {"deleted", "already_absent"}:
            assert user_id not in there or consistent(portal, user_id), row
        elif user_id not in there and user_id != NOBODY:
            assert row["outcome"] == "unknown", row
