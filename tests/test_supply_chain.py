"""What is installed, built and run by machines is locked; exceptions are explained."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[1]
LOCKS = [PROJECT / "layers/shared/requirements.txt", *PROJECT.glob("requirements/*.txt")]
WORKFLOWS = sorted(PROJECT.glob(".github/workflows/*.yml"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_everything_is_locked_with_hashes_and_names_no_registry(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")

    for line in filter(None, text.splitlines()):
        assert re.match(r"[A-Za-z0-9._-]+==[^ ]+ .*--hash=sha256:[0-9a-f]{64}", line), line
    assert "://" not in text


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_pins_its_actions_by_commit_and_may_only_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    workflow: dict[str, Any] = yaml.safe_load(text)

    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r"  # v\d+\.\d+\.\d+", comment), action
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        for step in job["steps"]:
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_every_check_of_the_template_that_is_not_followed_says_why() -> None:
    template = (PROJECT / "template.yaml").read_text(encoding="utf-8")
    skips = re.findall(r"# checkov:skip=(\w+):(.*)", template)

    assert skips
    for check, reason in skips:
        assert len(reason.split()) >= 4, check
