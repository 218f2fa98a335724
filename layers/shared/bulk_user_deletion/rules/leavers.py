"""What happens to a leaver: when somebody is due, and what the end of a step means for that."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.names import fold
from bulk_user_deletion.models.runs import RunRow, Stop
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind, Why

DAY = 24 * 3600

# A plan and its report must outlive the grace time, with time left to decide about the held.
SPARE_DAYS = 30

_DECIDED = {LeaverState.WITHDRAWN, LeaverState.HELD}
_SEEN_ENABLED = {ReasonKind.ENABLED_AGAIN, ReasonKind.STILL_ENABLED}
_HOLDS = {ReasonKind.CHANGED_SINCE_PLAN, ReasonKind.ENABLED_AGAIN}
_ONLY_A_PERSON_DECIDES = _HOLDS | {ReasonKind.NAMED_BY_ROSTER}


@dataclass(frozen=True, slots=True)
class Grace:
    """What the stack requires of a leaver who is due.

    `days` after a look saw the user disabled; with `only_previewed` only if a person has applied
    the plan of a preview.
    """

    days: int
    only_previewed: bool


def grace_problem(action: Action, *, grace_days: int, retention_days: int) -> str:
    """Return why nobody may be disabled to be deleted later, or an empty string."""
    if action is not Action.DISABLE_THEN_DELETE or grace_days + SPARE_DAYS <= retention_days:
        return ""
    return (
        f"GraceDays is {grace_days} and RetentionDays {retention_days}: plans and reports would"
        f" expire before they are needed. RetentionDays must be at least {SPARE_DAYS} more than"
        " GraceDays. Nobody was touched."
    )


def name_hash(name: str) -> str:
    """Return the hash under which a leaver's name is kept; empty for an empty name."""
    folded = fold(name)
    return sha256(folded.encode()).hexdigest() if folded else ""


def is_same_person(leaver: Leaver, user: PortalUser) -> bool:
    """Return whether id, username and e-mail are all those of the leaver."""
    return (
        leaver.user_id == user.user_id
        and leaver.username_hash == name_hash(user.username)
        and leaver.email_hash == name_hash(user.email)
    )


def is_due(leaver: Leaver, *, now: int, grace: Grace) -> bool:
    """Return whether a leaver may be deleted; without a date, never.

    If the stack's `GraceDays` was changed, the longer time counts.
    """
    if leaver.state is not LeaverState.WAITING or not leaver.due_at or not leaver.seen_disabled_at:
        return False
    if grace.only_previewed and not leaver.is_from_preview:
        return False
    return due_at(leaver, grace_days=grace.days) <= now


def due_at(leaver: Leaver, *, grace_days: int) -> int:
    """Return when a leaver may be deleted, in epoch seconds."""
    return max(leaver.due_at, leaver.seen_disabled_at + grace_days * DAY)


def not_due(
    leaver: Leaver | None, found: PortalUser, *, run_id: str, now: int, grace: Grace
) -> Why | None:
    """Return why a user may not be deleted as due, right before the DELETE, or None.

    A DELETE that this run sent and the portal temporarily refused does not change the date.
    """
    if leaver is None:
        return Why(ReasonKind.NOT_DUE, "not_due: the ledger has no date")
    if kept := reason_to_skip(leaver):
        return kept
    if found.is_enabled:
        return Why(
            ReasonKind.ENABLED_AGAIN, "enabled_again: somebody has enabled this user since our PUT"
        )
    if not is_same_person(leaver, found):
        return Why(
            ReasonKind.CHANGED_SINCE_PLAN,
            "changed_since_plan: no longer the user who was disabled",
        )
    is_ours = leaver.state is LeaverState.DELETING and leaver.changed_by == run_id
    waits = replace(leaver, state=LeaverState.WAITING) if is_ours else leaver
    if is_due(waits, now=now, grace=grace):
        return None
    return Why(ReasonKind.NOT_DUE, "not_due: the grace time is not over")


def not_disabled_by_us(leaver: Leaver | None, found: PortalUser) -> Why | None:
    """Return why a user's access may not be given back: none of our PUTs took it."""
    if leaver and leaver.by_our_put and is_same_person(leaver, found):
        return None
    return Why(
        ReasonKind.NOT_DISABLED_BY_US,
        "not_disabled_by_us: none of our PUTs took this user's access away",
    )


