"""What may import what, read from the code: every import counts, wherever it is in a module.

A room is a module or a package right below the layer's package: `rules`, `portal`, `bucket`.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

PROJECT = Path(__file__).parents[1]
LAYER = "bulk_user_deletion"
FOLDERS = {
    LAYER: PROJECT / "layers/shared" / LAYER,
    "functions": PROJECT / "functions",
    "bulk_user_deletion_cli": PROJECT / "bulk_user_deletion_cli",
    "local": PROJECT / "local",
    "benchmarks": PROJECT / "benchmarks",
    "tests": PROJECT / "tests",
}

# Which folder may import from which others.
FOLDERS_BELOW: dict[str, set[str]] = {
    LAYER: set(),
    "functions": {LAYER},
    "bulk_user_deletion_cli": {LAYER},
    "local": {LAYER, "bulk_user_deletion_cli"},
    "benchmarks": {LAYER, "bulk_user_deletion_cli", "local"},
    "tests": {*FOLDERS},
}

# Which rooms these may import from. Steps may import from all others.
ROOMS_BELOW = {
    "errors": set[str](),
    "models": {"models"},
    "rules": {"errors", "models", "rules"},
    "sources": {"errors", "models", "rules", "sources"},
}
# Nothing in the layer imports these: what handlers call.
ON_TOP = {"adapters", "steps"}

# What the pure rooms use of the standard library. None of it accesses the clock, files, the
# network, other processes, or randomness; zoneinfo reads files that are part of the layer.
PURE = {
    "codecs", "collections", "contextlib", "csv", "dataclasses", "datetime", "decimal", "difflib",
    "email.utils.parsedate_to_datetime", "enum", "fnmatch", "functools", "hashlib", "io",
    "itertools", "json", "math", "operator", "posixpath", "re", "statistics", "string", "types",
    "typing", "unicodedata", "urllib.parse", "xml.parsers.expat", "zipfile", "zlib",
    "zoneinfo",
}  # fmt: skip
# What even these can do: methods of date and datetime that read the clock, and built-in functions.
READ_THE_CLOCK = {"now", "today", "utcnow"}
REACH_OUTSIDE = {"open", "print", "input", "eval", "exec", "__import__"}

AWS = {"boto3", "botocore", "s3transfer"}  # and the stubs, which are called mypy_boto3_…
HTTP = {"requests", "urllib3", "urllib.request", "http.client", "http.server", "socket", "ssl"}
KNOW_AWS = {"bucket", "executions", "ledger.table", "store", "tokens", "topic"}
KNOW_HTTP = {"portal"}
# What is installed with the layer's modules (requirements.in), and what Lambda provides.
INSTALLED = {"aws_lambda_powertools", "chameleon", "requests", "urllib3", "boto3", "botocore"}


def sources() -> dict[str, str]:
    """Every module's text by its full name."""
    return {
        ".".join([folder, *_parts(path.relative_to(root))]): path.read_text(encoding="utf-8")
        for folder, root in FOLDERS.items()
        for path in sorted(root.rglob("*.py"))
    }


