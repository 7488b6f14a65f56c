"""The SavedModel itself as a runtime: python_runner.py's protocol over TensorFlow.

Same command line and requests as ``python_runner.py``, which must lie beside this file.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import python_runner
from python_runner import Arrays, RuntimeMissing, TensorInfo


class SavedModel:
    """A SavedModel's signatures: ``serving_default`` (batch 1) and ``evaluate`` (any batch)."""

    def __init__(self, loaded: Any, tensorflow: Any, start: Any = None, batch: int = 1) -> None:
        self.batch = batch
        self._loaded, self._tf = loaded, tensorflow
        self._call = loaded.signatures["serving_default" if batch == 1 else "evaluate"]
        self.inputs = self._infos(self._call.structured_input_signature[1])
        self.outputs = self._infos(self._call.structured_outputs)
        self._feeds: dict[str, Any] = {}
        self._answers: dict[str, Any] = {}
        # What its variables begin with: a call may assign to them.
        self._start = start if start is not None else self._assigned()

    def _assigned(self) -> list[tuple[Any, Any]]:
        """Return the variables that a call assigns to, with what they hold."""
        definition = self._call.graph.as_graph_def()
        operators = {node.op for node in definition.node}
        operators |= {n.op for function in definition.library.function for n in function.node_def}
        if not any(name.startswith("Assign") for name in operators):
            return []
        return [(variable, variable.numpy()) for variable in self._call.variables]

    def _infos(self, specs: dict[str, Any]) -> dict[str, TensorInfo]:
        infos = {}
        for name, spec in specs.items():
            sizes = spec.shape.as_list()
            free = tuple(axis for axis, size in enumerate(sizes) if size is None)
            shape = tuple(1 if size is None else int(size) for size in sizes)
            infos[name] = TensorInfo(0, shape, spec.dtype.as_numpy_dtype, 0.0, 0, free)
        return infos

    def fit(self, items: dict[str, tuple[int, ...]]) -> None:
        """Take items of these shapes, by input."""
        self.inputs, self.batch = python_runner.fit(self.inputs, items)

    def with_batch(self, batch: int) -> SavedModel:
        if batch == self.batch:
            return self
        python_runner.check_batch(self.inputs, self.batch, batch)
        other = SavedModel(self._loaded, self._tf, self._start, batch)
        other.inputs = {name: info.shaped(batch) for name, info in self.inputs.items()}
        return other

    def stage(self, feeds: Arrays) -> None:
        self._feeds = {
            name: self._tf.constant(value.reshape(self.inputs[name].shape))
            for name, value in feeds.items()
        }

    def invoke(self) -> None:
        self._answers = self._call(**self._feeds)

    def fetch(self) -> Arrays:
        return {name: value.numpy() for name, value in self._answers.items()}

    def reset(self) -> None:
        """Have the variables as they were at the start."""
        for variable, value in self._start:
            variable.assign(value)


def import_tensorflow() -> python_runner.Opener:
    # A fifth of the import would be garbage collections, and a full one of the objects that it
    # makes takes 0.2 s, in the midst of what is timed.
    gc.disable()
    # More than a third would be Keras, of which a SavedModel needs nothing. What asks for
    # tensorflow.keras afterwards gets it.
    without_keras = sys.modules.setdefault("keras", None) is None  # type: ignore[arg-type]
    try:
        import tensorflow
    except ImportError as error:
        raise RuntimeMissing("tensorflow is not installed: pip install tensorflow") from error
    finally:
        if without_keras:
            del sys.modules["keras"]
        gc.freeze()
        gc.enable()

    def open_saved_model(path: str, threads: int, signature: str | None = None) -> SavedModel:
        if threads:
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
        loaded = tensorflow.saved_model.load(path)
        if signature not in (None, "serving_default"):
            python_runner.chosen_signature(["serving_default"], signature)
        return SavedModel(loaded, tensorflow)

    return open_saved_model


python_runner.RUNTIMES["tensorflow"] = (import_tensorflow, "tensorflow")

if __name__ == "__main__":
    sys.exit(python_runner.main(sys.argv[1:]))
