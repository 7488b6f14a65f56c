"""State, shapes and signatures of models on every runtime, against what is right by hand."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tflite_files import G, N, T, build, counting, doubling, remembering

from edgekit.targets.runners import RUNNER_FILES

NEEDS = {"tflite-runtime": "tflite_runtime", "tflm": "tflite_micro"}


def on(*runtimes: str) -> Any:
    """The runtimes of a test, each skipped where it is not installed."""
    return pytest.mark.parametrize(
        "runtime",
        [
            pytest.param(
                name,
                marks=pytest.mark.skipif(
                    name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None,
                    reason=f"{name} is not installed",
                ),
            )
            for name in runtimes
        ],
    )


every_runtime = on("litert", "tflite-runtime", "reference", "compiled-model", "tflm")
resizing = on("litert", "tflite-runtime", "reference", "compiled-model")


def result(
    folder: Path, content: bytes, runtime: str, x: npt.ArrayLike, **changes: Any
) -> dict[str, Any]:
    """What the runner says of a file on items of its input ``x``."""
    (folder / "model.tflite").write_bytes(content)
    np.save(folder / "x.npy", np.asarray(x, np.float32))
    entry = {"id": "m", "path": str(folder / "model.tflite"), "outputs": str(folder / "outputs")}
    request = {
        "mode": "evaluate",
        "runtime": runtime,
        "models": [entry],
        "inputs": {"x": str(folder / "x.npy")},
        **changes,
    }
    asked, answered = folder / "request.json", folder / "result.json"
    asked.write_text(json.dumps(request))
    command = [sys.executable, str(RUNNER_FILES[runtime]), str(asked), str(answered)]
    subprocess.run(command, check=False, capture_output=True, timeout=120)
    found: dict[str, Any] = json.loads(answered.read_text())
    return found


def answers(
    folder: Path, content: bytes, runtime: str, x: npt.ArrayLike, **changes: Any
) -> npt.NDArray[np.float32]:
    """The output ``y`` on items of ``x``."""
    found = result(folder, content, runtime, x, **changes)
    assert "error" not in found, found["error"]
    output: npt.NDArray[np.float32] = np.load(folder / "outputs" / "y.npy")
    return output


ONES = np.ones((5, 1))


@every_runtime
def test_a_resource_variable_is_as_at_the_start_for_every_item(
    tmp_path: Path, runtime: str
) -> None:
    found = answers(tmp_path, counting(), runtime, ONES, reset_state=True)
    assert found[:, 0].tolist() == [6, 6, 6, 6, 6]


@every_runtime
def test_a_stream_carries_its_state_and_the_next_begins_anew(tmp_path: Path, runtime: str) -> None:
    asked = {"reset_state": True, "streams": [0, 3], "block": 2}
    found = answers(tmp_path, counting(), runtime, ONES, **asked)
    assert found[:, 0].tolist() == [6, 7, 8, 6, 7]


@on("litert", "tflite-runtime", "tflm")
def test_a_stream_of_variable_tensors_carries_its_state(tmp_path: Path, runtime: str) -> None:
    asked = {"reset_state": True, "streams": [0, 3]}
    found = answers(tmp_path, remembering(), runtime, ONES, **asked)
    assert found[:, 0].tolist() == [100, 110, 111, 100, 110]


def test_a_part_of_a_stream_begins_with_the_state_of_what_was_before(tmp_path: Path) -> None:
    asked = {"reset_state": True, "streams": [0, 2], "items": [3, 5]}
    assert answers(tmp_path, counting(), "litert", ONES, **asked)[3:, 0].tolist() == [7, 8]


@resizing
def test_free_sizes_take_those_of_the_items(tmp_path: Path, runtime: str) -> None:
    model = build(doubling([1, 1, 1, 3], free=[1, -1, -1, 3]))
    items = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3)
    assert np.array_equal(answers(tmp_path, model, runtime, items), 2 * items)


def test_tflm_refuses_sizes_that_are_not_the_files(tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro")
    model = build(doubling([1, 1, 1, 3], free=[1, -1, -1, 3]))
    found = result(tmp_path, model, "tflm", np.zeros((2, 4, 5, 3)))
    assert "the file, [1, 1, 1, 3], and the items want [1, 4, 5, 3]" in found["error"]["message"]


@every_runtime
def test_a_fixed_batch_is_fed_in_full_and_what_pads_it_is_cut(tmp_path: Path, runtime: str) -> None:
    items = np.arange(11 * 3).reshape(11, 3)
    found = answers(tmp_path, build(doubling([8, 3])), runtime, items)
    assert np.array_equal(found, 2 * items)


@every_runtime
def test_an_input_without_a_batch_is_an_item_as_a_whole(tmp_path: Path, runtime: str) -> None:
    items = np.arange(3 * 5).reshape(3, 5)
    found = answers(tmp_path, build(doubling([5])), runtime, items, batch="auto")
    assert np.array_equal(found, 2 * items)


@every_runtime
def test_an_output_without_a_batch_is_the_answer_to_one_item(tmp_path: Path, runtime: str) -> None:
    shape = T("shape", [2], "INT32", np.array([3, 2], np.int32))
    to = {"kind": "ReshapeOptions", "newShape": [3, 2]}
    graph = G(
        [T("x", [1, 6]), shape, T("y", [3, 2])],
        [N("RESHAPE", ["x", "shape"], ["y"], options=to)],
        ["x"],
        ["y"],
    )
    items = np.arange(4 * 6).reshape(4, 6)
    found = answers(tmp_path, build(graph), runtime, items, batch="auto")
    assert np.array_equal(found, items.reshape(4, 3, 2))


def test_a_bench_says_the_batch_of_the_file(tmp_path: Path) -> None:
    stop, warmup = {"blocks": 1, "seconds": 0, "runs": 1}, {"seconds": 0, "runs": 1}
    asked = {"mode": "bench", "stop": stop, "warmup": warmup}
    found = result(tmp_path, build(doubling([8, 3])), "litert", np.zeros((2, 3)), **asked)
    assert found["models"]["m"]["batch"] == 8
    found = result(tmp_path, build(doubling([8, 3])), "litert", np.zeros((2, 3)), batch=2, **asked)
    assert "a fixed batch of 8, not of 2" in found["error"]["message"]


def two_signatures() -> bytes:
    """``infer`` doubles; ``a square``, first in the alphabet but not in the file, squares."""
    square = N("MUL", ["x", "x"], ["y"], options={"kind": "MulOptions"})
    return build(
        doubling([1, 2], signature="infer"),
        G([T("x", [1, 2]), T("y", [1, 2])], [square], ["x"], ["y"], "a square"),
    )


@resizing
@pytest.mark.parametrize(("signature", "expected"), [("infer", [6, 8]), ("a square", [9, 16])])
def test_the_signature_that_is_named_runs(
    tmp_path: Path, runtime: str, signature: str, expected: list[int]
) -> None:
    found = answers(tmp_path, two_signatures(), runtime, [[3, 4]], signature=signature)
    assert found.tolist() == [expected]


@every_runtime
def test_of_several_signatures_none_is_guessed(tmp_path: Path, runtime: str) -> None:
    found = result(tmp_path, two_signatures(), runtime, [[3, 4]])
    assert "several signatures, name one: 'a square', 'infer'" in found["error"]["message"]


def test_tflm_runs_the_main_graph_only(tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro")
    found = answers(tmp_path, two_signatures(), "tflm", [[3, 4]], signature="infer")
    assert found.tolist() == [[6, 8]]
    asked = {"signature": "a square"}
    error = result(tmp_path, two_signatures(), "tflm", [[3, 4]], **asked)["error"]
    assert "main graph only" in error["message"]


def test_a_long_name_of_an_output_is_no_file_name_that_is_too_long(tmp_path: Path) -> None:
    model = build(doubling([1, 2], answer="StatefulPartitionedCall/" * 20))
    assert "error" not in result(tmp_path, model, "litert", [[3, 4]])
    (written,) = (tmp_path / "outputs").glob("*.npy")
    assert np.load(written).tolist() == [[6, 8]]
