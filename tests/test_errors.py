"""The errors' names and sentences: what the state machine matches on and the operator reads."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion import errors
from bulk_user_deletion.errors import (
    BulkUserDeletionError,
    PermanentError,
    RequestRefused,
    RetryableError,
    TokenRejected,
    sentence_of,
)
from bulk_user_deletion.models.tokens import Credentials, Token

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, BulkUserDeletionError)
]
FAMILIES = {BulkUserDeletionError, RetryableError, PermanentError}
NAMES = {error.__name__ for error in CLASSES}


def caught(error: Exception) -> dict[str, str]:
    """What Step Functions catches when a Lambda function raises `error`."""
    cause = {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": ['  File "/var/task/app.py", line 20, in lambda_handler\n    jdoe\n'],
    }
    return {"Error": type(error).__name__, "Cause": json.dumps(cause)}


@pytest.mark.parametrize("error", [error for error in CLASSES if error not in FAMILIES])
def test_every_error_is_either_retryable_or_permanent(error: type[Exception]) -> None:
    assert issubclass(error, RetryableError) is not issubclass(error, PermanentError)


def test_the_names_are_an_interface_of_the_state_machine() -> None:
    assert {error.__name__ for error in CLASSES if issubclass(error, RetryableError)} == {
        "RetryableError",
        "TokenRejected",
        "TokenBeingRenewed",
        "PortalUnavailable",
        "StoreUnavailable",
    }
    assert {error.__name__ for error in CLASSES if issubclass(error, PermanentError)} == {
        "PermanentError",
        "RequestRefused",
        "OrderRefused",
        "PortalBusy",
        "CredentialsRefused",
        "TokenQuotaExceeded",
        "UserManagementDenied",
        "PortalAnswerUnusable",
        "PlanEdited",
        "RunClosed",
    }


@given(st.uuids().map(str))
def test_the_rejected_version_is_found_again_in_what_step_functions_caught(version: str) -> None:
    error = TokenRejected(version)

    assert error.version_id == version
    assert TokenRejected.version_in(caught(error)["Cause"]) == version


@pytest.mark.parametrize(
    "cause",
    [
        caught(TokenRejected(None))["Cause"],
        "",
        "The portal no longer accepts token version None.",
        "version 4e1b8a02-6a07-4f7d-9d2a-1c7a3b5d9f10",
        "token version 1234",
    ],
)
def test_where_no_version_was_rejected_none_is_found(cause: str) -> None:
    assert TokenRejected.version_in(cause) is None


@pytest.mark.parametrize("error", [error for error in CLASSES if error is not TokenRejected])
def test_the_message_of_our_own_errors_is_used(error: type[Exception]) -> None:
    assert sentence_of(caught(error("Check the list."))) == "Check the list."


def test_the_message_of_a_rejected_token_is_used() -> None:
    assert sentence_of(caught(TokenRejected(None))) == "No portal token is stored yet."


@pytest.mark.parametrize(
    "failure",
    [
        caught(KeyError("jdoe@example.com")),
        caught(ValueError("jdoe@example.com")),
        {"Error": "Lambda.Unknown", "Cause": "jdoe@example.com"},
        {"Error": "States.Timeout", "Cause": ""},
        {"Error": "States.Timeout"},
    ],
)
def test_rule_6_what_any_other_error_said_is_not_repeated(failure: dict[str, str]) -> None:
    said = sentence_of(failure)

    assert said == f"A step ended with {failure['Error']}: see the logs of this run's functions."


@pytest.mark.parametrize(
    "cause", ["", "not JSON: jdoe", "null", "[]", "7", '"jdoe"', "{}", '{"errorType": "jdoe"}']
)
def test_rule_6_a_cause_that_no_function_wrote_is_not_repeated(cause: str) -> None:
    said = sentence_of({"Error": "RequestRefused", "Cause": cause})

    assert said.startswith("A step ended with RequestRefused")
    assert "jdoe" not in said


def test_a_failure_without_a_name_has_a_sentence_too() -> None:
    assert sentence_of({}).startswith("A step ended with an error")


@given(
    st.dictionaries(st.sampled_from(["Error", "Cause"]), st.text() | st.sampled_from(sorted(NAMES)))
)
def test_every_failure_gets_a_sentence(failure: dict[str, str]) -> None:
    assert sentence_of(failure)


def test_rule_6_neither_a_token_nor_a_key_nor_a_username_is_shown_when_an_object_is() -> None:
    token = Token("v1", value="t0ken", issued_at=0, expires_at=900, user="jdoe")
    credentials = Credentials("application", application_key="k3y", user="jdoe")

    shown = f"{token!r} {token} {credentials!r} {credentials} {RequestRefused([token])}"

    assert not any(secret in shown for secret in ("t0ken", "k3y", "jdoe"))
