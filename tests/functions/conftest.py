"""The six functions on in-process AWS, against a simulated portal over real HTTP.

AWS is moto, except for the ledger's table: that one is in memory.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws
from urllib3.util.retry import Retry

from bulk_user_deletion.adapters import adapters
from local.portal import PortalSimulator
from tests.functions.memory_table import keep_in_memory
from tests.functions.permissions import Used, enforced
from tests.functions.stack import Stack

_client, _resource = cache(boto3.client), cache(boto3.resource)


@pytest.fixture(autouse=True)
def kept_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Create each client once: it reads a megabyte of JSON, and holds none of moto's state.

    It keeps the credentials that it finds, whichever test creates it.
    """
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setattr(boto3, "client", _client)
    monkeypatch.setattr(boto3, "resource", _resource)


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the portal client retry a GET at once; the number of retries is unchanged."""
    monkeypatch.setattr(Retry, "get_backoff_time", lambda _: 0)


@pytest.fixture
def portal() -> Iterator[PortalSimulator]:
    """A portal of 40 users that deletes at once."""
    with PortalSimulator(users=40) as portal:
        yield portal


@pytest.fixture
def used() -> Used:
    """Every role and action that the functions have been allowed so far."""
    return set()


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB in memory; a module that wants moto's has a fixture of this name that does nothing.

    Most of the time of these tests would be moto's DynamoDB.
    """
    keep_in_memory(monkeypatch)


@pytest.fixture
def stack(
    portal: PortalSimulator, monkeypatch: pytest.MonkeyPatch, used: Used, dynamodb: None
) -> Iterator[Stack]:
    """The stack's resources in process, its secrets filled, its functions ready to be invoked."""
    with ExitStack() as resources:
        for name, value in Stack.environment(portal.url).items():
            monkeypatch.setenv(name, value)
        call = vars(BaseClient)["_make_api_call"]
        monkeypatch.setattr(BaseClient, "_make_api_call", enforced(call, used))
        resources.enter_context(mock_aws())
        yield Stack(portal)


@pytest.fixture
def set_parameter(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Update the stack with another value of a variable that the template sets."""

    def update(variable: str, value: str) -> None:
        monkeypatch.setenv(variable, value)
        adapters.cache_clear()

    return update


@pytest.fixture
def impatient(set_parameter: Callable[[str, str], None]) -> None:
    """Let the portal client time out after a second, where a test lets the portal hang."""
    set_parameter("READ_TIMEOUT_SECONDS", "1")
