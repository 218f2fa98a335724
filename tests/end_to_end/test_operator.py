"""The operator's commands on the real template: from a preview to a report, and doctor."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.engine import Engine
from local.portal import Knobs
from tests.end_to_end.conftest import Application, Command, said, states


def preview(command: Command, *users: int) -> str:
    """Preview users; return the run's id."""
    named = [part for user in users for part in ("--user", user)]
    result = command("preview", *named, "--json")
    assert result.exit_code == 0, result.output
    return str(said(result)["run_id"])


def test_from_a_file_to_its_report(
    application: Application, command: Command, tmp_path: Path
) -> None:
    first, second = application.leavers(2)
    before = application.portal.user_ids()
    file = tmp_path / "leavers.csv"
    file.write_text(f"user_id,username\n{first},\n,user{second:04}\n")

    previewed = command("preview", file, "--reason", "HR-1234", "--requested-by", "me", "--json")
    run_id = said(previewed)["run_id"]
    plan = command("plan", run_id)
    assert application.portal.user_ids() == before
    applied = command("apply", run_id, "--json", typed="2\n")
    apply_id = said(applied)["run_id"]
    status = command("status", apply_id, "--json")
    report = command("report", apply_id, "--out", tmp_path)
    runs = command("runs", "--json")

    assert previewed.exit_code == 0, previewed.output
    assert said(previewed)["outcomes"] == {"would_delete": 2}
    assert f"user{first:04}" in plan.output
    assert "2 users, " in plan.output
    assert applied.exit_code == 0, applied.output
    assert "2 of 2 users done" in applied.stderr
    assert application.portal.user_ids() == before - {first, second}
    assert (status.exit_code, said(status)["status"]) == (0, "SUCCEEDED")
    assert report.exit_code == 0
    page = (tmp_path / apply_id / "report.html").read_text(encoding="utf-8")
    assert "HR-1234" in page
    assert (tmp_path / apply_id / "report.csv").is_file()
    listed = {run["run_id"]: run["status"] for run in said(runs)["runs"]}
    assert (listed[run_id], listed[apply_id]) == ("PREVIEWED", "SUCCEEDED")
    for name in (run_id, apply_id):
        verified = command("verify", name, "--json")
        assert verified.exit_code == 0, verified.output
        assert said(verified)["agrees"] is True
        verdicts = {finding["verdict"] for finding in said(verified)["findings"]}
        assert verdicts == {"agrees"}


@pytest.mark.parametrize(
    ("arguments", "typed"), [((), "3\n"), (("--yes-delete", 3), ""), ((), ""), ((), "yes\n")]
)
def test_without_the_right_number_nothing_is_started(
    application: Application, command: Command, arguments: tuple[object, ...], typed: str
) -> None:
    before = application.portal.user_ids()
    run_id = preview(command, *application.leavers(2))
    executions = application.executions()

    refused = command("apply", run_id, *arguments, typed=typed)

    assert refused.exit_code == 2, refused.output
    assert "othing was started" in refused.output
    assert application.executions() == executions
    assert application.portal.user_ids() == before


def test_a_plan_that_was_edited_is_not_applied(application: Application, command: Command) -> None:
    run_id = preview(command, *application.leavers(1))
    key = f"runs/{run_id}/plan.json"
    application.put(key, application.read(key).replace(b"example.com", b"example.org"))

    refused = command("apply", run_id, "--yes-delete", 1)

    assert refused.exit_code == 2
    assert "edited" in refused.output
    verified = command("verify", run_id, "--json")
    assert verified.exit_code == 1
    assert "plan.json is not the one that was made" in verified.stderr


