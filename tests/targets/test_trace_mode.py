"""The runner's mode that writes what a model's tensors hold, by hand on each runtime."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import layered
import numpy as np
import pytest
from tflite_files import G, N, T, build

from edgekit.evaluation.layers.trace import TRACED
from edgekit.targets.runners import FOLDER, RUNNER_FILES

RUNTIMES = [
    "litert",
    pytest.param(
        "tflite-runtime",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("tflite_runtime") is None,
            reason="tflite-runtime has no wheel for this Python",
        ),
    ),
]
# Quarters: sums and products of them are exact in float32, and in int8 at a step of a quarter.
X = (np.arange(12).reshape(3, 4) / 4 - 1).astype(np.float32)
SCALES = [0.5, 0.25, 1.0]
STORED = np.arange(12, dtype=np.int8).reshape(3, 4) - 6


def chain() -> bytes:
    """``x`` int8 plus itself, plus itself again; and a constant with three scales beside it."""
    tensors = [T(name, (1, 4), "INT8", scale=[0.25], zero=[-3]) for name in ("x", "twice", "y")]
    tensors += [T("k", (3, 4), "INT8", STORED, scale=SCALES, zero=[0, 0, 0])]
    add = {"kind": "AddOptions"}
    rows = [N("ADD", ["x", "x"], ["twice"], 2, add), N("ADD", ["twice", "x"], ["y"], 2, add)]
    return build(G(tensors, rows, ["x"], ["y"]))


def trace(folder: Path, content: bytes, runtime: str, tensors: list[int], **more: Any) -> Any:
    """What the runner says of one file."""
    (folder / "model.tflite").write_bytes(content)
    name, values = more.pop("feed", ("x", X))
    np.save(folder / "in.npy", values)
    entry = {
        "id": "m",
        "path": str(folder / "model.tflite"),
        "outputs": str(folder / "traces"),
        "tensors": tensors,
    }
    request = {
        "mode": "trace",
        "runtime": runtime,
        "models": [entry],
        "inputs": {name: str(folder / "in.npy")},
        "preprocess": {},
        **more,
    }
    (folder / "request.json").write_text(json.dumps(request))
    paths = [str(folder / "request.json"), str(folder / "result.json")]
    subprocess.run([sys.executable, str(RUNNER_FILES["litert"]), *paths], capture_output=True)
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_traced_tensors_by_hand(tmp_path: Path, runtime: str) -> None:
    result = trace(tmp_path, chain(), runtime, [0, 1, 2, 3, 7], items=[1, 3])
    assert "error" not in result, result
    facts = result["models"]["m"]
    assert (facts["items"], facts["alike"], facts["difference"]) == (2, True, 0.0)
    assert facts["written"] == [0, 1, 2, 3]
    assert facts["missing"] == {"7": "the runtime has no such tensor"}
    held = {index: np.load(tmp_path / "traces" / f"{index}.npy") for index in facts["written"]}
    assert {array.dtype for array in held.values()} == {np.dtype(np.float32)}
    for index, times in enumerate((1, 2, 3)):
        assert np.array_equal(held[index], times * X[1:, None])
    per_channel = STORED * np.array(SCALES, np.float32)[:, None]
    assert np.array_equal(held[3], np.stack([per_channel] * 2))


@pytest.mark.skipif(
    importlib.util.find_spec("tflite_runtime") is None,
    reason="tflite-runtime has no wheel for this Python",
)
def test_a_tensor_that_is_written_over_is_missing(tmp_path: Path) -> None:
    """tflite-runtime adds in place: what its ADD reads is gone."""
    of, rows = layered.weights(), layered.nodes()
    rows[3] = N("ADD", ["plus", "minus"], ["difference"], 1, {"kind": "AddOptions"})
    content = layered.float_file(of, rows)
    index = {name: at for at, name in enumerate(layered.SHAPES)}
    wanted = [index[name] for name in ("stem", "plus", "minus", "difference")]
    feed = ("image", layered.images(2))
    facts = trace(tmp_path, content, "tflite-runtime", wanted, feed=feed)["models"]["m"]
    reasons = set(facts["missing"].values())
    assert reasons == {"ADD, which reads it, writes over it"}
    assert len(facts["missing"]) == 1
    kept = trace(tmp_path, content, "litert", wanted, feed=feed)["models"]["m"]
    assert (kept["missing"], kept["written"]) == ({}, wanted)


def test_every_runtime_that_traces_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    assert set(importlib.import_module("trace_mode").INTERPRETERS) == TRACED


def test_a_tensor_that_nobody_writes_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As where a delegate computes two operators at once: what was there before stays there."""
    monkeypatch.syspath_prepend(FOLDER)
    mode = importlib.import_module("trace_mode")
    before: dict[int, int] = {}
    stored = mode.Tracer.stored

    def unwritten(tracer: Any, index: int) -> Any:
        value = stored(tracer, index)
        return np.full_like(value, before.get(index, 0)) if index == 1 else value

    monkeypatch.setattr(mode.Tracer, "fill", lambda _, index, value: before.update({index: value}))
    monkeypatch.setattr(mode.Tracer, "stored", unwritten)
    (tmp_path / "model.tflite").write_bytes(chain())
    np.save(tmp_path / "in.npy", X)
    entry = {
        "id": "m",
        "path": str(tmp_path / "model.tflite"),
        "outputs": str(tmp_path / "traces"),
        "tensors": [1, 2],
    }
    inputs = {"x": str(tmp_path / "in.npy")}
    result: dict[str, Any] = {"models": {}}
    mode.run({"runtime": "litert", "models": [entry], "inputs": inputs}, result)
    assert list(result["models"]["m"]["missing"]) == ["1"]
    assert "never keeps it" in result["models"]["m"]["missing"]["1"]
    assert result["models"]["m"]["written"] == [2]


def test_no_delegate_takes_part_where_none_is_asked_for(tmp_path: Path) -> None:
    content = layered.float_file(layered.weights())
    feed = ("image", layered.images(2))
    held = {}
    for delegate in ("xnnpack", "none"):
        facts = trace(tmp_path, content, "litert", [1], feed=feed, delegate=delegate)
        assert facts["models"]["m"]["written"] == [1]
        held[delegate] = np.load(tmp_path / "traces" / "1.npy")
    assert not np.array_equal(held["xnnpack"], held["none"])
    assert np.allclose(held["xnnpack"], held["none"], atol=1e-5)


def test_a_runtime_without_tensors_to_show_is_refused(tmp_path: Path) -> None:
    result = trace(tmp_path, chain(), "nonesuch", [1])
    assert "nonesuch" in result["error"]["message"]
