"""The recorders of the apps count alike: Python, Kotlin on a JVM, and the page's JavaScript."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_processing_kotlin import STANDARD_LIBRARY, compiles

from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles import monitoring, recorder_code
from edgekit.targets.bundles.processing.typescript import constants_file
from edgekit.targets.runners import raw_items, recorder

DRIVERS = Path(__file__).with_name("processing_drivers")
SHAPES = {
    "input": {
        "picture": (8, 6, 3),
        "first": (3, 8, 6),
        "many": (4, 5, 9),
        "numbers": (4,),
        "signal": (500,),
        "series": (49, 2),
    },
    "output": {"scores": (5,), "map": (6, 7, 2)},
}
COUNT = 230
FAULTS = {
    "an edge belongs to the bin above": ("this.edges[bin] < value", "this.edges[bin] <= value - 1"),
    "channels are one after another": ("channel * stride", "channel * stride * 0"),
    "a step goes over the end of a row": ("(width - 1) * step", "width * step - 1"),
    "the last of equal scores is best": ("scores[k] > scores[best]", "scores[k] >= scores[best]"),
    "buckets are wider": ("value >= 2 * STEPS", "value >= STEPS"),
    "what is not a number is counted": ("!Number.isFinite(value)", "false"),
}
RAW_FAULTS = {
    "places are drawn otherwise": ("mixed >>> 13", "mixed >>> 14"),
    "the first items are kept": ("place >= this.below", "this.seen > 20"),
    "bytes are not counted": ("this.bytes > this.mostBytes", "false"),
    "values are big-endian": ("values[k], true", "values[k], false"),
}
# Twenty items are more bytes than that.
ITEMS, BYTES, SEED = 20, 90_000, 7


def values(seed: int) -> dict[str, dict[str, Any]]:
    """Items of every kind of tensor: float32, some of them no numbers, some scores equal."""
    random = np.random.default_rng(seed)
    found = {
        side: {
            name: random.normal(size=(COUNT, *shape)).astype(np.float32)
            for name, shape in shapes.items()
        }
        for side, shapes in SHAPES.items()
    }
    picture = found["input"]["picture"]
    picture[:] = np.clip(np.rint(picture * 40 + 120), 0, 255)
    found["input"]["signal"][:] = np.round(found["input"]["signal"], 1)
    found["output"]["scores"][:20, 3] = found["output"]["scores"][:20].max(axis=1)
    found["output"]["scores"][:10, 4] = found["output"]["scores"][:10, 3]
    return found


def statistics() -> dict[str, Any]:
    found = values(1)
    tensors = [
        monitoring.layout_of(name, side, shape)
        for side, shapes in SHAPES.items()
        for name, shape in shapes.items()
    ]
    tables = [(one, monitoring.table_of(one, found[one["side"]][one["name"]])) for one in tensors]
    scored = monitoring.Classes("scores", (), "softmax")
    model = {"name": 'a "name" of $its own', "version": "1", "model": "0" * 64}
    return monitoring.statistics_of(model, tables, scored, found["output"]["scores"])


def contents(told: dict[str, Any]) -> Any:
    """What the recorders' code takes of a bundle's contents."""
    return SimpleNamespace(name=told["name"], monitoring=told)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with items, and what Python's recorder wrote of them."""
    folder = tmp_path_factory.mktemp("recorded")
    found = values(2)
    found["input"]["numbers"][3, 1] = np.nan
    found["input"]["picture"][4] = np.inf
    found["output"]["scores"][5, 2] = np.nan
    times = [int(one) for one in np.random.default_rng(3).lognormal(13, 2, COUNT)]
    flat = [found[side][name].reshape(COUNT, -1) for side in SHAPES for name in SHAPES[side]]
    np.concatenate(flat, axis=1).astype(">f4").tofile(folder / "items.bin")
    (folder / "times.txt").write_text("".join(f"{time}\n" for time in times))
    raw = raw_items.RawItems(statistics(), folder / "python", ITEMS, BYTES, SEED)
    one = recorder.Recorder(statistics(), folder / "python", items=100, device="test", raw=raw)
    for k, time in enumerate(times):
        row = {side: {n: v[k : k + 1] for n, v in found[side].items()} for side in found}
        one.add(row["input"], row["output"], [time])
    one.error()
    one.add({"picture": np.zeros((1, 5))}, {}, [7])
    one.close()
    return folder


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def same(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Tell whether records count alike; sums may differ in their last digits."""
    if len(ours) != len(theirs):
        return False
    for a, b in zip(ours, theirs, strict=True):
        timeless = [{k: v for k, v in one.items() if k not in ("began", "ended")} for one in (a, b)]
        left, right = (one.pop("features") for one in timeless)
        if timeless[0] != timeless[1] or left.keys() != right.keys():
            return False
        for name, one in left.items():
            counts = ("counts", "n", "nan")
            if any(one[key] != right[name][key] for key in counts):
                return False
            sums = [
                [each[key] if each[key] is not None else 0.0 for key in ("sum", "min", "max")]
                for each in (one, right[name])
            ]
            if not np.allclose(*sums, rtol=1e-9, atol=1e-9):
                return False
    return True


def alike(ours: str, theirs: str) -> bool:
    """Tell whether samples of raw items are the same, but for the time."""
    (head, *items), (other, *more) = ours.splitlines(), theirs.splitlines()
    timeless = [
        {k: v for k, v in json.loads(one).items() if k not in ("began", "ended")}
        for one in (head, other)
    ]
    return timeless[0] == timeless[1] and items == more


def in_node(recorded: Path, folder: Path, change: tuple[str, str] = ("", "")) -> list[Any]:
    """Return the records; raw items are in ``items.jsonl`` of the folder."""
    told = statistics()
    for name in ("recorder.js", "raw_items.js"):
        source = (FOLDER / "web" / name).read_text()
        (folder / name).write_text(source.replace(*change) if change[0] else source)
    assert any(change[1] in one.read_text() for one in folder.glob("r*.js"))
    constants = constants_file(told["name"], [recorder_code.typescript(contents(told))])
    (folder / "monitoring_spec.js").write_bytes(constants)
    (folder / "package.json").write_text('{"type": "module"}')
    for path in (DRIVERS / "recording.mjs", recorded / "items.bin", recorded / "times.txt"):
        shutil.copy(path, folder)
    done = subprocess.run(
        ["node", "recording.mjs"], cwd=folder, check=False, capture_output=True, text=True
    )
    return lines(done.stdout) if done.returncode == 0 else []


in_browsers = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


@in_browsers
def test_javascript_counts_as_python_does(recorded: Path, tmp_path: Path) -> None:
    python = lines((recorded / "python" / recorder.FILE).read_text())
    assert [one["n"] for one in python] == [100, 100, 31]
    assert same(python, in_node(recorded, tmp_path))
    raw = (recorded / "python" / raw_items.FILE).read_text()
    assert json.loads(raw.splitlines()[0])["kept"] == len(raw.splitlines()) - 1 == 12
    assert len(raw) <= BYTES
    assert alike(raw, (tmp_path / raw_items.FILE).read_text())


@in_browsers
@pytest.mark.parametrize("fault", RAW_FAULTS)
def test_a_fault_of_raw_items_in_javascript_is_seen(
    recorded: Path, tmp_path: Path, fault: str
) -> None:
    in_node(recorded, tmp_path, RAW_FAULTS[fault])
    raw = (recorded / "python" / raw_items.FILE).read_text()
    assert not alike(raw, (tmp_path / raw_items.FILE).read_text())


@in_browsers
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_javascript_is_seen(recorded: Path, tmp_path: Path, fault: str) -> None:
    python = lines((recorded / "python" / recorder.FILE).read_text())
    assert not same(python, in_node(recorded, tmp_path, FAULTS[fault]))


@pytest.mark.slow
@compiles
def test_kotlin_counts_as_python_does(recorded: Path, tmp_path: Path) -> None:
    told = statistics()
    for name in ("Recorder.kt", "RawItems.kt"):
        shutil.copy(FOLDER / "android" / name, tmp_path)
    shutil.copy(DRIVERS / "Recording.kt", tmp_path)
    (tmp_path / "MonitoringSpec.kt").write_text(recorder_code.kotlin(contents(told)))
    files = [path.name for path in sorted(tmp_path.glob("*.kt"))]
    command = ["kotlinc", *files, "-d", "driver.jar"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = ["java", "-cp", f"driver.jar:{STANDARD_LIBRARY}", "edgekit.RecordingKt", str(recorded)]
    subprocess.run(run, cwd=tmp_path, check=True, timeout=120)
    python = lines((recorded / "python" / recorder.FILE).read_text())
    kotlin = lines((recorded / "kotlin" / recorder.FILE).read_text())
    assert same(python, kotlin)
    ours, theirs = (recorded / one / raw_items.FILE for one in ("python", "kotlin"))
    assert alike(ours.read_text(), theirs.read_text())
