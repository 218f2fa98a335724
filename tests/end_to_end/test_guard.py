"""The guard on the real template: owners are disabled, and deleted only after a handover."""

import json
import re
from collections.abc import Iterator

import pytest

from local.engine import Engine
from local.portal import PortalSimulator
from tests.end_to_end.conftest import PROJECT, WAIT_SCALE, Application, Run
from tests.end_to_end.test_lifecycle import daily_run

# The query that the documents give to start from.
[OWNERS] = re.findall(
    r"```sql\n(.+?)```", (PROJECT / "docs/guard.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    """A stack with a guard that disables and then deletes; twenty users own boards."""
    with Engine(wait_scale=WAIT_SCALE) as aws, PortalSimulator(users=100) as portal:
        portal.clock = aws.now
        for user_id in portal.user_ids():
            portal.edit(user_id, enabled="Y", ldap="N")
        for owner in range(160, 180):
            portal.add_element(f"board {owner}", business_owner=owner)
        application = Application(
            aws,
            "guarded",
            portal,
            GuardDataset=str(portal.add_dataset(OWNERS)),
            LeaverAction="disable_then_delete",
        )
        # The emulator fires it some seconds after a jump: the test starts what it starts.
        scheduler = aws.client("scheduler")
        for schedule in scheduler.list_schedules()["Schedules"]:
            scheduler.delete_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])
        yield application


def test_a_guarded_leaver_keeps_their_account_until_everything_is_handed_over(
    application: Application,
) -> None:
    portal = application.portal
    others = portal.user_ids() - {110, 160}
    assert application.apply([110, 160]).report["counts"] == {"disabled": 2}

    # The guard was not collected for a month: nobody is deleted.
    application.jump(days=31)
    refused = daily_run(application, 31)
    assert isinstance(refused, Run)
    assert (refused.report["status"], refused.writes) == ("REFUSED", [])
    assert "collected 744." in refused.report["sentence"]

    portal.collect(42)
    first = daily_run(application, 32)
    assert isinstance(first, Run)
    assert first.outcomes == {"110": "deleted", "160": "skipped"}
    assert [request.user_id for request in first.writes] == [110]
    assert first.report["guarded"] == {"owns board 160": ["160"]}
    [row] = portal.database.execute("SELECT enabled FROM user WHERE user_id = 160")
    assert row["enabled"] == "N"
    for arn in application.executions():
        history = application.aws.client("stepfunctions").get_execution_history(executionArn=arn)
        assert "owns board" not in json.dumps(history, default=str)

    portal.hand_over(160, to=161)
    portal.collect(42)
    second = daily_run(application, 33)
    assert isinstance(second, Run)
    assert second.outcomes == {"160": "deleted"}
    assert portal.user_ids() == others


def test_a_guard_that_shrank_deletes_nobody_until_a_person_accepts_its_figure(
    application: Application,
) -> None:
    portal = application.portal
    assert application.apply([112]).report["counts"] == {"disabled": 1}
    application.jump(days=31)
    for owner in range(162, 170):
        portal.hand_over(owner, to=161)
    portal.collect(42)

    refused = daily_run(application, 64)
    assert isinstance(refused, Run)
    assert (refused.report["status"], refused.writes) == ("REFUSED", [])
    assert "keeps 12 users, and kept 20 when it was last accepted" in refused.report["sentence"]

    order = {"users": 12, "reason": "handed over", "by": "portal team"}
    said = application.order({"accept_guard": order})
    assert said == "A guard of 12 users, dataset 42, is accepted by portal team. It was 20."
    accepted = daily_run(application, 65)
    assert isinstance(accepted, Run)
    assert accepted.outcomes == {"112": "deleted"}