def _parts(path: Path) -> list[str]:
    parts = list(path.with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(name: str, text: str, packages: set[str]) -> Iterator[str]:
    """Yield the full names of what a module imports: `package.module`, or `package.module.name`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                package = name if name in packages else name.rpartition(".")[0]
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                origin = ".".join([*above, *filter(None, [origin])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def calls_outside(text: str) -> Iterator[str]:
    """Yield what a module mentions that reads the clock or reaches out without an import."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in READ_THE_CLOCK:
            yield f".{node.attr}"
        if isinstance(node, ast.Name) and node.id in REACH_OUTSIDE:
            yield node.id


def breaches(modules: Mapping[str, str]) -> list[str]:
    """Return each import or call that the architecture forbids, as `module: what`."""
    packages = {name.rpartition(".")[0] for name in modules}
    return [
        f"{name}: {what}"
        for name, text in modules.items()
        for what in [
            *(found for found in imports(name, text, packages) if not _may_import(name, found)),
            *(calls_outside(text) if _room(name) in ROOMS_BELOW else ()),
        ]
    ]


def _may_import(name: str, found: str) -> bool:
    folder, wanted = _first(name), _first(found)
    if wanted != folder and wanted in FOLDERS:
        return wanted in FOLDERS_BELOW[folder]
    if folder != LAYER:
        return True
    room = _room(name)
    if wanted == LAYER:
        below = ROOMS_BELOW.get(room)
        if below is not None:
            return _room(found) in below
        return _room(found) not in ON_TOP or room == _room(found)
    if room in ROOMS_BELOW:
        return _is_one_of(found, PURE)
    if _is_one_of(found, AWS) or wanted.startswith("mypy_boto3"):
        return name.removeprefix(f"{LAYER}.") in KNOW_AWS
    if _is_one_of(found, HTTP):
        return room in KNOW_HTTP
    return wanted in INSTALLED or wanted in sys.stdlib_module_names


def _first(name: str) -> str:
    return name.partition(".")[0]


def _room(name: str) -> str:
    """The room of a module of the layer; for any other module, nothing."""
    folder, _, rest = name.partition(".")
    return _first(rest) if folder == LAYER else ""


def _is_one_of(found: str, names: set[str]) -> bool:
    return any(found == name or found.startswith(f"{name}.") for name in names)


def circle(modules: Mapping[str, str]) -> list[str]:
    """Return modules that import each other in a circle, if there are any."""
    packages = {name.rpartition(".")[0] for name in modules}
    graph = {
        name: {
            target
            for found in imports(name, text, packages)
            for target in [found if found in modules else found.rpartition(".")[0]]
            if target in modules
        }
        for name, text in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


# The code


def test_no_module_has_a_forbidden_import() -> None:
    assert breaches(sources()) == []


def test_nothing_is_imported_in_a_circle() -> None:
    assert circle(sources()) == []


def test_every_module_that_may_know_aws_or_http_does() -> None:
    modules = sources()
    packages = {name.rpartition(".")[0] for name in modules}

    def knowing(what: set[str]) -> set[str]:
        return {
            name.removeprefix(f"{LAYER}.")
            for name, text in modules.items()
            if _first(name) == LAYER
            and any(_is_one_of(found, what) for found in imports(name, text, packages))
        }

    assert knowing(AWS) == KNOW_AWS
    assert {_first(name) for name in knowing(HTTP)} == KNOW_HTTP


def test_every_room_that_the_table_names_exists() -> None:
    rooms = {_room(name) for name in sources()}

    assert {*ROOMS_BELOW, *ON_TOP, *KNOW_HTTP} <= rooms


# What the check would find

FORBIDDEN = {
    "rules.a_rule": [
        *("time", "random", "os", "pathlib", "boto3", "requests", "socket", "logging", "uuid"),
        *(f"{LAYER}.steps.drops", f"{LAYER}.portal", f"{LAYER}.store", f"{LAYER}.sources.text"),
        *("email.utils.localtime", "http.client", "aws_lambda_powertools.Logger", "local.run"),
    ],
    "models.a_word": [f"{LAYER}.rules.text", f"{LAYER}.errors", "time", "boto3"],
    "sources.a_format": ["openpyxl", "pathlib", f"{LAYER}.bucket", f"{LAYER}.steps.drops"],
    "ledger.portal": ["requests", "urllib.request", "boto3", "mypy_boto3_dynamodb"],
    "looks": ["requests", "boto3", "botocore.exceptions", f"{LAYER}.steps.drops"],
    "portal": ["boto3", f"{LAYER}.adapters", f"{LAYER}.steps.drops"],
    "steps.a_step": ["boto3", "requests", f"{LAYER}.adapters", "tests.builders", "pytest"],
    "store": ["local.portal", "tests.builders", "bulk_user_deletion_cli.runs", "moto"],
}
WAYS_TO_WRITE_IT = [
    "import {whole}",
    "import {whole} as something",
    "from {module} import {name}",
    "from {module} import {name} as something",
    "def f():\n    import {whole}",
    "if TYPE_CHECKING:\n    import {whole}",
    "try:\n    import {whole}\nexcept ImportError:\n    pass",
    "class C:\n    def f(self):\n        if self:\n            import {whole}",
]


@given(st.data())
def test_a_forbidden_import_is_found_however_it_is_written(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(FORBIDDEN)))
    whole = data.draw(st.sampled_from(FORBIDDEN[name]))
    module, _, last = whole.rpartition(".")
    way = data.draw(st.sampled_from(WAYS_TO_WRITE_IT[: None if module else 2]))
    text = "import json\n" + way.format(whole=whole, module=module, name=last)

    assert breaches({f"{LAYER}.{name}": text}) == [f"{LAYER}.{name}: {whole}"]


def test_a_relative_import_is_read_as_what_it_means() -> None:
    modules = {
        f"{LAYER}.rules.a_rule": "from ..steps import drops",
        f"{LAYER}.models": "from . import users\nfrom .. import portal",
        f"{LAYER}.models.users": "from .names import fold",
    }

    assert breaches(modules) == [
        f"{LAYER}.rules.a_rule: {LAYER}.steps.drops",
        f"{LAYER}.models: {LAYER}.portal",
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("datetime.now(UTC)", ".now"),
        ("date.today()", ".today"),
        ("datetime.datetime.utcnow()", ".utcnow"),
        ("clock = datetime.now", ".now"),
        ("open('file')", "open"),
        ("print(1)", "print"),
        ("__import__('time')", "__import__"),
    ],
)
@pytest.mark.parametrize("room", sorted(ROOMS_BELOW))
def test_the_clock_and_the_outside_are_found_without_an_import(
    room: str, line: str, what: str
) -> None:
    assert breaches({f"{LAYER}.{room}.one": line}) == [f"{LAYER}.{room}.one: {what}"]


@given(st.integers(2, 5), st.integers(0, 4))
def test_a_circle_is_found_whatever_its_size(size: int, others: int) -> None:
    names = [f"{LAYER}.steps.s{number}" for number in range(size)]
    ring = {
        name: f"from {LAYER}.steps import {following.rpartition('.')[2]}"
        for name, following in zip(names, [*names[1:], names[0]], strict=True)
    }
    chain = {f"{LAYER}.steps.t{number}": f"import {names[0]}" for number in range(others)}

    assert set(circle({**chain, **ring})) == set(names)
    assert circle({**chain, **ring, names[0]: ""}) == []
