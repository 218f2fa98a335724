"""Which mutants there are, which are drawn, and which tests are run for one."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from local import mutants
from local.mutants import LAYER, PROJECT, Measured, Mutant, catch, mutants_of, sample


def changed(code: str) -> set[str]:
    return {mutant.of(code.encode()).decode() for mutant in mutants_of("a.py", code.encode())}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a < b", {"(a <= b)"}),
        ("é = 'é' in b", {"é = ('é' not in b)"}),
        ("x = not a", {"x = (a)"}),
        ("x = a and b", {"x = (a or b)", "x = (a)", "x = (b)"}),
        ("x = 5", {"x = (6)", "x = (4)"}),
        ("x = f(1, a=b)", {"x = (f(1))", "x = f((2), a=b)", "x = f((0), a=b)"}),
        (
            "if a:\n    raise E('1')",
            {"if (True):\n    raise E('1')", "if (False):\n    raise E('1')"},
        ),
        ("x = [a for a in b if c]", {"x = [a for a in b if (True)]"}),
        ("a.b = c", {"pass"}),
        ("a(b)", {"pass"}),
        ("def f() -> int:\n    return a", {"def f() -> int:\n    return None"}),
    ],
)
def test_a_mutant_is_the_code_with_one_change(code: str, expected: set[str]) -> None:
    assert {text for text in changed(code) if not text.endswith("    pass")} >= expected


@pytest.mark.parametrize(
    "code",
    [
        '"""A docstring with 1 < 2."""',
        "from a import b",
        "x = 'a text'",
        "x = f'{1 + a}'",
        "@dataclass(frozen=True)\nclass C:\n    a: tuple[int, Literal[1]]",
        "def f(a: Literal[1]) -> Literal[2]: ...",
    ],
)
def test_messages_types_and_decorators_stay(code: str) -> None:
    assert changed(code) == set()


def test_the_same_seed_draws_the_same_mutants_and_each_of_them_is_python() -> None:
    drawn = sample(seed=7, number=50)

    assert len(drawn) == 50
    assert set(drawn) < set(sample(seed=7, number=60))
    assert drawn != sample(seed=8, number=50)
    for mutant in drawn:
        text = (PROJECT / LAYER / mutant.module).read_bytes()
        compile(mutant.of(text), mutant.module, "exec")


def test_the_nearest_and_fastest_tests_come_first_and_the_others_last() -> None:
    near, slow, far, other = "test_pace.py::a", "test_pace.py::b", "test_x.py::a", "test_y.py::a"
    measured = Measured(
        seconds={slow: 2, other: 0, far: 0, near: 1},
        reach={"rules/pace.py": {3: ["", slow, far, near], 4: [far]}},
    )

    def order(module: str, line: int) -> list[list[str]]:
        return list(measured.rounds_for(Mutant(module, line, "", "", 0, 0)))

    assert order("rules/pace.py", 3) == [[near, slow], [far], [other]]
    assert order("rules/pace.py", 4) == [[], [far], [other, near, slow]]
    assert order("rules/pace.py", 1) == order("rules/pace.py", 3)  # it runs at the import
    assert order("rules/no.py", 1) == [[], [], [far, other, near, slow]]


def test_a_test_that_fails_only_in_the_company_of_others_catches_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The tests b and c fail, b only after a. The module is as before in the end."""
    runs: list[str] = []

    def failed(_tree: Path, _measured: Measured, tests: Sequence[str]) -> str:
        runs.append("".join(tests))
        return "b" if "ab" in runs[-1] else "c" if "c" in tests else ""

    monkeypatch.setattr(mutants, "_failed", failed)
    module = tmp_path / LAYER / "rules/pace.py"
    module.parent.mkdir(parents=True)
    module.write_text("1 + 1")

    def caught(*tests: str) -> str:
        measured = Measured(dict.fromkeys(tests, 1.0), {})
        return catch(Mutant("rules/pace.py", 1, "1", "2", 0, 1), tmp_path, measured)

    assert caught("a", "b", "c", "d") == "c"
    assert caught("a", "b") == ""
    assert [each for each in runs if each] == ["abcd", "b", "cd", "c", "ab", "b"]
    assert module.read_text() == "1 + 1"
