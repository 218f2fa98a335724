"""`make explore`: every pair, as far as the time allows, with a table of what was explored."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator

import click

from tests.interleavings.explorer import Bounds, Found, Schedule, at_random, within
from tests.interleavings.judge import RULES
from tests.interleavings.pairs import PAIRS, Exploration, exploring

_MOST_FOUND = 3


def main() -> int:
    """Explore each pair, print what was found; return 1 if a rule was broken."""
    parser = argparse.ArgumentParser(prog="make explore", description=__doc__)
    parser.add_argument("--seconds", type=float, default=90, help="processor time for each pair")
    parser.add_argument("--seed", type=int, default=0, help="of the random schedules")
    given = parser.parse_args()
    checked: Counter[str] = Counter()
    schedules, seconds, is_broken = 0, 0.0, False
    click.echo(f"{'pair':56}{'<= 2 switches':>14}{'1 and a strike':>15}{'random':>8}{'s':>6}")
    for pair in PAIRS.values():
        started = time.process_time()
        with exploring(pair) as exploration:
            parts = []
            found: list[Found] = []
            for part, schedule, broken in _parts(exploration, given.seconds, given.seed):
                parts.append(part)
                if broken and len(found) < _MOST_FOUND:
                    found.append(Found(schedule, broken, exploration.run(schedule)[0]))
            took = time.process_time() - started
            click.echo(f"{pair.name:56}{_counts(parts)}{took:6.0f}")
            for one in found:
                click.echo(one.describe(exploration.actors))
        checked += exploration.checked
        schedules += exploration.schedules
        seconds += took
        is_broken = is_broken or bool(found)
    click.echo(f"\n{schedules} schedules in {seconds:.0f} s of processor time")
    for rule in RULES:
        click.echo(f"{checked[rule]:12,}  {rule}")
    return int(is_broken)


_PARTS = ("all", "struck", "random")


def _parts(
    exploration: Exploration, seconds: float, seed: int
) -> Iterator[tuple[str, Schedule, list[str]]]:
    """Yield schedules of all three parts, each for up to a third of the time."""
    actors = len(exploration.actors)
    parts = (
        within(exploration.run, actors, Bounds(switches=2)),
        within(exploration.run, actors, Bounds(switches=1, strikes=1)),
        at_random(exploration.run, actors, seed=seed, depth=3, strikes=2),
    )
    started = time.process_time()
    for number, (name, part) in enumerate(zip(_PARTS, parts, strict=True), start=1):
        for schedule, broken in part:
            yield name, schedule, broken
            if time.process_time() - started > seconds * number / len(parts):
                yield f"{name} cut", schedule, []
                break


def _counts(parts: list[str]) -> str:
    """Return how many schedules each part had; a `+` says that there were more."""
    number = Counter(parts)
    widths = (14, 15, 8)
    return "".join(
        f"{number[name]}{'+' if number[f'{name} cut'] and name != 'random' else ''}".rjust(width)
        for name, width in zip(_PARTS, widths, strict=True)
    )


if __name__ == "__main__":
    sys.exit(main())
