"""ReportRun: what happened to each user, without false claims."""

import csv
import io
import json
import time

import pytest

from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Pause
from bulk_user_deletion.models.users import Outcome
from local.portal import Knobs
from tests.functions.stack import EXECUTIONS, Stack

NOT_THERE = "9001"


def rows(stack: Stack, run_id: str = "run-1") -> dict[str, dict[str, str]]:
    """The rows of report.csv by entry."""
    body = stack.s3.get_object(Bucket="data", Key=f"runs/{run_id}/report.csv")["Body"].read()
    return {row["entry"]: row for row in csv.DictReader(io.StringIO(body.decode()))}


def delete_all(stack: Stack, *users: str) -> None:
    """Plan, hand out and delete."""
    stack.plan(list(users))
    keys = stack.hand_out()
    for user_id, key in keys.items():
        stack.delete_until_finished(user_id, key)


def test_rule_3_every_entry_has_one_row_and_the_counts_add_up(stack: Stack) -> None:
    administrator = stack.portal.database.execute(
        "SELECT user_id FROM user WHERE type = 'administrator' AND username <> ?",
        (stack.portal.api_user,),
    )[0]["user_id"]
    delete_all(stack, "118", "119", "118", str(administrator), NOT_THERE, "nobody")

    summary = stack.report_run()

    report = stack.read_json("runs/run-1/report.json")
    assert report["counts"] == {
        "deleted": 2,
        "already_absent": 1,
        "skipped": 2,
        "unresolved": 1,
    }
    assert sum(report["counts"].values()) == report["requested"] == len(report["rows"]) == 6
    assert summary["succeeded"] is True
    assert summary["status"] == "SUCCEEDED"


def test_the_json_and_the_csv_report_say_the_same(stack: Stack) -> None:
    delete_all(stack, "118", NOT_THERE)

    stack.report_run()

    in_json = stack.read_json("runs/run-1/report.json")["rows"]
    assert [(row["entry"], row["outcome"]) for row in in_json] == [
        (row["entry"], row["outcome"]) for row in rows(stack).values()
    ]


def test_rule_3_a_user_that_was_not_started_is_not_attempted_and_the_run_fails(
    stack: Stack,
) -> None:
    stack.plan(["118", "119"])
    key = stack.hand_out()["118"]
    stack.delete_until_finished("118", key)

    summary = stack.report_run()

    assert (rows(stack)["118"]["outcome"], rows(stack)["119"]["outcome"]) == (
        "deleted",
        "not_attempted",
    )
    assert (summary["succeeded"], summary["error"]) == (False, "UsersLeftOpen")


def test_rule_8_after_a_stop_the_report_says_who_stopped_it_and_why(stack: Stack) -> None:
    stack.plan(["118"])
    stack.ledger.runs.press_stop("run-1", reason="wrong list", by="night shift", now=1)

    summary = stack.report_run()

    assert (summary["status"], summary["error"]) == ("STOPPED", "RunStopped")
    assert "night shift: wrong list" in summary["cause"]
    assert rows(stack)["118"]["outcome"] == "not_attempted"
    assert "night shift: wrong list" in rows(stack)["118"]["reason"]


def happened(stack: Stack, run_id: str = "run-1") -> list[tuple[str, str, str]]:
    """What report.json says happened: what, who, why."""
    report = stack.read_json(f"runs/{run_id}/report.json")
    return [(one["kind"], one["by"], one["reason"]) for one in report["milestones"]]


@pytest.mark.parametrize("mode", ["preview", "apply"])
def test_a_report_says_whether_it_is_of_a_preview(stack: Stack, mode: str) -> None:
    stack.plan(["118"], mode=mode)

    stack.report_run()

    assert stack.read_json("runs/run-1/report.json")["mode"] == mode


def test_a_report_names_the_portal_and_the_stack(stack: Stack) -> None:
    delete_all(stack, "118")

    stack.report_run()

    report = stack.read_json("runs/run-1/report.json")
    assert report["portal"] == stack.portal.url.removeprefix("http://")
    assert report["stack"] == "bulk-user-deletion"


