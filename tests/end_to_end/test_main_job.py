"""The main job on the real template: exactly the named users go, and the report says so."""

from local.portal import Knobs
from tests.end_to_end.conftest import Application


def test_a_request_by_hand_deletes_exactly_the_named_users(application: Application) -> None:
    by_id, by_name, by_email = application.leavers(3)
    before = application.portal.user_ids()

    run = application.start(
        {
            "mode": "apply",
            "source": {
                "users": [str(by_id), f"USER{by_name:04} ", f"user{by_email:04}@example.com"]
            },
            "reason": "HR-1234",
        }
    )

    assert run.status == "SUCCEEDED"
    assert application.portal.user_ids() == before - {by_id, by_name, by_email}
    assert [request.user_id for request in run.writes] == [by_id, by_name, by_email]
    assert run.report["counts"] == {"deleted": 3}


def test_a_dataset_deletes_exactly_the_users_it_names(application: Application) -> None:
    leavers = application.leavers(4)
    before = application.portal.user_ids()
    names = ", ".join(f"'user{user_id:04}'" for user_id in leavers)
    dataset = application.portal.add_dataset(
        f"SELECT user_id FROM user WHERE username IN ({names})"
    )

    run = application.start({"mode": "apply", "source": {"dataset_id": dataset}})

    assert run.status == "SUCCEEDED"
    assert application.portal.user_ids() == before - set(leavers)
    assert run.report["counts"] == {"deleted": 4}


def test_a_dropped_file_deletes_exactly_the_users_it_names_and_is_answered(
    application: Application,
) -> None:
    first, second = application.leavers(2)
    before = application.portal.user_ids()
    content = f"Name,Email,user_id\nFirst,,{first}\nSecond,user{second:04}@example.com,\n"

    run = application.drop("leavers of März.csv", content.encode())

    assert run.status == "SUCCEEDED"
    assert application.portal.user_ids() == before - {first, second}
    assert sorted(request.user_id or 0 for request in run.writes) == [first, second]
    answer = application.read_json("results/inbox/leavers of März.csv.json")
    assert (answer["status"], answer["counts"]) == ("SUCCEEDED", {"deleted": 2})


def test_rule_3_every_kind_of_entry_has_one_row_and_the_counts_add_up(
    application: Application,
) -> None:
    leaver, changed = application.leavers(2)
    administrator, absent = 102, 99_999

    run = application.start(
        {
            "mode": "apply",
            "source": {
                "users": [
                    str(leaver),
                    f"user{leaver:04}",
                    str(administrator),
                    application.portal.api_user,
                    str(absent),
                    "nobody.of.that.name",
                    str(changed),
                ]
            },
        }
    )

    assert run.outcomes == {
        str(leaver): "deleted",
        f"user{leaver:04}": "skipped",
        str(administrator): "skipped",
        application.portal.api_user: "skipped",
        str(absent): "already_absent",
        "nobody.of.that.name": "unresolved",
        str(changed): "deleted",
    }
    assert sum(run.report["counts"].values()) == run.report["requested"] == 7


def test_40_users_need_many_tokens(application: Application) -> None:
    leavers = application.leavers(40)
    application.portal.knobs = Knobs(token_life_seconds=2, seconds_per_delete=0.05)

    run = application.start({"mode": "apply", "source": {"users": [str(u) for u in leavers]}})

    assert run.status == "SUCCEEDED"
    assert run.report["counts"] == {"deleted": 40}
    assert run.renewals >= 3
    tokens = [request.token for request in run.writes]
    assert len(set(tokens)) >= 3
    assert [request.user_id for request in run.writes if request.status == 200] == leavers


def test_rule_2_a_preview_sends_no_write_and_says_who_would_go(application: Application) -> None:
    leavers = application.leavers(3)
    before = application.portal.user_ids()

    run = application.start({"source": {"users": [str(user_id) for user_id in leavers]}})

    assert run.status == "SUCCEEDED"
    assert run.writes == []
    assert application.portal.user_ids() == before
    assert set(run.outcomes.values()) == {"would_delete"}


def test_rule_5_over_a_cap_nobody_is_deleted_and_both_figures_are_named(
    application: Application,
) -> None:
    users = [str(user_id) for user_id in application.leavers(51)]

    run = application.start({"mode": "apply", "source": {"users": users}})

    assert (run.status, run.error) == ("FAILED", "RequestRefused")
    assert "51 different entries" in run.cause
    assert "MaxUsers allows 50" in run.cause
    assert run.writes == []
    assert run.report["counts"] == {"not_attempted": 51}


def test_rule_4_a_portal_that_keeps_a_user_it_said_it_deleted_ends_unknown(
    application: Application,
) -> None:
    (user_id,) = application.leavers(1)
    application.portal.knobs = Knobs(delete_mode="ignored")

    run = application.start({"mode": "apply", "source": {"users": [str(user_id)]}})

    assert (run.status, run.error) == ("FAILED", "UsersLeftOpen")
    assert run.outcomes == {str(user_id): "unknown"}
    assert len(run.writes) == 1


def test_canaries_that_are_not_deleted_keep_all_others_from_being_started(
    application: Application,
) -> None:
    leavers = application.leavers(5)
    application.portal.knobs = Knobs(delete_mode="ignored")

    run = application.start({"mode": "apply", "source": {"users": [str(u) for u in leavers]}})

    assert (run.status, run.error) == ("FAILED", "RunStopped")
    assert run.report["counts"] == {"unknown": 1, "not_attempted": 4}
    assert [request.user_id for request in run.writes] == leavers[:1]


def test_a_malformed_request_ends_in_a_named_failure_that_says_what_to_change(
    application: Application,
) -> None:
    run = application.start({"mode": "apply", "source": {"users": ["118"]}, "modus": "apply"})

    assert (run.status, run.error) == ("FAILED", "RequestRefused")
    assert 'Did you mean "mode"?' in run.cause
    assert run.requests == []
