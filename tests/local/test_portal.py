"""The simulated portal follows the product's contract, as far as it is known."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from local.portal import Fault, Knobs, PortalSimulator


@pytest.fixture
def portal() -> Iterator[PortalSimulator]:
    with PortalSimulator(users=30) as portal:
        yield portal


class Client:
    """A caller with a token."""

    def __init__(self, portal: PortalSimulator) -> None:
        self.url = portal.url
        self.credentials = {
            "application_id": portal.application_id,
            "application_key": portal.application_key,
            "user": portal.api_user,
        }
        self.session = requests.Session()
        self.session.trust_env = False
        answer = self.send("POST", "/api/get_token", json=self.credentials)
        self.session.headers["token"] = answer.json()["token"]

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(
            method, self.url + path, timeout=5, allow_redirects=False, **options
        )

    def get(self, path: str) -> requests.Response:
        return self.send("GET", path)


@pytest.fixture
def client(portal: PortalSimulator) -> Client:
    return Client(portal)


UNAUTHORIZED = {"status": "ERROR", "message": "Unauthorized"}


# Tokens


def test_a_token_is_issued_for_the_right_credentials_with_a_trailing_slash_or_not(
    client: Client,
) -> None:
    for path in ("/api/get_token", "/api/get_token/"):
        answer = client.send("POST", path, json=client.credentials)
        assert answer.status_code == 200
        assert set(answer.json()) == {"token", "expires"}


@pytest.mark.parametrize("field", ["application_id", "application_key", "user"])
def test_wrong_credentials_are_answered_401(client: Client, field: str) -> None:
    answer = client.send("POST", "/api/get_token", json={**client.credentials, field: "wrong"})

    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_a_disabled_user_gets_no_token(portal: PortalSimulator, client: Client) -> None:
    portal.database.execute("UPDATE user SET enabled = 'N' WHERE username = ?", (portal.api_user,))

    assert client.send("POST", "/api/get_token", json=client.credentials).status_code == 401


def test_a_valid_token_is_exchanged_for_a_new_one(client: Client) -> None:
    token = client.get("/api/get_token").json()["token"]

    assert token != client.session.headers["token"]
    client.session.headers["token"] = token
    assert client.get("/api/user").status_code == 200


def test_get_token_without_a_token_is_answered_200_with_an_empty_list(client: Client) -> None:
    del client.session.headers["token"]

    answer = client.get("/api/get_token")

    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("token", [None, "", "never-issued"])
def test_without_a_token_that_was_issued_every_route_is_unauthorized(
    client: Client, token: str | None
) -> None:
    del client.session.headers["token"]
    if token is not None:
        client.session.headers["token"] = token

    for path in ("/api/user", "/api/user/id/118", "/api/dataset_data?dataset=1", "/api/nowhere"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_an_expired_token_is_answered_412(portal: PortalSimulator, client: Client) -> None:
    portal.expire_tokens()

    answer = client.get("/api/user")

    assert (answer.status_code, answer.json()["message"]) == (412, "Session expired")


def test_a_new_token_leaves_the_old_one_valid_unless_the_knob_says_otherwise(
    portal: PortalSimulator, client: Client
) -> None:
    client.get("/api/get_token")
    assert client.get("/api/user").status_code == 200

    portal.knobs = Knobs(new_token_invalidates_old=True)
    client.get("/api/get_token")
    assert client.get("/api/user").status_code == 412


@pytest.mark.parametrize("form", ["iso", "iso_naive", "datetime", "epoch"])
def test_expires_is_written_in_the_form_that_the_knob_says(
    portal: PortalSimulator, client: Client, form: str
) -> None:
    portal.knobs = Knobs(expires_format=form, token_life_seconds=600)  # type: ignore[arg-type]

    expires = client.get("/api/get_token").json()["expires"]

    if isinstance(expires, int):
        moment = datetime.fromtimestamp(expires, UTC)
    else:
        moment = datetime.fromisoformat(expires)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    assert moment.timestamp() == pytest.approx(time.time() + 600, abs=3)


def test_without_user_management_the_users_are_closed_and_datasets_are_not(
    portal: PortalSimulator, client: Client
) -> None:
    dataset = portal.add_dataset("SELECT user_id FROM user")
    portal.knobs = Knobs(user_management=False)

    for path in ("/api/user", "/api/user/id/118"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.json()["message"] == "External Application has no User Management Access"
    assert client.get(f"/api/dataset_data?dataset={dataset}").status_code == 200


def test_a_user_who_is_not_an_administrator_may_not_manage_users(
    portal: PortalSimulator, client: Client
) -> None:
    portal.database.execute(
        "UPDATE user SET type = 'regular' WHERE username = ?", (portal.api_user,)
    )

    assert client.get("/api/user").status_code == 403


# Datasets


def test_a_dataset_is_the_vendors_query_collected(portal: PortalSimulator, client: Client) -> None:
    dataset = portal.add_dataset(
        "SELECT user_id FROM user WHERE username in ('USER0118', 'user0119', 'nobody')"
    )
    portal.database.execute("DELETE FROM user WHERE user_id = 119")
    path = f"/api/dataset_data?dataset={dataset}"

    assert client.get(path).json() == {
        "data": [{"user_id": 118}, {"user_id": 119}],
        "metadata": [{"name": "user_id", "type": "text"}],
    }
    portal.collect(dataset)
    assert client.get(path).json()["data"] == [{"user_id": 118}]


def test_a_dataset_is_sent_in_pages_with_the_amount_of_all_rows(
    portal: PortalSimulator, client: Client
) -> None:
    dataset = portal.add_dataset("SELECT user_id FROM user ORDER BY user_id")

    answer = client.get(f"/api/dataset_data?dataset={dataset}&limit=2&offset=3&amount=Y").json()

    assert answer["data"] == [{"user_id": 104}, {"user_id": 105}]
    assert answer["amount"] == 30


def test_ids_come_as_strings_and_with_nulls_when_the_knobs_say_so(
    portal: PortalSimulator, client: Client
) -> None:
    dataset = portal.add_dataset("SELECT user_id FROM user LIMIT 1")
    portal.knobs = Knobs(dataset_ids_as="string", null_rows=1)

    rows = client.get(f"/api/dataset_data?dataset={dataset}").json()["data"]

    assert rows == [{"user_id": "101"}, {"user_id": None}]


@pytest.mark.parametrize(("query", "status"), [("", 400), ("?dataset=", 400), ("?dataset=9", 404)])
def test_a_dataset_that_does_not_exist_is_an_error(client: Client, query: str, status: int) -> None:
    assert client.get(f"/api/dataset_data{query}").status_code == status


def test_a_dataset_that_the_caller_may_not_read_is_forbidden(
    portal: PortalSimulator, client: Client
) -> None:
    dataset = portal.add_dataset("SELECT user_id FROM user")
    portal.knobs = Knobs(dataset_access=False)

    assert client.get(f"/api/dataset_data?dataset={dataset}").status_code == 403


def test_rows_come_in_another_order_each_time_when_the_knob_says_so(
    portal: PortalSimulator, client: Client
) -> None:
    dataset = portal.add_dataset("SELECT user_id FROM user")
    portal.knobs = Knobs(shuffled_rows=True)
    path = f"/api/dataset_data?dataset={dataset}"

    first, second = ([row["user_id"] for row in client.get(path).json()["data"]] for _ in range(2))

    assert first != second
    assert sorted(first) == sorted(second)


# Users


def test_the_users_are_listed_all_at_once(portal: PortalSimulator, client: Client) -> None:
    users = client.get("/api/user").json()["users"]

    assert {int(user["id"]) for user in users} == portal.user_ids()
    assert set(users[0]) == {
        "id",
        "username",
        "first_name",
        "last_name",
        "type",
        "email",
        "enabled",
        "ldap",
    }


def test_a_user_is_found_by_id_and_an_unknown_id_is_the_portals_404(client: Client) -> None:
    assert client.get("/api/user/id/118").json()["user"]["username"] == "user0118"
    unknown = client.get("/api/user/id/9001")
    assert (unknown.status_code, unknown.json()["status"]) == (404, "ERROR")


def test_a_deleted_user_is_gone_and_nobody_else(portal: PortalSimulator, client: Client) -> None:
    before = portal.user_ids()

    assert client.send("DELETE", "/api/user/id/118").status_code == 200

    assert portal.user_ids() == before - {118}
    assert client.send("DELETE", "/api/user/id/118").status_code == 404


def test_a_user_is_disabled_with_put(client: Client) -> None:
    answer = client.send("PUT", "/api/user/id/118", json={"enabled": "N"})

    assert answer.json()["user"]["enabled"] == "N"
    assert client.get("/api/user/id/118").json()["user"]["enabled"] == "N"


def test_a_user_is_created_with_post(portal: PortalSimulator, client: Client) -> None:
    answer = client.send(
        "POST",
        "/api/user/",
        json={"username": "new", "first_name": "N", "last_name": "E", "email": "n@example.com"},
    )

    assert int(answer.json()["user"]["id"]) in portal.user_ids()


def test_a_synchronous_delete_answers_when_the_user_is_gone(
    portal: PortalSimulator, client: Client
) -> None:
    portal.knobs = Knobs(seconds_per_delete=0.05)

    started = time.monotonic()
    client.send("DELETE", "/api/user/id/118")

    assert time.monotonic() - started >= 0.05
    assert 118 not in portal.user_ids()


def test_a_delete_in_the_background_answers_first(portal: PortalSimulator, client: Client) -> None:
    portal.knobs = Knobs(seconds_per_delete=0.1, delete_mode="background", delete_status=202)

    assert client.send("DELETE", "/api/user/id/118").status_code == 202

    assert 118 in portal.user_ids()
    time.sleep(0.12)
    assert client.get("/api/user/id/118").status_code == 404


@pytest.mark.parametrize(
    ("knobs", "method", "path"),
    [
        (Knobs(unknown_user_status=410), "GET", "/api/user/id/9001"),
        (Knobs(unknown_dataset_status=410), "GET", "/api/dataset_data?dataset=9"),
        (Knobs(wrong_credentials_status=410), "POST", "/api/get_token"),
    ],
)
def test_a_status_that_is_only_assumed_is_a_knob(
    portal: PortalSimulator, client: Client, knobs: Knobs, method: str, path: str
) -> None:
    portal.knobs = knobs

    assert client.send(method, path, json={}).status_code == 410


# Faults


@pytest.mark.parametrize(
    ("fault", "status", "is_json"),
    [
        (Fault.BAD_GATEWAY_BEFORE, 502, False),
        (Fault.TIMEOUT_504_AFTER, 504, False),
        (Fault.HTML_503, 503, False),
        (Fault.BUSY_503, 503, True),
        (Fault.TOO_MANY_REQUESTS, 429, True),
        (Fault.TOO_MANY_REQUESTS_DATE, 429, True),
        (Fault.DEADLOCK, 500, True),
        (Fault.BAD_REQUEST, 400, True),
        (Fault.FORBIDDEN, 403, True),
        (Fault.CONFLICT, 409, True),
        (Fault.UNAUTHORIZED, 401, True),
        (Fault.SESSION_EXPIRED, 412, True),
        (Fault.PROXY_404, 404, False),
        (Fault.HTML_200, 200, False),
        (Fault.EMPTY_LIST_200, 200, True),
        (Fault.REDIRECT, 302, False),
    ],
)
def test_a_scripted_fault_answers_once_only(
    portal: PortalSimulator, client: Client, fault: Fault, status: int, is_json: bool
) -> None:
    portal.faults.script(fault, user_id=118)

    answer = client.send("DELETE", "/api/user/id/118")

    assert answer.status_code == status
    assert answer.text.startswith(("{", "[")) is is_json
    assert (118 not in portal.user_ids()) is (fault is Fault.TIMEOUT_504_AFTER)
    assert portal.faults.scripts == []


def test_a_proxy_gives_up_while_the_portal_goes_on() -> None:
    with PortalSimulator(users=30, knobs=Knobs(seconds_per_delete=0.3)) as portal:
        portal.faults.script(Fault.TIMEOUT_504_MEANWHILE)

        answer = Client(portal).send("DELETE", "/api/user/id/118")
        there = 118 in portal.user_ids()

    assert (answer.status_code, there) == (504, True)
    assert portal.requests[-1].fault is Fault.TIMEOUT_504_MEANWHILE
    assert portal.requests[-1].user_id == 118


@pytest.mark.parametrize(
    ("fault", "gone"), [(Fault.RESET_BEFORE, False), (Fault.RESET_AFTER, True)]
)
def test_a_reset_comes_before_or_after_the_effect(
    portal: PortalSimulator, client: Client, fault: Fault, gone: bool
) -> None:
    portal.faults.script(fault)

    with pytest.raises(requests.ConnectionError):
        client.send("DELETE", "/api/user/id/118")

    assert (118 not in portal.user_ids()) is gone
    assert portal.requests[-1].status == 0


def test_a_script_names_the_user_and_the_nth_request(
    portal: PortalSimulator, client: Client
) -> None:
    portal.faults.script(Fault.DEADLOCK, user_id=118, nth=2)

    statuses = [
        client.send("DELETE", f"/api/user/id/{user_id}").status_code for user_id in (119, 118, 118)
    ]

    assert statuses == [200, 200, 500]


def test_a_rate_is_reproducible() -> None:
    def statuses() -> list[int]:
        with PortalSimulator(users=30) as portal:
            client = Client(portal)
            portal.faults.rate(Fault.DEADLOCK, 0.5, seed=7)
            return [
                client.send("DELETE", f"/api/user/id/{user_id}").status_code
                for user_id in range(105, 125)
            ]

    first = statuses()
    assert first == statuses()
    assert set(first) == {200, 500}


# The log


def test_every_request_is_logged_in_order_without_the_token_itself(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    with PortalSimulator(users=30, log_file=log) as portal:
        client = Client(portal)
        client.get("/api/user?x=1")
        client.send("DELETE", "/api/user/id/118")

        logged = [(r.method, r.path, r.user_id, r.status, r.token) for r in portal.requests]
        assert logged == [
            ("POST", "/api/get_token", None, 200, 0),
            ("GET", "/api/user", None, 200, 1),
            ("DELETE", "/api/user/id/118", 118, 200, 1),
        ]
        assert portal.requests[1].query == {"x": "1"}
        token = str(client.session.headers["token"])
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["path"] for line in lines] == [entry[1] for entry in logged]
    assert token not in log.read_text()


def test_it_ends_at_once_even_while_a_delete_hangs() -> None:
    with PortalSimulator(users=30) as portal:
        client = Client(portal)
        portal.faults.script(Fault.HANG_BEFORE)
        with pytest.raises(requests.ReadTimeout):
            client.session.delete(f"{portal.url}/api/user/id/118", timeout=0.05)
        ending = time.monotonic()
    assert time.monotonic() - ending < 1
