"""What a year showed: the months, what was kept in each, and the figures that must be 0."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table


@dataclass(frozen=True)
class Bound:
    """How much there was of something at the end of a month, and how much there may be."""

    what: str
    found: int
    most: int
    why: str


@dataclass
class Month:
    """What happened in a month, and how much was kept at its end."""

    name: str
    happened: Counter[str] = field(default_factory=Counter)
    kept: list[Bound] = field(default_factory=list)
    rows: int = 0
    versions: int = 0


@dataclass
class YearFindings:
    """What the year shows."""

    months: Sequence[Month]
    wrong: Mapping[str, int]  # what must be 0
    figures: Mapping[str, str]

    def zeros(self) -> dict[str, int]:
        """Return the figures that must be 0."""
        over = {bound.what for month in self.months for bound in month.kept if _is_over(bound)}
        return {**self.wrong, "kept beyond its bound": len(over)}

    def table(self) -> Table:
        """Return the year by month, and the zeros."""
        happened = list(dict.fromkeys(name for month in self.months for name in month.happened))
        table = Table(title="A year")
        table.add_column("")
        for name in (*happened, "rows", "versions"):
            table.add_column(name, justify="right")
        for month in self.months:
            counts = [month.happened[name] for name in happened]
            table.add_row(month.name, *map(str, [*counts, month.rows, month.versions]))
        totals = [sum(month.happened[name] for month in self.months) for name in happened]
        table.add_section()
        table.add_row("all", *map(str, totals))
        return table

    def bounds(self) -> Table:
        """Return what was kept, at its most and at the end, and what bounds it."""
        table = Table(title="What is kept")
        for name in ("", "most", "allowed then", "at the end", "allowed then", "why"):
            table.add_column(name, justify="left" if name in {"", "why"} else "right")
        for last in self.months[-1].kept:
            every = [one for month in self.months for one in month.kept if one.what == last.what]
            fullest = max(every, key=lambda one: one.found / max(one.most, 1))
            counts = (fullest.found, fullest.most, last.found, last.most)
            table.add_row(last.what, *map(str, counts), last.why)
        return table

    def ending(self) -> Table:
        """Return the figures, and the zeros."""
        table = Table(show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for part in (self.figures, self.zeros()):
            for name, value in part.items():
                table.add_row(name, str(value))
            table.add_section()
        return table


def _is_over(bound: Bound) -> bool:
    return bound.found > bound.most
