"""The data bucket: dropped files, plans, batches, reports."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from bulk_user_deletion.bucket_keys import (
    LONGEST_KEY,
    batch_key,
    batches_prefix,
    check_key,
    is_evidence,
    names_batch,
    open_users_key,
    plan_key,
    population_key,
    record_key,
    report_key,
    result_key,
    roster_key,
    watch_key,
)
from bulk_user_deletion.errors import PlanEdited, RequestRefused, StoreUnavailable
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Plan, PlannedUser
from bulk_user_deletion.models.portal_checks import PortalCheck
from bulk_user_deletion.models.requests import S3Object
from bulk_user_deletion.models.rosters import NamedUsers
from bulk_user_deletion.models.users import PortalUser
from bulk_user_deletion.models.watch import Population
from bulk_user_deletion.plan_files import (
    batch_from_json,
    batch_to_json,
    plan_from_json,
    plan_to_json,
    users_from_json,
    users_to_json,
)
from bulk_user_deletion.rules.protection import Protection, read_protected_list
from bulk_user_deletion.rules.text import showable_json
from bulk_user_deletion.store import CONFIG, error_code, store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef, PutObjectRequestTypeDef

# How long the bucket keeps overwritten and deleted objects: a lifecycle rule of the template.
OLD_VERSION_DAYS = 30

_CHUNK = 2**20  # hashed in chunks: a list of a hundred thousand users is not held whole


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest version of an object, and when it was written, in epoch seconds."""

    version_id: str
    written_at: float


