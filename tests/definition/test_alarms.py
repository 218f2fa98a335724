"""Alarms: they watch metrics that are published, and each has its section in the run book."""

import json
import re
from typing import Any

import pytest

from bulk_user_deletion.observability import Metric, metrics
from tests.definition.loading import PROJECT, RESOURCES, TEMPLATE

ALARMS = {
    name.removesuffix("Alarm"): resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
RUNBOOK = (PROJECT / "docs/runbook.md").read_text(encoding="utf-8")
VARIABLES = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
OURS = {"service": {"Ref": "AWS::StackName"}}

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
AWS_OWN = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): {
        "QueueName": {"Fn::GetAtt": ["DeadLetters", "QueueName"]}
    },
}


def dimensions(alarm: dict[str, Any]) -> dict[str, Any]:
    return {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}


def is_published(metric: Metric) -> bool:
    """Whether the code publishes it; the functions' tests show that this code is reached."""
    package = PROJECT / "layers/shared/bulk_user_deletion"
    texts = [p.read_text(encoding="utf-8") for p in package.rglob("*.py")]
    code = "".join(text for text in texts if "class Metric(" not in text)
    by_outcome = metric.name.startswith("USERS_") and 'Metric[f"USERS_' in code
    return by_outcome or f"Metric.{metric.name}" in code


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_watches_a_metric_that_is_published_under_that_name_and_dimension(
    name: str,
) -> None:
    alarm = ALARMS[name]
    namespace, metric = alarm["Namespace"], alarm["MetricName"]

    if (namespace, metric) in AWS_OWN:
        assert dimensions(alarm) == AWS_OWN[namespace, metric]
    else:
        assert namespace == metrics.namespace
        assert is_published(Metric(metric))
        assert dimensions(alarm) == OURS
        # Powertools adds this dimension, with this variable's value.
        assert VARIABLES["POWERTOOLS_SERVICE_NAME"] == OURS["service"]


@pytest.mark.parametrize("metric", Metric)
def test_every_metric_is_published_and_shown_on_the_dashboard(metric: Metric) -> None:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]

    assert is_published(metric)
    if metric is not Metric.UNEXPLAINED_LOSSES:  # an alarm, which is shown
        assert f'["BulkUserDeletion", "{metric}", "service", "${{AWS::StackName}}"' in body


def test_the_dashboard_is_json_and_shows_the_alarms() -> None:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    board = json.loads(re.sub(r"\$\{[^}]+\}", "x", body))

    assert board["widgets"]
    shown = set(re.findall(r"\$\{(\w+)Alarm\.Arn\}", body))
    assert shown == set(ALARMS) - {"ScheduleMissed"}  # which is not always there


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_named_after_the_stack_and_notifies_the_topic(name: str) -> None:
    alarm = ALARMS[name]

    assert alarm["AlarmName"] == {"Fn::Sub": f"${{AWS::StackName}}-{name}"}
    assert alarm["AlarmActions"] == [{"Ref": "Topic"}]
    assert alarm["TreatMissingData"] in {"notBreaching", "breaching"}


def test_no_alarm_looks_back_for_longer_than_cloudwatch_can() -> None:
    days = TEMPLATE["Parameters"]["ScheduleWatchDays"]["MaxValue"]

    assert ALARMS["ScheduleMissed"]["Period"] * days <= 7 * 24 * 3600
    assert ALARMS["ScheduleMissed"]["TreatMissingData"] == "breaching"


# The run book


def test_every_alarm_has_its_section_in_the_run_book_and_no_other_is_there() -> None:
    sections = re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)

    assert sections == list(ALARMS)


@pytest.mark.parametrize("name", ALARMS)
def test_a_section_says_what_it_means_what_to_look_at_and_what_to_do(name: str) -> None:
    section = RUNBOOK.split(f"\n## {name}\n")[1].split("\n## ")[0]

    for heading in ("**It means**", "**Look at**", "**Do**"):
        assert heading in section
    ours, aws = section.find("bulk-user-deletion "), section.find("    aws ")
    assert ours > -1  # a command to copy
    assert aws == -1 or ours < aws


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarms_description_leads_to_its_section(name: str) -> None:
    assert ALARMS[name]["AlarmDescription"].endswith(f": docs/runbook.md#{name.lower()}")
