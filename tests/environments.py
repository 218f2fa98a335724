"""Programs of the other virtual environments, which some tests run."""

from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


def program(environment: str, name: str) -> Path:
    """Return the path of a program in a virtual environment; fail with advice if it is missing."""
    path = PROJECT / environment / "bin" / name
    if not path.exists():
        pytest.fail(
            f"This test runs {name} of {environment}, which is not there: "
            f"install it with `make {environment}/installed`.",
            pytrace=False,
        )
    return path
