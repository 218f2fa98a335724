"""Turns the project's template into the one that CloudFormation receives, as `sam package` does."""

import hashlib
import io
import json
import math
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).parent
_RUNTIME_CLIENT = "local.engine.runtime_client"

# Timeouts of a state, a function and the portal client: the template says why they nest.
_TIMEOUTS = {"TimeoutSeconds", "Timeout", "READ_TIMEOUT_SECONDS"}

Upload = Callable[[str, bytes], str]


def package(project: Path, upload: Upload, *, timeout_scale: float = 1) -> str:
    """Return the template as JSON, with its local files uploaded.

    `project` is this repository, or the output of `sam build`. `upload` takes a key and content and
    returns its `s3://` address. `timeout_scale` is the factor on every timeout, which keeps their
    nesting.
    """
    template = _scaled(load_template(project / "template.yaml"), timeout_scale)
    layer = _build_layer(project, template)
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::Serverless::Function":
                code = _files(project / properties["CodeUri"])
                properties["CodeUri"] = _upload_zip(upload, {**code, **bootstrap(layer)})
            case "AWS::Serverless::LayerVersion":
                properties["ContentUri"] = _upload_zip(upload, _files(layer))
            case "AWS::Serverless::StateMachine":
                definition = yaml.safe_load((project / properties["DefinitionUri"]).read_bytes())
                definition = _scaled(definition, timeout_scale)
                # CloudFormation accepts YAML here; the emulator only JSON.
                content = json.dumps(definition).encode()
                properties["DefinitionUri"] = upload(_key(content, "asl.json"), content)
    _run_locally(template)
    return json.dumps(template)


def _run_locally(template: dict[str, Any]) -> None:
    """Make the only change to the template that the emulator needs.

    Its Python worker reports every exception as `Runtime.HandlerError`; a custom runtime reports
    the class name, which Retry and Catch match. Layers are not mounted under a custom runtime, so
    `bootstrap` says where the layer is.
    """
    function = template["Globals"]["Function"]
    function["Runtime"] = "provided.al2023"
    function.pop("Layers", None)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["CompatibleRuntimes"] = ["provided.al2023"]


def _scaled(document: Any, factor: float) -> Any:
    """Return a template or a definition with shortened timeouts, in whole seconds."""
    if isinstance(document, list):
        return [_scaled(item, factor) for item in document]
    if isinstance(document, dict):
        return {
            name: type(value)(math.ceil(int(value) * factor))
            if name in _TIMEOUTS
            else _scaled(value, factor)
            for name, value in document.items()
        }
    return document


def load_template(path: Path) -> dict[str, Any]:
    """Read a template, with its short tags (`!Ref`, `!Sub`, …) expanded to functions."""
    template: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506
    return template


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags."""


def _tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_scalar(node)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tag)


def _build_layer(project: Path, template: dict[str, Any]) -> Path:
    """Build the layer; return the folder that functions import it from.

    It takes seconds, so the result for the same files is kept.
    """
    (name, layer), *_ = (
        (name, resource)
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::LayerVersion"
    )
    source = project / str(layer["Properties"]["ContentUri"])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in _sorted(source))).hexdigest()
    built = project / ".local" / f"layer-{digest[:16]}"
    if not built.exists():
        built.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=built.parent) as folder:
            artifacts = Path(folder) / "artifacts"
            artifacts.mkdir()
            _make_layer(name, source, artifacts)
            try:
                artifacts.rename(built)
            except OSError:
                if not built.exists():
                    raise
                # Another process has built the same thing in the meantime.
    return built / "python"


def _make_layer(name: str, source: Path, artifacts: Path) -> None:
    """Run the layer's own Makefile. Without one it is built already: functions get a copy."""
    if not (source / "Makefile").exists():
        shutil.copytree(source, artifacts, dirs_exist_ok=True)
        return
    command = ["make", f"build-{name}", f"ARTIFACTS_DIR={artifacts}", f"PYTHON={sys.executable}"]
    subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def bootstrap(layer: Path) -> dict[str, bytes]:
    """Return the files that run a function: only what they need of this project.

    It imports the `layer` from its folder. The byte code that this leaves there serves every
    function that starts later.
    """
    # Lambda starts it in the package's folder, where this `local` is found before ours.
    script = f'#!/bin/sh\nPYTHONPATH="{layer}" exec "{sys.executable}" -m {_RUNTIME_CLIENT}\n'
    modules = {name: (_HERE / name).read_bytes() for name in ("clock.py", "runtime_client.py")}
    return {
        "bootstrap": script.encode(),
        "local/__init__.py": b"",
        **{f"local/engine/{name}": body for name, body in {"__init__.py": b"", **modules}.items()},
    }


def _sorted(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in _sorted(folder)}


def _upload_zip(upload: Upload, files: dict[str, bytes]) -> str:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, body in files.items():
            # A fixed date: the same files make the same package.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), body)
    return upload(_key(content.getvalue(), "zip"), content.getvalue())


def _key(content: bytes, suffix: str) -> str:
    return f"{hashlib.sha256(content).hexdigest()}.{suffix}"