def after_enabling(leaver: Leaver, *, run_id: str, now: int) -> Leaver:
    """Return a leaver's row after access was given back: withdrawn, and not disabled by our PUT."""
    after = withdrawn(leaver, by=f"run {run_id}", reason="enabled", now=now, run_id=run_id)
    return replace(after, by_our_put=False)


def seen_enabled(leaver: Leaver, *, run_id: str, now: int) -> Leaver:
    """Return a leaver's row after a look saw the user enabled.

    The time that passed is void in any state of the row, and if the user is disabled later, that is
    not our PUT's doing.
    """
    void = replace(leaver, by_our_put=False, due_at=0)
    if leaver.state is not LeaverState.WAITING:
        return void
    why = Why(ReasonKind.ENABLED_AGAIN, "enabled_again: a look saw the user enabled")
    return held(void, why, run_id=run_id, now=now)


def reason_to_skip(leaver: Leaver) -> Why | None:
    """Return why a user is left alone if a person has withdrawn them, or must decide about them."""
    if leaver.state is LeaverState.WITHDRAWN:
        return Why(ReasonKind.WITHDRAWN, f"withdrawn by {leaver.by}: {leaver.reason}")
    if leaver.state is LeaverState.HELD:
        return Why(ReasonKind.HELD, f"held: {leaver.reason}")
    return None


def reason_to_skip_since(leaver: Leaver | None, run: RunRow) -> Why | None:
    """Return why a person's decision during a run keeps a user from its request, or None.

    What was decided before the run is the plan's business: it skipped the user, unless a person
    named the user by id.
    """
    if leaver is None or leaver.changed_at < run.started_at or leaver.changed_by == run.run_id:
        return None
    return reason_to_skip(leaver)


def withdrawal_since(leaver: Leaver | None, run: RunRow) -> Stop | None:
    """Return the order that withdrew a user during a request of this run, or None."""
    if leaver and leaver.state is LeaverState.WITHDRAWN and reason_to_skip_since(leaver, run):
        return Stop(leaver.reason, leaver.by, leaver.changed_at)
    return None


class Decided:
    """The leavers about whom a person has decided or must decide, by id and by names."""

    def __init__(self, leavers: Iterable[Leaver]) -> None:
        self._by_key: dict[str, Leaver] = {}
        for leaver in sorted(leavers, key=lambda leaver: leaver.changed_at):  # the last one counts
            if leaver.state in _DECIDED:
                for key in (leaver.user_id, leaver.username_hash, leaver.email_hash):
                    if key:
                        self._by_key[key] = leaver

    def reason_to_skip(self, user: PortalUser, *, since: int = 0) -> Why | None:
        """Return why a user with this id or name is skipped; `since` leaves out earlier decisions.

        An account that was recreated for the same person is skipped too.
        """
        for key in (user.user_id, name_hash(user.username), name_hash(user.email)):
            if key and (leaver := self._by_key.get(key)) and leaver.changed_at >= since:
                return reason_to_skip(leaver)
        return None


def after_disabling(
    before: Leaver | None,
    user: PortalUser,
    *,
    portal_url: str,
    action: Action,
    run_id: str,
    plan_sha256: str,
    is_from_preview: bool,
    put_was_sent: bool,
    grace_days: int,
    now: int,
) -> Leaver:
    """Return the leaver's row after a look, `now`, saw the user disabled.

    A leaver who is already waiting keeps the date, unless a look has seen the user enabled since:
    then this run has sent a PUT, and the grace time restarts. The longer grace time counts. A
    plan that only disables does not approve a deletion.
    """
    then_deleted = action is Action.DISABLE_THEN_DELETE
    waits = before is not None and before.state is LeaverState.WAITING and not put_was_sent
    if before is not None and waits and is_same_person(before, user):
        later = before.due_at
        if then_deleted:
            later = due_at(before, grace_days=grace_days)
        return replace(
            before,
            runs=_runs(before, run_id),
            due_at=later,
            is_from_preview=before.is_from_preview or (then_deleted and is_from_preview),
        )
    ours = put_was_sent or bool(before and before.by_our_put and is_same_person(before, user))
    return Leaver(
        user_id=user.user_id,
        portal_url=portal_url,
        username_hash=name_hash(user.username),
        email_hash=name_hash(user.email),
        state=LeaverState.WAITING if then_deleted else LeaverState.DISABLED,
        runs=_runs(before, run_id),
        plan_sha256=plan_sha256,
        is_from_preview=then_deleted and is_from_preview,
        by_our_put=ours,
        seen_disabled_at=now,
        due_at=now + grace_days * DAY if then_deleted else 0,
        changed_at=now,
        changed_by=run_id,
    )


