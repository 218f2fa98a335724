"""The template and the definition as data, for tests that walk them."""

import copy
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from local.engine.packaging import load_template
from tests.environments import program

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATE = load_template(PROJECT / "template.yaml")
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
MACHINE: dict[str, Any] = RESOURCES["BulkUserDeletion"]["Properties"]
DEFINITION_FILE = PROJECT / MACHINE["DefinitionUri"]

# One valid value for every token of the definition.
SUBSTITUTIONS = {
    **{
        name: f"arn:aws:lambda:us-east-1:123456789012:function:{name.removesuffix('FunctionArn')}"
        for name in MACHINE["DefinitionSubstitutions"]
        if name.endswith("FunctionArn")
    },
    "DataBucketName": "data",
    "Concurrency": "1",
}


def tokens() -> set[str]:
    """The `${tokens}` that the definition uses."""
    return set(re.findall(r"\$\{(\w+)\}", DEFINITION_FILE.read_text(encoding="utf-8")))


def definition() -> dict[str, Any]:
    """The definition with its tokens substituted, as Step Functions gets it."""
    text = DEFINITION_FILE.read_text(encoding="utf-8")
    for name, value in SUBSTITUTIONS.items():
        text = text.replace(f"${{{name}}}", value)
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def machines(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A machine and the machines inside its Map states."""
    yield machine
    for state in machine["States"].values():
        if state["Type"] == "Map":
            yield from machines(state["ItemProcessor"])


def states(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All states by name, including those inside Map states."""
    return {name: state for inner in machines(machine) for name, state in inner["States"].items()}


def ways_out(state: dict[str, Any]) -> set[str]:
    """The names of the states that may follow."""
    following = {state[name] for name in ("Next", "Default") if name in state}
    following |= {choice["Next"] for choice in state.get("Choices", [])}
    return following | {catcher["Next"] for catcher in state.get("Catch", [])}


def function_of(state: dict[str, Any]) -> str:
    """The name of the function that a Task calls, such as DeleteUser."""
    return str(state["Parameters"]["FunctionName"]).rpartition(":")[2]


def snake_case(name: str) -> str:
    """DeleteUser as delete_user."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


@cache
def transformed() -> dict[str, dict[str, Any]]:
    """The resources as CloudFormation deploys them: the template after the SAM transform."""
    template = copy.deepcopy(TEMPLATE)
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri", "DefinitionUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = "s3://packages/package.zip"
    translated = subprocess.run(
        [program(".venv-ministack", "python"), Path(__file__).with_name("translate.py")],
        input=json.dumps(template),
        env={"AWS_DEFAULT_REGION": "us-east-1", "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    resources: dict[str, dict[str, Any]] = json.loads(translated.stdout)["Resources"]
    return resources


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, and the resource of the template that contains it."""

    owner: str
    sid: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[Any, ...]
    principal: Any
    condition: dict[str, Any]


@cache
def statements() -> list[Statement]:
    """Every statement of every policy in the transformed template, trust policies included."""
    return [
        Statement(
            owner,
            statement.get("Sid", sid),
            statement["Effect"],
            tuple(listed(statement["Action"])),
            tuple(listed(statement.get("Resource", "this role"))),
            statement.get("Principal"),
            statement.get("Condition", {}),
        )
        for owner, resource in transformed().items()
        for document, sid in _documents(resource)
        for statement in _statements(document)
    ]


def _documents(resource: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    properties = resource.get("Properties", {})
    for name in ("AssumeRolePolicyDocument", "PolicyDocument", "KeyPolicy"):
        if name in properties:
            yield properties[name], "Trust" if name == "AssumeRolePolicyDocument" else ""
    for policy in properties.get("Policies", []):
        yield policy["PolicyDocument"], ""


def _statements(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a policy's statements, including those under a condition of the template."""
    for statement in document["Statement"]:
        yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def listed(value: Any) -> list[Any]:
    """A value that may be single or a list, as a list."""
    return value if isinstance(value, list) else [value]
