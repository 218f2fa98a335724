"""The simulated portal changes users in every way that a portal might, and its time can be set."""

import time
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from local.portal import Fault, Knobs, PortalSimulator, PutAnswer, PutMode

USER = 118
PATH = f"/api/user/id/{USER}"
DISABLE = {"enabled": "N"}
DAY = 86_400


@pytest.fixture
def portal() -> Iterator[PortalSimulator]:
    with PortalSimulator(users=30) as portal:
        portal.edit(USER, enabled="Y", ldap="N")
        yield portal


class Client:
    """A caller with a token."""

    def __init__(self, portal: PortalSimulator) -> None:
        self.portal = portal
        self.session = requests.Session()
        self.session.trust_env = False
        self.token = self.get_token()

    def get_token(self) -> dict[str, Any]:
        """Get a token and use it from now on."""
        credentials = {
            "application_id": self.portal.application_id,
            "application_key": self.portal.application_key,
            "user": self.portal.api_user,
        }
        answer: dict[str, Any] = self.send("POST", "/api/get_token", json=credentials).json()
        self.session.headers["token"] = answer["token"]
        return answer

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        options = {"timeout": 5, "allow_redirects": False, **options}
        return self.session.request(method, self.portal.url + path, **options)

    def disable(self, user_id: int = USER) -> requests.Response:
        return self.send("PUT", f"/api/user/id/{user_id}", json=DISABLE)

    def look(self, user_id: int = USER) -> dict[str, Any]:
        user: dict[str, Any] = self.send("GET", f"/api/user/id/{user_id}").json()["user"]
        return user


@pytest.fixture
def client(portal: PortalSimulator) -> Client:
    return Client(portal)


def enabled(portal: PortalSimulator, user_id: int = USER) -> object:
    """What the portal's table says, regardless of its answers."""
    [row] = portal.database.execute("SELECT enabled FROM user WHERE user_id = ?", (user_id,))
    return row["enabled"]


# What a PUT does


def test_a_put_changes_only_the_fields_that_it_names(
    portal: PortalSimulator, client: Client
) -> None:
    before = portal.database.execute("SELECT * FROM user ORDER BY user_id")
    record = client.look()

    answer = client.disable()

    assert (answer.status_code, answer.json()) == (200, {"user": {**record, **DISABLE}})
    assert client.look() == {**record, **DISABLE}
    after = portal.database.execute("SELECT * FROM user ORDER BY user_id")
    assert [tuple(row) for row in before if row["user_id"] != USER] == [
        tuple(row) for row in after if row["user_id"] != USER
    ]


@pytest.mark.parametrize("value", ["N", "n", " N ", "no", "disabled", "", "0", 0, 1, None])
def test_enabled_is_kept_as_it_was_sent(client: Client, value: str | int | None) -> None:
    assert client.send("PUT", PATH, json={"enabled": value}).status_code == 200
    assert client.look()["enabled"] == value


@pytest.mark.parametrize("mode", ["ignored", "error"])
def test_a_put_may_be_answered_without_an_effect(
    portal: PortalSimulator, client: Client, mode: PutMode
) -> None:
    portal.knobs = Knobs(put_mode=mode, touches_records=True)
    record = client.look()

    answer = client.disable()

    assert answer.status_code == 200
    assert (answer.json().get("status") == "ERROR") is (mode == "error")
    assert client.look() == record


def test_a_put_may_replace_the_record(portal: PortalSimulator, client: Client) -> None:
    portal.knobs = Knobs(
        put_mode="replaces", extra_fields={"phone": "1", "groups": [{"id": 3}], "boss": None}
    )
    portal.edit(USER, type="power", ldap="Y")
    bystander = client.look(119)

    assert client.disable().status_code == 200

    assert client.look() == {
        "id": str(USER),
        "username": "user0118",
        "first_name": "",
        "last_name": "",
        "type": "regular",
        "email": "",
        "enabled": "N",
        "ldap": "N",
        "phone": "",
        "groups": [],
        "boss": None,
    }
    assert client.look(119) == bystander


def test_a_put_in_the_background_is_answered_first(portal: PortalSimulator, client: Client) -> None:
    portal.knobs = Knobs(put_mode="background", seconds_per_put=60)

    assert client.disable().json()["user"]["enabled"] == "Y"

    portal.jump(59)
    assert client.look()["enabled"] == "Y"
    portal.jump(1)
    assert client.look()["enabled"] == "N"


