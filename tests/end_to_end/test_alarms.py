"""The alarms watch what the functions publish: each one goes off."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from local.engine import Engine
from local.portal import Knobs, PortalSimulator
from tests.definition.loading import RESOURCES
from tests.end_to_end.conftest import Application

ALARMS = {
    name.removesuffix("Alarm")
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
# The metrics of AWS's own services, and a day without a scheduled run: published here by hand.
BY_HAND = {"DeadLettersThere": 1.0, "ScheduleMissed": 0.0}


class Watched:
    """A stack after runs that ended as badly as possible, and the metrics in its log."""

    def __init__(self, aws: Engine, portal: PortalSimulator) -> None:
        self.application = Application(
            aws,
            "watched",
            portal,
            CanaryUsers="0",
            MaxUsers="4",
            MaxDisablePercent="100",
            ScheduleExpression="cron(0 20 ? * FRI *)",
            ScheduleInput='{"source": {"dataset_id": 42}}',
        )
        self.cloudwatch = aws.client("cloudwatch")
        portal.knobs = Knobs(delete_mode="ignored")
        arn = self.application.start_execution(
            {"mode": "apply", "source": {"users": ["110", "111", "112", "113"]}}
        )
        while not any(request.method == "DELETE" for request in portal.requests):
            time.sleep(0.05)
        portal.database.execute("DELETE FROM user WHERE user_id = 130")
        self.application.ended(arn, 0)
        self._leave(portal)
        portal.expire_tokens()
        aws.client("secretsmanager").put_secret_value(
            SecretId=self.application.outputs["CredentialsSecretArn"],
            SecretString=json.dumps({"application_id": "1", "application_key": "2", "user": "3"}),
        )
        self.application.preview(["110"])
        lines = aws.logs(self.application.outputs["LogGroupName"])
        self.published = [json.loads(line) for line in lines if line.startswith('{"_aws"')]

    def _leave(self, portal: PortalSimulator) -> None:
        """Disable six users; when they are due, one is back, and one too many is left."""
        portal.knobs = Knobs()
        leavers = [str(user_id) for user_id in range(140, 146)]
        for user_id in leavers:
            portal.edit(int(user_id), enabled="Y", ldap="N")
        self.application.apply(leavers, action="disable_then_delete")
        portal.edit(140, enabled="Y")
        self.application.age_leavers(days=34)
        self.application.start({"mode": "apply", "source": {"due": True}})
        self.application.order({"check": "population"})

    def alarms(self) -> dict[str, dict[str, Any]]:
        """The alarms of this stack by their names in the template."""
        listed = self.cloudwatch.describe_alarms(AlarmNamePrefix="watched-")["MetricAlarms"]
        return {alarm["AlarmName"].removeprefix("watched-"): alarm for alarm in listed}

    def publish(self) -> None:
        """Extract the metrics from the log, as CloudWatch does and the emulator does not."""
        for line in self.published:
            for directive in line["_aws"]["CloudWatchMetrics"]:
                [names] = directive["Dimensions"]
                for metric in directive["Metrics"]:
                    for value in line[metric["Name"]]:
                        self._put(
                            directive["Namespace"],
                            metric["Name"],
                            {name: line[name] for name in names},
                            value,
                        )

    def publish_by_hand(self, name: str, value: float) -> None:
        """Publish what an alarm watches."""
        alarm = self.alarms()[name]
        dimensions = {item["Name"]: item["Value"] for item in alarm["Dimensions"]}
        self._put(alarm["Namespace"], alarm["MetricName"], dimensions, value)

    def series(self) -> set[tuple[str, str, tuple[tuple[str, str], ...]]]:
        """Every namespace, metric and dimensions with data."""
        return {
            (
                metric["Namespace"],
                metric["MetricName"],
                tuple((item["Name"], item["Value"]) for item in metric["Dimensions"]),
            )
            for metric in self.cloudwatch.list_metrics()["Metrics"]
        }

    def _put(self, namespace: str, name: str, dimensions: dict[str, str], value: float) -> None:
        self.cloudwatch.put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()],
                    "Timestamp": datetime.now(UTC),
                    "Value": value,
                }
            ],
        )


@pytest.fixture(scope="module")
def watched(aws: Engine) -> Iterator[Watched]:
    with PortalSimulator(users=60) as portal:
        yield Watched(aws, portal)


def test_each_alarm_goes_off(watched: Watched) -> None:
    before = watched.alarms()
    watched.publish()
    for name, value in BY_HAND.items():
        watched.publish_by_hand(name, value)
    after = watched.alarms()

    assert set(after) == ALARMS
    assert "ALARM" not in {alarm["StateValue"] for alarm in before.values()}
    assert {name for name, alarm in after.items() if alarm["StateValue"] == "ALARM"} == ALARMS


def test_an_alarm_watches_just_the_series_that_is_published(watched: Watched) -> None:
    # The emulator ignores dimensions; AWS does not.
    watched.publish()
    for name, alarm in watched.alarms().items():
        dimensions = tuple((item["Name"], item["Value"]) for item in alarm["Dimensions"])
        if name not in BY_HAND:
            assert (alarm["Namespace"], alarm["MetricName"], dimensions) in watched.series()
            assert dimensions == (("service", "watched"),)
