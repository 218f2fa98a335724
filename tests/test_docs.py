"""The documents claim nothing that no test shows."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import click
import pytest

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.users import Outcome, UserState
from bulk_user_deletion.rules import prices
from bulk_user_deletion.rules.answers import RULES, Verdict
from bulk_user_deletion.rules.deletion import MAX_ATTEMPTS, MAX_TRIES, retry_wait
from bulk_user_deletion.rules.estimate import estimate
from bulk_user_deletion.rules.switching import MAX_PUTS, SETTLE_SECONDS, settle_wait
from bulk_user_deletion.rules.windows import ALWAYS
from bulk_user_deletion.steps.refresh_token import MAX_RENEWALS
from bulk_user_deletion_cli.main import main as operator
from local.__main__ import main as local
from tests.builders import a_row

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
def test_every_test_that_a_document_names_exists(path: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", path.read_text(encoding="utf-8")))

    assert named <= DEFINED


def test_every_known_accident_names_its_test() -> None:
    text = (PROJECT / "docs/safety.md").read_text(encoding="utf-8")
    table, _, lies = text.partition("## The lies that tests tell")
    header = "| accident | what happens here | shown by |"
    rows = [line for line in table.splitlines() if line.startswith("| ") and line != header]

    assert table.count(header) == 3
    assert len(rows) > 60
    assert lies
    for row in rows:
        assert re.search(r"\| `test_\w+` \|$", row), row


def test_the_table_of_faults_is_the_one_in_the_code() -> None:
    text = (PROJECT / "docs/faults.md").read_text(encoding="utf-8")

    rows = [
        f"| {rule.answer} | {rule.token} | {rule.read} | {rule.look} | {rule.delete} | {rule.put} |"
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
    assert f"After a PUT: after {_and(_waits_after_a_put())} s" in text
    assert f"up to three in all, each with {SETTLE_SECONDS} s of its own" in text
    assert MAX_PUTS == 3


def _waits_after_a_put() -> list[int | None]:
    row = a_row(UserState.SETTLING, attempts=1)
    waits: list[int | None] = []
    while wait := settle_wait(row):
        waits.append(wait)
        row = replace(row, looks=row.looks + 1, waited=row.waited + wait)
    return waits


def test_the_rules_name_every_outcome() -> None:
    text = (PROJECT / "docs/rules.md").read_text(encoding="utf-8")
    table = text.partition("## Outcomes")[2]

    for outcome in Outcome:
        assert f"`{outcome}`" in table


def test_the_concepts_know_every_state_of_a_leaver() -> None:
    text = (PROJECT / "docs/concepts.md").read_text(encoding="utf-8")
    diagram = text.partition("## The life of a leaver")[2]

    for state in LeaverState:
        assert re.search(rf"^  (\w+|\[\*\]) --> {state.title()}: ", diagram, re.MULTILINE)


def _and(numbers: list[int | None]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


# Links, and commands

DOCUMENTS = [
    path
    for pattern in ("*.md", "docs/**/*.md", "events/*.md")
    for path in sorted(PROJECT.glob(pattern))
]
EVERY_DOCUMENT = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT))
)


def _anchor(heading: str) -> str:
    """As GitHub makes them."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@EVERY_DOCUMENT
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(_anchor, headings), link


def test_every_document_is_reached_from_the_readme() -> None:
    reached, frontier = set[Path](), {PROJECT / "README.md"}
    while frontier:
        reached |= frontier
        frontier = {
            (path.parent / link).resolve()
            for path in frontier
            if path.suffix == ".md"
            for link in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
            if not link.startswith("https://")
        } - reached

    documents = {path for path in DOCUMENTS if path.parent != PROJECT}
    assert documents <= reached
    images = set((PROJECT / "docs" / "images").iterdir())
    assert images <= reached


def _commands(path: Path) -> list[str]:
    """The lines of a document that a reader would type."""
    text = re.sub(r"\\\n\s+", "", path.read_text(encoding="utf-8"))
    blocks = re.findall(r"^(?: {4,7})(\S.*)$", text, re.MULTILINE)
    first = ("bulk-user-deletion ", "make ", "python -m local", ".venv/bin/python -m local", "aws ")
    inline = re.findall(r"`(bulk-user-deletion [^`]+)`", text)
    return [line for line in [*blocks, *inline] if line.startswith(first)]


