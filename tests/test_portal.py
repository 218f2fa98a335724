"""The portal client against the simulator, request by request."""

import socket
import threading
from collections.abc import Iterator

import pytest
import requests

from bulk_user_deletion.errors import (
    CredentialsRefused,
    PortalAnswerUnusable,
    PortalUnavailable,
    RequestRefused,
    TokenRejected,
    UserManagementDenied,
)
from bulk_user_deletion.models.tokens import Credentials, Token
from bulk_user_deletion.portal import Portal, user_in
from bulk_user_deletion.rules.answers import Call, Transport, Verdict, judge
from local.portal import Fault, Knobs, PortalSimulator


@pytest.fixture
def simulator() -> Iterator[PortalSimulator]:
    with PortalSimulator(users=30) as simulator:
        yield simulator


def credentials(simulator: PortalSimulator, **changes: str) -> Credentials:
    given = {
        "application_id": simulator.application_id,
        "application_key": simulator.application_key,
        "user": simulator.api_user,
        **changes,
    }
    return Credentials(**given)


@pytest.fixture
def portal(simulator: PortalSimulator) -> Portal:
    """A client with a valid token; the log starts after it was issued."""
    value, _ = Portal(simulator.url).get_token(credentials(simulator))
    simulator.requests.clear()
    token = Token("version-1", value, issued_at=0, expires_at=2**40, user=simulator.api_user)
    return Portal(simulator.url, token=token, read_timeout_seconds=1)


def asked(simulator: PortalSimulator) -> list[str]:
    return [f"{request.method} {request.path}" for request in simulator.requests]


# Tokens


def test_a_token_is_requested_with_the_credentials(simulator: PortalSimulator) -> None:
    value, expires = Portal(simulator.url).get_token(credentials(simulator))

    assert value
    assert isinstance(expires, str)
    assert asked(simulator) == ["POST /api/get_token"]


@pytest.mark.parametrize("field", ["application_id", "application_key", "user"])
def test_wrong_credentials_are_refused_by_name(simulator: PortalSimulator, field: str) -> None:
    with pytest.raises(CredentialsRefused, match=r"application_id, application_key and user"):
        Portal(simulator.url).get_token(credentials(simulator, **{field: "wrong"}))


@pytest.mark.parametrize("fault", [Fault.EMPTY_LIST_200, Fault.REDIRECT])
def test_a_200_without_a_token_is_a_failure(simulator: PortalSimulator, fault: Fault) -> None:
    simulator.faults.script(fault, method="POST")

    with pytest.raises(PortalAnswerUnusable):
        Portal(simulator.url).get_token(credentials(simulator))


@pytest.mark.parametrize("token", [..., "", 5, True, [], ["abc"], {"value": "abc"}])
def test_a_200_whose_token_is_none_is_a_failure(simulator: PortalSimulator, token: object) -> None:
    simulator.knobs = Knobs(token=token)

    with pytest.raises(PortalAnswerUnusable, match="answered 200 to get_token, but sent no token"):
        Portal(simulator.url).get_token(credentials(simulator))


def test_a_request_for_a_token_is_sent_once_whatever_happens(simulator: PortalSimulator) -> None:
    simulator.faults.script(Fault.RESET_AFTER, method="POST")

    with pytest.raises(PortalUnavailable):
        Portal(simulator.url).get_token(credentials(simulator))

    assert asked(simulator) == ["POST /api/get_token"]


def test_a_client_says_as_whom_its_token_acts_and_how_long_it_lives() -> None:
    token = Token("v", "abc", issued_at=100, expires_at=1000, user="api", user_id="101")
    with_token = Portal("https://portal.example.com", token=token)
    without = Portal("https://portal.example.com")

    assert (with_token.user, with_token.user_id, with_token.token_life_seconds) == (
        "api",
        "101",
        900,
    )
    assert (without.user, without.user_id, without.token_life_seconds) == ("", "", 0)


# Datasets


def test_all_rows_of_a_dataset_come_in_one_request(
    portal: Portal, simulator: PortalSimulator
) -> None:
    dataset = simulator.add_dataset("SELECT user_id FROM user")

    rows = portal.dataset_rows(dataset)

    assert {row["user_id"] for row in rows} == simulator.user_ids()
    assert len(simulator.requests) == 1


def test_a_portal_may_send_numbers_as_text(portal: Portal, simulator: PortalSimulator) -> None:
    simulator.knobs = Knobs(dataset_ids_as="string", page_limit=7)
    dataset = simulator.add_dataset("SELECT user_id FROM user")

    rows = portal.dataset_rows(dataset)

    assert {row["user_id"] for row in rows} == set(map(str, simulator.user_ids()))


