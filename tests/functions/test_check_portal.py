"""{"check": "portal"}: whether this stack can work with the portal, checked by itself."""

from typing import Any

import pytest

from bulk_user_deletion.errors import (
    PortalAnswerUnusable,
    PortalUnavailable,
    RequestRefused,
    UserManagementDenied,
)
from local.portal import Knobs
from tests.functions.stack import Stack


def check(stack: Stack) -> dict[str, Any]:
    return stack.fetch_user_ids({"check": "portal"}, "check-1")


def test_a_check_stores_what_it_found_and_starts_no_run(stack: Stack) -> None:
    done = check(stack)

    assert (done["next_step"], done["users"]) == ("nothing", 0)
    found = stack.read_json("runs/check-1/check.json")
    assert (found["portal_users"], found["is_administrator"]) == (40, True)
    assert abs(found["clock_ahead_seconds"]) <= 2
    assert stack.keys() == ["runs/check-1/check.json"]
    assert stack.ledger.runs.read("check-1") is None
    assert stack.writes() == []


@pytest.mark.parametrize(
    ("knobs", "error", "said"),
    [
        (Knobs(user_management=False), UserManagementDenied, "Application Can Manage Users"),
        (Knobs(portal_is_down=True), PortalUnavailable, "did not answer"),
        (Knobs(omit_user_fields=("email",)), PortalAnswerUnusable, "its record lacks email"),
    ],
)
def test_what_would_stop_a_run_fails_the_check(
    stack: Stack, knobs: Knobs, error: type[Exception], said: str
) -> None:
    stack.portal.knobs = knobs

    with pytest.raises(error, match=said):
        check(stack)


def test_if_our_user_may_not_list_the_others_an_administrator_is_recommended(
    stack: Stack,
) -> None:
    stack.fill_credentials(user="user0118")

    with pytest.raises(UserManagementDenied, match="Use an administrator"):
        check(stack)


def test_a_protected_list_that_is_missing_fails_the_check(stack: Stack, set_parameter: Any) -> None:
    set_parameter("PROTECTED_LIST", "protected.csv")

    with pytest.raises(RequestRefused, match=r"protected\.csv is missing"):
        check(stack)


def test_anything_else_to_check_is_refused(stack: Stack) -> None:
    with pytest.raises(RequestRefused, match="check"):
        stack.fetch_user_ids({"check": "coffee"})
