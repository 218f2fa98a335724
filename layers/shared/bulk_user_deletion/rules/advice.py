"""What to do next about a run that has ended: in words, as a request, as a command."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.reports import Report, Rest
from bulk_user_deletion.models.runs import Mode, RunStatus
from bulk_user_deletion.models.users import Outcome, ReasonKind
from bulk_user_deletion.rules.reporting import resume_only_if
from bulk_user_deletion.rules.text import counted, some

_LISTED = 100


@dataclass(frozen=True, slots=True)
class Advice:
    """`request` starts the state machine, `command` does the same; either may be missing."""

    text: str
    request: dict[str, Any] | None = None
    command: str = ""


def advice(report: Report) -> list[Advice]:
    """Return what is left to do about each kind of outcome, most urgent first."""
    return [*_for_the_run(report), *_for_entries(report)]


def for_the_sender(report: Report) -> list[str]:
    """Return what is left to do for those who dropped the file, and see no report."""
    return list(_for_the_sender(report))


def _for_the_sender(report: Report) -> Iterator[str]:
    if report.status is RunStatus.REFUSED or not report.requested:
        yield f"Nobody was {report.action.done}. {_about_another(report, 'drop the file')}"
        return
    if number := report.counts.get(Outcome.UNRESOLVED):
        entries = counted(number, "entry does", "entries do")
        yield (
            f"{entries} not name exactly one user. Find out who is meant, and drop a file with"
            " the right user ids."
        )
    portal_team = "The team that runs the portal"
    if report.counts.get(report.action.would):
        yield f"Nobody was touched. {portal_team} reads the report, and may apply its plan."
    elif any(Outcome(name).is_open for name in report.counts):
        yield f"{portal_team} decides about the users who are left open: give them the run id."
    elif not number:
        yield "Nothing: no user is left open."


def _for_the_run(report: Report) -> Iterator[Advice]:
    counts = report.counts
    done = report.action.done
    if report.status is RunStatus.REFUSED or (
        report.status is RunStatus.FAILED and not report.requested
    ):
        yield Advice(f"Nobody was {done}. {_about_another(report, 'send the request')}")
        return
    if report.mode != Mode.APPLY:
        if counts.get(report.action.would) and report.rest is not Rest.NEVER:
            yield Advice(
                f"Read the entries below. To {_verb(report)}, once, apply this plan.",
                {"mode": "apply", "plan": {"run_id": report.run_id, "sha256": report.plan_sha256}},
                f"bulk-user-deletion apply {report.run_id}",
            )
        return
    if number := counts.get(Outcome.FAILED):
        rows = "its row" if number == 1 else "their rows"
        yield Advice(f"{number} failed, for the reason in {rows}. Fix that in the portal.")
    is_paused = report.status is RunStatus.PAUSED
    if number := counts.get(Outcome.UNKNOWN):
        # Resuming a paused run leaves these as they are.
        is_by_a_person = not is_paused and report.rest is not Rest.NEVER
        again = any(row.outcome is Outcome.UNKNOWN and row.can_be_resumed for row in report.rows)
        them, rows = ("this user", "the row says") if number == 1 else ("them", "their rows say")
        yield Advice(
            f"{number} unknown: {_what_is_unknown(report)}; {rows} why. Look {them} up in the"
            " portal." + (f" {_resuming(report)}" if again and is_by_a_person else "")
        )
    if is_paused:
        yield Advice(
            f"{counts.get(Outcome.NOT_ATTEMPTED, 0)} not attempted: the run resumes automatically"
            f" at {report.resumes_at}. To prevent that, stop it.",
            None,
            f"bulk-user-deletion stop {report.run_id} --reason WHY",
        )
        return
    if number := counts.get(Outcome.NOT_ATTEMPTED):
        yield Advice(f"{number} not attempted: the run ended first, and nothing was sent.")
    left = sum(number for name, number in counts.items() if Outcome(name).is_open)
    if left > len(_undecided(report)):
        yield _about_resuming(report)


def _about_another(report: Report, send: str) -> str:
    """Say whether a refused request should be sent again: a stop may mean that it should not.

    `send` is how: `send the request`.
    """
    match report.rest:
        case Rest.IF_STILL_WANTED | Rest.LIFT:
            return f"A person stopped it: {send} again only if that is still wanted."
        case Rest.RESUME | Rest.SETTLE | Rest.NEVER:
            return f"Fix the problem above, then {send} again."


def _about_resuming(report: Report) -> Advice:
    """Say whether to resume the run. That depends on who stopped it: it may have been wrong."""
    request = {"mode": "apply", "resume": report.run_id}
    command = f"bulk-user-deletion resume {report.run_id}"
    match report.rest:
        case Rest.NEVER:
            return Advice(
                "The run cannot be resumed. For those who are still meant, start a new preview."
            )
        case Rest.IF_STILL_WANTED:
            return Advice(resume_only_if(report.counts, report.action), request, command)
        case Rest.LIFT:
            return Advice(
                "Every run on this portal is stopped: first lift that with bulk-user-deletion"
                f" stop --portal --lift. {resume_only_if(report.counts, report.action)}",
                request,
                command,
            )
        case Rest.RESUME | Rest.SETTLE:
            return Advice("Then resume the run. Nothing is done twice.", request, command)


def _verb(report: Report) -> str:
    """Return what applying a preview's plan does to its users."""
    days = counted(report.grace_days, "day")
    match report.action:
        case Action.DISABLE:
            return "disable exactly these users"
        case Action.DISABLE_THEN_DELETE:
            return (
                f"disable exactly these users now and to approve that they are deleted {days} later"
            )
        case Action.ENABLE:
            return "enable exactly these users"
        case Action.DELETE | Action.DELETE_DUE:
            return "delete exactly these users"


