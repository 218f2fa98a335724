"""Each known accident of mass deletion, on the whole state machine, by the portal's request log."""

import json
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from local.engine import Engine
from local.portal import Fault, PortalSimulator
from tests.end_to_end.conftest import Application, Run


@pytest.fixture(scope="module")
def strictly_deployed(aws: Engine) -> Iterator[Application]:
    """A stack with a protected list, 30 users a day, and no canaries that would stop first."""
    with PortalSimulator(users=200) as portal:
        yield Application(
            aws,
            "strict",
            portal,
            FileDropMode="apply",
            ProtectedList="protected.csv",
            MaxUsersPerDay="30",
            CanaryUsers="0",
        )


@pytest.fixture
def strict(strictly_deployed: Application) -> Application:
    strictly_deployed.behave()
    strictly_deployed.put("protected.csv", b"user,until,reason\nsvc-*,,service accounts\n")
    return strictly_deployed


def refused(run: Run, why: str) -> None:
    assert (run.status, run.error) == ("FAILED", "RequestRefused")
    assert why in run.cause
    assert run.writes == []


def plan_of(preview: Run) -> dict[str, Any]:
    """The request that applies a preview's plan, as its notification gives it."""
    digest = preview.report["plan_sha256"]
    return {"mode": "apply", "plan": {"run_id": preview.id, "sha256": digest}}


# A wrong source


@pytest.mark.parametrize("content", [b"", b"user_id\n", b"\n\n"])
def test_an_empty_source_is_refused(application: Application, content: bytes) -> None:
    refused(application.drop("empty.csv", content), "The source is empty")


def test_a_source_that_names_everyone_is_refused(application: Application) -> None:
    dataset = application.portal.add_dataset("SELECT user_id FROM user")

    run = application.start({"mode": "apply", "source": {"dataset_id": dataset}})

    refused(run, "MaxUsers allows 50")


def test_many_small_files_do_not_get_past_the_cap_per_day(strict: Application) -> None:
    before = strict.portal.user_ids()
    batches = [strict.leavers(11) for _ in range(3)]

    runs = [
        strict.drop(f"{n}.csv", "\n".join(["user_id", *map(str, batch)]).encode())
        for n, batch in enumerate(batches)
    ]

    assert [run.status for run in runs] == ["SUCCEEDED", "SUCCEEDED", "FAILED"]
    refused(runs[2], "in the last 24 hours, and MaxUsersPerDay allows 30")
    assert before - strict.portal.user_ids() == {*batches[0], *batches[1]}


def test_a_cap_of_0_allows_nobody(application: Application) -> None:
    run = application.apply(application.leavers(1), options={"max_users": 0})

    refused(run, "MaxUsers allows 0")


def test_a_file_of_strangers_is_refused(application: Application) -> None:
    run = application.drop("strangers.csv", b"username\nnobody\nnobody.else\n")

    refused(run, "2 of 2 entries are not in the portal")


# The wrong people


def test_a_protected_list_in_other_letter_case_protects_too(strict: Application) -> None:
    kept = strict.leavers(2)
    strict.put(
        "protected.csv",
        f"User,Until,Reason\n USER{kept[0]:04} ,,board\nUser{kept[1]:04}@EXAMPLE.com,,\n".encode(),
    )

    run = strict.apply(kept)

    assert set(run.outcomes.values()) == {"skipped"}
    assert run.report["status"] == "NOBODY_DELETED"
    assert "check where the list comes from" in run.report["warnings"][0]
    assert run.writes == []


@pytest.mark.parametrize("content", [b"", b"user\n", b"user,until,reason\njdoe,soon,\n"])
def test_a_protected_list_that_is_missing_or_malformed_refuses_the_run(
    strict: Application, content: bytes
) -> None:
    strict.put("protected.csv", content)

    refused(strict.apply(strict.leavers(1)), "rotected list")


def test_an_administrator_on_the_list_is_kept_with_a_warning(application: Application) -> None:
    run = application.apply(["102", *application.leavers(1)])

    assert run.outcomes["102"] == "skipped"
    assert "administrator" in run.report["rows"][0]["reason"]
    assert "line 1" in run.report["warnings"][0]
    assert 102 in application.portal.user_ids()


def test_two_users_with_one_e_mail_are_both_kept(application: Application) -> None:
    one, other = application.leavers(2)
    application.portal.database.execute(
        "UPDATE user SET email = 'team@example.com' WHERE user_id IN (?, ?)", (one, other)
    )

    by_hand = application.apply(["team@example.com"])
    by_file = application.drop("team.csv", b"email\nteam@example.com\n")

    assert by_hand.outcomes == {"team@example.com": "unresolved"}
    assert by_hand.writes == []
    refused(by_file, "ambiguous")


def test_an_id_that_now_belongs_to_another_user_is_not_deleted(application: Application) -> None:
    (leaver,) = application.leavers(1)
    preview = application.preview([leaver])
    application.portal.database.execute(
        "UPDATE user SET username = 'new.person', email = 'new@example.com' WHERE user_id = ?",
        (leaver,),
    )

    run = application.start(plan_of(preview))

    assert run.outcomes == {str(leaver): "skipped"}
    assert run.report["rows"][0]["reason"].startswith("changed_since_plan")
    assert run.writes == []


# The wrong plan


