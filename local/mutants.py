"""`python -m local.mutants`: changes the code at random, and shows which test notices.

A mutant is the code with one small change, such as `<` for `<=`. The tests of `make unit` are
measured once: which lines each runs, and how long it takes. For each mutant those run that reach
the changed line, the nearest and fastest first; if all of them pass, so must the rest. All of it
happens in a copy of the tree.
"""

import ast
import copy
import itertools
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import coverage
import hypothesis
import pytest

# Imported here, so that the fork for each mutant has them: they take longer than most tests.
for _name in ("boto3", "moto", "moto.dynamodb.models", "moto.s3.models", "openpyxl", "requests"):
    __import__(_name)

PROJECT = Path(__file__).resolve().parents[1]
LAYER = Path("layers/shared/bulk_user_deletion")
SCOPE = ("rules/*.py", "steps/*.py", "ledger/*.py", "sources/*.py", "portal.py", "request.py")
GOAL_PERCENT = 95
_AROUND = 30  # characters
_NOTHING, _NONE = _STATEMENTS = ("pass", "return None")

_LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "out", "__pycache__", ".*_cache", ".local")
_NO_CODE = {"annotation", "returns", "decorator_list", "cause"}
_OTHER: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.LShift: ast.RShift,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change to the text of one module."""

    module: str
    line: int
    before: str
    after: str
    start: int
    end: int

    def of(self, text: bytes) -> bytes:
        """Return the changed text of the module."""
        after = self.after if self.after in _STATEMENTS else f"({self.after})"
        return text[: self.start] + after.encode() + text[self.end :]

    def __str__(self) -> str:
        """Where it is, and what differs."""
        pairs = enumerate(zip(self.before, self.after, strict=False))
        start = max(next((at for at, (old, new) in pairs if old != new), 0) - _AROUND, 0)
        before, after = (text[start : start + 3 * _AROUND] for text in (self.before, self.after))
        return f"{self.module}:{self.line}  {before} → {after}"


def mutants_of(module: str, text: bytes) -> Iterator[Mutant]:
    """Yield every mutant of a module. Messages, docstrings, types and decorators stay."""
    starts = [0, *itertools.accumulate(map(len, text.splitlines(keepends=True)))]
    for node, instead in _changes(ast.parse(text)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        yield Mutant(module, node.lineno, ast.unparse(node), instead, start, end)


def _changes(node: ast.AST) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    """Yield what to replace in a tree, and by what."""
    match node:
        case ast.JoinedStr():
            return
        case ast.Raise():
            yield node, _NOTHING
            return
        case ast.Expr(ast.Constant()):
            return
        case ast.Expr() | ast.AugAssign() | ast.Continue():
            yield node, _NOTHING
        case ast.Assign([ast.Attribute() | ast.Subscript()]):
            yield node, _NOTHING
        case ast.Return(value) if value and ast.unparse(value) != "None":
            yield node, _NONE
        case ast.Compare(_, [op], _) if type(op) in _OTHER:
            yield node, _with(node, ops=[_OTHER[type(op)]()])
        case ast.BoolOp(op, values):
            yield node, _with(node, op=_OTHER[type(op)]())
            for left_out in values:
                yield node, _with(node, values=[each for each in values if each is not left_out])
        case ast.BinOp(_, op, _) if type(op) in _OTHER:
            yield node, _with(node, op=_OTHER[type(op)]())
        case ast.UnaryOp(ast.Not(), operand):
            yield node, ast.unparse(operand)
        case ast.Constant(bool(value)):
            yield node, str(not value)
        case ast.Constant(int(value)):
            yield from ((node, str(value + by)) for by in (1, -1))
        case ast.Call(_, _, keywords):
            for keyword in keywords:
                if keyword.arg and keyword.arg != "strict":
                    rest = [each for each in keywords if each is not keyword]
                    yield node, _with(node, keywords=rest)
        case ast.If(test) | ast.IfExp(test):
            yield from ((test, value) for value in ("True", "False"))
        case ast.comprehension(_, _, tests):
            yield from ((test, "True") for test in tests)
        case ast.match_case(_, ast.expr() as guard):
            yield guard, "True"
    for name, value in ast.iter_fields(node):
        if name not in _NO_CODE:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _changes(child)


def _with(node: ast.expr, **fields: object) -> str:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return ast.unparse(changed)


def sample(seed: int, number: int) -> list[Mutant]:
    """Draw mutants. Each has its own lot, so that others are drawn only where the code changed."""
    drawn: list[tuple[bytes, Mutant]] = []
    for path in sorted(itertools.chain.from_iterable(map((PROJECT / LAYER).glob, SCOPE))):
        module, same = str(path.relative_to(PROJECT / LAYER)), Counter[str]()
        for mutant in mutants_of(module, path.read_bytes()):
            change = f"{mutant.before} → {mutant.after}"
            same[change] += 1
            lot = f"{seed} {module} {change} {same[change]}"
            drawn.append((sha256(lot.encode()).digest(), mutant))
    drawn.sort(key=lambda lot: lot[0])
    return sorted((each for _, each in drawn[:number]), key=lambda each: (each.module, each.line))


@dataclass(frozen=True)
class Measured:
    """How long each test takes, in seconds, and which tests run each line of each module."""

    seconds: dict[str, float]
    reach: dict[str, dict[int, list[str]]]

    def rounds_for(self, mutant: Mutant) -> Iterator[list[str]]:
        """Yield all tests in the order to run them: the nearest, others that get there, the rest.

        A line that runs when its module is imported is reached by all that run any of the module.
        """
        lines = self.reach.get(mutant.module, {})
        found = {name for name in lines.get(mutant.line, []) if name}
        if not found:
            found = {name for names in lines.values() for name in names if name}
        stem = Path(mutant.module.removesuffix("/__init__.py")).stem.removesuffix("_file")
        stem = stem.removesuffix("s")  # `rosters` are tested in `test_roster` too
        near = {name for name in found if stem in name.partition("::")[0]}
        for tests in (near, found - near, self.seconds.keys() - found):
            yield sorted(tests, key=lambda name: (self.seconds[name], name))


class _Measure:
    """A plugin for pytest that measures."""

    def __init__(self, tree: Path) -> None:
        self._layer = tree / LAYER
        self._coverage = coverage.Coverage(
            data_file=None, source=[str(self._layer)], config_file=False
        )
        self._seconds: dict[str, float] = {}

    def pytest_sessionstart(self) -> None:
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._coverage.switch_context(item.nodeid)
        started = time.process_time()
        try:
            return (yield)
        finally:
            self._seconds[item.nodeid] = time.process_time() - started

    def result(self) -> tuple[dict[str, float], dict[str, dict[int, list[str]]]]:
        """Return what `Measured` is made of: a fork has modules of its own, and so classes."""
        self._coverage.stop()
        data = self._coverage.get_data()
        reach = {
            str(Path(file).relative_to(self._layer)): data.contexts_by_lineno(file)
            for file in data.measured_files()
        }
        return self._seconds, reach


class _Only:
    """A plugin for pytest that runs these tests in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._place = {name: place for place, name in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._place:
            items[:] = [item for item in items if item.nodeid in self._place]
            items.sort(key=lambda item: self._place[item.nodeid])


class _Session:
    """A plugin for pytest that remembers what failed, and does not look for a smaller example."""

    failed = ""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutants", hypothesis.settings(phases=phases))
        hypothesis.settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed = self.failed or f"{report.nodeid}, which cannot be imported"


def _run(tree: Path, files: Sequence[str], *plugins: object) -> str:
    """Run tests of a tree in this process, which is a fork; return which failed first."""
    os.chdir(tree)
    sys.dont_write_bytecode = True
    for name in list(sys.modules):
        if name.partition(".")[0] in {"local", "bulk_user_deletion"}:
            del sys.modules[name]
    session = _Session()
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not thorough"]
    ended = pytest.main([*options, *files], plugins=[session, *plugins])
    return session.failed or ("" if ended == pytest.ExitCode.OK else f"pytest: {ended!r}")


def _forked(work: Callable[[], Any], seconds: float, *, is_silent: bool) -> Any:
    """Do work in a fork, in so many seconds of CPU time and memory enough; return its result.

    Raises:
        EOFError: it died or took too long.
    """

    def child(result: Connection) -> None:
        if is_silent:
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
        result.send(work())

    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=child, args=(theirs,))
    process.start()
    theirs.close()
    try:
        if not ours.poll(60 + 20 * seconds):
            raise EOFError
        return ours.recv()
    finally:
        process.kill()
        process.join()


