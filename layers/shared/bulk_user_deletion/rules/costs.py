"""What a run costs: from what was counted, and from a model of what was not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from math import ceil
from typing import Any

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.costs import Cost, Event, Figures
from bulk_user_deletion.models.plans import Estimate
from bulk_user_deletion.models.users import Spent
from bulk_user_deletion.rules import prices
from bulk_user_deletion.rules.batches import BATCH_SIZE

# The functions' memory, by the states that call them; the template sets it.
_USUAL_GB = 0.25
_GB = {"FetchUserIds": 1.0, "CheckLosses": 1.0, "ReportRun": 1.0}
_USER_GB = 0.125

# Of the state machine, by its definition. A child: its start, DeleteUser, Finished?, Pace.
TRANSITIONS_PER_USER = 4
_TRANSITIONS_PER_FURTHER_INVOCATION = 3  # Settle, DeleteUser, Finished?
TRANSITIONS_PER_RENEWAL = 2  # RefreshTokenForUser, DeleteUser
_TRANSITIONS_AFTER_THE_REPORT = 2  # Succeeded?, and the end
_TRANSITIONS_PER_BATCH = 6  # NextBatch and AnyUsersLeft? twice, CheckLosses, DeleteUsers
TRANSITIONS_PER_RUN = 10

# What the benchmarks count for each part; the times are assumed, for a portal with a few hundred
# users.
_MS_BESIDE_THE_REQUEST = 1_000  # looks, the ledger, a slow processor
_LEDGER_WRITES = 17  # two transactions of four rows each, which count twice, and an update
_LEDGER_READS = 5
_FILE_READS = 1  # the batch

# RefreshToken, and the invocation that starts again with the new token.
_RENEWAL = Figures(
    transitions=TRANSITIONS_PER_RENEWAL,
    invocations=2,
    billed_ms=1_500,
    gb_seconds=0.35,
    ledger_writes=4,
    ledger_reads=5,
    secret_calls=5,
    renewals=1,
)
_BATCH = Figures(
    transitions=_TRANSITIONS_PER_BATCH,
    invocations=3,
    billed_ms=1_900,
    gb_seconds=0.85,
    ledger_writes=1,
    ledger_reads=9,
    secret_calls=1,
    file_writes=1,
    file_reads=5,
)
_RUN = Figures(
    transitions=TRANSITIONS_PER_RUN,
    invocations=5,
    billed_ms=3_000,
    gb_seconds=1.9,
    ledger_writes=10,
    ledger_reads=34,
    secret_calls=8,
    renewals=1,
    file_writes=5,
    file_reads=4,
)

# Tokens are valid for a quarter of an hour, and are renewed early.
_TOKEN_SECONDS = 900 - 30

_ENDS_OF_TASKS = {
    "TaskSucceeded",
    "TaskFailed",
    "TaskTimedOut",
    "TaskStartFailed",
    "TaskSubmitFailed",
}


def total(figures: Iterable[Figures]) -> Figures:
    """Return the sum of figures."""
    columns = zip(*map(astuple, [Figures(), *figures]), strict=True)
    return Figures(*map(sum, columns))


def times(figures: Figures, number: float) -> Figures:
    """Return figures multiplied by a number of times; counts are rounded."""
    products: list[Any] = [
        value * number if isinstance(value, float) else round(value * number)
        for value in astuple(figures)
    ]
    return Figures(*products)


def usd(figures: Figures) -> float:
    """Return the price of figures in USD.

    Each request to S3 and Secrets Manager is priced as one to KMS too, and a mail is sent.
    """
    return (
        figures.transitions * prices.STATE_TRANSITION
        + figures.invocations * prices.LAMBDA_REQUEST
        + figures.gb_seconds * prices.LAMBDA_GB_SECOND
        + figures.ledger_writes * prices.LEDGER_WRITE
        + figures.ledger_reads * prices.LEDGER_READ
        + figures.secret_calls * (prices.SECRETS_REQUEST + prices.KMS_REQUEST)
        + figures.file_writes * (prices.S3_PUT + prices.KMS_REQUEST)
        + figures.file_reads * (prices.S3_GET + prices.KMS_REQUEST)
        + prices.SNS_PUBLISH
    )


def expected(users: int, *, seconds: float, wait_seconds: float, concurrency: int) -> Figures:
    """Model a run that changes a number of users, each with one request of a given duration."""
    renewals = users * (seconds + wait_seconds) / concurrency / _TOKEN_SECONDS
    ms = seconds * 1000 + _MS_BESIDE_THE_REQUEST
    each = Figures(
        transitions=TRANSITIONS_PER_USER,
        invocations=1,
        billed_ms=round(ms),
        gb_seconds=ms / 1000 * _USER_GB,
        portal_seconds=float(seconds),
        ledger_writes=_LEDGER_WRITES,
        ledger_reads=_LEDGER_READS,
        file_writes=1,
        file_reads=_FILE_READS,
    )
    return total([times(each, users), times(_RENEWAL, renewals), _machine(users)])


def of_run(
    spent: Sequence[Spent],
    histories: Sequence[Sequence[Event] | None],
    *,
    renewals: int,
    now: float,
) -> Cost:
    """Return what a run took: `spent` for each user who was started, in one execution a round.

    A history is None if AWS does not have it; then that execution's own functions are modelled.
    """
    known = [history for history in histories if history is not None]
    machine = [_of_history(history, now=now) for history in known]
    users = _of_users(spent)
    in_children = max(0, renewals - sum(part.renewals for part in machine))
    measured = total([*machine, users, Figures(renewals=in_children)])
    unknown = len(histories) - len(known)
    own = total(machine)
    modelled = total(
        [
            replace(times(_RENEWAL, in_children), renewals=0),
            replace(times(_machine(len(spent)), unknown), renewals=0),
            _beside(own.invocations),
            Figures(
                transitions=_transitions(spent) + _TRANSITIONS_AFTER_THE_REPORT * len(known),
                file_writes=sum(one.writes > _WRITES_OF_AN_OUTCOME for one in spent),
                file_reads=_FILE_READS * users.invocations,
            ),
        ]
    )
    return Cost(measured, modelled, round(usd(total([measured, modelled])), 6))


def sentence(cost: Cost, estimate: Estimate | None, *, action: Action) -> str:
    """Say what a run cost, and what its plan estimated; without an estimate, only what it cost.

    The estimate of a preview is about applying it.
    """
    said = f"This run cost about {cost.usd:.4f} USD at AWS's list prices"
    if estimate is None:
        return f"{said}."
    later = ", deleting them later included" if action is Action.DISABLE_THEN_DELETE else ""
    return f"{said}; its plan estimated {estimate.usd:.4f} USD{later}."


# A user who was sent a request has at least the intent's transaction in addition to that of the
# outcome.
_WRITES_OF_AN_OUTCOME = 6


def _transitions(spent: Sequence[Spent]) -> int:
    further = sum(max(0, one.invocations - 1) for one in spent)
    return len(spent) * TRANSITIONS_PER_USER + further * _TRANSITIONS_PER_FURTHER_INVOCATION


def _of_users(spent: Sequence[Spent]) -> Figures:
    ms = sum(one.ms for one in spent)
    return Figures(
        invocations=sum(one.invocations for one in spent),
        billed_ms=ms,
        gb_seconds=ms / 1000 * _USER_GB,
        portal_seconds=sum(one.portal_ms for one in spent) / 1000,
        ledger_writes=sum(one.writes for one in spent),
        ledger_reads=sum(one.reads for one in spent),
        secret_calls=sum(one.secrets for one in spent),
    )


def _of_history(events: Iterable[Event], *, now: float) -> Figures:
    """Count what an execution's own steps took. A retry of a Task is a transition too.

    https://aws.amazon.com/step-functions/pricing/: "each time a step of your workflow is executed",
    retries included.
    """
    transitions = invocations = renewals = tries = 0
    milliseconds: dict[str, float] = {}
    state, started = "", None
    for event in events:
        if event.kind.endswith("StateEntered"):
            transitions, state, tries = transitions + 1, event.state, 0
        elif event.kind == "TaskScheduled":
            invocations, tries, started = invocations + 1, tries + 1, event.at
            transitions += tries > 1
            renewals += state.startswith("RefreshToken")
        elif event.kind in _ENDS_OF_TASKS and started is not None:
            milliseconds[state] = milliseconds.get(state, 0) + (event.at - started) * 1000
            started = None
    if started is not None:  # the invocation that is counting
        milliseconds[state] = milliseconds.get(state, 0) + max(0, now - started) * 1000
    return Figures(
        transitions=transitions,
        invocations=invocations,
        billed_ms=round(sum(milliseconds.values())),
        gb_seconds=_gb_seconds(milliseconds),
        renewals=renewals,
    )


def _gb_seconds(milliseconds: Mapping[str, float]) -> float:
    return sum(ms / 1000 * _GB.get(state, _USUAL_GB) for state, ms in milliseconds.items())


def _machine(users: int) -> Figures:
    """Model what an execution takes in addition to the invocations for its users."""
    return total([_RUN, times(_BATCH, ceil(users / BATCH_SIZE))])


def _beside(invocations: int) -> Figures:
    """Model the requests of an execution's own functions, which do not record them."""
    share = invocations / _RUN.invocations
    return Figures(
        ledger_writes=round(_RUN.ledger_writes * share),
        ledger_reads=round(_RUN.ledger_reads * share),
        secret_calls=round(_RUN.secret_calls * share),
        file_writes=round(_RUN.file_writes * share),
        file_reads=round(_RUN.file_reads * share),
    )
