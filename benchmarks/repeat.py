"""`edgekit convert` of the example, first and repeated, and the fit board of its int8 file."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rows import Row, seconds

from edgekit.targets import catalog

LIMIT = 3.0
RATIO = 1.5
TURNS = 3
ROUNDS = 5


# Trains the example's network on its data, and converts it at its four precisions: nothing more.
PLAIN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import data, keras, tensorflow as tf
import model as example

x, y = data.train()
x = x.astype("float32") / 16
keras.utils.set_random_seed(0)
network = example.build()
network.fit(x, y, epochs=15, batch_size=32, verbose=0)
for precision in ("float32", "float16", "dynamic", "int8"):
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: ([x[i:i + 1]] for i in range(200))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    Path(sys.argv[1], precision + ".tflite").write_bytes(converter.convert())
"""


def rows() -> Iterator[Row]:
    """The first at most 1.5 times a plain script; the others under 3 s each."""
    yield _first()
    yield from _others()


def _first() -> Row:
    edgekit = Path(sys.executable).with_name("edgekit")
    first, plain = [], []
    for _ in range(TURNS):
        with tempfile.TemporaryDirectory() as folder:
            seconds([edgekit, "init", folder])
            first.append(seconds([edgekit, "convert"], Path(folder)))
            plain.append(seconds([sys.executable, "-c", PLAIN, folder]))
    ours, script = statistics.median(first), statistics.median(plain)
    return Row(
        f"first `edgekit convert` of the example, whole process (median of {TURNS}: {ours:.1f} s);"
        f" a plain script that only trains and converts {script:.1f} s",
        f"at most {RATIO} x the time",
        f"{ours / script:.2f} x",
        ours / script <= RATIO,
    )


def _others() -> Iterator[Row]:
    edgekit = Path(sys.executable).with_name("edgekit")
    with tempfile.TemporaryDirectory() as folder:
        seconds([edgekit, "init", folder])
        first = seconds([edgekit, "convert"], Path(folder))
        again = seconds([edgekit, "convert"], Path(folder))
        (model,) = Path(folder).glob("build/*/int8/model.tflite")
        fits = [seconds([edgekit, "targets", "fit", model]) for _ in range(ROUNDS)]
    yield Row(
        f"`edgekit convert` of the example, repeated unchanged (first run {first:.1f} s)",
        f"under {LIMIT:.0f} s",
        f"{again:.2f} s, {again / first:.3f} x",
        again < LIMIT,
    )
    board = statistics.median(fits)
    yield Row(
        f"`edgekit targets fit` of its int8 file, {len(catalog.names())} targets, every runtime"
        f" and compiler tried (median of {ROUNDS})",
        f"under {LIMIT:.0f} s",
        f"{board:.2f} s",
        board < LIMIT,
    )


if __name__ == "__main__":
    for row in rows():
        print(row.what, row.measured, row.kept, sep=" | ")
