"""Random weeks of bad operation, checked against the rules; a failure shrinks to a script.

Requests, duplicate events, faults of the portal, functions that are killed, services that refuse,
executions that are aborted, users that others change, stops and resumes come in any order. After
each, the request log and the reports are checked against the rules; in the end everything is
resumed, and then every user who could be deleted is gone.
"""

from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from moto import mock_aws

from local.portal import Fault, PortalSimulator
from tests.functions.machine import AbortedError, KilledError, Machine, Trouble, refusing
from tests.functions.memory_table import keep_in_memory
from tests.functions.stack import Stack

USERS = range(104, 120)  # the first three of the portal are administrators
ADMINISTRATORS = range(101, 104)
OPEN = {"failed", "unknown", "not_attempted"}

# The portal did nothing, and said so: only after these may the same run send another DELETE.
DEFINITE_REFUSALS = {
    Fault.BUSY_503,
    Fault.DEADLOCK,
    Fault.TOO_MANY_REQUESTS,
    Fault.UNAUTHORIZED,
    Fault.SESSION_EXPIRED,
}

lists = st.lists(st.sampled_from([*USERS, ADMINISTRATORS[1]]), min_size=1, max_size=5, unique=True)
deletes_faults = st.sampled_from(
    [
        Fault.RESET_BEFORE,
        Fault.RESET_AFTER,
        Fault.TIMEOUT_504_AFTER,
        Fault.TIMEOUT_504_MEANWHILE,
        Fault.TRUNCATED_200,
        Fault.HTML_503,
        Fault.BUSY_503,
        Fault.DEADLOCK,
        Fault.TOO_MANY_REQUESTS,
        Fault.CONFLICT,
        Fault.UNAUTHORIZED,
        Fault.SESSION_EXPIRED,
        Fault.PROXY_404,
    ]
)
looks_faults = st.sampled_from([Fault.PROXY_404, Fault.HTML_200, Fault.SESSION_EXPIRED])
troubles = st.one_of(
    st.none(),
    st.tuples(
        st.integers(0, 120),
        st.booleans(),
        st.sampled_from([KilledError, refusing, AbortedError]),
    ),
)


