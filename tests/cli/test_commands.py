"""The contract of every command: its help, its exit statuses, its errors for people and scripts."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bulk_user_deletion_cli import exits
from bulk_user_deletion_cli.exits import FAILED, INTERRUPTED, REFUSED, USAGE
from bulk_user_deletion_cli.main import main
from bulk_user_deletion_cli.program import Program

PROJECT = Path(__file__).resolve().parents[2]
COMMANDS = sorted(main.commands)
EVERY_COMMAND = pytest.mark.parametrize("name", COMMANDS)
PAGE = (PROJECT / "docs" / "commands.md").read_text(encoding="utf-8")

# What each command needs to get as far as AWS.
ARGUMENTS = {
    "accept-guard": ["5", "--reason", "why"],
    "apply": ["run-1"],
    "due": [],
    "enable": ["118"],
    "end-quiet": ["--reason", "why"],
    "plan": ["run-1"],
    "preview": ["--user", "118"],
    "report": ["run-1"],
    "resume": ["run-1"],
    "roster": ["--dataset", "42"],
    "runs": [],
    "status": ["run-1"],
    "stop": ["run-1", "--reason", "why"],
    "verify": ["run-1"],
    "watch": [],
    "withdraw": ["118", "--reason", "why"],
}
WITHOUT_AWS = {"check", "doctor"}  # doctor says what to set

NOT_PLAIN = ("whoever", "somebody presses", "mend", "begun", "in peace", "upon", "thereof", "shall")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing of AWS is set."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "BULK_USER_DELETION_STACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


# Help


def texts(command: click.Command) -> Iterator[str]:
    """Everything that a command says about itself."""
    yield command.help or ""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield parameter.help or ""


@EVERY_COMMAND
def test_every_command_and_option_says_what_it_does_in_plain_english(name: str) -> None:
    command = main.commands[name]

    shown = run(name, "--help")

    assert shown.exit_code == 0
    for text in texts(command):
        assert text.strip(), command.params
        assert text.strip().endswith((".", "continues")), text
        for word in NOT_PLAIN:
            assert not re.search(rf"\b{word}\b", text, re.IGNORECASE), (word, text)


@EVERY_COMMAND
@pytest.mark.parametrize("option", ["--json", "--stack-name", "--profile", "--region"])
def test_every_command_has_the_options_that_all_have(name: str, option: str) -> None:
    assert option in {word for parameter in main.commands[name].params for word in parameter.opts}


def test_the_exit_statuses_have_one_meaning_each_and_are_told_in_the_help_and_on_the_page() -> None:
    statuses = [value for word, value in vars(exits).items() if word.isupper()]
    in_the_help = re.findall(r"^ {4}(\d+) ", run("--help").output, re.MULTILINE)
    on_the_page = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)

    assert len(statuses) == len(set(statuses)) == 6
    assert in_the_help == on_the_page == [str(status) for status in statuses]


def test_the_page_and_the_program_have_the_same_commands() -> None:
    rows = PAGE.partition("| command | |")[2].partition("\n\n")[0]
    first_words = {line.split("`")[1].split(" ")[0] for line in rows.splitlines() if "`" in line}

    assert first_words == set(COMMANDS)


# Errors


@EVERY_COMMAND
def test_a_command_line_that_is_wrong_has_a_status_of_its_own(name: str) -> None:
    for_people = run(name, "--no-such-option")
    for_scripts = run(name, "--no-such-option", "--json")

    assert for_people.exit_code == for_scripts.exit_code == USAGE
    assert for_people.stdout == ""
    assert "Try 'main" in for_people.stderr
    error = json.loads(for_scripts.stdout)
    assert (error["exit_status"], "no-such-option" in error["error"]) == (USAGE, True)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
@pytest.mark.parametrize("as_json", [False, True])
def test_without_a_region_every_command_says_how_to_find_what_to_set(
    name: str, as_json: bool
) -> None:
    result = run(name, *ARGUMENTS[name], *(["--json"] if as_json else []))

    assert result.exit_code == FAILED, result.output
    assert "You must specify a region" in result.stderr
    assert "bulk-user-deletion doctor" in result.stderr
    if as_json:
        assert json.loads(result.stdout)["exit_status"] == FAILED
    else:
        assert result.stdout == ""


def test_every_command_that_needs_aws_is_among_these() -> None:
    assert set(ARGUMENTS) | WITHOUT_AWS == set(COMMANDS)


@pytest.mark.parametrize(
    ("options", "what", "fix"),
    [
        ([], "AWS region", "--region REGION"),
        (["--region", "us-east-1"], "AWS credentials", "--profile"),
        (["--profile", "nobodys"], "AWS profile", "aws configure list-profiles"),
    ],
)
def test_doctor_says_what_to_set_where_nothing_is(
    options: list[str], what: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)

    result = run("doctor", *options, "--json")

    assert result.exit_code == 1
    [finding] = json.loads(result.stdout)["findings"]
    assert (finding["what"], finding["state"]) == (what, "wrong")
    assert fix in finding["fix"]
    assert fix in result.stderr


@pytest.mark.parametrize("before", [True, False])
def test_the_options_of_the_stack_stand_before_or_after_the_command_and_in_what_is_printed(
    before: bool,
) -> None:
    options = ["--stack-name", "nightly", "--region", "eu-west-1", "--profile", "portal"]

    result = run(*options, "runs") if before else run("runs", *options)

    assert "bulk-user-deletion --stack-name nightly --profile portal --region eu-west-1 doctor" in (
        result.stderr
    )


def test_a_stack_that_the_shell_names_is_not_named_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_USER_DELETION_STACK", "nightly")

    assert "set: bulk-user-deletion doctor" in run("runs").stderr


def a_program(error: BaseException) -> Program:
    """A program with one command, which ends with this error."""
    program = Program("main")

    @program.command()
    @click.option("--json", "as_json", is_flag=True)
    def work(as_json: bool) -> None:
        raise error

    return program


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (
            OSError(28, "No space left on device", "out/report.csv"),
            FAILED,
            "out/report.csv: No space left on device.",
        ),
        (PermissionError(13, "Permission denied", "out"), FAILED, "out: Permission denied."),
        (KeyboardInterrupt(), INTERRUPTED, "Interrupted."),
        (exits.Refusal("No."), REFUSED, "No."),
        (click.ClickException("Of click's own."), FAILED, "Of click's own."),
    ],
)
def test_an_error_is_one_sentence_and_one_document_and_no_traceback(
    error: BaseException, status: int, said: str
) -> None:
    for_people = CliRunner().invoke(a_program(error), ["work"])
    for_scripts = CliRunner().invoke(a_program(error), ["work", "--json"])

    assert for_people.exit_code == for_scripts.exit_code == status
    word = "" if status == INTERRUPTED else "Error: "
    assert for_people.stderr.strip() == f"{word}{said}"
    assert json.loads(for_scripts.stdout) == {"error": said, "exit_status": status}


# Completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_that_the_page_names_get_their_completion(
    shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"{shell}_source" in PAGE
    monkeypatch.setattr("click.shell_completion.BashComplete._check_version", lambda _: None)

    result = CliRunner().invoke(
        main,
        prog_name="bulk-user-deletion",
        env={"_BULK_USER_DELETION_COMPLETE": f"{shell}_source"},
    )

    assert result.exit_code == 0
    assert f"_BULK_USER_DELETION_COMPLETE={shell}_complete" in result.output


# Outputs that cannot be written to


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A list that fills a pipe."""
    file = tmp_path / "leavers.csv"
    file.write_text("user_id\n" + "".join(f"{number}\n" for number in range(1, 60_001)))
    return file


def command_line(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "bulk_user_deletion_cli", *map(str, arguments)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_output_without_space_is_told_and_is_no_traceback(
    many: Path, options: list[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            command_line("check", many, *options),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert ended.returncode == FAILED
    assert "The output: No space left on device." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_has_read_enough_gets_no_traceback(many: Path, options: list[str]) -> None:
    with subprocess.Popen(
        command_line("check", many, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        said = running.stderr.read()

    assert running.returncode == FAILED
    assert "Traceback" not in said
    assert "Exception ignored" not in said