def test_what_may_not_be_applied_is_refused_before_anybody_types_and_says_what_to_do(
    application: Application, command: Command
) -> None:
    portal = application.portal
    too_many = [part for user_id in sorted(portal.user_ids())[:51] for part in ("--user", user_id)]
    refused = said(command("preview", *too_many, "--json"))
    applied = application.apply(application.leavers(1)).id
    executions = application.executions()

    over_a_cap = command("apply", refused["run_id"])
    no_preview = command("apply", applied)

    assert (over_a_cap.exit_code, no_preview.exit_code) == (2, 2)
    assert "MaxUsers allows 50" in over_a_cap.stderr
    assert f"bulk-user-deletion resume {applied}" in no_preview.stderr
    assert "Type the number" not in over_a_cap.output + no_preview.output
    assert application.executions() == executions


def test_what_a_stopped_run_left_open_is_resumed(
    application: Application, command: Command
) -> None:
    leavers = application.leavers(4)
    before = application.portal.user_ids()
    application.portal.knobs = Knobs(delete_mode="ignored")
    stopped = command("apply", preview(command, *leavers), "--yes-delete", 4, "--json")
    application.portal.knobs = Knobs()
    run_id = said(stopped)["run_id"]

    resumed = command("resume", run_id, "--yes-delete", 4, "--reason", "it is up again", "--json")
    again = command("resume", run_id, "--yes-delete", 4)

    assert (stopped.exit_code, said(stopped)["status"]) == (1, "STOPPED")
    assert (resumed.exit_code, said(resumed)["outcomes"]) == (0, {"deleted": 4}), resumed.output
    assert application.portal.user_ids() == before - set(leavers)
    assert again.exit_code == 2
    assert "nothing to resume" in again.output


def test_the_stop_button_for_the_portal_is_pressed_and_lifted(
    application: Application, command: Command
) -> None:
    run_id = preview(command, *application.leavers(1))

    pressed = command("stop", "--portal", "--reason", "upgrade", "--by", "night shift")
    try:
        refused = command("apply", run_id, "--yes-delete", 1)
        ill = command("doctor")
    finally:
        lifted = command("stop", "--lift", "--reason", "done")
    nobody = command("stop", "no-such-run", "--reason", "wrong list")

    assert (pressed.exit_code, lifted.exit_code) == (0, 0), pressed.output
    assert "no further user is started" in pressed.output
    assert refused.exit_code == 2
    assert "night shift stopped every run" in refused.output
    assert "pressed for the whole portal by night shift: upgrade" in ill.output
    assert (nobody.exit_code, "nothing was stopped" in nobody.output) == (2, True)


# Doctor


@pytest.fixture
def scheduled(aws: Engine, deployed: Application) -> Iterator[Application]:
    """Another stack for the same portal, with a schedule, while the test lasts."""
    nightly = Application(
        aws,
        "nightly",
        deployed.portal,
        ScheduleExpression="cron(0 20 ? * FRI *)",
        ScheduleInput='{"source": {"dataset_id": 42}}',
    )
    yield nightly
    nightly.stack.delete()


def test_doctor_finds_nothing_wrong_on_a_healthy_stack(
    application: Application, command: Command
) -> None:
    before = application.portal.user_ids()

    result = command("doctor", "--json")

    assert result.exit_code == 0, result.output
    assert set(states(result).values()) == {"well"}
    assert {"Portal", "Token", "User management", "Clock of the portal"} <= set(states(result))
    assert "Nothing is wrong." in result.stderr
    assert application.portal.user_ids() == before


def wrong_key(application: Application) -> None:
    application.fill_credentials(application_key="wrong")


def no_user_management(application: Application) -> None:
    application.portal.knobs = Knobs(user_management=False)


def portal_is_down(application: Application) -> None:
    application.portal.knobs = Knobs(portal_is_down=True)


def no_administrator(application: Application) -> None:
    application.fill_credentials(user="user0109")


