"""The figures: the target, the measured value, and whether the target is met."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; without a target it only gives context for the others.

    `how` is `measured`, or `modelled` for values that an emulator cannot show.
    """

    part: str
    what: str
    value: float
    unit: str = ""
    target: float | None = None
    at_most: bool = True
    how: Literal["measured", "modelled"] = "measured"

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    @property
    def wanted(self) -> str:
        """The target, in words."""
        if self.target is None:
            return ""
        return f"{'≤' if self.at_most else '≥'} {self.target:g} {self.unit}".strip()


def show(figures: Iterable[Figure], console: Console, *, title: str) -> None:
    """Print the figures as a table."""
    table = Table("part", "what", "figure", "wanted", "reached", "how", title=title)
    for figure in figures:
        reached = {True: "yes", False: "NO", None: ""}[figure.reached]
        value = f"{figure.value:.4g} {figure.unit}".strip()
        table.add_row(figure.part, figure.what, value, figure.wanted, reached, figure.how)
    console.print(table)


def save(figures: Iterable[Figure], path: Path, **about: Any) -> None:
    """Write the figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(figure), "reached": figure.reached} for figure in figures]
    path.write_text(json.dumps({**about, "figures": rows}, indent=2) + "\n", encoding="utf-8")
