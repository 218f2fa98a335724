"""From a plan and the ledger to a report: one row per requested entry, and counts that add up."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Plan, PlannedEntry
from bulk_user_deletion.models.reports import Report, ReportRow, Rest
from bulk_user_deletion.models.runs import Mode, RunStatus, Stopper
from bulk_user_deletion.models.users import Outcome, ReasonKind, UserRow, UserState
from bulk_user_deletion.rules.decisions import End
from bulk_user_deletion.rules.identity import only_an_id
from bulk_user_deletion.rules.text import counted, some

# The outcomes that say that a user no longer exists.
GONE = {Outcome.DELETED, Outcome.ALREADY_ABSENT}

# The outcomes in a plan of users who are to be changed.
_PLANNED = {action.would for action in Action}

# The outcomes that may have a DELETE or a PUT behind them.
_TOUCHED = (*{action.done for action in Action}, Outcome.FAILED, Outcome.UNKNOWN)

_NOBODY = {
    Outcome.DELETED: RunStatus.NOBODY_DELETED,
    Outcome.DISABLED: RunStatus.NOBODY_DISABLED,
    Outcome.ENABLED: RunStatus.NOBODY_ENABLED,
}


def settle(row: UserRow, *, still_there: bool | None) -> End:
    """Decide the outcome of a user that the run had started to delete.

    `still_there` is what a last look at this user found, None if it was inconclusive. A user that
    was sent a DELETE by us and is gone now was deleted by it; one that still exists is `unknown`,
    because that DELETE may still be in progress, unless the portal had declined it.
    """
    is_settled = row.outcome is not Outcome.UNKNOWN or still_there is not False
    as_it_was = End(row.outcome, row.reason, row.reason_kind) if row.outcome else None
    if row.state is UserState.DONE and as_it_was and is_settled:
        return as_it_was
    if still_there is False and not row.attempts:
        return End(Outcome.ALREADY_ABSENT, "gone at the last look, before we sent a DELETE")
    if still_there is not False and row.state is UserState.REOPENED and as_it_was:
        return as_it_was  # not started again: it keeps its outcome
    evidence = row.reason or "the DELETE's answer was not recorded"
    if still_there is False:
        return End(Outcome.DELETED, f"{evidence}; gone at the last look")
    if row.state is UserState.REFUSED:
        return End(Outcome.FAILED, row.reason)
    if row.state is UserState.DECLINED and still_there:
        return End(Outcome.FAILED, f"{evidence}; still there at the last look")
    seen = "still there" if still_there else "not looked at"
    return End(Outcome.UNKNOWN, f"{evidence}; {seen} at the last look")


def report_row(
    planned: PlannedEntry, row: UserRow | None, *, mode: Mode, not_attempted: str
) -> ReportRow:
    """Merge a planned entry and its user's row, already settled, into one row of the report."""
    outcome, reason, kind = planned.outcome, planned.reason, planned.reason_kind
    if outcome in _PLANNED:
        if row:
            outcome, reason, kind = row.outcome or Outcome.UNKNOWN, row.reason, row.reason_kind
        elif mode is Mode.APPLY or not_attempted:
            outcome, reason = Outcome.NOT_ATTEMPTED, not_attempted
    theirs = row if planned.outcome in _PLANNED else None
    user = planned.user
    return ReportRow(
        line=planned.entry.line,
        entry=planned.entry.text,
        user_id=user.user_id if user else "",
        username=user.username if user else "",
        email=user.email if user else "",
        outcome=outcome,
        reason_kind=kind,
        reason=reason,
        portal_message=theirs.portal_message if theirs else "",
        warning=planned.warning,
        attempts=theirs.attempts if theirs else 0,
        delete_seconds=theirs.delete_seconds if theirs else 0,
        answered_at=iso(theirs.answered_at) if theirs and theirs.answered_at else "",
        ended_at=iso(theirs.ended_at) if theirs and theirs.ended_at else "",
        history="; ".join(
            f"{past.outcome} at {iso(past.ended_at)}: {past.reason}"
            for past in (theirs.history if theirs else ())
        ),
    )


def count_outcomes(rows: Sequence[ReportRow]) -> dict[str, int]:
    """Count the rows by outcome; outcomes without rows are left out."""
    counted = Counter(row.outcome.value for row in rows)
    return {outcome.value: counted[outcome] for outcome in Outcome if counted[outcome]}


