"""Functions that Lambda refuses to invoke: idle for weeks, or unable to run at all."""

import json
import time
from collections.abc import Iterator

import pytest

from local.engine import Engine
from local.portal import Knobs, PortalSimulator
from tests.definition.test_retries import LONGEST_WAKING, WAKING
from tests.end_to_end.conftest import WAIT_SCALE, Application


@pytest.fixture(scope="module")
def deployed_alone(aws: Engine) -> Iterator[Application]:
    with PortalSimulator(users=200) as portal:
        yield Application(aws, "sleeping", portal, MaxUsersPerDay="200", MaxPercentPerDay="100")


@pytest.fixture
def application(deployed_alone: Application) -> Iterator[Application]:
    deployed_alone.behave()
    yield deployed_alone
    deployed_alone.aws.accept_invocations()


def put_to_sleep(application: Application) -> None:
    """Make every function inactive, as after weeks without a call, and as slow as possible."""
    for index, function in enumerate(application.functions):
        error = sorted(WAKING)[index % len(WAKING)]
        seconds = LONGEST_WAKING * WAIT_SCALE
        application.aws.refuse_invocations(function, error, seconds=seconds)


def refuse_for_good(application: Application, error: str) -> None:
    for function in application.functions:
        application.aws.refuse_invocations(function, error)


def dead_letters(application: Application) -> list[dict[str, str]]:
    """Take all messages from the queue that the alarm watches."""
    sqs = application.aws.client("sqs")
    found = []
    while messages := sqs.receive_message(
        QueueUrl=application.outputs["DeadLettersUrl"], MaxNumberOfMessages=10
    ).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(
                QueueUrl=application.outputs["DeadLettersUrl"],
                ReceiptHandle=message["ReceiptHandle"],
            )
    return found


def test_an_apply_succeeds_if_every_function_is_inactive_at_the_start(
    application: Application,
) -> None:
    leavers = application.leavers(3)
    known = set(application.executions())
    put_to_sleep(application)

    run = application.apply(leavers)

    assert (run.status, run.report["counts"]) == ("SUCCEEDED", {"deleted": 3})
    assert [request.user_id for request in run.writes] == leavers
    assert len(set(application.executions()) - known) == 1
    assert dead_letters(application) == []


def test_an_order_to_stop_gets_through_if_every_function_is_inactive(
    application: Application,
) -> None:
    put_to_sleep(application)
    stop = {"reason": "the wrong list", "by": "night shift"}

    said = application.order({"stop": stop})

    assert said == "The stop for every run on this portal is set: no further user is started."
    assert application.order({"lift": stop}) == "The stop for every run on this portal is lifted."


@pytest.mark.parametrize(
    "error",
    [
        "Lambda.TooManyRequestsException",  # a concurrency of 0
        "Lambda.KMSDisabledException",
        "Runtime.ImportModuleError",  # a broken layer
    ],
)
def test_if_no_function_can_run_there_is_one_closing_and_one_alarm(
    application: Application, error: str
) -> None:
    [leaver] = application.leavers(1)
    known = set(application.executions())
    refuse_for_good(application, error)
    before = len(application.portal.requests)

    run = application.start_execution({"mode": "apply", "source": {"users": [str(leaver)]}})
    assert application.wait(run)["status"] == "FAILED"
    closing = application.new_execution({*known, run})
    started = time.monotonic()
    assert application.wait(closing)["error"] == "ReportFailed"
    an_hour = 3600 * WAIT_SCALE
    assert time.monotonic() - started > an_hour
    time.sleep(2)  # long enough for another one, if there were any

    assert set(application.executions()) - known == {run, closing}
    assert application.portal.requests[before:] == []
    # Both are in one queue, which has one alarm, and it is on until the queue is emptied.
    names = [arn.rpartition(":")[2] for arn in (run, closing)]
    assert dead_letters(application) == [
        {"ended_without_report": name, "status": "FAILED"} for name in names
    ]
    application.aws.accept_invocations()
    assert application.order({"close": names[1]}) == f"There is no run {names[0]} to close."


def test_a_closing_is_retried_once_the_functions_run_again_within_the_hour(
    application: Application,
) -> None:
    leavers = application.leavers(2)
    application.portal.knobs = Knobs(seconds_per_delete=0.3)
    known = set(application.executions())
    run = application.start_execution(
        {"mode": "apply", "source": {"users": [str(u) for u in leavers]}}
    )
    # The DELETE, not a look before it, which may be answered with a rejected token.
    deleting = ("DELETE", leavers[0])
    while deleting not in [(r.method, r.user_id) for r in application.portal.requests]:
        time.sleep(0.02)
    refuse_for_good(application, "Lambda.TooManyRequestsException")
    assert application.wait(run)["error"] == "ReportFailed"
    closing = application.new_execution({*known, run})
    time.sleep(2)
    application.aws.accept_invocations()

    report = application.closed(run)
    application.wait(closing)

    assert report["counts"] == {"deleted": 1, "not_attempted": 1}
    assert set(application.executions()) - known == {run, closing}
    name = run.rpartition(":")[2]
    assert dead_letters(application) == [{"ended_without_report": name, "status": "FAILED"}]
    assert application.start({"mode": "apply", "resume": name}).report["counts"] == {"deleted": 2}
