"""Runs that disable users: on the real functions, against a portal that may change them oddly."""

from collections.abc import Callable

import pytest

from bulk_user_deletion.models.users import Outcome, ReasonKind
from local.portal import Fault, PortalSimulator
from tests.functions.stack import Stack

SetParameter = Callable[[str, str], None]

LEAVERS = ["110", "111", "112"]


@pytest.fixture
def disabling(stack: Stack, portal: PortalSimulator, set_parameter: SetParameter) -> Stack:
    """A stack that only disables, and a portal in which everybody is enabled."""
    set_parameter("LEAVER_ACTION", "disable")
    for user_id in portal.user_ids():
        portal.edit(user_id, enabled="Y", ldap="N")
    return stack


def run(stack: Stack, users: list[str], run_id: str = "run-1", **request: object) -> dict[str, int]:
    """Apply a list of users from the plan to the report; return the counts."""
    stack.plan(users, run_id, **request)
    stack.work_off(run_id)
    return dict(stack.report_run(run_id)["counts"])


def enabled(portal: PortalSimulator, *user_ids: str) -> list[str]:
    rows = portal.database.execute("SELECT user_id, enabled FROM user")
    found = {str(row["user_id"]): row["enabled"] for row in rows}
    return [found.get(user_id, "gone") for user_id in user_ids]


def sent(portal: PortalSimulator, method: str) -> list[int | None]:
    return [request.user_id for request in portal.requests if request.method == method]


def test_users_are_disabled_and_nobody_is_deleted(
    disabling: Stack, portal: PortalSimulator
) -> None:
    before = portal.user_ids()

    counts = run(disabling, LEAVERS)

    assert counts == {"disabled": 3}
    assert enabled(portal, *LEAVERS, "113") == ["N", "N", "N", "Y"]
    assert sent(portal, "PUT") == [110, 111, 112]
    assert not sent(portal, "DELETE")
    assert portal.user_ids() == before