@pytest.mark.parametrize("mode", ["synchronous", "ignored", "error", "replaces"])
def test_a_put_takes_the_seconds_of_its_knob(
    portal: PortalSimulator, client: Client, mode: PutMode
) -> None:
    portal.knobs = Knobs(put_mode=mode, seconds_per_put=0.05)

    started = time.monotonic()
    client.disable()

    assert time.monotonic() - started >= 0.05


# What a PUT answers


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("form", ["user", "bare", "no_content"])
def test_a_put_is_answered_in_the_form_of_its_knob(
    portal: PortalSimulator, client: Client, wrapped: bool, form: PutAnswer
) -> None:
    user = {**client.look(), **DISABLE}
    portal.knobs = Knobs(put_answer=form, wrapped_user=wrapped)  # the other one is about looks

    answer = client.disable()

    body = answer.json() if answer.content else None
    assert (answer.status_code, body) == {
        "user": (200, {"user": user}),
        "bare": (200, user),
        "no_content": (204, None),
    }[form]
    assert enabled(portal) == "N"


@pytest.mark.parametrize("status", [404, 410])
def test_a_put_to_nobody_is_the_portals_own_404(
    portal: PortalSimulator, client: Client, status: int
) -> None:
    portal.knobs = Knobs(unknown_user_status=status)

    answer = client.disable(9001)

    assert (answer.status_code, answer.json()["status"]) == (status, "ERROR")
    assert 9001 not in portal.user_ids()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"N"', b'{"enabled": {}}', b'{"last_name": null}', b"\xff"]
)
def test_a_malformed_body_is_answered_400(
    portal: PortalSimulator, client: Client, body: bytes
) -> None:
    record = client.look()

    for method, path in (("PUT", PATH), ("POST", "/api/user")):
        answer = client.send(method, path, data=body)
        assert (answer.status_code, answer.json()["status"]) == (400, "ERROR")

    assert client.look() == record
    assert len(portal.user_ids()) == 30


def test_a_username_that_another_user_has_is_answered_400(client: Client) -> None:
    assert client.send("PUT", PATH, json={"username": "USER0119"}).status_code == 400
    assert client.look()["username"] == "user0118"


def test_users_of_the_directory_may_be_refused(portal: PortalSimulator, client: Client) -> None:
    portal.edit(119, ldap="Y", enabled="Y")
    portal.knobs = Knobs(put_refused_for_ldap=True)

    refused = client.disable(119)

    assert (refused.status_code, refused.json()["status"]) == (403, "ERROR")
    assert enabled(portal, 119) == "Y"
    assert client.disable(USER).status_code == 200


# Records


def test_a_record_tells_when_it_was_last_changed(portal: PortalSimulator, client: Client) -> None:
    assert "last_modified" not in client.look()
    portal.knobs = Knobs(touches_records=True)
    untouched = client.look(119)

    moments = [client.look()["last_modified"]]
    for _ in range(2):
        client.disable()
        moments.append(client.look()["last_modified"])
    portal.jump(60)
    portal.edit(USER, enabled="Y")
    moments.append(client.look()["last_modified"])

    assert moments == sorted(set(moments))
    assert datetime.fromisoformat(moments[-1]).timestamp() == pytest.approx(portal.now(), abs=5)
    assert client.look(119) == untouched


def test_extra_fields_come_with_each_look_and_not_in_the_list(
    portal: PortalSimulator, client: Client
) -> None:
    extra = {"phone": "1", "groups": [{"id": 3}], "settings": {"mail": {"daily": True}}}
    portal.knobs = Knobs(extra_fields=extra)

    assert extra.items() <= client.look().items()
    assert extra.items() <= client.disable().json()["user"].items()
    listed = client.send("GET", "/api/user").json()["users"]
    assert not any(extra.keys() & user.keys() for user in listed)


@given(
    fields=st.dictionaries(
        st.sampled_from(["first_name", "last_name", "type", "email", "enabled", "ldap"]),
        st.text(max_size=8),
    )
)
@settings(max_examples=30)
def test_an_edit_changes_those_fields_of_that_user(fields: dict[str, str]) -> None:
    with PortalSimulator(users=10) as portal:
        before = {
            row["user_id"]: dict(row) for row in portal.database.execute("SELECT * FROM user")
        }

        portal.edit(105, **fields)

        after = {row["user_id"]: dict(row) for row in portal.database.execute("SELECT * FROM user")}
        assert after == before | {105: before[105] | fields}


