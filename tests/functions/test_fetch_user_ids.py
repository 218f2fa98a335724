"""FetchUserIds: from a request to a sealed plan, or a refusal. No user is touched."""

import json
from collections.abc import Collection
from hashlib import sha256
from typing import Any

import pytest

from bulk_user_deletion.errors import (
    CredentialsRefused,
    RequestRefused,
    RunClosed,
    TokenRejected,
    UserManagementDenied,
)
from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.ledger.users import Users
from bulk_user_deletion.models.runs import Pace
from bulk_user_deletion.models.users import Outcome
from local.portal import Fault, Knobs
from tests.functions.stack import EXECUTIONS, Stack, dropped


def planned(stack: Stack, run_id: str = "run-1") -> list[tuple[str, str, str]]:
    """Each entry of the stored plan: its user's id, what will happen to it, and why."""
    entries = stack.read_json(f"runs/{run_id}/plan.json")["entries"]
    return [
        (entry["user"]["user_id"] if entry["user"] else "", entry["outcome"], entry["reason"])
        for entry in entries
    ]


def test_a_list_of_ids_usernames_and_emails_becomes_a_plan(stack: Stack) -> None:
    email = stack.portal.database.execute("SELECT email FROM user WHERE user_id = 121")[0]["email"]
    username = stack.portal.database.execute("SELECT username FROM user WHERE user_id = 120")[0][
        "username"
    ]

    result = stack.plan(["118", f" {username.upper()} ", email.upper()])

    assert planned(stack) == [(user_id, "would_delete", "") for user_id in ("118", "120", "121")]
    assert result == {
        "run_id": "run-1",
        "next_step": "apply",
        "users": 3,
        "nothing_because": "",
        "wait_seconds": 0,
    }
    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.plan_sha256 == stack.plan_sha256()


def test_every_page_of_a_dataset_is_read_and_repeated_rows_are_one_user(stack: Stack) -> None:
    dataset = stack.portal.add_dataset(
        "SELECT user_id FROM user WHERE user_id BETWEEN 110 AND 121"
        " UNION ALL SELECT user_id FROM user WHERE user_id = 118"
    )
    stack.portal.knobs = type(stack.portal.knobs)(page_limit=5, dataset_ids_as="mixed")

    stack.fetch_user_ids({"mode": "apply", "source": {"dataset_id": dataset}})

    outcomes = planned(stack)
    assert sorted(u for u, outcome, _ in outcomes if outcome == "would_delete") == [
        str(user_id) for user_id in range(110, 122)
    ]
    assert [(u, o) for u, o, reason in outcomes if reason.startswith("duplicate")] == [
        ("118", "skipped")
    ]


def test_a_dropped_file_is_read_in_the_version_that_was_dropped(stack: Stack) -> None:
    event = dropped(stack, b"user_id\n118\n")
    dropped(stack, b"user_id\n119\n")

    stack.fetch_user_ids(event)

    assert planned(stack) == [("118", "would_delete", "")]


def test_an_administrator_and_the_apis_own_user_are_skipped(stack: Stack) -> None:
    administrators = stack.portal.database.execute(
        "SELECT user_id, username FROM user WHERE type = 'administrator'"
    )
    ids = [str(row["user_id"]) for row in administrators]

    stack.plan([*ids, "118"])

    reasons = {user_id: reason for user_id, _, reason in planned(stack)}
    for row in administrators:
        expected = "self" if row["username"] == stack.portal.api_user else "administrator"
        assert reasons[str(row["user_id"])].startswith(expected)
    assert reasons["118"] == ""


def test_rule_2_without_a_mode_the_run_is_a_preview(stack: Stack) -> None:
    result = stack.fetch_user_ids({"source": {"users": ["118"]}})

    assert result["next_step"] == "preview"
    assert stack.writes() == []


def test_rule_5_over_max_users_nothing_is_trimmed_and_both_figures_are_named(
    stack: Stack,
) -> None:
    with pytest.raises(RequestRefused, match=r"names 4 different entries.* MaxUsers allows 3"):
        stack.plan(["118", "119", "120", "121"], options={"max_users": 3})

    assert stack.writes() == []
    assert len(stack.read_json("runs/run-1/plan.json")["entries"]) == 4


def test_rule_5_over_max_percent_both_figures_are_named(stack: Stack) -> None:
    with pytest.raises(RequestRefused, match=r"10\.0 % of the portal's 40 users.* allows 9 %"):
        stack.plan(["118", "119", "120", "121"], options={"max_percent": 9})


def test_rule_5_a_limit_of_zero_allows_nobody(stack: Stack) -> None:
    with pytest.raises(RequestRefused, match="MaxUsers allows 0"):
        stack.plan(["118"], options={"max_users": 0})


def test_rule_5_the_caps_count_what_was_requested_not_what_is_left_of_it(stack: Stack) -> None:
    absent = [str(number) for number in range(9001, 9004)]

    with pytest.raises(RequestRefused, match="names 4 different entries"):
        stack.plan(["118", *absent], options={"max_users": 3})


