"""The Metric Insights REST API: the only module that speaks HTTP.

Methods return what the portal said, as `Answer`s for `rules.answers` to judge; methods that read
whole lists judge the answers themselves and raise. The facts come from the vendor's documents.
Where those are silent, the client accepts every likely form and depends on none.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.util.retry import Retry

from bulk_user_deletion.errors import (
    CredentialsRefused,
    PortalAnswerUnusable,
    PortalUnavailable,
    RequestRefused,
    TokenRejected,
    UserManagementDenied,
)
from bulk_user_deletion.meter import meter
from bulk_user_deletion.models.tokens import Credentials, Token
from bulk_user_deletion.models.users import PortalUser
from bulk_user_deletion.observability import Metric, count, time_taken
from bulk_user_deletion.rules.answers import Answer, Call, Transport, Verdict, judge
from bulk_user_deletion.rules.headers import http_date, retry_after
from bulk_user_deletion.rules.identity import is_user_id

_CONNECT_TIMEOUT_SECONDS = 10
_LARGEST_LIST = 256 * 2**20
_LARGEST_ANSWER = 2**20


class _Repeat(Retry):
    """Retries a GET at once, unless it timed out: nobody should wait for that three times.

    A portal that hangs would time out the function, which has little more time than one request
    takes.
    """

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


# Retry-After is not waited for here, in billed time: the state machine's Wait does that.
_REPEAT_GET = _Repeat(
    total=2,
    allowed_methods={"GET"},
    status_forcelist={502, 503, 504},
    backoff_factor=0.3,
    respect_retry_after_header=False,
    raise_on_status=False,
)


class Portal:
    """A client of the portal, with or without a token.

    `ca_bundle` is the path of a PEM file with certificates to trust instead of the public ones.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        read_timeout_seconds: int = 180,
        ca_bundle: str = "",
    ) -> None:
        parts = urlsplit(url)
        loopback = parts.hostname in {"127.0.0.1", "localhost", "::1"}
        allowed = parts.scheme == "https" or (parts.scheme == "http" and loopback)
        if not parts.hostname or "@" in parts.netloc or not allowed:
            raise RequestRefused(
                "PortalUrl must begin with https:// (http is for this machine's own addresses),"
                " followed by the portal's host."
            )
        self._url = url.rstrip("/")
        self._token = token
        self._verify = ca_bundle or True
        self._timeout = (_CONNECT_TIMEOUT_SECONDS, read_timeout_seconds)
        # Only requests that change nothing are sent twice. `allowed_methods` alone does not ensure
        # that: urllib3 retries any method after a TLS error, when a DELETE may have taken effect.
        self._reads = _session(_REPEAT_GET)
        self._writes = _session(Retry(0, read=False))

    @property
    def user(self) -> str:
        """The username that the token acts as; empty without a token."""
        return self._token.user if self._token else ""

    @property
    def user_id(self) -> str:
        """The id of that user, if the credentials secret has it; otherwise empty."""
        return self._token.user_id if self._token else ""

    @property
    def token_life_seconds(self) -> float:
        """How long the token is valid, from its issue to its expiry; 0 without a token."""
        return self._token.expires_at - self._token.issued_at if self._token else 0

    def get_token(self, credentials: Credentials) -> tuple[str, object]:
        """Request a new token: return its value, and `expires` as the portal wrote it.

        Raises:
            CredentialsRefused, PortalUnavailable, PortalAnswerUnusable
        """
        answer = self._send(
            "POST",
            "/api/get_token",
            payload={
                "application_id": credentials.application_id,
                "application_key": credentials.application_key,
                "user": credentials.user,
            },
        )
        body = self._insist(Call.TOKEN, answer, "asked for a token")
        value = body.get("token")
        if not isinstance(value, str) or not value:  # no token is a 200 with `[]`
            raise PortalAnswerUnusable("The portal answered 200 to get_token, but sent no token.")
        if problem := _header_problem(value):
            raise PortalAnswerUnusable(
                f"The portal sent a token that is not valid in an HTTP header: it {problem}. Check"
                " whatever is between the portal and this stack."
            )
        return value, body.get("expires")

    def dataset_rows(
        self,
        dataset_id: int,
        *,
        hook: Callable[[dict[str, Any]], Any] | None = None,
        limit: int = _LARGEST_LIST,
    ) -> list[Any]:
        """Return every row of a collected dataset.

        All rows are requested at once, because their order is not guaranteed. If the portal sends
        fewer than it has, the rest is requested, and then everything once more: pages did not
        overlap only if both readings agree.

        A row is a dictionary, or the tuple that `hook` makes of it. An answer may have `limit`
        bytes.

        Raises:
            RequestRefused: the dataset does not exist, may not be read, or is incomplete.
            TokenRejected, UserManagementDenied, PortalUnavailable, PortalAnswerUnusable
        """
        rows, pages = self._dataset_pages(dataset_id, hook, limit)
        if pages > 1 and _sorted(self._dataset_pages(dataset_id, hook, limit)[0]) != _sorted(rows):
            raise RequestRefused(
                f"The portal sends the pages of dataset {dataset_id} in no stable order, so that"
                " rows may be missing. Add an ORDER BY to its query, and collect it again."
            )
        return rows

    def _dataset_pages(
        self, dataset_id: int, hook: Callable[[dict[str, Any]], Any] | None, limit: int
    ) -> tuple[list[Any], int]:
        read: list[Any] = []
        pages = 0
        while True:
            query: dict[str, int | str] = {"dataset": dataset_id, "amount": "Y"}
            if read:
                query["offset"] = len(read)
            answer = self._send("GET", "/api/dataset_data", query=query, limit=limit, hook=hook)
            body = self._insist(Call.READ, answer, f"read dataset {dataset_id}")
            rows, amount = body.get("data"), _whole_number(body.get("amount"))
            if not isinstance(rows, list) or amount is None:
                raise PortalAnswerUnusable(
                    f"The portal's answer for dataset {dataset_id} lacks `data` or `amount`."
                )
            if not all(isinstance(row, dict | tuple) for row in rows):
                raise PortalAnswerUnusable(f"A row of dataset {dataset_id} is not a JSON object.")
            read += rows
            pages += 1
            if len(read) >= amount:
                return read, pages
            if not rows:
                raise RequestRefused(
                    f"Dataset {dataset_id} has {amount} rows, but the portal sent {len(read)}."
                    " Collect it again, then start the run again."
                )

    def users(self) -> Iterator[PortalUser]:
        """Yield every user of the portal.

        Raises:
            TokenRejected, UserManagementDenied, PortalUnavailable, PortalAnswerUnusable
        """
        answer = self._send("GET", "/api/user", limit=_LARGEST_LIST, hook=_user_in_a_list)
        body = self._insist(Call.READ, answer, "read the users")
        users = body.get("users")
        if not isinstance(users, list):
            raise PortalAnswerUnusable("The portal's answer to GET /api/user lacks `users`.")
        for record in users:
            user = parse_user(record)
            if user is None:
                raise PortalAnswerUnusable(
                    "The portal lists a user without an id, so users cannot be told apart. Nobody"
                    " was deleted. Find that record in the portal."
                )
            yield user

    def look(self, user_id: str) -> Answer:
        """Request one user."""
        return self._send("GET", _user_path(user_id))

    def delete(self, user_id: str) -> Answer:
        """Delete one user. The request is never sent twice, whatever happens."""
        answer = self._send("DELETE", _user_path(user_id))
        time_taken(Metric.DELETE_SECONDS, answer.seconds)
        return answer

    def switch(self, user_id: str, *, enabled: bool) -> Answer:
        """Enable or disable one user, with a PUT of only that field. It is sent once."""
        payload = {"enabled": "Y" if enabled else "N"}
        return self._send("PUT", _user_path(user_id), payload=payload)

    def raise_for(self, verdict: Verdict, answer: Answer, what: str) -> NoReturn:
        """Raise the error for a verdict that affects more than one user."""
        found = answer.describe()
        match verdict:
            case Verdict.RENEW_TOKEN:
                raise TokenRejected(self._token.version_id if self._token else None)
            case Verdict.STOP_CREDENTIALS:
                raise CredentialsRefused(
                    f"The portal refused our credentials ({found}). Check application_id,"
                    " application_key and user in the credentials secret."
                )
            case Verdict.STOP_USER_MANAGEMENT:
                raise UserManagementDenied(
                    f"Our credentials may not manage users ({found}). Switch on 'Application Can"
                    " Manage Users' for the External Application, and use an administrator."
                )
            case Verdict.REFUSE:
                raise RequestRefused(
                    f"The portal refused when we {what} ({found}). Check that it exists, and that"
                    " the user in the credentials secret may read it."
                )
            case Verdict.STOP_UNUSABLE:
                raise PortalAnswerUnusable(
                    f"The portal's answer was unusable when we {what} ({found}). Check PortalUrl,"
                    " and whatever is between the portal and this stack."
                )
            case _:
                raise PortalUnavailable(
                    f"The portal did not answer when we {what} ({found}).", answer
                )

    def _insist(self, call: Call, answer: Answer, what: str) -> Mapping[str, Any]:
        verdict = judge(call, answer)
        if verdict is not Verdict.OK:
            self.raise_for(verdict, answer, what)
        body: Mapping[str, Any] = answer.body
        return body

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, int | str] | None = None,
        payload: Mapping[str, str] | None = None,
        limit: int = _LARGEST_ANSWER,
        hook: Callable[[dict[str, Any]], object] | None = None,
    ) -> Answer:
        session = self._reads if method == "GET" else self._writes
        started = time.monotonic()
        try:
            with session.request(
                method,
                self._url + path,
                params=query,
                json=payload,
                headers={"token": self._token.value} if self._token else {},
                timeout=self._timeout,
                verify=self._verify,
                allow_redirects=False,  # the token must not follow a redirect to another host
                stream=True,
            ) as response:
                text = _read(response, limit)
        except requests.ConnectTimeout:
            return _unanswered(Transport.NOT_SENT, started)
        except requests.ConnectionError as error:
            reason = getattr(error.args[0] if error.args else None, "reason", None)
            not_sent = isinstance(reason, NewConnectionError)
            return _unanswered(Transport.NOT_SENT if not_sent else Transport.LOST, started)
        except (requests.RequestException, HTTPError, ValueError):
            # ValueError: a header that cannot be read, such as a `Location` that is not a URL.
            return _unanswered(Transport.LOST, started)
        finally:
            meter.count("portal_ms", round((time.monotonic() - started) * 1000))
        if text is None:
            return _unanswered(Transport.TOO_LARGE, started)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            count(Metric.PORTAL_THROTTLES)
        return Answer(
            status=response.status_code,
            body=_decode(text, hook),
            seconds=time.monotonic() - started,
            retry_after=retry_after(response.headers.get("Retry-After"), now=time.time()),
            served_at=http_date(response.headers.get("Date")),
        )


