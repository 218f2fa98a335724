"""What is deployed to AWS: built by the SAM CLI, then deployed, run, updated and removed here."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from local.engine.packaging import load_template
from local.rehearse import rehearse_command
from tests.environments import program

PROJECT = Path(__file__).resolve().parents[2]


def sam(*arguments: str) -> str:
    """Run the SAM CLI as `make build` and `make validate` do; return what it says."""
    ended = subprocess.run(
        [program(".venv-sam", "sam"), *arguments],
        cwd=PROJECT,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SAM_CLI_TELEMETRY": "0",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `sam build`, which has no warnings."""
    folder = tmp_path_factory.mktemp("build")
    said = sam("build", "--build-dir", str(folder))
    assert not re.search(r"(?i)warn|not found", said), said
    return folder


def test_the_sam_cli_finds_nothing_wrong_with_the_template() -> None:
    assert "is a valid SAM Template" in sam("validate", "--lint")


def test_the_layer_that_is_built_holds_the_package_and_what_it_needs_and_no_more(
    build: Path,
) -> None:
    layer = build / "SharedLayer"

    assert (layer / "python/bulk_user_deletion/portal.py").is_file()
    assert (layer / "python/requests/__init__.py").is_file()
    assert [path.name for path in layer.iterdir()] == ["python"]
    assert list(layer.rglob("*.pyc")) == []
    assert [path for path in layer.rglob("*") if path.suffix in {".so", ".pyd"}] == []


def test_certificates_beside_the_package_are_built_into_the_layer(tmp_path: Path) -> None:
    makefile = (PROJECT / "layers/shared/Makefile").read_text(encoding="utf-8")
    (tmp_path / "Makefile").write_text(makefile)
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "bulk_user_deletion").mkdir()
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca/portal.pem").write_text("a certificate")

    subprocess.run(
        [
            "make",
            "build-SharedLayer",
            f"ARTIFACTS_DIR={tmp_path}/built",
            f"PYTHON={sys.executable}",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )

    # As CaBundle's description says: layers are unpacked under /opt.
    assert (tmp_path / "built/ca/portal.pem").read_text() == "a certificate"


def test_what_was_built_is_deployed_run_updated_run_again_and_removed(build: Path) -> None:
    result = CliRunner().invoke(rehearse_command, [str(build)])

    assert result.exit_code == 0, result.output
    said = [line.split(":")[0] for line in result.output.splitlines()]
    assert said[1:] == [
        "PREVIEWED",
        "SUCCEEDED",
        "Users of the portal",
        "Updated",
        "REFUSED",
        "Removed the stack.",
        "The bucket and the table stay; the machine is gone.",
    ]
    assert "400 before, 375 now" in result.output


def test_environments_name_existing_parameters_and_production_asks_first() -> None:
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    parameters = load_template(PROJECT / "template.yaml")["Parameters"]

    for environment in ("dev", "prod"):
        deploy = config[environment]["deploy"]["parameters"]
        given = {override.partition("=")[0] for override in deploy["parameter_overrides"]}
        assert "PortalUrl" in given <= set(parameters)
        assert deploy["stack_name"] == f"bulk-user-deletion-{environment}"
    assert config["prod"]["deploy"]["parameters"]["confirm_changeset"] is True
