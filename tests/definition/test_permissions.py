"""Who may do what: every statement of every policy, checked against the table with its reason."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.definition.loading import PROJECT, RESOURCES, Statement, statements

STATEMENTS = statements()
SECURITY = (PROJECT / "docs/security.md").read_text(encoding="utf-8")
ROLES = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::IAM::Role"]

# If AWS supports no resource here, or the resource is the one that has the policy.
EVERYTHING = {
    ("FunctionBasics", "WriteTraces"),
    ("FunctionBasics", "AttachToSubnets"),
    ("FunctionBasics", "NotFromCode"),
    ("MachineRole", "DeliverLogs"),
    ("MachineRole", "WriteTraces"),
    ("Key", "ByPoliciesOfTheAccount"),
    ("Key", "Logs"),
    ("Key", "DeadLettersFromTheRulesAndAlarmsToTheTopic"),
}


def who_may(action: str, resource: Any = None) -> set[str]:
    return {
        statement.owner
        for statement in STATEMENTS
        if statement.effect == "Allow"
        and action in statement.actions
        and (resource is None or resource in statement.resources)
    }


def row(statement: Statement) -> str:
    """The cells of docs/security.md that stand for a statement; its reason follows them."""
    actions = ", ".join(f"`{action}`" for action in statement.actions)
    return (
        f"| {statement.owner} | {statement.sid} | {statement.effect} {actions}"
        f" | {' or '.join(map(_named, statement.resources))}{_conditions(statement)} |"
    )


def _named(resource: Any) -> str:
    """A resource, as short as possible."""
    match resource:
        case {"Ref": str() as name} | {"Fn::GetAtt": [str() as name, "Arn"]}:
            return name
        case {"Fn::Split": [",", {"Ref": str() as name}]}:
            return name
        case {"Fn::Sub": str() as text}:
            text = re.sub(r"^arn:.*\$\{AWS::AccountId\}:", "", text.replace(".Arn}", "}"))
            return f"`{text}`"
        case _:
            return "any" if resource == "*" else str(resource)


def _conditions(statement: Statement) -> str:
    said = []
    if statement.principal not in (None, "*"):
        [(_, who)] = statement.principal.items()
        services = who if isinstance(who, list) else [who]
        said.append("for " + " and ".join(_named(name).strip("`") for name in services))
    for operator, wanted in statement.condition.items():
        if operator == "Null":
            # For keys of rows it only says that they exist; their values are restricted too.
            said += [f"with {key}" for key in wanted if key != "dynamodb:LeadingKeys"]
            continue
        for key, values in wanted.items():
            listed = values if isinstance(values, list) else [values]
            said.append(f"{key} {', '.join(_named(value) for value in listed)}")
    return "".join(f"; {words}" for words in said)


# The table


@pytest.mark.parametrize(
    "statement", STATEMENTS, ids=[f"{item.owner}-{item.sid}" for item in STATEMENTS]
)
def test_every_statement_stands_in_the_table_with_its_reason(statement: Statement) -> None:
    line = next((line for line in SECURITY.splitlines() if line.startswith(row(statement))), "")

    reason = line.removeprefix(row(statement)).strip(" |")
    assert len(reason.split()) >= 3, row(statement)


def test_the_table_lists_no_statement_that_is_not_there() -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (?:Allow|Deny) ", SECURITY, re.MULTILINE)

    assert sorted(rows) == sorted((item.owner, item.sid) for item in STATEMENTS)


# No more than is needed


def test_every_role_names_its_actions() -> None:
    for statement in STATEMENTS:
        if statement.effect == "Allow" and statement.owner != "Key":
            assert not [action for action in statement.actions if "*" in action]


def test_every_resource_is_named_where_aws_knows_one() -> None:
    assert {(s.owner, s.sid) for s in STATEMENTS if "*" in s.resources} == EVERYTHING


def test_roles_have_no_policies_but_those_of_this_template() -> None:
    for name in ROLES:
        managed = RESOURCES[name]["Properties"].get("ManagedPolicyArns", [])
        assert managed in ([], [{"Ref": "FunctionBasics"}])
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::Serverless::Function":
            role = name.replace("Function", "Role")
            assert resource["Properties"]["Role"] == {"Fn::GetAtt": [role, "Arn"]}


@pytest.mark.parametrize("name", ROLES)
def test_a_role_is_taken_on_by_this_accounts_services_alone(name: str) -> None:
    [trust] = [s for s in STATEMENTS if s.owner == name and s.sid == "Trust"]

    assert trust.condition["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert set(trust.principal) == {"Service"}


def test_no_service_acts_on_our_resources_for_another_account() -> None:
    for statement in STATEMENTS:
        if isinstance(statement.principal, dict) and "Service" in statement.principal:
            bound = json.dumps(statement.condition)
            assert any(key in bound for key in ("aws:SourceAccount", "aws:SourceArn", "aws:logs"))


def test_a_condition_on_keys_is_not_met_without_keys() -> None:
    # ForAllValues is true for an empty set.
    for statement in STATEMENTS:
        if any(operator.startswith("ForAllValues") for operator in statement.condition):
            assert statement.condition["Null"] == {"dynamodb:LeadingKeys": "false"}


@pytest.mark.parametrize("owner", ["DataBucketPolicy", "TopicPolicy", "DeadLettersPolicy"])
def test_nothing_is_said_without_tls(owner: str) -> None:
    [statement] = [s for s in STATEMENTS if s.owner == owner and s.sid == "OverTlsOnly"]

    assert (statement.effect, statement.principal) == ("Deny", "*")
    assert statement.condition == {"Bool": {"aws:SecureTransport": "false"}}


# The token and the key


def test_only_refresh_token_writes_the_token_and_reads_the_key() -> None:
    assert who_may("secretsmanager:PutSecretValue") == {"RefreshTokenRole"}
    assert who_may("secretsmanager:GetSecretValue", {"Ref": "CredentialsSecret"}) == {
        "RefreshTokenRole"
    }


def test_only_those_who_call_the_portal_may_read_the_token() -> None:
    steps = PROJECT / "layers/shared/bulk_user_deletion/steps"
    imports = {path.stem: _imports(path.read_text(encoding="utf-8")) for path in steps.glob("*.py")}
    callers = {
        f"{_title(function.name)}Role"
        for function in (PROJECT / "functions").iterdir()
        if "bulk_user_deletion.portal"
        in _reached(f"bulk_user_deletion.steps.{function.name}", imports)
    }

    assert who_may("secretsmanager:GetSecretValue", {"Ref": "TokenSecret"}) == callers


# What proves something


def test_nobody_may_delete_a_file_or_a_row_that_proves_something() -> None:
    assert who_may("s3:DeleteObject") == who_may("s3:DeleteObjectVersion") == set()
    deletable = {
        statement.owner: next(
            keys["dynamodb:LeadingKeys"]
            for operator, keys in statement.condition.items()
            if operator.startswith("ForAllValues:")
        )
        for statement in STATEMENTS
        if "dynamodb:DeleteItem" in statement.actions
    }
    assert deletable == {
        # A due run with nothing to do ends there, and releases its lock.
        "FetchUserIdsRole": ["lock", "stop"],
        "RefreshTokenRole": ["token"],
        # The record of a deletion that the portal contradicts before the run is closed.
        "ReportRunRole": ["deleted#*", "lock"],
    }
    for action in ("dynamodb:BatchWriteItem", "dynamodb:PartiQLDelete", "dynamodb:DeleteTable"):
        assert who_may(action) == set()


def test_not_even_an_administrator_deletes_a_report_in_passing() -> None:
    [statement] = [s for s in STATEMENTS if s.sid == "NobodyDeletesWhatProvesSomething"]

    assert (statement.effect, statement.principal, statement.condition) == ("Deny", "*", {})
    assert set(statement.actions) == {
        "s3:BypassGovernanceRetention",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
    }
    assert statement.resources == (
        {"Fn::Sub": "${DataBucket.Arn}/runs/*"},
        {"Fn::Sub": "${DataBucket.Arn}/results/*"},
    )


# One way to a DELETE, and one to a PUT


def test_one_step_deletes_users_and_one_function_takes_it() -> None:
    assert _calling("delete") == ["steps/delete_user.py"]
    assert _taking("delete_user") == ["delete_user"]


def test_one_step_switches_users_and_one_function_takes_it() -> None:
    assert _calling("switch") == ["steps/switch_user.py"]
    assert _taking("switch_user") == ["switch_user"]


def test_one_module_speaks_http_and_one_of_its_lines_says_delete_and_one_put() -> None:
    package = PROJECT / "layers/shared/bulk_user_deletion"
    texts = {
        str(path.relative_to(package)): path.read_text(encoding="utf-8")
        for path in package.rglob("*.py")
    }

    speaking = {name for name, text in texts.items() if "requests" in _imports(text)}
    assert speaking == {"portal.py"}
    assert texts["portal.py"].count('"DELETE"') == 1
    assert texts["portal.py"].count('"PUT"') == 1


def _calling(method: str) -> list[str]:
    """Return which modules of the layer call a method of this name."""
    package = PROJECT / "layers/shared/bulk_user_deletion"
    return [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == method
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    ]


def _taking(step: str) -> list[str]:
    """Return which functions import a step."""
    return [
        path.parent.name
        for path in (PROJECT / "functions").glob("*/app.py")
        if f"bulk_user_deletion.steps.{step}" in _imports(path.read_text(encoding="utf-8"))
    ]


def _imports(text: str) -> set[str]:
    return set(_imported(ast.parse(text)))


def _reached(step: str, imports: dict[str, set[str]]) -> set[str]:
    """What a step imports, itself or by another step."""
    own = imports[step.rpartition(".")[2]]
    steps = {name for name in own if name.startswith("bulk_user_deletion.steps.")}
    return own.union(*(_reached(name, imports) for name in steps))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str() as module):
                yield module


def _title(name: str) -> str:
    return "".join(word.title() for word in name.split("_"))


def test_the_page_on_deploying_names_the_services_that_each_function_calls() -> None:
    text = (PROJECT / "docs/deploying.md").read_text(encoding="utf-8")
    names = {name.removesuffix("Role") for name in RESOURCES if f"{name[:-4]}Function" in RESOURCES}
    calls: dict[str, set[str]] = {}
    for statement in STATEMENTS:
        for action in statement.actions:
            calls.setdefault(action.partition(":")[0], set()).add(statement.owner[:-4])

    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \| \w+ `(\w+)` \|$", text, re.MULTILINE)
    assert {service for _, service in rows} == {"dynamodb", "s3", "secretsmanager", "states", "sns"}
    for said, service in rows:
        excluded = set(said.removeprefix("all but ").split(", "))
        match said.split():
            case ["all"]:
                expected = names
            case ["all", "but", *_]:
                expected = names - excluded
            case _:
                expected = set(said.split(", "))
        assert calls[service] & names == expected, service
