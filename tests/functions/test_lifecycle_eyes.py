"""Leavers against hostile portals, careless operators and crashes: on the real functions."""

from bulk_user_deletion.models.leavers import LeaverState
from local.portal import PortalSimulator
from tests.functions.stack import Stack, dropped
from tests.functions.test_due import (
    LEAVERS,
    Calendar,
    calendar,
    due_run,
    leaver,
    leaving,
)
from tests.functions.test_switch_user import enabled, run
from tests.functions.test_withdraw_and_enable import withdraw

__all__ = ["calendar", "leaving"]  # fixtures


def unattended(stack: Stack, user_ids: list[str], run_id: str) -> dict[str, int]:
    """Carry out a dropped file of ids; return the counts."""
    body = "\n".join(["user_id", *user_ids]).encode()
    stack.fetch_user_ids(dropped(stack, body), run_id)
    stack.work_off(run_id)
    return dict(stack.report_run(run_id)["counts"])


def test_a_file_that_nobody_reads_does_not_overrule_a_withdrawal_although_it_has_ids(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    withdraw(leaving, users=["111"])
    calendar.turn(1)

    assert unattended(leaving, LEAVERS, "run-2") == {"disabled": 2, "skipped": 1}

    assert leaver(leaving, "111").state is LeaverState.WITHDRAWN
    calendar.turn(40)
    assert due_run(leaving, "due-40") == {"deleted": 2}
    assert 111 in portal.user_ids()


def test_a_file_that_nobody_reads_does_not_disable_again_whoever_is_held(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, LEAVERS)
    calendar.turn(1)
    portal.edit(111, enabled="Y")
    due_run(leaving, "due-1")
    calendar.turn(2)

    assert unattended(leaving, LEAVERS, "run-2") == {"disabled": 2, "skipped": 1}

    assert enabled(portal, "111") == ["Y"]
    assert leaver(leaving, "111").state is LeaverState.HELD
