"""Reads the tables of docs/input.md, which its tests run."""

import json
import re
from pathlib import Path
from typing import Any

from bulk_user_deletion.models.plans import Entry

PAGE = (Path(__file__).parents[1] / "docs/input.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[tuple[str, ...]]:
    """The cells of the table below a heading, without the table's own header."""
    section = re.split(r"^#+ ", PAGE.split(f"# {heading}\n", 1)[1], flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines[2:]]


def code(cell: str) -> str:
    """The text between the backticks of a cell."""
    found = re.fullmatch("`+ ?(.*?) ?`+", cell)
    assert found, cell
    return found[1]


def content(cell: str) -> bytes:
    """The bytes that a cell shows, with `\\n`, `\\t` and `\\xff` as Python has them."""
    shown = code(cell)
    escaped = shown.encode("utf-8").decode("latin-1")
    return escaped.encode("latin-1").decode("unicode_escape").encode("latin-1")


def request(cell: str) -> Any:
    """The JSON document that a cell shows."""
    return json.loads(code(cell))


def shown(entries: list[Entry]) -> str:
    """Entries in the table's form: the line, and what names the user."""
    return "; ".join(
        f"{entry.line}: "
        + " ".join(
            f"{name} {value}"
            for name in ("user_id", "username", "email", "bare")
            if (value := getattr(entry, name))
        )
        for entry in entries
    )
