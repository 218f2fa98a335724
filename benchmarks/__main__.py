"""`python -m benchmarks [PART …]`."""

import platform
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
from rich.console import Console

from benchmarks import (
    cold_start,
    cost,
    disabling,
    limit,
    planning,
    preview,
    rosters,
    scale,
    vendor,
    watch,
)
from benchmarks.application import PROJECT
from benchmarks.figures import Figure, save, show
from local.engine.packaging import load_template

PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "cold_start": cold_start.run,
    "cost": cost.run,
    "planning": planning.run,
    "rosters": rosters.run,
    "watch": watch.run,
    "scale": scale.run,
    "disabling": disabling.run,
    "preview": preview.run,
    "limit": limit.run,
    "vendor": vendor.run,
}
# Parts that mostly wait for the portal run at the same time.
_TOGETHER = {"limit", "vendor"}


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

    A quarter of an hour for all on a quiet machine of two cores.
    The exit status is 1 when a figure misses its target.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    deployed = load_template(PROJECT / "template.yaml")["Globals"]["Function"]["Runtime"]
    if deployed != f"python{sys.version_info.major}.{sys.version_info.minor}":
        console.print(
            f"This is Python {platform.python_version()}, and {deployed} is deployed: times and"
            " memory differ. make clean, then make bench PYTHON=… measures with another one."
        )
    figures: list[Figure] = []
    took: dict[str, float] = {}
    wanted = parts or tuple(PARTS)
    alone = [(part,) for part in wanted if part not in _TOGETHER]
    together = tuple(part for part in wanted if part in _TOGETHER)
    for group in filter(None, [*alone, together]):
        name = " and ".join(group)
        console.print(f"{name} …")
        started = time.monotonic()
        with ThreadPoolExecutor(len(group)) as pool:
            for measured in pool.map(lambda part: list(PARTS[part]()), group):
                figures += measured
        took[name] = round(time.monotonic() - started, 1)
        save(figures, out, python=platform.python_version(), seconds=took)
    show(figures, console, title=f"Benchmarks on Python {platform.python_version()}")
    console.print(f"Figures: {out}")
    raise SystemExit(any(figure.reached is False for figure in figures))


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