def test_a_plan_is_applied_to_exactly_the_unchanged_and_still_unprotected(
    application: Application,
) -> None:
    same, also_same, renamed, promoted, gone = application.leavers(5)
    preview = application.preview([same, also_same, renamed, promoted, gone])
    execute = application.portal.database.execute
    execute("UPDATE user SET username = 'renamed' WHERE user_id = ?", (renamed,))
    execute("UPDATE user SET type = 'administrator' WHERE user_id = ?", (promoted,))
    execute("DELETE FROM user WHERE user_id = ?", (gone,))
    before = application.portal.user_ids()

    run = application.start(plan_of(preview))

    assert run.outcomes == {
        str(same): "deleted",
        str(also_same): "deleted",
        str(renamed): "skipped",
        str(promoted): "skipped",
        str(gone): "already_absent",
    }
    assert [request.user_id for request in run.writes] == [same, also_same]
    assert before - application.portal.user_ids() == {same, also_same}


def test_a_plan_is_applied_once(application: Application) -> None:
    preview = application.preview(application.leavers(1))
    first = application.start(plan_of(preview))

    again = application.start(plan_of(preview))

    assert first.status == "SUCCEEDED"
    refused(again, f"applied before, by run {first.id}")


def edited(application: Application, preview: Run, **changes: Any) -> str:
    """Change a stored plan; return its new hash."""
    key = f"runs/{preview.id}/plan.json"
    content = json.dumps({**application.read_json(key), **changes}).encode()
    application.put(key, content)
    return sha256(content).hexdigest()


def test_an_edited_plan_is_refused(application: Application) -> None:
    preview = application.preview(application.leavers(1))
    edited(application, preview, reason="HR-9999")

    refused(application.start(plan_of(preview)), "does not have this sha256")


def test_a_stale_plan_is_refused(application: Application) -> None:
    preview = application.preview(application.leavers(1))
    digest = edited(application, preview, created_at=int(time.time()) - 25 * 3600)

    run = application.start({"mode": "apply", "plan": {"run_id": preview.id, "sha256": digest}})

    refused(run, "plans may be applied for 24 hours")


def test_a_refused_preview_cannot_be_applied(application: Application) -> None:
    preview = application.preview(application.leavers(3), options={"max_users": 2})

    refused(application.start(plan_of(preview)), "may not be applied")


# Runs that go wrong


def test_a_portal_that_is_half_broken_trips_the_breaker(strict: Application) -> None:
    leavers = strict.leavers(5)
    strict.portal.faults.rate(Fault.CONFLICT, 1)

    run = strict.apply(leavers)

    assert (run.status, run.error) == ("FAILED", "RunStopped")
    assert "breaker: The breaker tripped: 3 users in a row failed" in run.cause
    assert run.report["counts"] == {"failed": 3, "not_attempted": 2}
    assert [request.user_id for request in run.writes] == leavers[:3]


def test_a_proxys_404_to_everything_deletes_nobody(application: Application) -> None:
    first, *others = application.leavers(3)
    application.portal.faults.rate(Fault.PROXY_404, 1, method="GET", user_id=first)

    run = application.apply([first, *others])

    assert (run.status, run.error) == ("FAILED", "RunStopped")
    assert set(run.outcomes.values()) == {"not_attempted"}
    assert "did not answer" in run.cause
    assert run.writes == []


def test_a_proxys_404_to_a_delete_does_not_count_as_gone(application: Application) -> None:
    first, *others = application.leavers(3)
    application.portal.faults.rate(Fault.PROXY_404, 1)

    run = application.apply([first, *others])

    assert run.outcomes[str(first)] == "unknown"
    assert [request.user_id for request in run.writes] == [first]
    assert {first, *others} <= application.portal.user_ids()


def test_a_stop_in_the_middle_of_50_users_holds_before_the_next_one(
    application: Application,
) -> None:
    leavers = application.leavers(50)
    users = application.portal.user_ids()
    before = len(application.portal.requests)
    arn = application.start_execution(
        {"mode": "apply", "source": {"users": [str(user_id) for user_id in leavers]}}
    )
    while len(users - application.portal.user_ids()) < 5:
        time.sleep(0.02)

    said = application.order(
        {"stop": {"run_id": arn.rpartition(":")[2], "reason": "wrong list", "by": "night shift"}}
    )
    deletes_at_the_stop = sum(
        request.method == "DELETE" for request in application.portal.requests[before:]
    )
    run = application.ended(arn, before)

    assert "no further user is started" in said
    assert (run.status, run.error) == ("FAILED", "RunStopped")
    assert "night shift: wrong list" in run.cause
    assert len(run.writes) <= deletes_at_the_stop + 1
    deleted = users - application.portal.user_ids()
    assert run.report["counts"] == {"deleted": len(deleted), "not_attempted": 50 - len(deleted)}
    assert deleted == set(leavers[: len(deleted)])


def test_the_stop_button_for_the_whole_portal_holds_until_it_is_lifted(
    application: Application,
) -> None:
    (leaver,) = application.leavers(1)
    application.order({"stop": {"reason": "portal upgrade", "by": "platform team"}})

    refused(application.apply([leaver]), "platform team stopped every run on this portal")
    preview = application.preview([leaver])
    application.order({"lift": {"reason": "upgrade done", "by": "platform team"}})
    run = application.apply([leaver])

    assert preview.report["counts"] == {"would_delete": 1}
    assert run.report["counts"] == {"deleted": 1}


def test_apply_only_plans_makes_a_preview_the_only_way(aws: Engine) -> None:
    with PortalSimulator(users=100) as portal:
        application = Application(aws, "plans-only", portal, ApplyOnlyPlans="true")

        refused(application.apply([118]), "ApplyOnlyPlans is on")
        run = application.start(plan_of(application.preview([118])))

        assert run.report["counts"] == {"deleted": 1}
        assert 118 not in portal.user_ids()
