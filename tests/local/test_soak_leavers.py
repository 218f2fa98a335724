"""The soak of leavers finds what it should find, and a small one finds nothing."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local.soak import LeaverFindings, TakenBack
from tests.local.test_soak import a_row
from tests.local.test_witness import DISABLED, LEAVER, ON_TIME, a_delete, a_look

PROJECT = Path(__file__).resolve().parents[2]
KEPT, BY_HAND, BYSTANDER = 119, 120, 121


@pytest.fixture
def findings() -> LeaverFindings:
    """One leaver who was deleted when due, one who was withdrawn, one whom a person deleted."""
    leavers = (LEAVER, KEPT, BY_HAND)
    return LeaverFindings(
        requested=3,
        bystanders=1,
        requests=[*DISABLED, *ON_TIME],
        report={
            "counts": {"disabled": 3},
            "rows": [a_row(user_id, "disabled") for user_id in leavers],
        },
        gone={LEAVER, BY_HAND},
        planned=set(leavers),
        kills=0,
        aborts=0,
        executions=2,
        seconds=1.0,
        taken_back=TakenBack(frozenset({KEPT}), frozenset(), frozenset(), frozenset({BY_HAND})),
        nights=[
            {
                "counts": {"deleted": 1, "already_absent": 1},
                "rows": [a_row(LEAVER), a_row(BY_HAND, "already_absent")],
            }
        ],
        access={KEPT: "N", BYSTANDER: "Y"},
    )


def test_a_good_run_has_five_zeros(findings: LeaverFindings) -> None:
    assert list(findings.zeros().values()) == [0] * 5


def test_a_leaver_without_one_true_end_in_each_phase_is_lost(findings: LeaverFindings) -> None:
    unknown = {"counts": {}, "rows": [a_row(LEAVER, "disabled"), a_row(KEPT, "unknown")]}

    assert replace(findings, report=unknown).lost() == {str(KEPT), str(BY_HAND)}
    assert replace(findings, nights=[]).lost() == {str(LEAVER)}
    assert replace(findings, nights=findings.nights * 2).lost() == {str(LEAVER)}


def test_a_leaver_whose_end_in_the_portal_is_another_one_is_lost(findings: LeaverFindings) -> None:
    assert replace(findings, gone={BY_HAND}).lost() == {str(LEAVER)}
    assert replace(findings, gone={LEAVER, KEPT, BY_HAND}).lost() == {str(KEPT)}
    assert replace(findings, access={KEPT: "Y"}).lost() == {str(KEPT)}


def test_a_bystander_who_was_sent_a_put_is_found(findings: LeaverFindings) -> None:
    sent = [*findings.requests, replace(DISABLED[1], user_id=BYSTANDER)]

    assert replace(findings, requests=sent).deleted_outside_the_plan() == {BYSTANDER}


def test_a_delete_before_it_is_due_is_found(findings: LeaverFindings) -> None:
    early = [*DISABLED, a_look(29, "N"), a_delete(29)]

    assert replace(findings, requests=early).zeros()["deleted before due"] == 1


def test_a_delete_after_a_withdrawal_is_found(findings: LeaverFindings) -> None:
    back = TakenBack(frozenset({LEAVER}), frozenset(), frozenset(), frozenset(), len(DISABLED))

    zeros = replace(findings, taken_back=back).zeros()

    assert zeros["deleted after a withdrawal or a rehire that a look saw"] == 1


def test_a_small_soak_of_leavers_finds_nothing() -> None:
    command = [sys.executable, "-m", "local", "soak", "--lifecycle", "--users", "16"]
    ended = subprocess.run(
        [*command, "--minutes", "8"], cwd=PROJECT, capture_output=True, text=True
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"executions aborted +│ +[1-9]", ended.stdout)
    assert re.search(r"outcome disabled +│ +16 ", ended.stdout)
    assert re.search(r"outcome deleted +│ +12 ", ended.stdout)
