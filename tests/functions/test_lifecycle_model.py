"""Random months of leavers, checked against the rules; a failure shrinks to a script.

Lists to disable, to disable and delete later, and to delete come in any order, with plans that are
applied late, withdrawals, access that is given back, and the daily run. Functions are killed,
services refuse, executions are aborted; the portal's PUT and DELETE go wrong in every possible
way; a sync enables users, and people rename, remove and create them, also in the middle of a run.
Days pass, and the stack's parameters change. What must hold is read from the portal's request log
and its table.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from moto import mock_aws

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.reporting import iso
from local.portal import Fault, PortalSimulator, Request
from local.witness import DEFINITE_REFUSALS, Witness
from tests.functions.machine import AbortedError, KilledError, Machine, Trouble, refusing
from tests.functions.memory_table import keep_in_memory
from tests.functions.stack import Stack

USERS = range(104, 110)  # the first three of the portal are administrators
FIRST_DAY = datetime(2026, 11, 1, 12, tzinfo=UTC)
DUE = {"mode": "apply", "source": {"due": True}}
OPEN = {"failed", "unknown", "not_attempted"}
MOST_PUTS, MOST_REFUSED = 3, 5

one_user = st.sampled_from(USERS)
lists = st.lists(one_user, min_size=1, max_size=4, unique=True)
leaver_actions = st.sampled_from(["disable", "disable_then_delete", "delete"])
changes_faults = st.sampled_from(
    [
        Fault.RESET_BEFORE,
        Fault.RESET_AFTER,
        Fault.TIMEOUT_504_AFTER,
        Fault.TRUNCATED_200,
        Fault.ERROR_200,
        Fault.HTML_503,
        Fault.BUSY_503,
        Fault.DEADLOCK,
        Fault.TOO_MANY_REQUESTS,
        Fault.CONFLICT,
        Fault.FORBIDDEN,
        Fault.UNAUTHORIZED,
        Fault.SESSION_EXPIRED,
        Fault.PROXY_404,
    ]
)
looks_faults = st.sampled_from(
    [Fault.PROXY_404, Fault.HTML_200, Fault.SESSION_EXPIRED, Fault.SERVER_ERROR, Fault.REDIRECT]
)
moments = st.tuples(st.integers(0, 60), st.booleans())
troubles = st.one_of(
    st.none(),
    st.tuples(st.just("strikes"), moments, st.sampled_from([KilledError, refusing, AbortedError])),
    st.tuples(
        st.just("meddles"),
        moments,
        st.sampled_from(
            ["enable", "disable", "rename", "promote", "remove", "withdraw", "stop", "run"]
        ),
        one_user,
    ),
)


@dataclass
class Meddling(Trouble):
    """Something else happens at the `nth` call, which is carried out as if nothing had happened."""

    do: Callable[[], None] = field(default=lambda: None)

    def happen(self) -> None:
        self.inside = False
        try:
            self.do()
        finally:
            self.inside = True


class Months(RuleBasedStateMachine):
    """A portal, a stack, and everything that happens to them."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.traveller = self.resources.enter_context(time_machine.travel(FIRST_DAY, tick=False))
        self.portal = self.resources.enter_context(PortalSimulator(users=24))
        self.patch = self.resources.enter_context(pytest.MonkeyPatch.context())
        parameters = {
            "LEAVER_ACTION": "disable_then_delete",
            "RETENTION_DAYS": "1000",
            "MAX_PERCENT": "100",
            "MAX_USERS_PER_DAY": "1000",
            "MAX_PERCENT_PER_DAY": "100",
            "MAX_DISABLE_PERCENT": "100",
            "MAX_DISABLE_USERS_PER_DAY": "1000",
            "MAX_DISABLE_PERCENT_PER_DAY": "100",
            "MAX_NOT_FOUND_PERCENT": "100",
        }
        for name, value in {**Stack.environment(self.portal.url), **parameters}.items():
            self.patch.setenv(name, value)
        self.resources.enter_context(mock_aws())
        keep_in_memory(self.patch)
        self._let_requests_take_time()
        for user_id in self.portal.user_ids():
            self.portal.edit(user_id, enabled="Y", ldap="N")
        self.stack = Stack(self.portal)
        self.stack.remaining_seconds = -2
        self.action, self.grace_days = Action.DISABLE_THEN_DELETE, 30
        self.witness = Witness(self.grace_days)
        self.in_between: list[range] = []  # requests of runs that were carried out in another one
        self.followed = 0  # how much of the request log the witness has seen
        self.is_direct = False  # whether the run in progress deletes everybody on its list
        self.names = 0
        self.nights = 0
        self.runs: list[str] = []  # those that have a plan and a report
        self.previews: list[str] = []
        self.named: dict[str, set[int]] = {}  # whom each preview names by id
        self.withdrawn_runs: set[str] = set()
        self.by_other_hands: set[int] = set()
        self.before = self.portal.user_ids()

    def _let_requests_take_time(self) -> None:
        """Let each request to the portal take half a second, whatever this machine needs."""
        send = Portal._send

        def sent(*args: Any, **kwargs: Any) -> Any:
            self.traveller.shift(timedelta(seconds=0.5))
            return send(*args, **kwargs)

        self.patch.setattr(Portal, "_send", sent)

    # What we are asked to do

    @rule(
        users=lists,
        by_id=st.booleans(),
        action=st.none() | leaver_actions,
        canaries=st.integers(0, 1),
        trouble=troubles,
    )
    def somebody_leaves(
        self, users: list[int], by_id: bool, action: str | None, canaries: int, trouble: Any
    ) -> None:
        """A person applies a list."""
        self._execute(self._list(users, by_id, action, canaries), trouble)

    @rule(users=lists, by_id=st.booleans(), trouble=troubles)
    def a_schedule_lists_leavers(self, users: list[int], by_id: bool, trouble: Any) -> None:
        self.nights += 1
        request = self._list(users, by_id, None, 0)
        self._execute({"scheduled_time": f"list {self.nights}", "request": request}, trouble)

    @rule(users=lists, by_id=st.booleans(), action=st.none() | leaver_actions)
    def a_list_is_previewed(self, users: list[int], by_id: bool, action: str | None) -> None:
        before = len(self.stack.writes())
        output = self._execute({**self._list(users, by_id, action, 0), "mode": "preview"}, None)
        assert len(self.stack.writes()) == before
        if output["status"] == "PREVIEWED":
            self.previews.append(output["run_id"])
            self.named[output["run_id"]] = set(users) if by_id else set()

    @precondition(lambda self: self.previews)
    @rule(which=st.integers(0, 9), trouble=troubles)
    def a_preview_is_applied(self, which: int, trouble: Any) -> None:
        run_id = self.previews[which % len(self.previews)]
        sealed = {"run_id": run_id, "sha256": self.stack.plan_sha256(run_id)}
        self._execute({"mode": "apply", "plan": sealed}, trouble)

    @rule(days=st.sampled_from([0, 1, 29, 31]), trouble=troubles)
    def days_pass_until_the_daily_run(self, days: float, trouble: Any) -> None:
        self.traveller.shift(timedelta(days=days))
        self.nights += 1
        self._the_daily_run(trouble)

    @rule(trouble=troubles)
    def the_daily_run_is_delivered_again(self, trouble: Any) -> None:
        self._the_daily_run(trouble)

    @precondition(lambda self: self._open_runs())
    @rule(which=st.integers(0, 9), trouble=troubles)
    def a_run_is_resumed(self, which: int, trouble: Any) -> None:
        open_runs = self._open_runs()
        self._execute({"mode": "apply", "resume": open_runs[which % len(open_runs)]}, trouble)

    @rule(users=lists)
    def users_are_withdrawn(self, users: list[int]) -> None:
        self._withdraw(users=[str(user_id) for user_id in users])

    @precondition(lambda self: self.runs)
    @rule(which=st.integers(0, 9))
    def a_run_is_withdrawn(self, which: int) -> None:
        self._withdraw(run_id=self.runs[which % len(self.runs)])

    @rule(users=lists, trouble=troubles)
    def access_is_given_back(self, users: list[int], trouble: Any) -> None:
        self._execute(self._list(users, True, "enable", 0), trouble)

    # What happens in the meantime

    @rule(days=st.sampled_from([0.5, 5]))
    def days_pass(self, days: float) -> None:
        self.traveller.shift(timedelta(days=days))

    @rule(days=st.sampled_from([1, 30, 60]))
    def grace_days_changes(self, days: int) -> None:
        self.grace_days = days
        self.witness.changed_grace(days)
        self._update("GRACE_DAYS", str(days))

    @rule(action=leaver_actions)
    def leaver_action_changes(self, action: str) -> None:
        self.action = Action(action)
        self._update("LEAVER_ACTION", action)

    @rule(user_id=one_user, enabled=st.sampled_from("YN"))
    def somebody_switches_access(self, user_id: int, enabled: str) -> None:
        self._edit(user_id, enabled=enabled)

    @rule(
        user_id=one_user,
        change=st.sampled_from(
            [
                {"username": "renamed{:04}"},
                {"username": "user{:04}"},
                {"email": "renamed{:04}@example.com"},
                {"email": "user{:04}@example.com"},
                {"type": "administrator"},
                {"type": "regular"},
            ]
        ),
    )
    def somebody_edits(self, user_id: int, change: dict[str, str]) -> None:
        self._edit(user_id, **{name: value.format(user_id) for name, value in change.items()})

    @rule(user_id=one_user, anew=st.booleans())
    def somebody_removes(self, user_id: int, anew: bool) -> None:
        """A person deletes a user, and perhaps creates one with the same names."""
        rows = self.portal.database.execute("SELECT * FROM user WHERE user_id = ?", (user_id,))
        if rows:
            self.by_other_hands.add(user_id)
            self.portal.remove(user_id)
            if anew:
                row = dict(rows[0])
                self.portal.add(username=row["username"], email=row["email"], enabled="Y")

    @rule(method=st.sampled_from(["PUT", "DELETE"]), fault=changes_faults, nth=st.integers(1, 3))
    def a_change_goes_wrong(self, method: str, fault: Fault, nth: int) -> None:
        self.portal.faults.script(fault, method=method, nth=nth)

    @rule(fault=looks_faults, user_id=one_user, nth=st.integers(1, 3))
    def a_look_goes_wrong(self, fault: Fault, user_id: int, nth: int) -> None:
        self.portal.faults.script(fault, method="GET", user_id=user_id, nth=nth)

    @rule(
        put=st.sampled_from(["synchronous", "synchronous", "background", "ignored", "replaces"]),
        delete=st.sampled_from(["synchronous", "synchronous", "background", "ignored"]),
        answer=st.sampled_from(["user", "bare", "no_content"]),
    )
    def the_portal_behaves_in_another_way(self, put: Any, delete: Any, answer: Any) -> None:
        self.portal.knobs = replace(
            self.portal.knobs,
            put_mode=put,
            put_answer=answer,
            seconds_per_put=20 if put == "background" else 0,
            delete_mode=delete,
            seconds_per_delete=60 if delete == "background" else 0,
        )

    # How it is carried out

    def _the_daily_run(self, trouble: Any) -> None:
        self._execute({"scheduled_time": f"night {self.nights}", "request": DUE}, trouble)

    def _open_runs(self) -> list[str]:
        """Return the runs that a resume may continue."""
        reports = {
            run_id: self.stack.read_json(f"runs/{run_id}/report.json") for run_id in self.runs
        }
        return [run_id for run_id, report in reports.items() if OPEN & set(report["counts"])]

    def _list(
        self, users: list[int], by_id: bool, action: str | None, canaries: int
    ) -> dict[str, Any]:
        source = {"users": [str(one) if by_id else f"user{one:04}" for one in users]}
        request: dict[str, Any] = {"mode": "apply", "source": source}
        if action:
            request["action"] = action
        return {**request, "options": {"canary_users": canaries}}

    def _execute(
        self, request: dict[str, Any], trouble: Any, *, patience: int | None = None
    ) -> dict[str, Any]:
        """Carry out one execution, and the closing if it is aborted; check it against the rules.

        After `patience` waits it is aborted.
        """
        self._wait(2)
        self.names += 1
        name = f"execution-{self.names}"
        started, before = datetime.now(UTC).timestamp(), len(self.portal.requests)
        outer, self.is_direct = self.is_direct, self._is_direct(request)
        self._note_who_is_named(request)
        machine = Machine(self.stack, self._trouble(trouble), self._waits(patience))
        promoted = self._administrators()
        try:
            with machine.trouble.may_strike():
                output = machine.execute(request, name)
        except AbortedError:
            self._follow(heard=False)
            closing = Machine(self.stack, wait=self._wait)
            output = closing.execute({"close": name}, f"{name}-closing")
        self._follow()
        self.is_direct = outer
        requests = [
            request
            for number, request in enumerate(self.portal.requests[before:], start=before)
            if not any(number in others for others in self.in_between)
        ]
        if "counts" in output:
            self._hold_to_the_rules(output, started, requests, promoted)
        return output

    def _trouble(self, trouble: Any) -> Trouble:
        match trouble:
            case None:
                return Trouble()
            case ("strikes", (nth, after), strike):
                return Trouble(nth, after, strike)
            case ("meddles", (nth, after), what, user_id):
                return Meddling(nth, after, do=lambda: self._meddle(what, user_id))
            case _:
                raise AssertionError(trouble)

    def _meddle(self, what: str, user_id: int) -> None:
        """Do something in the middle of a run."""
        self._follow()
        user = str(user_id)
        match what:
            case "enable":
                self._edit(user_id, enabled="Y")
            case "disable":
                self._edit(user_id, enabled="N")
            case "rename":
                self._edit(user_id, email=f"meddled{user}@example.com")
            case "promote":
                self._edit(user_id, type="administrator")
            case "remove":
                self.somebody_removes(user_id=user_id, anew=False)
            case "withdraw":
                self._withdraw(users=[user])
            case "stop":
                stop = {"run_id": f"execution-{self.names}", "reason": "x", "by": "y"}
                Machine(self.stack).execute({"stop": stop}, "stop")
            case "run":
                self._carry_out_in_between(user_id)

    def _carry_out_in_between(self, user_id: int) -> None:
        """Carry out a run of the other kind: they do not wait for each other."""
        before = len(self.portal.requests)
        lock = self.stack.ledger.portal.lock(Action.DELETE)
        request = self._list([user_id], True, "disable", 0) if lock.run_id else DUE
        if lock.run_id or self.stack.ledger.portal.lock(Action.DISABLE).run_id:
            self._execute(request, None, patience=20)
            self.in_between.append(range(before, len(self.portal.requests)))

    def _waits(self, patience: int | None) -> Callable[[int], None]:
        waited = itertools.count(1)

        def wait(seconds: int) -> None:
            self._wait(seconds)
            if seconds and patience and next(waited) > patience:
                raise AbortedError

        return wait

    def _wait(self, seconds: int) -> None:
        self.traveller.shift(timedelta(seconds=seconds))

    def _update(self, variable: str, value: str) -> None:
        self.patch.setenv(variable, value)
        adapters.cache_clear()

    def _edit(self, user_id: int, **fields: Any) -> None:
        if user_id in self.portal.user_ids():
            self.portal.edit(user_id, **fields)

    def _withdraw(self, **order: Any) -> None:
        run_id, asked = order.get("run_id"), {int(one) for one in order.get("users", [])}
        asked |= {
            int(leaver.user_id)
            for leaver in self.stack.ledger.leavers.read_all(self.portal.url)
            if run_id in leaver.runs
        }
        known = {
            int(leaver.user_id)
            for leaver in self.stack.ledger.leavers.read_all(self.portal.url)
            if leaver.state is not LeaverState.DONE
        }
        order = {"withdraw": {**order, "reason": "on leave", "by": "hr"}}
        self.names += 1
        output = Machine(self.stack).execute(order, f"execution-{self.names}")
        if "nothing_because" in output:
            self.witness.withdrawn(asked & known)
            self.withdrawn_runs |= {run_id} if run_id else set()

    def _administrators(self) -> set[int]:
        sql = "SELECT user_id FROM user WHERE type = 'administrator'"
        return {row["user_id"] for row in self.portal.database.execute(sql)}

    # What must hold

    def _follow(self, *, heard: bool = True) -> None:
        new, self.followed = self.portal.requests[self.followed :], len(self.portal.requests)
        self.witness.follow(new, direct=self.is_direct, heard=heard)

    def _is_direct(self, request: dict[str, Any]) -> bool:
        if "resume" in request:
            run = self.stack.ledger.runs.read(self.stack.ledger.runs.id_of(request["resume"]))
            return run is not None and run.action is Action.DELETE
        return bool(request.get("request", request) != DUE)

    def _note_who_is_named(self, request: dict[str, Any]) -> None:
        """Tell the witness whom a person names by id, whose withdrawal then no longer applies."""
        if request.get("mode") != "apply" or request.get("action") == "enable":
            return
        if "plan" in request:
            self.witness.named(self.named[request["plan"]["run_id"]])
        users = request.get("source", {}).get("users", [])
        self.witness.named(int(user) for user in users if user.isdecimal())

    def _hold_to_the_rules(
        self,
        output: dict[str, Any],
        started: float,
        requests: list[Request],
        promoted: set[int],
    ) -> None:
        run_id = output["run_id"]
        run = self.stack.ledger.runs.read(run_id)
        writes = [r for r in requests if r.method in {"PUT", "DELETE"}]
        if f"runs/{run_id}/report.json" not in set(self.stack.keys()) or run is None:
            assert not writes
            return
        if run.mode == "apply" and run.plan_sha256 and run_id not in self.runs:
            self.runs.append(run_id)
        report = self.stack.read_json(f"runs/{run_id}/report.json")
        rows = report["rows"]
        assert sum(report["counts"].values()) == report["requested"] == len(rows)
        assert len({row["line"] for row in rows}) == len(rows)
        if output.get("succeeded"):
            assert not OPEN & set(output["counts"])
        planned = self._planned(run_id)
        assert {r.user_id for r in writes} <= planned, "somebody is in no plan"
        if run.action is not Action.ENABLE and writes:
            assert not run.action.is_harsher_than(self.action)
        assert not promoted & {r.user_id for r in writes}
        self._puts(requests)
        now = [row for row in rows if row["ended_at"] >= iso(started)]
        looked_at = {r.user_id for r in requests if r.told}
        for row in now:
            if row["outcome"] in {"disabled", "enabled"}:
                user_id, access = int(row["user_id"]), "N" if row["outcome"] == "disabled" else "Y"
                assert user_id in looked_at
                assert self.witness.access(user_id) == access, row
            if row["outcome"] == "deleted":
                assert int(row["user_id"]) not in self.portal.user_ids()
        done = {int(row["user_id"]) for row in now if row["outcome"] in {"disabled", "enabled"}}
        if run.action is Action.ENABLE or run_id in self.withdrawn_runs:
            self.witness.withdrawn(done)

    def _puts(self, requests: list[Request]) -> None:
        """An execution is one round of one run."""
        puts = [r for r in requests if r.method == "PUT"]
        sent = Counter(r.user_id for r in puts if r.fault not in DEFINITE_REFUSALS)
        assert all(number <= MOST_PUTS for number in sent.values()), sent
        every = Counter(r.user_id for r in puts)
        assert all(number <= MOST_REFUSED for number in every.values()), every

    def _planned(self, run_id: str) -> set[int | None]:
        plan = self.stack.read_json(f"runs/{run_id}/plan.json") if self._has_plan(run_id) else None
        return {
            int(entry["user"]["user_id"])
            for entry in (plan or {"entries": []})["entries"]
            if entry["outcome"].startswith("would_")
        }

    def _has_plan(self, run_id: str) -> bool:
        return f"runs/{run_id}/plan.json" in set(self.stack.keys())

    @invariant()
    def nobody_was_touched_against_the_rules(self) -> None:
        assert not self.witness.before_due
        assert not self.witness.taken_back
        assert not self.witness.disabled_though_withdrawn
        assert not self.witness.enabled_not_ours
        assert not self.witness.put_unseen
        sent = {r.user_id for r in self.portal.requests if r.method == "DELETE"}
        assert self.before - self.portal.user_ids() <= sent | self.by_other_hands

    def teardown(self) -> None:
        """In the end nothing else goes wrong: nobody is left waiting, or being deleted."""
        try:
            self._finish()
        finally:
            self.resources.close()

    def _finish(self) -> None:
        self.portal.faults.clear()
        self.the_portal_behaves_in_another_way(
            put="synchronous", delete="synchronous", answer="user"
        )
        for user_id in USERS:  # whom nobody protects any more, and no migration of names
            name = f"user{user_id:04}"
            self._edit(user_id, type="regular", username=name, email=f"{name}@example.com")
        self.leaver_action_changes(action="delete")
        for run_id in self._open_runs():
            self._execute({"mode": "apply", "resume": run_id}, None)
        self.days_pass_until_the_daily_run(days=61, trouble=None)
        self.days_pass_until_the_daily_run(days=1, trouble=None)
        self.nobody_was_touched_against_the_rules()
        for leaver in self.stack.ledger.leavers.read_all(self.portal.url):
            assert leaver.state is not LeaverState.DELETING, leaver
            assert leaver.state is not LeaverState.WAITING or not leaver.due_at, leaver


class AFewMonths(Months):
    """The short form."""


def _examples(number: int, *, steps: int) -> settings:
    return settings(
        max_examples=number,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


AFewMonths.TestCase.settings = _examples(6, steps=10)
TestAFewMonths = AFewMonths.TestCase
Months.TestCase.settings = _examples(30, steps=20)
TestMonths = pytest.mark.thorough(Months.TestCase)
