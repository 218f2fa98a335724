"""What people read: prose wraps and commands do not, pipes get tabs, commands name their stack."""

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bulk_user_deletion_cli.target import Target, with_options
from bulk_user_deletion_cli.terminal import breaks, print_rows, say, shown, tab_separated

RUN = "run-20261124T115050-824949"
COMMANDS = [
    f"bulk-user-deletion status {RUN} --watch",
    f"bulk-user-deletion --stack-name nightly stop {RUN} --reason WHY",
    "aws secretsmanager restore-secret --secret-id arn:aws:secretsmanager:eu-west-1:1:secret:x",
]
words = st.text("abcdefgh,;", min_size=1, max_size=12)
prose = st.lists(words, min_size=1, max_size=20).map(" ".join)


@given(prose, st.sampled_from(COMMANDS), prose, st.integers(20, 120), st.integers(0, 8))
def test_prose_wraps_at_the_width_and_commands_stay_whole(
    before: str, command: str, after: str, width: int, indent: int
) -> None:
    text = f"{before}: {command}. Then {after} {before}."
    positions = [0, *breaks(text, width, indent), len(text)]
    lines = [text[start:end] for start, end in pairwise(positions)]

    assert "".join(lines) == text
    [whole] = [line for line in lines if command in line]
    for number, line in enumerate(lines):
        room = width - (indent if number else 0)
        alone = max((len(word) for word in line.split()), default=0)
        assert len(line.rstrip()) <= max(room, alone, len(command) + 1 if line is whole else 0)


def test_a_terminal_gets_lines_of_its_width_and_a_pipe_gets_one_line() -> None:
    text = f"The run continues without this terminal. Watch it again: {COMMANDS[0]}"
    terminal, pipe = io.StringIO(), io.StringIO()

    say(Console(file=terminal, width=60, force_terminal=True, color_system=None), text)
    say(Console(file=pipe, width=60), text)

    assert terminal.getvalue().splitlines() == [
        "The run continues without this terminal. Watch it again:",
        COMMANDS[0],
    ]
    assert pipe.getvalue().splitlines() == [text]


def test_what_others_wrote_is_no_markup() -> None:
    text = io.StringIO()

    say(Console(file=text, width=60, force_terminal=True, color_system=None), shown("[red]no[/]"))

    assert text.getvalue() == "[red]no[/]\n"


cells = st.lists(st.text(max_size=20), min_size=2, max_size=2)


@given(st.lists(cells, max_size=5))
def test_each_row_is_one_line_and_each_cell_between_tabs_whatever_is_in_it(
    rows: list[list[str]],
) -> None:
    text = io.StringIO()

    print_rows(Console(file=text, width=20), ("one", "two"), rows)

    lines = text.getvalue().split("\n")[:-1]
    assert lines == list(tab_separated(("one", "two"), rows))
    assert len(lines) == len(rows) + 1
    assert {line.count("\t") for line in lines} == {1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See: bulk-user-deletion runs", "See: bulk-user-deletion --region x runs"),
        ("`bulk-user-deletion runs`, yes", "`bulk-user-deletion --region x runs`, yes"),
        ("bulk-user-deletion --region x runs", "bulk-user-deletion --region x runs"),
        ("There is no stack bulk-user-deletion in", "There is no stack bulk-user-deletion in"),
        ("bulk-user-deletion-dev runs", "bulk-user-deletion-dev runs"),
        ("bulk-user-deletion runsaway", "bulk-user-deletion runsaway"),
        ("Do: aws sns publish --topic-arn x", "Do: aws --region x sns publish --topic-arn x"),
        ("aws --region x sns publish --a", "aws --region x sns publish --a"),
        ("aws configure list-profiles", "aws configure list-profiles"),
    ],
)
def test_only_commands_get_the_options(text: str, expected: str) -> None:
    assert with_options(text, {"runs"}, ours=" --region x", of_aws=" --region x") == expected


@given(st.text(max_size=50), st.sampled_from(["", " --region x", " --stack-name 'a b'"]))
def test_naming_the_stack_twice_changes_nothing(text: str, options: str) -> None:
    said = f"{text} bulk-user-deletion end-quiet --reason WHY"
    once = with_options(said, {"end-quiet", "runs"}, ours=options, of_aws=options)

    assert with_options(once, {"end-quiet", "runs"}, ours=options, of_aws=options) == once
    assert f"bulk-user-deletion{options} end-quiet --reason WHY" in once


def test_a_target_is_quoted_for_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BULK_USER_DELETION_STACK", raising=False)

    assert Target("bulk-user-deletion").options == ""
    assert Target("a b", "p", None).options == " --stack-name 'a b' --profile p"
