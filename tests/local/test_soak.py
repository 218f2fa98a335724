"""The soak finds what it should find, and a small one finds nothing."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.portal import Fault, Request
from local.soak import Findings

PROJECT = Path(__file__).resolve().parents[2]


def a_request(method: str, user_id: int, status: int = 200, fault: Fault | None = None) -> Request:
    path = f"/api/user/id/{user_id}"
    return Request(0.0, method, path, {}, user_id, status, token=1, seconds=0.1, fault=fault)


def a_row(user_id: int, outcome: str = "deleted") -> dict[str, Any]:
    return {"user_id": str(user_id), "outcome": outcome}


@pytest.fixture
def findings() -> Findings:
    """The findings of two users who were deleted correctly."""
    return Findings(
        requested=2,
        bystanders=3,
        requests=[
            request
            for user_id in (118, 119)
            for request in (
                a_request("GET", user_id),
                a_request("DELETE", user_id),
                a_request("GET", user_id, 404),
            )
        ],
        report={"counts": {"deleted": 2}, "rows": [a_row(118), a_row(119)]},
        gone={118, 119},
        planned={118, 119},
        kills=0,
        aborts=0,
        executions=1,
        seconds=1.0,
    )


def test_a_good_run_has_three_zeros(findings: Findings) -> None:
    assert set(findings.zeros().values()) == {0}


@pytest.mark.parametrize(
    "rows",
    [
        [a_row(118)],
        [a_row(118), a_row(119), a_row(119)],
        [a_row(118), a_row(119, "unknown")],
        [a_row(118), a_row(119, "skipped")],
    ],
    ids=["no row", "two rows", "an open outcome", "gone, and not said to be"],
)
def test_an_entry_without_one_true_final_outcome_is_lost(
    findings: Findings, rows: list[dict[str, Any]]
) -> None:
    found = replace(findings, report={"counts": {}, "rows": rows})

    assert found.lost() == {"119"}


def test_a_user_reported_as_deleted_who_still_exists_is_lost(findings: Findings) -> None:
    assert replace(findings, gone={118}).lost() == {"119"}


def test_a_bystander_who_is_gone_or_was_sent_a_delete_is_found(findings: Findings) -> None:
    sent = [*findings.requests, a_request("DELETE", 120, 409)]

    found = replace(findings, gone={118, 119, 121}, requests=sent)

    assert found.deleted_outside_the_plan() == {120, 121}


def test_a_delete_after_the_user_was_seen_gone_is_found(findings: Findings) -> None:
    again = replace(findings, requests=[*findings.requests, a_request("DELETE", 118, 404)])

    assert again.sent_a_delete_after_seen_gone() == {118}


def test_a_proxys_404_does_not_count_as_seen_gone(findings: Findings) -> None:
    proxy = a_request("GET", 118, 404, Fault.PROXY_404)

    found = replace(findings, requests=[proxy, *findings.requests])

    assert found.sent_a_delete_after_seen_gone() == set()


def test_a_small_soak_loses_nobody() -> None:
    command = [sys.executable, "-m", "local", "soak", "--users", "16", "--minutes", "5"]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"executions aborted +│ +3 ", ended.stdout)
    assert re.search(r"outcome deleted +│ +16 ", ended.stdout)