def test_the_report_of_an_applied_plan_says_who_previewed_it_and_who_approved_it(
    stack: Stack,
) -> None:
    stack.plan(["118"], "preview", mode="preview", requested_by="HR", reason="HR-1")
    digest = stack.plan_sha256("preview")
    plan = {"run_id": "preview", "sha256": digest}
    request = {"mode": "apply", "plan": plan, "requested_by": "platform team", "reason": "HR-2"}
    stack.fetch_user_ids(request)
    stack.work_off()

    stack.report_run()

    assert happened(stack) == [
        ("planned", "HR", "HR-1"),
        ("approved", "platform team", "HR-2"),
        ("started", "", ""),
        ("ended", "", ""),
    ]
    approved = stack.read_json("runs/run-1/report.json")["milestones"][1]
    assert (approved["run_id"], approved["plan_sha256"]) == ("preview", digest)


@pytest.mark.parametrize(
    "request_",
    [
        {"mode": "modus", "source": {"users": ["118"]}},  # not a request
        {"mode": "apply", "resume": "run-0"},  # of a run that does not exist
        {"mode": "apply", "source": {"dataset_id": 4711}},  # that the portal does not have
    ],
)
def test_a_request_that_is_refused_without_a_plan_is_reported_with_who_asked_and_why(
    stack: Stack, request_: dict[str, object]
) -> None:
    asked = {**request_, "requested_by": "platform team", "reason": "HR-1234"}
    with pytest.raises(Exception, match=r"\S") as refusal:
        stack.fetch_user_ids(asked)
    cause = json.dumps({"errorMessage": str(refusal.value)})

    summary = stack.report_run(failure={"Error": "RequestRefused", "Cause": cause})

    report = stack.read_json("runs/run-1/report.json")
    assert (report["requested_by"], report["reason"]) == ("platform team", "HR-1234")
    assert happened(stack) == [("started", "platform team", "HR-1234"), ("ended", "", "")]
    assert "HR-1234" not in json.dumps(summary)


def test_what_is_no_text_in_a_refused_request_is_not_reported(stack: Stack) -> None:
    with pytest.raises(Exception, match="refused at"):
        stack.fetch_user_ids(
            {"mode": "apply", "requested_by": {"name": "x"}, "reason": "a\nb" * 999}
        )

    stack.report_run(failure={"Error": "RequestRefused", "Cause": "{}"})

    report = stack.read_json("runs/run-1/report.json")
    assert report["requested_by"] == ""
    assert (report["reason"][:7], len(report["reason"])) == ("a ba ba", 500)


def test_a_run_that_deleted_nobody_says_so(stack: Stack) -> None:
    delete_all(stack, NOT_THERE)

    summary = stack.report_run()

    assert (summary["succeeded"], summary["status"]) == (True, "NOBODY_DELETED")
    assert "Nobody was deleted" in summary["sentence"]


def test_a_preview_reports_who_would_be_deleted_and_touches_nobody(stack: Stack) -> None:
    stack.plan(["118"], mode="preview")

    summary = stack.report_run()

    assert (summary["succeeded"], summary["status"]) == (True, "PREVIEWED")
    assert summary["counts"] == {"would_delete": 1}
    assert stack.writes() == []


def test_a_refusal_is_reported_with_its_reason_and_every_entry(stack: Stack) -> None:
    with pytest.raises(Exception, match="MaxUsers") as refusal:
        stack.plan(["118", "119"], options={"max_users": 1})
    cause = json.dumps({"errorMessage": str(refusal.value), "errorType": "RequestRefused"})

    summary = stack.report_run(failure={"Error": "RequestRefused", "Cause": cause})

    assert (summary["status"], summary["error"]) == ("REFUSED", "RequestRefused")
    assert "MaxUsers allows 1" in summary["cause"]
    assert summary["counts"] == {"not_attempted": 2}


def test_a_refusal_before_there_was_a_plan_is_reported_too(stack: Stack) -> None:
    cause = json.dumps({"errorMessage": "The request was refused at mode: …"})

    summary = stack.report_run(failure={"Error": "RequestRefused", "Cause": cause})

    assert summary["status"] == "REFUSED"
    assert stack.read_json("runs/run-1/report.json")["requested"] == 0