def _header_problem(value: str) -> str:
    """Return why a header cannot carry a value (RFC 9110, section 5.5), or an empty string."""
    if not all(ord(character) <= 0xFF for character in value):
        return "has characters beyond Latin-1"
    if re.search("[\0-\x1f\x7f]", value):
        return "has control characters"
    if value != value.strip():
        return "begins or ends with whitespace"
    return ""


def _session(retry: Retry) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # ignore proxies and .netrc of the environment
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def parse_user(record: object) -> PortalUser | None:
    """Read a user from an answer: the id under `id` or `user_id`, as a number or a string.

    Text fields may be strings, numbers or booleans. If the record lacks a field that safety
    depends on, `lacks` names it. Returns None if the record has no user id.
    """
    if isinstance(record, PortalUser):  # already read during parsing
        return record
    if not isinstance(record, dict):
        return None
    user_id = normalise_id(record.get("id", record.get("user_id")))
    if not user_id:
        return None
    username, kind = _text(record.get("username")), _text(record.get("type"))
    email = "" if record.get("email", ...) is None else _text(record.get("email"))
    needed = {"username": username, "email": email, "type": kind if kind and kind.strip() else None}
    return PortalUser(
        user_id,
        username or "",
        email or "",
        kind or "",
        _text(record.get("enabled")) or "",
        _text(record.get("ldap")) or "",
        lacks=" and ".join([name for name, found in needed.items() if found is None]),
    )


