"""The vendor's loop beside this application: same portal, same clocks, side by side.

The loop is the one in the article: one token, one DELETE after another, a minute of waiting after
each, whatever the answer. Its busy waiting is replaced by a sleep of the same length.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import requests

from benchmarks.application import Application, good_deletes, seconds_per_user
from benchmarks.figures import Figure
from local.engine import Engine
from local.portal import Knobs, PortalSimulator
from local.portal.simulator import Request

SCALE = 1 / 30
USERS = 15
TOKEN_LIFE = 900
WAIT = 60


@dataclass(frozen=True)
class Party:
    """The result of one of those compared: in the portal's seconds, before scaling."""

    deleted: int
    seconds_per_user: float


@dataclass(frozen=True)
class Beside:
    """What lies between a DELETE's answer and the next DELETE besides the pause, means per user.

    In seconds of the machine: it is not scaled as the portal's times are. `looking` lasts from the
    answer to the end of the looks after it: on AWS it is inside the pause, which is counted from
    the answer, but the emulator scales the pause and not that. `preparing` lasts from the next
    user's look to the DELETE. `starting` is the rest: the end of one child execution and the start
    of the next, which is the emulator's time, and the function's until its look. `looks` are the
    requests to the portal.
    """

    looking: float
    preparing: float
    starting: float
    looks: float


def beside(log: Sequence[Request], deletes: Sequence[Request], *, pause: float) -> Beside:
    """Divide the time between each DELETE of a run and the next one.

    The token says whose look it is: another stack also looks at users whom it misses.
    """
    looking = preparing = starting = 0.0
    looks = 0
    for before, after in pairwise(deletes):
        answered = before.at + before.seconds
        last = [r for r in _same(log, before) if before.at < r.at < after.at]
        first = [r for r in _same(log, after) if r.at < after.at]
        seen = max(r.at + r.seconds for r in last)
        looks += len(last) + len(first)
        looking += seen - answered
        preparing += after.at - first[0].at
        starting += first[0].at - seen - pause
    number = len(deletes) - 1
    return Beside(looking / number, preparing / number, starting / number, looks / number)


def _same(log: Sequence[Request], request: Request) -> list[Request]:
    """Return the requests for the same user with the same token."""
    return [r for r in log if (r.user_id, r.token) == (request.user_id, request.token)]


def vendors_loop(portal: PortalSimulator, user_ids: list[int], scale: float) -> None:
    """Delete users as the article's script does."""
    token = requests.post(
        f"{portal.url}/api/get_token",
        json={
            "application_id": portal.application_id,
            "application_key": portal.application_key,
            "user": portal.api_user,
        },
        timeout=60,
    ).json()["token"]
    with requests.Session() as session:
        for user_id in user_ids:
            session.delete(
                f"{portal.url}/api/user/id/{user_id}", headers={"token": token}, timeout=600
            )
            time.sleep(WAIT * scale)


def run(*, paces: tuple[int, ...] = (5, 30, 60, 120), users: int = USERS) -> Iterator[Figure]:
    """Compare at each number of seconds per DELETE."""
    with (
        Engine(wait_scale=SCALE) as aws,
        PortalSimulator(users=110 + 3 * users * len(paces) + 6) as portal,
    ):
        ours = {
            pacing: Application(
                aws,
                f"bench-{pacing}",
                portal,
                Pacing=pacing,
                WaitSeconds=str(WAIT),
                # The loop and the other stack delete beside it: their users are losses to it.
                CanaryUsers="0",
                MaxUnexplainedLosses="1000",
            )
            for pacing in ("fixed", "adaptive")
        }
        ids = list(range(110, 110 + 3 * users * len(paces) + 6))
        for application in ours.values():  # warm functions, as in the middle of a run
            application.apply([ids.pop(), ids.pop()])
        for seconds in paces:
            portal.knobs = Knobs(
                seconds_per_delete=seconds * SCALE, token_life_seconds=TOKEN_LIFE * SCALE
            )
            parts = {
                name: [ids.pop() for _ in range(users)] for name in ("vendor", "fixed", "adaptive")
            }
            before = len(portal.requests)
            with ThreadPoolExecutor(3) as together:
                loop = together.submit(vendors_loop, portal, parts["vendor"], SCALE)
                jobs = [
                    together.submit(application.apply, parts[name])
                    for name, application in ours.items()
                ]
                loop.result()
                for job in jobs:
                    job.result()
            log = portal.requests[before:]
            ours_alone = [request for request in log if request.user_id in set(parts["fixed"])]
            took = beside(ours_alone, good_deletes(ours_alone), pause=WAIT * SCALE)
            parties = {name: _party(log, ids) for name, ids in parts.items()}
            yield from _compare(seconds, parties, took, users)


def _party(log: list[Request], user_ids: list[int]) -> Party:
    deletes = good_deletes(request for request in log if request.user_id in set(user_ids))
    return Party(len(deletes), seconds_per_user(deletes) / SCALE)


def _compare(seconds: int, parties: dict[str, Party], took: Beside, users: int) -> Iterator[Figure]:
    vendor, fixed, adaptive = (parties[name] for name in ("vendor", "fixed", "adaptive"))
    part = f"vendor, {seconds} s per DELETE"
    yield Figure(part, "users the loop deletes before its token ends", vendor.deleted)
    yield Figure(part, "users deleted by us, fixed", fixed.deleted, target=users, at_most=False)
    yield Figure(
        part, "users deleted by us, adaptive", adaptive.deleted, target=users, at_most=False
    )
    yield Figure(
        part,
        "our time per user over the loop's, fixed, looks after the DELETE on top of the pause",
        fixed.seconds_per_user / vendor.seconds_per_user,
    )
    yield Figure(
        part,
        "our time per user over the loop's, fixed, these looks inside of the pause as on AWS",
        (fixed.seconds_per_user - took.looking / SCALE) / vendor.seconds_per_user,
        target=1.02,
    )
    yield Figure(part, "looks between an answer and the next DELETE", took.looks, target=2)
    yield Figure(part, "looking after the DELETE, not scaled", took.looking, "s")
    yield Figure(part, "preparing the next DELETE, not scaled", took.preparing, "s")
    yield Figure(part, "starting the next user, the emulator's, not scaled", took.starting, "s")
    yield Figure(
        part,
        "as fast as the loop, adaptive",
        vendor.seconds_per_user / adaptive.seconds_per_user,
        "times",
        target=1.9 if seconds == 60 else None,
        at_most=False,
    )
