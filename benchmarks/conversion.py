"""Four precisions of MobileNetV2-224, whole process, against plain scripts a user would write."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rows import Row, seconds

ROUNDS = 3

MAKE = """
import sys, numpy as np, keras
keras.utils.set_random_seed(0)
keras.applications.MobileNetV2(weights=None).save(sys.argv[1])
x = np.random.default_rng(0).uniform(-1, 1, (20, 224, 224, 3)).astype("float32")
np.savez(sys.argv[2], x=x)
"""

CONVERT = """
def settings(converter, precision):
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: ([x[i:i + 1]] for i in range(len(x)))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter

for precision in ("float32", "float16", "dynamic", "int8"):
    content = settings(make(), precision).convert()
    open(f"{out}/{precision}.tflite", "wb").write(content)
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


def rows() -> Iterator[Row]:
    """edgekit: at most 0.6 times from_keras_model, and 1.25 times the best SavedModel script."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, data = folder / "mobilenet.keras", folder / "items.npz"
        subprocess.run(
            [sys.executable, "-c", MAKE, str(model), str(data)], check=True, capture_output=True
        )
        taken: dict[str, list[float]] = {"edgekit": [], "keras": [], "saved": []}
        for _ in range(ROUNDS):
            for side in taken:
                out = folder / "out"
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                taken[side].append(seconds(_command(side, model, data, out)))
        ours, keras, saved = (statistics.median(times) for times in taken.values())
    what = f"MobileNetV2-224 at four precisions, whole process (median of {ROUNDS}): edgekit"
    for script, theirs, bar in (
        ("four `from_keras_model`", keras, 0.6),
        ("the best script through a SavedModel", saved, 1.25),
    ):
        yield Row(
            f"{what} {ours:.1f} s, {script} {theirs:.1f} s",
            f"at most {bar} x",
            f"{ours / theirs:.2f} x",
            ours <= bar * theirs,
        )


def _command(side: str, model: Path, data: Path, out: Path) -> list[object]:
    if side == "edgekit":
        edgekit = Path(sys.executable).with_name("edgekit")
        return [edgekit, "convert", model, "--representative", data, "--no-evaluate",
                "--output", out, "-q"]  # fmt: skip
    script = FROM_KERAS if side == "keras" else FROM_SAVED_MODEL
    return [sys.executable, "-c", script, model, data, out]