def test_rule_5_a_request_cannot_raise_a_cap(stack: Stack) -> None:
    with pytest.raises(RequestRefused, match="MaxPercent allows 50 %"):
        stack.plan([str(u) for u in range(101, 130)], options={"max_percent": 100})


@pytest.mark.parametrize(
    ("request_body", "said"),
    [
        ({}, "source"),
        ({"source": {}}, "source"),
        ({"source": {"users": []}}, "source.users"),
        ({"source": {"dataset_id": 1, "users": ["118"]}}, "source"),
        ({"source": {"users": ["118"]}, "mode": "delete"}, "mode"),
        ({"source": {"users": ["118"]}, "modus": "apply"}, "Did you mean"),
        ({"source": {"users": ["118"]}, "options": {"max_users": -1}}, "options.max_users"),
        ({"source": {"users": [" "]}}, "entry 1"),
    ],
)
def test_a_malformed_request_is_refused_before_the_portal_is_called(
    stack: Stack, request_body: dict[str, Any], said: str
) -> None:
    with pytest.raises(RequestRefused, match=said):
        stack.fetch_user_ids(request_body)

    assert stack.portal.requests == []
    assert stack.keys() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n", "empty"),
        (b"user_id\n", "empty"),
        (b"user_id\n118\n../1\n", "line 3"),
        (b"user_id\n1e3\n", "line 2"),
        (b"user_id,username\n118\n", "Line 2"),
        (b"user_id\n118\n\xff\n", "Line 3 is not UTF-8"),
        (b"first,last\na,b\n", "Line 1"),
    ],
)
def test_a_malformed_file_is_refused_whole_with_its_line(
    stack: Stack, content: bytes, said: str
) -> None:
    event = dropped(stack, content)

    with pytest.raises(RequestRefused, match=said):
        stack.fetch_user_ids(event)

    assert stack.writes() == []


def test_a_file_that_names_mostly_strangers_is_refused(stack: Stack) -> None:
    event = dropped(stack, b"user_id\n118\n119\n9001\n")

    with pytest.raises(RequestRefused, match=r"1 of 3 entries is not in the portal \(line 4\)"):
        stack.fetch_user_ids(event)


def test_a_file_with_an_entry_that_names_two_users_is_refused(stack: Stack) -> None:
    stack.portal.database.execute("UPDATE user SET email = 'same@example.com' WHERE user_id < 120")
    event = dropped(stack, b"email\nsame@example.com\n")

    with pytest.raises(RequestRefused, match="line 2: ambiguous"):
        stack.fetch_user_ids(event)


def test_a_folder_made_in_the_inbox_starts_nothing(stack: Stack) -> None:
    result = stack.fetch_user_ids(dropped(stack, b"", key="inbox/2026/"))

    assert result["next_step"] == "nothing"
    assert stack.portal.requests == []


def test_rule_7_the_same_event_delivered_twice_is_one_run(stack: Stack) -> None:
    event = dropped(stack, b"user_id\n118\n")
    stack.fetch_user_ids(event, "run-1")

    again = stack.fetch_user_ids(event, "run-2")

    assert again["next_step"] == "nothing"
    assert "run-1" in again["nothing_because"]
    assert "runs/run-2/plan.json" not in stack.keys()  # noqa: SIM118


def test_a_step_that_is_retried_makes_the_same_plan(stack: Stack) -> None:
    event = dropped(stack, b"user_id\n118\n")
    first = stack.fetch_user_ids(event)

    second = stack.fetch_user_ids(event)

    assert (second["next_step"], second["users"]) == (first["next_step"], first["users"])


def test_a_name_that_another_execution_used_is_refused(stack: Stack) -> None:
    stack.plan(["118"])
    token = {"version_id": None, "renewals": 0}
    event = {
        "run_id": "run-1",
        "execution_arn": EXECUTIONS + "somebody-elses",
        "request": {"source": {"users": ["119"]}},
        "token": token,
    }

    with pytest.raises(RunClosed):
        stack.invoke("fetch_user_ids", event)

    assert planned(stack) == [("118", "would_delete", "")]


def test_the_lock_of_an_execution_that_is_dead_is_taken_over(stack: Stack) -> None:
    stack.plan(["118"], "run-1")  # no such execution in Step Functions

    assert stack.plan(["119"], "run-2")["users"] == 1


def test_rule_8_nothing_of_a_dead_execution_starts_a_user_once_the_next_run_has_its_lock(
    stack: Stack,
) -> None:
    stack.plan(["118"], "run-1")
    key = stack.hand_out("run-1")["118"]

    stack.plan(["118"], "run-2")
    stack.delete_user(118, key, run_id="run-1")

    assert stack.writes() == []


def test_a_preview_needs_no_lock(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.plan(["118"], "run-1")
    monkeypatch.setattr(
        "bulk_user_deletion.executions.Executions.status", lambda *_: ExecutionStatus.RUNNING
    )

    result = stack.fetch_user_ids({"source": {"users": ["119"]}}, "run-2")

    assert result["next_step"] == "preview"


def test_wrong_credentials_are_named(stack: Stack) -> None:
    stack.fill_credentials(application_key="wrong")

    with pytest.raises(CredentialsRefused, match="application_key"):
        stack.plan(["118"])


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"application_id": "a"}'])
def test_a_malformed_credentials_secret_says_what_is_missing(stack: Stack, text: str) -> None:
    stack.secrets.put_secret_value(SecretId="credentials", SecretString=text or "{}")

    with pytest.raises(CredentialsRefused, match="application_key"):
        stack.plan(["118"])


