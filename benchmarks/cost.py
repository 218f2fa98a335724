"""What a thousand users cost, at a minute a DELETE: counted calls times list prices.

Deleted directly, and in two steps: disabled first, at two seconds a PUT, and deleted when due.

Counted: transitions, invocations, and each function's calls to AWS. Modelled: billed time, from the
portal's minute and the CPU time of a warm invocation, of which a function of 128 MB gets a
fourteenth; token renewals, from the token's lifetime; KMS, as one request for each request to S3
and Secrets Manager, which is more than are sent.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from benchmarks.application import PROJECT, Application
from benchmarks.figures import Figure
from benchmarks.functions import Invocation, environment, invoke, renew, user_events, with_token
from bulk_user_deletion.ledger.rows import LEAVERS
from bulk_user_deletion.rules import costs, prices
from bulk_user_deletion.rules.batches import BATCH_SIZE
from bulk_user_deletion.rules.costs import TRANSITIONS_PER_RENEWAL, TRANSITIONS_PER_USER
from bulk_user_deletion.rules.leavers import DAY
from local.engine import Engine
from local.engine.packaging import load_template
from local.portal import Knobs, PortalSimulator

SIZES = (10, 100, 1_000)
_AT_A_TIME = 10
_QUICK = 1.0  # seconds per DELETE where runs are compared with their estimates

_USERS = 1_000
_SAMPLE = 20
_TOKEN_SECONDS = 900 - 30

# AWS gives a function one processor for 1,769 MB.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
_MB_PER_PROCESSOR = 1_769

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
_PARTITION_WRITES = 1_000
_PARTITION_READS = 3_000
_MOST_AT_A_TIME = 20  # `Concurrency` allows no more

_TRANSITIONS_PER_BATCH = 3  # NextBatch, AnyUsersLeft?, DeleteUsers
_TRANSITIONS_PER_RUN = 12


@dataclass(frozen=True)
class Phase:
    """What a run does to each user: the function, and the seconds of its request and its pause."""

    function: str
    seconds: int
    wait: int


DELETE = Phase("DeleteUser", seconds=60, wait=60)
DISABLE = Phase("SwitchUser", seconds=2, wait=0)

Counted = dict[str, list[Invocation]]


def run() -> Iterator[Figure]:
    """Count runs of a few users, and extrapolate each to a thousand."""
    template = load_template(PROJECT / "template.yaml")
    with Engine() as aws, PortalSimulator(users=400) as portal:
        bench = _Bench(aws, portal)
        direct = bench.count(DELETE, "bench", [*range(110, 110 + _SAMPLE + 1)])
        leavers = [*range(210, 210 + _SAMPLE + 1)]
        for user_id in leavers:
            portal.edit(user_id, enabled="Y")
        disabled = bench.count(DISABLE, "disable", leavers, action="disable_then_delete")
        bench.age_leavers()
        due = bench.count(DELETE, "due", leavers, source={"due": True})
    usd = _usd(direct, DELETE, template)
    total = sum(usd.values())
    for service, part in usd.items():
        yield _figure(f"{service}, {_USERS:,} users", part)
    yield _figure(f"all, {_USERS:,} users at 60 s", total, 0.25)
    yield _figure("of which not waiting for the portal", total - _waiting(DELETE, template), 0.15)
    first = sum(_usd(disabled, DISABLE, template).values())
    then = sum(_usd(due, DELETE, template).values())
    waiting = _waiting(DISABLE, template) + _waiting(DELETE, template)
    yield _figure(f"disabling {_USERS:,} users first, at 2 s", first)
    yield _figure(f"deleting {_USERS:,} users who are due, at 60 s", then, 0.25)
    yield _figure("both phases", first + then)
    yield _figure("of which not waiting for the portal, both phases", first + then - waiting, 0.25)
    both = 2 * _USERS * TRANSITIONS_PER_USER * prices.STATE_TRANSITION
    yield _figure("of which the users' own transitions, both phases", both)
    yield _figure("fixed, a month", _fixed(template))
    for phase, counted in ((DELETE, direct), (DISABLE, disabled)):
        yield from calls_per_user(phase.function, counted[phase.function])
        yield from busiest_partition(phase, counted[phase.function])
    yield from side_by_side()


def calls_per_user(function: str, invocations: Sequence[Invocation]) -> Iterator[Figure]:
    """Count the calls to AWS of a user's invocation: those between one request and the next."""
    services: Counter[str] = Counter()
    for invocation in invocations:
        for call, number in invocation.calls.items():
            services[call.partition(":")[0]] += number
    for service, number in sorted(services.items()):
        yield Figure("calls", f"{function} to {service}, per user", number / len(invocations))


def busiest_partition(phase: Phase, invocations: Sequence[Invocation]) -> Iterator[Figure]:
    """Compare what users write to the ledger's busiest partition with what DynamoDB allows."""
    written, read = Counter[str](), Counter[str]()
    for invocation in invocations:
        written.update(invocation.written)
        read.update(invocation.read)
    [(partition, units)] = written.most_common(1)
    name = partition.partition("#")[0]
    users = len(invocations)
    per_second = _MOST_AT_A_TIME / phase.seconds
    yield Figure("ledger", f"{phase.function}: writes to `{name}`, per user", units / users)
    yield Figure("ledger", f"{phase.function}: reads of it, per user", read[partition] / users)
    yield Figure(
        "ledger",
        f"{phase.function}: its share of a partition's writes, {_MOST_AT_A_TIME} at a time,"
        f" {phase.seconds} s each",
        100 * per_second * units / users / _PARTITION_WRITES,
        "%",
        target=100,
    )
    yield Figure(
        "ledger",
        f"{phase.function}: users a second that a partition allows",
        min(
            _PARTITION_WRITES * users / units,
            _PARTITION_READS * users / max(read.values()),
        ),
    )


