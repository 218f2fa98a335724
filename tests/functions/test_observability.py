"""The logs and metrics, as CloudWatch reads them."""

import json
from collections import Counter
from io import StringIO
from typing import Any

import pytest

from bulk_user_deletion.errors import CredentialsRefused
from bulk_user_deletion.observability import Metric, logger
from local.portal import Fault, Knobs, PortalSimulator
from tests.functions.stack import Stack


def published(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines in CloudWatch's embedded format.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return [line for line in map(json.loads, lines) if "_aws" in line]


def totals(capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    """Each metric's sum."""
    sums: Counter[str] = Counter()
    for line in published(capsys):
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "BulkUserDeletion"
        for metric in directive["Metrics"]:
            sums[metric["Name"]] += sum(line[metric["Name"]])
    return sums


def run(stack: Stack, users: list[str], run_id: str = "run-1", **request: Any) -> None:
    """A run from its plan to its report."""
    stack.plan(users, run_id, **request)
    for user_id, key in stack.hand_out(run_id).items():
        stack.delete_until_finished(user_id, key, run_id)
    stack.report_run(run_id)


def test_an_ended_run_is_counted_with_its_entries_by_outcome(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    run(stack, ["110", "111", "111", "999", "nobody@example.com"])

    counted = totals(capsys)

    assert counted.pop(Metric.DELETE_SECONDS) > 0
    assert counted == {
        Metric.RUNS_SUCCEEDED: 1,
        Metric.USERS_DELETED: 2,
        Metric.USERS_SKIPPED: 1,
        Metric.USERS_ALREADY_ABSENT: 1,
        Metric.USERS_UNRESOLVED: 1,
        Metric.UNEXPLAINED_LOSSES: 0,
        Metric.TOKEN_RENEWALS: 1,
    }


def test_users_that_stay_trip_the_breaker_and_fail_the_run(
    stack: Stack, portal: PortalSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    portal.knobs = Knobs(delete_mode="ignored")
    stack.plan(["110", "111", "112", "113", "114"])
    keys = stack.hand_out()
    for user_id in ("110", "111", "112"):
        stack.delete_until_finished(user_id, keys[user_id])
    portal.faults.script(Fault.FORBIDDEN, method="DELETE")
    portal.database.execute("DELETE FROM user WHERE user_id = 120")
    stack.report_run()

    counted = totals(capsys)

    assert counted[Metric.BREAKER_TRIPPED] == 1
    assert counted[Metric.RUNS_FAILED] == 1
    assert counted[Metric.USERS_UNKNOWN] == 3
    assert counted[Metric.USERS_NOT_ATTEMPTED] == 2
    assert counted[Metric.UNEXPLAINED_LOSSES] == 1


def test_a_user_that_the_portal_refuses_to_delete_is_counted(
    stack: Stack, portal: PortalSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    portal.faults.script(Fault.FORBIDDEN, method="DELETE")

    run(stack, ["110"])

    assert totals(capsys)[Metric.USERS_FAILED] == 1


def test_a_throttling_portal_is_counted(
    stack: Stack, portal: PortalSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    portal.faults.script(Fault.TOO_MANY_REQUESTS, method="DELETE")

    run(stack, ["110"])

    assert totals(capsys)[Metric.PORTAL_THROTTLES] == 1


def test_a_token_that_cannot_be_had_is_counted(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.fill_credentials(application_key="wrong")

    with pytest.raises(CredentialsRefused):
        stack.plan(["110"])

    assert totals(capsys) == {Metric.RENEWALS_REFUSED: 1}


def test_a_refused_run_is_counted_as_refused(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.report_run(failure={"Error": "RequestRefused", "Cause": "{}"})

    assert totals(capsys) == {Metric.RUNS_REFUSED: 1}


def test_a_scheduled_run_is_counted_and_a_preview_counts_nobody(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    request = {"mode": "preview", "source": {"users": ["110"]}}
    stack.fetch_user_ids({"scheduled_time": "2026-11-25T20:00:00Z", "request": request})
    started = totals(capsys)
    stack.report_run()

    # Counted when it starts, and once, though the first try found no token: a run that takes a
    # week, or ends without a report, was not missed.
    assert started == {Metric.SCHEDULED_RUNS: 1, Metric.TOKEN_RENEWALS: 1}
    assert totals(capsys) == {Metric.RUNS_SUCCEEDED: 1}


def test_rule_6_nothing_but_figures_is_published(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    run(stack, ["110", "user0111@example.com"])

    for line in published(capsys):
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] in ([[]], [["service"]])
        names = {metric["Name"] for metric in directive["Metrics"]}
        assert set(line) <= {"_aws", "service", *names}
        assert names <= set(Metric)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What the functions log from now on."""
    stream = StringIO()
    [handler] = logger.handlers
    monkeypatch.setattr(handler, "stream", stream)
    return stream


def test_every_line_names_its_run_and_an_error_says_what_it_was(
    stack: Stack, log: StringIO
) -> None:
    stack.fill_credentials(application_key="wrong")
    with pytest.raises(CredentialsRefused):
        stack.plan(["110"])

    lines = [json.loads(line) for line in log.getvalue().splitlines()]

    assert {line["run_id"] for line in lines} == {"run-1"}
    assert [line["error"] for line in lines] == ["TokenRejected", "CredentialsRefused"]
    assert "Check application_id" in lines[-1]["message"]


def test_rule_6_what_an_error_of_another_kind_says_is_not_logged(
    stack: Stack, log: StringIO
) -> None:
    event = {"run_id": "run-1", "execution_arn": "arn", "batch": {"jane.doe@example.com": 1}}

    with pytest.raises(KeyError):
        stack.invoke("next_batch", event)

    [line] = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (line["run_id"], line["error"]) == ("run-1", "KeyError")
    assert "jane.doe" not in json.dumps(line)
