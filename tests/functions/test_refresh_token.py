"""RefreshToken: one caller at a time requests a token, the others find it stored."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from bulk_user_deletion.errors import (
    CredentialsRefused,
    PortalUnavailable,
    TokenBeingRenewed,
    TokenQuotaExceeded,
    TokenRejected,
)
from bulk_user_deletion.ledger.portal import PortalState
from local.portal import Knobs
from tests.functions.stack import Stack


def refresh(stack: Stack, rejected: str | None = None, renewals: int = 0) -> dict[str, Any]:
    return stack.invoke(
        "refresh_token",
        {
            "run_id": "run-1",
            "token": {"version_id": rejected, "renewals": renewals},
            "rejection": {
                "Error": "TokenRejected",
                "Cause": json.dumps({"errorMessage": str(TokenRejected(rejected))}),
            },
        },
    )


def stored(stack: Stack) -> dict[str, Any]:
    return dict(json.loads(stack.secrets.get_secret_value(SecretId="token")["SecretString"]))


def asked(stack: Stack) -> int:
    return sum("get_token" in request.path for request in stack.portal.requests)


def renewals(stack: Stack) -> int:
    run = stack.ledger.runs.read("run-1")
    assert run is not None
    return run.renewals


def test_the_first_token_is_fetched_and_stored_under_the_version_that_is_returned(
    stack: Stack,
) -> None:
    result = refresh(stack)

    assert result == {"version_id": stored(stack)["version_id"], "renewals": 1}
    version = stack.secrets.get_secret_value(SecretId="token")["VersionId"]
    assert version == result["version_id"]
    assert stored(stack)["user"] == stack.portal.api_user


def test_a_rejected_token_is_replaced(stack: Stack) -> None:
    first = refresh(stack)["version_id"]

    second = refresh(stack, rejected=first)["version_id"]

    assert second != first
    assert asked(stack) == 2


def test_a_caller_whose_older_token_was_rejected_gets_the_stored_one(stack: Stack) -> None:
    old = refresh(stack)["version_id"]
    new = refresh(stack, rejected=old)["version_id"]

    assert refresh(stack, rejected=old)["version_id"] == new
    assert asked(stack) == 2


def test_a_renewal_is_counted_once_in_its_run_and_a_stored_token_is_none(stack: Stack) -> None:
    stack.plan(["118"])
    before, rejected = renewals(stack), stored(stack)["version_id"]

    refresh(stack, rejected=rejected)
    refresh(stack, rejected=rejected)

    assert renewals(stack) == before + 1
    assert int(stored(stack)["issued_at"]) in stack.ledger.runs.renewals("run-1")


def test_while_another_caller_renews_the_token_the_step_waits(stack: Stack) -> None:
    stack.ledger.portal.take_token_lease("another-invocation", until=2**40, now=0)

    with pytest.raises(TokenBeingRenewed):
        refresh(stack)

    assert asked(stack) == 0


def test_50_callers_rejected_at_the_same_instant_cause_exactly_one_request_for_a_token(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_call_at_a_time(monkeypatch)
    rejected = refresh(stack)["version_id"]
    stack.portal.requests.clear()
    stack.portal.knobs = Knobs(seconds_per_token=0.2)
    together = threading.Barrier(50)

    def caller(_: int) -> str:
        together.wait()
        while True:
            try:
                return str(refresh(stack, rejected=rejected)["version_id"])
            except TokenBeingRenewed:  # the state machine's Retry
                time.sleep(0.02)

    with ThreadPoolExecutor(50) as callers:
        versions = set(callers.map(caller, range(50)))

    assert asked(stack) == 1
    assert versions == {stored(stack)["version_id"]}
    assert rejected not in versions


def test_a_token_that_was_stored_between_the_look_and_the_lease_is_taken(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejected = refresh(stack)["version_id"]
    take, newer = PortalState.take_token_lease, []

    def another_caller_was_faster(portal: PortalState, owner: str, **times: int) -> bool:
        monkeypatch.setattr(PortalState, "take_token_lease", take)
        newer.append(refresh(stack, rejected=rejected)["version_id"])
        return take(portal, owner, **times)

    monkeypatch.setattr(PortalState, "take_token_lease", another_caller_was_faster)

    assert refresh(stack, rejected=rejected)["version_id"] == newer[0]
    assert asked(stack) == 2


def one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make moto's conditional writes atomic among threads, as DynamoDB's are."""
    lock = threading.Lock()
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return call(*args, **kwargs)

    monkeypatch.setattr(BaseClient, "_make_api_call", locked)


def test_the_lease_of_a_caller_that_died_expires(stack: Stack) -> None:
    stack.ledger.portal.take_token_lease("another-invocation", until=1, now=0)

    refresh(stack)

    assert asked(stack) == 1


def test_the_lease_is_released_when_the_portal_does_not_answer(stack: Stack) -> None:
    stack.portal.knobs = Knobs(portal_is_down=True)
    with pytest.raises(PortalUnavailable):
        refresh(stack)
    stack.portal.knobs = Knobs()

    refresh(stack)

    assert asked(stack) == 2


def test_a_portal_that_rejects_every_token_stops_the_run_with_one_clear_message(
    stack: Stack,
) -> None:
    stack.plan(["118"])

    with pytest.raises(CredentialsRefused, match="5 new tokens in a row"):
        refresh(stack, rejected=stored(stack)["version_id"], renewals=5)

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert (run.stop.by, "5 new tokens" in run.stop.reason) == ("RefreshToken", True)


def test_refused_credentials_stop_the_run(stack: Stack) -> None:
    stack.plan(["118"])
    stack.fill_credentials(application_key="wrong")

    with pytest.raises(CredentialsRefused, match="Check application_id"):
        refresh(stack, rejected=stored(stack)["version_id"])

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None


def test_a_full_secret_stops_the_run_by_name_to_be_resumed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.plan(["118"])
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def full(self: BaseClient, operation: str, *args: Any) -> Any:
        if operation == "PutSecretValue":
            error = {"Error": {"Code": "LimitExceededException", "Message": "too many versions"}}
            raise ClientError(error, operation)  # type: ignore[arg-type]
        return call(self, operation, *args)

    monkeypatch.setattr(BaseClient, "_make_api_call", full)

    with pytest.raises(TokenQuotaExceeded, match="Resume the run tomorrow"):
        refresh(stack, rejected=stored(stack)["version_id"])

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert (run.stop.by, "API_TOKEN_LIFE_TIME" in run.stop.reason) == ("RefreshToken", True)
    assert stack.ledger.portal.take_token_lease("the next one", until=1, now=0)


def test_an_expiry_that_cannot_be_read_falls_back_to_the_configured_lifetime(stack: Stack) -> None:
    stack.portal.knobs = Knobs(expires_format="garbage")

    refresh(stack)

    assert stored(stack)["expires_at"] - stored(stack)["issued_at"] == 900


def test_rule_6_neither_the_token_nor_the_key_is_logged(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    refresh(stack)

    said = capsys.readouterr()
    assert stored(stack)["token"] not in said.out + said.err
    assert stack.portal.application_key not in said.out + said.err
