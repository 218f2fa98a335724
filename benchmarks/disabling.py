"""How soon leavers have no access any more: from the request to the last PUT's answer."""

from collections.abc import Iterator

from benchmarks.application import Application
from benchmarks.figures import Figure
from local.engine import Engine
from local.portal import Knobs, PortalSimulator

LEAVERS = 50
_SECONDS_PER_PUT = 2
_SCALE = 0.5  # to no less than a second a PUT
_FIRST = 110


def run(*, leavers: int = LEAVERS, scale: float = _SCALE) -> Iterator[Figure]:
    """Disable `leavers` users through the real template, with what it sets by default."""
    knobs = Knobs(seconds_per_put=_SECONDS_PER_PUT * scale, token_life_seconds=900 * scale)
    users = range(_FIRST, _FIRST + leavers)
    with (
        Engine(wait_scale=scale) as aws,
        PortalSimulator(users=leavers + 120, knobs=knobs) as portal,
    ):
        for user_id in users:
            portal.edit(user_id, enabled="Y")
        application = Application(aws, "bench", portal)
        ended = application.apply(users, action="disable_then_delete")
    puts = [request for request in ended.requests if request.method == "PUT"]
    looks = [request for request in ended.requests if request.user_id is not None]
    seconds = (puts[-1].at - puts[0].at) / (len(puts) - 1) / scale
    took = (puts[-1].at + puts[-1].seconds - ended.started) / scale
    disabled = ended.report["counts"].get("disabled", 0)
    what = f"{leavers} leavers, {_SECONDS_PER_PUT} s a PUT"
    yield Figure("disabling", "leavers disabled", disabled, target=leavers, at_most=False)
    yield Figure("disabling", f"{what}, until the last has no access", took / 60, "min", 5)
    yield Figure("disabling", "time per leaver", seconds, "s")
    yield Figure("disabling", "of which our own", seconds - _SECONDS_PER_PUT, "s")
    yield Figure("disabling", "portal requests per leaver", len(looks) / leavers, target=3)
