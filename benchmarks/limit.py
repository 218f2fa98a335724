"""How close we get to the portal's own limit: concurrency over seconds per DELETE."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.application import Application
from benchmarks.figures import Figure
from local.engine import Engine
from local.portal import Knobs, PortalSimulator

USERS = 200


@dataclass(frozen=True)
class Case:
    """The users at a time, the seconds per DELETE, and these seconds after scaling."""

    concurrency: int
    seconds: int
    scaled: float


_CASES = (Case(1, 30, 1.5), Case(4, 60, 5.0))


def run() -> Iterator[Figure]:
    """Delete `USERS` users at the adaptive pace, each case with its own emulator."""
    with ThreadPoolExecutor(len(_CASES)) as together:
        yield from together.map(_measure, _CASES)


def _measure(case: Case) -> Figure:
    scale = case.scaled / case.seconds
    knobs = Knobs(seconds_per_delete=case.scaled, token_life_seconds=900 * scale)
    with (
        Engine(wait_scale=scale) as aws,
        PortalSimulator(users=USERS + 120, knobs=knobs) as portal,
    ):
        application = Application(
            aws, "bench", portal, Pacing="adaptive", Concurrency=str(case.concurrency)
        )
        ended = application.apply(range(110, 110 + USERS))
    # From the first look to the last DELETE's answer, including the canaries one by one.
    first = next(request.at for request in ended.requests if request.user_id is not None)
    took = max(request.at + request.seconds for request in ended.deletes) - first
    return Figure(
        "limit",
        f"users per hour over the limit, {case.concurrency} at a time, {case.seconds} s scaled to"
        f" {case.scaled:g} s",
        100 * (len(ended.deletes) / took) / (case.concurrency / case.scaled),
        "%",
        target=95,
        at_most=False,
    )
