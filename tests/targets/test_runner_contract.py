"""edgekit's own runners keep the contract, on the probe and on models the converter made."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from forking import tensorflow_runner, tensorflow_script

from conftest import once
from edgekit.contracts.runner import Bench, RunnerContract
from edgekit.converters.precisions import PRECISIONS
from edgekit.sample_apps import FOLDER as APPS
from edgekit.targets.runners import FOLDER, RUNNER_FILES
from edgekit.targets.runners.python_runner import (
    TensorInfo,
    chosen_signature,
    decode,
    encode,
    file_name,
    fitted,
    run_items,
)

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
# As python_runner.py's own list of what a device must have.
ALLOWED = {"numpy", "ai_edge_litert", "tflite_runtime"}
Floats = npt.NDArray[np.float32]


class TestLiteRT(RunnerContract):
    """LiteRT's interpreter."""

    runner_file = RUNNER_FILES["litert"]
    runtime = "litert"
    delegates = ("xnnpack", "none")


@pytest.mark.skipif(
    importlib.util.find_spec("tflite_runtime") is None,
    reason="tflite-runtime has no wheel for this Python",
)
class TestTFLiteRuntime(RunnerContract):
    """tflite-runtime's interpreter."""

    runner_file = RUNNER_FILES["tflite-runtime"]
    runtime = "tflite-runtime"
    delegates = ("xnnpack", "none")


@pytest.mark.slow
class TestReference(RunnerContract):
    """LiteRT's reference kernels."""

    runner_file = RUNNER_FILES["reference"]
    runtime = "reference"


@pytest.mark.slow
class TestCompiledModel(RunnerContract):
    """LiteRT's CompiledModel."""

    runner_file = RUNNER_FILES["compiled-model"]
    runtime = "compiled-model"
    delegates = ("xnnpack", "none")


DOUBLER = """
import sys, tensorflow as tf
module = tf.Module()
double = tf.function(lambda x: {"y": x + x})
signatures = {
    name: double.get_concrete_function(x=tf.TensorSpec([batch, 4], tf.float32, name="x"))
    for name, batch in (("serving_default", 1), ("evaluate", None))
}
module.double = double
tf.saved_model.save(module, sys.argv[1], signatures=signatures)
"""


@pytest.fixture(scope="session")
def saved_doubler(shared: Path) -> Path:
    """The contract's model as edgekit exports SavedModels: two signatures."""

    def make(folder: Path) -> None:
        tensorflow_script(DOUBLER, folder)

    return once(shared / "saved-doubler", make)


@pytest.mark.slow
class TestTensorFlow(RunnerContract):
    """The SavedModel itself."""

    runtime = "tensorflow"

    @pytest.fixture
    def bench(self, doubler: Path, tmp_path: Path) -> Bench:
        return Bench(tensorflow_runner(), self.runtime, doubler, tmp_path)

    @pytest.fixture
    def doubler(self, saved_doubler: Path) -> Path:
        return saved_doubler


COUNTER = """
import sys, tensorflow as tf
module = tf.Module()
module.sum = tf.Variable([[5.0]])
def add(x):
    module.sum.assign_add(x)
    return {"y": module.sum.read_value()}
spec = tf.TensorSpec([1, 1], tf.float32, name="x")
concrete = tf.function(add).get_concrete_function(x=spec)
tf.saved_model.save(module, sys.argv[1], signatures={"serving_default": concrete})
"""


@pytest.mark.slow
def test_a_saved_model_begins_with_its_own_state(tmp_path: Path) -> None:
    model = tmp_path / "counter"
    tensorflow_script(COUNTER, model)
    bench = Bench(tensorflow_runner(), "tensorflow", model, tmp_path)
    bench.x = np.ones((5, 1), np.float32)
    apart = bench.answers(bench.request("evaluate", reset_state=True))
    assert apart[:, 0].tolist() == [6, 6, 6, 6, 6]
    stream = bench.answers(bench.request("evaluate", reset_state=True, streams=[0, 3]))
    assert stream[:, 0].tolist() == [6, 7, 8, 6, 7]


class Refused(Exception):
    """The runner's result is an error."""