@pytest.mark.parametrize("page_limit", [1, 7, 29, 30, 31])
def test_a_portal_that_sends_pages_is_asked_for_each_of_them(
    portal: Portal, simulator: PortalSimulator, page_limit: int
) -> None:
    dataset = simulator.add_dataset("SELECT user_id FROM user")
    simulator.knobs = Knobs(page_limit=page_limit)

    rows = portal.dataset_rows(dataset)

    assert len(rows) == 30
    assert {row["user_id"] for row in rows} == simulator.user_ids()
    pages = -(-30 // page_limit)
    assert len(simulator.requests) == (pages if pages == 1 else 2 * pages)


def test_pages_in_no_stable_order_are_refused_because_rows_may_be_missing(
    portal: Portal, simulator: PortalSimulator
) -> None:
    dataset = simulator.add_dataset("SELECT user_id FROM user")
    simulator.knobs = Knobs(page_limit=10, shuffled_rows=True)

    with pytest.raises(RequestRefused, match="ORDER BY"):
        portal.dataset_rows(dataset)


def test_a_dataset_that_sends_fewer_rows_than_it_has_is_refused(
    portal: Portal, simulator: PortalSimulator
) -> None:
    dataset = simulator.add_dataset("SELECT user_id FROM user")
    simulator.knobs = Knobs(page_limit=0)

    with pytest.raises(RequestRefused, match="has 30 rows, but the portal sent 0"):
        portal.dataset_rows(dataset)


def test_an_empty_dataset_has_no_rows(portal: Portal, simulator: PortalSimulator) -> None:
    dataset = simulator.add_dataset("SELECT user_id FROM user WHERE 1 = 0")

    assert portal.dataset_rows(dataset) == []


def test_an_unknown_dataset_is_refused(portal: Portal) -> None:
    with pytest.raises(RequestRefused, match="read dataset 999"):
        portal.dataset_rows(999)


# Users


@pytest.mark.parametrize("key", ["id", "user_id"])
@pytest.mark.parametrize("form", ["string", "number"])
def test_users_are_read_in_every_form_the_portal_may_send(
    portal: Portal, simulator: PortalSimulator, key: str, form: str
) -> None:
    simulator.knobs = Knobs(user_id_key=key, user_ids_as=form)  # type: ignore[arg-type]

    users = list(portal.users())

    assert {int(user.user_id) for user in users} == simulator.user_ids()
    assert users[0].is_administrator
    assert users[0].username == simulator.api_user


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_look_finds_a_user_wrapped_or_bare(
    portal: Portal, simulator: PortalSimulator, wrapped: bool
) -> None:
    simulator.knobs = Knobs(wrapped_user=wrapped)

    user = user_in(portal.look("118"))

    assert user
    assert (user.user_id, user.username, user.email) == (
        "118",
        "user0118",
        "user0118@example.com",
    )


def test_a_look_for_nobody_is_answered_by_the_portals_own_404(portal: Portal) -> None:
    assert judge(Call.LOOK, portal.look("9001")) is Verdict.GONE


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_is_a_deletes_success(
    portal: Portal, simulator: PortalSimulator, status: int
) -> None:
    simulator.knobs = Knobs(delete_status=status)  # type: ignore[arg-type]

    answer = portal.delete("118")

    assert judge(Call.DELETE, answer) is Verdict.OK
    assert 118 not in simulator.user_ids()


@pytest.mark.parametrize(
    "fault",
    [
        Fault.RESET_BEFORE,
        Fault.RESET_AFTER,
        Fault.BAD_GATEWAY_BEFORE,
        Fault.TIMEOUT_504_AFTER,
        Fault.HTML_503,
        Fault.DEADLOCK,
        Fault.TOO_MANY_REQUESTS,
        Fault.REDIRECT,
        Fault.TRUNCATED_200,
    ],
)
def test_rule_4_a_delete_is_sent_once_whatever_happens(
    portal: Portal, simulator: PortalSimulator, fault: Fault
) -> None:
    simulator.faults.rate(fault, 1)

    portal.delete("118")

    assert asked(simulator) == ["DELETE /api/user/id/118"]


@pytest.mark.parametrize(
    "fault", [Fault.RESET_BEFORE, Fault.BAD_GATEWAY_BEFORE, Fault.TIMEOUT_504_AFTER]
)
def test_a_look_is_repeated_after_a_passing_fault(
    portal: Portal, simulator: PortalSimulator, fault: Fault
) -> None:
    simulator.faults.script(fault, method="GET")

    answer = portal.look("118")

    assert judge(Call.LOOK, answer) is Verdict.OK
    assert asked(simulator) == ["GET /api/user/id/118"] * 2


def test_retry_after_is_not_waited_for_in_billed_time(
    portal: Portal, simulator: PortalSimulator
) -> None:
    simulator.faults.script(Fault.TOO_MANY_REQUESTS, method="GET")

    answer = portal.look("118")

    assert (answer.status, answer.retry_after) == (429, 7)
    assert len(simulator.requests) == 1


def test_a_delete_that_was_never_sent_is_distinguished_from_one_that_was_lost(
    portal: Portal, simulator: PortalSimulator
) -> None:
    simulator.faults.script(Fault.HANG_AFTER)
    lost = portal.delete("118")
    with PortalSimulator(users=1) as other:
        address = other.url
    not_sent = Portal(address).delete("118")

    assert lost.transport is Transport.LOST
    assert not_sent.transport is Transport.NOT_SENT


# Tokens that are not accepted


def test_rule_4_a_delete_is_not_repeated_after_a_tls_failure() -> None:
    token = Token("v1", "secret", issued_at=0, expires_at=2e9, user="api")
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[socket.socket] = []

        def answer_in_plain_text() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connections.append(connection)
                with connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        thread = threading.Thread(target=answer_in_plain_text)
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        answer = Portal(url, token=token, read_timeout_seconds=5).delete("118")
        server.shutdown(socket.SHUT_RDWR)
        thread.join()

    assert answer.transport is Transport.LOST
    assert judge(Call.DELETE, answer) is Verdict.LOOK
    assert len(connections) == 1


@pytest.mark.parametrize("status", [401, 412])
def test_an_expired_token_asks_for_a_renewal_of_its_version(
    portal: Portal, simulator: PortalSimulator, status: int
) -> None:
    simulator.knobs = Knobs(expired_status=status)  # type: ignore[arg-type]
    simulator.expire_tokens()

    with pytest.raises(TokenRejected) as rejected:
        list(portal.users())

    assert rejected.value.version_id == "version-1"


def test_missing_user_management_does_not_renew_the_token(
    portal: Portal, simulator: PortalSimulator
) -> None:
    simulator.knobs = Knobs(user_management=False)

    with pytest.raises(UserManagementDenied):
        list(portal.users())


# Where the client connects to, and what it takes from there


@pytest.mark.parametrize(
    "url",
    [
        "http://portal.example.com",
        "portal.example.com",
        "https://",
        "https://portal.example.com@other.example.com",
    ],
)
def test_a_portal_url_without_https_is_refused(url: str) -> None:
    with pytest.raises(RequestRefused, match="https"):
        Portal(url)


def test_every_request_goes_to_the_host_that_was_configured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[str] = []

    def send(_: object, request: requests.PreparedRequest, **__: object) -> requests.Response:
        sent.append(str(request.url))
        raise requests.ConnectionError

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    token = Token("version-1", "secret", issued_at=0, expires_at=2e9, user="api")
    portal = Portal("https://portal.example.com/insights/", token=token)
    hostile = ("118@other.example.com", "//other.example.com", "../../118", "118?x=", "")

    for call in (portal.users, lambda: portal.dataset_rows(42)):
        with pytest.raises(PortalUnavailable):
            list(call())
    with pytest.raises(PortalUnavailable):
        portal.get_token(Credentials("1", "//other.example.com", "@other.example.com"))
    portal.look("118")
    portal.delete("118")
    for user_id in hostile:
        with pytest.raises(PortalAnswerUnusable):
            portal.look(user_id)
        with pytest.raises(PortalAnswerUnusable):
            portal.delete(user_id)

    assert len(sent) == 5
    for url in sent:
        assert url.startswith("https://portal.example.com/insights/api/")


def test_the_token_does_not_follow_a_redirect(portal: Portal, simulator: PortalSimulator) -> None:
    simulator.faults.script(Fault.REDIRECT, method="GET")

    with pytest.raises(PortalAnswerUnusable, match="302"):
        list(portal.users())

    assert asked(simulator) == ["GET /api/user"]


def test_neither_a_proxy_nor_a_netrc_of_the_environment_is_used(
    portal: Portal, simulator: PortalSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    assert len(list(portal.users())) == 30
    with pytest.raises(requests.exceptions.ProxyError):
        requests.get(simulator.url, timeout=1)


@pytest.mark.parametrize("fault", [Fault.HTML_200, Fault.TRUNCATED_200])
def test_a_list_that_cannot_be_read_is_an_error(
    portal: Portal, simulator: PortalSimulator, fault: Fault
) -> None:
    simulator.faults.rate(fault, 1, method="GET")

    with pytest.raises(PortalUnavailable):
        list(portal.users())


@pytest.mark.parametrize("field", ["username", "email", "type"])
def test_a_user_without_a_field_to_check_says_what_it_lacks(
    portal: Portal, simulator: PortalSimulator, field: str
) -> None:
    simulator.knobs = Knobs(omit_user_fields=(field,))

    users = list(portal.users())

    assert {int(user.user_id) for user in users} == simulator.user_ids()
    assert {user.lacks for user in users} == {field}


def test_a_user_without_an_id_makes_the_whole_list_unusable(
    portal: Portal, simulator: PortalSimulator
) -> None:
    simulator.knobs = Knobs(omit_user_fields=("id",))

    with pytest.raises(PortalAnswerUnusable, match="a user without an id"):
        list(portal.users())