def side_by_side(*, sizes: tuple[int, ...] = SIZES) -> Iterator[Figure]:
    """Compare what reports say that runs took with what their plans had estimated.

    The portal takes a second for a DELETE. At a minute, both grow by the same.
    """
    knobs = Knobs(seconds_per_delete=_QUICK)
    with (
        Engine(wait_scale=0.001) as aws,
        PortalSimulator(users=sum(sizes) + 200, knobs=knobs) as portal,
    ):
        application = Application(
            aws, "sides", portal, Pacing="adaptive", Concurrency=str(_AT_A_TIME), CanaryUsers="0"
        )
        first = 110
        application.apply(range(first, first + 10))  # from now on the pace is known
        first += 10
        for size in sizes:
            report = application.apply(range(first, first + size)).report
            first += size
            yield from _compared(size, report)


def _compared(size: int, report: dict[str, Any]) -> Iterator[Figure]:
    part = f"cost, {size:,} users"
    cost = report["cost"]
    modelled = costs.expected(size, seconds=_QUICK, wait_seconds=0, concurrency=_AT_A_TIME)
    yield Figure(part, "estimate of the plan", report["estimate"]["usd"], "USD", how="modelled")
    yield Figure(part, "what the report says", cost["usd"], "USD")
    for name in ("transitions", "ledger_writes", "gb_seconds"):
        took = cost["measured"][name] + cost["modelled"][name]
        yield Figure(part, f"{name}: estimated", getattr(modelled, name), how="modelled")
        yield Figure(part, f"{name}: taken", took)


def _figure(what: str, usd: float, target: float | None = None) -> Figure:
    return Figure("cost", what, usd, "USD", target, how="modelled")


class _Bench:
    """A stack whose functions are invoked one after the other, as its state machine would."""

    def __init__(self, aws: Engine, portal: PortalSimulator) -> None:
        self._aws, self._portal = aws, portal
        self._application = Application(aws, "bench", portal, CanaryUsers="0")
        self._variables = environment(aws, self._application)

    def count(self, phase: Phase, run_id: str, user_ids: list[int], **request: Any) -> Counted:
        """Carry out a run of one batch; the first user's function is cold, and is left out."""
        variables = self._variables
        run: dict[str, Any] = {
            "run_id": run_id,
            "execution_arn": f"arn:aws:states:us-east-1:000000000000:execution:bench:{run_id}",
        }
        users = [str(user_id) for user_id in user_ids]
        request = {"mode": "apply", "source": {"users": users}, **request}
        planned = with_token("fetch_user_ids", {**run, "request": request}, variables)
        [batch] = invoke("next_batch", [{**run, "batch": {"number": 0}}], variables)
        events = user_events(run, batch, users)
        name = {"DeleteUser": "delete_user", "SwitchUser": "switch_user"}[phase.function]
        cold, *warm = invoke(name, events, variables)
        self._portal.expire_tokens()
        report = {**run, "failure": None, "look": True, "token": events[0]["token"]}
        [rejected] = invoke("report_run", [report], variables)
        renewal = renew(run_id, rejected.message, variables)
        reported = with_token("report_run", report, variables)
        for invocation in (planned, batch, cold, *warm, renewal, reported):
            if invocation.error:
                raise RuntimeError(invocation.error)
        if not reported.result["succeeded"]:
            raise RuntimeError(reported.result["sentence"])
        return {
            "FetchUserIds": [planned],
            "NextBatch": [batch],
            phase.function: warm,
            "RefreshToken": [renewal],
            "ReportRun": [reported],
        }

    def age_leavers(self) -> None:
        """Make everybody who was disabled be due: their grace time is over."""
        table = self._application.outputs["LedgerTableName"]
        dynamodb = self._aws.client("dynamodb")
        for item in dynamodb.scan(TableName=table)["Items"]:
            if item["pk"]["S"] == LEAVERS:
                dynamodb.update_item(
                    TableName=table,
                    Key={"pk": item["pk"], "sk": item["sk"]},
                    UpdateExpression="ADD due_at :seconds, seen_disabled_at :seconds",
                    ExpressionAttributeValues={":seconds": {"N": str(-365 * DAY)}},
                )


def _usd(counted: Counted, phase: Phase, template: dict[str, Any]) -> dict[str, float]:
    token_seconds = _TOKEN_SECONDS - phase.seconds  # when it is renewed early
    renewals = _USERS * (phase.seconds + phase.wait) / token_seconds
    batches = _USERS / BATCH_SIZE
    times = {
        "FetchUserIds": 2,
        "NextBatch": batches + 1,
        phase.function: _USERS + renewals,
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
        if function == phase.function:
            seconds += _USERS * phase.seconds * memory
        seconds += often * (cpu * max(1.0, slower) + waited) * memory
        writes += often * mean(invocation.writes for invocation in invocations)
        reads += often * mean(invocation.reads for invocation in invocations)
        for invocation in invocations:
            for name, number in invocation.calls.items():
                calls[name] += often * number / len(invocations)  # type: ignore[assignment]
    puts, gets = calls["s3:PutObject"], calls["s3:GetObject"]
    secrets = calls["secretsmanager:GetSecretValue"] + calls["secretsmanager:PutSecretValue"]
    transitions = (
        _USERS * TRANSITIONS_PER_USER
        + renewals * TRANSITIONS_PER_RENEWAL
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


def _waiting(phase: Phase, template: dict[str, Any]) -> float:
    gb_seconds = _USERS * phase.seconds * _gb(template, phase.function)
    return gb_seconds * prices.LAMBDA_GB_SECOND


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
