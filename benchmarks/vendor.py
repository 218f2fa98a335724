"""The vendor's loop beside this application: same portal, same clocks, side by side.

The loop is the one in the article: one token, one DELETE after another, a minute of waiting after
each, whatever the answer. Its busy waiting is replaced by a sleep of the same length.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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
                aws, f"bench-{pacing}", portal, Pacing=pacing, WaitSeconds=str(WAIT)
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
            yield from _compare(seconds, {name: _party(log, ids) for name, ids in parts.items()})


def _party(log: list[Request], user_ids: list[int]) -> Party:
    deletes = good_deletes(request for request in log if request.user_id in set(user_ids))
    return Party(len(deletes), seconds_per_user(deletes) / SCALE)


def _compare(seconds: int, parties: dict[str, Party]) -> Iterator[Figure]:
    vendor, fixed, adaptive = (parties[name] for name in ("vendor", "fixed", "adaptive"))
    part = f"vendor, {seconds} s per DELETE"
    users = USERS
    yield Figure(part, "users the loop deletes before its token ends", vendor.deleted)
    yield Figure(part, "users deleted by us, fixed", fixed.deleted, target=users, at_most=False)
    yield Figure(
        part, "users deleted by us, adaptive", adaptive.deleted, target=users, at_most=False
    )
    yield Figure(
        part,
        "our time per user over the loop's, fixed",
        fixed.seconds_per_user / vendor.seconds_per_user,
        target=1.02,
    )
    yield Figure(
        part,
        "as fast as the loop, adaptive",
        vendor.seconds_per_user / adaptive.seconds_per_user,
        "times",
        target=1.9 if seconds == 60 else None,
        at_most=False,
    )