@pytest.mark.parametrize(
    ("make", "what", "fix"),
    [
        (wrong_key, "Token", "Check application_id, application_key and user"),
        (no_user_management, "User management", "Application Can Manage Users"),
        (portal_is_down, "Portal", "Check that it is up"),
        (no_administrator, "User management", "Use an administrator"),
    ],
)
def test_doctor_names_what_is_wrong_with_the_portal_and_how_to_fix_it(
    application: Application,
    command: Command,
    make: Callable[[Application], None],
    what: str,
    fix: str,
) -> None:
    try:
        make(application)

        result = command("doctor", "--json")
    finally:
        application.fill_credentials()

    assert result.exit_code == 1
    assert [name for name, state in states(result).items() if state == "wrong"] == [what]
    assert fix in result.stderr


def test_doctor_says_that_the_token_secret_cannot_be_read(
    application: Application, command: Command, aws: Engine
) -> None:
    secrets = aws.client("secretsmanager")
    secret = resources(aws)["TokenSecret"]
    secrets.delete_secret(SecretId=secret, RecoveryWindowInDays=7)
    try:
        result = command("doctor", "--json")
    finally:
        secrets.restore_secret(SecretId=secret)

    assert result.exit_code == 1
    assert states(result)["Token secret"] == "wrong"
    assert states(result)["Stores of the stack"] == "wrong"
    assert "restore-secret" in result.stderr


def test_doctor_says_that_dropped_files_start_nothing(
    application: Application, command: Command, aws: Engine
) -> None:
    events = boto3.client("events")
    rule = resources(aws)["FileDrop"]
    rule = rule.rpartition("|")[2]
    events.disable_rule(Name=rule)
    try:
        result = command("doctor", "--json")
    finally:
        events.enable_rule(Name=rule)

    assert [name for name, state in states(result).items() if state == "wrong"] == ["File drops"]
    assert "Enable the rule" in result.stderr


def test_doctor_of_either_stack_names_the_other_one_on_its_portal(
    application: Application, scheduled: Application, command: Command
) -> None:
    ours, theirs = command("doctor", "--json"), command("--stack-name", "nightly", "doctor")

    assert ours.exit_code == theirs.exit_code == 1
    assert [name for name, state in states(ours).items() if state == "wrong"] == ["Other stacks"]
    assert "nightly on this portal too" in ours.stderr
    assert f"{application.stack.name} on this portal too" in theirs.output


def test_doctor_says_which_schedule_is_off(
    application: Application, scheduled: Application, command: Command
) -> None:
    well = command("--stack-name", "nightly", "doctor", "--json")
    scheduler = boto3.client("scheduler")
    schedules = scheduler.list_schedules(NamePrefix="nightly")["Schedules"]
    assert len(schedules) == 2
    for schedule in schedules:
        found = scheduler.get_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])
        change: Any = {
            "Name": schedule["Name"],
            "GroupName": schedule["GroupName"],
            "ScheduleExpression": found["ScheduleExpression"],
            "FlexibleTimeWindow": found["FlexibleTimeWindow"],
            "Target": found["Target"],
        }
        scheduler.update_schedule(**change, State="DISABLED")

        off = command("--stack-name", "nightly", "doctor", "--json")

        scheduler.update_schedule(**change, State="ENABLED")
        ours = found["ScheduleExpression"] == "cron(0 20 ? * FRI *)"
        what = "Schedule" if ours else "Schedule of deletions"
        assert states(well)[what] == "well"
        wrong = [name for name, state in states(off).items() if state == "wrong"]
        assert wrong == [what, "Other stacks"]
        assert f"{found['ScheduleExpression']} (UTC) is off" in off.stderr
        assert "Enable the schedule" in off.stderr


def test_doctor_says_that_the_stack_does_not_exist(
    application: Application, command: Command
) -> None:
    result = command("--stack-name", "another", "doctor")

    assert result.exit_code == 1
    assert "--stack-name" in result.output


def resources(aws: Engine) -> dict[str, str]:
    """The stack's physical ids by logical ids."""
    client = aws.client("cloudformation")
    found = client.describe_stack_resources(StackName="bulk-user-deletion")["StackResources"]
    return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in found}
