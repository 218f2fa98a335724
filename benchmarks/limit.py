"""How close we get to the portal's own limit: concurrency over seconds per DELETE.

Measured after the canaries, which go one by one on purpose, whatever `Concurrency` is.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.application import Application
from benchmarks.figures import Figure
from bulk_user_deletion.rules.batches import BATCH_SIZE
from local.engine import Engine
from local.portal import Knobs, PortalSimulator
from local.portal.simulator import Request

USERS = 200
_CANARIES = 2
_FIRST = 110


@dataclass(frozen=True)
class Case:
    """The users at a time, the seconds per DELETE, and these seconds after scaling."""

    concurrency: int
    seconds: int
    scaled: float


_CASES = (Case(1, 30, 1.5), Case(4, 60, 5.0))


@dataclass(frozen=True)
class Shares:
    """Where the time of all slots went, in percent: they add up to 100.

    `deleting` is the portal's; `last_rounds` is that of slots with no user left in their batch;
    `between_batches` from a batch's last answer to the next one's first DELETE; `users` is what
    lies between one user and the next.
    """

    deleting: float
    last_rounds: float
    between_batches: float
    users: float


def shares(deletes: Sequence[Request], *, since: float, concurrency: int, batch: int) -> Shares:
    """Divide the time from `since` to the last answer; batches have `batch` users each."""
    batches = [deletes[first : first + batch] for first in range(0, len(deletes), batch)]
    ends = [sorted(request.at + request.seconds for request in each) for each in batches]
    whole = (ends[-1][-1] - since) * concurrency
    deleting = sum(request.seconds for request in deletes)
    last_rounds = sum(each[-1] - end for each in ends for end in each[-concurrency:])
    between = sum(
        min(request.at for request in each) - before[-1]
        for each, before in zip(batches[1:], ends, strict=False)
    )
    users = whole - deleting - last_rounds - between * concurrency
    return Shares(
        deleting=100 * deleting / whole,
        last_rounds=100 * last_rounds / whole,
        between_batches=100 * between * concurrency / whole,
        users=100 * users / whole,
    )


def run(*, users: int = USERS, cases: Sequence[Case] = _CASES) -> Iterator[Figure]:
    """Delete `users` users at the adaptive pace, each case with its own emulator."""
    with ThreadPoolExecutor(len(cases)) as together:
        for figures in together.map(lambda case: list(_measure(case, users)), cases):
            yield from figures


def _measure(case: Case, users: int) -> Iterator[Figure]:
    scale = case.scaled / case.seconds
    knobs = Knobs(seconds_per_delete=case.scaled, token_life_seconds=900 * scale)
    with (
        Engine(wait_scale=scale) as aws,
        PortalSimulator(users=users + 120, knobs=knobs) as portal,
    ):
        application = Application(
            aws,
            "bench",
            portal,
            Pacing="adaptive",
            Concurrency=str(case.concurrency),
            CanaryUsers=str(_CANARIES),
        )
        ended = application.apply(range(_FIRST, _FIRST + users))
    deletes = ended.deletes[_CANARIES:]
    others = {request.user_id for request in deletes}
    first = next(request.at for request in ended.requests if request.user_id in others)
    found = shares(deletes, since=first, concurrency=case.concurrency, batch=BATCH_SIZE)
    what = f"{case.concurrency} at a time, {case.seconds} s scaled to {case.scaled:g} s"
    yield Figure(
        "limit",
        f"users per hour over the limit, {what}",
        found.deleting,
        "%",
        target=95,
        at_most=False,
    )
    yield Figure("limit", f"lost in last rounds, {what}", found.last_rounds, "%")
    yield Figure("limit", f"lost between batches, {what}", found.between_batches, "%")
    yield Figure("limit", f"lost between users, {what}", found.users, "%")
