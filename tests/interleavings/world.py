"""A stack and a portal in memory, whose every call to the outside is one step of a schedule.

The steps of the state machine are the real ones, called as in the functions' tests; so is the
portal, below its HTTP server. Each call waits for the baton, may be struck, and is shown to the
judge. Time stands still unless everybody waits.
"""

import copy
import importlib
import inspect
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from io import BytesIO
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import boto3
import fastjsonschema
import pytest
import requests
import time_machine
from botocore.client import BaseClient
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from bulk_user_deletion.adapters import Adapters
from bulk_user_deletion.errors import (
    BulkUserDeletionError,
    PortalUnavailable,
    StoreUnavailable,
    TokenBeingRenewed,
)
from bulk_user_deletion.observability import logger, metrics
from bulk_user_deletion.settings import Settings
from local.portal import Fault, PortalSimulator
from tests.definition.loading import RESOURCES, TEMPLATE
from tests.functions.machine import AbortedError, KilledError, Machine, refusing
from tests.functions.memory_services import Execution, Services
from tests.functions.memory_table import Tables
from tests.functions.stack import EXECUTIONS, Context, Stack
from tests.interleavings.explorer import Actor, Baton, Schedule, Step, Strike
from tests.interleavings.judge import Invocation, Judge


def _folder(code_uri: str) -> str:
    return code_uri.rstrip("/").rpartition("/")[2]


# How long an invocation of each function may last, in seconds.
FUNCTIONS = {
    _folder(resource["Properties"]["CodeUri"]): resource["Properties"].get(
        "Timeout", TEMPLATE["Globals"]["Function"]["Timeout"]
    )
    for resource in RESOURCES.values()
    if resource["Type"] == "AWS::Serverless::Function"
}
START = 1_793_620_800.0  # 2026-11-02 12:00 UTC
_RETRY_SECONDS = 2
_TRIES = 10


class Performer:
    """One actor's view of the world: its own warm container, one invocation at a time."""

    def __init__(self, world: "World", name: str, actor: Actor | None = None) -> None:
        self.world, self.name, self.actor = world, name, actor
        self.stack = _Stack(self)
        self.machine = _Machine(self.stack, wait=self.wait)
        self.adapters = Adapters(world.settings)
        self.invocation: Invocation | None = None
        self.run_id = ""
        self.rejection = ""  # the Cause that a renewal of the token was given

    def wait(self, seconds: float) -> None:
        """A Wait state, or the interval before a retry."""
        if self.actor and self.world.baton:
            self.world.baton.sleep(self.actor, seconds)
        else:
            self.world.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody, whatever they are doing: one step of a schedule."""
        if self.actor and self.world.baton:
            self.world.baton.call(self.actor, f"{seconds} s pass")
        self.world.pass_time(seconds)

    def invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Invoke a function, and again as the definition's Retry does.

        Raises:
            AbortedError: the execution was aborted.
        """
        for left in reversed(range(_TRIES)):
            try:
                result = self._invoke_once(function, event)
            except KilledError:
                self.adapters = Adapters(self.world.settings)  # in a new container
                if not left:
                    raise RuntimeError("Runtime.ExitError") from None
            except (StoreUnavailable, PortalUnavailable, TokenBeingRenewed):
                if not left:
                    raise
            except (BulkUserDeletionError, AbortedError):
                raise
            except Exception as error:
                self.world.judge.holds(
                    "every error is ours", that=False, otherwise=f"{function}: {error!r}"
                )
                raise
            else:
                self.world.judge.holds("every error is ours", that=True, otherwise="")
                return result
            self.wait(_RETRY_SECONDS * 1.5 ** (_TRIES - 1 - left))
        raise AssertionError("unreachable")

    def _invoke_once(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        world = self.world
        arn = event.get("execution_arn", "")
        self.run_id = str(event["run_id"])
        self.rejection = event.get("rejection", {}).get("Cause", "{}")
        self.invocation = Invocation(
            function, world.next_request_id(), arn, time.time() + FUNCTIONS[function]
        )
        context = Context(
            remaining_seconds=FUNCTIONS[function], aws_request_id=self.invocation.request_id
        )
        before, world.performer = world.performer, self
        try:
            result = _handler(function)(json.loads(json.dumps(event)), context)
        finally:
            self.invocation = None
            world.performer = before
        return dict(json.loads(json.dumps(result)))


class _Stack(Stack):
    """The stack, as one performer calls its functions."""

    def __init__(self, performer: Performer) -> None:
        self.performer = performer
        self.portal = performer.world.portal
        self._arns: dict[str, str] = {}

    def acts_for(self, run_id: str, name: str) -> None:
        """Carry out a run as the execution of this name."""
        self._arns[run_id] = EXECUTIONS + name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.performer.world.stack, name)

    def invoke(self, function: str, event: Mapping[str, Any], **context: Any) -> dict[str, Any]:
        """Invoke a function, as this performer."""
        return self.performer.invoke(function, event)


