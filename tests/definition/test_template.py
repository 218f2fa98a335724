"""The template: linted, complete, and with the least privileges."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bulk_user_deletion.bucket import OLD_VERSION_DAYS
from bulk_user_deletion.bucket_keys import ROSTERS, UPLOADS
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
    listed,
    snake_case,
    statements,
    states,
    tokens,
    transformed,
)

FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}
GLOBALS = TEMPLATE["Globals"]["Function"]
VARIABLES = GLOBALS["Environment"]["Variables"]


KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

# Where the application itself keeps files, which expire.
KEPT_PREFIXES = [
    rule["Prefix"]
    for rule in RESOURCES["DataBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    if "Prefix" in rule
]


# Lint


def lint(template: Path) -> str:
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(template)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_the_template_lints_clean() -> None:
    assert lint(PROJECT / "template.yaml") == ""


def inline(machine: dict[str, Any]) -> str:
    """A temporary template with the definition inline: cfn-lint only reads it there."""
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
            # The language allows it (https://states-language.net/#succeed-state), the linter not.
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


# Everything that is named exists


def test_every_file_and_folder_that_is_named_exists() -> None:
    assert DEFINITION_FILE.is_file()
    assert (PROJECT / RESOURCES["SharedLayer"]["Properties"]["ContentUri"] / "Makefile").is_file()
    for properties in FUNCTIONS.values():
        handler = PROJECT / properties["CodeUri"] / "app.py"
        assert "def lambda_handler(" in handler.read_text(encoding="utf-8")
    assert GLOBALS["Handler"] == "app.lambda_handler"


def test_every_token_of_the_definition_is_supplied_and_every_one_supplied_is_used() -> None:
    assert tokens() == set(MACHINE["DefinitionSubstitutions"]) == set(SUBSTITUTIONS)


def test_a_function_its_folder_and_its_token_have_one_name() -> None:
    for name, properties in FUNCTIONS.items():
        function = name.removesuffix("Function")
        assert properties["CodeUri"] == f"functions/{snake_case(function)}/"
        supplied = MACHINE["DefinitionSubstitutions"][f"{name}Arn"]
        assert supplied == {"Fn::GetAtt": [name, "Arn"]}


def test_every_variable_that_the_settings_read_is_set_and_no_other() -> None:
    ours = {name for name in VARIABLES if not name.startswith("POWERTOOLS_")}
    words = {"FILE_DROP_MODE": "preview", "PACING": "fixed", "LEAVER_ACTION": "delete"}
    words["CHANGE_WINDOWS_FOR"] = "delete"
    given = dict.fromkeys(ours, "1") | words

    Settings.from_environment(given)

    for name in ours:
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
        "MaxWaitHours": 12,
        "ChangeWindows": "",
        "ChangeWindowsFor": "delete",
        "MaxUsers": 50,
        "MaxPercent": 10,
        "MaxUsersPerDay": 200,
        "MaxPercentPerDay": 20,
        "LeaverAction": "delete",
        "GraceDays": 30,
        "RosterMinMatchPercent": 80,
        "RosterMaxShrinkPercent": 10,
        "DueScheduleExpression": "cron(0 3 * * ? *)",
        "MaxDisableUsers": 100,
        "MaxDisablePercent": 10,
        "MaxDisableUsersPerDay": 400,
        "MaxDisablePercentPerDay": 20,
        "DisableWaitSeconds": 0,
        "ApplyOnlyPlans": "false",
        "PlanMaxAgeHours": 24,
        "ProtectedList": "",
        "GuardDataset": 0,
        "GuardMaxAgeHours": 24,
        "CanaryUsers": 2,
        "MaxUnexplainedLosses": 3,
        "MaxNotFoundPercent": 20,
        "TokenLifeSeconds": 900,
        "ScheduleExpression": "",
        "ScheduleTimezone": "UTC",
        "ScheduleInput": "{}",
        "ScheduleWatchDays": 7,
        "WatchScheduleExpression": "",
        "Encryption": "customer-managed",
        "FormerKeyArns": "",
        "RetentionDays": 400,
        "ObjectLockDays": 0,
        "InboxDays": 30,
        "LogRetentionDays": 90,
        "PermissionsBoundary": "",
        "SubnetIds": "",
        "SecurityGroupIds": "",
        "CaBundle": "",
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
        ("https://portal.example.com@other.example.com", False),
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


def test_the_reference_has_every_parameter_in_its_order_with_its_default() -> None:
    reference = (PROJECT / "docs/reference.md").read_text(encoding="utf-8")
    table = reference.partition("## Parameters")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*)\| [^|]+\|$", table, re.MULTILINE)
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    assert [name for name, _ in rows] == [name for group in groups for name in group["Parameters"]]
    for name, default in rows:
        said = default.strip().strip("`")
        expected = str(TEMPLATE["Parameters"][name].get("Default", "no default"))
        assert {"": "no default", "empty": ""}.get(said, said) == expected, name


# What it is made of


def test_functions_run_on_the_current_python_on_arm() -> None:
    assert (GLOBALS["Runtime"], GLOBALS["Architectures"]) == ("python3.13", ["arm64"])
    for properties in FUNCTIONS.values():
        assert not {"Runtime", "Architectures", "Handler", "Layers"} & set(properties)


def test_every_timeout_is_longer_than_the_one_it_waits_for() -> None:
    read = int(VARIABLES["READ_TIMEOUT_SECONDS"])
    assert read < FUNCTIONS["DeleteUserFunction"]["Timeout"]
    for state in states(definition()).values():
        if state.get("Resource") == "arn:aws:states:::lambda:invoke":
            function = FUNCTIONS[f"{function_of(state)}Function"]
            assert function.get("Timeout", GLOBALS["Timeout"]) < state["TimeoutSeconds"]


def test_the_bucket_is_versioned_encrypted_private_and_notifies_of_drops() -> None:
    bucket = RESOURCES["DataBucket"]["Properties"]

    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"] == {
        "EventBridgeEnabled": True
    }
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_everything_expires_and_evidence_is_kept_as_long_as_the_ledger() -> None:
    rules = RESOURCES["DataBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]

    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "Prefix" in rule} == {
        "inbox/": {"Ref": "InboxDays"},
        ROSTERS: {"Ref": "InboxDays"},
        UPLOADS: {"Ref": "InboxDays"},
        "runs/": {"Ref": "RetentionDays"},
        "results/": {"Ref": "RetentionDays"},
    }
    [old] = [rule["NoncurrentVersionExpiration"] for rule in rules if "Prefix" not in rule]
    assert old == {"NoncurrentDays": OLD_VERSION_DAYS}
    assert VARIABLES["RETENTION_DAYS"] == {"Ref": "RetentionDays"}
    for name in ("FunctionLogs", "MachineLogs"):
        assert RESOURCES[name]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert RESOURCES["DeadLetters"]["Properties"]["MessageRetentionPeriod"] <= 4 * 24 * 3600


def test_the_ledger_can_be_restored_is_encrypted_and_expires() -> None:
    table = RESOURCES["LedgerTable"]["Properties"]
    ledger = (PROJECT / "layers/shared/bulk_user_deletion/ledger/table.py").read_text(
        encoding="utf-8"
    )

    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert table["SSESpecification"]["SSEEnabled"]
    assert table["DeletionProtectionEnabled"]
    assert table["TimeToLiveSpecification"]["Enabled"]
    assert (
        f'"{table["TimeToLiveSpecification"]["AttributeName"]}": now + self._kept_seconds' in ledger
    )


def test_the_layers_versions_stay_after_removal_as_the_documents_say() -> None:
    [layer] = [r for r in transformed().values() if r["Type"] == "AWS::Lambda::LayerVersion"]
    deploying = (PROJECT / "docs/deploying.md").read_text(encoding="utf-8")

    assert layer["DeletionPolicy"] == "Retain"
    assert f"list-layer-versions --layer-name {layer['Properties']['LayerName']}" in deploying


@pytest.mark.parametrize("name", ["LedgerTable", "DataBucket", "Key"])
def test_what_proves_the_deletions_outlives_the_stack(name: str) -> None:
    assert RESOURCES[name]["DeletionPolicy"] == "Retain"
    assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


def test_rule_6_no_secret_is_in_the_template() -> None:
    for name in ("CredentialsSecret", "TokenSecret"):
        properties = RESOURCES[name]["Properties"]
        assert not {"SecretString", "GenerateSecretString"} & set(properties)
    for name in [*VARIABLES, *TEMPLATE["Parameters"]]:
        assert not re.search("(?i)key(?!Arns$)|password", name)


def test_what_a_former_key_encrypted_stays_readable_to_the_readers_of_the_stacks_own_key() -> None:
    def readers(resource: object) -> set[tuple[str, str]]:
        """Who may decrypt under a key, and by which service."""
        return {
            (statement.owner, str(via))
            for statement in statements()
            if "kms:Decrypt" in statement.actions and resource in statement.resources
            for via in listed(statement.condition["StringEquals"]["kms:ViaService"])
        }

    own = readers({"Fn::GetAtt": ["Key", "Arn"]})
    former = readers({"Fn::Split": [",", {"Ref": "FormerKeyArns"}]})

    # None of this stack's roles reads what is in the topic and the queue.
    kept = {(owner, via) for owner, via in own if not re.search(r"'(sns|sqs)\.", via)}
    assert former == kept


# Triggers


def test_a_dropped_file_starts_a_run_and_a_late_event_does_not() -> None:
    drop = RESOURCES["FileDrop"]["Properties"]
    [target] = drop["Targets"]

    assert drop["EventPattern"]["detail"]["object"] == {
        "key": [{"prefix": "inbox/"}, {"prefix": "roster/"}]
    }
    assert target["Arn"] == {"Ref": "BulkUserDeletion"}
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 3600


def test_what_could_start_no_run_is_kept() -> None:
    for name in ("FileDrop", "ExecutionEnded"):
        [target] = RESOURCES[name]["Properties"]["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}}
    for name in ("Schedule", "DueSchedule", "WatchSchedule"):
        target = RESOURCES[name]["Properties"]["Target"]
        assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}}


def test_the_schedule_exists_only_if_requested_and_passes_its_time() -> None:
    schedule = RESOURCES["Schedule"]
    text = schedule["Properties"]["Target"]["Input"]["Fn::Sub"]
    request = '{"mode": "preview", "source": {"dataset_id": 42}}'

    assert schedule["Condition"] == "HasSchedule"
    assert json.loads(text.replace("${ScheduleInput}", request)) == {
        "scheduled_time": "<aws.scheduler.scheduled-time>",
        "request": json.loads(request),
    }
    assert schedule["Properties"]["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 3600


def test_whoever_is_due_is_looked_for_every_day_whatever_leaver_action_is_now() -> None:
    schedule = RESOURCES["DueSchedule"]
    properties = schedule["Properties"]

    for name in ("DueSchedule", "ScheduleGroup", "ScheduleRole"):
        assert "Condition" not in RESOURCES[name]
    assert properties["ScheduleExpression"] == {"Ref": "DueScheduleExpression"}
    assert properties["ScheduleExpressionTimezone"] == {"Ref": "ScheduleTimezone"}
    assert json.loads(properties["Target"]["Input"]) == {
        "scheduled_time": "<aws.scheduler.scheduled-time>",
        "request": {"mode": "apply", "source": {"due": True}},
    }
    assert properties["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 3600


def test_the_watch_has_a_schedule_only_if_requested_and_asks_for_nothing_but_a_check() -> None:
    schedule = RESOURCES["WatchSchedule"]
    properties = schedule["Properties"]

    assert schedule["Condition"] == "HasWatchSchedule"
    assert properties["ScheduleExpression"] == {"Ref": "WatchScheduleExpression"}
    assert properties["ScheduleExpressionTimezone"] == {"Ref": "ScheduleTimezone"}
    assert json.loads(properties["Target"]["Input"]) == {
        "scheduled_time": "<aws.scheduler.scheduled-time>",
        "request": {"check": "population"},
    }
    assert properties["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 3600


# Where it runs, and under whose key


def test_everything_that_is_kept_is_encrypted_with_one_key_or_with_awss_own() -> None:
    own_key = {"Fn::If": ["HasOwnKey", {"Fn::GetAtt": ["Key", "Arn"]}, {"Ref": "AWS::NoValue"}]}
    [rule] = RESOURCES["DataBucket"]["Properties"]["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    keys = {
        "DataBucket": rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"],
        "LedgerTable": RESOURCES["LedgerTable"]["Properties"]["SSESpecification"]["KMSMasterKeyId"],
        **{
            name: RESOURCES[name]["Properties"].get("KmsKeyId")
            for name in ("CredentialsSecret", "TokenSecret", "FunctionLogs", "MachineLogs")
        },
        **{
            name: RESOURCES[name]["Properties"].get("KmsMasterKeyId")
            for name in ("Topic", "DeadLetters")
        },
    }

    assert keys == dict.fromkeys(keys, own_key)
    # Without its own key, a queue is encrypted only if it says so.
    otherwise = RESOURCES["DeadLetters"]["Properties"]["SqsManagedSseEnabled"]
    assert otherwise == {"Fn::If": ["HasOwnKey", {"Ref": "AWS::NoValue"}, True]}
    assert RESOURCES["Key"]["Properties"]["EnableKeyRotation"]


def test_rule_6_the_machines_log_and_the_traces_hold_no_request() -> None:
    assert MACHINE["Logging"]["IncludeExecutionData"] is False
    assert MACHINE["Tracing"] == {"Enabled": True}
    assert GLOBALS["Tracing"] == "Active"
    layer = (PROJECT / "layers/shared/requirements.txt").read_text(encoding="utf-8")
    assert "aws-xray-sdk" not in layer  # docs/adr/0010-tracing.md


def test_every_function_runs_in_the_vpc_and_under_the_boundary_that_are_given() -> None:
    assert GLOBALS["VpcConfig"]["Fn::If"][0] == "InVpc"
    roles = {n: r["Properties"] for n, r in RESOURCES.items() if r["Type"] == "AWS::IAM::Role"}
    for name, properties in roles.items():
        assert properties["PermissionsBoundary"] == {
            "Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]
        }, name


@pytest.mark.parametrize("name", ["StateMachineConsole", "DashboardConsole"])
def test_outputs_lead_to_the_console_of_each_partition(name: str) -> None:
    text, variables = TEMPLATE["Outputs"][name]["Value"]["Fn::Sub"]

    assert text.startswith("https://${Console}/")
    assert variables["Console"]["Fn::If"] == [
        "InChina",
        "console.amazonaws.cn",
        {"Fn::If": ["InGovCloud", "console.amazonaws-us-gov.com", "console.aws.amazon.com"]},
    ]


def test_every_parameter_says_what_it_accepts_and_stands_in_one_group() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
    for name, parameter in TEMPLATE["Parameters"].items():
        if parameter["Type"] == "Number":
            bounded = {"MinValue", "MaxValue"} <= set(parameter) or "AllowedValues" in parameter
        else:
            bounded = bool({"AllowedPattern", "AllowedValues"} & set(parameter))
        assert bounded, name


@pytest.mark.parametrize(
    ("name", "accepted", "refused"),
    [
        (
            "ProtectedList",
            ["", "keep.csv", "lists/keep.csv", "inbox.csv", "run/keep.csv"],
            ["/keep.csv", "keep.txt", "inbox/a/b.csv", *(f"{p}keep.csv" for p in KEPT_PREFIXES)],
        ),
        ("ScheduleExpression", ["", "cron(0 20 ? * FRI *)", "rate(1 day)"], ["daily", "cron()"]),
        ("DueScheduleExpression", ["cron(0 3 * * ? *)", "rate(1 day)"], ["", "daily", "cron()"]),
        (
            "WatchScheduleExpression",
            ["", "cron(0 7 ? * MON *)", "rate(1 day)"],
            ["daily", "rate()"],
        ),
        ("ScheduleTimezone", ["UTC", "Europe/Paris", "Etc/GMT+2"], ["", "../etc", "a b"]),
        ("ScheduleInput", ["{}", '{"mode": "preview"}'], ["", "[]", '{"a": 1} x']),
        (
            "PermissionsBoundary",
            ["", "arn:aws:iam::123456789012:policy/team/boundary"],
            ["boundary", "arn:aws:iam::123456789012:role/x"],
        ),
        (
            "FormerKeyArns",
            ["", KEY_ARN, f"{KEY_ARN},{KEY_ARN}"],
            ["1234-abcd", f"{KEY_ARN}, {KEY_ARN}", KEY_ARN.replace(":key/", ":alias/")],
        ),
        ("SubnetIds", ["", "subnet-0abc", "subnet-0abc,subnet-1"], ["subnet-0abc, subnet-1", "x"]),
        ("SecurityGroupIds", ["", "sg-0abc,sg-1"], ["subnet-0abc", "sg-"]),
        ("CaBundle", ["", "/opt/ca/portal.pem"], ["portal.pem", "/opt/ca/", "/opt/ca/a b.pem"]),
    ],
)
def test_an_invalid_parameter_is_refused(
    name: str, accepted: list[str], refused: list[str]
) -> None:
    pattern = TEMPLATE["Parameters"][name]["AllowedPattern"]

    assert [value for value in accepted if not re.fullmatch(pattern, value)] == []
    assert [value for value in refused if re.fullmatch(pattern, value)] == []
