"""What the Makefile installs, and with which Python."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.definition.loading import TEMPLATE

PROJECT = Path(__file__).resolve().parents[2]
DEPLOYED = str(TEMPLATE["Globals"]["Function"]["Runtime"])


def python_of(machine: Path, *arguments: str) -> str:
    """The Python that make uses on a machine with only these programs."""
    environment = {"PATH": f"{machine}:{os.defpath}"}
    ended = subprocess.run(
        ["make", "--eval", "show: ; @echo $(PYTHON)", "show", *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.strip()


def program(folder: Path, name: str, *, exits: int) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\nexit {exits}\n")
    file.chmod(0o755)


def test_the_deployed_python_is_used_if_it_is_installed(tmp_path: Path) -> None:
    program(tmp_path, DEPLOYED, exits=0)

    assert python_of(tmp_path) == DEPLOYED


def test_a_python_that_does_not_run_is_ignored(tmp_path: Path) -> None:
    program(tmp_path, DEPLOYED, exits=127)

    assert python_of(tmp_path) == "python3"


def test_a_python_that_is_named_is_used(tmp_path: Path) -> None:
    program(tmp_path, DEPLOYED, exits=0)

    assert python_of(tmp_path, "PYTHON=python3.12") == "python3.12"


def test_the_workflow_tests_every_python_from_the_oldest_that_is_promised_to_the_deployed_one() -> (
    None
):
    workflow = yaml.safe_load((PROJECT / ".github/workflows/check.yml").read_text())
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    oldest = int(project["requires-python"].removeprefix(">=3."))
    deployed = int(DEPLOYED.removeprefix("python3."))

    assert tested == [f"3.{minor}" for minor in range(oldest, deployed + 1)]


@pytest.mark.parametrize("file", ["layers/shared/Makefile"])
def test_the_layer_is_built_for_the_python_that_is_deployed(file: str) -> None:
    version = DEPLOYED.removeprefix("python")

    assert f"--python-version {version}" in (PROJECT / file).read_text(encoding="utf-8")


ENVIRONMENTS = ("", "-ministack", "-sam", "-security")


@pytest.mark.parametrize(
    ("folder", "target"),
    [
        *((PROJECT, f".venv{name}/installed") for name in ENVIRONMENTS),
        (PROJECT / "layers/shared", "build-SharedLayer"),
    ],
    ids=str,
)
def test_what_is_locked_is_installed_and_nothing_newer_is_looked_for(
    folder: Path, target: str
) -> None:
    command = ["make", "--dry-run", "--always-make", target]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout

    lines = said.replace("\\\n", " ").splitlines()
    [install] = [line.split() for line in lines if "--requirement" in line]
    assert {"install", "--no-deps", "--require-hashes"} <= {*install}
