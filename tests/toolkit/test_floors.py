"""The quality bar itself: a planted type error and a planted forbidden import go red."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
ROOMS = {
    "toolkit": "",
    "converters": "converters",
    "targets": "targets",
    "sample_apps": "sample_apps",
}


# Lines of a function, which fits on a screen, and of a file. A runner is one file by need.
FUNCTION, FILE = 50, 400
ALONE = ("targets/runners/python_runner.py",)


def nodes_of(source: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(source)))


def too_long(nodes: list[ast.AST]) -> list[str]:
    """The functions that do not fit on a screen."""
    found = [n for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    counted = [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in found]
    return [f"{name}: {count} lines" for name, count in counted if count > FUNCTION]


# Names that say nothing of what they hold: they may be read where they are made, and not further.
VAGUE, IN_SIGHT = ("found", "one"), 3
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = (ast.Module, ast.ClassDef, *FUNCTIONS, *COMPREHENSIONS)


def vague(scope: ast.AST) -> set[tuple[str, int]]:
    """The vague names that a scope itself binds, each with its line."""
    bound, left = set(), list(ast.iter_child_nodes(scope))
    while left:
        node = left.pop()
        if isinstance(node, ast.arg) and node.arg in VAGUE:
            bound.add((node.arg, node.lineno))
        elif isinstance(node, ast.Name) and node.id in VAGUE and isinstance(node.ctx, ast.Store):
            bound.add((node.id, node.lineno))
        if not isinstance(node, SCOPES):
            left += ast.iter_child_nodes(node)
    # What a comprehension makes comes before what it is made of.
    begins = isinstance(scope, COMPREHENSIONS)
    return {(name, scope.lineno) for name, _ in bound} if begins else bound


def lingering(nodes: list[ast.AST]) -> list[str]:
    """The vague names that live too long: from where they are bound to where they are last read."""
    told = []
    called = [n for n in nodes if isinstance(n, (ast.Name, ast.arg))]
    if not any((n.id if isinstance(n, ast.Name) else n.arg) in VAGUE for n in called):
        return []
    for scope in (node for node in nodes if isinstance(node, SCOPES)):
        bound = vague(scope)
        for name, begin in sorted(bound):
            end = min(
                (at for other, at in bound if other == name and at > begin), default=sys.maxsize
            )
            named = [n.lineno for n in ast.walk(scope) if isinstance(n, ast.Name) and n.id == name]
            lines = max((at for at in named if begin <= at < end), default=begin) - begin + 1
            if lines > IN_SIGHT:
                where = getattr(scope, "name", type(scope).__name__)
                told.append(f"line {begin}, {where}: {name} lives for {lines} lines")
    return told


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package as it is imported, to plant faults in."""
    for folder, name in ROOMS.items():
        shutil.copytree(
            ROOT / folder,
            tmp_path / "edgekit" / name,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def lint_imports(package: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command; "
    )
    code += "lint_imports_command(['--no-cache'])"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=package, capture_output=True, text=True, check=False
    )


def mypy(package: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # What it imports is not looked at: `make lint` does that.
        [
            BIN / "mypy",
            "-m",
            "edgekit.converters.planted",
            "--follow-imports",
            "skip",
            "--cache-dir",
            str(package / "cache"),
        ],
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
        env={"MYPYPATH": str(package)},
    )


def test_floors_hold(package: Path) -> None:
    done = lint_imports(package)
    assert done.returncode == 0, done.stdout


def test_floors_go_red_when_a_converter_imports_the_pipeline(package: Path) -> None:
    planted = package / "edgekit" / "converters" / "planted.py"
    planted.write_text("from edgekit.pipeline import convert\n")
    done = lint_imports(package)
    assert done.returncode != 0
    assert "edgekit.converters" in done.stdout


def test_floors_go_red_when_a_runner_imports_edgekit(package: Path) -> None:
    runner = package / "edgekit" / "targets" / "runners" / "python_runner.py"
    runner.write_text("import edgekit.errors\n" + runner.read_text())
    assert lint_imports(package).returncode != 0


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("cli/inspect.py", "edgekit.cli.diff"),
        ("targets/devices/device.py", "edgekit.targets.devices.pool"),
        ("targets/devices/transport.py", "edgekit.targets.devices.cassette.record"),
    ],
)
def test_imports_go_red_when_two_modules_import_each_other(
    package: Path, importer: str, imported: str
) -> None:
    """An import within a function counts as well."""
    module = package / "edgekit" / importer
    module.write_text(f"{module.read_text()}\n\ndef _late() -> None:\n    import {imported}\n")
    done = lint_imports(package)
    assert done.returncode != 0
    assert "no circles" in done.stdout
    assert "No cycles are allowed" in done.stdout


def test_types_go_red_when_a_converter_has_a_type_error(package: Path) -> None:
    planted = package / "edgekit" / "converters" / "planted.py"
    planted.write_text("def count() -> int:\n    return 'three'\n")
    done = mypy(package)
    assert done.returncode == 1
    assert "planted.py:2" in done.stdout
    assert "Found 1 error in 1 file" in done.stdout


def test_functions_fit_on_a_screen_files_are_short_and_vague_names_are_read_where_made() -> None:
    faults = {}
    for folder in (*ROOMS, "benchmarks", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            source, name = path.read_text(), path.relative_to(ROOT).as_posix()
            nodes = nodes_of(source)
            told = too_long(nodes)
            if folder in ROOMS:
                told += lingering(nodes)
            if folder in ROOMS and source.count("\n") > FILE and name not in ALONE:
                told.append(f"{source.count(chr(10))} lines")
            if told:
                faults[name] = told
    assert not faults


@pytest.mark.parametrize(("lines", "seen"), [(FUNCTION, False), (FUNCTION + 1, True)])
def test_function_that_is_longer_than_a_screen_is_seen(lines: int, seen: bool) -> None:
    assert bool(too_long(nodes_of("def f():\n" + "    pass\n" * (lines - 1)))) is seen


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("def f(a):\n    found = a\n{gap}    print(found)\n", "line 2, f: found"),
        ("def f(one):\n{gap}    print(one)\n", "line 1, f: one"),
        ("def f(a):\n    for one in a:\n{gap}        print(one)\n", "line 2, f: one"),
        ("def f():\n    found = 1\n{gap}    return lambda: found\n", "line 2, f: found"),
        ("f = [one\n{gap}    for one in a]\n", "line 1, ListComp: one"),
        ("found = 1\n{gap}print(found)\n", "line 1, Module: found"),
    ],
)
def test_name_that_is_read_far_from_where_it_is_made_is_seen(source: str, where: str) -> None:
    assert not lingering(nodes_of(source.format(gap="# near\n")))
    seen = lingering(nodes_of(source.format(gap="# far\n" * 2)))
    assert seen == [f"{where} lives for 4 lines"]


def test_vague_name_that_is_made_anew_is_another() -> None:
    assert not lingering(nodes_of("found = 1\n\n\n\nfound = 2\nprint(found)\n"))