def test_rule_6_what_an_unexpected_error_said_is_not_repeated(stack: Stack) -> None:
    failure = {"Error": "KeyError", "Cause": '{"errorMessage": "jane.doe@example.com"}'}

    summary = stack.report_run(failure=failure)

    assert "jane.doe" not in json.dumps(summary)
    assert "KeyError" in summary["cause"]


def test_a_late_deletion_is_settled_by_the_last_look(stack: Stack) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.knobs = Knobs(delete_mode="ignored")
    stack.delete_until_finished("118", key)
    row = stack.row("118")
    assert row is not None
    assert row.outcome is Outcome.UNKNOWN
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 118")

    summary = stack.report_run()

    assert summary["counts"] == {"deleted": 1}
    assert "gone at the last look" in rows(stack)["118"]["reason"]


def test_a_user_with_only_an_intent_is_unknown_while_it_still_exists(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    stack.ledger.users.record_intent(
        "run-1",
        "118",
        action=Action.DELETE,
        execution_arn=stack.ledger.runs.read("run-1").execution_arn,  # type: ignore[union-attr]
        owner="killed",
        lease_until=1,
        now=0,
        is_first=True,
    )

    summary = stack.report_run()

    assert summary["counts"] == {"unknown": 1}
    assert rows(stack)["118"]["attempts"] == "1"


def test_without_a_last_look_a_user_in_flight_is_unknown_and_the_report_is_written(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.knobs = Knobs(delete_mode="ignored")
    stack.delete_user("118", key)
    stack.portal.knobs = Knobs(portal_is_down=True)

    summary = stack.report_run()

    assert summary["counts"] == {"unknown": 1}
    assert "not looked at" in rows(stack)["118"]["reason"]


def test_the_answer_to_a_dropped_file_is_stored_beside_the_inbox(stack: Stack) -> None:
    stack.s3.put_object(Bucket="data", Key="inbox/leavers.csv", Body=b"user_id\n118\n")
    event = {
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "data"}, "object": {"key": "inbox/leavers.csv"}},
    }
    stack.fetch_user_ids(event)

    stack.report_run()

    page = stack.read_bytes("results/inbox/leavers.csv.html").decode()
    assert "The answer to a dropped file" in page
    assert "s3://data/inbox/leavers.csv" in page
    assert "user0118" not in page
    answer = stack.read_json("results/inbox/leavers.csv.json")
    assert answer["report"] == "s3://data/runs/run-1/report.json"
    assert answer["counts"] == {"not_attempted": 1}


def test_the_run_is_closed_and_its_lock_released(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bulk_user_deletion.executions.Executions.status", lambda *_: ExecutionStatus.RUNNING
    )
    delete_all(stack, "118")

    stack.report_run()

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert not run.is_open
    assert stack.plan(["119"], "run-2")["users"] == 1


def test_an_entry_that_an_earlier_run_deleted_is_already_absent(stack: Stack) -> None:
    username = stack.portal.database.execute("SELECT username FROM user WHERE user_id = 118")[0][
        "username"
    ]
    delete_all(stack, username)
    stack.report_run()

    stack.plan([username], "run-2")
    stack.report_run("run-2")

    assert rows(stack, "run-2")[username]["outcome"] == "already_absent"


def test_a_name_that_an_earlier_run_deleted_and_another_user_was_given_is_ambiguous(
    stack: Stack,
) -> None:
    delete_all(stack, "user0118")
    stack.report_run()
    stack.portal.database.execute("UPDATE user SET username = 'user0118' WHERE user_id = 125")

    by_name = stack.plan(["USER0118"], "run-2")
    stack.report_run("run-2")
    by_id = stack.plan(["125"], "run-3")

    assert by_name["users"] == 0
    assert rows(stack, "run-2")["USER0118"]["outcome"] == "unresolved"
    assert "name this user by id" in rows(stack, "run-2")["USER0118"]["reason"]
    assert by_id["users"] == 1


