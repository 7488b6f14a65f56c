"""The activation ranges of a float ``.tflite`` file, item by item. In the worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.converters import flatbuffer
from edgekit.converters.quantization.batches import single_item
from edgekit.errors import ConversionError

# Minimum and maximum of each item's tensors, all that min-max calibration looks at.
Ranges = npt.NDArray[np.float32]


def item_ranges(
    model: Path, feeds: Mapping[str, Path], count: int
) -> tuple[tuple[str, ...], Ranges]:
    """Return names of the float activations, and their ranges ``[n, tensors, 2]`` item by item.

    ``feeds`` are preprocessed items ``[N, ...]`` as ``.npy`` by the name of the input in the
    signature, or of the tensor where the file has none. The ``n`` items, ``count`` or N, what is
    less, are evenly spaced over them.
    Activations are float32 inputs and results of the main graph's operators, of kernels without a
    delegate, which fuses some away. State is reset before each item. Raises
    :class:`ConversionError` where the file cannot be run.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    names, places = _activations(model)
    try:
        interpreter = Interpreter(
            str(model),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.allocate_tensors()
        return names, _run(interpreter, _inputs(model, feeds), places, count)
    except (ValueError, RuntimeError) as error:
        message = f"{model.name} cannot be run to see its activations"
        raise ConversionError("EK-CONVERT-040", message, str(error)[:300]) from error


def _activations(model: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return names and indices of the float tensors that are computed, and of the inputs."""
    graph = flatbuffer.read(model).graphs[0]
    computed = dict.fromkeys(at for node in graph.nodes for at in node.outputs)
    places = tuple(
        at
        for at in (*graph.inputs, *(c for c in computed if c not in graph.inputs))
        if graph.tensors[at].dtype == "FLOAT32" and 0 not in graph.tensors[at].shape
    )
    return tuple(graph.tensors[at].name for at in places), places


def _inputs(model: Path, feeds: Mapping[str, Path]) -> Mapping[int, npt.NDArray[Any]]:
    """Load the feeds by tensor index."""
    file = flatbuffer.read(model)
    main = next((one for one in file.signatures if one.graph == 0), None)
    graph = file.graphs[0]
    names = main.inputs if main else {graph.tensors[at].name: at for at in graph.inputs}
    missing = [name for name in names if name not in feeds]
    if missing:
        message = f"there are no representative items for the input {missing[0]!r}"
        raise ConversionError("EK-CONVERT-041", message, f"the data has: {', '.join(feeds)}")
    return {at: np.load(feeds[name], mmap_mode="r") for name, at in names.items()}


def _run(
    interpreter: Any, feeds: Mapping[int, npt.NDArray[Any]], places: tuple[int, ...], count: int
) -> Ranges:
    available = min(len(array) for array in feeds.values())
    items = np.linspace(0, available, min(count, available), endpoint=False).astype(np.int64)
    ranges = np.zeros((len(items), len(places), 2), np.float32)
    arrays = {str(at): array for at, array in feeds.items()}
    details = interpreter.get_input_details()
    shapes = {str(one["index"]): [int(size) for size in one["shape"]] for one in details}
    for row, item in enumerate(items):
        interpreter.reset_all_variables()
        for key, value in single_item(arrays, shapes, int(item)).items():
            interpreter.set_tensor(int(key), value)
        interpreter.invoke()
        for number, at in enumerate(places):
            values = interpreter.get_tensor(at)
            if values.size:
                ranges[row, number] = values.min(), values.max()
    return ranges