@EVERY_DOCUMENT
def test_every_command_exists(path: Path, tmp_path: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for line in _commands(path):
        words = shlex.split(line, comments=True)
        match words:
            case ["make", target, *_]:
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), line
            case ["bulk-user-deletion", *arguments]:
                _parse(operator, arguments, tmp_path)
            case [_, "-m", "local", *arguments]:
                _parse(local, arguments, tmp_path)
            case ["aws", *arguments]:
                for event in re.findall(r"file://([^/\s]\S*)", " ".join(arguments)):
                    assert (PROJECT / event).is_file(), line


def _parse(group: click.Group, arguments: list[str], folder: Path) -> None:
    """Parse a command without running it."""
    for file in ("leavers.csv", "people.csv"):
        (folder / file).touch()
    given = [
        str(folder / word)
        if word in {"leavers.csv", "people.csv"}
        else {"ID": "42", "N": "25"}.get(word, word).replace("events/", f"{PROJECT}/events/")
        for word in arguments
    ]
    context = group.make_context("group", given)
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    assert command is not None, arguments
    command.make_context(name, rest, parent=context)


def test_the_page_on_cost_has_the_models_figures() -> None:
    text = (PROJECT / "docs/cost.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| (\d+) \| (\d+) min \| ([\d.]+) \|$", text, re.MULTILINE)

    assert [row[0] for row in rows] == ["1", "100", "1000"]
    for users, minutes, usd in rows:
        modelled = estimate(
            int(users),
            action=Action.DELETE,
            wait_seconds=60,
            concurrency=1,
            seconds_per_delete=60,
            windows=ALWAYS,
            now=0,
        )
        assert int(minutes) * 60 == modelled.seconds
        assert float(usd) == round(modelled.usd, len(usd.partition(".")[2]))

    both = re.findall(r"^\| (\d+) \| (\d+) min \| (\d+) min \| ([\d.]+) \|$", text, re.MULTILINE)
    assert [row[0] for row in both] == ["100", "1000"]
    for users, disabling, deleting, usd in both:
        first, later = (
            estimate(
                int(users),
                action=action,
                wait_seconds=wait,
                concurrency=1,
                seconds_per_delete=60,
                windows=ALWAYS,
                now=0,
            )
            for action, wait in ((Action.DISABLE_THEN_DELETE, 0), (Action.DELETE_DUE, 60))
        )
        assert int(disabling) == first.seconds // 60
        assert int(deleting) == later.seconds // 60
        assert float(usd) == round(first.usd, len(usd.partition(".")[2]))


def test_a_month_of_a_mid_sized_company_is_the_sum_of_list_prices_and_the_model() -> None:
    text = (PROJECT / "docs/cost.md").read_text(encoding="utf-8")
    template = (PROJECT / "template.yaml").read_text(encoding="utf-8")
    table = text.partition("## A month of a mid-sized company")[2].partition("\n## ")[0]
    leavers = estimate(
        150,
        action=Action.DISABLE_THEN_DELETE,
        wait_seconds=60,
        concurrency=1,
        seconds_per_delete=60,
        windows=ALWAYS,
        now=0,
    )
    modelled = [
        template.count("Type: AWS::SecretsManager::Secret\n") * prices.SECRET_MONTH,
        prices.KMS_KEY_MONTH,
        template.count("Type: AWS::CloudWatch::Alarm\n") * prices.ALARM_MONTH,
        template.count("Type: AWS::CloudWatch::Dashboard\n") * prices.DASHBOARD_MONTH,
        leavers.usd,
        0.1 * (prices.S3_GB_MONTH + prices.LEDGER_GB_MONTH),
    ]

    rows = re.findall(r"^\| [^|]+ \| \**([\d.]+)\** \|$", table, re.MULTILINE)
    rounded = [round(usd, 2) for usd in modelled]
    assert [float(usd) for usd in rows] == [*rounded, round(sum(rounded), 2)]
