"""What starts a run on the whole machine, and what does not start it twice."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.engine import DeployError, Engine
from local.portal import PortalSimulator
from tests.end_to_end.conftest import Application


@pytest.fixture(scope="module")
def scheduled(aws: Engine) -> Iterator[Application]:
    """A stack whose schedule fires within seconds: a preview of dataset 42."""
    with PortalSimulator(users=60) as portal:
        portal.add_dataset("SELECT user_id FROM user WHERE user_id IN (118, 119)")
        soon = datetime.now(UTC) + timedelta(seconds=1)
        yield Application(
            aws,
            "scheduled",
            portal,
            ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})",
            ScheduleTimezone="UTC",
            ScheduleInput='{"source": {"dataset_id": 42}, "reason": "weekly review"}',
        )


def test_a_schedule_fires_and_previews_a_dataset(scheduled: Application) -> None:
    run = scheduled.ended(scheduled.new_execution(set()), 0)

    assert run.status == "SUCCEEDED"
    assert run.report["trigger"] == "schedule"
    assert run.report["reason"] == "weekly review"
    assert run.outcomes == {"118": "would_delete", "119": "would_delete"}
    assert "/api/dataset_data" in {request.path for request in run.requests}
    assert run.writes == []


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"ScheduleInput": "dataset 42"}, "ScheduleInput"),
        ({"ScheduleInput": ""}, "ScheduleInput"),
        ({"ScheduleExpression": "rate(1 day)"}, "ScheduleInput must hold the request"),
    ],
)
def test_a_schedule_without_a_request_is_refused_when_the_stack_is_deployed(
    aws: Engine, parameters: dict[str, str], said: str
) -> None:
    with PortalSimulator(users=1) as portal, pytest.raises(DeployError, match=said):
        Application(aws, "never", portal, **parameters)


def test_a_file_dropped_twice_is_two_runs_and_deletes_once(application: Application) -> None:
    leavers = application.leavers(2)
    content = "user_id\n" + "".join(f"{user_id}\n" for user_id in leavers)

    first = application.drop("twice.csv", content.encode())
    again = application.drop("twice.csv", content.encode())
    copied = application.drop("copy of twice.csv", content.encode())

    assert [request.user_id for request in first.writes] == leavers
    assert again.writes == copied.writes == []
    for run in (again, copied):
        assert run.status == "SUCCEEDED"
        assert run.report["status"] == "NOBODY_DELETED"
        assert {row["reason"] for row in run.report["rows"]} == {"deleted by an earlier run"}
    assert application.read_json("results/inbox/twice.csv.json")["run_id"] == again.id
    assert application.read_json("results/inbox/copy of twice.csv.json")["run_id"] == copied.id


def test_rule_7_an_event_delivered_twice_is_one_run_and_the_second_names_the_first(
    application: Application,
) -> None:
    (leaver,) = application.leavers(1)
    first = application.drop("delivered twice.csv", f"user_id\n{leaver}\n".encode())
    before = len(application.portal.requests)

    said = application.order(application.input_of(first.id))

    assert said == f"The same event started run {first.id} before."
    assert application.portal.requests[before:] == []
    answer = application.read_json("results/inbox/delivered twice.csv.json")
    assert (answer["run_id"], answer["counts"]) == (first.id, {"deleted": 1})


@pytest.mark.parametrize(
    "name", ["2026/leavers + 100% of März.json", "no suffix", "日本語.jsonl", "a&b='c'.csv"]
)
def test_any_object_below_the_inbox_is_read_whatever_its_name(
    application: Application, name: str
) -> None:
    first, second = application.leavers(2)
    content = json.dumps({"users": [{"id": 7, "userName": f"user{first:04}"}, {"user_id": second}]})

    run = application.drop(name, content.encode())

    assert run.report["counts"] == {"deleted": 2}
    assert application.read_json(f"results/inbox/{name}.json")["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04", "a damaged Excel workbook or ZIP archive"),
        (b"user_id\n118\n../1\n", "The user_id in line 3, column user_id is not a user id"),
        (b"[" * 100_000, "nested too deeply|entry 1 is not a value"),
        (b"x" * 1_000_000, "Line 1 is longer than 65536 characters"),
    ],
)
def test_a_malformed_file_deletes_nobody_and_is_answered(
    application: Application, content: bytes, said: str
) -> None:
    run = application.drop("malformed", content)

    assert (run.status, run.error) == ("FAILED", "RequestRefused")
    assert run.requests == []
    answer: dict[str, Any] = application.read_json("results/inbox/malformed.json")
    assert (answer["status"], answer["run_id"]) == ("REFUSED", run.id)
    assert any(part in answer["sentence"] for part in said.split("|"))