def test_credentials_that_may_not_manage_users_are_named(stack: Stack) -> None:
    stack.portal.knobs = type(stack.portal.knobs)(user_management=False)

    with pytest.raises(UserManagementDenied, match="Application Can Manage Users"):
        stack.plan(["118"])


def test_without_a_token_the_step_asks_for_one_before_it_calls_the_portal(stack: Stack) -> None:
    event = {
        "run_id": "run-1",
        "execution_arn": EXECUTIONS + "run-1",
        "request": {"source": {"users": ["118"]}},
        "token": {"version_id": None, "renewals": 0},
    }

    with pytest.raises(TokenRejected, match="No portal token is stored yet"):
        stack.invoke("fetch_user_ids", event)

    assert stack.portal.requests == []


def test_rule_6_no_name_and_no_secret_is_in_what_the_step_returns_or_logs(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    email = stack.portal.database.execute("SELECT email FROM user WHERE user_id = 121")[0]["email"]

    result = stack.plan([email])

    said = json.dumps(result) + capsys.readouterr().out
    assert email not in said
    assert stack.portal.application_key not in said


# The time it will take


def plan_of(stack: Stack, run_id: str = "run-1") -> dict[str, Any]:
    return dict(stack.read_json(f"runs/{run_id}/plan.json"))


def test_the_estimate_uses_the_observed_pace_of_the_portal(stack: Stack) -> None:
    stack.plan(["118", "119"], "first", mode="preview")
    observed = Pace(seconds_per_delete=30.0, version=1)
    assert stack.ledger.portal.record_pace(observed, before=Pace())

    stack.plan(["118", "119"], "second", mode="preview")

    assert plan_of(stack, "first")["estimate"]["seconds"] == 2 * (60 + 60)
    assert plan_of(stack, "second")["estimate"]["seconds"] == 2 * (30 + 60)


def test_the_plan_warns_of_a_run_that_needs_more_tokens_a_day_than_can_be_stored(
    stack: Stack,
) -> None:
    stack.portal.knobs = Knobs(token_life_seconds=300)
    options = {"wait_seconds": 3600}

    stack.plan(["118", "119"], "two", mode="preview", options=options)
    stack.plan([str(n) for n in range(110, 120)], "ten", mode="preview", options=options)

    [only] = plan_of(stack, "two")["warnings"]
    assert only.startswith("Single sign-on, SCIM and other syncs may create users again")
    [*_, warning] = plan_of(stack, "ten")["warnings"]
    assert warning.startswith("This takes about 10 hours, and the portal's tokens last 300 s.")


def test_the_ledger_is_asked_for_names_and_for_ids_that_the_list_lacks_but_for_no_listed_id(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read = Users.deleted_before

    def noted(users: Users, keys: Collection[str]) -> set[str]:
        asked.extend(keys)
        return read(users, keys)

    monkeypatch.setattr(Users, "deleted_before", noted)

    stack.plan(["118", "999", "nobody", "user119"], mode="preview")

    names = [
        f"{column}:{name}" for column in ("username", "email") for name in ("nobody", "user119")
    ]
    assert sorted(asked) == sorted(["id:999", *names])


def test_an_id_that_an_earlier_run_deleted_is_absent_without_a_look(stack: Stack) -> None:
    stack.table.put_item(
        Item={
            "pk": f"deleted#{sha256(b'id:999').hexdigest()}",
            "sk": "deleted",
            "run_id": "run-0",
        }
    )

    stack.plan(["118", "999"], mode="preview")

    assert planned(stack)[1] == ("", "already_absent", "deleted by an earlier run")
    assert "999" not in {str(request.user_id) for request in stack.portal.requests}


@pytest.mark.parametrize(("errors", "outcome"), [(2, Outcome.ALREADY_ABSENT), (3, Outcome.FAILED)])
def test_an_id_that_the_list_lacks_is_looked_at_three_times_before_it_fails(
    stack: Stack, errors: int, outcome: Outcome
) -> None:
    for _ in range(errors):
        stack.portal.faults.script(Fault.SERVER_ERROR, method="GET", user_id=9001)

    stack.plan(["118", "9001"])

    entries = stack.read_json("runs/run-1/plan.json")["entries"]
    assert [row["outcome"] for row in entries] == [Outcome.WOULD_DELETE, outcome]


def test_a_deletion_that_was_recorded_under_the_older_folding_is_found(stack: Stack) -> None:
    """Records from before names were compared strictly are kept as long as any other."""
    stack.table.put_item(
        Item={
            "pk": f"deleted#{sha256(b'username:strasse').hexdigest()}",
            "sk": "deleted",
            "run_id": "run-0",
        }
    )

    stack.plan(["straße"], mode="preview")

    [entry] = plan_of(stack)["entries"]
    assert entry["outcome"] == "already_absent"
