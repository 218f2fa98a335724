"""The state machine's steps, with the functions called directly: fast enough for many bad days.

It is the definition's order of steps, Retry and Catch, in a few lines of Python. The tests that run
the definition on an engine show that the definition itself is correct.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from bulk_user_deletion.errors import PortalUnavailable, StoreUnavailable
from bulk_user_deletion.portal import Portal
from tests.definition.loading import definition, states
from tests.functions.stack import Stack

_TRIES = 6
_MOST_WAITS = 200
_RESUME_AT_NEXT_WINDOW = states(definition())["ResumeAtNextWindow"]


def _continuing(run_id: str) -> dict[str, Any]:
    """The request of the execution that the definition starts for a paused run."""
    request: dict[str, Any] = dict(_RESUME_AT_NEXT_WINDOW["Parameters"]["Input"])
    request["resume"] = {"$.run.run_id": run_id}[request.pop("resume.$")]
    return request


class KilledError(BaseException):
    """The function was killed in the middle of its work."""


class AbortedError(BaseException):
    """The execution was aborted, and the function that it was waiting for killed."""


def refusing() -> ClientError:
    """What boto3 raises when a service throttles."""
    error = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
    return ClientError(error, "AnyOperation")  # type: ignore[arg-type]


@dataclass
class Trouble:
    """What happens at the `nth` call (from 0) that a function makes to AWS or to the portal.

    `strike` is raised before or after the call takes effect. `calls` counts them.
    """

    nth: int = -1
    after: bool = False
    strike: Callable[[], BaseException] = KilledError
    calls: int = 0
    inside: bool = False

    @contextmanager
    def may_strike(self) -> Iterator[None]:
        """Let it strike any call to the outside that is made in this context."""
        with pytest.MonkeyPatch.context() as patch:
            calls: list[tuple[type[Any], str]] = [(BaseClient, "_make_api_call")]
            if self.strike is not refusing:
                calls.append((Portal, "_send"))
            for owner, name in calls:
                patch.setattr(owner, name, self._wrapped(getattr(owner, name)))
            yield

    def _wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def struck(*args: Any, **kwargs: Any) -> Any:
            if not self.inside:
                return call(*args, **kwargs)
            number, self.calls = self.calls, self.calls + 1
            if number == self.nth and not self.after:
                self.happen()
            result = call(*args, **kwargs)
            if number == self.nth and self.after:
                self.happen()
            return result

        return struck

    def happen(self) -> None:
        """Do to the call, or during it, what this trouble does."""
        raise self.strike()


@dataclass
class Machine:
    """Executions over a stack, one at a time. `wait` is a Wait state of so many seconds."""

    stack: Stack
    trouble: Trouble = field(default_factory=Trouble)
    wait: Callable[[int], None] = lambda seconds: None
    continuations: dict[str, dict[str, Any]] = field(default_factory=dict)  # requests, by name

    def execute(self, request: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Run an execution to its end; return its output.

        Raises:
            AbortedError: the trouble was an abort.
        """
        run_id, failure = name, None
        try:
            for _ in range(_MOST_WAITS):
                planned = self._step(lambda: self.stack.fetch_user_ids(request, name))
                if planned["next_step"] != "wait":
                    break
                # For content under the key of an empty drop, or for a change window.
                self.wait(planned["wait_seconds"])
            assert planned["next_step"] != "wait", "nobody else is there to wait for"
            run_id = planned["run_id"]
            if planned["next_step"] == "nothing":
                return planned
            if planned["next_step"] == "apply":
                self._hand_out(run_id)
        except Exception as error:  # noqa: BLE001 -- as Catch does with States.ALL
            failure = {
                "Error": type(error).__name__,
                "Cause": json.dumps({"errorMessage": str(error)}),
            }
        doubted = False
        while True:
            said = self._step(
                lambda: self.stack.report_run(run_id, failure, list_doubted=doubted)  # noqa: B023
            )
            if not said["wait_seconds"]:
                return said
            self.wait(said["wait_seconds"])
            doubted = said["list_doubted"]

    def _hand_out(self, run_id: str) -> None:
        number = 0
        while True:
            batch = self._step(lambda: self.stack.next_batch(number, run_id))  # noqa: B023
            if batch["check_losses"]:
                self._step(lambda: self.stack.check_losses(batch, run_id))  # noqa: B023
                continue
            if batch["resumed_by"]:
                self.continuations[batch["resumed_by"]] = _continuing(run_id)
            if not batch["users"]:
                return
            number = batch["number"]
            function = "switch_user" if batch["switches"] else "delete_user"
            for user in self.stack.read_json(batch["key"]):
                self._change(function, user["user_id"], batch["key"], run_id)

    def _change(self, function: str, user_id: str, batch_key: str, run_id: str) -> None:
        tries = 0
        try:
            while True:
                progress = self._step(
                    lambda: self.stack.change_user(
                        function,
                        user_id,
                        batch_key,
                        tries=tries,  # noqa: B023
                        run_id=run_id,
                    )
                )
                self.wait(progress["wait_seconds"])
                if progress["finished"]:
                    return
                tries = progress["tries"]
        except Exception:  # noqa: BLE001 -- LeftToTheReport
            return

    def _step(self, invoke: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        for left in reversed(range(_TRIES)):
            self.trouble.inside = True
            try:
                return invoke()
            except KilledError:
                if not left:
                    raise RuntimeError("Runtime.ExitError") from None
            except (StoreUnavailable, PortalUnavailable):
                if not left:
                    raise
            finally:
                self.trouble.inside = False
        raise AssertionError("unreachable")