def _what_is_unknown(report: Report) -> str:
    kinds = {row.reason_kind for row in report.rows if row.outcome is Outcome.UNKNOWN}
    them = "this user" if report.counts.get(Outcome.UNKNOWN) == 1 else "them"
    if kinds == {ReasonKind.STILL_ENABLED}:
        return f"the last look showed {them} enabled"
    if kinds == {ReasonKind.STILL_DISABLED}:
        return f"the last look showed {them} disabled"
    wanted = "gone" if report.action.deletes else report.action.done
    they_are = "this user is" if report.counts.get(Outcome.UNKNOWN) == 1 else "they are"
    return f"it is not known whether {they_are} {wanted}"


def _resuming(report: Report) -> str:
    if report.action.deletes:
        return "Resuming looks again, and sends another DELETE to those still there."
    return f"Resuming looks again, and sends another PUT to those not {report.action.done}."


def _undecided(report: Report) -> list[str]:
    """Return the ids of the users that a resumed run would leave as they are."""
    return [
        row.user_id or row.entry
        for row in report.rows
        if row.outcome.is_open and not row.can_be_resumed
    ]


def _users(user_ids: list[str]) -> str:
    return f"{'user' if len(user_ids) == 1 else 'users'} {some(user_ids)}"


def _for_entries(report: Report) -> Iterator[Advice]:
    if number := report.counts.get(Outcome.UNRESOLVED):
        yield Advice(
            f"{number} unresolved: no user, or more than one, matches. Find out who is meant, and"
            " preview the right users by id.",
            {"mode": "preview", "source": {"users": ["USER-ID"]}},
            "bulk-user-deletion preview --user USER-ID",
        )
    undecided = _undecided(report)
    if undecided and report.status is not RunStatus.REFUSED:
        yield Advice(
            "A resume cannot decide"
            f" {len(undecided)} of these: {_users(undecided)}. Fix in the portal what the report"
            " says about each, then preview again.",
            {"mode": "preview", "source": {"users": undecided[:_LISTED]}},
        )
    changed = [
        row.user_id
        for row in report.rows
        if row.outcome is Outcome.SKIPPED and row.reason_kind is ReasonKind.CHANGED_SINCE_PLAN
    ]
    if changed:
        yield Advice(
            f"{counted(len(changed), 'user')} changed after the plan was made, and"
            f" {'was' if len(changed) == 1 else 'were'} kept. Find out who is still meant, then"
            " preview again"
            + (f" (the first {_LISTED} are listed)." if len(changed) > _LISTED else "."),
            {"mode": "preview", "source": {"users": changed[:_LISTED]}},
        )
    yield from _for_leavers(report)
    if report.unexplained_losses:
        yield Advice(
            f"{counted(len(report.unexplained_losses), 'user')} left the portal during this run"
            " that it did not delete. Find out who did."
        )


def _for_leavers(report: Report) -> Iterator[Advice]:
    """Return what is left to decide about leavers who are not deleted after all."""
    kinds = {
        ReasonKind.ENABLED_AGAIN: "enabled by somebody after we had disabled them",
        ReasonKind.HELD: "held: a person must decide",
        ReasonKind.WITHDRAWN: "withdrawn",
    }
    for kind, what in kinds.items():
        user_ids = [row.user_id for row in report.rows if row.reason_kind is kind and row.user_id]
        if user_ids:
            yield Advice(
                f"{len(user_ids)} left alone, {what}. Preview those who have left after all by id.",
                {"mode": "preview", "source": {"users": user_ids[:_LISTED]}},
            )
    yield from _for_the_guarded(report)
    disabled = report.counts.get(Outcome.DISABLED)
    if disabled and report.action is Action.DISABLE_THEN_DELETE and report.mode == Mode.APPLY:
        yield Advice(
            f"These users are deleted {counted(report.grace_days, 'day')} after they were disabled."
            " To keep one of them, withdraw that user before then.",
            {"withdraw": {"run_id": report.run_id, "reason": "WHY", "by": "WHO"}},
            f"bulk-user-deletion withdraw --run {report.run_id} --reason WHY",
        )


def _for_the_guarded(report: Report) -> Iterator[Advice]:
    guarded = [row.user_id for row in report.rows if row.reason_kind is ReasonKind.GUARDED]
    if not guarded:
        return
    what = (
        f"{len(guarded)} kept by the guard, {_users(guarded)}: the report has its reasons."
        " Resolve them in the portal, and collect the guard's dataset again."
    )
    if report.action is Action.DELETE_DUE:
        yield Advice(f"{what} They keep waiting, and a later daily run deletes them.")
        return
    yield Advice(
        f"{what} Then preview them again.",
        {"mode": "preview", "source": {"users": guarded[:_LISTED]}},
    )
