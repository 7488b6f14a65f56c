"""Calibrate a float ``.tflite`` file over representative items. In the worker.

Source: ``tensorflow.lite.python.optimize.calibrator``, which ``TFLiteConverter`` itself calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.converters.quantization.batches import in_batches
from edgekit.converters.quantization.editing import main_operators, tensor_name, unpack
from edgekit.errors import ConversionError

FILE = "calibrated.tflite"
FEWEST_ITEMS = 2
Feed = Callable[[], Iterator[list[npt.NDArray[Any]]]]


def calibrate(model: Path, feeds: Mapping[str, Path], folder: Path) -> Mapping[str, Any]:
    """Write ``calibrated.tflite``, the float file with each tensor's range, into ``folder``.

    ``feeds`` are preprocessed items ``[n, ...]`` as ``.npy``, in the model's dtypes, by the name of
    the input in the signature, or of the tensor where the file has none. The facts are ``items``,
    how many were fed, and ``operators``, ``[kind, name of the first output]`` each. Raises
    :class:`ConversionError`.
    """
    from tensorflow.lite.python.optimize import calibrator

    content = model.read_bytes()
    parsed = unpack(content)
    count, items = feed(parsed, feeds)
    try:
        ready = calibrator.add_intermediate_tensors(content)
        calibrated = calibrator.Calibrator(ready, [], []).calibrate(items)
    except (ValueError, RuntimeError, TypeError) as error:
        message = f"TensorFlow cannot calibrate {model.name}"
        raise ConversionError("EK-CONVERT-030", message, reason(error)) from error
    (folder / FILE).write_bytes(calibrated)
    return {
        "items": count,
        "operators": [[step.kind, step.name] for step in main_operators(parsed)],
    }


def feed(model: Any, feeds: Mapping[str, Path]) -> tuple[int, Feed]:
    """Count the items, and build a generator of lists in the order of the graph's inputs.

    TensorFlow's own mapping of dictionaries goes by tensor index, which need not be that order.
    """
    graph = model.subgraphs[0]
    names = input_names(model)
    missing = [name for name in names if name not in feeds]
    if missing:
        message = f"there are no representative items for the input {missing[0]!r}"
        hint = f"the model's inputs are: {', '.join(names)}; the data has: {', '.join(feeds)}"
        raise ConversionError("EK-CONVERT-031", message, hint)
    arrays = [np.load(feeds[name], mmap_mode="r") for name in names]
    count = min((len(array) for array in arrays), default=0)
    if count < FEWEST_ITEMS:
        hint = "give real items with --representative FILE.npz or --data; 100 to 500 are usual"
        message = f"quantizing needs a representative dataset; {count} items are not enough"
        raise ConversionError("EK-CONVERT-002", message, hint)
    by_name = dict(zip(names, arrays, strict=True))
    shapes = {
        name: [int(size) for size in graph.tensors[at].shape]
        for name, at in zip(names, graph.inputs, strict=True)
    }

    def generate() -> Iterator[list[npt.NDArray[Any]]]:
        for batch in in_batches(by_name, shapes):
            yield [batch[name] for name in names]

    return count, generate


def input_names(model: Any) -> list[str]:
    """Return the names of a ``ModelT``'s inputs in the graph's order, from the signature if it
    has one.
    """
    graph = model.subgraphs[0]
    names = {at: tensor_name(graph.tensors[at]) for at in graph.inputs}
    for signature in model.signatureDefs or ():
        if not signature.subgraphIndex:
            for entry in signature.inputs:
                names[entry.tensorIndex] = entry.name.decode()
            break
    return [names[at] for at in graph.inputs]


def reason(error: Exception) -> str:
    """Return the first line of TensorFlow's error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
