"""`make deploy` refuses a stack's name that is too long before anything is deployed."""

from pathlib import Path

import pytest

from bulk_user_deletion_cli.stack_name import LONGEST
from local.check_name import check

PROJECT = Path(__file__).resolve().parents[2]
TOO_LONG = "n" * (LONGEST + 1)


@pytest.fixture
def samconfig(tmp_path: Path) -> Path:
    file = tmp_path / "samconfig.toml"
    file.write_text(
        f'[dev.deploy.parameters]\nstack_name = "short"\n'
        f'[prod.deploy.parameters]\nstack_name = "{TOO_LONG}"\n'
    )
    return file


@pytest.mark.parametrize(
    "arguments",
    [
        ["prod"],
        ["dev", "--stack-name", TOO_LONG],
        ["dev", "--guided", f"--stack-name={TOO_LONG}"],
    ],
)
def test_a_name_that_is_too_long_is_refused(samconfig: Path, arguments: list[str]) -> None:
    said = check(arguments, samconfig)

    assert said.startswith(f"The stack's name {TOO_LONG} has {LONGEST + 1} characters")
    assert "Shorten stack_name in samconfig.toml" in said


@pytest.mark.parametrize(
    "arguments", [["dev"], ["prod", "--stack-name", "short"], ["other", "--guided"]]
)
def test_a_name_that_fits_or_is_not_known_yet_is_let_through(
    samconfig: Path, arguments: list[str]
) -> None:
    assert check(arguments, samconfig) == ""


def test_a_configuration_elsewhere_is_read(samconfig: Path) -> None:
    said = check(["prod", "--config-file", str(samconfig)])

    assert "Shorten stack_name in samconfig.toml" in said


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_names_in_samconfig_fit(environment: str) -> None:
    assert check([environment]) == ""


def test_make_deploy_asks_before_it_deploys() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.split("\ndeploy:")[1].split("\n\n")[0]

    assert recipe.index("-m local.check_name $(ENV) ") < recipe.index("deploy --config-file")
    assert recipe.count("--config-file $(abspath $(CONFIG))") == 2
