"""The portal: its HTTP server, its rules, and the log of its requests."""

import json
import random
import secrets
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from local.portal.faults import Fault, FaultPlan
from local.portal.knobs import Knobs
from local.portal.users import Database

_PAGE = "<html><body><h1>{}</h1></body></html>"
_USER_FIELDS = ("username", "first_name", "last_name", "type", "email", "enabled", "ldap")
_HUGE = 500 * 2**20
_POLL_SECONDS = 0.01  # how often it checks whether it should stop: each test waits for that


@dataclass(frozen=True)
class Request:
    """One request to the portal, and the answer.

    `at` is seconds of the monotonic clock, `status` 0 if the connection was cut, `token` the
    ordinal of the token that was sent (0 for none, or one that was never issued), `fault` the
    injected fault.
    """

    at: float
    method: str
    path: str
    query: Mapping[str, str]
    user_id: int | None
    status: int
    token: int
    seconds: float
    fault: Fault | None = None


@dataclass(frozen=True)
class _Token:
    ordinal: int
    ends: float
    user: str


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class _CutError(Exception):
    """The connection is cut without an answer."""


class PortalSimulator:
    """A portal on a free port of the loopback address, while the context is active."""

    def __init__(
        self,
        *,
        users: int = 400,
        administrators: int = 3,
        knobs: Knobs | None = None,
        seed: int = 0,
        port: int = 0,
        log_file: Path | None = None,
    ) -> None:
        self.knobs = knobs or Knobs()
        self.application_id = "simulated-app"
        self.application_key = "simulated-key"
        self.requests: list[Request] = []
        self.faults = FaultPlan()
        self.database = Database()
        self.database.fill(users, administrators, seed)
        self._first = {
            row["user_id"]: dict(row) for row in self.database.execute("SELECT * FROM user")
        }
        self.api_user = str(self.database.execute("SELECT username FROM user LIMIT 1")[0][0])
        self._log_file = log_file
        self._tokens: dict[str, _Token] = {}
        self._datasets: dict[int, tuple[str, list[dict[str, Any]]]] = {}
        self._deletes_under_way: dict[int, float] = defaultdict(float)
        self._going_on: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _server(self, port)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for thread in self._going_on:
            thread.join()
        self.database.close()

    def user_ids(self) -> set[int]:
        """Return the ids of all users."""
        self._finish_background_deletes()
        return {row[0] for row in self.database.execute("SELECT user_id FROM user")}

    def add_dataset(self, sql: str) -> int:
        """Define a dataset by its query, collect it, and return its id."""
        dataset_id = 42 + len(self._datasets)
        self._datasets[dataset_id] = (sql, [])
        self.collect(dataset_id)
        return dataset_id

    def collect(self, dataset_id: int) -> None:
        """Run a dataset's query again; until then it is a snapshot."""
        sql, _ = self._datasets[dataset_id]
        rows = [dict(row) for row in self.database.execute(sql)]
        self._datasets[dataset_id] = (sql, rows)

    def collected(self, dataset_id: int) -> list[dict[str, Any]]:
        """Return the rows of a dataset as last collected."""
        return self._datasets[dataset_id][1]

    def tokens(self) -> list[str]:
        """Return every token that was ever issued."""
        with self._lock:
            return list(self._tokens)

    def expire_tokens(self) -> None:
        """Expire every token issued so far."""
        with self._lock:
            self._tokens = {value: replace(token, ends=0) for value, token in self._tokens.items()}

    # One request

    def handle(
        self, method: str, target: str, token: str, body: bytes
    ) -> tuple[_Answer | None, Fault | None]:
        """Answer a request and log it; no answer means that the connection must be cut."""
        parts = urlsplit(target)
        path, query = parts.path, dict(parse_qsl(parts.query))
        user_id = _user_id(path)
        fault = self.faults.next_for(method, user_id)
        request = Request(
            at=time.monotonic(),
            method=method,
            path=path,
            query=query,
            user_id=user_id,
            status=0,
            token=self._ordinal(token),
            seconds=0,
            fault=fault,
        )
        with self._lock:
            position = len(self.requests)
            self.requests.append(request)
        try:
            answer = self._with_fault(
                fault, lambda: self._route(method, path.rstrip("/"), query, token, body, user_id)
            )
        except _CutError:
            answer = None
        self._log(request, position, status=answer.status if answer else 0)
        if answer and answer.status >= 300 and self.knobs.retry_after is not None:
            given = ("Retry-After", self.knobs.retry_after)
            others = [item for item in answer.headers if item[0] != given[0]]
            answer = replace(answer, headers=(*others, given))
        return answer, fault

    def _log(self, request: Request, position: int, *, status: int) -> None:
        """Complete a request's entry, which is in the log since the request arrived."""
        complete = replace(request, status=status, seconds=time.monotonic() - request.at)
        with self._lock:
            if self.requests[position : position + 1] == [request]:  # or the log was cleared
                self.requests[position] = complete
            if self._log_file:
                with self._log_file.open("a", encoding="utf-8") as log:
                    log.write(json.dumps(asdict(complete)) + "\n")

    def _with_fault(self, fault: Fault | None, proper: Callable[[], _Answer]) -> _Answer:
        match fault:
            case None | Fault.TRUNCATED_200 | Fault.HUGE_BODY:
                return proper()
            case Fault.RESET_BEFORE:
                raise _CutError
            case Fault.HANG_BEFORE:
                self._closing.wait()
                raise _CutError
            case Fault.RESET_AFTER:
                proper()
                raise _CutError
            case Fault.HANG_AFTER:
                proper()
                self._closing.wait()
                raise _CutError
            case Fault.TIMEOUT_504_AFTER:
                proper()
                return _page(504, "Gateway Time-out")
            case Fault.TIMEOUT_504_MEANWHILE:
                thread = threading.Thread(target=proper)
                self._going_on.append(thread)
                thread.start()
                return _page(504, "Gateway Time-out")
            case Fault.BAD_GATEWAY_BEFORE:
                return _page(502, "Bad Gateway")
            case Fault.HTML_503:
                return _page(503, "Service Unavailable")
            case Fault.BUSY_503:
                return _error(503, "Try again later")
            case Fault.TOO_MANY_REQUESTS:
                after = str(self.knobs.retry_after_seconds)
                return _error(429, "Too many requests", ("Retry-After", after))
            case Fault.TOO_MANY_REQUESTS_DATE:
                later = datetime.fromtimestamp(time.time() + self.knobs.retry_after_seconds, UTC)
                return _error(
                    429, "Too many requests", ("Retry-After", format_datetime(later, usegmt=True))
                )
            case Fault.DEADLOCK:
                return _error(
                    500, "Deadlock found when trying to get lock; try restarting transaction"
                )
            case Fault.BAD_REQUEST:
                return _error(400, "Bad request")
            case Fault.FORBIDDEN:
                return _error(403, "Forbidden")
            case Fault.CONFLICT:
                return _error(409, self.knobs.refusal)
            case Fault.OWN_404:
                return _error(404, "User not found")
            case Fault.SERVER_ERROR:
                return _error(500, "Something went wrong")
            case Fault.ERROR_200:
                return _error(200, "Something went wrong")
            case Fault.UNAUTHORIZED:
                return _error(401, "Unauthorized")
            case Fault.SESSION_EXPIRED:
                return _error(412, "Session expired")
            case Fault.PROXY_404:
                return _page(404, "Not Found")
            case Fault.HTML_200:
                return _page(200, "Welcome")
            case Fault.EMPTY_LIST_200:
                return _json(200, [])
            case Fault.REDIRECT:
                where = self.knobs.location or f"{self.url}/elsewhere"
                return _Answer(302, headers=(("Location", where),))

    def _route(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        token: str,
        body: bytes,
        user_id: int | None,
    ) -> _Answer:
        if self.knobs.portal_is_down:
            return _page(502, "Bad Gateway")
        self._finish_background_deletes()
        if path == "/api/get_token":
            return self._get_token(method, token, body)
        if refusal := self._check_token(token):
            return refusal
        if path == "/api/dataset_data" and method == "GET":
            return self._dataset_data(query)
        if path == "/api/user" or path.startswith("/api/user/"):
            if not self.knobs.user_management:
                return _error(401, "External Application has no User Management Access")
            if not self._is_administrator(self._tokens[token].user):
                return _error(self.knobs.not_administrator_status, "Forbidden")
            return self._users(method, path, body, user_id)
        return _error(404, "Unknown route")

    # Tokens

    def _get_token(self, method: str, token: str, body: bytes) -> _Answer:
        if method == "GET":
            if not token:  # verified: a 200 with an empty list
                return _json(200, [])
            return self._check_token(token) or self._issue_token(self._tokens[token].user)
        if method != "POST":
            return _error(405, "Method not allowed")
        try:
            given = json.loads(body)
        except ValueError:
            return _error(400, "Bad request")
        user = given.get("user") if isinstance(given, dict) else None
        known = user and self.database.execute(
            "SELECT 1 FROM user WHERE username = ? AND enabled = 'Y'", (str(user),)
        )
        if (
            not known
            or given.get("application_id") != self.application_id
            or given.get("application_key") != self.application_key
        ):
            return _error(self.knobs.wrong_credentials_status, "Unauthorized")
        return self._issue_token(str(user))

    def _issue_token(self, user: str) -> _Answer:
        self._closing.wait(self.knobs.seconds_per_token)
        value = self.knobs.token or secrets.token_hex(16)
        ends = time.time() + self.knobs.token_life_seconds
        if self.knobs.new_token_invalidates_old:
            self.expire_tokens()
        with self._lock:
            ordinal = len(self._tokens) + 1
            self._tokens[value] = _Token(ordinal, ends, user)
        return _json(200, {"token": value, **self._expires(ends)})

    def _expires(self, ends: float) -> dict[str, Any]:
        moment = datetime.fromtimestamp(ends, UTC)
        match self.knobs.expires_format:
            case "iso":
                return {"expires": moment.isoformat().replace("+00:00", "Z")}
            case "iso_naive":
                return {"expires": moment.replace(tzinfo=None).isoformat()}
            case "datetime":
                return {"expires": moment.strftime("%Y-%m-%d %H:%M:%S")}
            case "epoch":
                return {"expires": int(ends)}
            case "garbage":
                return {"expires": "in a while"}
            case "missing":
                return {}

    def _check_token(self, token: str) -> _Answer | None:
        issued = self._tokens.get(token)
        if issued is None:
            status = self.knobs.never_issued_status if token else 401
            return _error(status, "Unauthorized")
        if issued.ends <= time.time():
            return _error(self.knobs.expired_status, "Session expired")
        return None

    def _is_administrator(self, username: str) -> bool:
        return bool(
            self.database.execute(
                "SELECT 1 FROM user WHERE username = ? AND type = 'administrator'", (username,)
            )
        )

    def _ordinal(self, token: str) -> int:
        issued = self._tokens.get(token)
        return issued.ordinal if issued else 0

    # Datasets

    def _dataset_data(self, query: Mapping[str, str]) -> _Answer:
        if not query.get("dataset", "").isdecimal():
            return _error(400, "No dataset")
        dataset = self._datasets.get(int(query["dataset"]))
        if dataset is None:
            return _error(self.knobs.unknown_dataset_status, "Unknown dataset")
        if not self.knobs.dataset_access:
            return _error(403, "Forbidden")
        rows = [*dataset[1], *({"user_id": None} for _ in range(self.knobs.null_rows))]
        if self.knobs.shuffled_rows:
            random.shuffle(rows)
        start = int(query.get("offset", 0))
        limits = [int(query["limit"])] if "limit" in query else []
        if self.knobs.page_limit is not None:
            limits.append(self.knobs.page_limit)
        page = rows[start : start + min(limits)] if limits else rows[start:]
        names = list(rows[0]) if rows else []
        answer = {
            "data": [self._dataset_row(row) for row in page],
            "metadata": [{"name": name, "type": "text"} for name in names],
        }
        if query.get("amount") == "Y":
            answer["amount"] = len(rows)  # type: ignore[assignment]
        return _json(200, answer)

    def _dataset_row(self, row: dict[str, Any]) -> dict[str, Any]:
        how = self.knobs.dataset_ids_as
        return {
            name: str(value)
            if isinstance(value, int) and (how == "string" or (how == "mixed" and value % 2))
            else value
            for name, value in row.items()
        }

    # Users

    def _users(self, method: str, path: str, body: bytes, user_id: int | None) -> _Answer:
        if path == "/api/user" and method == "GET":
            return _json(200, {"users": self._list()})
        if path == "/api/user" and method == "POST":
            return self._create(body)
        if user_id is None:
            return _error(404, "Unknown route")
        rows = self.database.execute("SELECT * FROM user WHERE user_id = ?", (user_id,))
        if method == "GET" and self.knobs.every_look == "there":
            rows = self.database.execute("SELECT * FROM user LIMIT 1")
        if not rows or (method == "GET" and self.knobs.every_look == "gone"):
            return self._nobody(user_id)
        match method:
            case "GET":
                pass
            case "PUT":
                return self._change(user_id, body)
            case "DELETE":
                self._delete(user_id)
                if self.knobs.delete_mode == "error":
                    return _error(200, "User could not be deleted")
                body = b"" if self.knobs.delete_status == 204 else b'{"status":"OK"}'
                return _Answer(self.knobs.delete_status, body)
            case _:
                return _error(405, "Method not allowed")
        return self._one_user(rows[0])

    def _list(self) -> list[dict[str, Any]]:
        rows = [dict(row) for row in self.database.execute("SELECT * FROM user")]
        there = {row["user_id"] for row in rows}
        rows += [
            dict(self._first[number]) for number in self.knobs.stale_list if number not in there
        ]
        shown = [row for row in rows if row["user_id"] not in self.knobs.hidden_users]
        sent = sum(request.method == "DELETE" for request in self.requests)
        limit = self.knobs.list_limit if sent >= self.knobs.list_limit_after else None
        return [self._user(row) for row in shown[:limit]]

    def _nobody(self, user_id: int) -> _Answer:
        match self.knobs.gone_as:
            case "error":
                return _error(self.knobs.unknown_user_status, "User not found")
            case "null_user":
                return _json(200, {"user": None})
            case "empty_list":
                return _json(200, [])
            case "error_200":
                return _error(200, f"There is no user {user_id}")

    def _one_user(self, row: Any) -> _Answer:
        user = self._user(dict(row))
        return _json(200, {"user": user} if self.knobs.wrapped_user else user)

    def _user(self, row: dict[str, Any]) -> dict[str, Any]:
        number = row.pop("user_id")
        user_id = str(number) if self.knobs.user_ids_as == "string" else number
        odd = self.knobs.odd_records.get(number, {})
        user = {self.knobs.user_id_key: user_id, **row, **odd}
        return {
            name: value
            for name, value in user.items()
            if value is not ... and name not in self.knobs.omit_user_fields
        }

    def _create(self, body: bytes) -> _Answer:
        given = json.loads(body)
        values = {name: given[name] for name in _USER_FIELDS if name in given}
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        rows = self.database.execute(
            f"INSERT INTO user ({columns}) VALUES ({marks}) RETURNING *",  # noqa: S608
            tuple(values.values()),
        )
        return self._one_user(rows[0])

    def _change(self, user_id: int, body: bytes) -> _Answer:
        for name, value in json.loads(body).items():
            if name in _USER_FIELDS:
                self.database.execute(
                    f"UPDATE user SET {name} = ? WHERE user_id = ?",  # noqa: S608
                    (value, user_id),
                )
        rows = self.database.execute("SELECT * FROM user WHERE user_id = ?", (user_id,))
        return self._one_user(rows[0])

    def _delete(self, user_id: int) -> None:
        match self.knobs.delete_mode:
            case "synchronous":
                self._closing.wait(self.knobs.seconds_per_delete)
                self.database.execute("DELETE FROM user WHERE user_id = ?", (user_id,))
            case "background":
                self._deletes_under_way[user_id] = time.time() + self.knobs.seconds_per_delete
            case "ignored" | "error":
                self._closing.wait(self.knobs.seconds_per_delete)
        for other in self.knobs.takes_along.get(user_id, ()):
            self.database.execute("DELETE FROM user WHERE user_id = ?", (other,))

    def _finish_background_deletes(self) -> None:
        with self._lock:
            done = [user for user, ends in self._deletes_under_way.items() if ends <= time.time()]
            for user_id in done:
                del self._deletes_under_way[user_id]
                self.database.execute("DELETE FROM user WHERE user_id = ?", (user_id,))


