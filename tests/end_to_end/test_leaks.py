"""Rule 6: after runs of every kind, no token, key, username or e-mail has leaked."""

import json
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import pytest

from local.engine import Engine
from local.portal import Fault, Knobs, PortalSimulator
from tests.end_to_end.conftest import Application


class Leaky:
    """A stack after happy, refused, failing, broken and aborted runs, and all that is left of them.

    What a person typed into a request may be in that execution's input, and in the input of
    FetchUserIds; nowhere else.
    """

    def __init__(self, application: Application) -> None:
        self.application = application
        self.aws = application.aws
        users = application.portal.database.execute("SELECT username, email FROM user")
        self.names = sorted({str(name).casefold() for row in users for name in row})
        sqs, sns = self.aws.client("sqs"), self.aws.client("sns")
        self.queue = sqs.create_queue(QueueName="told")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        sns.subscribe(
            TopicArn=application.outputs["TopicArn"],
            Protocol="sqs",
            Endpoint=attributes["Attributes"]["QueueArn"],
        )
        self._run_everything()
        self.secrets = [*application.portal.tokens(), application.portal.application_key]

    def _run_everything(self) -> None:
        application, portal = self.application, self.application.portal
        people = [f"user{number:04}" for number in range(110, 160)]
        mails = [f"{name}@example.com" for name in people]

        happy = application.apply([people[0], mails[1].upper(), "112", "nobody@example.com"])
        assert happy.status == "SUCCEEDED"
        application.drop("leavers.csv", f"username,email\n{people[3]},{mails[3]}\n".encode())
        application.drop("doubtful.csv", f"username,email\n{people[4]},{mails[5]}\n".encode())
        application.drop("leavers.json", json.dumps([{"user_id": people[4]}]).encode())
        application.drop("odd", f'"{people[4]}" {mails[4]}\n'.encode())
        application.preview(people[4:10], reason="HR-1234", requested_by="hr-automation")
        application.start({"source": {"users": [people[4]]}, mails[4]: True})
        application.start({"source": {"users": {people[4]: mails[4]}}})
        application.start({"source": {people[4]: mails[4]}, "mode": people[4]})

        portal.knobs = Knobs(token_life_seconds=1, seconds_per_delete=0.4)
        application.apply(people[10:14])
        for which in (Fault.CONFLICT, Fault.HTML_200, Fault.FORBIDDEN):
            application.behave()
            portal.knobs = Knobs(refusal=f"{people[14]} owns 12 elements")
            portal.faults.script(which)
            application.apply([people[14]])
        application.behave()
        portal.knobs = Knobs(delete_mode="ignored")
        application.apply([people[15], mails[16]])
        portal.knobs = Knobs(omit_user_fields=("email",))
        application.apply([people[17]])
        application.behave()
        portal.faults.rate(Fault.UNAUTHORIZED, 1, method="DELETE")
        application.apply([people[18]])
        application.behave()
        self._broken(people[19])
        application.behave()
        portal.knobs = Knobs(seconds_per_delete=2)
        aborted = application.start_execution({"mode": "apply", "source": {"users": people[20:24]}})
        while not any(request.method == "DELETE" for request in portal.requests[-3:]):
            time.sleep(0.05)
        application.abort(aborted)
        application.closed(aborted)
        self._settle()

    def _broken(self, person: str) -> None:
        """Make functions fail with errors that are not ours, with names within reach."""
        edited = self.application.preview([person])
        plan = f"runs/{edited.id}/plan.json"
        text = self.application.read(plan)
        for broken in (text[:-20], text.replace(b'"username"', b'"user"')):
            self.application.put(plan, broken)
            digest = sha256(broken).hexdigest()
            applied = self.application.start(
                {"mode": "apply", "plan": {"run_id": edited.id, "sha256": digest}}
            )
            assert applied.error not in {"", "RequestRefused"}

    def _settle(self) -> None:
        """Wait until the executions that the end of others has started have ended."""
        quiet = 0
        while quiet < 10:
            listed = self.aws.client("stepfunctions").list_executions(
                stateMachineArn=self.application.outputs["StateMachineArn"], statusFilter="RUNNING"
            )["executions"]
            quiet = 0 if listed else quiet + 1
            time.sleep(0.05)

    # Everywhere

    def logs(self) -> Iterator[str]:
        """Every line of every log; metrics in the embedded format are lines of it."""
        logs = self.aws.client("logs")
        for page in logs.get_paginator("describe_log_groups").paginate():
            for group in page["logGroups"]:
                events = logs.get_paginator("filter_log_events")
                for found in events.paginate(logGroupName=group["logGroupName"]):
                    yield from (event["message"] for event in found["events"])

    def executions(self) -> Iterator[str]:
        """Outputs, errors and histories of all executions, of children too, without their input."""
        sfn = self.aws.client("stepfunctions")
        parents = self.application.executions()
        runs = [run for arn in parents for run in sfn.list_map_runs(executionArn=arn)["mapRuns"]]
        children = [
            child["executionArn"]
            for run in runs
            for child in sfn.list_executions(mapRunArn=run["mapRunArn"])["executions"]
        ]
        assert len(parents) > 15
        assert len(children) > 15
        for arn in [*parents, *children]:
            execution = sfn.describe_execution(executionArn=arn)
            hidden = {"input"} if arn in parents else set()
            yield json.dumps({k: v for k, v in execution.items() if k not in hidden}, default=str)
            pages = sfn.get_paginator("get_execution_history").paginate(executionArn=arn)
            for page in pages:
                yield from (_without_request(event) for event in page["events"])

    def environments(self) -> Iterator[str]:
        """Every function's configuration."""
        for page in self.aws.client("lambda").get_paginator("list_functions").paginate():
            yield from (json.dumps(function, default=str) for function in page["Functions"])

    def queues(self) -> Iterator[str]:
        """Every message in every queue: notifications, and what could not be delivered."""
        sqs = self.aws.client("sqs")
        for url in sqs.list_queues().get("QueueUrls", []):
            while messages := sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600
            ).get("Messages"):
                yield from (json.dumps(message) for message in messages)

    def metrics(self) -> Iterator[str]:
        """Every metric's name and dimensions."""
        for page in self.aws.client("cloudwatch").get_paginator("list_metrics").paginate():
            yield from (json.dumps(metric) for metric in page["Metrics"])

    def ledger(self) -> Iterator[str]:
        """Every row of the table, except the portal's own words, which are only there."""
        for item in self.items():
            yield json.dumps({k: v for k, v in item.items() if k != "portal_message"}, default=str)

    def items(self) -> Iterator[dict[str, Any]]:
        """Every row of the table, as it is."""
        table = self.application.outputs["LedgerTableName"]
        for page in self.aws.client("dynamodb").get_paginator("scan").paginate(TableName=table):
            yield from page["Items"]


