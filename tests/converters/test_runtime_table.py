"""The table of operator versions against the runtimes themselves."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import flatfiles
import pytest

from edgekit.converters import runtime_table
from edgekit.converters.runtime_table import RuntimeTable, release

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OLD, NEW = "2.14.0", "2.3.0"
# A file for each version that the table has, and for as many beyond the highest.
BEYOND = 2
# One child constructs an interpreter on each file; a guard refuses with a ValueError.
LOAD = """
import json, sys
from pathlib import Path
runtime, folder = sys.argv[1:]
if runtime == "tflite-runtime":
    from tflite_runtime.interpreter import Interpreter
elif runtime == "tensorflow":
    from tensorflow.lite.python.interpreter import Interpreter
else:
    from ai_edge_litert.interpreter import Interpreter
loads = {}
for path in sorted(Path(folder).glob("*.tflite")):
    try:
        Interpreter(model_path=str(path))
        loads[path.stem] = True
    except ValueError as error:
        expected = ("Didn't find op", "builtin_code out of range", "Op builtin_code")
        assert any(text in str(error) for text in expected), (path, error)
        loads[path.stem] = False
print(json.dumps(loads))
"""


def highest(versions: RuntimeTable) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for name, version in versions.operators:
        found[name] = max(version, found.get(name, 0))
    return found


@pytest.fixture(scope="module")
def stating(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for every version of every operator of the schema."""
    folder = tmp_path_factory.mktemp("stating")
    top = highest(runtime_table.table())
    for name in flatfiles.OPERATORS.keys() - {"CUSTOM", "DELEGATE"}:
        for version in range(1, top.get(name, 1) + BEYOND + 1):
            path = folder / f"{name} {version}.tflite"
            path.write_bytes(flatfiles.stating(name, version))
    return folder


def loads(runtime: str, folder: Path) -> dict[str, bool]:
    """Which files a runtime constructs an interpreter on."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, runtime, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def disagreements(
    loaded: Mapping[str, bool], versions: RuntimeTable, axis: str, newest: str
) -> list[str]:
    """The versions that a runtime loads and the table says it does not, or the reverse."""
    found = []
    for key, fine in loaded.items():
        name, version = key.rsplit(" ", 1)
        row = versions.operators.get((name, int(version)))
        first = getattr(row, axis) if row is not None else ""
        if fine != (bool(first) and release(first) <= release(newest)):
            found.append(key)
    return found


@pytest.fixture(scope="module")
def old(stating: Path) -> dict[str, bool]:
    if importlib.util.find_spec("tflite_runtime") is None:
        pytest.skip("tflite-runtime has no wheel for this Python")
    return loads("tflite-runtime", stating)


def test_table_says_what_tflite_runtime_loads(old: dict[str, bool]) -> None:
    assert disagreements(old, runtime_table.table(), "tensorflow", OLD) == []
    assert 350 < sum(old.values()) < len(old) - 350


def test_table_says_what_litert_loads(stating: Path) -> None:
    loaded = loads("litert", stating)
    assert disagreements(loaded, runtime_table.table(), "litert", NEW) == []
    # Every version of the table, but for two that were never in a runtime.
    rows = {f"{name} {version}" for name, version in runtime_table.table().operators}
    never = {"STABLEHLO_CBRT 1", "BROADCAST_TO 1"}
    assert {key for key, fine in loaded.items() if fine} == rows - never


@pytest.mark.slow
def test_table_says_what_tensorflow_loads(stating: Path) -> None:
    import tensorflow

    loaded, newest = loads("tensorflow", stating), tensorflow.__version__
    assert disagreements(loaded, runtime_table.table(), "tensorflow", newest) == []


@pytest.mark.parametrize(
    ("name", "version", "wrong"),
    [("FULLY_CONNECTED", 12, "2.14.0"), ("CONV_2D", 7, "2.15.0"), ("PACK", 4, "-")],
)
def test_a_changed_row_is_seen(old: dict[str, bool], name: str, version: int, wrong: str) -> None:
    document = tomllib.loads(runtime_table.FILE.read_text())
    document["operators"][name][version - 1] = wrong
    changed = runtime_table.parse(document)
    assert disagreements(old, changed, "tensorflow", OLD) == [f"{name} {version}"]


def test_table_names_its_sources_and_date() -> None:
    document = tomllib.loads(runtime_table.FILE.read_text())
    assert document["date"] >= "2026"
    assert {row["project"] for row in document["source"]} == {
        "google-ai-edge/LiteRT",
        "tensorflow/tensorflow",
    }
    assert all(len(row["commit"]) == 40 for row in document["source"])
    assert all(row["source"] and row["versions"] for row in document["package"])


def test_releases_never_go_down_with_the_version() -> None:
    versions = runtime_table.table()
    for name, top in highest(versions).items():
        rows = [versions.operators[name, version] for version in range(1, top + 1)]
        orders = [row.order for row in rows if row.tensorflow or row.litert]
        assert [order[1] for order in orders] == sorted(order[1] for order in orders), name


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("2.14.0", (2, 14, 0)),
        ("2.15.0.post1", (2, 15, 0)),
        ("2.22.0rc1", (2, 22, 0)),
        ("0.dev2", (0,)),
    ],
)
def test_release_reads_numbers_and_leaves_suffixes(text: str, numbers: tuple[int, ...]) -> None:
    assert release(text) == numbers


def test_release_refuses_what_is_none() -> None:
    with pytest.raises(ValueError, match="'nightly' is not a release"):
        release("nightly")
