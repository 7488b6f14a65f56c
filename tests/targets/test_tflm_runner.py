"""TFLM on this host: the runner contract, its answers, its refusals, and the smallest arena."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from test_runner_contract import foreign_imports
from tflite_files import G, N, T, build, int8_dense, remembering

from edgekit.contracts.runner import Bench, RunnerContract, typed
from edgekit.errors import DeviceError, RunnerError
from edgekit.targets.devices import Device, Workplace, open_device, parse
from edgekit.targets.devices.arena import arena
from edgekit.targets.runners import FOLDER, RUNNER_FILES

needs_tflm = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro is not installed"
)
SHORT = 256  # bytes of arena in which TFLM ends its process


@needs_tflm
class TestTFLM(RunnerContract):
    """TensorFlow Lite for Microcontrollers."""

    runner_file = RUNNER_FILES["tflm"]
    runtime = "tflm"

    def test_evaluate_uses_the_batch_that_is_asked_for(self, bench: Bench) -> None:
        # TFLM plans its memory once, for the shapes of the file.
        result = bench.run(bench.request("evaluate", batch=4))
        assert result["models"]["doubler"]["batch"] == 1


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The runner as a module, as its modes import it."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("tflm_runner")


@pytest.fixture
def search(runner: Any) -> Any:
    return importlib.import_module("arena_mode").search


def open_file(runner: Any, path: Path, content: bytes, arena_bytes: int = 0) -> Any:
    path.write_bytes(content)
    return runner.open_model(runner.interpreter_of(), str(path), arena_bytes)


def answer(device: Device, folder: Path, model: Path, x: Any, **changes: Any) -> npt.NDArray[Any]:
    np.save(folder / "x.npy", x)
    entry = {"id": "m", "path": str(model), "outputs": str(folder / device.runtime)}
    request = {
        "schema": 1,
        "mode": "evaluate",
        "models": [entry],
        "inputs": {"x": str(folder / "x.npy")},
        "processes": 1,
        **changes,
    }
    device.run(typed(request))
    found: npt.NDArray[Any] = np.load(folder / device.runtime / "y.npy")
    return found


def device(folder: Path, name: str = "tflm") -> Device:
    return open_device(parse(name), Workplace(folder / "requests", folder / "log.txt"))


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    """A small int8 network, ``x [1, 4]`` to ``y [1, 3]``."""
    graph = int8_dense()
    options = [{"kind": "FullyConnectedOptions"}, {"kind": "SoftmaxOptions", "beta": 1.0}]
    nodes = [replace(n, options=o) for n, o in zip(graph.nodes, options, strict=True)]
    path = tmp_path / "dense.tflite"
    path.write_bytes(build(replace(graph, nodes=nodes)))
    return path


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.npy"
    np.save(path, np.random.default_rng(3).normal(0, 20, (16, 4)).astype(np.float32))
    return path


@needs_tflm
def test_int8_answers_are_litert_s_but_for_a_step(tmp_path: Path, dense: Path, items: Path) -> None:
    x = np.load(items)
    tflm, litert = (
        answer(device(tmp_path, name), tmp_path, dense, x) for name in ("tflm", "local:litert")
    )
    assert tflm.shape == litert.shape == (16, 3)
    assert np.ptp(litert) > 0.5
    assert np.abs(tflm - litert).max() <= 1 / 256


@needs_tflm
@pytest.mark.parametrize(
    ("reset", "expected"), [(True, [100, 200, 300, 400]), (False, [100, 210, 321, 432])]
)
def test_state_is_reset_between_items_when_asked(
    tmp_path: Path, reset: bool, expected: list[float]
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(remembering())
    x = np.arange(1, 5, dtype=np.float32).reshape(4, 1)
    # What the runner asked before these, to choose its ways, is out of sight after two zeros.
    x = np.concatenate([np.zeros((2, 1), np.float32), x])
    found = answer(device(tmp_path), tmp_path, path, x, reset_state=reset, batch=1)
    assert found[2:, 0].tolist() == expected


@needs_tflm
@pytest.mark.parametrize(
    ("swap", "expected"), [(False, [2.0, 10.0]), (True, [-2.0, -10.0])], ids=["right", "swapped"]
)
def test_inputs_go_by_their_signature_names(
    tmp_path: Path, swap: bool, expected: list[float], runner: Any
) -> None:
    tensors = [T("a", [1, 1]), T("b", [1, 1]), T("y", [1, 1])]
    node = N("SUB", ["b", "a"] if swap else ["a", "b"], ["y"], options={"kind": "SubOptions"})
    model = open_file(runner, tmp_path / "m.tflite", build(G(tensors, [node], ["b", "a"], ["y"])))
    found = []
    for a, b in ((5, 3), (4, -6)):
        feeds = {"a": a, "b": b}
        model.stage({name: np.full((1, 1), v, np.float32) for name, v in feeds.items()})
        model.invoke()
        found.append(float(model.fetch()["y"][0, 0]))
    assert list(model.inputs) == ["b", "a"]
    assert found == expected


def weights(dtype: str, x: str) -> bytes:
    """A dense layer with weights of a dtype, on an input and output of another."""
    scale = [0.5] if x != "FLOAT32" else []
    tensors = [
        T("x", [1, 4], x, scale=scale),
        T("w", [3, 4], dtype, np.ones((3, 4), dtype.lower()), scale=[0.1]),
        T("y", [1, 3], x, scale=scale),
    ]
    options = {"kind": "FullyConnectedOptions"}
    return build(
        G(tensors, [N("FULLY_CONNECTED", ["x", "w", None], ["y"], 1, options)], ["x"], ["y"])
    )


def one_node(operator: str) -> bytes:
    return build(G([T("x", [1, 4]), T("y", [1, 4])], [N(operator, ["x"], ["y"])], ["x"], ["y"]))


REFUSED: Mapping[str, tuple[bytes, str]] = {
    "no file": (b"GIF89a, which is not a model", "m.tflite is not a .tflite file"),
    "no operator": (one_node("GELU"), r"TFLM has no GELU$"),
    "custom": (one_node("Sinh"), "TFLM has no custom operator Sinh"),
    "hybrid": (weights("INT8", "FLOAT32"), "no integer weights with float activations"),
    "uint8": (weights("UINT8", "UINT8"), "no uint8 weights, only int8 ones"),
    "no options": (build(int8_dense()), "TFLM crashed .SIGABRT."),
    "graph": (
        build(G([T("x", [1])], [], ["x"], ["x"], None), G([T("x", [1])], [], ["x"], ["x"], "f")),
        "runs the main graph only, and signature 'f' is of graph 1",
    ),
    "no input": (build(G([T("y", [1])], [], [], ["y"])), "the main graph has no input"),
    "names": (build(G([T("x", [1]), T("x", [1])], [], ["x", "x"], ["x"])), "names two tensors"),
}


@needs_tflm
@pytest.mark.parametrize("name", REFUSED)
def test_model_that_tflm_does_not_run_is_refused_in_words(
    tmp_path: Path, runner: Any, name: str
) -> None:
    content, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        open_file(runner, tmp_path / "m.tflite", content).invoke()


@needs_tflm
@pytest.mark.parametrize(("size", "said"), [(1024, "1024 bytes is too small, by"), (SHORT, "256")])
def test_arena_that_is_too_small_is_an_error_even_where_tflm_crashes(
    tmp_path: Path, dense: Path, size: int, said: str
) -> None:
    with pytest.raises(RunnerError) as caught:
        answer(device(tmp_path), tmp_path, dense, np.ones((1, 4), np.float32), arena_bytes=size)
    assert caught.value.code == "EK-RUNNER-002"
    assert said in caught.value.hint


@needs_tflm
def test_arena_that_is_too_small_says_the_one_that_will_do(runner: Any, dense: Path) -> None:
    make, said = runner.interpreter_of(), set()
    for size in range(1024, 4096, 64):
        try:
            runner.open_model(make, str(dense), size).invoke()
        except ValueError as error:
            found = re.search(r"the model runs in (\d+) bytes, and in no less", str(error))
            said.add(int(found[1]) if found else str(error))
        else:
            break
    assert len(said) == 1
    assert size - 64 < said.pop() <= size


@needs_tflm
def test_too_many_buffers_means_a_small_arena(runner: Any) -> None:
    tried = runner.Attempt(256, "Too many buffers (max is 4)\n")
    assert "an arena of 4096 bytes is too small" in runner.explain(tried, b"", 4096)


@needs_tflm
@pytest.mark.parametrize("size", [0, -16, True, "64 KiB", 1 << 40])
def test_arena_that_is_no_size_is_an_error(runner: Any, size: object) -> None:
    with pytest.raises(ValueError, match="arena_bytes is"):
        runner.options({"arena_bytes": size})


@needs_tflm
def test_smallest_arena_runs_and_16_bytes_less_do_not(
    tmp_path: Path, dense: Path, items: Path
) -> None:
    found = arena(device(tmp_path), dense, {"x": items})
    smallest = int(found.smallest.value or 0)
    x = np.load(items)
    large = answer(device(tmp_path), tmp_path, dense, x)
    assert smallest % 16 == 0
    assert np.array_equal(answer(device(tmp_path), tmp_path, dense, x, arena_bytes=smallest), large)
    with pytest.raises(RunnerError):
        answer(device(tmp_path), tmp_path, dense, x, arena_bytes=smallest - 16)
    # TFLM's recorder does not see what it allocates for a while.
    assert found.recorded.value is not None
    assert found.recorded.value < smallest
    assert found.margin.value == pytest.approx(smallest / found.recorded.value - 1)
    assert found.estimated_32bit.how == "estimated"
    assert 0 < (found.estimated_32bit.value or 0) < smallest


@pytest.mark.parametrize("smallest", [16, 32, 48, 1008, 1024, 1040, 2000, 9_600])
@pytest.mark.parametrize("guess", [1, 1000, 1024])
def test_search_finds_the_smallest_that_passes(search: Any, smallest: int, guess: int) -> None:
    tried: list[int] = []

    def passes(size: int) -> bool:
        tried.append(size)
        return size >= smallest

    found, trials = search(passes, guess)
    assert found == -(-smallest // 16) * 16
    assert trials == len(tried) == len(set(tried)) < 24


def test_search_raises_when_no_arena_will_do(search: Any) -> None:
    with pytest.raises(ValueError, match="no arena up to"):
        search(lambda _: False, 1 << 29)


def test_trial_with_other_answers_does_not_pass(
    tmp_path: Path, runner: Any, search: Any, dense: Path
) -> None:
    mode = importlib.import_module("arena_mode")
    model = open_file(runner, tmp_path / "m.tflite", dense.read_bytes())
    feeds = [{"x": np.ones((1, 4), np.int8)}]
    expected = mode._answers(model, feeds)
    assert mode._alike(model, 1 << 16, feeds, expected)
    assert not mode._alike(model, 1 << 16, feeds, [b"\x00" + expected[0][1:]])


def test_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, runner: Any
) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    with pytest.raises(runner.RuntimeMissing, match=r"pip install 'edgekit\[micro\]'"):
        runner.interpreter_of()


def test_device_without_the_package_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(DeviceError) as caught:
        device(tmp_path)
    assert caught.value.code == "EK-DEVICE-002"


@pytest.mark.parametrize("name", ["tflm_runner", "arena_mode"])
def test_runner_is_python_39_and_imports_nothing_else(name: str) -> None:
    allowed = {"python_runner", "tflm_runner", "tflite_micro"}
    source = (FOLDER / f"{name}.py").read_text()
    assert foreign_imports(source) <= allowed
    assert foreign_imports(f"{source}\nfrom edgekit.types import Json\n") - allowed


@needs_tflm
def test_arena_of_another_runtime_is_refused(tmp_path: Path, dense: Path, items: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        arena(device(tmp_path, "local:litert"), dense, {"x": items})
    assert "only tflm has one" in caught.value.hint
