"""How doctor interprets what it finds; the end-to-end tests show that it finds it."""

from typing import cast

import pytest
from botocore.exceptions import ClientError

from bulk_user_deletion import errors
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.doctor import Finding, State, _clock, _looked, _stack, portal_findings
from bulk_user_deletion_cli.stack_name import LONGEST

DEPLOYMENT = cast("Deployment", None)


@pytest.mark.parametrize(
    ("code", "state"),
    [("AccessDeniedException", State.UNKNOWN), ("ResourceNotFoundException", State.WRONG)],
)
def test_what_an_operator_may_not_look_at_is_unknown_and_not_wrong(code: str, state: State) -> None:
    def look(what: str, deployment: Deployment) -> Finding:
        error = {"Error": {"Code": code, "Message": "no"}}
        raise ClientError(error, "DescribeRule")  # type: ignore[arg-type]

    finding = _looked("File drops", look, DEPLOYMENT)

    assert finding.state is state
    assert "DescribeRule" in finding.said


@pytest.mark.parametrize(
    ("length", "state", "said"),
    [(LONGEST, State.WELL, "CREATE_COMPLETE"), (LONGEST + 1, State.WRONG, f"at most {LONGEST}")],
)
def test_a_stack_whose_name_is_too_long_is_wrong(length: int, state: State, said: str) -> None:
    finding = _stack("Stack", "n" * length, "CREATE_COMPLETE")

    assert finding.state is state
    assert said in finding.said


@pytest.mark.parametrize(
    ("seconds", "state", "said"),
    [
        (0.4, State.WELL, "within"),
        (-61, State.WRONG, "61 s ahead"),
        (400, State.WRONG, "400 s behind"),
        (None, State.UNKNOWN, "not known"),
    ],
)
def test_a_clock_may_be_off_by_a_minute(seconds: float | None, state: State, said: str) -> None:
    finding = _clock("Clock", seconds)

    assert finding.state is state
    assert said in finding.said


@pytest.mark.parametrize("error", errors.PermanentError.__subclasses__(), ids=lambda e: e.__name__)
def test_every_error_of_a_check_is_one_wrong_thing_and_says_the_cause(
    error: type[Exception],
) -> None:
    found = list(portal_findings(error.__name__, "The key is wrong. Report: s3://data/x"))

    wrong = [finding for finding in found if finding.state is State.WRONG]
    assert [finding.said for finding in wrong] == ["The key is wrong."]
    assert found[-1] is wrong[0]


def test_everything_before_the_error_is_fine() -> None:
    found = list(portal_findings("UserManagementDenied", "No."))

    assert [(finding.what, finding.state) for finding in found] == [
        ("Portal", State.WELL),
        ("Token", State.WELL),
        ("User management", State.WRONG),
    ]