class Operation(RuleBasedStateMachine):
    """A portal, a stack, and everything that happens to them."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.portal = self.resources.enter_context(PortalSimulator(users=24))
        patch = self.resources.enter_context(pytest.MonkeyPatch.context())
        parameters = {
            "MAX_PERCENT": "100",
            "MAX_USERS_PER_DAY": "1000",
            "MAX_PERCENT_PER_DAY": "100",
        }
        for name, value in {**Stack.environment(self.portal.url), **parameters}.items():
            patch.setenv(name, value)
        self.resources.enter_context(mock_aws())
        keep_in_memory(patch)
        self.stack = Stack(self.portal)
        self.stack.remaining_seconds = -2
        self.before = self.portal.user_ids()
        self.by_other_hands: set[int] = set()
        self.changed: set[int] = set()
        self.wanted: set[int] = set()
        self.runs: list[str] = []
        self.names = 0
        self.seen = 0  # how much of the request log has been checked against the rules
        self.seen_gone: set[int] = set()

    # What happens

    @rule(users=lists, canaries=st.integers(0, 2), trouble=troubles)
    def apply(self, users: list[int], canaries: int, trouble: Any) -> None:
        """A person starts a run."""
        source = {"users": [str(user_id) for user_id in users]}
        request = {"mode": "apply", "source": source, "options": {"canary_users": canaries}}
        self._execute(request, trouble)

    @rule(users=lists, hour=st.integers(0, 2), trouble=troubles)
    def schedule(self, users: list[int], hour: int, trouble: Any) -> None:
        """A schedule fires, or its event is delivered again."""
        source = {"users": [str(user_id) for user_id in users]}
        request = {"mode": "apply", "source": source}
        time = f"2026-11-20T{hour:02}:00:00Z"
        self._execute({"scheduled_time": time, "request": request}, trouble)

    @rule(which=st.integers(0, 9), trouble=troubles)
    def resume(self, which: int, trouble: Any) -> None:
        """A person resumes a run."""
        if self.runs:
            run_id = self.runs[which % len(self.runs)]
            self._execute({"mode": "apply", "resume": run_id}, trouble)

    @rule(fault=deletes_faults, nth=st.integers(1, 3))
    def a_delete_goes_wrong(self, fault: Fault, nth: int) -> None:
        self.portal.faults.script(fault, nth=nth)

    @rule(fault=looks_faults, user_id=st.sampled_from(USERS))
    def a_look_goes_wrong(self, fault: Fault, user_id: int) -> None:
        self.portal.faults.script(fault, method="GET", user_id=user_id)

    @rule(user_id=st.sampled_from(USERS))
    def someone_else_deletes(self, user_id: int) -> None:
        self.by_other_hands.add(user_id)
        self.portal.database.execute("DELETE FROM user WHERE user_id = ?", (user_id,))

    @rule(user_id=st.sampled_from(USERS))
    def a_user_is_promoted(self, user_id: int) -> None:
        self.changed.add(user_id)
        self.portal.database.execute(
            "UPDATE user SET type = 'administrator' WHERE user_id = ?", (user_id,)
        )

    @rule(pressed=st.booleans())
    def the_stop_button(self, pressed: bool) -> None:
        word = "stop" if pressed else "lift"
        self._execute({word: {"reason": "upgrade", "by": "platform team"}}, None)

    def _execute(self, request: dict[str, Any], trouble: Any) -> dict[str, Any]:
        self.names += 1
        name = f"execution-{self.names}"
        machine = Machine(self.stack, Trouble(*trouble) if trouble else Trouble())
        promoted = {
            row["user_id"]
            for row in self.portal.database.execute(
                "SELECT user_id FROM user WHERE type = 'administrator'"
            )
        }
        try:
            with machine.trouble.may_strike():
                output = machine.execute(request, name)
        except AbortedError:
            output = Machine(self.stack).execute({"close": name}, f"{name}-closing")
        self._hold_to_the_rules(promoted)
        run_id = output["run_id"]
        if f"runs/{run_id}/report.json" in set(self.stack.keys()) and run_id not in self.runs:
            self.runs.append(run_id)
        if output.get("succeeded"):
            assert not OPEN & set(output["counts"])
        return output

    # What must hold

    def _hold_to_the_rules(self, promoted: set[int]) -> None:
        """Check the requests of one execution to the portal."""
        may_have_had_effect: Counter[int] = Counter()
        new, self.seen = self.portal.requests[self.seen :], len(self.portal.requests)
        for request in new:
            user_id = request.user_id
            if user_id is None:
                continue
            if request.method == "GET" and request.status == 404 and not request.fault:
                self.seen_gone.add(user_id)
            elif request.method == "DELETE":
                assert user_id in self.planned(), f"{user_id} is in no plan"
                assert user_id not in promoted, f"{user_id} is an administrator"
                assert user_id not in self.seen_gone, f"{user_id} had been seen gone"
                if request.fault not in DEFINITE_REFUSALS:
                    may_have_had_effect[user_id] += 1
        assert all(number == 1 for number in may_have_had_effect.values()), may_have_had_effect

    def planned(self) -> set[int]:
        """Return all users that any run was to delete."""
        return {
            int(entry["user"]["user_id"])
            for key in self.stack.keys()  # noqa: SIM118 -- no dict
            if key.endswith("plan.json")
            for entry in self.stack.read_json(key)["entries"]
            if entry["outcome"] == "would_delete"
        }

    @invariant()
    def nobody_went_but_those_who_were_planned(self) -> None:
        sent = {r.user_id for r in self.portal.requests if r.method == "DELETE"}
        gone = self.before - self.portal.user_ids()
        assert gone <= sent | self.by_other_hands

    @invariant()
    def every_report_adds_up_and_is_true(self) -> None:
        sent = {r.user_id for r in self.portal.requests if r.method == "DELETE"}
        there = self.portal.user_ids()
        for run_id in self.runs:
            report = self.stack.read_json(f"runs/{run_id}/report.json")
            assert sum(report["counts"].values()) == report["requested"] == len(report["rows"])
            for row in report["rows"]:
                if row["outcome"] == "deleted":
                    assert int(row["user_id"]) in sent - there
                elif row["outcome"] == "already_absent" and row["user_id"]:
                    assert int(row["user_id"]) not in there

    def teardown(self) -> None:
        """In the end the portal has no faults, and everything that is open is resumed."""
        try:
            self.portal.faults.clear()
            self._execute({"lift": {"reason": "done", "by": "platform team"}}, None)
            for run_id in self.runs:
                report = self.stack.read_json(f"runs/{run_id}/report.json")
                if OPEN & set(report["counts"]) and report["status"] not in {"REFUSED"}:
                    output = self._execute({"mode": "apply", "resume": run_id}, None)
                    assert not {"failed", "unknown"} & set(output["counts"] or {}), output
                    report = self.stack.read_json(f"runs/{run_id}/report.json")
                for row in report["rows"]:
                    user_id = int(row["user_id"] or 0)
                    if row["outcome"] in {"deleted", "already_absent"}:
                        assert user_id not in self.portal.user_ids()
                    elif report["status"] == "SUCCEEDED":
                        assert user_id in {*self.changed, *ADMINISTRATORS}, row
            assert set(ADMINISTRATORS) <= self.portal.user_ids()
        finally:
            self.resources.close()


Operation.TestCase.settings = settings(max_examples=12, stateful_step_count=8)
TestOperation = pytest.mark.thorough(Operation.TestCase)