def first_the_urgent(rows: Sequence[ReportRow]) -> list[ReportRow]:
    """Return a report's rows: failed and unknown users first, then the others."""
    return sorted(rows, key=lambda row: row.outcome not in {Outcome.FAILED, Outcome.UNKNOWN})


def access_warnings(rows: Sequence[ReportRow]) -> list[str]:
    """Return who still has access although the run was to take it, by id."""
    still = [row.user_id for row in rows if row.reason_kind is ReasonKind.STILL_ENABLED]
    if not still:
        return []
    urgent = "If that cannot wait, disable them by hand."
    if len(still) == 1:
        return [f"User {still[0]} is still enabled, as the last look shows. {urgent}"]
    who = f"{len(still)} users are still enabled, as the last look at each shows"
    return [f"{who}: {some(still)}. {urgent}"]


def held_warning(user_ids: Sequence[str]) -> str:
    """Return who is held since this run, by id."""
    held = counted(len(user_ids), "leaver has been", "leavers have been")
    return f"{held} held since this run, and not deleted until a person decides: {some(user_ids)}."


def run_status(
    counts: Mapping[str, int],
    *,
    action: Action,
    mode: Mode | None,
    refused: bool,
    failed: bool,
    stopped: bool,
    paused: bool = False,
) -> RunStatus:
    """Return how a run ended: the worst status that applies."""
    if refused and not any(counts.get(outcome) for outcome in _TOUCHED):
        return RunStatus.REFUSED
    is_open = any(Outcome(name).is_open and number for name, number in counts.items())
    if stopped and is_open:
        return RunStatus.STOPPED
    if failed or refused:
        return RunStatus.FAILED
    if paused and counts.get(Outcome.NOT_ATTEMPTED):
        return RunStatus.PAUSED
    if is_open:
        return RunStatus.INCOMPLETE
    if mode is Mode.PREVIEW:
        return RunStatus.PREVIEWED
    return RunStatus.SUCCEEDED if counts.get(action.done) else _NOBODY[action.done]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, and what is left to do, if anything: a sentence or more of each."""

    how: str
    next: str = ""

    def __str__(self) -> str:
        return f"{self.how} {self.next}".rstrip()


def rest_of(
    rows: Sequence[ReportRow],
    *,
    stoppers: Collection[Stopper],
    is_withdrawn: bool,
    is_edited: bool,
    is_replaced: bool,
) -> Rest:
    """Return what may be done about the entries that a run left open.

    `stoppers` are what stopped it. `is_edited` and `is_replaced` are about its plan, the latter
    says that a newer roster was accepted.
    """
    final = {Stopper.ROSTER, Stopper.WITHDRAWAL}
    if is_withdrawn or is_edited or is_replaced or final & {*stoppers}:
        return Rest.NEVER
    if rows and not any(row.can_be_resumed for row in rows):
        return Rest.SETTLE
    if Stopper.PORTAL in stoppers:
        return Rest.LIFT
    return Rest.IF_STILL_WANTED if Stopper.PERSON in stoppers else Rest.RESUME


def sentence(
    status: RunStatus,
    counts: Mapping[str, int],
    *,
    action: Action,
    why: str,
    rest: Rest = Rest.RESUME,
    is_preview: bool = False,
    resumes_at: str = "",
) -> str:
    """Say in a few words how a run ended and what is left to do, if anything."""
    said = ending(
        status,
        counts,
        action=action,
        why=why,
        rest=rest,
        is_preview=is_preview,
        resumes_at=resumes_at,
    )
    return str(said)


def ending(
    status: RunStatus,
    counts: Mapping[str, int],
    *,
    action: Action,
    why: str,
    rest: Rest,
    is_preview: bool,
    resumes_at: str,
) -> Ending:
    """Say how a run ended, and what is left to do."""
    done, changed, would = action.done, counts.get(action.done, 0), counts.get(action.would, 0)
    total = sum(counts.values())
    entries = counted(total, "entry", "entries")
    left = _named({name: number for name, number in counts.items() if Outcome(name).is_open})
    match status:
        case RunStatus.SUCCEEDED:
            return Ending(f"{changed} of {entries} {done}; nothing is left open.")
        case RunStatus.NOBODY_DELETED | RunStatus.NOBODY_DISABLED | RunStatus.NOBODY_ENABLED:
            return Ending(f"Nobody was {done}: of {entries}, {_named(counts) or 'none'}.")
        case RunStatus.PREVIEWED:
            return Ending(f"Preview: {would} of {entries} would be {done}. Nobody was touched.")
        case RunStatus.PAUSED:
            return Ending(
                f"Paused after {changed} of {entries} ({left}): the change window ended.",
                f"The run resumes automatically at {resumes_at}, for those not attempted. To"
                " prevent that, stop the run.",
            )
        case RunStatus.REFUSED:
            return Ending(f"Refused: {why}", f"Nobody was {done}: {_SEND_AGAIN[rest]}.")
        case RunStatus.INCOMPLETE if is_preview:
            return Ending(
                f"Preview: {would} of {entries} would be {done}, {left}. Nobody was touched.",
                "See the report for each.",
            )
        case RunStatus.STOPPED:
            others = {name: n for name, n in counts.items() if name != Outcome.NOT_ATTEMPTED}
            open_too = _named({name: n for name, n in others.items() if Outcome(name).is_open})
            return Ending(
                f"{why} {changed} of {entries} {done}{f', {open_too}' if open_too else ''}.",
                _about_the_rest(counts, action=action, rest=rest),
            )
        case RunStatus.INCOMPLETE:
            return Ending(
                f"{changed} of {entries} {done}, {left}.",
                f"See the report for each{_THEN_RESUME[rest]}.",
            )
        case RunStatus.FAILED if not total:
            return Ending(
                f"The run failed before it had a plan: nobody was {done}. {why}",
                "When that is fixed, send the request again.",
            )
        case RunStatus.FAILED if left:
            how = f"The run failed with {changed} of {entries} {done} ({left}). {why}"
            if rest is Rest.RESUME:
                return Ending(how, "When that is fixed, resume the run: nothing is done twice.")
            return Ending(how, f"See the report for each{_THEN_RESUME[rest]}.")
        case RunStatus.FAILED:
            return Ending(
                f"The run failed with {changed} of {entries} {done}. {why} No user is left open.",
                "See the report for each.",
            )


_THEN_RESUME = {
    Rest.RESUME: ", then resume the run: nothing is done twice",
    Rest.IF_STILL_WANTED: ", and resume the run only if that is still wanted",
    Rest.LIFT: ", then lift the stop, and resume the run only if that is still wanted",
    Rest.SETTLE: ": a resume would not help",
    Rest.NEVER: ": the run cannot be resumed",
}


_SEND_AGAIN = {
    Rest.RESUME: "fix that, then send the request again",
    Rest.IF_STILL_WANTED: "send the request again only if that is still wanted",
    Rest.LIFT: "lift the stop, and send the request again only if that is still wanted",
    Rest.SETTLE: "fix that, then send the request again",
    Rest.NEVER: "fix that, then send the request again",
}


def _about_the_rest(counts: Mapping[str, int], *, action: Action, rest: Rest) -> str:
    """Say what may be done about the entries that a stopped run left open."""
    untouched = counts.get(Outcome.NOT_ATTEMPTED, 0)
    others = (
        f"The other {untouched} were not touched. "
        if untouched > 1
        else "The last one was not touched. "
        if untouched
        else ""
    )
    match rest:
        case Rest.RESUME:
            return f"{others}When that is resolved, resume the run: nothing is done twice."
        case Rest.IF_STILL_WANTED:
            return f"{others}{resume_only_if(counts, action)}"
        case Rest.LIFT:
            return f"{others}The stop holds until it is lifted. {resume_only_if(counts, action)}"
        case Rest.SETTLE:
            return f"{others}See the report for each: a resume would not help."
        case Rest.NEVER:
            return f"{others}See the report for each: the run cannot be resumed."


def resume_only_if(counts: Mapping[str, int], action: Action) -> str:
    """Say what to be sure of before resuming a run that a person stopped."""
    left = sum(number for name, number in counts.items() if Outcome(name).is_open)
    them = "they" if left > 1 else "this user"
    return f"Resume only if {them} should still be {action.done}."


def _named(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())


# What each outcome means, for people who do not read documentation.
MEANINGS = {
    Outcome.DELETED: "the user is gone from the portal",
    Outcome.DISABLED: "the user can no longer log in",
    Outcome.ENABLED: "the user can log in again",
    Outcome.ALREADY_ABSENT: "the portal no longer had this user",
    Outcome.SKIPPED: "a rule kept the user",
    Outcome.UNRESOLVED: "no user, or more than one, matches the entry",
    Outcome.FAILED: "the portal refused",
    Outcome.UNKNOWN: "it is not certain what happened to the user",
    Outcome.NOT_ATTEMPTED: "the run ended before this user, who was not touched",
    Outcome.WOULD_DELETE: "will be deleted if the plan is applied",
    Outcome.WOULD_DISABLE: "will be disabled if the plan is applied",
    Outcome.WOULD_ENABLE: "will be enabled if the plan is applied",
}

_WORDS = {
    **{kind: kind.replace("_", " ") for kind in ReasonKind if kind},
    ReasonKind.ADMINISTRATOR: "an administrator",
    ReasonKind.SELF: "our own user",
    ReasonKind.AMBIGUOUS: "ambiguous: more than one user matches",
    ReasonKind.NOT_FOUND: "not found: no user matches",
    ReasonKind.CHANGED_SINCE_PLAN: "changed since the plan was made",
    ReasonKind.GUARDED: "kept by the guard",
}
_A_KIND = re.compile(rf"(?:^|(?<=: ))(?:{'|'.join(kind for kind in ReasonKind if kind)})(?=:|$)")


def in_words(reason: str) -> str:
    """Return a reason or a history with words for people in place of the kinds in it."""
    return _A_KIND.sub(lambda found: _WORDS[ReasonKind(found[0])], reason)


def clock(moment: str, *, zone: bool = False) -> str:
    """Return a moment of a report as people read it."""
    return moment.replace("T", " ").replace("Z", " UTC" if zone else "")


def result(report: Report) -> str:
    """Say in a few words what a run did, for a title or a subject line."""
    action, counts = report.action, report.counts
    if not report.requested:
        return f"nobody {action.done}"
    if report.mode == Mode.PREVIEW:
        return f"{counts.get(action.would, 0)} of {report.requested} would be {action.done}"
    return f"{counts.get(action.done, 0)} of {report.requested} {action.done}"


def iso(epoch_seconds: float) -> str:
    """Format a time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(int(epoch_seconds), UTC).isoformat().replace("+00:00", "Z")