@pytest.mark.parametrize("name", ["the-next-one", "another-one"])
def test_a_paused_run_is_stopped_if_the_execution_that_was_to_resume_it_fails(
    stack: Stack, name: str
) -> None:
    stack.plan(["118"])
    stack.ledger.runs.pause(
        "run-1",
        Pause(at=1, opens_at=2, resumed_by="the-next-one"),
        execution_arn=EXECUTIONS + "run-1",
        now=1,
    )
    assert stack.report_run()["status"] == "PAUSED"

    cause = json.dumps({"errorMessage": "The guard cannot be relied on."})
    stack.report_run(name, failure={"Error": "RequestRefused", "Cause": cause})

    run = stack.ledger.runs.read("run-1")
    assert run
    if name == "the-next-one":
        assert run.stop
        assert (run.stop.by, run.pause) == ("ChangeWindows", None)
        assert "The guard cannot be relied on." in run.stop.reason
        assert stack.read_json("runs/run-1/report.json")["status"] == "STOPPED"
    else:
        assert (run.stop, bool(run.pause)) == (None, True)
        assert stack.read_json("runs/run-1/report.json")["status"] == "PAUSED"


def test_another_executions_run_is_left_alone(stack: Stack) -> None:
    delete_all(stack, "118")
    before = stack.keys()
    event = {
        "run_id": "run-1",
        "execution_arn": "arn:aws:states:us-east-1:123456789012:execution:other:run-1",
        "failure": {"Error": "RunClosed", "Cause": '{"errorMessage": "The name was used."}'},
        "look": True,
        "token": {"version_id": None, "renewals": 0},
    }

    summary = stack.invoke("report_run", event)

    assert summary["status"] == "REFUSED"
    assert stack.keys() == before
    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.is_open


def test_rule_6_the_notification_holds_ids_and_counts_only(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(
        "bulk_user_deletion.topic.Topic.publish",
        lambda _, subject, body: sent.extend([subject, body]),
    )
    username, email = stack.portal.database.execute(
        "SELECT username, email FROM user WHERE user_id = 118"
    )[0]
    delete_all(stack, username)

    stack.report_run()

    host = stack.portal.url.removeprefix("http://")
    assert sent[0] == f"[SUCCEEDED] bulk-user-deletion: 1 of 1 deleted on {host}"
    assert username not in "".join(sent)
    assert email not in "".join(sent)


def test_the_report_has_what_the_run_took_measured_where_it_was_counted(stack: Stack) -> None:
    stack.plan(["118", "119"])
    stack.work_off()

    stack.report_run()

    report = stack.read_json("runs/run-1/report.json")
    measured, modelled = report["cost"]["measured"], report["cost"]["modelled"]
    assert measured["invocations"] == 2
    assert measured["ledger_writes"] == 2 * 17
    assert measured["ledger_reads"] == 2 * 5
    assert measured["billed_ms"] >= measured["portal_seconds"] * 1000 > 0
    assert report["renewals"] == measured["renewals"] == 1
    assert modelled["transitions"] >= 2 * 4
    assert 0 < report["cost"]["usd"] < 0.01
    row = stack.row(118)
    assert row
    assert row.spent.writes == 17


def test_what_a_resumed_run_took_is_the_sum_of_its_rounds(stack: Stack) -> None:
    stack.plan(["118", "119"])
    keys = stack.hand_out()
    stack.delete_until_finished("118", keys["118"])
    stack.ledger.runs.press_stop("run-1", reason="lunch", by="ann", now=time.time())
    stack.report_run()
    first = stack.read_json("runs/run-1/report.json")["cost"]

    stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, run_id="run-2")
    stack.work_off()
    stack.report_run()

    both = stack.read_json("runs/run-1/report.json")["cost"]
    assert both["measured"]["invocations"] == 2
    assert both["measured"]["ledger_writes"] > first["measured"]["ledger_writes"]
    run = stack.ledger.runs.read("run-1")
    assert run
    assert run.earlier == ("run-1",)
    assert both["modelled"]["transitions"] > first["modelled"]["transitions"] + 10
