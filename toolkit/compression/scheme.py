"""What a compression scheme is: one file that plans, wraps, and strips a tf_keras model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from edgekit.errors import CompressionError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LayerPlan:
    """What a scheme will do with a layer: the requested value, or why it leaves the layer as is.

    ``weights`` counts the elements of the layer's kernels. ``value`` is the sparsity, the number of
    clusters, or 1 for quantization-aware training; absent where ``reason`` says why not.
    """

    layer: str
    kind: str
    weights: int
    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Context:
    """The context in which a scheme wraps a model.

    ``steps`` is how many training steps follow (0: none, the scheme acts in one shot). ``before``
    names the schemes whose work must survive. ``samples`` are preprocessed items ``[n, ...]``, one
    array per input in the model's order.
    """

    steps: int
    before: tuple[str, ...]
    samples: tuple[Floats, ...]


@runtime_checkable
class Scheme(Protocol):
    """A compression scheme of TFMOT. It works on a flat tf_keras model, in the worker.

    ``name`` is its key in ``[compress]``; ``learning_rate`` is what fine-tuning starts at where
    nothing is set; ``needs_items`` says that it cannot work without samples.
    """

    name: str
    learning_rate: float
    needs_items: bool

    def plan(self, model: Any, table: Any) -> tuple[LayerPlan, ...]:
        """Plan what happens to each layer that holds kernels, and to those only this scheme
        concerns.

        Raises :class:`CompressionError` if it can change no layer.
        """

    def wrap(self, model: Any, table: Any, plan: tuple[LayerPlan, ...], context: Context) -> Any:
        """Return the model to train; without training, it is already compressed."""

    def callbacks(self, folder: str | None) -> list[Any]:
        """Return the callbacks of training; TensorBoard reads ``folder``."""

    def settled(self, table: Any, steps: int) -> int:
        """Return the training step after which the scheme removes nothing more."""

    def strip(self, wrapped: Any, model: Any, plan: tuple[LayerPlan, ...]) -> Any:
        """Return the compressed model without what only training needs.

        ``model`` is as it was before :meth:`wrap`, and may be used up.
        """


def layer_plan(
    layer: Any,
    value: float | None,
    left_out: str,
    refusal: Callable[[list[npt.NDArray[Any]]], str],
) -> LayerPlan:
    """Plan one layer: to ``value``, unless that is None, or ``refusal`` of its kernels says why."""
    arrays = list(kernels(layer).values())
    reason = refusal(arrays) if value else left_out
    size = sum(int(kernel.size) for kernel in arrays)
    return LayerPlan(layer.name, type(layer).__name__, size, None if reason else value, reason)


def workable(rows: tuple[LayerPlan, ...], done: str) -> tuple[LayerPlan, ...]:
    """Return the rows of a plan if any layer can be changed; ``done`` is the verb of the error.

    Raises :class:`CompressionError` with every layer's reason.
    """
    if any(row.value for row in rows):
        return rows
    reasons = "\n".join(f"{row.layer} ({row.kind}): {row.reason}" for row in rows)
    hint = reasons or "it has no convolution, dense or recurrent layer"
    raise CompressionError("EK-COMPRESS-011", f"no layer can be {done}", hint)


def kernels(layer: Any) -> Mapping[str, npt.NDArray[Any]]:
    """Return the weights of a layer that schemes change, by name: kernels and embeddings."""
    by_name = {}
    for weight in layer.weights:
        name = weight.name.split(":")[0].split("/")[-1]
        if name.endswith(("kernel", "embeddings")) and len(weight.shape) >= 2:
            # Keras 3's weights have their whole name as a path.
            by_name[getattr(weight, "path", weight.name)] = np.asarray(weight)
    return by_name


def copy(model: Any) -> Any:
    """Return a tf_keras model of its own layers, with the same weights."""
    import tf_keras

    twin = tf_keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    return twin
