"""How near to the portal's own limit: concurrency over seconds per DELETE."""

from collections.abc import Iterator

from benchmarks.application import Application
from benchmarks.figures import Figure
from local.engine import Engine
from local.portal import Knobs, PortalSimulator

USERS = 200

# Concurrency, the portal's seconds per DELETE, and what is left of them.
_CASES = ((1, 30, 1.0), (4, 60, 3.0))


def run(*, users: int = USERS) -> Iterator[Figure]:
    """Delete `users` users at the adaptive pace."""
    for concurrency, seconds, scaled in _CASES:
        scale = scaled / seconds
        knobs = Knobs(seconds_per_delete=scaled, token_life_seconds=900 * scale)
        with (
            Engine(wait_scale=scale) as aws,
            PortalSimulator(users=users + 120, knobs=knobs) as portal,
        ):
            application = Application(
                aws, "bench", portal, Pacing="adaptive", Concurrency=str(concurrency)
            )
            ended = application.delete(range(110, 110 + users))
        deletes = ended.deletes
        # From the first look to the last DELETE's answer; the canaries, one by one, are in it.
        first = next(request.at for request in ended.requests if request.user_id is not None)
        took = max(request.at + request.seconds for request in deletes) - first
        yield Figure(
            "limit",
            f"users per hour over the limit, {concurrency} at a time, {seconds} s scaled to"
            f" {scaled:g} s",
            100 * (len(deletes) / took) / (concurrency / scaled),
            "%",
            target=95,
            at_most=False,
        )
