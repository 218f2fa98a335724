"""What `verify` says about its findings, and with which exit status."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bulk_user_deletion_cli import verify as command
from bulk_user_deletion_cli.evidence import Finding, Verdict
from bulk_user_deletion_cli.main import main


def run(monkeypatch: pytest.MonkeyPatch, *found: Finding) -> Result:
    """Run the command where this was found."""
    runs = SimpleNamespace(id_of=lambda name: name)
    deployment = SimpleNamespace(ledger=SimpleNamespace(runs=runs))
    monkeypatch.setattr(command, "Deployment", lambda _: deployment)
    monkeypatch.setattr(command, "gather", lambda *_: None)
    monkeypatch.setattr(command, "compare", lambda _: found)
    return CliRunner().invoke(main, ["verify", "run-1", "--json"])


def said(result: Result) -> dict[str, Any]:
    return dict(json.loads(result.stdout.splitlines()[-1]))


AGREES = Finding("Plan", Verdict.AGREES, "plan.json is as sealed")
EXPIRED = Finding("Execution", Verdict.EXPIRED, "its execution had a retention of 90 days")
DIFFERS = Finding("Report", Verdict.DIFFERS, "report.json is not the one that was written")


def test_what_has_expired_is_told_and_is_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, AGREES, EXPIRED)

    assert result.exit_code == 0
    assert "What is kept of run-1 agrees; expired: Execution." in result.stderr
    assert said(result)["agrees"] is True


@pytest.mark.parametrize("verdict", [Verdict.DIFFERS, Verdict.MISSING])
def test_what_does_not_agree_fails_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, verdict: Verdict
) -> None:
    result = run(monkeypatch, AGREES, Finding("Report", verdict, DIFFERS.said))

    assert result.exit_code == 1
    assert "Does not agree: Report. Find out who changed it" in result.stderr
    line = said(result)
    assert line["agrees"] is False
    assert line["findings"][1] == {"what": "Report", "verdict": verdict, "said": DIFFERS.said}


def test_a_run_of_an_earlier_version_agrees_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(monkeypatch, Finding("Files", Verdict.UNSEALED, "no hashes")).exit_code == 0
