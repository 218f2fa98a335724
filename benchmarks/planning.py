"""Planning a list as long as the portal: 100,000 rows against 100,000 users."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.application import Application
from benchmarks.figures import Figure
from benchmarks.functions import environment, invoke, report, with_token
from local.engine import Engine
from local.portal import PortalSimulator

USERS = 100_000

# The unavoidable part: fetching both bodies and decoding them. Seconds of each.
_FLOOR = """
import json, sys, time
import requests
portal, token, dataset = sys.argv[1:]
headers = {"token": token}
started = time.perf_counter()
bodies = [
    requests.get(f"{portal}/api/{path}", headers=headers, timeout=600).content
    for path in ("user", f"dataset_data?dataset={dataset}&amount=Y")
]
fetched = time.perf_counter() - started
times = []
for _ in range(3):
    started = time.perf_counter()
    for body in bodies:
        json.loads(body)
    times.append(time.perf_counter() - started)
print(json.dumps([fetched, min(times)]))
"""


def run(*, users: int = USERS) -> Iterator[Figure]:
    """Plan to delete every user that may be deleted."""
    with Engine() as aws, PortalSimulator(users=users) as portal:
        application = Application(aws, "bench", portal)
        variables = environment(aws, application)
        dataset = portal.add_dataset("SELECT user_id FROM user")
        events: dict[str, dict[str, Any]] = {
            mode: {
                "run_id": mode,
                "execution_arn": f"arn:aws:states:us-east-1:000000000000:execution:bench:{mode}",
                "request": {"mode": mode, "source": {"dataset_id": dataset}},
            }
            for mode in ("preview", "apply")
        }
        preview, apply = (
            with_token("fetch_user_ids", event, variables) for event in events.values()
        )
        if preview.error or apply.error:
            raise RuntimeError(preview.message or apply.message)
        token = json.loads(
            aws.client("secretsmanager").get_secret_value(SecretId=variables["TOKEN_SECRET"])[
                "SecretString"
            ]
        )["token"]
        arguments = [portal.url, token, str(dataset)]
        floor = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _FLOOR, *arguments], stdout=subprocess.PIPE, check=True
        ).stdout
        fetched, decoded = json.loads(floor)
        [batch] = invoke("next_batch", [{**events["apply"], "batch": {"number": 0}}], variables)
        reported = report(events["preview"], variables)
        yield Figure("planning", f"time to plan {users:,} rows", preview.seconds, "s")
        yield Figure("planning", "of which the bodies' transfer", fetched, "s")
        yield Figure(
            "planning",
            "time without the transfer, over json.loads of the bodies",
            (preview.seconds - fetched) / decoded,
            "times",
            target=4,
        )
        yield Figure("planning", "time to plan and keep the users before", apply.seconds, "s")
        yield Figure("planning", "peak memory", apply.peak_mb, "MB", target=256)
        yield Figure("planning", "peak memory of NextBatch", batch.peak_mb, "MB", target=256)
        yield Figure("planning", "time of NextBatch", batch.seconds, "s")
        yield Figure("planning", "peak memory of ReportRun", reported.peak_mb, "MB", target=1024)
        yield Figure("planning", "time of ReportRun", reported.seconds, "s", target=900)
