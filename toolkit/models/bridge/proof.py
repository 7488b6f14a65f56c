"""Prove on numbers that a twin's outputs equal its original's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import CompressionError
from edgekit.models.bridge.graph import functional, read, tensors
from edgekit.models.load import is_keras3

Array = npt.NDArray[Any]

TOLERANCE = 1e-4
BATCH = 8
# Distributions of random inputs: around zero, scaled as images, and wide.
SPREADS = ("normal", "uniform", "wide")
REAL_BATCH = 32
# From this many calls, or time steps, on a graph pays off.
MANY, LONG = 8, 48
# Tried in turn for axes that the model leaves free.
SIZES = (12, 32, 48, 64, 96, 128, 224, 256, 299, 331)
# Integers of an input whose use does not say how large they may be.
INTEGERS = 256


@dataclass(frozen=True)
class EquivalenceProof:
    """Largest differences of the outputs, each relative to its output's range.

    ``random`` over random inputs, ``real`` over ``items`` real ones (None without any).
    """

    random: float
    real: float | None
    tolerance: float
    items: int


def prove_equal(model: Any, twin: Any, samples: Sequence[Array] | None) -> EquivalenceProof:
    """Compare both in inference mode on random inputs and on ``samples``.

    ``samples``: real preprocessed items, one array ``[n, ...]`` per input in the model's order.
    Raises :class:`CompressionError` (EK-COMPRESS-003) where they differ by more than 1e-4 of an
    output's range, or where the model gives no finite number to compare.
    """
    shapes = _shapes(model, twin, samples)
    calls = len(SPREADS) + (0 if samples is None else len(samples[0]) // REAL_BATCH)
    pair = _Pair(model, twin, shapes, calls)
    random = pair.worst(_random_batches(model, twin, shapes), "random inputs")
    if samples is None or len(samples[0]) == 0:
        return EquivalenceProof(random, None, TOLERANCE, 0)
    fixed = next((t.shape[0] for t in model.inputs if t.shape[0] is not None), None)
    size = int(fixed or REAL_BATCH)
    # A model of a fixed batch cannot run an incomplete one.
    items = len(samples[0]) // size * size if fixed else len(samples[0])
    parts = ([array[start : start + size] for array in samples] for start in range(0, items, size))
    real = pair.worst(parts, "real items") if items else None
    return EquivalenceProof(random, real, TOLERANCE, items)


def infer(model: Any, batch: Sequence[Array]) -> list[Array]:
    """Run a model in inference mode: its outputs, flat and in order, for one array per input."""
    return _run(_forward(model), model, batch)


def _forward(model: Any) -> Callable[[list[Any]], list[Any]]:
    """Return a model as a function of flat inputs to flat outputs, whatever structures it has."""
    import tensorflow as tf

    if is_keras3(model):
        import keras

        structure, tree = functional(model)._inputs_struct, keras.tree
    else:
        structure, tree = model._nested_inputs, tf.nest

    def forward(flat: list[Any]) -> list[Any]:
        packed = tree.pack_sequence_as(structure, flat)
        if isinstance(packed, (list, tuple)) and len(packed) == 1:
            (packed,) = packed
        return list(tree.flatten(model(packed, training=False)))

    return forward


def _run(
    forward: Callable[[list[Any]], list[Any]], model: Any, batch: Sequence[Array]
) -> list[Array]:
    import tensorflow as tf

    inputs = [
        tf.cast(array, getattr(tensor.dtype, "name", tensor.dtype))
        for array, tensor in zip(batch, model.inputs, strict=True)
    ]
    return [np.asarray(answer) for answer in forward(inputs)]


class _Pair:
    """A model and its twin, run on the same inputs."""

    def __init__(
        self, model: Any, twin: Any, shapes: Sequence[tuple[int, ...]], calls: int
    ) -> None:
        import tensorflow as tf

        self.model = model
        self.both = [_forward(model), _forward(twin)]
        loops = any(
            hasattr(layer, "cell") or hasattr(layer, "forward_layer") for layer in twin.layers
        )
        long = any(max(shape[1:2], default=0) > LONG for shape in shapes)
        # A graph is expensive to build, and cheap to run often or over many time steps.
        if calls > MANY or (loops and long):
            self.both = [tf.function(forward, autograph=False) for forward in self.both]

    def worst(self, batches: Iterable[list[Array]], of: str) -> float:
        """Return the largest relative difference over batches of inputs."""
        worst, finite = 0.0, False
        for batch in batches:
            expected, actual = (_run(forward, self.model, batch) for forward in self.both)
            for number, pair in enumerate(zip(expected, actual, strict=True)):
                difference, compared = _difference(*pair)
                finite = finite or compared
                if not difference <= TOLERANCE:
                    name = f"output {number}" if len(expected) > 1 else "its output"
                    where = f"on {of}, {name} differs by {difference:.1e} of its range"
                    raise _refusal(f"the model rebuilt in tf_keras gives other outputs: {where}")
                worst = max(worst, difference)
        if not finite:
            raise _refusal(
                f"the model's outputs on {of} hold no finite number: nothing can be compared"
            )
        return worst


def _difference(expected: Array, actual: Array) -> tuple[float, bool]:
    """Return the largest relative difference, and whether any finite number was compared."""
    if expected.shape != actual.shape:
        return float("inf"), True
    left, right = expected.astype(np.float64), actual.astype(np.float64)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    finite = np.isfinite(left)
    if not np.all(same[~finite]):
        return float("inf"), True
    if not finite.any():
        return 0.0, False
    # np.max keeps a NaN of the twin.
    scale = max(float(np.max(np.abs(left[finite]))), 1e-6)
    return float(np.max(np.abs(left[finite] - right[finite]))) / scale, True


def _refusal(message: str) -> CompressionError:
    hint = (
        "this is a fault of edgekit's bridge: please report the model; convert without compression"
    )
    return CompressionError("EK-COMPRESS-003", message, hint)


def _random_batches(
    model: Any, twin: Any, shapes: Sequence[tuple[int, ...]]
) -> Iterator[list[Array]]:
    limits = _limits(twin)
    for seed, spread in enumerate(SPREADS):
        yield _batch(model, shapes, limits, np.random.default_rng(seed), spread)


def _batch(
    model: Any,
    shapes: Sequence[tuple[int, ...]],
    limits: Sequence[int | None],
    rng: np.random.Generator,
    spread: str,
) -> list[Array]:
    batch: list[Array] = []
    for tensor, shape, limit in zip(model.inputs, shapes, limits, strict=True):
        dtype = np.dtype(getattr(tensor.dtype, "as_numpy_dtype", tensor.dtype))
        if dtype.kind == "b":
            batch.append(rng.integers(0, 2, shape).astype(bool))
        elif limit is not None or dtype.kind in "iu":
            most = min(limit or INTEGERS, np.iinfo(dtype).max if dtype.kind in "iu" else INTEGERS)
            batch.append(rng.integers(0, most, shape).astype(dtype))
        else:
            values = rng.uniform(size=shape) if spread == "uniform" else rng.normal(size=shape)
            values *= 4 if spread == "wide" else 1
            batch.append(values.astype(dtype))
    return batch


def _shapes(model: Any, twin: Any, samples: Sequence[Array] | None) -> list[tuple[int, ...]]:
    """Choose a shape for each input: free axes as in the samples, else the first size that runs."""
    free = [tuple(tensor.shape) for tensor in model.inputs]
    batch = next((shape[0] for shape in free if shape[0] is not None), BATCH)
    if samples is not None:
        return [(batch, *array.shape[1:]) for array in samples]
    if all(size is not None for shape in free for size in shape[1:]):
        return [(batch, *shape[1:]) for shape in free]
    limits, reason = _limits(twin), "it has no input"
    for size in SIZES:
        shapes = [(batch, *(size if s is None else s for s in shape[1:])) for shape in free]
        try:
            outputs = infer(
                model, _batch(model, shapes, limits, np.random.default_rng(0), "normal")
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            continue
        if all(answer.size for answer in outputs):
            return shapes
    message = (
        f"the model ran at none of the sizes tried for its free axes ({SIZES[0]} to {SIZES[-1]})"
    )
    raise CompressionError(
        "EK-COMPRESS-003", message, f"give it an Input of a fixed shape. {reason}"
    )


def _limits(twin: Any) -> list[int | None]:
    """Find for each input the bound of its integers if it is an index; else None."""
    consumers: dict[int, list[Any]] = {}
    graph = read(twin)
    for call in graph.calls:
        for tensor in tensors([call.args, dict(call.kwargs)]):
            consumers.setdefault(id(tensor), []).append(call)
    bounds: list[int | None] = []
    for tensor in graph.inputs:
        limits, waiting, seen = [], [tensor], set()
        while waiting:
            for call in consumers.get(id(waiting.pop()), []):
                size = getattr(call.layer, "input_dim", None) or getattr(
                    call.layer, "num_tokens", None
                )
                if size is not None:
                    limits.append(int(size))
                elif not call.layer.weights and id(call) not in seen:
                    seen.add(id(call))
                    waiting += call.outputs
        bounds.append(min(limits) if limits else None)
    return bounds
