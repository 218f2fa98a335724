"""CloudFormation receives the project's own template, with only the emulator's changes."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.engine.packaging import load_template, package

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def uploads() -> dict[str, bytes]:
    return {}


@pytest.fixture(scope="module")
def packaged(uploads: dict[str, bytes]) -> dict[str, Any]:
    def upload(key: str, body: bytes) -> str:
        uploads[key] = body
        return f"s3://packages/{key}"

    return dict(json.loads(package(PROJECT, upload)))


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield the paths at which two documents differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() | after.keys():
            yield from differences(before.get(name), after.get(name), f"{path}/{name}")
    elif before != after:
        yield path


def test_only_runtimes_layers_and_addresses_of_files_are_changed(packaged: dict[str, Any]) -> None:
    changed = set(differences(load_template(PROJECT / "template.yaml"), packaged))

    functions = [
        "FetchUserIdsFunction",
        "RefreshTokenFunction",
        "NextBatchFunction",
        "DeleteUserFunction",
        "SwitchUserFunction",
        "CheckLossesFunction",
        "ReportRunFunction",
    ]
    assert changed == {
        "/Globals/Function/Runtime",
        "/Globals/Function/Layers",
        "/Resources/SharedLayer/Properties/ContentUri",
        "/Resources/SharedLayer/Properties/CompatibleRuntimes",
        "/Resources/BulkUserDeletion/Properties/DefinitionUri",
        *(f"/Resources/{name}/Properties/CodeUri" for name in functions),
    }


def test_timeouts_are_shortened_by_one_factor_and_stay_nested(uploads: dict[str, bytes]) -> None:
    def upload(key: str, body: bytes) -> str:
        uploads[key] = body
        return f"s3://packages/{key}"

    scaled = json.loads(package(PROJECT, upload, timeout_scale=0.05))

    resources, shared = scaled["Resources"], scaled["Globals"]["Function"]
    address = resources["BulkUserDeletion"]["Properties"]["DefinitionUri"]
    machine = json.loads(uploads[address.rpartition("/")[2]])
    child = machine["States"]["DeleteUsers"]["ItemProcessor"]["States"]["DeleteUser"]
    assert shared["Environment"]["Variables"]["READ_TIMEOUT_SECONDS"] == "9"
    assert resources["DeleteUserFunction"]["Properties"]["Timeout"] == 12
    assert child["TimeoutSeconds"] == 15


def test_a_functions_package_holds_its_handler_and_the_runtime_client_which_finds_the_layer(
    packaged: dict[str, Any], uploads: dict[str, bytes]
) -> None:
    address = packaged["Resources"]["DeleteUserFunction"]["Properties"]["CodeUri"]

    with zipfile.ZipFile(io.BytesIO(uploads[address.rpartition("/")[2]])) as archive:
        names = archive.namelist()
        handler = archive.read("app.py")
        [layer] = re.findall('PYTHONPATH="(.+?)"', archive.read("bootstrap").decode())

    assert handler == (PROJECT / "functions" / "delete_user" / "app.py").read_bytes()
    assert {"bootstrap", "local/engine/runtime_client.py"} <= set(names)
    found = {path.relative_to(layer).as_posix() for path in Path(layer).rglob("*.py")}
    assert {"bulk_user_deletion/portal.py", "requests/__init__.py"} <= found


def test_the_layer_is_pure_python(packaged: dict[str, Any], uploads: dict[str, bytes]) -> None:
    address = packaged["Resources"]["SharedLayer"]["Properties"]["ContentUri"]

    with zipfile.ZipFile(io.BytesIO(uploads[address.rpartition("/")[2]])) as archive:
        native = [name for name in archive.namelist() if name.endswith((".so", ".pyd", ".dylib"))]

    assert native == []


def test_what_only_tests_and_local_runs_need_is_not_in_the_layer(
    packaged: dict[str, Any], uploads: dict[str, bytes]
) -> None:
    address = packaged["Resources"]["SharedLayer"]["Properties"]["ContentUri"]

    with zipfile.ZipFile(io.BytesIO(uploads[address.rpartition("/")[2]])) as archive:
        folders = {name.split("/")[0] for name in archive.namelist() if "/" in name}

    packages = {folder for folder in folders if not folder.endswith(".dist-info")}
    assert packages - {"bin"} == {
        "aws_lambda_powertools",
        "bulk_user_deletion",
        "certifi",
        "chameleon",
        "charset_normalizer",
        "fastjsonschema",
        "idna",
        "jmespath",
        "requests",
        "tzdata",
        "urllib3",
    }


def test_a_layer_that_two_processes_build_at_once_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "layer").mkdir()
    # The other process is slightly faster: its layer exists when ours is built.
    (tmp_path / "layer/Makefile").write_text(
        "build-Shared:\n"
        "\tmkdir -p $(ARTIFACTS_DIR)/python && echo ours > $(ARTIFACTS_DIR)/python/a.py\n"
        "\tmkdir -p $(LAYER)/python && echo the same > $(LAYER)/python/a.py\n"
    )
    (tmp_path / "template.yaml").write_text(
        "Globals: {Function: {}}\n"
        "Resources: {Shared: {Type: AWS::Serverless::LayerVersion,"
        " Properties: {ContentUri: layer}}}\n"
    )
    digest = hashlib.sha256((tmp_path / "layer/Makefile").read_bytes()).hexdigest()
    monkeypatch.setenv("LAYER", str(tmp_path / f".local/layer-{digest[:16]}"))
    uploads = []

    def upload(key: str, body: bytes) -> str:
        uploads.append(body)
        return f"s3://packages/{key}"

    package(tmp_path, upload)

    [body] = uploads
    assert zipfile.ZipFile(io.BytesIO(body)).read("a.py") == b"the same\n"