def _without_request(found: Mapping[str, Any]) -> str:
    """An event of a history, without what the operator typed, until FetchUserIds has read it."""
    event = json.loads(json.dumps(found, default=str))
    event.get("executionStartedEventDetails", {}).pop("input", None)
    entered = event.get("stateEnteredEventDetails", {})
    if entered.get("name") == "BeginRun":
        del entered["input"]
    scheduled = event.get("taskScheduledEventDetails", {})
    if "parameters" in scheduled:
        parameters = json.loads(scheduled["parameters"])
        if "FetchUserIds" in parameters["FunctionName"]:
            del parameters["Payload"]["request"]
        scheduled["parameters"] = json.dumps(parameters)
    return json.dumps(event)


@pytest.fixture(scope="module")
def leaky(aws: Engine) -> Iterator[Leaky]:
    with PortalSimulator(users=100) as portal:
        portal.application_key = "simulated-key-8d1f5c"
        yield Leaky(
            Application(
                aws,
                "leaky",
                portal,
                FileDropMode="apply",
                MaxUsersPerDay="1000",
                MaxPercentPerDay="100",
                CanaryUsers="0",
            )
        )


@pytest.mark.parametrize(
    ("place", "at_least", "holds"),
    [
        ("logs", 100, "User taken a step further"),
        ("executions", 500, "DeleteUser"),
        ("environments", 5, "LEDGER_TABLE"),
        ("queues", 15, "entries deleted"),
        ("metrics", 0, ""),
        ("ledger", 50, "intent"),
    ],
)
def test_rule_6_no_secret_and_no_name_is_in(
    leaky: Leaky, place: str, at_least: int, holds: str
) -> None:
    found = list(getattr(leaky, place)())

    assert len(found) >= at_least
    assert any(holds in text for text in found) or not holds
    assert len(leaky.secrets) > 3
    assert len(leaky.names) == 200
    for text in found:
        folded = text.casefold()
        for needle in (*leaky.secrets, *leaky.names):
            assert needle not in folded, text


def test_the_search_finds_what_a_person_typed_where_it_is_allowed(leaky: Leaky) -> None:
    """The search works: the inputs that it leaves out contain names."""
    sfn = leaky.aws.client("stepfunctions")
    inputs = [
        sfn.describe_execution(executionArn=arn)["input"] for arn in leaky.application.executions()
    ]

    assert any(name in text for text in inputs for name in leaky.names)


def test_the_search_finds_the_portals_own_words_where_they_are_allowed(leaky: Leaky) -> None:
    """The search works: what it leaves out of the ledger's rows contains names."""
    said = [item.get("portal_message", {}).get("S", "") for item in leaky.items()]

    assert any(name in text for text in said for name in leaky.names)


def test_rule_6_the_logs_name_errors_without_their_messages(leaky: Leaky) -> None:
    """A stack trace is in the log of a function that was not prepared for what it read."""
    assert any("Traceback" in line for line in leaky.logs())