def copied(tree: Path) -> Path:
    """Copy the project, to be changed at will; its environments are the project's own."""
    shutil.copytree(PROJECT, tree, ignore=_LEFT_OUT)
    for environment in PROJECT.glob(".venv*"):
        (tree / environment.name).symlink_to(environment)
    return tree


def measure(tree: Path, tests: Sequence[str]) -> Measured:
    """Run the tests once without a mutant, one after another."""

    plugin = _Measure(tree)
    found = _forked(lambda: _run(tree, tests, plugin) or plugin.result(), 3600, is_silent=False)
    if isinstance(found, str):
        raise click.ClickException(f"Without a mutant this fails already: {found}")
    return Measured(*found)


def catch(mutant: Mutant, tree: Path, measured: Measured) -> str:
    """Return which test catches a mutant, or nothing."""
    file = tree / LAYER / mutant.module
    text = file.read_bytes()
    file.write_bytes(mutant.of(text))
    try:
        return next(
            filter(None, map(partial(_caught, tree, measured), measured.rounds_for(mutant))), ""
        )
    except EOFError:
        return "it ends, or takes too long"
    finally:
        file.write_bytes(text)


def _caught(tree: Path, measured: Measured, tests: Sequence[str]) -> str:
    """Return the first test that fails, alone too: one that does not fails for its company."""
    while (test := _failed(tree, measured, tests)) in tests:
        if len(tests) == 1 or _failed(tree, measured, [test]):
            return test
        tests = tests[tests.index(test) + 1 :]
    return test