def answers(model: Path, runtime: str, items: Path, folder: Path, **changes: Any) -> Floats:
    """The only output of a model of one input on all items."""
    named = {"lstm": "steps"}.get(model.stem, "image")
    request = {
        "mode": "evaluate",
        "runtime": runtime,
        "inputs": {named: str(items)},
        "models": [{"id": "model", "path": str(model), "outputs": str(folder / "outputs")}],
        **changes,
    }
    asked, answered = folder / "request.json", folder / "result.json"
    asked.write_text(json.dumps(request))
    command = [sys.executable, str(RUNNER_FILES[runtime]), str(asked), str(answered)]
    subprocess.run(command, check=False, capture_output=True, timeout=120)
    result = json.loads(answered.read_text())
    if "error" in result:
        raise Refused(result["error"]["message"])
    (written,) = (folder / "outputs").glob("*.npy")
    output: Floats = np.load(written)
    return output


# By what operators compute in, and the dtype of the weights.
TOLERANCES = {
    ("FLOAT32", "FLOAT32"): 1e-5,
    ("FLOAT32", "FLOAT16"): 0.01,
    ("FLOAT32", "INT8"): 0.05,
    ("INT16", "INT8"): 0.05,
}
FILES = {
    **{name: name for name, row in PRECISIONS.items() if row.weights != "INT4"},
    "dynamic@tflite-2.14": "dynamic",
    "mixed-by-name": "mixed",
}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("file", FILES)
def test_runner_answers_as_keras_does(
    converted: Path, tmp_path: Path, file: str, runtime: str
) -> None:
    row = PRECISIONS[FILES[file]]
    tolerance = TOLERANCES.get((row.activations, row.weights), 0.15)
    if (file, runtime) == ("dynamic", "tflite-runtime"):
        pytest.skip("it has no FULLY_CONNECTED 12: the next test")
    got = answers(
        converted / f"{file}.tflite",
        runtime,
        converted / "test.npy",
        tmp_path,
        preprocess={"scale": 1 / 16},
    )
    expected = np.load(converted / "test-digit.npy")
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < tolerance
    assert np.mean(got.argmax(1) == expected.argmax(1)) >= 0.97


@pytest.mark.parametrize("runtime", RUNTIMES[1:])
def test_runner_gives_the_runtimes_own_reason_when_it_lacks_an_operator(
    converted: Path, tmp_path: Path, runtime: str
) -> None:
    with pytest.raises(Refused, match="FULLY_CONNECTED"):
        answers(converted / "dynamic.tflite", runtime, converted / "test.npy", tmp_path)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize(("batch", "processes"), [(8, 1), (32, 1), (1, 2), (32, 2), ("auto", 1)])
