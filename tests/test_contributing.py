"""What contributors rely on: the map, the checks before a commit, the updates."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[1]
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
FORMS = sorted(PROJECT.glob(".github/ISSUE_TEMPLATE/*.yml"))


def recipe(target: str) -> set[str]:
    """The commands of a target of make."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert found, target
    return {line.strip().replace("$(BIN)", ".venv/bin") for line in found[1].splitlines()}


def loaded(path: str) -> Any:
    return yaml.safe_load((PROJECT / path).read_text(encoding="utf-8"))


def test_the_checks_before_a_commit_are_those_of_the_gate() -> None:
    [local] = loaded(".pre-commit-config.yaml")["repos"]

    assert local["repo"] == "local"
    assert {hook["entry"] for hook in local["hooks"]} == recipe("lint") | recipe("type")
    for hook in local["hooks"]:
        assert hook["language"] == "system"  # nothing is fetched
        assert hook["pass_filenames"] is False


def test_updates_are_proposed_for_every_lock_and_for_the_actions() -> None:
    updates = {
        update["package-ecosystem"]: update
        for update in loaded(".github/dependabot.yml")["updates"]
    }
    locks = {*PROJECT.glob("requirements/*.txt"), *PROJECT.glob("layers/*/requirements.txt")}

    assert {f"/{lock.parent.relative_to(PROJECT)}" for lock in locks} == set(
        updates["pip"]["directories"]
    )
    assert updates["github-actions"]["directory"] == "/"
    assert "registries" not in loaded(".github/dependabot.yml")


def test_a_report_of_a_bug_asks_for_no_personal_data_and_sends_weaknesses_elsewhere() -> None:
    form = loaded(".github/ISSUE_TEMPLATE/bug.yml")
    text = " ".join(item["attributes"].get("value", "") for item in form["body"])

    assert "no usernames, e-mail addresses, tokens or keys" in text
    assert "SECURITY.md" in text
    assert (PROJECT / "SECURITY.md").is_file()
    assert loaded(".github/ISSUE_TEMPLATE/config.yml") == {"blank_issues_enabled": False}


@pytest.mark.parametrize(
    "path", [form for form in FORMS if form.stem != "config"], ids=lambda path: path.stem
)
def test_every_field_of_a_form_can_be_filled_in(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    fields = [item for item in form["body"] if item["type"] != "markdown"]

    assert form["name"]
    assert form["description"]
    assert len({item["id"] for item in fields}) == len(fields) > 0
    assert all(item["attributes"]["label"] for item in fields)


def test_every_path_that_contributing_names_exists() -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    layer = "layers/shared/bulk_user_deletion/"

    for named in re.findall(r"`([\w….-]+/[\w./*-]*)`", text):
        path = named.replace("…/", layer).rstrip("/")
        assert list(PROJECT.glob(path)) or list(PROJECT.glob(f"{path}.py")), named


def test_what_is_measured_and_what_is_left_out_is_said() -> None:
    coverage = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "coverage"
    ]

    assert coverage["run"]["branch"] is True
    for source in coverage["run"]["source"]:
        assert (PROJECT / source).is_dir(), source
    assert "--cov" in shlex.split(" ".join(recipe("coverage")))