class Bucket:
    """Objects of the data bucket, by key.

    Evidence is locked for `lock_days` when it is written: S3 then keeps this very version.
    """

    def __init__(self, name: str, *, lock_days: int = 0) -> None:
        self.name = name
        self._lock_days = lock_days
        self._s3: S3Client = boto3.client("s3", config=CONFIG)

    def read(self, s3_object: S3Object, *, limit: int) -> bytes:
        """Return the content of a dropped file, in exactly the version that was dropped.

        Raises:
            RequestRefused: it was deleted or replaced, or is larger than `limit` bytes.
            StoreUnavailable: S3 does not answer.
        """
        request: GetObjectRequestTypeDef = {"Bucket": s3_object.bucket, "Key": s3_object.key}
        if s3_object.version_id:
            request["VersionId"] = s3_object.version_id
        elif s3_object.etag:
            request["IfMatch"] = s3_object.etag
        where = f"s3://{s3_object.bucket}/{s3_object.key}"
        with store_errors(f"Reading {where}"):
            try:
                answer = self._s3.get_object(**request)
            except ClientError as error:
                raise _refusal(error, where) or error from None
            if answer["ContentLength"] > limit:
                raise RequestRefused(
                    f"{where} has {answer['ContentLength']} bytes, and {limit} are allowed."
                )
            return answer["Body"].read()

    def is_current(self, s3_object: S3Object) -> bool:
        """Return whether a dropped file is still the newest version of its object.

        Raises:
            RequestRefused: it was deleted.
            StoreUnavailable: S3 does not answer.
        """
        where = f"s3://{s3_object.bucket}/{s3_object.key}"
        with store_errors(f"Looking at {where}"):
            try:
                now = self._s3.head_object(Bucket=s3_object.bucket, Key=s3_object.key)
            except ClientError as error:
                raise _refusal(error, where) or error from None
        if s3_object.version_id:
            return now.get("VersionId") == s3_object.version_id
        return now["ETag"].strip('"') == s3_object.etag

    def newest(self, s3_object: S3Object) -> Newest | None:
        """Return the newest version of a dropped file, or None if it was deleted."""
        with store_errors(f"Looking at s3://{s3_object.bucket}/{s3_object.key}"):
            try:
                found = self._s3.head_object(Bucket=s3_object.bucket, Key=s3_object.key)
            except ClientError as error:
                if error_code(error) in {"NoSuchKey", "404"}:
                    return None
                raise
        return Newest(found.get("VersionId", ""), found["LastModified"].timestamp())

    def write_plan(self, plan: Plan) -> bytes:
        """Store a plan and return its bytes, from which its sha256 is computed."""
        body = plan_to_json(plan)
        self._put(plan_key(plan.run_id), body, "application/json")
        return body

    def keep(self, key: str, *, if_older_than: int, now: float) -> None:
        """Write an object again that is older than so many seconds: it expires later."""
        with store_errors(f"Looking at s3://{self.name}/{key}"):
            try:
                found = self._s3.head_object(Bucket=self.name, Key=key)
            except ClientError as error:
                if error_code(error) in {"NoSuchKey", "404"}:
                    return
                raise
        if now - found["LastModified"].timestamp() > if_older_than:
            self._put(key, self._get(key), found["ContentType"])

    def read_plan(self, run_id: str) -> Plan | None:
        """Return a run's plan, or None if planning did not get that far."""
        sealed = self.read_sealed(run_id)
        return sealed[0] if sealed else None

    def read_sealed(self, run_id: str) -> tuple[Plan, str] | None:
        """Return a run's plan and the sha256 of its bytes."""
        body = self._get(plan_key(run_id))
        if not body:
            return None
        digest, text = sha256(body).hexdigest(), body.decode()
        del body  # a large plan is not held twice while it is read
        return plan_from_json(text), digest

    def read_protected(self, key: str) -> list[Protection]:
        """Return the protected list stored under `key`; an empty key means that there is no list.

        Raises:
            RequestRefused: the list is missing or malformed.
        """
        if not key:
            return []
        body = self._get(key)
        if not body:
            raise RequestRefused(
                f"The protected list s3://{self.name}/{key} is missing or empty: without it nobody"
                " is deleted. Put it back, or clear the parameter ProtectedList."
            )
        return read_protected_list(body)

    def write_open_users(self, run_id: str, round_number: int, user_ids: Iterable[str]) -> None:
        """Store which users were open when a run was resumed."""
        key = open_users_key(run_id, round_number)
        self._put(key, json.dumps(list(user_ids)).encode(), "application/json")

    def read_open_users(self, run_id: str, round_number: int) -> list[str]:
        """Return the users that were open when a run was resumed, in the order to process them."""
        user_ids: list[str] = json.loads(self._get(open_users_key(run_id, round_number)) or b"[]")
        return user_ids

    def write_batch(
        self,
        run_id: str,
        round_number: int,
        number: int,
        users: Iterable[PortalUser],
        action: Action,
    ) -> str:
        """Store the users of a batch and return its key, which contains the sha256 of its bytes."""
        body = batch_to_json(users, action)
        digest = sha256(body).hexdigest()
        key = batch_key(run_id, round_number, number, digest)
        self._put(key, body, "application/json")
        return key

    def batch_keys(self, run_id: str) -> Iterator[str]:
        """Yield the keys of all batches of a run."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=batches_prefix(run_id)
        )
        with store_errors(f"Listing s3://{self.name}/{batches_prefix(run_id)}"):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield found["Key"]

    def read_batch(self, key: str) -> dict[str, PlannedUser]:
        """Return the users of a batch and what is planned for them, keyed by id.

        Raises:
            PlanEdited: the object is not the batch that was stored under this key.
        """
        body = self._get(key)
        if not names_batch(key, sha256(body).hexdigest()):
            raise PlanEdited(
                f"The batch s3://{self.name}/{key} is not the one that was handed out: somebody"
                " edited it. Nobody else is deleted. Find out who did, then start a new run."
            )
        return {planned.user.user_id: planned for planned in batch_from_json(body)}

    def write_record(self, run_id: str, round_number: int, user_id: str, record: Any) -> None:
        """Store everything that the portal returned about a user, unchanged."""
        self.write_json(record_key(run_id, round_number, user_id), record)

    def read_record(self, run_id: str, round_number: int, user_id: str) -> dict[str, Any]:
        """Return what the portal returned about a user before the newest request up to this round.

        Raises:
            StoreUnavailable: there is none, although a request was sent.
        """
        for number in range(round_number, 0, -1):
            if body := self._get(record_key(run_id, number, user_id)):
                record: dict[str, Any] = json.loads(body)
                return record
        raise StoreUnavailable(f"The record of user {user_id} before the request is missing.")

    def write_users(self, key: str, users: Iterable[PortalUser]) -> None:
        """Store users: a batch, or all of the portal's."""
        self._put(key, users_to_json(users), "application/json")

    def read_users(self, key: str) -> dict[str, PortalUser]:
        """Return stored users, keyed by id."""
        return _by_id(self._get(key) or b"[]")

    def write_named(self, run_id: str, named: NamedUsers) -> None:
        """Store whom a roster names."""
        ids = {"now": sorted(named.now, key=int), "ever": sorted(named.ever, key=int)}
        self._put(roster_key(run_id), json.dumps(ids).encode(), "application/json")

    def read_named(self, run_id: str) -> NamedUsers | None:
        """Return whom an accepted roster names, or None if that has expired."""
        body = self._get(roster_key(run_id))
        if not body:
            return None
        ids: dict[str, list[str]] = json.loads(body)
        return NamedUsers(frozenset(ids["now"]), frozenset(ids["ever"]))

    def digest(self, key: str) -> str:
        """Return the sha256 of an object, or an empty string if there is none."""
        with store_errors(f"Reading s3://{self.name}/{key}"):
            try:
                body = self._s3.get_object(Bucket=self.name, Key=key)["Body"]
            except self._s3.exceptions.NoSuchKey:
                return ""
            hashed = sha256()
            for chunk in body.iter_chunks(_CHUNK):
                hashed.update(chunk)
        return hashed.hexdigest()

    def read_report(self, run_id: str, suffix: str) -> bytes:
        """Return a run's report in one of its formats, or an empty string if there is none."""
        return self._get(report_key(run_id, suffix))

    def write_check(self, run_id: str, check: PortalCheck) -> None:
        """Store what a check of the portal found."""
        self.write_json(check_key(run_id), asdict(check))

    def read_check(self, run_id: str) -> PortalCheck:
        """Return what a check of the portal found."""
        return PortalCheck(**json.loads(self._get(check_key(run_id))))

    def write_watch(self, run_id: str, found: Mapping[str, Any]) -> None:
        """Store what a watch found, as `rules.watch` says it."""
        self.write_json(watch_key(run_id), found)

    def read_watch(self, run_id: str) -> dict[str, Any]:
        """Return what a watch found."""
        found: dict[str, Any] = json.loads(self._get(watch_key(run_id)))
        return found

    def write_population(self, run_id: str, population: Population) -> None:
        """Store the ids that a watch saw listed."""
        body = json.dumps(asdict(population)).encode()
        self._put(population_key(run_id), body, "application/json")

    def read_population(self, run_id: str) -> Population | None:
        """Return the ids that a watch saw listed, or None if they have expired."""
        body = self._get(population_key(run_id))
        if not body:
            return None
        found = json.loads(body)
        return Population(found["at"], tuple(found["user_ids"]))

    def write_answer(self, dropped_key: str, said: Mapping[str, Any], page: str) -> None:
        """Store the answer to a dropped file, for programs and as a page for people.

        A file gets none if the answer's key would exceed S3's limit.
        """
        if len(result_key(dropped_key).encode()) <= LONGEST_KEY:
            self.write_text(result_key(dropped_key, "html"), page, "text/html")
            self.write_json(result_key(dropped_key), said)

    def read_answer(self, dropped_key: str) -> dict[str, Any]:
        """Return the answer to a dropped file, or an empty string if there is none."""
        found: dict[str, Any] = json.loads(self._get(result_key(dropped_key)) or b"{}")
        return found

    def write_json(self, key: str, data: Mapping[str, Any]) -> str:
        """Store a JSON document, with terminal control characters escaped; return its sha256."""
        text = showable_json(json.dumps(data, ensure_ascii=False, indent=2))
        return self._put(key, text.encode(), "application/json")

    def write_text(self, key: str, text: str, content_type: str) -> str:
        """Store text as UTF-8; return its sha256."""
        return self._put(key, text.encode(), f"{content_type}; charset=utf-8")

    def _put(self, key: str, body: bytes, content_type: str) -> str:
        """Store an object; return the sha256 of its bytes."""
        request: PutObjectRequestTypeDef = {
            "Bucket": self.name,
            "Key": key,
            "Body": body,
            "ContentType": content_type,
        }
        if self._lock_days and is_evidence(key):
            # A checksum is required with a lock:
            # https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
            request["ChecksumAlgorithm"] = "SHA256"
            request["ObjectLockMode"] = "GOVERNANCE"
            request["ObjectLockRetainUntilDate"] = datetime.now(UTC) + timedelta(
                days=self._lock_days
            )
        with store_errors(f"Writing s3://{self.name}/{key}"):
            self._s3.put_object(**request)
        return sha256(body).hexdigest()

    def _get(self, key: str) -> bytes:
        with store_errors(f"Reading s3://{self.name}/{key}"):
            try:
                return self._s3.get_object(Bucket=self.name, Key=key)["Body"].read()
            except self._s3.exceptions.NoSuchKey:
                return b""


def _refusal(error: ClientError, where: str) -> RequestRefused | None:
    """Return why a dropped file cannot be read, or None if S3 itself failed."""
    if error_code(error) in {"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404"}:
        return RequestRefused(f"{where} no longer exists. Drop the file again.")
    if error_code(error) in {"PreconditionFailed", "412"}:
        return RequestRefused(
            f"{where} was replaced after this run was started: the run that the new file started"
            " will read it."
        )
    if error_code(error) in {"AccessDenied", "403"}:
        return RequestRefused(f"{where} may not be read by this stack. Use the stack's own bucket.")
    return None


def _by_id(body: bytes) -> dict[str, PortalUser]:
    return {user.user_id: user for user in users_from_json(body)}
