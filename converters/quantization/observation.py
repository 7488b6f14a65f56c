"""Read a ``.tflite`` file's tensors while it runs on representative items. In the worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.converters.quantization.batches import single_item
from edgekit.converters.quantization.calibration import input_names
from edgekit.converters.quantization.editing import tensor_name, unpack

Floats = npt.NDArray[np.float32]


class Observer:
    """Runs one file item by item, and reads its tensors as real numbers, by name.

    It runs without a delegate, which would hide the tensors between operators. With
    ``inside`` false only inputs and outputs can be read, in less memory.
    """

    def __init__(self, content: bytes, inside: bool = True) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=inside,
        )
        self._interpreter.allocate_tensors()
        self._inputs = self._interpreter.get_input_details()
        details = self._interpreter.get_tensor_details()
        self._tensors = {tensor["name"]: tensor for tensor in details}
        model = unpack(content)
        self._names = input_names(model)
        outputs = model.subgraphs[0].outputs
        self.outputs = [tensor_name(model.subgraphs[0].tensors[at]) for at in outputs]

    def run(self, feeds: Mapping[str, Path], items: int) -> Iterator[None]:
        """Run the first items, one at a time, so that tensors can be read between two."""
        arrays = {name: np.load(feeds[name], mmap_mode="r") for name in self._names}
        details = dict(zip(self._names, self._inputs, strict=True))
        shapes = {n: [int(size) for size in d["shape"]] for n, d in details.items()}
        for at in range(min(items, *(len(array) for array in arrays.values()))):
            for name, values in single_item(arrays, shapes, at).items():
                detail = details[name]
                value = quantized(values, detail)
                self._interpreter.set_tensor(detail["index"], value)
            self._interpreter.reset_all_variables()
            self._interpreter.invoke()
            yield

    def read(self, name: str) -> Floats:
        """Return a tensor's real values after the latest item."""
        detail = self._tensors[name]
        return real(self._interpreter.get_tensor(detail["index"]), detail)

    def raw(self, name: str) -> npt.NDArray[Any]:
        """Return a tensor as it is stored, after the latest item."""
        found: npt.NDArray[Any] = self._interpreter.get_tensor(self._tensors[name]["index"])
        return found

    def holds(self, names: Iterable[str]) -> list[str]:
        """Return those of the names that the file has."""
        return [name for name in names if name in self._tensors]


def quantized(values: npt.NDArray[Any], detail: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Quantize real values as a tensor stores them: ``values / scale + zero_point``, rounded."""
    scale, zero = detail["quantization"]
    if not scale:
        return np.asarray(values, detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    steps = np.round(values / scale + zero)
    found: npt.NDArray[Any] = np.clip(steps, limits.min, limits.max).astype(detail["dtype"])
    return found


def real(values: npt.NDArray[Any], detail: Mapping[str, Any]) -> Floats:
    """Dequantize a tensor's stored values: ``scale · (values - zero_point)``."""
    scale, zero = detail["quantization"]
    if not scale:
        return np.asarray(values, np.float32)
    return np.asarray((values.astype(np.float32) - zero) * scale, np.float32)
