"""Accidents of rosters, found by trying to break them."""

import json
from collections.abc import Callable

import pytest

from local.portal import PortalSimulator
from tests.functions.stack import Stack
from tests.functions.test_due import calendar, leaving
from tests.functions.test_roster import drop, people

__all__ = ["calendar", "leaving"]  # fixtures


# A file under roster/ names those who stay, whoever names the file


# A roster holds everybody whom it names, whatever an earlier list has made of them


# A newer roster voids the plans of older ones, also one that is being applied


# What an earlier roster named may have expired


# A refused roster changes nothing, and says nothing else


# Users of whom the portal does not say whether they are enabled


@pytest.mark.parametrize("value", ["", "maybe", "1"])
def test_whoever_is_neither_enabled_nor_disabled_and_not_in_the_roster_ends_the_run(
    leaving: Stack, portal: PortalSimulator, value: str
) -> None:
    everybody = people(portal)
    portal.edit(everybody[0], enabled=value)

    assert drop(leaving, everybody, "roster-1")["status"] == "PREVIEWED"
    with pytest.raises(Exception, match=f"whether user {everybody[0]} is enabled"):
        drop(leaving, everybody[1:], "roster-2")

    newest = leaving.ledger.rosters.newest(portal.url)
    assert newest
    assert newest.run_id == "roster-1"


# However a roster is written


Written = Callable[[list[int]], tuple[str, bytes]]


def as_json(ids: list[int]) -> tuple[str, bytes]:
    return "roster/people.json", json.dumps([{"user_id": one} for one in ids]).encode()


def as_names(ids: list[int]) -> tuple[str, bytes]:
    lines = ["username", "nobody.has.this", *(f"USER{one:04}" for one in ids)]
    return "roster/people.txt", "\r\n".join(lines).encode("utf-16")
