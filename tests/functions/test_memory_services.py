"""The services in memory answer as moto does: the same calls lead to the same answers."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.functions.memory_services import Services

KEYS = st.sampled_from(["one", "another/one"])
CALLS = st.one_of(
    st.tuples(
        st.just("s3"),
        st.just("put_object"),
        st.fixed_dictionaries(
            {"Bucket": st.just("data"), "Key": KEYS, "Body": st.binary(max_size=5)},
            optional={"ContentType": st.just("text/csv")},
        ),
    ),
    st.tuples(
        st.just("s3"),
        st.sampled_from(["get_object", "head_object"]),
        st.fixed_dictionaries({"Bucket": st.just("data"), "Key": KEYS}),
    ),
    st.tuples(
        st.just("secretsmanager"),
        st.just("put_secret_value"),
        st.fixed_dictionaries(
            {
                "SecretId": st.just("token"),
                "SecretString": st.text("ab", min_size=1),
                "ClientRequestToken": st.uuids().map(str),
            }
        ),
    ),
    st.tuples(
        st.just("secretsmanager"),
        st.just("get_secret_value"),
        st.fixed_dictionaries({"SecretId": st.sampled_from(["token", "no such secret"])}),
    ),
    st.tuples(
        st.just("stepfunctions"),
        st.sampled_from(["describe_execution", "get_execution_history"]),
        st.just({"executionArn": "arn:aws:states:us-east-1:123456789012:execution:machine:nobody"}),
    ),
)
# What the application reads of an answer.
READ = ("ContentLength", "ContentType", "ETag", "SecretString", "VersionId")


def answers(calls: list[tuple[str, str, dict[str, Any]]]) -> list[Any]:
    """Make calls, and return what was answered, or the name and code of the error."""
    found: list[Any] = []
    for service, method, values in calls:
        client: Any = boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]
        try:
            answer = getattr(client, method)(**values)
        except ClientError as error:
            found.append((type(error).__name__, error.response["Error"]["Code"]))
            continue
        body = answer["Body"].read() if "Body" in answer else b""
        is_object = service == "s3"  # whose versions are random
        read = {n: answer[n] for n in READ if n in answer and not (is_object and n == "VersionId")}
        found.append((body, read if method != "put_object" else read["ETag"]))
    return found


@settings(max_examples=25)
@given(calls=st.lists(CALLS, max_size=8))
def test_the_same_calls_are_answered_as_by_moto(
    calls: list[tuple[str, str, dict[str, Any]]],
) -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="data")
        s3.put_bucket_versioning(Bucket="data", VersioningConfiguration={"Status": "Enabled"})
        boto3.client("secretsmanager", region_name="us-east-1").create_secret(Name="token")
        by_moto = answers(calls)
    services = Services()

    def answer(client: BaseClient, operation: str, given: dict[str, Any]) -> Any:
        return services.answer(client, operation, given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", answer)
        in_memory = answers(calls)

    assert in_memory == by_moto


def test_a_copy_changes_on_its_own() -> None:
    services = Services()
    put: Callable[[Services, bytes], Any] = lambda those, body: those.call(  # noqa: E731
        "PutObject", {"Key": "key", "Body": body}
    )
    put(services, b"before")

    put(services.copy(), b"after")

    assert services.objects["key"].body == b"before"


def test_what_the_application_does_not_use_is_refused() -> None:
    with pytest.raises(AssertionError, match="does not use DeleteObject"):
        Services().call("DeleteObject", {"Key": "key"})
