"""Reads a list of leavers locally, in the same way as a dropped file."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.models.runs import RunStatus
from bulk_user_deletion.rules.planning import EMPTY
from bulk_user_deletion.rules.reporting import sentence
from bulk_user_deletion.sources import LARGEST_FILE, Reading, read_file
from bulk_user_deletion.sources.hints import doubts

# The fields that may name an entry's user, and how they are called in the output.
COLUMNS = {
    "user_id": "user_id",
    "username": "username",
    "email": "email",
    "bare": "id, username or e-mail",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """The content of a file: whom it names, or the `refusal` that a drop would be answered with.

    `doubts` refuse an unattended run; `notes` are for information only.
    """

    file: str
    refusal: str = ""
    entries: list[Entry] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def by(self) -> dict[str, int]:
        """Count the entries by the fields that name their users."""
        found: Counter[str] = Counter()
        for entry in self.entries:
            found[" and ".join(named_by(entry).values())] += 1
        return dict(found)

    def as_json(self) -> dict[str, Any]:
        """Return everything as one JSON document."""
        return {
            "file": self.file,
            "refused": self.refusal or None,
            "by": self.by,
            "entries": [
                {"line": entry.line, **{name: getattr(entry, name) for name in named_by(entry)}}
                for entry in self.entries
            ],
            "doubts": self.doubts,
            "notes": self.notes,
        }


def named_by(entry: Entry) -> dict[str, str]:
    """Return the names of the fields of an entry that are filled."""
    return {name: called for name, called in COLUMNS.items() if getattr(entry, name)}


def check(path: Path, *, today: date) -> Checked:
    """Read a file; the reason that would refuse a drop of it becomes its `refusal`."""
    try:
        reading = _read(path)
    except RequestRefused as refusal:
        return Checked(
            path.name, sentence(RunStatus.REFUSED, {}, action=Action.DELETE, why=str(refusal))
        )
    against, to_know = doubts(reading.hints, today=today)
    return Checked(path.name, entries=reading.entries, doubts=against, notes=to_know)


def _read(path: Path) -> Reading:
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise RequestRefused(f"{path.name} has {size} bytes, and {LARGEST_FILE} are allowed.")
    reading = read_file(path.read_bytes())
    if not reading.entries:
        raise RequestRefused(EMPTY)
    return reading
