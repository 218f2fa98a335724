"""Settings for all tests.

Property-based tests use the same examples on every machine, however slow it is.
"""

import os
from collections.abc import Iterator
from unittest import mock

import boto3
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


def pytest_xdist_auto_num_workers() -> int:
    """Three workers for two cores: many tests wait for the emulator more than they work."""
    cores = os.cpu_count() or 1
    return cores + cores // 2


@pytest.fixture(autouse=True)
def surroundings() -> Iterator[None]:
    """Restore the environment: `local` points it at an emulator that ends with the test."""
    with mock.patch.dict(os.environ), mock.patch.object(boto3, "DEFAULT_SESSION", None):
        yield