def _failed(tree: Path, measured: Measured, tests: Sequence[str]) -> str:
    files = sorted({name.partition("::")[0] for name in tests})
    seconds = 30 + 3 * sum(measured.seconds[name] for name in tests)
    work = partial(_run, tree, files, _Only(tests))
    return str(_forked(work, seconds, is_silent=True)) if tests else ""


@click.command()
@click.option("--seed", default=1, show_default=True, help="Which mutants are drawn.")
@click.option("--number", default=200, show_default=True, help="How many.")
@click.option("--only", default="", help="Of these only MODULE or MODULE:LINE.")
@click.argument("tests", nargs=-1, required=True)
def main(seed: int, number: int, only: str, tests: Sequence[str]) -> None:
    """Show which of TESTS catches each mutant; exit with 1 if fewer than 95 % are caught."""
    mutants = [
        each for each in sample(seed, number) if f"{each.module}:{each.line}:".startswith(only)
    ]
    caught: dict[bool, int] = defaultdict(int)
    with tempfile.TemporaryDirectory() as folder:
        tree = copied(Path(folder) / "tree")
        started = time.monotonic()
        measured = measure(tree, tests)
        click.echo(f"{len(measured.seconds)} tests in {time.monotonic() - started:.0f} s.\n")
        for mutant in mutants:
            started = time.monotonic()
            test = catch(mutant, tree, measured)
            caught[bool(test)] += 1
            click.echo(f"{mutant}\n    {test or 'SURVIVED'}  {time.monotonic() - started:.1f} s")
    percent = 100 * caught[True] / max(len(mutants), 1)
    click.echo(f"\n{caught[True]} of {len(mutants)} caught, {percent:.1f} %.")
    sys.exit(percent < GOAL_PERCENT)


if __name__ == "__main__":
    main(prog_name="python -m local.mutants")
