"""The operator's commands about leavers, on the real template."""

from local.portal import Knobs
from tests.end_to_end.conftest import Application, Command, said, states


def leavers(application: Application, number: int) -> list[int]:
    """Take users who are enabled and from no directory."""
    taken = application.leavers(number)
    for user_id in taken:
        application.portal.edit(user_id, enabled="Y", ldap="N")
    return taken


def enabled(application: Application, *user_ids: int) -> list[str]:
    rows = application.portal.database.execute("SELECT user_id, enabled FROM user")
    found = {row["user_id"]: row["enabled"] for row in rows}
    return [found[user_id] for user_id in user_ids]


def test_leavers_are_disabled_and_listed_one_is_withdrawn_and_enabled(
    application: Application, command: Command
) -> None:
    first, second = leavers(application, 2)
    before = application.portal.user_ids()

    users = ("--user", first, "--user", second)
    previewed = command("preview", "--action", "disable_then_delete", *users, "--json")
    run_id = said(previewed)["run_id"]
    wrong = command("apply", run_id, "--yes-delete", 2)
    applied = command("apply", run_id, typed="2\n")
    listed = command("due", "--json")
    withdrawn = command("withdraw", first, "--reason", "came back", "--by", "me")
    left = command("due", "--json")
    enabling = command("enable", first, "--json")
    given_back = command("apply", said(enabling)["run_id"], "--yes-enable", 1, "--json")
    command("withdraw", second, "--reason", "end of the test")

    assert said(previewed)["outcomes"] == {"would_disable": 2}
    assert "disable now and delete 30 days later" in previewed.stderr
    assert (wrong.exit_code, "--yes-delete is not for this plan" in wrong.output) == (2, True)
    assert applied.exit_code == 0, applied.output
    assert "approves both" in applied.output
    assert "2 of 2 users done: 2 disabled" in applied.output
    rows = {row["user_id"]: row for row in said(listed)["leavers"]}
    assert {str(first), str(second)} <= set(rows)
    assert rows[str(first)]["state"] == "waiting"
    assert rows[str(first)]["disabled_at"] < rows[str(first)]["due_at"]
    assert withdrawn.exit_code == 0, withdrawn.output
    assert f"Will not be deleted: {first}" in withdrawn.output
    assert str(first) not in {row["user_id"] for row in said(left)["leavers"]}
    assert said(enabling)["outcomes"] == {"would_enable": 1}
    assert (given_back.exit_code, said(given_back)["outcomes"]) == (0, {"enabled": 1})
    assert enabled(application, first, second) == ["Y", "N"]
    assert application.portal.user_ids() == before


def test_doctor_shows_on_a_test_account_what_the_portals_put_does(
    application: Application, command: Command
) -> None:
    [account] = leavers(application, 1)

    tried = command("doctor", "--try-disabling", account, "--json", typed="1\n")
    again = command("doctor", "--try-disabling", account, "--yes-disable", 1, "--json")

    assert tried.exit_code == 0, tried.output
    trial = {
        "Disabling PUT": "well",
        "Fields after disabling": "well",
        "Enabling PUT": "well",
        "Fields after enabling": "well",
        "Test account": "well",
    }
    assert trial.items() <= states(tried).items()
    assert trial.items() <= states(again).items()
    assert enabled(application, account) == ["Y"]


def test_doctor_says_that_a_portals_put_replaces_the_record(
    application: Application, command: Command
) -> None:
    [account] = leavers(application, 1)
    application.portal.knobs = Knobs(put_mode="replaces")

    tried = command("doctor", "--try-disabling", account, "--yes-disable", 1, "--json")

    found = states(tried)
    assert (tried.exit_code, found["Fields after disabling"]) == (1, "wrong"), tried.output
    assert found["Test account"] == "wrong"
    assert "is DISABLED now" in tried.stderr
    assert "records/" in tried.stderr
