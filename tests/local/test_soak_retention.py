"""Retention on the emulator removes what AWS would have removed, and nothing else."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from local.deployed import PROJECT
from local.engine import Engine
from local.engine.packaging import load_template
from local.soak.retention import DAY, Rule, Sweeper, rules_of, time_to_live_of

TEMPLATE = load_template(PROJECT / "template.yaml")
PARAMETERS = {"InboxDays": "30", "RetentionDays": "90"}


def test_the_rules_are_those_of_the_template_with_the_stacks_parameters() -> None:
    assert time_to_live_of(TEMPLATE) == "expires_at"
    assert rules_of(TEMPLATE, {"InboxDays": "7"}) == [
        Rule("inbox/", 7),
        Rule("roster/", 7),
        Rule("uploads/", 7),
        Rule("runs/", 400),
        Rule("results/", 400),
        Rule("", noncurrent_days=30),
    ]


def test_a_rule_that_does_something_unknown_is_an_error() -> None:
    template = deepcopy(TEMPLATE)
    bucket = template["Resources"]["DataBucket"]["Properties"]
    bucket["LifecycleConfiguration"]["Rules"][0]["Transitions"] = []

    with pytest.raises(NotImplementedError, match="Drops"):
        rules_of(template, {})


@pytest.fixture
def sweeper() -> Iterator[Sweeper]:
    with Engine() as aws:
        aws.client("s3").create_bucket(Bucket="data")
        aws.client("s3").put_bucket_versioning(
            Bucket="data", VersioningConfiguration={"Status": "Enabled"}
        )
        aws.client("dynamodb").create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        yield Sweeper(aws, "ledger", "data")


def put(sweeper: Sweeper, *keys: str) -> None:
    for key in keys:
        sweeper.aws.client("s3").put_object(Bucket="data", Key=key, Body=b"")


def swept(sweeper: Sweeper, *, days: float) -> list[tuple[str, str]]:
    """Let days pass and sweep; return the keys that are left, and what their versions are."""
    sweeper.aws.jump(days * DAY)
    sweeper.sweep(TEMPLATE, PARAMETERS)
    return [(one["Key"], _kind(one)) for one in sweeper.versions()]


def _kind(version: dict[str, Any]) -> str:
    if version["IsMarker"]:
        return "marker"
    return "current" if version["IsLatest"] else "noncurrent"


def test_an_object_gets_a_marker_when_its_days_are_over_and_goes_a_month_later(
    sweeper: Sweeper,
) -> None:
    put(sweeper, "inbox/a.csv", "runs/1/plan.json", "protected.csv")
    others = [("protected.csv", "current"), ("runs/1/plan.json", "current")]

    assert sorted(swept(sweeper, days=29.9)) == [("inbox/a.csv", "current"), *others]
    assert sorted(swept(sweeper, days=0.2)) == [
        ("inbox/a.csv", "marker"),
        ("inbox/a.csv", "noncurrent"),
        *others,
    ]
    assert sorted(swept(sweeper, days=30)) == [("inbox/a.csv", "marker"), *others]
    assert sorted(swept(sweeper, days=0.1)) == others
    assert sorted(swept(sweeper, days=300))[0] == ("protected.csv", "current")


def test_an_object_that_is_written_again_is_kept_from_then_on(sweeper: Sweeper) -> None:
    put(sweeper, "runs/1/plan.json")
    assert swept(sweeper, days=60) == [("runs/1/plan.json", "current")]
    put(sweeper, "runs/1/plan.json")

    assert sorted(swept(sweeper, days=29)) == [
        ("runs/1/plan.json", "current"),
        ("runs/1/plan.json", "noncurrent"),
    ]
    assert swept(sweeper, days=2) == [("runs/1/plan.json", "current")]


def test_a_row_goes_when_its_time_to_live_is_over_and_one_without_never(sweeper: Sweeper) -> None:
    client, now = sweeper.aws.client("dynamodb"), int(sweeper.aws.now())
    for name, expiry in {"soon": now + DAY, "later": now + 100 * DAY, "never": None}.items():
        item = {"pk": {"S": name}, "sk": {"S": "row"}}
        client.put_item(
            TableName="ledger", Item=item | ({"expires_at": {"N": str(expiry)}} if expiry else {})
        )

    swept(sweeper, days=2)
    assert {row["pk"]["S"] for row in sweeper.rows()} == {"later", "never"}
    swept(sweeper, days=100)
    assert {row["pk"]["S"] for row in sweeper.rows()} == {"never"}
