"""The template and the definition as data, for tests that walk them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from local.engine.packaging import load_template

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATE = load_template(PROJECT / "template.yaml")
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
MACHINE: dict[str, Any] = RESOURCES["BulkUserDeletion"]["Properties"]
DEFINITION_FILE = PROJECT / MACHINE["DefinitionUri"]

# One value of the right kind for every token of the definition.
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
    """The `${tokens}` that the definition wants."""
    return set(re.findall(r"\$\{(\w+)\}", DEFINITION_FILE.read_text(encoding="utf-8")))


def definition() -> dict[str, Any]:
    """The definition with its tokens substituted, as Step Functions gets it."""
    text = DEFINITION_FILE.read_text(encoding="utf-8")
    for name, value in SUBSTITUTIONS.items():
        text = text.replace(f"${{{name}}}", value)
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def machines(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A machine and those inside its Map states."""
    yield machine
    for state in machine["States"].values():
        if state["Type"] == "Map":
            yield from machines(state["ItemProcessor"])


def states(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All states by name, those inside Map states too."""
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
