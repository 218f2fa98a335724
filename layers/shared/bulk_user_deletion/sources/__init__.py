"""From a source's raw content to `Entry`s. Malformed content is refused whole, with its line."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.sources.csv_file import entries_from_csv
from bulk_user_deletion.sources.hints import Hint, Hints
from bulk_user_deletion.sources.json_file import entries_from_json
from bulk_user_deletion.sources.mentions import Mentions as Mentions
from bulk_user_deletion.sources.text import MOST_ENTRIES as MOST_ENTRIES
from bulk_user_deletion.sources.text import decoded
from bulk_user_deletion.sources.values import read_bare, read_user_id

LARGEST_FILE = 50 * 2**20

_ZIP = b"PK\x03\x04"
# Brackets may also start column names: `[user_id],[username]`.
_JSON = re.compile(r"\s*(?:\{|\[\s*(?:$|[\[{\]\"0-9.\-]|true\b|false\b|null\b|NaN\b|Infinity\b))")


@dataclass(frozen=True, slots=True)
class Reading:
    """The content of a file: whom it names, and what its other columns hint at.

    `mentions` are the values of its other columns that may be names, if requested.
    """

    entries: list[Entry]
    hints: tuple[Hint, ...] = ()
    mentions: Collection[str] = ()


def entries_from_list(users: Sequence[str]) -> list[Entry]:
    """Read a request's list: each an id, a username or an e-mail.

    Raises:
        RequestRefused: naming the position, from 1.
    """
    return [
        Entry(line=position, bare=read_bare(user, f"source.users, entry {position}"))
        for position, user in enumerate(users, start=1)
    ]


def entries_from_dataset(rows: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """Read a dataset's rows: the column `user_id` says who.

    Raises:
        RequestRefused: naming the row, from 1.
    """
    entries = []
    for position, row in enumerate(rows, start=1):
        if "user_id" not in row:
            raise RequestRefused(
                f"Row {position} of the dataset has no column user_id. Add it to its query."
            )
        value = row["user_id"]
        where = f"row {position} of the dataset"
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise RequestRefused(f"The user_id in {where} is empty or not a number.")
        entries.append(Entry(line=position, user_id=read_user_id(str(value), where)))
    return entries


def entries_from_file(content: bytes) -> list[Entry]:
    """Read whom a file names.

    Raises:
        RequestRefused: naming the line or the entry.
    """
    return read_file(content).entries


def read_file(content: bytes, mentions: Mentions | None = None) -> Reading:
    """Read a workbook, JSON or JSON Lines if it starts like one, whatever its name; else CSV.

    One entry is read at a time; only the entries, and what `mentions` keeps, stay in memory.

    Raises:
        RequestRefused: naming the line or the entry.
    """
    hints = Hints(mentions)
    entries: list[Entry] = []
    for entry in _entries(content, hints):
        if len(entries) == MOST_ENTRIES:
            raise RequestRefused(f"The file has over {MOST_ENTRIES} entries. Send it in parts.")
        entries.append(entry)
    return Reading(entries, hints.found(), mentions.values if mentions else ())


def _entries(content: bytes, hints: Hints) -> Iterator[Entry]:
    if content.startswith(_ZIP):
        # Imported here because few files are workbooks.
        from bulk_user_deletion.sources.workbook import entries_from_workbook

        return entries_from_workbook(content, hints)
    text = decoded(content)
    return entries_from_json(text, hints) if _JSON.match(text) else entries_from_csv(text, hints)
