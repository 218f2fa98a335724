"""What is kept about leavers and for how long, and what is counted for the alarms."""

import pytest

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.ledger import rows
from bulk_user_deletion.observability import Metric
from local.portal import PortalSimulator
from tests.functions.stack import Stack
from tests.functions.test_due import (
    DUE,
    LEAVERS,
    Calendar,
    SetParameter,
    calendar,
    due_run,
    leaving,
)
from tests.functions.test_switch_user import run
from tests.functions.test_withdraw_and_enable import withdraw

__all__ = ["calendar", "leaving"]  # fixtures


def expires(stack: Stack, user_id: str) -> bool:
    pk, sk = rows.leaver_key(stack.portal.url, user_id)
    return "expires_at" in stack.table.get_item(Key={"pk": pk, "sk": sk})["Item"]


def test_the_row_of_a_leaver_expires_only_once_the_leaver_is_done(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar
) -> None:
    run(leaving, ["110", "111", "112", "113"])
    run(leaving, ["114"], "run-2", action="disable")
    withdraw(leaving, users=["111"])
    portal.edit(112, enabled="Y")
    everybody = ["110", "111", "112", "113", "114"]
    assert not any(expires(leaving, user_id) for user_id in everybody)
    portal.remove(113)
    calendar.turn(31)

    assert due_run(leaving, "due-31") == {"deleted": 1, "already_absent": 1, "skipped": 1}

    done = [user_id for user_id in everybody if expires(leaving, user_id)]
    assert done == ["110", "113"]


def test_the_row_of_a_leaver_names_nobody(leaving: Stack, portal: PortalSimulator) -> None:
    run(leaving, LEAVERS)

    pk, sk = rows.leaver_key(portal.url, "111")
    item = str(leaving.table.get_item(Key={"pk": pk, "sk": sk})["Item"])

    assert "user0111" not in item
    assert "example.com" not in item


def test_whoever_the_daily_run_holds_is_counted_for_the_alarm(
    leaving: Stack,
    portal: PortalSimulator,
    calendar: Calendar,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(leaving, LEAVERS)
    portal.edit(111, enabled="Y")
    calendar.turn(1)
    capsys.readouterr()

    due_run(leaving, "due-1")

    assert f'"{Metric.LEAVERS_HELD}":[1.0]' in capsys.readouterr().out


def test_for_how_many_days_the_first_one_has_waited_for_room_is_counted_for_the_alarm(
    leaving: Stack,
    portal: PortalSimulator,
    calendar: Calendar,
    set_parameter: SetParameter,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(leaving, LEAVERS)
    set_parameter("MAX_USERS", "0")
    calendar.turn(34)
    capsys.readouterr()

    due_run(leaving, "due-34")

    assert f'"{Metric.OVERDUE_DAYS}":[4.0]' in capsys.readouterr().out


def test_leavers_are_due_again_when_leaver_action_is_changed_back(
    leaving: Stack, portal: PortalSimulator, calendar: Calendar, set_parameter: SetParameter
) -> None:
    run(leaving, LEAVERS)
    set_parameter("LEAVER_ACTION", "disable")
    calendar.turn(31)
    with pytest.raises(RequestRefused, match="LeaverAction of this stack is disable"):
        leaving.fetch_user_ids(DUE, "due-31")
    set_parameter("LEAVER_ACTION", "disable_then_delete")
    calendar.turn(32)

    assert due_run(leaving, "due-32") == {"deleted": 3}


def test_only_a_person_starts_a_run_that_enables(leaving: Stack, portal: PortalSimulator) -> None:
    run(leaving, LEAVERS)
    sent_before = len(leaving.writes())
    request = {"mode": "apply", "action": "enable", "source": {"users": LEAVERS}}

    with pytest.raises(RequestRefused, match="only a person may enable users"):
        leaving.fetch_user_ids(
            {"scheduled_time": "2026-11-02T03:00:00Z", "request": request}, "enable-1"
        )

    assert len(leaving.writes()) == sent_before