@dataclass
class _Machine(Machine):
    """Executions that Step Functions has a record of."""

    def execute(self, request: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Run an execution to its end; return its output."""
        assert isinstance(self.stack, _Stack)
        world = self.stack.performer.world
        world.start(name, request)
        status = "ABORTED"
        try:
            output = super().execute(request, name)
            status = "SUCCEEDED" if output.get("succeeded", True) else "FAILED"
        finally:
            world.end(name, status)
        return output

    def change(self, function: str, user_id: str, batch_key: str, run_id: str) -> None:
        """Change one user, as a child execution of `run_id` does."""
        self._change(function, user_id, batch_key, run_id)

    def hand_out(self, run_id: str) -> None:
        """Hand out a run's users, and change them."""
        self._hand_out(run_id)

    def report(self, run_id: str, name: str) -> dict[str, Any]:
        """Report a run as its execution `name`, which then ends."""
        assert isinstance(self.stack, _Stack)
        self.stack.acts_for(run_id, name)
        doubted = False
        while True:
            said: dict[str, Any] = self.stack.report_run(run_id, list_doubted=doubted)
            if not said["wait_seconds"]:
                break
            self.wait(said["wait_seconds"])
            doubted = said["list_doubted"]
        self.stack.performer.world.end(name, "SUCCEEDED" if said["succeeded"] else "FAILED")
        return said


@cache
def _handler(function: str) -> Callable[[dict[str, Any], Context], dict[str, Any]]:
    """A handler without what logs and counts."""
    module = importlib.import_module(f"functions.{function}.app")
    handler: Callable[[dict[str, Any], Context], dict[str, Any]] = inspect.unwrap(
        module.lambda_handler
    )
    return handler


@dataclass(frozen=True)
class Snapshot:
    """Everything that a schedule may change."""

    tables: Any
    services: Services
    users: list[tuple[Any, ...]]
    tokens: dict[str, Any]
    now: float


@dataclass
class World:
    """The outside, and who is acting on it. Use `opened`."""

    portal: PortalSimulator
    traveller: Any
    environment: Mapping[str, str]
    tables: Tables = field(default_factory=Tables)
    services: Services = field(default_factory=Services)
    judge: Judge = field(init=False)
    baton: Baton | None = None

    def __post_init__(self) -> None:
        self.settings = Settings.from_environment()
        self._acting = _Acting()
        self._ids = count(1)
        self.judge = Judge(self)
        self.stack = Stack(self.portal)

    # Who is acting

    @property
    def performer(self) -> Performer | None:
        """Whoever makes calls in this thread."""
        return self._acting.performer

    @performer.setter
    def performer(self, performer: Performer | None) -> None:
        self._acting.performer = performer

    def next_request_id(self) -> str:
        """Return an id that no other invocation has."""
        return f"invocation-{next(self._ids)}"

    def somebody(self, name: str = "somebody") -> Performer:
        """Return a performer who acts alone, before or after a schedule."""
        return Performer(self, name)

    def token_version(self) -> str:
        """Return the version of the token that is stored."""
        _, text = self.services.secrets["token"]
        return str(json.loads(text)["version_id"])

    # Executions and time

    def start(self, name: str, request: Mapping[str, Any] | None = None) -> None:
        """Note that an execution runs."""
        execution = Execution("RUNNING", time.time(), json.dumps(request or {}))
        self.services.executions.setdefault(EXECUTIONS + name, execution)

    def end(self, name: str, status: str) -> None:
        """Note how an execution ended."""
        arn = EXECUTIONS + name
        if arn in self.services.executions:
            was = self.services.executions[arn]
            self.services.executions[arn] = replace(was, status=status)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, while nobody acts."""
        self.move_to(time.time() + seconds)

    def move_to(self, moment: float) -> None:
        """Set the clock."""
        self.traveller.move_to(moment, tick=False)

    # Snapshots

    def take(self) -> Snapshot:
        """Return what everything is like now."""
        users = self.portal.database.execute("SELECT * FROM user ORDER BY user_id")
        return Snapshot(
            copy.deepcopy(vars(self.tables)["_tables"]),
            self.services.copy(),
            [tuple(row) for row in users],
            dict(vars(self.portal)["_tokens"]),
            time.time(),
        )

    def restore(self, was: Snapshot) -> None:
        """Make everything as it was."""
        tables = {}
        for name, table in was.tables.items():
            tables[name] = type(table)(dict(table.rows), list(table.keys))
        vars(self.tables)["_tables"] = tables
        self.services = was.services.copy()
        self.portal.database.execute("DELETE FROM user")
        marks = ", ".join("(?, ?, ?, ?, ?, ?, ?, ?)" for _ in was.users)
        values = [value for row in was.users for value in row]
        self.portal.database.execute(f"INSERT INTO user VALUES {marks}", values)
        vars(self.portal)["_tokens"] = dict(was.tokens)
        vars(self.portal)["_under_way"] = []
        self.portal.faults.clear()
        self.portal.requests.clear()
        self.move_to(was.now)
        self.judge = Judge(self)

    # Schedules

    def play(
        self, schedule: Schedule, programs: Mapping[str, Callable[[Performer], None]]
    ) -> list[Step]:
        """Let each program run in its own thread, as a schedule says; return what happened."""
        self.baton = Baton(schedule, now=time.time, move_to=self.move_to)

        def played(name: str, program: Callable[[Performer], None]) -> Callable[[Actor], None]:
            def play(actor: Actor) -> None:
                # As Catch does: an execution that fails leaves the rest to its report.
                with suppress(AbortedError, BulkUserDeletionError):
                    program(Performer(self, name, actor))

            return play

        try:
            self.baton.run([played(name, program) for name, program in programs.items()])
            return self.baton.trace
        finally:
            self.baton = None

    # Calls

    def aws_call(self, client: BaseClient, operation: str, given: dict[str, Any]) -> Any:
        """Answer a call of boto3's."""
        service = client.meta.service_model.service_name
        what = f"{operation} {_about(operation, given)}".strip()
        strike = self._may_be_struck(what)
        if strike is Strike.THROTTLED:
            raise refusing()
        if service == "dynamodb":
            with self.judge.watching(operation, given):
                answer: Any = self.tables.call(operation, given)
        else:
            answer = self.services.answer(client, operation, given)
        self._strike_after(strike)
        if strike is Strike.LOST:
            raise refusing()
        return answer

    def portal_call(self, request: requests.PreparedRequest) -> requests.Response:
        """Answer a request to the portal."""
        method, path = str(request.method), urlsplit(str(request.url)).path
        user_id = path.removeprefix("/api/user/id/") if "/id/" in path else ""
        self.judge.sends(method, path, user_id)
        try:
            strike = self._may_be_struck(f"{method} {path}")
            if strike in _FAULTS:
                self.portal.faults.script(_FAULTS[strike], method=method)
            body = request.body or b""
            answer, _ = self.portal.handle(
                method,
                request.path_url,
                str(request.headers.get("token", "")),
                body.encode() if isinstance(body, str) else body,
            )
        finally:
            self.judge.sent(method, path, user_id)
        status = answer.status if answer else None
        self.judge.answered(method, path, user_id, status)
        self._strike_after(strike)
        if answer is None:
            raise requests.ConnectionError
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.raw = BytesIO(answer.body)
        response.url = str(request.url)
        return response

    def _may_be_struck(self, what: str) -> Strike | None:
        """Wait for the baton before a call, which may be the last one of its invocation."""
        performer = self.performer
        if performer is None or performer.invocation is None:
            return None
        invocation = performer.invocation
        if invocation.is_dead:
            raise KilledError
        if self.baton is None or performer.actor is None:
            return None
        strike = self.baton.call(performer.actor, f"{invocation.function}: {what}")
        if time.time() >= invocation.deadline or strike is Strike.KILLED_BEFORE:
            invocation.is_dead = True
            raise KilledError
        if strike is Strike.ABORTED:
            invocation.is_dead = True
            self.end(invocation.execution_arn.removeprefix(EXECUTIONS), "ABORTED")
            raise AbortedError
        return strike

    def _strike_after(self, strike: Strike | None) -> None:
        if strike is Strike.KILLED_AFTER and self.performer and self.performer.invocation:
            self.performer.invocation.is_dead = True
            raise KilledError


_FAULTS = {Strike.THROTTLED: Fault.TOO_MANY_REQUESTS, Strike.LOST: Fault.RESET_AFTER}


class _Acting:
    """Who acts, by thread."""

    def __init__(self) -> None:
        self._local = threading.local()

    @property
    def performer(self) -> Performer | None:
        return getattr(self._local, "performer", None)

    @performer.setter
    def performer(self, performer: Performer | None) -> None:
        self._local.performer = performer


def _about(operation: str, given: Mapping[str, Any]) -> str:
    """Return what a call is about, for a trace."""
    match operation:
        case "TransactWriteItems":
            writes = [next(iter(item.values())) for item in given["TransactItems"]]
            return ", ".join(
                "/".join((write.get("Key") or write["Item"])[k] for k in ("pk", "sk"))
                for write in writes
            )
        case "BatchGetItem":
            [asked] = given["RequestItems"].values()
            return ", ".join(f"{key['pk']}/{key['sk']}" for key in asked["Keys"])
    if key := given.get("Item") or given.get("Key"):
        return f"{key['pk']}/{key['sk']}" if isinstance(key, Mapping) else str(key)
    values = given.get("ExpressionAttributeValues", {})
    return str(given.get("SecretId") or given.get("executionArn") or values.get(":pk", ""))


def _get_without_a_lock(prop: Any, instance: Any, owner: type | None = None) -> Any:
    """Compute a cached property as Python 3.12 does.

    Up to 3.11 a lock is held meanwhile, which all instances share: two invocations never do.
    """
    if instance is None:
        return prop
    if prop.attrname not in vars(instance):
        vars(instance)[prop.attrname] = prop.func(instance)
    return vars(instance)[prop.attrname]


_compiled: dict[int, tuple[Any, Any]] = {}


def _validate(definition: Any, data: Any, **options: Any) -> Any:
    """Compile each schema of the application once; the original does so for each document."""
    if id(definition) not in _compiled:
        _compiled[id(definition)] = definition, fastjsonschema.compile(definition, **options)
    return _compiled[id(definition)][1](data)


@contextmanager
def opened(**parameters: str) -> Iterator[World]:
    """A world whose stack has these environment variables, besides the usual ones."""
    with (
        pytest.MonkeyPatch.context() as patch,
        time_machine.travel(START, tick=False) as traveller,
    ):
        portal = PortalSimulator(users=12)
        environment = {**Stack.environment(portal.url), "MAX_PERCENT": "100", **parameters}
        for name, value in environment.items():
            patch.setenv(name, value)
        world: World

        def aws_call(client: BaseClient, operation: str, given: dict[str, Any]) -> Any:
            return world.aws_call(client, operation, given)

        def portal_call(
            adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any
        ) -> requests.Response:
            return world.portal_call(request)

        def adapters() -> Adapters:
            assert world.performer, "a function is invoked by a performer"
            return world.performer.adapters

        patch.setattr(BaseClient, "_make_api_call", aws_call)
        patch.setattr(HTTPAdapter, "send", portal_call)
        patch.setattr(boto3, "client", cache(boto3.client))
        patch.setattr(boto3, "resource", cache(boto3.resource))
        patch.setattr(cached_property, "__get__", _get_without_a_lock)
        patch.setattr("bulk_user_deletion.steps.report_run.report_page", lambda *args: "")
        patch.setattr(fastjsonschema, "validate", _validate)
        patch.setattr(metrics, "add_metric", lambda **metric: None)
        for function in FUNCTIONS:
            patch.setattr(f"functions.{function}.app.adapters", adapters)
        level = logger.log_level
        logger.setLevel("CRITICAL")
        world = World.__new__(World)
        try:
            World.__init__(world, portal, traveller, environment)
            yield world
        finally:
            logger.setLevel(level)
            portal.database.close()
