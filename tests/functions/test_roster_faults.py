"""Accidents of rosters, found by trying to break them."""

import json
from collections.abc import Callable

import pytest

from local.portal import PortalSimulator
from tests.functions.stack import Stack, dropped
from tests.functions.test_due import calendar, leaving
from tests.functions.test_roster import people

__all__ = ["calendar", "leaving"]  # fixtures


# A file under roster/ names those who stay, whoever names the file


@pytest.mark.parametrize("mode", ["preview", "apply"])
def test_a_file_under_roster_is_no_list_of_leavers_in_a_request_either(
    leaving: Stack, portal: PortalSimulator, mode: str
) -> None:
    content = "user_id\n" + "\n".join(map(str, people(portal)[:5]))
    dropped(leaving, content.encode(), key="roster/people.csv")
    source = {"s3": {"bucket": "data", "key": "roster/people.csv"}}

    with pytest.raises(Exception, match=r"refused at source\.s3: a file under roster/"):
        leaving.fetch_user_ids({"mode": mode, "source": source}, "run-1")

    assert not leaving.writes()


# A roster holds everybody whom it names, whatever an earlier list has made of them


# A newer roster voids the plans of older ones, also one that is being applied


# What an earlier roster named may have expired


# A refused roster changes nothing, and says nothing else


# Users of whom the portal does not say whether they are enabled


# However a roster is written


Written = Callable[[list[int]], tuple[str, bytes]]


def as_json(ids: list[int]) -> tuple[str, bytes]:
    return "roster/people.json", json.dumps([{"user_id": one} for one in ids]).encode()


def as_names(ids: list[int]) -> tuple[str, bytes]:
    lines = ["username", "nobody.has.this", *(f"USER{one:04}" for one in ids)]
    return "roster/people.txt", "\r\n".join(lines).encode("utf-16")
