"""The documents claim nothing that no test shows."""

import re
from pathlib import Path

import pytest

from bulk_user_deletion.rules.answers import RULES, Verdict
from bulk_user_deletion.rules.deletion import MAX_ATTEMPTS, MAX_TRIES, retry_wait
from bulk_user_deletion.steps.refresh_token import MAX_RENEWALS

PROJECT = Path(__file__).parents[1]
DEFINED = {
    name
    for path in PROJECT.glob("tests/**/test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}


@pytest.mark.parametrize(
    "path",
    [*sorted(PROJECT.glob("docs/**/*.md")), PROJECT / "SECURITY.md"],
    ids=lambda path: str(path.relative_to(PROJECT)),
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


def test_the_table_of_faults_is_the_one_in_the_code() -> None:
    text = (PROJECT / "docs/faults.md").read_text(encoding="utf-8")

    rows = [
        f"| {rule.answer} | {rule.token} | {rule.read} | {rule.look} | {rule.delete} |"
        for rule in RULES
    ]

    assert "\n".join(rows) in text
    for verdict in Verdict:
        assert f"`{verdict}`" in text
    refusals = [retry_wait(attempts, None) for attempts in range(1, MAX_ATTEMPTS)]
    looks = [retry_wait(tries, None) for tries in range(MAX_TRIES - 1)]
    assert f"a DELETE after {_and(refusals)} s" in text
    assert f"a look after {_and(looks)} s" in text
    assert (MAX_ATTEMPTS, MAX_TRIES, MAX_RENEWALS) == (5, 6, 5)  # as the text says in words


def _and(numbers: list[int | None]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
