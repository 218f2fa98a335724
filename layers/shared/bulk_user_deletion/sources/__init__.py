"""From a source's raw content to `Entry`s. Malformed content is refused whole, with its line."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models import Entry
from bulk_user_deletion.sources.columns import read_bare, read_user_id
from bulk_user_deletion.sources.csv_file import entries_from_csv
from bulk_user_deletion.sources.json_file import entries_from_json
from bulk_user_deletion.sources.text import decoded

LARGEST_FILE = 50 * 2**20
MOST_ENTRIES = 100_000


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
    """Read a file: JSON or JSON Lines when it begins with a bracket, whatever its name; else CSV.

    No user id, username or e-mail address begins with a bracket. One entry is read at a time, and
    nothing of the file is kept but the entries.

    Raises:
        RequestRefused: naming the line or the entry.
    """
    text = decoded(content)
    is_json = re.match(r"\s*[\[{]", text)
    entries: list[Entry] = []
    for entry in (entries_from_json if is_json else entries_from_csv)(text):
        if len(entries) == MOST_ENTRIES:
            raise RequestRefused(f"The file has over {MOST_ENTRIES} entries. Send it in parts.")
        entries.append(entry)
    return entries