def after_deleting(
    leaver: Leaver, outcome: Outcome, why: Why, *, action: Action, run_id: str, now: int
) -> Leaver:
    """Return a leaver's row after a run that deletes has an outcome for the user.

    Only a run for those who are due lets a leaver wait again, unless a look saw the user
    enabled: another run may have been started for users who were withdrawn or held, regardless of
    any date.
    """
    may_wait = action is Action.DELETE_DUE and leaver.due_at > 0
    match outcome:
        case Outcome.DELETED | Outcome.ALREADY_ABSENT:
            state = LeaverState.DONE
        case Outcome.FAILED | Outcome.UNKNOWN:
            state = LeaverState.HELD
        case Outcome.SKIPPED if why.kind in _HOLDS:
            state = LeaverState.HELD
        case _ if leaver.state is LeaverState.DELETING:
            state = LeaverState.WAITING if may_wait else LeaverState.HELD
        case _:
            return leaver
    is_settled = leaver.state in {LeaverState.WITHDRAWN, LeaverState.DONE} or stays(leaver)
    if is_settled and state is not LeaverState.DONE:
        return leaver
    return _changed(leaver, state, why, run_id=run_id, now=now)


def held(leaver: Leaver, why: Why, *, run_id: str, now: int) -> Leaver:
    """Return a leaver's row that a person must decide about."""
    return _changed(leaver, LeaverState.HELD, why, run_id=run_id, now=now)


def stays(leaver: Leaver) -> bool:
    """Return whether a leaver is held because a roster names them: no outcome changes that."""
    return leaver.state is LeaverState.HELD and leaver.reason_kind is ReasonKind.NAMED_BY_ROSTER


def may_be_deleted(leaver: Leaver) -> bool:
    """Return whether a leaver may be deleted without a further decision, also by a resumed run."""
    is_open = leaver.state in {LeaverState.WAITING, LeaverState.DELETING}
    return is_open or is_held_by(leaver, leaver.changed_by)


def is_held_by(leaver: Leaver, run_id: str) -> bool:
    """Return whether a leaver is held only because this run sent a DELETE that did not delete."""
    return (
        leaver.state is LeaverState.HELD
        and leaver.changed_by == run_id
        and leaver.due_at > 0
        and leaver.reason_kind not in _ONLY_A_PERSON_DECIDES
    )


def waiting_again(leaver: Leaver, *, run_id: str, now: int) -> Leaver:
    """Return the row of a held leaver whom a resumed run is to delete."""
    return replace(
        leaver,
        state=LeaverState.WAITING,
        reason_kind=ReasonKind.NONE,
        reason="",
        changed_at=now,
        changed_by=run_id,
    )


def withdrawn(leaver: Leaver, *, by: str, reason: str, now: int, run_id: str = "") -> Leaver:
    """Return the row of a leaver whom a person has withdrawn."""
    return replace(
        leaver,
        state=LeaverState.WITHDRAWN,
        reason_kind=ReasonKind.WITHDRAWN,
        reason=reason,
        by=by,
        changed_at=now,
        changed_by=run_id,
    )


def _changed(leaver: Leaver, state: LeaverState, why: Why, *, run_id: str, now: int) -> Leaver:
    return replace(
        leaver,
        state=state,
        by_our_put=leaver.by_our_put and why.kind not in _SEEN_ENABLED,
        reason_kind=why.kind,
        reason=why.text,
        by="",
        changed_at=now,
        changed_by=run_id,
    )


def _runs(before: Leaver | None, run_id: str) -> tuple[str, ...]:
    earlier = before.runs if before else ()
    return (*(run for run in earlier if run != run_id), run_id)
