"""The stack in moto, with the state machine interpreted and its functions served."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from local.portal import PortalSimulator
from tests.functions.stack import Stack
from tests.second_engine.engine import Functions, SecondEngine


@pytest.fixture
def portal() -> Iterator[PortalSimulator]:
    """A portal of 40 users that deletes at once."""
    with PortalSimulator(users=40) as portal:
        yield portal


@pytest.fixture
def engine(portal: PortalSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecondEngine]:
    """The definition on the second engine."""
    for name, value in Stack.environment(portal.url).items():
        monkeypatch.setenv(name, value)
    functions = Functions()
    with functions.served() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", address)
        config = {
            "stepfunctions": {"execute_state_machine": True},
            "core": {
                "mock_credentials": True,
                "passthrough": {"urls": [address], "services": []},
                "reset_boto3_session": True,
                "service_whitelist": None,
            },
        }
        with mock_aws(config=config):  # type: ignore[call-overload]
            yield SecondEngine(Stack(portal), functions, monkeypatch)
