"""The watch on the real template: from a deletion and a disabling to the list that is previewed."""

from local.portal import PortalSimulator
from tests.end_to_end.conftest import Application, Command, said
from tests.end_to_end.test_operator_leavers import leavers


def a_user(portal: PortalSimulator, user_id: int) -> tuple[str, str]:
    sql = "SELECT username, email FROM user WHERE user_id = ?"
    [row] = portal.database.execute(sql, (user_id,))
    return row["username"], row["email"]


def test_a_sync_brings_two_users_back_and_they_are_previewed_by_id(
    application: Application, command: Command
) -> None:
    portal = application.portal
    deleted, disabled, still_disabled = leavers(application, 3)
    username, email = a_user(portal, deleted)
    first = command("watch", "--json")
    assert application.apply([deleted]).status == "SUCCEEDED"
    ended = application.apply([disabled, still_disabled], action="disable_then_delete")
    assert ended.report["counts"] == {"disabled": 2}
    recreated = portal.add(username=username, email=email)
    portal.edit(disabled, enabled="Y")
    before = len(portal.requests)

    watched = command("watch", "--json")

    assert first.exit_code == watched.exit_code == 0, watched.output
    assert {request.method for request in portal.requests[before:]} <= {"GET", "POST"}
    assert {r.path for r in portal.requests[before:] if r.method == "POST"} <= {"/api/get_token"}
    found = said(watched)
    back = {user["user_id"]: user["what"] for user in found["back"] if user["is_new"]}
    assert back == {str(disabled): "enabled_again", str(recreated): "back"}
    assert found["held"] == [str(disabled)]
    assert not found["change"]["is_large"]
    assert application.read_json(f"runs/{found['run_id']}/watch.json") == found

    previewed = application.start(found["preview"])
    outcomes = {user: previewed.outcomes[user] for user in back}
    assert outcomes == dict.fromkeys(back, "would_delete")

    # What the schedule sends is the same, once for each time.
    event = {"scheduled_time": "2026-11-23T07:00:00Z", "request": {"check": "population"}}
    assert f"{recreated}" in application.order(event)
    assert "The same event started check" in application.order(event)
    command("withdraw", disabled, still_disabled, "--reason", "end of the test")