def test_a_user_is_removed_by_hand_and_comes_again_under_a_new_id(
    portal: PortalSimulator, client: Client
) -> None:
    before = portal.user_ids()
    record = client.look()

    portal.remove(USER)
    gone = client.send("GET", PATH).status_code
    user_id = portal.add(username=record["username"], email=record["email"])

    assert gone == 404
    assert portal.user_ids() == before - {USER} | {user_id}
    assert user_id > max(before)
    assert client.look(user_id) == {
        "id": str(user_id),
        "username": "user0118",
        "first_name": "",
        "last_name": "",
        "type": "regular",
        "email": "user0118@example.com",
        "enabled": "Y",
        "ldap": "N",
    }


def test_nobody_is_edited_or_removed_by_mistake(portal: PortalSimulator) -> None:
    with pytest.raises(KeyError, match="9001"):
        portal.edit(9001, enabled="N")
    with pytest.raises(KeyError, match="9001"):
        portal.remove(9001)


# Faults


@pytest.mark.parametrize("by", ["script", "rate"])
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.HUGE_BODY])
def test_each_fault_hits_a_put(
    portal: PortalSimulator, client: Client, fault: Fault, by: str
) -> None:
    if by == "script":
        portal.faults.script(fault, method="PUT", user_id=USER)
    else:
        portal.faults.rate(fault, 1, method="PUT", user_id=USER)
    hangs = fault in (Fault.HANG_BEFORE, Fault.HANG_AFTER)

    status = 0
    try:
        answer = client.send("PUT", PATH, json=DISABLE, timeout=0.05 if hangs else 5)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
        pass
    else:
        status = answer.status_code

    cut = {
        Fault.RESET_BEFORE,
        Fault.RESET_AFTER,
        Fault.HANG_BEFORE,
        Fault.HANG_AFTER,
        Fault.TRUNCATED_200,
    }
    assert (status == 0) is (fault in cut)
    has_effect = {
        Fault.RESET_AFTER,
        Fault.HANG_AFTER,
        Fault.TIMEOUT_504_AFTER,
        Fault.TIMEOUT_504_MEANWHILE,
        Fault.TRUNCATED_200,
    }
    wanted = "N" if fault in has_effect else "Y"
    deadline = time.monotonic() + 5
    while enabled(portal) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)  # the portal may continue after the proxy's answer
    assert enabled(portal) == wanted
    assert portal.requests[-1].fault is fault
    assert client.disable(119).status_code == 200  # nobody else is hit


def test_a_proxy_gives_up_while_the_portal_goes_on_with_a_put() -> None:
    with PortalSimulator(users=30, knobs=Knobs(seconds_per_put=60)) as portal:
        portal.edit(USER, enabled="Y")
        portal.faults.script(Fault.TIMEOUT_504_MEANWHILE, method="PUT")
        client = Client(portal)

        assert client.disable().status_code == 504
        assert client.look()["enabled"] == "Y"  # it is not done yet


# Time


def test_after_a_jump_tokens_have_expired_and_new_ones_expire_later(
    portal: PortalSimulator, client: Client
) -> None:
    portal.jump(31 * DAY)

    assert client.send("GET", PATH).status_code == 412
    expires = datetime.fromisoformat(client.get_token()["expires"]).timestamp()
    assert expires == pytest.approx(time.time() + 31 * DAY + 900, abs=5)
    answer = client.send("GET", PATH)
    assert answer.status_code == 200
    date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert date == pytest.approx(time.time() + 31 * DAY, abs=5)


@pytest.mark.parametrize("ahead", [-DAY, -3_600, 3_600, DAY])
def test_the_portals_clock_may_be_apart_from_ours(
    portal: PortalSimulator, client: Client, ahead: float
) -> None:
    portal.knobs = Knobs(clock_ahead_seconds=ahead, touches_records=True)

    expires = datetime.fromisoformat(client.get_token()["expires"]).timestamp()
    answer = client.disable()

    assert answer.status_code == 200  # the token lives as long as before
    assert expires == pytest.approx(time.time() + 900 + ahead, abs=5)
    date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert date == pytest.approx(time.time() + ahead, abs=5)
    modified = datetime.fromisoformat(answer.json()["user"]["last_modified"]).timestamp()
    assert modified == pytest.approx(time.time() + ahead, abs=5)


def test_a_request_is_logged_with_the_portals_time(portal: PortalSimulator, client: Client) -> None:
    client.look()
    portal.jump(DAY)
    client.send("GET", PATH)

    first, second = portal.requests[-2:]
    assert second.when - first.when == pytest.approx(DAY, abs=5)
    assert second.at - first.at < 5
