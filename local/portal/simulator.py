"""The portal: its HTTP server, its rules, and the log of its requests."""

import json
import random
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from local.portal.answers import Answer, error_answer, instead, json_answer, page
from local.portal.faults import Fault, FaultPlan
from local.portal.knobs import Knobs
from local.portal.server import http_server
from local.portal.users import Database

_USER_FIELDS = ("username", "first_name", "last_name", "type", "email", "enabled", "ldap")
_FIELDS_WITHOUT_A_DEFAULT = {"first_name": "", "last_name": ""}
# What a record becomes if it is replaced by one without these fields.
_REPLACED = {
    **_FIELDS_WITHOUT_A_DEFAULT,
    "type": "regular",
    "email": "",
    "enabled": "Y",
    "ldap": "N",
}
_POLL_SECONDS = 0.01  # how often it checks whether it should stop: each test waits for that


@dataclass(frozen=True)
class Request:
    """One request to the portal, and the answer.

    `at` is seconds of the monotonic clock, `status` 0 if the connection was cut, `token` the
    ordinal of the token that was sent (0 for none, or one that was never issued), `fault` the
    injected fault. `when` is the portal's time of its arrival, in seconds of the epoch: it jumps.
    `sent` are the fields that a PUT asks for, `told` is the user whom a look shows, if its answer
    arrives as the portal gives it.
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
    when: float = 0
    sent: Mapping[str, Any] | None = None
    told: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class _Token:
    ordinal: int
    ends: float
    user: str


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
        self.clock: Callable[[], float] = time.time  # or the clock of an engine, to jump with it
        self.application_id = "simulated-app"
        self.application_key = "simulated-key"
        self.requests: list[Request] = []
        self.faults = FaultPlan()
        self.database = Database(lambda: self.told(self.now()))
        self.database.fill(users, administrators, seed)
        self._first = {
            row["user_id"]: dict(row) for row in self.database.execute("SELECT * FROM user")
        }
        self.api_user = str(self.database.execute("SELECT username FROM user LIMIT 1")[0][0])
        self._log_file = log_file
        self._tokens: dict[str, _Token] = {}
        self._datasets: dict[int, tuple[str, list[dict[str, Any]]]] = {}
        self._jumped = 0.0
        self._under_way: list[tuple[float, Callable[[], object]]] = []
        self._modified: dict[int, float] = {}
        self._replaced: set[int] = set()
        self._opened = self.now()
        self._going_on: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = http_server(self.handle, self._date, port)
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
        self._finish_background()
        return {row[0] for row in self.database.execute("SELECT user_id FROM user")}

    def now(self) -> float:
        """Return its time in epoch seconds: its clock's, plus every jump."""
        return self.clock() + self._jumped

    def told(self, moment: float) -> float:
        """Return how its clock shows a moment."""
        return moment + self.knobs.clock_ahead_seconds

    def jump(self, seconds: float) -> None:
        """Let time pass at once: tokens expire, and what is in progress in the background ends."""
        self._jumped += seconds

    def edit(self, user_id: int, **fields: Any) -> None:
        """Change a record, as a person or a directory sync does.

        Raises:
            KeyError: nobody has this id.
            sqlite3.Error: there is no such field, or it may not have this value.
        """
        if not self._write(user_id, fields):
            raise KeyError(user_id)

    def remove(self, user_id: int) -> None:
        """Delete a user, as a person does.

        Raises:
            KeyError: nobody has this id.
        """
        sql = "DELETE FROM user WHERE user_id = ? RETURNING user_id"
        if not self.database.execute(sql, (user_id,)):
            raise KeyError(user_id)

    def add(self, **fields: Any) -> int:
        """Create a user, with at least a username, and return the new id.

        Raises:
            sqlite3.Error: a user with this username exists, or a field may not have this value.
        """
        [row] = self._insert({**_FIELDS_WITHOUT_A_DEFAULT, **fields})
        return int(row["user_id"])

    def add_element(
        self, name: str, *, business_owner: int, technical_owner: int | None = None
    ) -> int:
        """Create an element, such as a dashboard, and return its id."""
        [row] = self.database.execute(
            "INSERT INTO element (name, business_owner, technical_owner) VALUES (?, ?, ?)"
            " RETURNING element_id",
            (name, business_owner, technical_owner),
        )
        return int(row["element_id"])

    def hand_over(self, user_id: int, *, to: int) -> None:
        """Give another user all elements that a user owns."""
        for owner in ("business_owner", "technical_owner"):
            sql = f"UPDATE element SET {owner} = ? WHERE {owner} = ?"  # noqa: S608
            self.database.execute(sql, (to, user_id))

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
    ) -> tuple[Answer | None, Fault | None]:
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
            when=self.now(),
            sent=_fields(body) if method == "PUT" else None,
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
        is_look = method == "GET" and user_id is not None and fault is None
        told = _user_in(answer) if answer and is_look else None
        self._log(request, position, status=answer.status if answer else 0, told=told)
        if answer and answer.status >= 300 and self.knobs.retry_after is not None:
            given = ("Retry-After", self.knobs.retry_after)
            others = [item for item in answer.headers if item[0] != given[0]]
            answer = replace(answer, headers=(*others, given))
        return answer, fault

    def _log(
        self, request: Request, position: int, *, status: int, told: Mapping[str, Any] | None
    ) -> None:
        """Complete a request's entry, which is in the log since the request arrived."""
        seconds = time.monotonic() - request.at
        complete = replace(request, status=status, seconds=seconds, told=told)
        with self._lock:
            if self.requests[position : position + 1] == [request]:  # or the log was cleared
                self.requests[position] = complete
            if self._log_file:
                with self._log_file.open("a", encoding="utf-8") as log:
                    log.write(json.dumps(asdict(complete)) + "\n")

    def _with_fault(self, fault: Fault | None, proper: Callable[[], Answer]) -> Answer:
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
                return page(504, "Gateway Time-out")
            case Fault.TIMEOUT_504_MEANWHILE:
                thread = threading.Thread(target=proper)
                self._going_on.append(thread)
                thread.start()
                return page(504, "Gateway Time-out")
            case _:
                return instead(
                    fault, self.knobs, elsewhere=f"{self.url}/elsewhere", now=self.told(self.now())
                )

    def _route(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        token: str,
        body: bytes,
        user_id: int | None,
    ) -> Answer:
        if self.knobs.portal_is_down:
            return page(502, "Bad Gateway")
        self._finish_background()
        if path == "/api/get_token":
            return self._get_token(method, token, body)
        if refusal := self._check_token(token):
            return refusal
        if path == "/api/dataset_data" and method == "GET":
            return self._dataset_data(query)
        if path == "/api/user" or path.startswith("/api/user/"):
            if not self.knobs.user_management:
                return error_answer(401, "External Application has no User Management Access")
            if not self._is_administrator(self._tokens[token].user):
                return error_answer(self.knobs.not_administrator_status, "Forbidden")
            return self._users(method, path, body, user_id)
        return error_answer(404, "Unknown route")

    def _date(self) -> str:
        return self.knobs.date or formatdate(self.told(self.now()), usegmt=True)

    # Tokens

    def _get_token(self, method: str, token: str, body: bytes) -> Answer:
        if method == "GET":
            if not token:  # verified: a 200 with an empty list
                return json_answer(200, [])
            return self._check_token(token) or self._issue_token(self._tokens[token].user)
        if method != "POST":
            return error_answer(405, "Method not allowed")
        try:
            given = json.loads(body)
        except ValueError:
            return error_answer(400, "Bad request")
        user = given.get("user") if isinstance(given, dict) else None
        known = user and self.database.execute(
            "SELECT 1 FROM user WHERE username = ? AND enabled = 'Y'", (str(user),)
        )
        if (
            not known
            or given.get("application_id") != self.application_id
            or given.get("application_key") != self.application_key
        ):
            return error_answer(self.knobs.wrong_credentials_status, "Unauthorized")
        return self._issue_token(str(user))

    def _issue_token(self, user: str) -> Answer:
        self._closing.wait(self.knobs.seconds_per_token)
        value = secrets.token_hex(16) if self.knobs.token is None else self.knobs.token
        ends = self.now() + self.knobs.token_life_seconds
        if self.knobs.new_token_invalidates_old:
            self.expire_tokens()
        with self._lock:
            ordinal = len(self._tokens) + 1
            self._tokens[str(value)] = _Token(ordinal, ends, user)
        token = {} if value is ... else {"token": value}
        return json_answer(200, {**token, **self._expires(self.told(ends))})

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

    def _check_token(self, token: str) -> Answer | None:
        issued = self._tokens.get(token)
        if issued is None:
            status = self.knobs.never_issued_status if token else 401
            return error_answer(status, "Unauthorized")
        if issued.ends <= self.now():
            return error_answer(self.knobs.expired_status, "Session expired")
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

    def _dataset_data(self, query: Mapping[str, str]) -> Answer:
        if not query.get("dataset", "").isdecimal():
            return error_answer(400, "No dataset")
        dataset = self._datasets.get(int(query["dataset"]))
        if dataset is None:
            return error_answer(self.knobs.unknown_dataset_status, "Unknown dataset")
        if self.knobs.dataset_busy:
            return error_answer(self.knobs.dataset_busy, "Busy")
        if not self.knobs.dataset_access:
            return error_answer(403, "Forbidden")
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
            amount = len(rows)
            as_text = self.knobs.dataset_ids_as == "string"
            answer["amount"] = str(amount) if as_text else amount  # type: ignore[assignment]
        return json_answer(200, answer)

    def _dataset_row(self, row: dict[str, Any]) -> dict[str, Any]:
        how = self.knobs.dataset_ids_as
        return {
            name: str(value)
            if isinstance(value, int) and (how == "string" or (how == "mixed" and value % 2))
            else value
            for name, value in row.items()
        }

    # Users

    def _users(self, method: str, path: str, body: bytes, user_id: int | None) -> Answer:
        if path == "/api/user" and method == "GET":
            return json_answer(200, {"users": self._list()})
        if path == "/api/user" and method == "POST":
            return self._create(body)
        if user_id is None:
            return error_answer(404, "Unknown route")
        rows = self.database.execute("SELECT * FROM user WHERE user_id = ?", (user_id,))
        if method == "GET" and self.knobs.every_look == "there":
            rows = self.database.execute("SELECT * FROM user LIMIT 1")
        if not rows or (method == "GET" and self.knobs.every_look == "gone"):
            return self._nobody(user_id)
        match method:
            case "GET":
                pass
            case "PUT":
                return self._change(user_id, body, rows[0]["ldap"])
            case "DELETE":
                self._delete(user_id)
                if self.knobs.delete_mode == "error":
                    return error_answer(200, "User could not be deleted")
                body = b"" if self.knobs.delete_status == 204 else b'{"status":"OK"}'
                return Answer(self.knobs.delete_status, body)
            case _:
                return error_answer(405, "Method not allowed")
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

    def _nobody(self, user_id: int) -> Answer:
        match self.knobs.gone_as:
            case "error":
                return error_answer(self.knobs.unknown_user_status, "User not found")
            case "null_user":
                return json_answer(200, {"user": None})
            case "empty_list":
                return json_answer(200, [])
            case "error_200":
                return error_answer(200, f"There is no user {user_id}")

    def _one_user(self, row: Any) -> Answer:
        user = self._looked_at(dict(row))
        return json_answer(200, {"user": user} if self.knobs.wrapped_user else user)

    def _looked_at(self, row: dict[str, Any]) -> dict[str, Any]:
        extra = self.knobs.extra_fields
        if row["user_id"] in self._replaced:
            extra = {name: value and type(value)() for name, value in extra.items()}
        return self._user({**row, **extra})

    def _user(self, row: dict[str, Any]) -> dict[str, Any]:
        number = row.pop("user_id")
        user_id = str(number) if self.knobs.user_ids_as == "string" else number
        odd = self.knobs.odd_records.get(number, {})
        user = {self.knobs.user_id_key: user_id, **row}
        if self.knobs.touches_records:
            modified = self.told(self._modified.get(number, self._opened))
            user["last_modified"] = datetime.fromtimestamp(modified, UTC).isoformat()
        user |= odd
        return {
            name: value
            for name, value in user.items()
            if value is not ... and name not in self.knobs.omit_user_fields
        }

    def _create(self, body: bytes) -> Answer:
        given = _fields(body)
        if given is None:
            return error_answer(400, "Bad request")
        try:
            [row] = self._insert(given)
        except sqlite3.Error:
            return error_answer(400, "Bad request")
        return self._one_user(row)

    def _insert(self, values: Mapping[str, Any]) -> list[sqlite3.Row]:
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        return self.database.execute(
            f"INSERT INTO user ({columns}) VALUES ({marks}) RETURNING *",  # noqa: S608
            tuple(values.values()),
        )

    def _change(self, user_id: int, body: bytes, ldap: str) -> Answer:
        fields = _fields(body)
        if fields is None:
            return error_answer(400, "Bad request")
        if self.knobs.put_refused_for_ldap and ldap == "Y":
            return error_answer(403, "This user is managed by the directory")
        seconds, mode = self.knobs.seconds_per_put, self.knobs.put_mode
        if mode == "background":
            self._later(seconds, lambda: self._write(user_id, fields))
        else:
            self._closing.wait(seconds)
        try:
            match mode:
                case "synchronous":
                    self._write(user_id, fields)
                case "replaces":
                    self._write(user_id, {**_REPLACED, **fields})
                    self._replaced.add(user_id)
                case "error":
                    return error_answer(200, "User could not be changed")
        except sqlite3.IntegrityError:
            return error_answer(400, "Bad request")
        rows = self.database.execute("SELECT * FROM user WHERE user_id = ?", (user_id,))
        if not rows:  # deleted in the meantime
            return self._nobody(user_id)
        match self.knobs.put_answer:
            case "user":
                return json_answer(200, {"user": self._looked_at(dict(rows[0]))})
            case "bare":
                return json_answer(200, self._looked_at(dict(rows[0])))
            case "no_content":
                return Answer(204)

    def _write(self, user_id: int, values: Mapping[str, Any]) -> list[sqlite3.Row]:
        if not values:
            return self.database.execute("SELECT * FROM user WHERE user_id = ?", (user_id,))
        changes = ", ".join(f"{name} = ?" for name in values)
        self._modified[user_id] = self.now()
        return self.database.execute(
            f"UPDATE user SET {changes} WHERE user_id = ? RETURNING *",  # noqa: S608
            (*values.values(), user_id),
        )

    def _delete(self, user_id: int) -> None:
        seconds = self.knobs.seconds_per_delete
        match self.knobs.delete_mode:
            case "synchronous":
                self._closing.wait(seconds)
                self._erase(user_id)
            case "background":
                self._later(seconds, lambda: self._erase(user_id))
            case "ignored" | "error":
                self._closing.wait(seconds)
        for other in self.knobs.takes_along.get(user_id, ()):
            self._erase(other)

    def _erase(self, user_id: int) -> None:
        self.database.execute("DELETE FROM user WHERE user_id = ?", (user_id,))

    def _later(self, seconds: float, effect: Callable[[], object]) -> None:
        with self._lock:
            self._under_way.append((self.now() + seconds, effect))

    def _finish_background(self) -> None:
        with self._lock:
            now = self.now()
            done = [effect for ends, effect in self._under_way if ends <= now]
            self._under_way = [item for item in self._under_way if item[0] > now]
            for effect in done:
                with suppress(sqlite3.IntegrityError):  # nobody is left to tell
                    effect()


def _fields(body: bytes) -> dict[str, Any] | None:
    """Return the known fields that a body holds, or nothing if it is malformed."""
    try:
        given = json.loads(body)
    except ValueError:
        return None
    if not isinstance(given, dict):
        return None
    fields = {name: given[name] for name in _USER_FIELDS if name in given}
    return None if any(isinstance(value, list | dict) for value in fields.values()) else fields


def _user_id(path: str) -> int | None:
    number = path.removeprefix("/api/user/id/").strip("/")
    return int(number) if path.startswith("/api/user/id/") and number.isdecimal() else None


def _user_in(answer: Answer) -> Mapping[str, Any] | None:
    """Return the user that an answer to a look holds, if it holds one."""
    if answer.status != 200:
        return None
    body = json.loads(answer.body)
    user = body.get("user", body) if isinstance(body, dict) else None
    return user if isinstance(user, dict) and "username" in user else None
