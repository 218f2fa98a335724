"""Whether what is kept of a run agrees: its report, plan, rows in the ledger, and execution.

Nothing here reads anything: `verify` has collected it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from bulk_user_deletion.models.plans import Plan, PlannedEntry
from bulk_user_deletion.models.runs import Mode, RunRow, RunStatus
from bulk_user_deletion.models.users import Outcome, ReasonKind, UserRow
from bulk_user_deletion.models.watch import Departure
from bulk_user_deletion.rules.identity import user_keys
from bulk_user_deletion.rules.reporting import iso, report_row
from bulk_user_deletion_cli.deployment import Execution

_DAY = 24 * 3600

# "Step Functions keeps the history of an execution for 90 days after it has closed":
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
_EXECUTION_DAYS = 90

_NAMED = 10


class Verdict(StrEnum):
    """What a comparison found."""

    AGREES = "agrees"
    EXPIRED = "expired"  # its retention is over
    UNSEALED = "unsealed"  # an earlier version did not record what to compare it with
    MISSING = "missing"  # it should still be there
    DIFFERS = "differs"

    @property
    def is_bad(self) -> bool:
        """True if a person has to find out why."""
        return self in {Verdict.MISSING, Verdict.DIFFERS}


@dataclass(frozen=True)
class Finding:
    """One comparison, and what it found."""

    what: str
    verdict: Verdict
    said: str


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is kept of a run; None or nothing for what does not exist.

    `report` is report.json as it was read, with its sha256; `plan` likewise, also None if it
    cannot be read. `files` are the sha256 of all files that exist, by name; `batches` the users in
    each batch, None for one that is not what its name says. `departures` are the records of
    deletions by the keys of the plan's users, `intents` and `leavers` the ids of users whose rows
    name this run. `now` is in epoch seconds.
    """

    run: RunRow | None
    report: bytes
    report_sha256: str
    plan: Plan | None
    files: Mapping[str, str]
    rows: Mapping[str, UserRow]
    departures: Mapping[str, Departure] = field(default_factory=dict)
    intents: frozenset[str] = frozenset()
    leavers: frozenset[str] = frozenset()
    batches: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    execution: Execution | None = None
    retention_days: int
    now: float

    def gone(self, since: str, *, days: int | None = None) -> Verdict:
        """Return whether something from that time has expired, or is missing."""
        kept = self.retention_days if days is None else days
        is_over = self.now >= datetime.fromisoformat(since).timestamp() + kept * _DAY
        return Verdict.EXPIRED if is_over else Verdict.MISSING


def compare(kept: Kept) -> Iterator[Finding]:
    """Compare everything with everything else that should say the same."""
    report = _parsed(kept.report)
    yield from _seal(kept, report)
    if not report:
        return
    for what, look in (
        ("Files", _files),
        ("Plan", _plan),
        ("Entries", _entries),
        ("Counts", _counts),
        ("Run", _run),
        ("Ledger", _ledger),
        ("Deletions", _deletions),
        ("Batches", _batches),
        ("Execution", _execution),
    ):
        try:
            yield from look(what, kept, report)
        except (KeyError, TypeError, ValueError, AttributeError):
            # Only an edited report lacks what every report has.
            yield Finding(what, Verdict.DIFFERS, "the report is not one that a run writes")


Look = Callable[[str, Kept, Mapping[str, Any]], Iterator[Finding]]


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        report = json.loads(body or b"{}")
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def _seal(kept: Kept, report: Mapping[str, Any]) -> Iterator[Finding]:
    run = kept.run
    if run is None:
        since = str(report.get("started_at", "")) or iso(kept.now)
        yield _gone("Report", kept, since, "the run's row in the ledger, which seals the report,")
        return
    if not kept.report:
        yield _gone("Report", kept, iso(run.started_at), "report.json")
    elif not run.report_sha256:
        is_of_now = "files" in report
        verdict = Verdict.MISSING if is_of_now else Verdict.UNSEALED
        yield Finding("Report", verdict, "the run's row in the ledger does not seal its report")
    elif kept.report_sha256 != run.report_sha256:
        yield Finding("Report", Verdict.DIFFERS, "report.json is not the one that was written")
    else:
        yield Finding("Report", Verdict.AGREES, f"report.json is as written: {run.report_sha256}")


def _files(what: str, kept: Kept, report: Mapping[str, Any]) -> Iterator[Finding]:
    named = report.get("files")
    if named is None:
        yield Finding(what, Verdict.UNSEALED, "the report names no hashes")
        return
    for name, digest in sorted(named.items()):
        if name not in kept.files:
            # A file of the first round is as old as the run.
            yield _gone(what, kept, report["started_at"], name)
        elif kept.files[name] != digest:
            yield Finding(
                what, Verdict.DIFFERS, f"{name} is not the one that the report is based on"
            )
    same = [name for name, digest in named.items() if kept.files.get(name) == digest]
    if same:
        yield Finding(what, Verdict.AGREES, f"as the report names them: {', '.join(sorted(same))}")