def user_in(answer: Answer) -> PortalUser | None:
    """Read the user from the answer to a look; return None if there is none in it."""
    return parse_user(record_in(answer))


def record_in(answer: Answer) -> Any:
    """Return a user's record from an answer: wrapped as `{"user": {…}}`, or bare."""
    body = answer.body
    return body["user"] if isinstance(body, dict) and "user" in body else body


def _text(value: object) -> str | None:
    """Read a text field, sent as a string, a number or a boolean; None for anything else."""
    if isinstance(value, str) and value.isascii():
        return value
    if isinstance(value, bool):
        return "Y" if value else "N"
    if not isinstance(value, str | int | float):
        return None
    # JSON may contain half a surrogate pair, which cannot be stored in a file or a table.
    return str(value).encode("utf-8", "replace").decode()


def normalise_id(value: object) -> str:
    """Return a user id as decimal text, from a number or a string; empty if it is not an id."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and is_user_id(value.strip()):
        return value.strip()
    return ""


def _user_path(user_id: str) -> str:
    if not is_user_id(user_id):  # what `DELETE /api/user/id/` does is unknown
        raise PortalAnswerUnusable("A user id must be a positive whole number.")
    return f"/api/user/id/{user_id}"


def _user_in_a_list(data: dict[str, Any]) -> object:
    """Convert users during parsing: a hundred thousand take less memory that way.

    An object inside a user, such as its manager, may look like a user too: it stays inside.
    """
    return (parse_user(data) or data) if "username" in data else data


def _read(response: requests.Response, limit: int) -> bytearray | None:
    text = bytearray()
    for chunk in response.iter_content(65_536):
        text += chunk
        if len(text) > limit:
            return None
    return text


def _decode(text: bytearray, hook: Callable[[dict[str, Any]], object] | None) -> Any:
    try:
        return json.loads(text, object_hook=hook)
    except (ValueError, RecursionError):
        return None


def _unanswered(transport: Transport, started: float) -> Answer:
    return Answer(status=None, transport=transport, seconds=time.monotonic() - started)


def _sorted(rows: list[Any]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def _whole_number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value.strip()):
        return int(value)
    return None
