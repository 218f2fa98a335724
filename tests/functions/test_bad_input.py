"""Invalid input is reported and answered before any user is deleted."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from bulk_user_deletion import errors
from bulk_user_deletion.models.runs import Mode
from bulk_user_deletion.request import read_request
from local.portal import Fault, Knobs
from tests.functions.machine import Machine
from tests.functions.stack import Stack, dropped
from tests.input_table import code, request, rows

REQUESTS = rows("Refused requests")
CONDITIONS = rows("When the portal or a secret is not in order")


def knobs(**changes: Any) -> Callable[[Stack], None]:
    def turn(stack: Stack) -> None:
        stack.portal.knobs = Knobs(**changes)

    return turn


def as_it_is(stack: Stack) -> None:
    pass


def malformed_secret(stack: Stack) -> None:
    stack.secrets.put_secret_value(SecretId="credentials", SecretString="not JSON")


SETUPS: dict[str, Callable[[Stack], None]] = {
    "no such dataset": as_it_is,
    "a dataset that our user may not read": knobs(dataset_access=False),
    "a dataset without `user_id`": as_it_is,
    "a dataset with an empty `user_id`": knobs(null_rows=1),
    "a file that is not there": as_it_is,
    "an empty source": as_it_is,
    "wrong credentials": lambda stack: stack.fill_credentials(application_key="wrong"),
    "a secret that is empty, or malformed": malformed_secret,
    "no user management": knobs(user_management=False),
    "the portal is down": knobs(portal_is_down=True),
    "a web page in place of JSON": lambda stack: stack.portal.faults.rate(
        Fault.HTML_200, 1, method="GET"
    ),
}


@pytest.fixture
def datasets(stack: Stack) -> Stack:
    """The datasets 42, 43 and 44 that the page refers to."""
    for column, where in (
        ("user_id", "user_id = 118"),
        ("username", "user_id = 118"),
        ("user_id", "user_id < 0"),
    ):
        stack.portal.add_dataset(f"SELECT {column} FROM user WHERE {where}")
    return stack


@pytest.mark.parametrize("row", REQUESTS, ids=lambda row: row[0])
def test_a_request_of_the_page_is_refused_as_it_says(row: tuple[str, ...]) -> None:
    _, document, message = row

    with pytest.raises(errors.RequestRefused) as refused:
        read_request(request(document), file_drop_mode=Mode.APPLY)

    assert str(refused.value) == message


@pytest.mark.parametrize("row", CONDITIONS, ids=lambda row: row[0])
def test_a_condition_of_the_page_ends_as_it_says(datasets: Stack, row: tuple[str, ...]) -> None:
    what, document, name, message = row
    SETUPS[what](datasets)

    with pytest.raises(errors.BulkUserDeletionError) as ended:
        datasets.fetch_user_ids({**request(document), "mode": "apply"})

    assert (type(ended.value).__name__, str(ended.value)) == (code(name), message)
    assert datasets.writes() == []


# The answer to the drop


def notifications(stack: Stack) -> list[str]:
    """The notifications that subscribers received since the queue was created."""
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="told")["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"])["Message"] for message in messages]


@pytest.fixture
def told(stack: Stack) -> Stack:
    """A stack with a subscriber."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    boto3.client("sns").subscribe(
        TopicArn=stack.topic_arn, Protocol="sqs", Endpoint=arn["QueueArn"]
    )
    return stack


def answer(stack: Stack, key: str = "inbox/leavers.csv") -> Any:
    return stack.read_json(f"results/{key}.json")


def remove_file(stack: Stack) -> None:
    stack.s3.delete_object(Bucket="data", Key="inbox/leavers.csv")
    versions = stack.s3.list_object_versions(Bucket="data", Prefix="inbox/")["Versions"]
    for version in versions:
        stack.s3.delete_object(Bucket="data", Key=version["Key"], VersionId=version["VersionId"])


def press_stop(stack: Stack) -> None:
    stack.ledger.portal.press_stop(reason="portal upgrade", by="platform team", now=1)


@pytest.mark.parametrize(
    ("file", "setup", "status", "said"),
    [
        (b"user_id\n118\n../1\n", as_it_is, "REFUSED", "The user_id in line 3"),
        (b"", as_it_is, "REFUSED", "The source is empty"),
        (b"PK\x03\x04", as_it_is, "REFUSED", "The file is a damaged Excel workbook"),
        (b"user_id\n9001\n9002\n", as_it_is, "REFUSED", "2 of 2 entries are not in the portal"),
        (b"user_id\n118\n", remove_file, "REFUSED", "no longer exists"),
        (b"user_id\n118\n", press_stop, "REFUSED", "platform team stopped every run"),
        (b"user_id\n118\n", SETUPS["wrong credentials"], "FAILED", "refused our credentials"),
        (b"user_id\n118\n", SETUPS["the portal is down"], "FAILED", "did not answer"),
    ],
)
def test_a_drop_without_effect_is_answered_beside_it_and_notified(
    told: Stack, file: bytes, setup: Callable[[Stack], None], status: str, said: str
) -> None:
    event = dropped(told, file)
    setup(told)

    summary = Machine(told).execute(event, "run-1")

    assert not summary["succeeded"]
    beside = answer(told)
    assert (beside["status"], beside["run_id"]) == (status, "run-1")
    assert said in beside["sentence"]
    assert beside["report"] == "s3://data/runs/run-1/report.json"
    assert "deleted" not in beside["counts"]
    [message] = notifications(told)
    assert said in message
    assert told.writes() == []


def test_a_drop_that_is_carried_out_is_answered_beside_it(told: Stack) -> None:
    key = "inbox/2026/leavers of März + 100%.csv"

    Machine(told).execute(dropped(told, b"user_id\n118\n", key), "run-1")

    assert answer(told, key)["counts"] == {"deleted": 1}
    assert len(notifications(told)) == 1


def test_rule_7_of_an_event_delivered_twice_the_first_run_answers(told: Stack) -> None:
    event = dropped(told, b"user_id\n118\n")
    machine = Machine(told)
    machine.execute(event, "run-1")

    again = machine.execute(event, "run-2")

    assert again["nothing_because"] == "The same event started run run-1 before."
    assert answer(told)["run_id"] == "run-1"
    assert len(notifications(told)) == 1
    assert [request.user_id for request in told.writes()] == [118]


def test_a_folder_is_not_a_drop_and_is_not_answered(told: Stack) -> None:
    ended = Machine(told).execute(dropped(told, b"", "inbox/2026/"), "run-1")

    assert ended["nothing_because"] == "The event names a folder, not a file."
    assert [key for key in told.keys() if key.startswith("results/")] == []  # noqa: SIM118
    assert notifications(told) == []