def unfinished(plan: Plan, rows: Mapping[str, UserRow]) -> list[UserRow]:
    """Return the rows of planned users whose outcome is not certain yet.

    An outcome that the last look has marked as doubtful stays so until a resumed round looks again.
    """
    doubtful = {ReasonKind.LISTED_AGAIN, ReasonKind.RECORD_CHANGED}
    return [
        row
        for user in plan.users
        if (row := rows.get(user.user_id))
        and (row.state is not UserState.DONE or row.outcome is Outcome.UNKNOWN)
        and not (row.state is UserState.DONE and row.reason_kind in doubtful)
    ]


def ended_as_gone(plan: Plan, rows: Mapping[str, UserRow]) -> list[str]:
    """Return the ids that the report will call gone because of a look."""
    planned = [
        user.user_id
        for user in plan.users
        if (row := rows.get(user.user_id)) and row.outcome in GONE
    ]
    absent = [
        only_an_id(planned.entry)
        for planned in plan.entries
        if planned.reason_kind is ReasonKind.NOBODY_HOLDS_ID
    ]
    return list(dict.fromkeys([*planned, *absent]))


def with_doubts(plan: Plan, doubts: Mapping[str, str]) -> Plan:
    """Set entries to `unknown` that were reported as absent and that the portal shows now.

    `doubts` has the evidence, keyed by id.
    """
    return replace(
        plan,
        entries=tuple(
            replace(
                planned,
                outcome=Outcome.UNKNOWN,
                reason_kind=ReasonKind.LISTED_AGAIN,
                reason=f"{doubts[user_id]}; it was {planned.outcome}: {planned.reason}",
            )
            if planned.reason_kind is ReasonKind.NOBODY_HOLDS_ID
            and (user_id := only_an_id(planned.entry)) in doubts
            else planned
            for planned in plan.entries
        ),
    )
