"""Each function is allowed what it does, and uses everything it is allowed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from botocore.exceptions import ClientError

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.errors import (
    CredentialsRefused,
    PortalAnswerUnusable,
    RequestRefused,
    RunClosed,
)
from local.portal import Fault, Knobs, PortalSimulator
from tests.definition.loading import RESOURCES, statements
from tests.functions.permissions import Used, acting_as
from tests.functions.stack import Stack

ROLES = {
    name.replace("Function", "Role")
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}


@pytest.fixture
def dynamodb() -> None:
    """moto's DynamoDB, so that every function makes each kind of its calls to that too."""


def drop(stack: Stack, key: str, body: bytes) -> dict[str, object]:
    """A request for a dropped file, of one version."""
    version = stack.s3.put_object(Bucket="data", Key=key, Body=body)["VersionId"]
    return {"s3": {"bucket": "data", "key": key, "version_id": version}}


def test_whatever_is_allowed_is_used_and_whatever_is_used_is_allowed(
    stack: Stack, portal: PortalSimulator, used: Used, set_parameter: Callable[[str, str], None]
) -> None:
    set_parameter("OBJECT_LOCK_DAYS", "30")
    # A file that is deleted before it is read.
    missing = {"s3": {"bucket": "data", "key": "inbox/gone.csv"}}
    with pytest.raises(RequestRefused):
        stack.fetch_user_ids({"mode": "apply", "source": missing}, "run-0")
    with pytest.raises(RunClosed):
        stack.next_batch(run_id="run-0")
    stack.report_run("run-0", failure={"Error": "RequestRefused", "Cause": "{}"})
    # The first user goes, the second one too late to be seen, and so the third is not started.
    set_parameter("CANARY_USERS", "2")
    source = drop(stack, "inbox/leavers.csv", b"user_id\n110\n111\n112\n")
    stack.fetch_user_ids({"mode": "apply", "source": source}, "run-1")
    first = stack.next_batch(0)
    adapters.cache_clear()  # on AWS no function has what another one has read
    stack.delete_until_finished(110, first["key"])
    portal.database.execute("DELETE FROM user WHERE user_id = 130")
    adapters.cache_clear()
    stack.check_losses({"number": 1, "is_canary": False})
    stack.s3.delete_object(Bucket="data", Key="runs/run-1/users-before.json")
    stack.check_losses({"number": 2, "is_canary": False})
    adapters.cache_clear()
    second = stack.next_batch(1)
    portal.knobs = Knobs(delete_mode="ignored")
    stack.delete_until_finished(111, second["key"])
    assert stack.next_batch(2)["users"] == 0
    portal.database.execute("DELETE FROM user WHERE user_id = 111")
    # Everything is stopped, the run is closed and reported; then it is resumed.
    stack.fetch_user_ids({"stop": {"reason": "a test", "by": "somebody"}}, "run-2")
    stack.fetch_user_ids({"close": "run-1"}, "run-3")
    adapters.cache_clear()
    stack.report_run()
    stack.fetch_user_ids({"lift": {"reason": "a test", "by": "somebody"}}, "run-4")
    stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "run-5")
    third = stack.next_batch()
    set_parameter("PROTECTED_LIST", "gone.csv")
    with pytest.raises(RequestRefused):
        stack.delete_user(112, third["key"])
    leave(stack, set_parameter)
    # Somebody is back, and gone again.
    portal.add(user_id=110, username="somebody")
    assert "110" in stack.fetch_user_ids({"check": "population"}, "watch-1")["nothing_because"]
    portal.remove(110)
    said = stack.fetch_user_ids({"check": "population"}, "watch-2")["nothing_because"]
    assert said.startswith("Nobody is back")
    # And a token that the portal no longer renews.
    stack.fill_credentials(application_key="wrong")
    portal.expire_tokens()
    with pytest.raises(CredentialsRefused):
        stack.report_run()

    allowed = {
        (statement.owner, action)
        for statement in statements()
        if statement.owner in ROLES and statement.sid not in {"Trust", "UseKeyForTopic"}
        for action in statement.actions
    }
    assert allowed - used == set()
    assert used <= allowed


