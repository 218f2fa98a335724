"""How soon a dropped file is answered: from the drop to the answer beside it."""

from collections.abc import Iterator
from statistics import median

from benchmarks.application import Application
from benchmarks.figures import Figure
from local.engine import Engine
from local.portal import PortalSimulator

LISTED = 100
USERS = 10_000
_DROPS = 3
_FIRST = 110


def run(*, listed: int = LISTED, users: int = USERS) -> Iterator[Figure]:
    """Drop a list several times. The first drop wakes the functions, and is not counted.

    The portal answers at once: what a portal takes for its list of users comes on top.
    """
    lines = "".join(f"{user_id}\n" for user_id in range(_FIRST, _FIRST + listed))
    content = f"user_id\n{lines}".encode()
    with Engine() as aws, PortalSimulator(users=users) as portal:
        application = Application(aws, "bench", portal)
        application.preview("wakes.csv", content)
        seconds = [
            application.preview(f"leavers-{number}.csv", content) for number in range(_DROPS)
        ]
    what = f"from the drop of {listed} users to the answer, of {users:,} in the portal"
    yield Figure("preview", what, median(seconds), "s", target=10)
