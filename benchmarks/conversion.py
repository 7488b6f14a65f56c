"""All precisions of MobileNetV2-224, whole process, against plain scripts a user would write."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rows import Row, watched

ROUNDS = 3
PRECISIONS = (
    "float32",
    "float16",
    "dynamic",
    "int8",
    "int8-float-io",
    "uint8-io",
    "int16x8",
    "int4",
    "int4-block32",
)

MAKE = """
import sys, numpy as np, keras
keras.utils.set_random_seed(0)
keras.applications.MobileNetV2(weights=None).save(sys.argv[1])
x = np.random.default_rng(0).uniform(-1, 1, (20, 224, 224, 3)).astype("float32")
np.savez(sys.argv[2], x=x)
"""

CONVERT = f"""
SETS = {{"int16x8": "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"}}
EDGES = {{"int8": "int8", "int8-float-io": "float32", "uint8-io": "uint8", "int16x8": "int16"}}

def settings(converter, precision):
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision in EDGES:
        operators = getattr(tf.lite.OpsSet, SETS.get(precision, "TFLITE_BUILTINS_INT8"))
        converter.representative_dataset = lambda: ([x[i:i + 1]] for i in range(len(x)))
        converter.target_spec.supported_ops = [operators]
        edge = getattr(tf, EDGES[precision])
        converter.inference_input_type = converter.inference_output_type = edge
    return converter

def weights(precision):
    from ai_edge_quantizer import qtyping, quantizer, recipe_manager
    rules, every = recipe_manager.RecipeManager(), qtyping.TFLOperationName.ALL_SUPPORTED
    rules.add_weight_only_config(".*", every, 4)
    if precision == "int4-block32":
        dense = qtyping.TFLOperationName.FULLY_CONNECTED
        rules.add_dynamic_config(".*", dense, 4, qtyping.QuantGranularity.BLOCKWISE_32)
    made = quantizer.Quantizer(f"{{out}}/float32.tflite", rules.get_quantization_recipe())
    return made.quantize().quantized_model

for precision in {PRECISIONS!r}:
    content = weights(precision) if "int4" in precision else settings(make(), precision).convert()
    open(f"{{out}}/{{precision}}.tflite", "wb").write(content)
"""

FROM_KERAS = f"""
import sys, numpy as np, keras, tensorflow as tf
model = keras.models.load_model(sys.argv[1], compile=False)
x, out = np.load(sys.argv[2])["x"], sys.argv[3]
make = lambda: tf.lite.TFLiteConverter.from_keras_model(model)
{CONVERT}
"""

# The best plain script found: a SavedModel with batch 1, exported once.
FROM_SAVED_MODEL = f"""
import sys, numpy as np, keras, tensorflow as tf
model = keras.models.load_model(sys.argv[1], compile=False)
x, out = np.load(sys.argv[2])["x"], sys.argv[3]
module = tf.Module()
module.variables_ = [v.value for v in model.variables]
call = tf.function(lambda image: model(image, training=False), autograph=False)
concrete = call.get_concrete_function(tf.TensorSpec((1, 224, 224, 3), tf.float32))
tf.saved_model.save(module, f"{{out}}/saved", signatures=concrete)
make = lambda: tf.lite.TFLiteConverter.from_saved_model(f"{{out}}/saved")
{CONVERT}
"""
SIDES = ("edgekit", "keras", "saved")


def rows() -> Iterator[Row]:
    """edgekit: at most 0.6 times from_keras_model, 1.25 times the best SavedModel script."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, data = folder / "mobilenet.keras", folder / "items.npz"
        subprocess.run(
            [sys.executable, "-c", MAKE, str(model), str(data)], check=True, capture_output=True
        )
        taken: dict[str, list[tuple[float, int]]] = {side: [] for side in SIDES}
        for _ in range(ROUNDS):
            for side in SIDES:
                out = folder / "out"
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                taken[side].append(watched(_command(side, model, data, out)))
    seconds = {side: statistics.median(s for s, _ in pairs) for side, pairs in taken.items()}
    peaks = {side: statistics.median(p for _, p in pairs) / 1e6 for side, pairs in taken.items()}
    yield from _compared(seconds, peaks)


def _compared(seconds: Mapping[str, float], peaks: Mapping[str, float]) -> Iterator[Row]:
    count = len(PRECISIONS)
    ours = f"edgekit {seconds['edgekit']:.1f} s, {peaks['edgekit']:,.0f} MB at most"
    what = f"MobileNetV2-224 at {count} precisions, whole process (median of {ROUNDS}): {ours}"
    for side, script, bar in (
        ("keras", "the script of `from_keras_model`", 0.6),
        ("saved", "the best script through a SavedModel", 1.25),
    ):
        ratio, memory = seconds["edgekit"] / seconds[side], peaks["edgekit"] / peaks[side]
        yield Row(
            f"{what}; {script} {seconds[side]:.1f} s, {peaks[side]:,.0f} MB",
            f"at most {bar} x the time",
            f"{ratio:.2f} x the time, {memory:.2f} x the memory",
            ratio <= bar,
        )


def _command(side: str, model: Path, data: Path, out: Path) -> Sequence[object]:
    if side == "edgekit":
        edgekit = Path(sys.executable).with_name("edgekit")
        wanted = [f"--precision={precision}" for precision in PRECISIONS]
        return [
            edgekit,
            "convert",
            model,
            "--representative",
            data,
            "--no-evaluate",
            "--output",
            out,
            "-q",
            *wanted,
        ]
    script = FROM_KERAS if side == "keras" else FROM_SAVED_MODEL
    return [sys.executable, "-c", script, model, data, out]