def leave(stack: Stack, set_parameter: Callable[[str, str], None]) -> None:
    """Disable users, whom the portal refuses or shows oddly; delete them when they are due."""
    set_parameter("PROTECTED_LIST", "")
    set_parameter("CANARY_USERS", "0")
    set_parameter("LEAVER_ACTION", "disable_then_delete")
    for user_id in (120, 121, 122, 123):
        stack.portal.edit(user_id, enabled="Y", ldap="N")
    stack.plan(["120", "121", "122", "123"], "leave")
    key = stack.next_batch(run_id="leave")["key"]
    adapters.cache_clear()
    stack.portal.faults.script(Fault.FORBIDDEN, method="PUT", user_id=123)
    stack.change_until_finished("switch_user", 123, key, "leave")
    stack.portal.faults.script(Fault.BUSY_503, method="PUT", user_id=120)
    stack.portal.faults.script(Fault.TOO_MANY_REQUESTS, method="PUT", user_id=121)
    stack.change_until_finished("switch_user", 120, key, "leave")
    stack.change_until_finished("switch_user", 121, key, "leave")
    stack.portal.faults.script(Fault.REDIRECT, method="GET", user_id=122, nth=2)
    with pytest.raises(PortalAnswerUnusable):  # which stops the run
        stack.change_user("switch_user", 122, key, tries=1, run_id="leave")
    set_parameter("PROTECTED_LIST", "gone.csv")
    with pytest.raises(RequestRefused):
        stack.change_user("switch_user", 122, key, tries=1, run_id="leave")
    set_parameter("PROTECTED_LIST", "")
    stack.report_run("leave")
    with time_machine.travel(datetime.now(UTC) + timedelta(days=31), tick=True):
        stack.fetch_user_ids({"mode": "apply", "source": {"due": True}}, "due")
        stack.work_off("due")
        stack.report_run("due")


@pytest.mark.parametrize(
    "function",
    ["delete_user", "switch_user", "check_losses", "report_run", "fetch_user_ids", "next_batch"],
)
def test_no_other_function_reads_the_application_key(stack: Stack, function: str) -> None:
    with acting_as(function), pytest.raises(ClientError, match="AccessDenied"):
        stack.secrets.get_secret_value(SecretId="credentials")


OTHERS = ["delete_user", "switch_user", "check_losses", "next_batch", "refresh_token"]


@pytest.mark.parametrize("function", [*OTHERS, "report_run"])
@pytest.mark.parametrize(
    "pk", ["run#run-1", "intent", "switch", "leaver", "deleted#abc", "event#abc", "stop"]
)
def test_nobody_deletes_a_row_that_proves_something(stack: Stack, function: str, pk: str) -> None:
    if (function, pk) == ("report_run", "deleted#abc"):
        return  # it withdraws a deletion that the portal contradicts before the run is closed
    with acting_as(function), pytest.raises(ClientError, match="AccessDenied"):
        stack.table.delete_item(Key={"pk": pk, "sk": "user#110"})


@pytest.mark.parametrize("function", [*OTHERS, "report_run"])
def test_only_fetch_user_ids_writes_a_new_run(stack: Stack, function: str) -> None:
    with acting_as(function), pytest.raises(ClientError, match="AccessDenied"):
        stack.table.put_item(Item={"pk": "run#run-1", "sk": "run"})


@pytest.mark.parametrize("function", OTHERS)
def test_a_report_is_written_by_report_run_alone(stack: Stack, function: str) -> None:
    with acting_as(function), pytest.raises(ClientError, match="AccessDenied"):
        stack.s3.put_object(Bucket="data", Key="runs/run-1/report.json", Body=b"{}")