def test_runner_answers_alike_at_any_batch_and_number_of_processes(
    converted: Path, tmp_path: Path, precision: str, batch: object, processes: int
) -> None:
    found = []
    for number, changes in enumerate(({"batch": 1}, {"batch": batch, "processes": processes})):
        folder = tmp_path / str(number)
        folder.mkdir()
        model = converted / f"{precision}.tflite"
        found.append(answers(model, "litert", converted / "test.npy", folder, **changes))
    assert np.abs(found[0] - found[1]).max() <= (0 if precision == "int8" else 1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_reset_state_keeps_items_apart_when_a_model_has_state(
    converted: Path, tmp_path: Path, runtime: str
) -> None:
    model, steps = converted / "lstm.tflite", converted / "steps.npy"
    expected = np.load(converted / "steps-score.npy")
    apart = answers(model, runtime, steps, tmp_path, reset_state=True)
    leaking = answers(model, runtime, steps, tmp_path, reset_state=False, batch=1)
    assert np.abs(apart - expected).max() < 1e-5
    assert np.abs(leaking - expected).max() > 0.01


class Planted:
    """A model of a batch of 2, whose output has no batch dimension."""

    batch = 2
    outputs: ClassVar[dict[str, TensorInfo]] = {"y": TensorInfo(1, (4,), np.float32, 0.0, 0)}

    def stage(self, feeds: object) -> None:
        """Take anything."""

    def invoke(self) -> None:
        """Do nothing."""

    def fetch(self) -> dict[str, Floats]:
        return {"y": np.zeros(4, np.float32)}


def test_output_without_a_batch_dimension_is_refused_not_cut_when_items_are_run_together() -> None:
    nothing = {"state": lambda *_: {}, "keep": lambda *_: None}
    job = SimpleNamespace(request={}, streams=[], **nothing)
    with pytest.raises(ValueError, match="'y' is shaped"):
        run_items(job, Planted(), {"x": np.zeros((2, 4), np.float32)}, 2)


@pytest.mark.parametrize(
    ("shape", "free", "item", "fitted_to", "whole"),
    [
        ((1, 2, 3), (), (2, 3), (1, 2, 3), False),
        ((8, 2, 3), (), (2, 3), (8, 2, 3), False),
        ((8, 2, 3), (), (8, 2, 3), (8, 2, 3), True),
        ((15600,), (), (15600,), (15600,), True),
        ((1,), (), (), (1,), False),
        ((), (), (), (), True),
        ((1, 1, 1, 3), (1, 2), (64, 48, 3), (1, 64, 48, 3), False),
        ((1, 1, 1, 1), (0, 1, 2), (64, 48), (1, 64, 48, 1), False),
        ((1, 2, 2, 1), (), (4,), (1, 2, 2, 1), False),
        ((1, 2, 2, 1), (), (5,), None, False),
        ((1, 1, 1, 3), (1, 2), (64, 48, 1), None, False),
    ],
    ids=str,
)
def test_an_input_takes_items_by_their_shape(
    shape: tuple[int, ...],
    free: tuple[int, ...],
    item: tuple[int, ...],
    fitted_to: tuple[int, ...] | None,
    whole: bool,
) -> None:
    tensor = TensorInfo(0, shape, np.float32, 0.0, 0, free)
    if fitted_to is None:
        with pytest.raises(ValueError, match=r"'x' is shaped .*, which takes no items of"):
            fitted("x", tensor, item)
        return
    found = fitted("x", tensor, item)
    assert (found.shape, found.whole) == (fitted_to, whole)


@pytest.mark.parametrize(
    ("names", "wanted", "chosen"),
    [
        ([], None, None),
        (["only"], None, "only"),
        (["a", "serving_default"], None, "serving_default"),
        (["a", "b"], "b", "b"),
    ],
    ids=str,
)
def test_a_signature_is_named_or_clear(
    names: list[str], wanted: str | None, chosen: str | None
) -> None:
    assert chosen_signature(names, wanted) == chosen


@pytest.mark.parametrize(("names", "wanted"), [(["learn", "infer"], None), (["infer"], "x")])
def test_a_signature_that_is_not_clear_is_an_error_with_their_names(
    names: list[str], wanted: str | None
) -> None:
    with pytest.raises(ValueError, match="'infer'"):
        chosen_signature(names, wanted)


def test_a_long_name_of_a_tensor_makes_a_short_file_name_of_its_own() -> None:
    long = "model/" + "block_ä/" * 60
    names = {file_name(long + end) for end in ("one", "two")}
    assert len(names) == 2
    assert max(len(name.encode()) for name in names) <= 160
    assert file_name("model/out:0") == "model_out_0"


def info(dtype: type, scale: float = 0.0, zero: int = 0) -> TensorInfo:
    return TensorInfo(0, (1, 4), dtype, scale, zero)


def encoded_one_by_one(
    raw: npt.NDArray[Any], tensor: TensorInfo, scale: float, offset: float
) -> npt.NDArray[Any]:
    """``x * scale + offset``, divided by the step, to the nearest even, clipped; in float32."""
    limits = np.iinfo(tensor.dtype) if tensor.scale else None
    found = []
    for value in raw.ravel():
        real = np.float32(value) * np.float32(scale) + np.float32(offset)
        if limits is None:
            found.append(real)
            continue
        steps = np.float32(real) / np.float32(tensor.scale)
        # round() is to the nearest even, as the runtimes' own QUANTIZE is.
        found.append(min(max(round(float(steps)) + tensor.zero, limits.min), limits.max))
    return np.array(found).astype(tensor.dtype).reshape(raw.shape)


@pytest.mark.parametrize("raw_dtype", [np.uint8, np.int16, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("size", [64, 5000])
@pytest.mark.parametrize(
    "tensor",
    [
        info(np.float32),
        info(np.int8, 1 / 255, -128),
        info(np.int8, 0.0373, 5),
        info(np.uint8, 0.02, 128),
        info(np.int16, 1e-4, 0),
    ],
    ids=["float32", "int8", "int8 offset", "uint8", "int16"],
)
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1 / 255, 0.0), (0.0078431, -1.0)])
def test_encode_equals_one_value_at_a_time_to_the_bit(
    raw_dtype: type, size: int, tensor: TensorInfo, scale: float, offset: float
) -> None:
    rng = np.random.default_rng(7)
    raw = rng.integers(0, 256, size).astype(raw_dtype)
    if np.issubdtype(raw_dtype, np.floating):
        raw = raw + rng.random(size).astype(raw_dtype)
    got = encode(raw, tensor, {"scale": scale, "offset": offset})
    expected = encoded_one_by_one(raw, tensor, scale, offset)
    assert got.dtype == tensor.dtype
    assert got.tobytes() == expected.tobytes()


