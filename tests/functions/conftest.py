"""The five functions over AWS in the process (moto), against a simulated portal over real HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from moto import mock_aws

from local.portal import PortalSimulator
from tests.functions.stack import Stack


@pytest.fixture
def portal() -> Iterator[PortalSimulator]:
    """A portal of 40 users that deletes at once."""
    with PortalSimulator(users=40) as portal:
        yield portal


@pytest.fixture
def stack(portal: PortalSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """The stack's resources in moto, its secrets filled, its functions ready to be invoked."""
    with ExitStack() as resources:
        for name, value in Stack.environment(portal.url).items():
            monkeypatch.setenv(name, value)
        resources.enter_context(mock_aws())
        yield Stack(portal)