def _json(status: int, body: object, *headers: tuple[str, str]) -> _Answer:
    return _Answer(status, json.dumps(body).encode(), headers=headers)


def _error(status: int, message: str, *headers: tuple[str, str]) -> _Answer:
    return _json(status, {"status": "ERROR", "message": message}, *headers)


def _page(status: int, title: str) -> _Answer:
    return _Answer(status, _PAGE.format(title).encode(), "text/html")


def _user_id(path: str) -> int | None:
    number = path.removeprefix("/api/user/id/").strip("/")
    return int(number) if path.startswith("/api/user/id/") and number.isdecimal() else None


def _server(portal: PortalSimulator, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer, fault = portal.handle(
                self.command, self.path, self.headers.get("token", ""), body
            )
            if answer is None:
                self._cut()
                return
            self.send_response_only(answer.status)
            self.send_header("Date", portal.knobs.date or self.date_time_string())
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Type", answer.content_type)
            if fault is Fault.HUGE_BODY:
                self._send_huge_body()
                return
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if fault is Fault.TRUNCATED_200:
                self.wfile.write(answer.body[: len(answer.body) // 2])
                self._cut()
                return
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815

        def _send_huge_body(self) -> None:
            self.send_header("Content-Length", str(_HUGE))
            self.end_headers()
            self.close_connection = True
            try:
                for _ in range(_HUGE // 2**16):
                    self.wfile.write(b" " * 2**16)
            except OSError:  # the client has closed the connection
                pass

        def _cut(self) -> None:
            """Close the connection with a reset."""
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Print nothing: the portal logs its requests itself."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """Ignore clients that closed the connection: that is not our error."""

    return Server(("127.0.0.1", port), Handler)
