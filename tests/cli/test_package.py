"""The package that pyproject.toml describes: what an operator installs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=PROJECT,
        check=True,
        capture_output=True,
    )
    [wheel] = folder.glob("*.whl")
    return wheel


def test_it_holds_the_commands_and_the_layer_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    folders = {name.split("/")[0] for name in names}
    assert {name for name in folders if not name.endswith(".dist-info")} == {
        "bulk_user_deletion",
        "bulk_user_deletion_cli",
    }
    assert "bulk_user_deletion/report_page/page.pt" in names
    assert "bulk_user_deletion/report_page/answer.pt" in names


def test_its_command_runs_from_the_package_alone(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)

    ended = subprocess.run(
        [sys.executable, "-P", "-m", "bulk_user_deletion_cli", "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stderr
    for command in (
        *(
            "check",
            "preview",
            "plan",
            "apply",
            "status",
            "stop",
            "end-quiet",
            "accept-guard",
            "due",
            "withdraw",
            "enable",
            "watch",
            "resume",
            "report",
            "runs",
            "doctor",
        ),
    ):
        assert f"  {command} " in ended.stdout
    [points] = tmp_path.glob("*.dist-info/entry_points.txt")
    assert "bulk-user-deletion = bulk_user_deletion_cli.main:main" in points.read_text()
