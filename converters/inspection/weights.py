"""The constants of a file by layer: bytes, share, zeros, distinct values, and zipped size."""

from __future__ import annotations

import functools
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.converters.flatbuffer import FLOATS, Graph, Tensor, TFLiteFile
from edgekit.converters.inspection.shapes import node_name, short
from edgekit.errors import ModelError
from edgekit.types import Measurement
from edgekit.types.details import TensorSize

# As zip archives are written by default.
LEVEL = 6
UNPACKING = frozenset({"DEQUANTIZE", "DENSIFY"})
UNUSED = "(unused)"
INTEGER_WEIGHTS = frozenset({"INT8", "UINT8", "INT4", "UINT4", "INT16"})
# Only buffers that overlap add up to more than the file.
OVERLAP = "its bytes are those of other constants too"


@dataclass(frozen=True)
class WeightSummary:
    """One constant tensor.

    ``layer`` is the operator that reads it, by its output; ``bytes`` in the file, 0 where another
    row holds the same buffer (``shared_with`` names its tensor); ``share`` of the file.
    ``sparsity`` is the share of elements that stand for 0, ``unique`` the number of different
    ones, ``finite`` whether none is NaN or infinite: absent where ``problem`` says why.
    ``zip_bytes`` is its content deflated alone; equal content has an equal ``digest``.
    """

    layer: str
    operator: str
    tensor: str
    graph: int
    index: int
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    share: float
    sparsity: float | None = None
    unique: int | None = None
    finite: bool | None = None
    zip_bytes: int = 0
    digest: str = ""
    shared_with: str = ""
    problem: str = ""


def weights(file: TFLiteFile) -> tuple[WeightSummary, ...]:
    """Return every constant tensor, largest first; a shared buffer is counted once."""
    # Sorting and deflating leave Python's lock, so that two threads take half the time.
    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(lambda measure: measure(), _rows(file)))
    return tuple(sorted(rows, key=lambda row: (-row.bytes, row.graph, row.index)))


def sparsity(file: TFLiteFile) -> Measurement:
    """Return the share of elements that stand for 0, of all weights: constants of several axes.

    Biases, scales and shapes do not count. Unavailable where a weight cannot be read.
    """
    zeros = total = 0
    read: set[int] = set()
    for graph in file.graphs:
        for tensor in graph.constants():
            kind = tensor.dtype in FLOATS or tensor.dtype in INTEGER_WEIGHTS
            if len(tensor.shape) < 2 or not kind or tensor.buffer in read:
                continue
            read.add(tensor.buffer)
            try:
                values = file.array(tensor)
            except ModelError as error:
                return Measurement.unavailable("1", error.message)
            if values is None:
                reason = f"the numbers of {short(tensor.name)!r} are not stored one by one"
                return Measurement.unavailable("1", reason)
            zeros += int(np.count_nonzero(values == _zero(tensor)))
            total += values.size
    if not total:
        return Measurement.unavailable("1", "the file has no weights")
    return Measurement(zeros / total, "1", n=total, tool="weights in the file")


def _rows(file: TFLiteFile) -> Iterator[Callable[[], WeightSummary]]:
    owners: dict[int, str] = {}
    left = file.size
    for number, graph in enumerate(file.graphs):
        reading = readers(graph)
        for tensor in graph.constants():
            layer, operator = reading.get(tensor.index, (UNUSED, ""))
            place = (layer, operator, short(tensor.name), number, tensor.index)
            if tensor.buffer in owners:
                owner = owners[tensor.buffer]
                shape = (tensor.dtype, tensor.shape)
                yield functools.partial(WeightSummary, *place, *shape, 0, 0.0, shared_with=owner)
            elif tensor.bytes > left:
                yield functools.partial(
                    WeightSummary, *place, tensor.dtype, tensor.shape, 0, 0.0, problem=OVERLAP
                )
            else:
                left -= tensor.bytes
                owners[tensor.buffer] = short(tensor.name)
                yield functools.partial(_measured, file, tensor, place)


def _measured(
    file: TFLiteFile, tensor: Tensor, place: tuple[str, str, str, int, int]
) -> WeightSummary:
    content = file.data(tensor)
    sparsity = unique = finite = None
    problem = "it is sparse: only what is not 0 is stored" if tensor.sparse else ""
    try:
        values = file.array(tensor)
        if values is not None and values.size:
            sparsity, unique, finite = _figures(values, _zero(tensor))
        elif not problem:
            problem = f"{tensor.dtype} has no numbers to count"
    except ModelError as error:
        problem = error.message
    return WeightSummary(
        *place,
        tensor.dtype,
        tensor.shape,
        len(content),
        len(content) / file.size,
        sparsity,
        unique,
        finite,
        len(zlib.compress(content, LEVEL)),
        hashlib.blake2b(content, digest_size=16).hexdigest(),
        "",
        problem,
    )


def _zero(tensor: Tensor) -> int:
    """Return the integer that stands for 0; per-channel weights have 0 itself."""
    quantization = tensor.quantization
    single = quantization is not None and len(quantization.zero_points) == 1
    return quantization.zero_points[0] if quantization is not None and single else 0


def _figures(values: npt.NDArray[np.generic], zero: int) -> tuple[float, int, bool | None]:
    """Compute sparsity, the number of different values, and whether all are finite."""
    flat = values.reshape(-1)
    if flat.dtype.itemsize == 1:
        counts = np.bincount(flat.view(np.uint8), minlength=256)
        return float(counts[zero & 255] / flat.size), int(np.count_nonzero(counts)), True
    is_real = flat.dtype.kind == "f"
    zeros = int(np.count_nonzero(flat == (0 if is_real else zero)))
    whole = bool(np.isfinite(flat).all()) if flat.dtype.kind in "fc" else True
    return zeros / flat.size, _unique(flat), whole


def _unique(flat: npt.NDArray[np.generic]) -> int:
    """Count the different values: sorted as integers of the same bits, which is fast."""
    if flat.dtype.itemsize in (2, 4, 8):
        if flat.dtype.kind == "f":
            # 0.0 and -0.0 are one value.
            flat = np.add(flat, 0, dtype=flat.dtype)
        bits = np.sort(flat.view(f"i{flat.dtype.itemsize}"))
        return 1 + int(np.count_nonzero(bits[1:] != bits[:-1]))
    return len(np.unique(flat))


def readers(graph: Graph) -> Mapping[int, tuple[str, str]]:
    """Find the operator that reads each tensor first: its output's name and its kind.

    What DEQUANTIZE and DENSIFY unpack belongs to the operator behind them.
    """
    places: dict[int, tuple[str, str]] = {}
    for node in reversed(graph.nodes):
        place = (node_name(graph, node), node.operator)
        if node.operator in UNPACKING and node.outputs:
            place = places.get(node.outputs[0], place)
        places.update({i: place for i in node.inputs if i >= 0})
    return places


def remainder(
    file: TFLiteFile, rows: Sequence[WeightSummary] | Sequence[TensorSize]
) -> Mapping[str, int]:
    """Return the bytes of a file that are not weights: metadata, unused buffers, the structure."""
    weight_bytes = sum(row.bytes for row in rows)
    metadata = sum(map(len, file.metadata.values()))
    used = {t.buffer for graph in file.graphs for t in graph.tensors}
    unused = sum(size for at, size in enumerate(file.buffers) if at not in used) - metadata
    structure = file.size - weight_bytes - metadata - max(unused, 0)
    return {"metadata": metadata, "unused": max(unused, 0), "structure": max(structure, 0)}
