"""`python -m benchmarks [PART …]`."""

import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console

from benchmarks import cold_start, cost, limit, planning, scale, vendor
from benchmarks.figures import Figure, save, show

PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "cold_start": cold_start.run,
    "cost": cost.run,
    "planning": planning.run,
    "limit": limit.run,
    "vendor": vendor.run,
    "scale": scale.run,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("out/bench/figures.json"),
    show_default=True,
    help="Where the figures are written as JSON.",
)
def main(parts: tuple[str, ...], out: Path) -> None:
    """Measure what is promised about time, cost and size; all PARTS unless some are named.

    The exit status is 1 when a figure misses its target.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    figures: list[Figure] = []
    took: dict[str, float] = {}
    for part in parts or PARTS:
        started = time.monotonic()
        console.print(f"{part} …")
        figures += PARTS[part]()
        took[part] = round(time.monotonic() - started, 1)
        save(figures, out, python=platform.python_version(), seconds=took)
    show(figures, console)
    console.print(f"Figures: {out}")
    raise SystemExit(any(figure.reached is False for figure in figures))


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