def _plan(what: str, kept: Kept, report: Mapping[str, Any]) -> Iterator[Finding]:
    sealed = kept.run.plan_sha256 if kept.run else ""
    digest = kept.files.get("plan.json", "")
    if sealed and report["plan_sha256"] != sealed:
        yield Finding(what, Verdict.DIFFERS, "the report is about another plan than the ledger")
    if digest and digest != (sealed or report["plan_sha256"]):
        yield Finding(what, Verdict.DIFFERS, "plan.json is not the one that was made")
    elif digest and kept.plan is None:
        yield Finding(what, Verdict.DIFFERS, "plan.json cannot be read")
    elif digest:
        yield Finding(what, Verdict.AGREES, f"plan.json is as sealed: {digest}")
    elif sealed:
        yield _gone(what, kept, report["started_at"], "plan.json")
    plan = kept.plan
    if plan is None:
        return
    said = {
        "run_id": plan.run_id,
        "action": plan.action,
        "reason": plan.reason,
        "requested_by": plan.requested_by,
        "portal_users": plan.portal_users,
        "grace_days": plan.grace_days,
        "estimate": asdict(plan.estimate),
        "requested": len(plan.entries),
    }
    yield from _same(what, said, report, "the plan")


def _entries(what: str, kept: Kept, report: Mapping[str, Any]) -> Iterator[Finding]:
    """Compare each row of the report with what the plan and the ledger say about the entry."""
    if kept.plan is None:
        return
    mode = Mode(report["mode"]) if report["mode"] else Mode.PREVIEW
    rows: defaultdict[tuple[int, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in report["rows"]:
        rows[row["line"], row["entry"]].append(row)
    wrong, lost = [], []
    for planned in kept.plan.entries:
        line = planned.entry.line
        told = rows[line, planned.entry.text]
        if not told:
            wrong.append(f"line {line} has no row")
            continue
        row = told.pop(0)
        user_id = planned.user.user_id if planned.user else ""
        if _was_started(planned, row) and user_id not in kept.rows:
            lost.append(user_id)
        elif said := _difference(planned, row, kept, mode):
            wrong.append(f"line {line}: {said}")
    if extra := sum(map(len, rows.values())):
        wrong.append(f"{extra} of its rows are not in the plan")
    if lost:
        ids = _some(lost)
        yield _gone(what, kept, report["ended_at"], f"the ledger's rows of users {ids}")
    if wrong:
        said = f"the report is not what plan and ledger say: {_some(wrong, '; ')}"
        yield Finding(what, Verdict.DIFFERS, said)
    elif not lost:
        number = len(kept.plan.entries)
        yield Finding(what, Verdict.AGREES, f"all {number} are as the plan and the ledger say")


def _was_started(planned: PlannedEntry, row: Mapping[str, Any]) -> bool:
    """Return whether a report's row is based on a row of the ledger."""
    return planned.outcome.is_planned and Outcome(row["outcome"]) not in {
        planned.outcome,
        Outcome.NOT_ATTEMPTED,
    }


def _is_doubt(planned: PlannedEntry, row: Mapping[str, Any]) -> bool:
    """Return whether the last look doubted what the plan had found, without a row in the ledger."""
    return (
        planned.reason_kind is ReasonKind.NOBODY_HOLDS_ID
        and row["outcome"] == Outcome.UNKNOWN
        and row["reason_kind"] == ReasonKind.LISTED_AGAIN
    )


def _difference(planned: PlannedEntry, row: Mapping[str, Any], kept: Kept, mode: Mode) -> str:
    """Return in which fields a report's row differs from plan and ledger, or an empty string."""
    not_attempted = row["reason"] if row["outcome"] == Outcome.NOT_ATTEMPTED else ""
    derived = report_row(
        planned,
        kept.rows.get(planned.user.user_id) if planned.user else None,
        mode=mode,
        not_attempted=not_attempted,
    )
    should = json.loads(json.dumps(asdict(derived)))
    open_to_doubt = {"outcome", "reason", "reason_kind"} if _is_doubt(planned, row) else set()
    names = [
        name
        for name, value in should.items()
        if name in row and row[name] != value and name not in open_to_doubt
    ]
    return ", ".join(names)  # not their values: some name people


def _counts(what: str, kept: Kept, report: Mapping[str, Any]) -> Iterator[Finding]:  # noqa: ARG001
    counted = dict(Counter(row["outcome"] for row in report["rows"]))
    rows = len(report["rows"])
    if counted != report["counts"] or rows != report["requested"]:
        yield Finding(what, Verdict.DIFFERS, "the report's counts are not those of its rows")
    else:
        yield Finding(what, Verdict.AGREES, f"they add up to the {rows} that were requested")


def _run(what: str, kept: Kept, report: Mapping[str, Any]) -> Iterator[Finding]:
    run = kept.run
    if run is None:
        return  # said above
    said = {
        "mode": run.mode or "",
        "action": run.action if run.plan_sha256 else report["action"],
        "trigger": run.trigger,
        "source": run.source,
        "started_at": iso(run.started_at),
        "renewals": run.renewals,
    }
    different = list(_same(what, said, report, "the ledger"))
    yield from different
    if not different:
        yield Finding(what, Verdict.AGREES, "the report says the same about it as the ledger")


def _same(
    what: str, should: Mapping[str, Any], report: Mapping[str, Any], whose: str
) -> Iterator[Finding]:
    for name, value in should.items():
        if name in report and report[name] != value:
            yield Finding(what, Verdict.DIFFERS, f"{whose} says otherwise about {name}")


def _ledger(what: str, kept: Kept, report: Mapping[str, Any]) -> Iterator[Finding]:  # noqa: ARG001
    """Look for rows of the ledger that no entry of the plan accounts for."""
    if kept.plan is None:
        return
    planned = {user.user_id for user in kept.plan.users}
    named = {entry.user.user_id for entry in kept.plan.entries if entry.user}
    unexplained = {
        "rows of users": set(kept.rows) - planned,
        "intents": set(kept.intents) - set(kept.rows),
        "leavers": set(kept.leavers) - named,
    }
    for name, ids in unexplained.items():
        if ids:
            said = f"nothing accounts for {name} of this run: users {_some(sorted(ids))}"
            yield Finding(what, Verdict.DIFFERS, said)
    if not any(unexplained.values()):
        yield Finding(what, Verdict.AGREES, f"each of its {len(kept.rows)} users is in the plan")


def _deletions(what: str, kept: Kept, report: Mapping[str, Any]) -> Iterator[Finding]:
    """Compare who is reported as deleted with the records of deletions, which outlive the run."""
    if kept.plan is None:
        return
    deleted = {row["user_id"] for row in report["rows"] if row["outcome"] == Outcome.DELETED}
    lost, wrong = [], []
    for user in kept.plan.users:
        records = [kept.departures.get(key) for key in user_keys(user)]
        ours = [
            record
            for record in records
            if record and (record.run_id, record.user_id) == (report["run_id"], user.user_id)
        ]
        if user.user_id in deleted:
            if None in records:
                lost.append(user.user_id)
        elif ours:
            wrong.append(user.user_id)
    if lost:
        yield _gone(what, kept, report["ended_at"], f"the records of deleted users {_some(lost)}")
    if wrong:
        said = f"users {_some(wrong)} are on record as deleted by this run, and not so reported"
        yield Finding(what, Verdict.DIFFERS, said)
    if deleted and not lost and not wrong:
        yield Finding(what, Verdict.AGREES, f"all {len(deleted)} are on record")


def _batches(what: str, kept: Kept, report: Mapping[str, Any]) -> Iterator[Finding]:  # noqa: ARG001
    if kept.plan is None or not kept.batches:
        return
    planned = {user.user_id for user in kept.plan.users}
    wrong = [name for name, users in kept.batches.items() if users is None or not users <= planned]
    if wrong:
        said = f"not as they were handed out, or not of the plan: {_some(sorted(wrong))}"
        yield Finding(what, Verdict.DIFFERS, said)
    else:
        yield Finding(what, Verdict.AGREES, f"all {len(kept.batches)} are of the plan")


def _execution(what: str, kept: Kept, report: Mapping[str, Any]) -> Iterator[Finding]:
    execution = kept.execution
    if execution is None:
        name = "its execution, which Step Functions keeps for 90 days,"
        yield _gone(what, kept, report["ended_at"], name, days=_EXECUTION_DAYS)
        return
    should_succeed = RunStatus(report["status"]).is_success
    output: Mapping[str, Any] = execution.output if execution.succeeded else {}
    names = [name for name in ("status", "sentence", "counts") if name in output]
    said = {name: output[name] for name in names}
    different = list(_same(what, said, report, "its execution"))
    if execution.succeeded is not should_succeed:
        ended = f"it ended {execution.status}, and the report says {report['status']}"
        different.append(Finding(what, Verdict.DIFFERS, ended))
    yield from different
    if not different:
        yield Finding(what, Verdict.AGREES, f"it ended {execution.status}, as reported")


def _gone(what: str, kept: Kept, since: str, name: str, *, days: int | None = None) -> Finding:
    verdict = kept.gone(since, days=days)
    if verdict is Verdict.EXPIRED:
        number = kept.retention_days if days is None else days
        return Finding(what, verdict, f"{name} had a retention of {number} days")
    return Finding(what, verdict, f"{name} should still be there")


def _some(names: list[str], separator: str = ", ") -> str:
    rest = len(names) - _NAMED
    shown = separator.join(names[:_NAMED])
    return f"{shown}{separator}and {rest} more" if rest > 0 else shown
