"""A watch of a large portal: 100,000 users against the ledger."""

from collections.abc import Iterator

from benchmarks.application import Application
from benchmarks.figures import Figure
from benchmarks.functions import environment, with_token
from bulk_user_deletion.rules import prices
from local.engine import Engine
from local.portal import PortalSimulator

USERS = 100_000

# The rest of the function's 15 minutes is for the list and for looks.
_SECONDS_FOR_THE_LEDGER = 300


def run(*, users: int = USERS) -> Iterator[Figure]:
    """Watch a portal in which one user is back."""
    with Engine() as aws, PortalSimulator(users=users) as portal:
        application = Application(aws, "bench", portal, WaitSeconds="0")
        [[username]] = portal.database.execute("SELECT username FROM user WHERE user_id = 120")
        application.apply([120])
        portal.add(username=username)
        event = {
            "run_id": "watch",
            "execution_arn": "arn:aws:states:us-east-1:000000000000:execution:bench:watch",
            "request": {"check": "population"},
        }
        watched = with_token("fetch_user_ids", event, environment(aws, application))
        if watched.error:
            raise RuntimeError(watched.message)
        if not watched.result["nothing_because"].startswith(f"1 of {users} users is back"):
            raise RuntimeError(watched.result["nothing_because"])
        yield Figure(
            "watch", f"time to watch {users:,} users", watched.seconds, "s", _SECONDS_FOR_THE_LEDGER
        )
        yield Figure("watch", "of which our own processor time", watched.cpu_seconds, "s")
        yield Figure("watch", "peak memory", watched.peak_mb, "MB", target=256)
        calls = watched.calls["dynamodb:BatchGetItem"]
        yield Figure("watch", "calls to read the ledger", calls)
        cost = watched.reads * prices.LEDGER_READ
        yield Figure("watch", "what these reads cost", cost, "USD", how="modelled")
