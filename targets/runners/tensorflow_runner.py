"""The SavedModel itself as a runtime: python_runner.py's protocol over TensorFlow.

Same command line and requests as ``python_runner.py``, which must lie beside this file.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import python_runner
from python_runner import Arrays, RuntimeMissing, TensorInfo


class SavedModel:
    """A SavedModel's signatures: ``serving_default`` (batch 1) and ``evaluate`` (any batch)."""

    def __init__(self, loaded: Any, tensorflow: Any, batch: int = 1) -> None:
        self.batch = batch
        self._loaded, self._tf = loaded, tensorflow
        self._call = loaded.signatures["serving_default" if batch == 1 else "evaluate"]
        self.inputs = self._infos(self._call.structured_input_signature[1])
        self.outputs = self._infos(self._call.structured_outputs)
        self._feeds: dict[str, Any] = {}
        self._answers: dict[str, Any] = {}

    def _infos(self, specs: dict[str, Any]) -> dict[str, TensorInfo]:
        return {
            name: TensorInfo(0, tuple(spec.shape.as_list()), spec.dtype.as_numpy_dtype, 0.0, 0)
            for name, spec in specs.items()
        }

    def with_batch(self, batch: int) -> SavedModel:
        return self if batch == self.batch else SavedModel(self._loaded, self._tf, batch)

    def stage(self, feeds: Arrays) -> None:
        self._feeds = {name: self._tf.constant(value) for name, value in feeds.items()}

    def invoke(self) -> None:
        self._answers = self._call(**self._feeds)

    def fetch(self) -> Arrays:
        return {name: value.numpy() for name, value in self._answers.items()}

    def reset(self) -> None:
        """A SavedModel keeps no state between calls."""


def import_tensorflow() -> python_runner.Opener:
    try:
        import tensorflow
    except ImportError as error:
        raise RuntimeMissing("tensorflow is not installed: pip install tensorflow") from error

    def open_saved_model(path: str, threads: int) -> SavedModel:
        if threads:
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
        return SavedModel(tensorflow.saved_model.load(path), tensorflow)

    return open_saved_model


python_runner.RUNTIMES["tensorflow"] = (import_tensorflow, "tensorflow")

if __name__ == "__main__":
    sys.exit(python_runner.main(sys.argv[1:]))
