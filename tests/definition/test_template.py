"""The template: linted, complete, and no more powerful than it has to be."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bulk_user_deletion.settings import Settings
from tests.definition.loading import (
    DEFINITION_FILE,
    MACHINE,
    PROJECT,
    RESOURCES,
    SUBSTITUTIONS,
    TEMPLATE,
    definition,
    function_of,
    snake_case,
    states,
    tokens,
)

FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}
GLOBALS = TEMPLATE["Globals"]["Function"]
VARIABLES = GLOBALS["Environment"]["Variables"]


def statements(name: str) -> list[dict[str, Any]]:
    """A function's or the machine's policy statements, with lists of actions and resources."""
    policies = RESOURCES[name]["Properties"]["Policies"]
    found = [statement for policy in policies for statement in policy["Statement"]]
    return [
        {**statement, **{key: _listed(statement[key]) for key in ("Action", "Resource")}}
        for statement in found
    ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def who_may(action: str) -> set[str]:
    return {
        name
        for name in [*FUNCTIONS, "BulkUserDeletion"]
        for statement in statements(name)
        if action in statement["Action"]
    }


def who_may_read(secret: str) -> set[str]:
    return {
        name
        for name in FUNCTIONS
        for statement in statements(name)
        if "secretsmanager:GetSecretValue" in statement["Action"]
        and {"Ref": secret} in statement["Resource"]
    }


# Lint


def lint(template: Path) -> str:
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(template)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_the_template_lints_clean() -> None:
    assert lint(PROJECT / "template.yaml") == ""


def inline(machine: dict[str, Any]) -> str:
    """A throw-away template with the definition inside: cfn-lint reads it there only."""
    resource = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": "arn:aws:iam::123456789012:role/machine",
            "Definition": machine,
        },
    }
    return json.dumps({"Resources": {"Machine": resource}})


def test_the_definition_lints_clean(tmp_path: Path) -> None:
    machine = definition()
    for state in machine["States"].values():
        if state["Type"] == "Succeed":
            # The language has it (https://states-language.net/#succeed-state), the linter has not.
            state.pop("OutputPath", None)
    template = tmp_path / "template.json"
    template.write_text(inline(machine))

    assert lint(template) == ""


def test_the_linter_would_see_a_broken_definition(tmp_path: Path) -> None:
    broken = definition()
    broken["States"]["NextBatch"]["Next"] = "Nowhere"
    del broken["States"]["Succeeded?"]["Choices"]
    template = tmp_path / "template.json"
    template.write_text(inline(broken))

    assert lint(template) != ""


# Everything that is named is there


def test_every_file_and_folder_that_is_named_is_there() -> None:
    assert DEFINITION_FILE.is_file()
    assert (PROJECT / RESOURCES["SharedLayer"]["Properties"]["ContentUri"] / "Makefile").is_file()
    for properties in FUNCTIONS.values():
        handler = PROJECT / properties["CodeUri"] / "app.py"
        assert "def lambda_handler(" in handler.read_text(encoding="utf-8")
    assert GLOBALS["Handler"] == "app.lambda_handler"


def test_every_token_of_the_definition_is_supplied_and_every_one_supplied_is_wanted() -> None:
    assert tokens() == set(MACHINE["DefinitionSubstitutions"]) == set(SUBSTITUTIONS)


def test_a_function_its_folder_and_its_token_have_one_name() -> None:
    for name, properties in FUNCTIONS.items():
        function = name.removesuffix("Function")
        assert properties["CodeUri"] == f"functions/{snake_case(function)}/"
        supplied = MACHINE["DefinitionSubstitutions"][f"{name}Arn"]
        assert supplied == {"Fn::GetAtt": [name, "Arn"]}


def test_every_variable_that_the_settings_read_is_set_and_no_other() -> None:
    given = dict.fromkeys(VARIABLES, "1") | {"FILE_DROP_MODE": "preview", "PACING": "fixed"}

    Settings.from_environment(given)

    for name in VARIABLES:
        with pytest.raises(KeyError, match=name):
            Settings.from_environment({k: v for k, v in given.items() if k != name})


def test_every_parameter_is_described_and_used() -> None:
    text = json.dumps({**TEMPLATE, "Parameters": {}})

    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"]
        assert f'{{"Ref": "{name}"}}' in text or f"${{{name}}}" in text


def test_the_defaults_are_the_careful_ones() -> None:
    defaults = {
        name: parameter["Default"]
        for name, parameter in TEMPLATE["Parameters"].items()
        if "Default" in parameter
    }

    assert defaults == {
        "FileDropMode": "preview",
        "WaitSeconds": 60,
        "Pacing": "fixed",
        "Concurrency": 1,
        "MaxUsers": 50,
        "MaxPercent": 10,
        "MaxUsersPerDay": 200,
        "MaxPercentPerDay": 20,
        "ApplyOnlyPlans": "false",
        "PlanMaxAgeHours": 24,
        "ProtectedList": "",
        "CanaryUsers": 2,
        "MaxNotFoundPercent": 20,
        "TokenLifeSeconds": 900,
        "ScheduleExpression": "",
        "ScheduleTimezone": "UTC",
        "ScheduleInput": "{}",
    }


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://portal.example.com", True),
        ("https://portal.example.com/", True),
        ("https://portal.example.com:8443/insights", True),
        ("http://127.0.0.1:8765", True),
        ("http://localhost:8765", True),
        ("http://portal.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("https://", False),
        ("portal.example.com", False),
        ("https://portal.example.com?x=1", False),
        ("https://portal.example.com\nhttp://other", False),
        ("ftp://portal.example.com", False),
    ],
)
def test_the_portals_address_must_be_https_unless_it_is_this_machines_own(
    url: str, accepted: bool
) -> None:
    pattern = TEMPLATE["Parameters"]["PortalUrl"]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, url)) is accepted


# What it is made of


def test_functions_run_on_the_current_python_on_arm() -> None:
    assert (GLOBALS["Runtime"], GLOBALS["Architectures"]) == ("python3.13", ["arm64"])
    for properties in FUNCTIONS.values():
        assert not {"Runtime", "Architectures", "Handler", "Layers"} & set(properties)


def test_whoever_waits_outlives_whom_it_waits_for() -> None:
    read = int(VARIABLES["READ_TIMEOUT_SECONDS"])
    assert read < FUNCTIONS["DeleteUserFunction"]["Timeout"]
    for state in states(definition()).values():
        if state["Type"] == "Task":
            function = FUNCTIONS[f"{function_of(state)}Function"]
            assert function.get("Timeout", GLOBALS["Timeout"]) < state["TimeoutSeconds"]


def test_the_bucket_is_versioned_encrypted_private_and_tells_of_drops() -> None:
    bucket = RESOURCES["DataBucket"]["Properties"]

    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"] == {
        "EventBridgeEnabled": True
    }
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_the_ledger_can_be_restored_is_encrypted_and_forgets_in_the_end() -> None:
    table = RESOURCES["LedgerTable"]["Properties"]
    ledger = (PROJECT / "layers/shared/bulk_user_deletion/ledger.py").read_text(encoding="utf-8")

    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert table["SSESpecification"]["SSEEnabled"]
    assert table["TimeToLiveSpecification"]["Enabled"]
    assert f'"{table["TimeToLiveSpecification"]["AttributeName"]}": now' in ledger


@pytest.mark.parametrize("name", ["LedgerTable", "DataBucket"])
def test_what_proves_the_deletions_outlives_the_stack(name: str) -> None:
    assert RESOURCES[name]["DeletionPolicy"] == "Retain"
    assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


def test_rule_6_no_secret_is_in_the_template() -> None:
    for name in ("CredentialsSecret", "TokenSecret"):
        properties = RESOURCES[name]["Properties"]
        assert not {"SecretString", "GenerateSecretString"} & set(properties)
    for name in [*VARIABLES, *TEMPLATE["Parameters"]]:
        assert not re.search("(?i)key|password", name)


# Triggers


def test_a_dropped_file_starts_a_run_and_a_late_event_does_not() -> None:
    drop = MACHINE["Events"]["FileDrop"]["Properties"]

    assert drop["Pattern"]["detail"]["object"] == {"key": [{"prefix": "inbox/"}]}
    assert drop["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 3600


def test_the_schedule_is_there_only_when_it_is_asked_for_and_tells_its_time() -> None:
    schedule = RESOURCES["Schedule"]
    text = schedule["Properties"]["Target"]["Input"]["Fn::Sub"]
    request = '{"mode": "preview", "source": {"dataset_id": 42}}'

    assert schedule["Condition"] == RESOURCES["ScheduleRole"]["Condition"] == "HasSchedule"
    assert json.loads(text.replace("${ScheduleInput}", request)) == {
        "scheduled_time": "<aws.scheduler.scheduled-time>",
        "request": json.loads(request),
    }
    assert schedule["Properties"]["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 3600


# Who may do what


@pytest.mark.parametrize("name", [*FUNCTIONS, "BulkUserDeletion"])
def test_every_statement_names_its_actions_and_its_resources(name: str) -> None:
    for statement in statements(name):
        for action in statement["Action"]:
            assert "*" not in action
        for resource in statement["Resource"]:
            assert resource != "*"
            assert isinstance(resource, dict)


def test_only_refresh_token_writes_the_token_and_reads_the_key() -> None:
    assert who_may("secretsmanager:PutSecretValue") == {"RefreshTokenFunction"}
    assert who_may_read("CredentialsSecret") == {"RefreshTokenFunction"}


def test_only_those_who_call_the_portal_may_read_the_token() -> None:
    assert who_may_read("TokenSecret") == set(FUNCTIONS) - {"NextBatchFunction"}


def test_nobody_may_delete_a_file_or_a_row_that_proves_something() -> None:
    assert who_may("s3:DeleteObject") == set()
    deletable = {
        name: statement["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]
        for name in who_may("dynamodb:DeleteItem")
        for statement in statements(name)
        if "dynamodb:DeleteItem" in statement["Action"]
    }
    assert deletable == {
        "FetchUserIdsFunction": ["stop"],
        "RefreshTokenFunction": ["token"],
        "ReportRunFunction": ["lock"],
    }


def test_the_machine_may_start_its_own_children() -> None:
    assert MACHINE["Name"] == {"Ref": "AWS::StackName"}
    assert "BulkUserDeletion" in who_may("states:StartExecution")