def test_encode_looks_up_what_it_would_compute_when_raw_is_uint8() -> None:
    raw = np.arange(8192, dtype=np.int64).astype(np.uint8).reshape(8, 32, 32)
    tensor = info(np.int8, 0.0173, -3)
    looked_up = encode(raw, tensor, {"scale": 1 / 255, "offset": -0.5})
    computed = encode(raw.astype(np.int16), tensor, {"scale": 1 / 255, "offset": -0.5})
    assert looked_up.shape == raw.shape
    assert looked_up.tobytes() == computed.tobytes()


def test_encode_clips_what_lies_outside_the_inputs_range() -> None:
    raw = np.array([-1e9, 1e9, np.inf, -np.inf], np.float32)
    assert encode(raw, info(np.int8, 0.1, 0), {}).tolist() == [-128, 127, 127, -128]


def test_encode_keeps_indices_as_they_are() -> None:
    raw = np.array([0, 2**24 + 1, 2**31 - 1], np.int64)
    assert encode(raw, info(np.int32), {}).tolist() == raw.tolist()


@pytest.mark.parametrize(
    ("tensor", "values", "expected"),
    [
        (info(np.int8, 0.5, -128), [-128, -127, 127], [0.0, 0.5, 127.5]),
        (info(np.uint8, 0.25, 4), [0, 4, 255], [-1.0, 0.0, 62.75]),
        (info(np.float32), [1.5, -2.0], [1.5, -2.0]),
        (info(np.int64), [3, 4], [3.0, 4.0]),
    ],
)
def test_decode_gives_float32(tensor: TensorInfo, values: list[float], expected: object) -> None:
    got = decode(np.array(values, tensor.dtype), tensor)
    assert got.dtype == np.float32
    assert got.tolist() == expected


@pytest.mark.parametrize(
    ("path", "beside"),
    [
        (RUNNER_FILES["litert"], set()),
        (RUNNER_FILES["reference"], {"python_runner"}),
        (RUNNER_FILES["compiled-model"], {"python_runner"}),
        (FOLDER / "throughput.py", {"python_runner"}),
        (
            APPS / "linux_python" / "app.py",
            {
                "edgekit_signals",
                "pictures",
                "python_runner",
                "raw_items",
                "recorder",
                "sounds",
                "watch",
            },
        ),
        (APPS / "linux_python" / "pictures.py", {"PIL"}),
        (APPS / "linux_python" / "sounds.py", set()),
        (APPS / "linux_python" / "watch.py", {"python_runner", "recorder"}),
        (FOLDER / "recorder.py", set()),
        (FOLDER / "raw_items.py", set()),
        (APPS / "processing" / "numpy" / "edgekit_signals.py", set()),
    ],
    ids=[
        *("python_runner", "reference", "compiled_model", "throughput"),
        *("app", "pictures", "sounds", "watch", "recorder", "raw_items", "signals"),
    ],
)
def test_what_runs_on_a_device_is_python_39_and_imports_nothing_else(
    path: Path, beside: set[str]
) -> None:
    assert foreign_imports(path.read_text()) <= beside


@pytest.mark.parametrize(
    "fault", ["import requests", "from edgekit.types import Json", "from . import other"]
)
def test_foreign_imports_are_seen(fault: str) -> None:
    source = RUNNER_FILES["litert"].read_text() + f"\ndef planted():\n    {fault}\n"
    assert foreign_imports(source)


@pytest.mark.parametrize("fault", ["match 1:\n    case 1: pass", "with (open('a') as b, c): pass"])
def test_later_syntax_is_seen(fault: str) -> None:
    if fault.startswith("with"):
        fault = "try:\n    pass\nexcept* ValueError:\n    pass"
    with pytest.raises(SyntaxError):
        foreign_imports(RUNNER_FILES["litert"].read_text() + "\n" + fault + "\n")


def foreign_imports(source: str) -> set[str]:
    """Top-level names imported beyond the standard library and what a device must have."""
    found = set()
    for node in ast.walk(ast.parse(source, feature_version=(3, 9))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else str(node.module).partition(".")[0])
    return found - set(sys.stdlib_module_names) - ALLOWED


WITHOUT_KERAS = """
import sys
sys.path.insert(0, sys.argv[1])
import tensorflow_runner
tensorflow_runner.import_tensorflow()
assert "keras" not in sys.modules, "the reference starts twice as slowly"
import tensorflow
assert tensorflow.keras.__version__
"""


@pytest.mark.slow
def test_tensorflow_starts_without_keras_and_has_it_where_it_is_asked_for() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_KERAS, str(FOLDER)], check=True)
