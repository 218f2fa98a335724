"""Reports: what happened to each user."""

from dataclasses import dataclass
from enum import StrEnum

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.costs import Cost
from bulk_user_deletion.models.plans import Estimate
from bulk_user_deletion.models.runs import Milestone, RunStatus
from bulk_user_deletion.models.users import Outcome, ReasonKind


class Rest(StrEnum):
    """What can be done about the entries that a run left open."""

    RESUME = "resume"
    IF_STILL_WANTED = "if_still_wanted"  # a person stopped the run, and may no longer want it
    LIFT = "lift"  # the same, and every run on the portal is stopped
    SETTLE = "settle"  # a resume would not help
    NEVER = "never"  # a resume would be refused


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One requested entry and its one outcome.

    `attempts` counts DELETEs or PUTs, by the report's action; the last one was answered at
    `answered_at`, after `delete_seconds`.
    """

    line: int
    entry: str
    user_id: str
    username: str
    email: str
    outcome: Outcome
    reason_kind: ReasonKind
    reason: str
    portal_message: str  # the portal's own words, or empty
    warning: str
    attempts: int
    delete_seconds: int
    answered_at: str  # ISO 8601, or empty
    ended_at: str  # ISO 8601, or empty
    history: str  # the outcomes that were replaced, or empty

    @property
    def can_be_resumed(self) -> bool:
        """True if a resumed run may change the outcome: it is open, and was planned."""
        undecided = {
            ReasonKind.RECORD_INCOMPLETE,
            ReasonKind.NOT_LISTED,
            ReasonKind.RECORD_CHANGED,
        }
        was_planned = self.user_id or self.reason_kind is not ReasonKind.LISTED_AGAIN
        return self.outcome.is_open and self.reason_kind not in undecided and bool(was_planned)


@dataclass(frozen=True, slots=True)
class Summary:
    """The part of a report, stored at `report`, that goes to the state machine and to drop answers.

    Ids and counts only: usernames and e-mails stay in the report.
    """

    run_id: str
    status: RunStatus
    sentence: str
    mode: str
    requested: int
    counts: dict[str, int]
    plan_sha256: str
    report: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did, on the `portal` (its host) and with the `stack` of these names.

    `sentence` says how it ended and what is left to do, `headline` only the first; `rest` is what
    can be done about the users who are left open. If `counts` does not add up to `requested`, the
    run does not claim success.

    `unexplained_losses` are the ids of users that left the portal during the run and that it
    neither deleted nor was asked to delete. It is None if none is known and the portal could not
    be asked or listed only some of its users. `renewed_at` is when the token was renewed,
    `refused_at` when the portal temporarily refused a DELETE, `resumes_at` when a paused run
    resumes automatically. `guarded` are the ids of users whom the guard kept, by its reasons: the
    list for the people who resolve these. `estimate` is the plan's, `cost` what the run
    took. `files` are the sha256 of what this report is based on, by name, and in report.json also
    of the report's other formats.
    """

    run_id: str
    execution_arn: str
    status: RunStatus
    sentence: str
    headline: str
    rest: Rest
    portal: str
    stack: str
    mode: str
    action: Action
    grace_days: int
    trigger: str
    source: str
    reason: str
    requested_by: str
    started_at: str
    ended_at: str
    requested: int
    counts: dict[str, int]
    renewals: int
    renewed_at: list[str]  # ISO 8601
    refused_at: list[str]
    resumes_at: str  # ISO 8601, or empty
    portal_users: int
    plan_sha256: str
    files: dict[str, str]
    estimate: Estimate | None
    cost: Cost
    unexplained_losses: list[str] | None
    guarded: dict[str, list[str]]
    warnings: list[str]
    milestones: list[Milestone]
    rows: list[ReportRow]
