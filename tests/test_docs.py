"""The documents claim nothing that no test shows."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
DEFINED = {
    name
    for path in PROJECT.glob("tests/**/test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}


@pytest.mark.parametrize(
    "path", sorted(PROJECT.glob("docs/**/*.md")), ids=lambda path: str(path.relative_to(PROJECT))
)
def test_every_test_that_a_document_names_is_there(path: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", path.read_text(encoding="utf-8")))

    assert named <= DEFINED


def test_every_known_accident_names_its_test() -> None:
    text = (PROJECT / "docs/safety.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]

    assert rows
    for row in rows:
        assert re.search(r"\| `test_\w+` \|$", row), row
