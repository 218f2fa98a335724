"""The portal's tables, in SQLite: its users, and the elements that they own."""

import random
import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

_FIRST_ID = 101
_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gia", "Hal", "Ida", "Jon")
_SURNAMES = ("Amber", "Birch", "Cedar", "Dune", "Ember", "Fjord", "Grove", "Heath", "Isle")

# No type for `enabled`: the portal keeps it as it was sent.
_TABLE = """
CREATE TABLE user (
    user_id INTEGER PRIMARY KEY AUTOINCREMENT,
    username TEXT NOT NULL COLLATE NOCASE UNIQUE,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    type TEXT NOT NULL DEFAULT 'regular',
    email TEXT COLLATE NOCASE,
    enabled DEFAULT 'Y',
    ldap TEXT NOT NULL DEFAULT 'N'
)
"""


# A dashboard, a metric, a dataset: each has a business owner, and perhaps a technical one.
_ELEMENTS = """
CREATE TABLE element (
    element_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    business_owner INTEGER NOT NULL,
    technical_owner INTEGER
)
"""


class Database:
    """One SQLite connection that any thread may use.

    Its SQL has two functions of MySQL's: `CONCAT`, and `UTC_TIMESTAMP()` for the portal's time.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._connection = sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None
        )
        self._connection.row_factory = sqlite3.Row
        self._lock = threading.Lock()
        self._connection.create_function(
            "UTC_TIMESTAMP",
            0,
            lambda: datetime.fromtimestamp(now(), UTC).strftime("%Y-%m-%d %H:%M:%S"),
        )
        self._connection.create_function("CONCAT", -1, lambda *parts: "".join(map(str, parts)))
        self.execute(_TABLE)
        self.execute(_ELEMENTS)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Execute one statement and return its rows."""
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def fill(self, users: int, administrators: int, seed: int) -> None:
        """Insert `users` invented users, with ids from 101; the first ones are administrators."""
        chance = random.Random(seed)  # noqa: S311
        rows = [
            (
                number,
                f"user{number:04}",
                chance.choice(_NAMES),
                chance.choice(_SURNAMES),
                "administrator"
                if number < _FIRST_ID + administrators
                else chance.choice(("regular", "regular", "regular", "power")),
                f"user{number:04}@example.com",
                chance.choice("YYYN"),
                chance.choice("YN"),
            )
            for number in range(_FIRST_ID, _FIRST_ID + users)
        ]
        with self._lock:
            self._connection.executemany("INSERT INTO user VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Close the database, which deletes everything."""
        with self._lock:
            self._connection.close()
