"""Stating the versions that a file needs, and that old runtimes then refuse it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import flatfiles
import numpy as np
import pytest

from edgekit.converters import flatbuffer
from edgekit.converters.version_stamp import stamp_versions

RUN = """
import sys
import numpy as np
runtime, model, items, answers = sys.argv[1:]
if runtime == "tflite-runtime":
    from tflite_runtime.interpreter import Interpreter
else:
    from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=model)
interpreter.allocate_tensors()
(x,), (y,) = interpreter.get_input_details(), interpreter.get_output_details()
given = []
for item in np.load(items):
    interpreter.set_tensor(x["index"], item[None])
    interpreter.invoke()
    given.append(interpreter.get_tensor(y["index"])[0])
np.save(answers, np.stack(given))
"""


def answers(folder: Path, runtime: str, content: bytes) -> np.ndarray | str:
    """The largest error per item relative to the largest answer, or why the runtime refuses."""
    if runtime == "tflite-runtime" and importlib.util.find_spec("tflite_runtime") is None:
        pytest.skip("tflite-runtime has no wheel for this Python")
    model, items, given = folder / "m.tflite", folder / "items.npy", folder / "answers.npy"
    model.write_bytes(content)
    x = np.random.default_rng(1).uniform(-1, 1, (8, 32)).astype(np.float32)
    np.save(items, x)
    done = subprocess.run(
        [sys.executable, "-c", RUN, runtime, str(model), str(items), str(given)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return done.stderr
    right = flatfiles.dense_answer(x)
    return np.abs(np.load(given) - right).max() / np.abs(right).max()


def test_an_understated_dense_layer_is_garbage_on_an_old_runtime(tmp_path: Path) -> None:
    """What the stamp is for: the same file is right on a new runtime."""
    content = flatfiles.dense("INT8")
    error = answers(tmp_path, "tflite-runtime", content)
    assert not isinstance(error, str)
    assert error > 0.5
    error = answers(tmp_path, "litert", content)
    assert not isinstance(error, str)
    assert error < 0.02


def test_a_stamped_dense_layer_is_refused_by_an_old_runtime(tmp_path: Path) -> None:
    stamped = stamp_versions(flatfiles.dense("INT8"))
    error = answers(tmp_path, "tflite-runtime", stamped)
    assert isinstance(error, str)
    assert "Didn't find op for builtin opcode 'FULLY_CONNECTED' version '12'" in error
    error = answers(tmp_path, "litert", stamped)
    assert not isinstance(error, str)
    assert error < 0.02


def test_stamp_states_what_is_needed_and_nothing_else() -> None:
    content = flatfiles.dense("INT8")
    stamped = stamp_versions(content)
    before, after = flatbuffer.parse(content, "a"), flatbuffer.parse(stamped, "b")
    assert [(o.name, o.version) for o in after.operators] == [("FULLY_CONNECTED", 12)]
    assert after.metadata["min_runtime_version"].rstrip(b"\0") == b"2.17.0"
    assert after.graphs[0].tensors == before.graphs[0].tensors
    for tensor in before.graphs[0].tensors:
        assert after.data(tensor) == before.data(tensor)
    # Where constants lie decides their alignment.
    assert after.span(1) == before.span(1)


@pytest.mark.parametrize("content", [flatfiles.convolutional(), flatfiles.dense("INT8", 12)])
def test_stamp_leaves_a_file_that_states_enough(content: bytes) -> None:
    assert stamp_versions(content) == content


def test_stamp_is_done_once() -> None:
    stamped = stamp_versions(flatfiles.dense("INT4"))
    assert stamp_versions(stamped) == stamped


def test_stamp_raises_a_shared_code_to_its_highest_need() -> None:
    file = flatfiles.File()
    x = file.tensor("x", (1, 4, 4, 2))
    kernel = np.ones((2, 1, 1, 2), np.int8)
    whole = file.tensor("whole", kernel.shape, "INT8", kernel, np.array([0.5]))
    split = file.tensor("split", kernel.shape, "INT8", kernel, np.array([0.5, 0.25]))
    outputs = [file.tensor(name, (1, 4, 4, 2)) for name in "ab"]
    file.inputs, file.outputs = [x], outputs
    code, custom = file.code("CONV_2D"), file.code("Sinh", 3)
    for weights, made in zip((whole, split), outputs, strict=True):
        file.node(code, [x, weights], [made], "Conv2D", strideW=1, strideH=1)
    file.node(custom, [outputs[0]], [outputs[1]])
    found = flatbuffer.parse(stamp_versions(file.build()), "built")
    assert [(o.name, o.version, o.count) for o in found.operators] == [
        ("CONV_2D", 5, 2),
        ("Sinh", 3, 1),
    ]
