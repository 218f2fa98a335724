"""Whether what is kept of a run agrees: any single change is found, or changes no claim."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.runs import Mode, RunRow, RunStatus
from bulk_user_deletion.models.users import Outcome, ReasonKind, Spent, UserRow, UserState
from bulk_user_deletion.models.watch import Departure, Was
from bulk_user_deletion.plan_files import plan_from_json, plan_to_json
from bulk_user_deletion.reports import report_json
from bulk_user_deletion.rules.identity import user_keys
from bulk_user_deletion.rules.reporting import count_outcomes, iso, report_row
from bulk_user_deletion_cli.deployment import Execution
from bulk_user_deletion_cli.evidence import Kept, Verdict, compare
from tests.builders import a_plan, a_report, a_row, a_user, planned

NOW = 1_800_000_000
DAY = 24 * 3600
ARN = "arn:aws:states:us-east-1:123456789012:execution:bulk-user-deletion:run-1"

PLAN = a_plan(
    planned(1, a_user(118)),
    planned(2, a_user(119)),
    planned(3, a_user(120)),
    planned(4, a_user(121), Outcome.SKIPPED, "protected", ReasonKind.PROTECTED),
    planned(5, None, Outcome.ALREADY_ABSENT, "gone", ReasonKind.NOBODY_HOLDS_ID),
)
ROWS = {
    "118": a_row(
        UserState.DONE,
        Outcome.DELETED,
        reason="gone",
        delete_seconds=58,
        answered_at=NOW - 200,
        ended_at=NOW - 190,
    ),
    "119": a_row(
        UserState.DONE,
        Outcome.FAILED,
        user_id="119",
        reason="refused",
        portal_message="No.",
        ended_at=NOW - 90,
    ),
}


def digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def a_kept(plan: Plan = PLAN, rows: Mapping[str, UserRow] = ROWS) -> Kept:
    """What is kept of a run that deleted one user, failed on one, and was stopped before one."""
    plan_sha256 = digest(plan_to_json(plan))
    report_rows = [
        report_row(
            entry,
            rows.get(entry.user.user_id) if entry.user else None,
            mode=Mode.APPLY,
            not_attempted="Stopped by ann: lunch.",
        )
        for entry in plan.entries
    ]
    files = {"plan.json": plan_sha256, "users-before.json": "b" * 64, "report.csv": "c" * 64}
    report = a_report(
        *report_rows,
        status=RunStatus.STOPPED,
        counts=count_outcomes(report_rows),
        started_at=iso(NOW - 300),
        ended_at=iso(NOW),
        plan_sha256=plan_sha256,
        estimate=plan.estimate,
        files=files,
    )
    body = json.dumps(report_json(report), indent=2).encode()
    gone = [entry.user for entry in plan.entries[:1] if entry.user]
    return Kept(
        run=RunRow(
            run_id="run-1",
            execution_arn=ARN,
            is_open=False,
            mode=Mode.APPLY,
            trigger=report.trigger,
            source=report.source,
            started_at=NOW - 300,
            plan_sha256=plan_sha256,
            report_sha256=digest(body),
        ),
        report=body,
        report_sha256=digest(body),
        plan=plan,
        files=files,
        rows=rows,
        departures={
            key: Departure(Was.DELETED, "run-1", user.user_id, NOW - 190)
            for user in gone
            for key in user_keys(user)
        },
        intents=frozenset(rows),
        batches={"1-00001-x.json": frozenset({"118", "119", "120"})},
        execution=Execution(
            arn=ARN,
            name="run-1",
            status=ExecutionStatus.FAILED,
            started_at=datetime.fromtimestamp(NOW - 300, UTC),
            output={},
        ),
        retention_days=400,
        now=NOW + DAY,
    )


KEPT = a_kept()


def bad(kept: Kept) -> dict[str, Verdict]:
    """What does not agree."""
    return {found.what: found.verdict for found in compare(kept) if found.verdict.is_bad}


def with_report(kept: Kept, report: Any) -> Kept:
    """Somebody wrote another report.json."""
    body = json.dumps(report, indent=2).encode()
    return replace(kept, report=body, report_sha256=digest(body))


def test_what_a_run_has_written_agrees() -> None:
    found = list(compare(KEPT))

    assert {finding.verdict for finding in found} == {Verdict.AGREES}
    assert [finding.what for finding in found] == [
        "Report", "Files", "Plan", "Entries", "Counts", "Run", "Ledger", "Deletions", "Batches",
        "Execution",
    ]  # fmt: skip


# Any single change


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a JSON document that holds a value."""
    if isinstance(document, dict):
        return [place for key, value in document.items() for place in places(value, (*path, key))]
    if isinstance(document, list):
        return [place for n, value in enumerate(document) for place in places(value, (*path, n))]
    return [path]


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at a place."""
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


REPORT = json.loads(KEPT.report)
values = st.none() | st.booleans() | st.integers(-5, 10**6) | st.text(max_size=8)


@given(st.sampled_from(places(REPORT)), values)
def test_any_change_of_the_report_is_found(path: tuple[Any, ...], value: Any) -> None:
    edited = changed(REPORT, path, value)
    assume(json.dumps(edited) != json.dumps(REPORT))

    assert bad(with_report(KEPT, edited))["Report"] is Verdict.DIFFERS


# What is only in the report, or is compared with the portal's list and not with the ledger.
_ONLY_IN_THE_REPORT = {
    "run_id", "execution_arn", "portal", "stack", "sentence", "headline", "rest", "milestones",
    "ended_at", "renewed_at", "refused_at", "cost", "unexplained_losses", "guarded", "warnings",
    "resumes_at",
}  # fmt: skip


def claims() -> list[tuple[Any, ...]]:
    """The places of the report that something else mentions too."""
    # Why somebody was not attempted is only in the report.
    alone = {("rows", 2, "reason")}
    return [
        place
        for place in places(REPORT)
        if place[0] not in _ONLY_IN_THE_REPORT and place not in alone
    ]


def resealed(report: Any) -> Kept:
    """Somebody wrote another report.json, and its hash into the ledger."""
    kept = with_report(KEPT, report)
    assert kept.run
    return replace(kept, run=replace(kept.run, report_sha256=kept.report_sha256))


@pytest.mark.parametrize("path", claims(), ids=str)
def test_each_changed_claim_is_found_even_where_the_seal_was_changed_with_it(
    path: tuple[Any, ...],
) -> None:
    assert bad(resealed(changed(REPORT, path, "something else")))


@given(st.sampled_from(claims()), values)
def test_any_changed_claim_is_found_even_where_the_seal_was_changed_with_it(
    path: tuple[Any, ...], value: Any
) -> None:
    edited = changed(REPORT, path, value)
    assume(edited != REPORT)  # true is 1, and 1.0 is: they claim the same

    assert bad(resealed(edited))


@given(st.sampled_from(places(json.loads(plan_to_json(PLAN)))), values)
def test_any_change_of_the_plan_is_found(path: tuple[Any, ...], value: Any) -> None:
    before = json.loads(plan_to_json(PLAN))
    edited = changed(before, path, value)
    assume(json.dumps(edited) != json.dumps(before))
    body = json.dumps(edited).encode()
    try:
        plan = plan_from_json(body.decode())
    except (ValueError, KeyError, TypeError, AttributeError):
        plan = None
    kept = replace(KEPT, plan=plan, files={**KEPT.files, "plan.json": digest(body)})

    assert {"Files", "Plan"} <= bad(kept).keys()


# A report's row says each of these about a user; the others only served during the run.
CLAIMED = {
    "outcome": st.sampled_from(list(Outcome)),
    "reason": st.text(max_size=5),
    "reason_kind": st.sampled_from(list(ReasonKind)),
    "portal_message": st.text(max_size=5),
    "attempts": st.integers(0, 9),
    "delete_seconds": st.integers(0, 99),
    "answered_at": st.integers(1, NOW),
    "ended_at": st.integers(1, NOW),
}
WORKING = {
    "state", "looks", "waited", "lease_until", "lease_owner", "refused_at", "history", "spent",
    "user_id",
}  # fmt: skip


def test_each_attribute_of_a_users_row_is_a_claim_or_served_while_the_run_went_on() -> None:
    assert {field.name for field in fields(UserRow)} == CLAIMED.keys() | WORKING


@given(
    st.sampled_from(sorted(ROWS)),
    st.sampled_from(sorted(CLAIMED)).flatmap(lambda name: st.tuples(st.just(name), CLAIMED[name])),
)
def test_any_change_of_a_claim_in_the_ledger_is_found(
    user_id: str, change: tuple[str, Any]
) -> None:
    edited = replace(ROWS[user_id], **dict([change]))
    assume(edited != ROWS[user_id])

    kept = replace(KEPT, rows={**ROWS, user_id: edited})

    assert bad(kept)["Entries"] is Verdict.DIFFERS


def test_what_claims_nothing_may_change() -> None:
    edited = replace(ROWS["118"], spent=Spent(invocations=9), lease_owner="x", looks=7)

    assert bad(replace(KEPT, rows={**ROWS, "118": edited})) == {}


# Rows that are missing, and rows that nothing accounts for


@pytest.mark.parametrize("user_id", sorted(ROWS))
def test_a_missing_row_is_found_and_told_from_one_that_has_expired(user_id: str) -> None:
    kept = replace(KEPT, rows={key: row for key, row in ROWS.items() if key != user_id})
    kept = replace(kept, intents=frozenset())
    later = replace(kept, now=NOW + 401 * DAY)

    assert bad(kept) == {"Entries": Verdict.MISSING}
    assert bad(later) == {}
    expired = {found.what for found in compare(later) if found.verdict is Verdict.EXPIRED}
    assert "Entries" in expired


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": {**ROWS, "999": a_row(UserState.DONE, Outcome.DELETED, user_id="999")}},
        {"rows": {**ROWS, "121": a_row(UserState.DONE, Outcome.DELETED, user_id="121")}},
        {"intents": frozenset({*ROWS, "120"})},
        {"leavers": frozenset({"999"})},
    ],
)
def test_a_row_that_nobody_accounts_for_is_found(changes: dict[str, Any]) -> None:
    assert bad(replace(KEPT, **changes))["Ledger"] is Verdict.DIFFERS


def test_a_deletion_on_record_that_is_not_reported_is_found() -> None:
    user = a_user(119)
    ours = {key: Departure(Was.DELETED, "run-1", "119", NOW) for key in user_keys(user)}
    others = {key: Departure(Was.DELETED, "run-9", "119", NOW) for key in user_keys(user)}

    assert bad(replace(KEPT, departures={**KEPT.departures, **ours})) == {
        "Deletions": Verdict.DIFFERS
    }
    assert bad(replace(KEPT, departures={**KEPT.departures, **others})) == {}


def test_a_missing_record_of_a_deletion_is_found() -> None:
    assert bad(replace(KEPT, departures={})) == {"Deletions": Verdict.MISSING}


@pytest.mark.parametrize("name", ["plan.json", "users-before.json", "report.csv"])
def test_a_file_that_is_gone_is_missing_or_has_expired(name: str) -> None:
    kept = replace(KEPT, files={key: value for key, value in KEPT.files.items() if key != name})
    if name == "plan.json":
        kept = replace(kept, plan=None)

    assert set(bad(kept).values()) == {Verdict.MISSING}
    assert bad(replace(kept, now=NOW + 401 * DAY)) == {}


def test_a_batch_of_somebody_else_is_found() -> None:
    assert "Batches" in bad(replace(KEPT, batches={"1-00001-x.json": frozenset({"999"})}))
    assert "Batches" in bad(replace(KEPT, batches={"1-00001-x.json": None}))


def test_an_execution_that_ended_otherwise_is_found_and_one_of_90_days_ago_has_expired() -> None:
    assert KEPT.execution
    succeeded = replace(KEPT.execution, status=ExecutionStatus.SUCCEEDED)

    assert bad(replace(KEPT, execution=succeeded)) == {"Execution": Verdict.DIFFERS}
    assert bad(replace(KEPT, execution=None)) == {"Execution": Verdict.MISSING}
    assert bad(replace(KEPT, execution=None, now=NOW + 91 * DAY)) == {}


def test_a_report_without_its_row_in_the_ledger_is_missing_or_has_expired() -> None:
    kept = replace(KEPT, run=None, rows={}, intents=frozenset(), departures={}, execution=None)

    assert bad(kept)["Report"] is Verdict.MISSING
    assert bad(replace(kept, now=NOW + 401 * DAY)) == {}


def test_a_report_that_is_gone_is_missing_or_has_expired() -> None:
    kept = replace(KEPT, report=b"", report_sha256="")

    assert bad(kept) == {"Report": Verdict.MISSING}
    assert bad(replace(kept, now=NOW + 401 * DAY)) == {}


def test_a_run_of_an_earlier_version_is_not_sealed_and_that_is_nobodys_fault() -> None:
    report = {name: value for name, value in REPORT.items() if name != "files"}
    kept = with_report(KEPT, report)
    assert kept.run
    kept = replace(kept, run=replace(kept.run, report_sha256=""))

    assert bad(kept) == {}
    assert {finding.what for finding in compare(kept) if finding.verdict is Verdict.UNSEALED} == {
        "Report",
        "Files",
    }
    # A report that names hashes was sealed.
    unsealed = replace(KEPT, run=kept.run)
    assert bad(unsealed)["Report"] is Verdict.MISSING


def test_what_the_last_look_doubted_of_the_plan_agrees() -> None:
    doubted = changed(REPORT, ("rows", 4, "outcome"), "unknown")
    doubted = changed(doubted, ("rows", 4, "reason_kind"), "listed_again")
    counts = {"deleted": 1, "failed": 1, "not_attempted": 1, "skipped": 1, "unknown": 1}
    doubted = changed(doubted, ("counts",), counts)

    assert bad(resealed(doubted)) == {}
    named = changed(doubted, ("rows", 4, "username"), "somebody")
    assert bad(resealed(named)) == {"Entries": Verdict.DIFFERS}


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"no json", b'{"rows": 1}', b"\xff"])
def test_whatever_lies_there_as_a_report_is_told_and_breaks_nothing(body: bytes) -> None:
    assert bad(replace(KEPT, report=body, report_sha256=digest(body)))


@pytest.mark.parametrize("path", claims(), ids=str)
def test_no_finding_names_a_person(path: tuple[Any, ...]) -> None:
    everything = replace(
        resealed(changed(REPORT, path, "jdoe@example.org")),
        departures={},
        files={},
        batches={"x": None},
        execution=None,
    )

    said = " ".join(finding.said for finding in compare(everything))

    assert "@" not in said
    assert "user118" not in said
