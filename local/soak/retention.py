"""Removes what AWS would have removed: the emulator keeps rows and objects for ever.

What is removed, and when, is read from the template: the table's time to live, and the bucket's
life-cycle rules. The clock is the engine's.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.engine import Engine

DAY = 24 * 3600


@dataclass(frozen=True)
class Rule:
    """A life-cycle rule: after how many days what is below a prefix goes, 0 for never."""

    prefix: str
    days: int = 0
    noncurrent_days: int = 0


def rules_of(template: Mapping[str, Any], parameters: Mapping[str, str]) -> list[Rule]:
    """Return the life-cycle rules of a template's only bucket, with a stack's parameters.

    Raises:
        NotImplementedError: a rule does what is not known here.
    """
    defaults = {name: one.get("Default") for name, one in template["Parameters"].items()}
    values = {**defaults, **parameters}

    def days(given: Any) -> int:
        return int(values[given["Ref"]] if isinstance(given, dict) else given)

    rules = []
    for rule in _only(template, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]:
        known = {"Id", "Status", "Prefix", "ExpirationInDays", "NoncurrentVersionExpiration"}
        if rule["Status"] != "Enabled" or rule.keys() - known - {"AbortIncompleteMultipartUpload"}:
            raise NotImplementedError(f"The life-cycle rule {rule['Id']}")
        noncurrent = rule.get("NoncurrentVersionExpiration", {})
        rules.append(
            Rule(
                rule.get("Prefix", ""),
                days(rule.get("ExpirationInDays", 0)),
                days(noncurrent.get("NoncurrentDays", 0)),
            )
        )
    return rules


def time_to_live_of(template: Mapping[str, Any]) -> str:
    """Return the attribute of a template's only table that says when a row expires."""
    specification = _only(template, "AWS::DynamoDB::Table")["TimeToLiveSpecification"]
    if not specification["Enabled"]:
        raise NotImplementedError("A time to live that is not enabled")
    return str(specification["AttributeName"])


def _only(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    [found] = [one for one in template["Resources"].values() if one["Type"] == kind]
    return dict(found["Properties"])


@dataclass
class Sweeper:
    """Sweeps one stack's table and bucket. It counts what it removed."""

    aws: Engine
    table: str
    bucket: str
    rows_removed: int = 0
    versions_removed: int = 0

    def sweep(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        """Remove what has expired by now, as a template and a stack's parameters say."""
        self._sweep_table(time_to_live_of(template))
        self._sweep_bucket(rules_of(template, parameters))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield every row of the table, in DynamoDB's types."""
        pages = self.aws.client("dynamodb").get_paginator("scan").paginate(TableName=self.table)
        for page in pages:
            yield from page["Items"]

    def versions(self) -> list[dict[str, Any]]:
        """Return every version and delete marker of the bucket, the newest of a key first.

        `IsMarker` tells the two apart; `ReplacedAt` is when the next one came, None for the newest.
        """
        pages = self.aws.client("s3").get_paginator("list_object_versions")
        found: list[dict[str, Any]] = []
        for page in pages.paginate(Bucket=self.bucket):
            for kind in ("Versions", "DeleteMarkers"):
                marker = kind == "DeleteMarkers"
                ones: list[Any] = list(page.get(kind, []))  # type: ignore[call-overload]
                found += [{**one, "IsMarker": marker} for one in ones]
        found.sort(key=lambda one: (one["Key"], one["IsLatest"], one["LastModified"]), reverse=True)
        key, newer = None, None
        for one in found:
            one["ReplacedAt"] = newer if one["Key"] == key else None
            key, newer = one["Key"], one["LastModified"].timestamp()
        return found

    def _sweep_table(self, attribute: str) -> None:
        client, now = self.aws.client("dynamodb"), self.aws.now()
        for row in list(self.rows()):
            if attribute in row and float(row[attribute]["N"]) <= now:
                client.delete_item(TableName=self.table, Key={"pk": row["pk"], "sk": row["sk"]})
                self.rows_removed += 1

    def _sweep_bucket(self, rules: list[Rule]) -> None:
        """Do what S3 does once a day.

        A current version that has expired gets a delete marker, and is removed as any noncurrent
        one is, later. A marker of which no versions are left goes as well, when it is as old as
        the rule lets current versions become:
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManagingDelMarkers.html
        """
        client, now = self.aws.client("s3"), self.aws.now()
        versions = self.versions()
        of_keys = Counter(one["Key"] for one in versions)
        for one in versions:
            of_key = [rule for rule in rules if one["Key"].startswith(rule.prefix)]
            expires = min((rule.days for rule in of_key if rule.days), default=None)
            noncurrent = min((r.noncurrent_days for r in of_key if r.noncurrent_days), default=None)
            aged = now - one["LastModified"].timestamp()
            if one["ReplacedAt"] is not None:
                is_over = noncurrent is not None and now - one["ReplacedAt"] >= noncurrent * DAY
            else:
                is_over = expires is not None and aged >= expires * DAY
            if not is_over:
                continue
            if one["ReplacedAt"] is None and not one["IsMarker"]:
                client.delete_object(Bucket=self.bucket, Key=one["Key"])
            elif not one["IsMarker"] or one["ReplacedAt"] is not None or of_keys[one["Key"]] == 1:
                version = {"Key": one["Key"], "VersionId": one["VersionId"]}
                client.delete_object(Bucket=self.bucket, **version)
                self.versions_removed += 1
