"""What a thousand users cost, at a minute a DELETE: counted calls times list prices.

Counted: transitions, invocations, and each function's calls to AWS. Modelled: billed time, from the
portal's minute and the CPU time of a warm invocation, of which a function of 128 MB gets a
fourteenth; token renewals, from the token's lifetime; KMS, as one request for each request to S3
and Secrets Manager, which is more than are sent.
"""

from collections import Counter
from collections.abc import Iterator
from statistics import mean
from typing import Any

from benchmarks.application import PROJECT, Application
from benchmarks.figures import Figure
from benchmarks.functions import Invocation, delete_events, environment, invoke, renew, with_token
from bulk_user_deletion.rules import prices
from bulk_user_deletion.rules.batches import BATCH_SIZE
from local.engine import Engine
from local.engine.packaging import load_template
from local.portal import PortalSimulator

_USERS = 1_000
_SAMPLE = 20
_SECONDS_PER_DELETE = 60
_WAIT = 60
_TOKEN_SECONDS = 900 - 30 - _SECONDS_PER_DELETE  # when it is renewed early

# AWS gives a function one processor for 1,769 MB.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
_MB_PER_PROCESSOR = 1_769

_TRANSITIONS_PER_USER = 4  # the child's start, DeleteUser, Finished?, Pace
_TRANSITIONS_PER_RENEWAL = 3  # RefreshTokenForUser, then DeleteUser again, and its time
_TRANSITIONS_PER_BATCH = 3  # NextBatch, AnyUsersLeft?, DeleteUsers
_TRANSITIONS_PER_RUN = 12


def run() -> Iterator[Figure]:
    """Count one run of a few users, and extrapolate to a thousand."""
    template = load_template(PROJECT / "template.yaml")
    with Engine() as aws, PortalSimulator(users=400) as portal:
        counted = _count(aws, portal)
    usd = _usd(counted, template)
    waiting = _USERS * _SECONDS_PER_DELETE * _gb(template, "DeleteUser") * prices.LAMBDA_GB_SECOND
    total = sum(usd.values())
    for service, part in usd.items():
        yield Figure("cost", f"{service}, {_USERS:,} users", part, "USD", how="modelled")
    yield Figure(
        "cost", f"all, {_USERS:,} users at 60 s", total, "USD", target=0.25, how="modelled"
    )
    yield Figure(
        "cost", "of which not waiting for the portal", total - waiting, "USD", 0.15, how="modelled"
    )
    yield Figure("cost", "fixed, a month", _fixed(template), "USD", how="modelled")


def _count(aws: Engine, portal: PortalSimulator) -> dict[str, list[Invocation]]:
    application = Application(aws, "bench", portal, CanaryUsers="0")
    variables = environment(aws, application)
    run: dict[str, Any] = {
        "run_id": "bench",
        "execution_arn": "arn:aws:states:us-east-1:000000000000:execution:bench:bench",
    }
    users = [str(user_id) for user_id in range(110, 110 + _SAMPLE + 1)]
    request = {"mode": "apply", "source": {"users": users}}
    planned = with_token("fetch_user_ids", {**run, "request": request}, variables)
    [batch] = invoke("next_batch", [{**run, "batch": {"number": 0}}], variables)
    events = delete_events(run, batch, users)
    cold, *warm = invoke("delete_user", events, variables)
    portal.expire_tokens()
    report = {**run, "failure": None, "look": True, "token": events[0]["token"]}
    [rejected] = invoke("report_run", [report], variables)
    renewal = renew("bench", rejected.message, variables)
    reported = with_token("report_run", report, variables)
    for invocation in (planned, batch, cold, *warm, renewal, reported):
        if invocation.error:
            raise RuntimeError(invocation.error)
    return {
        "FetchUserIds": [planned],
        "NextBatch": [batch],
        "DeleteUser": warm,
        "RefreshToken": [renewal],
        "ReportRun": [reported],
    }


def _usd(counted: dict[str, list[Invocation]], template: dict[str, Any]) -> dict[str, float]:
    renewals = _USERS * (_SECONDS_PER_DELETE + _WAIT) / _TOKEN_SECONDS
    batches = _USERS / BATCH_SIZE
    times = {
        "FetchUserIds": 2,
        "NextBatch": batches + 1,
        "DeleteUser": _USERS + renewals,
        "RefreshToken": renewals + 1,
        "ReportRun": 1,
    }
    calls: Counter[str] = Counter()
    seconds = writes = reads = 0.0
    for function, invocations in counted.items():
        often = times[function]
        memory = _gb(template, function)
        slower = _MB_PER_PROCESSOR / (memory * 1024)
        cpu = mean(invocation.cpu_seconds for invocation in invocations)
        waited = mean(invocation.seconds for invocation in invocations) - cpu
        if function == "DeleteUser":
            seconds += _USERS * _SECONDS_PER_DELETE * memory
        seconds += often * (cpu * max(1.0, slower) + waited) * memory
        writes += often * mean(invocation.writes for invocation in invocations)
        reads += often * mean(invocation.reads for invocation in invocations)
        for invocation in invocations:
            for name, number in invocation.calls.items():
                calls[name] += often * number / len(invocations)  # type: ignore[assignment]
    puts, gets = calls["s3:PutObject"], calls["s3:GetObject"]
    secrets = calls["secretsmanager:GetSecretValue"] + calls["secretsmanager:PutSecretValue"]
    transitions = (
        _USERS * _TRANSITIONS_PER_USER
        + renewals * _TRANSITIONS_PER_RENEWAL
        + batches * _TRANSITIONS_PER_BATCH
        + _TRANSITIONS_PER_RUN
    )
    return {
        "Step Functions": transitions * prices.STATE_TRANSITION,
        "Lambda": seconds * prices.LAMBDA_GB_SECOND + sum(times.values()) * prices.LAMBDA_REQUEST,
        "DynamoDB": writes * prices.LEDGER_WRITE + reads * prices.LEDGER_READ,
        # The Map reads each batch once more.
        "S3": puts * prices.S3_PUT + (gets + batches) * prices.S3_GET,
        "Secrets Manager": secrets * prices.SECRETS_REQUEST,
        "KMS": (puts + gets + secrets) * prices.KMS_REQUEST,
        "SNS": prices.SNS_PUBLISH,
    }


def _gb(template: dict[str, Any], function: str) -> float:
    properties = template["Resources"][f"{function}Function"]["Properties"]
    memory = properties.get("MemorySize", template["Globals"]["Function"]["MemorySize"])
    return float(memory) / 1024


def _fixed(template: dict[str, Any]) -> float:
    by_type = {
        "AWS::SecretsManager::Secret": prices.SECRET_MONTH,
        "AWS::KMS::Key": prices.KMS_KEY_MONTH,
        "AWS::CloudWatch::Alarm": prices.ALARM_MONTH,
        "AWS::CloudWatch::Dashboard": prices.DASHBOARD_MONTH,
    }
    return sum(by_type.get(resource["Type"], 0) for resource in template["Resources"].values())
