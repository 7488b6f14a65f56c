"""What inspect says of published files, each fact known from elsewhere or counted by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.converters.inspection import Inspection, compare, to_json
from edgekit.errors import ModelError
from edgekit.inspection import fits, inspect

# MobileNetV1 0.25 at 128: (input size, channels in, channels out) of each separable block.
BLOCKS = (
    (64, 8, 16),
    (32, 16, 32),
    (32, 32, 32),
    (16, 32, 64),
    (16, 64, 64),
    (8, 64, 128),
    (8, 128, 128),
    (8, 128, 128),
    (8, 128, 128),
    (8, 128, 128),
    (8, 128, 128),
    (4, 128, 256),
    (4, 256, 256),
)
MOBILENET = 64 * 64 * 8 * 27 + 256 * 1001 + sum(s * s * (9 * a + a * b) for s, a, b in BLOCKS)
LSTM = 28 * (4 * 20 * 28 + 4 * 20 * 20) + 560 * 10


def codes(found: Inspection) -> set[str]:
    return {one.code for one in found.findings}


def verdicts(found: Inspection) -> set[str]:
    return {one.verdict for one in fits(found) if one.target.startswith("linux-")}


def is_mobilenet(found: Inspection) -> bool:
    (entry,) = found.entries
    (image,), (scores,) = entry.inputs, entry.outputs
    return (
        (image.dtype, image.shape, scores.dtype) == ("UINT8", "[1, 128, 128, 3]", "UINT8")
        and entry.macs.value == MOBILENET
        # The first pointwise layer: 64 * 64 * (8 in + 16 out), in bytes.
        and entry.memory.peak.value == 64 * 64 * 24
        and dict(found.precisions) == {"uint8": 31}
        and (found.runtime.release, found.runtime.claimed) == ("1.5.0", "1.5.0")
        and {one.name for one in found.metadata} == {"min_runtime_version", "TFLITE_METADATA"}
        and verdicts(found) == {"fits"}
    )


def is_edge_tpu(found: Inspection) -> bool:
    (only,) = (one for one in found.findings if one.code == "EK-INSPECT-007")
    return "Coral Edge TPU" in only.message and verdicts(found) == {"does not fit"}


def is_lstm(found: Inspection) -> bool:
    (entry,) = found.entries
    return (
        entry.macs.value == LSTM
        and "EK-INSPECT-009" in codes(found)
        and any(one.operator == "UNIDIRECTIONAL_SEQUENCE_LSTM" for one in found.layers)
    )


def is_partly_quantized(found: Inspection) -> bool:
    return (
        {"EK-INSPECT-001", "EK-INSPECT-041"} <= codes(found)
        and found.runtime.release == "2.17.0"
        and found.runtime.claimed == "1.5.0"
        and [len(one.nodes) for one in found.islands] == [3, 2]
        # Those whose newest runtime is older than 2.17 do not run it at all.
        and verdicts(found) == {"fits in part", "does not fit"}
    )


def is_dynamic(found: Inspection) -> bool:
    return (
        found.precisions["dynamic int8"] == 3
        and found.runtime.release == "2.17.0"
        and [str(need.operator) for need in found.runtime.forced_by] == ["FULLY_CONNECTED"]
        and "disable_per_channel" in found.runtime.avoid
    )


FACTS: dict[str, Callable[[Inspection], bool]] = {
    "coral/mobilenet_v1_0.25_128_quant": is_mobilenet,
    "coral/mobilenet_v1_0.25_128_quant_edgetpu": is_edge_tpu,
    "coral/keras_lstm_mnist_ptq": lambda f: is_lstm(f) and f.entries[0].inputs[0].dtype == "UINT8",
    "coral/keras_lstm_mnist_ptq_edgetpu": is_edge_tpu,
    "coral/split_concat": lambda f: (
        len(f.entries[0].inputs) == 3 and codes(f) == {"EK-INSPECT-011"}
    ),
    "coral/split_concat_edgetpu": is_edge_tpu,
    "misc_tflite/trained_lstm": lambda f: is_lstm(f) and f.precisions == {"float32": 4},
    "misc_tflite/trained_lstm_int8": lambda f: is_lstm(f) and f.precisions == {"int8": 4},
    "misc_tflite/partly_quantized_mnist": is_partly_quantized,
    "misc_tflite/mnist_quantized": lambda f: f.precisions["float32 (int8 weights)"] == 3,
    # Windows of 9 at 28 * 28 positions of 8 channels, and two dense layers.
    "misc_tflite/conv_fc_mnist": lambda f: (
        f.entries[0].macs.value == 28 * 28 * 8 * 9 + 1568 * 32 + 32 * 10
        and codes(f) == {"EK-INSPECT-004"}
    ),
    "misc_tflite/conv_fc_mnist_srq_a8w8": lambda f: (
        f.precisions == {"int8": 6} and "EK-INSPECT-042" in codes(f)
    ),
    "misc_tflite/duplicated_tensor_names": lambda f: "EK-INSPECT-036" in codes(f),
    "misc_tflite/hello_world_float": lambda f: f.entries[0].macs.value == 16 + 16 * 16 + 16,
    "misc_tflite/hello_world_int8": lambda f: f.entries[0].memory.peak.value == 16 + 16,
    "misc_tflite/two_signatures": lambda f: [e.key for e in f.entries] == ["add", "multiply"],
    "misc_tflite/weight_sharing_fcs": lambda f: (
        "EK-INSPECT-034" in codes(f) and sum(w.bytes for w in f.weights) == 32 * 16 * 4
    ),
    "models_fashion_cvishakh/fashion_mnist_model": is_dynamic,
    "bad_tflite/add": lambda f: codes(f) == set(),
    "bad_tflite/add_quantized_int8": lambda f: "EK-INSPECT-015" in codes(f),
    "bad_tflite/add_shared_tensors": lambda f: {"EK-INSPECT-013", "EK-INSPECT-014"} <= codes(f),
    "bad_tflite/conv_huge_im2col": lambda f: (f.entries[0].memory.peak.value or 0) > 7e8,
    "bad_tflite/custom_sinh": lambda f: (
        "EK-INSPECT-008" in codes(f) and f.runtime.custom == ("Sinh",)
    ),
    "bad_tflite/double_flex": lambda f: (
        "EK-INSPECT-006" in codes(f) and verdicts(f) == {"does not fit"}
    ),
    "bad_tflite/softplus_flex": lambda f: f.runtime.flex == ("FlexSoftplus",),
    "bad_tflite/dynamic_shapes": lambda f: (
        f.entries[0].outputs[0].shape == "[8, ?, 1024]"
        and f.entries[0].macs.how == f.entries[0].memory.peak.how == "unavailable"
    ),
    "bad_tflite/empty_model": lambda f: (
        codes(f) == {"EK-INSPECT-012"} and verdicts(f) == {"not known"}
    ),
    "bad_tflite/multi_add": lambda f: len(f.entries[0].inputs) == 4 and codes(f) == set(),
    "bad_tflite/multi_signatures": lambda f: [e.key for e in f.entries] == ["add", "sub"],
    "bad_tflite/segment_sum_invalid_buffer": lambda f: "EK-INSPECT-013" in codes(f),
    "bad_tflite/string_input_model": lambda f: "EK-INSPECT-010" in codes(f),
}
REFUSED = ("0_subgraphs", "no_subgraphs", "invalid_model", "test_model_broken")


@pytest.mark.parametrize("name", FACTS)
def test_published_file_is_explained_by_its_known_facts(test_data: Path, name: str) -> None:
    found = inspect(test_data / f"{name}.tflite")
    assert FACTS[name](found), json.dumps(to_json(found), indent=1)


@pytest.mark.parametrize("name", REFUSED)
def test_published_broken_file_is_refused_in_words(test_data: Path, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        inspect(test_data / "bad_tflite" / f"{name}.tflite")
    assert caught.value.code == "EK-MODEL-003"
    assert caught.value.hint


def test_every_published_file_has_its_facts(test_data: Path) -> None:
    known = {f"{name}.tflite" for name in (*FACTS, *(f"bad_tflite/{one}" for one in REFUSED))}
    assert {str(path.relative_to(test_data)) for path in test_data.glob("**/*.tflite")} == known


def test_published_pair_differs_by_its_precision(test_data: Path) -> None:
    folder = test_data / "misc_tflite"
    pair = [inspect(folder / f"{n}.tflite") for n in ("conv_fc_mnist", "conv_fc_mnist_srq_a8w8")]
    found = compare(*pair)
    assert all("float32 to int8" in one.changes for one in found.layers)
    assert (len(found.layers), found.same, found.operators) == (6, 0, ())
    assert found.memory[0].value == 4 * (found.memory[1].value or 0)


ALL = """
import io, json, resource, sys, time
from contextlib import redirect_stderr, redirect_stdout
from edgekit.cli.main import run
outcomes = {}
for path in sys.argv[1:]:
    begin, text = time.process_time(), io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        code = run(["inspect", path, "--layers", "all", "--verbose"])
    outcomes[path] = [code, time.process_time() - begin, text.getvalue()]
heavy = {"tensorflow", "keras", "tf_keras"} & set(sys.modules)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"outcomes": outcomes, "heavy": sorted(heavy), "memory": memory}))
"""


def test_published_files_are_answered_quickly_in_little_memory(test_data: Path) -> None:
    paths = sorted(map(str, test_data.glob("**/*.tflite")))
    done = subprocess.run(
        [sys.executable, "-c", ALL, *paths], check=True, capture_output=True, text=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["heavy"] == []
    assert answer["memory"] < 1 << 30
    for path, (code, seconds, text) in answer["outcomes"].items():
        assert code == (2 if Path(path).stem in REFUSED else 0), text
        assert seconds < 5
        assert "Traceback" not in text
