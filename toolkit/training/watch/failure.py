"""Why a loss is not a number: the batch, the layer, and the last weights that were good."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.training.distribution.team import Team
from edgekit.training.variables import value_of
from edgekit.training.watch.batch import Batch
from edgekit.training.watch.steps import TracedStep
from edgekit.types import Advice

# Good weights are kept after so many steps at the earliest, and no more often than their share of
# the time allows.
KEPT_EVERY, KEPT_SHARE = 50, 0.01


class GoodWeights:
    """The last weights of a model that were all finite, and the step they are of.

    The optimizer's variables are among them: averages of weights are its.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._kept: list[tuple[Any, Any]] = []
        self.step = 0
        self._due = 0.0

    def keep(self, step: int) -> bool:
        """Keep the weights of now, if they are finite; tell whether they are."""
        begin = time.monotonic()
        variables = [*self._model.weights, *_optimizer_variables(self._model)]
        kept = [(value_of(one), np.array(one.numpy())) for one in variables]
        finite = all(np.isfinite(value).all() for _, value in kept if value.dtype.kind == "f")
        if finite:
            self._kept, self.step = kept, step
        end = time.monotonic()
        self._due = end + (end - begin) / KEPT_SHARE
        return finite

    def due(self, step: int) -> bool:
        """Tell whether it is time to keep those of a step."""
        return step >= self.step + KEPT_EVERY and time.monotonic() >= self._due

    def restore(self) -> bool:
        """Give the model the weights kept, and tell whether there were any."""
        for variable, value in self._kept:
            variable.assign(value)
        return bool(self._kept)


def _optimizer_variables(model: Any) -> list[Any]:
    found = getattr(getattr(model, "optimizer", None), "variables", ())
    # A method in older optimizers of tf_keras.
    return list(found() if callable(found) else found)


def explain(
    what: str,
    steps: tuple[int, ...],
    good: GoodWeights,
    traced: TracedStep | None,
    batch_at: Callable[[int], Batch] | None,
    workers: Team,
) -> Advice:
    """Give the model its last good weights, and say why a loss or weights are not numbers.

    ``what`` is what was seen, and ``steps`` those that may be the first in which it went wrong.
    ``workers`` that train together look at the same of them.
    """
    restored = good.restore()
    cause, fix = "", ""
    if restored and traced is not None and batch_at is not None:
        cause, fix = _first_cause(steps, batch_at, traced, workers)
    kept = f"the weights of step {good.step:,} are kept" if restored else "no weights were kept"
    message = f"{what}{': ' if cause else ''}{cause}; training ends, and {kept}"
    usual = (
        "take a smaller learning rate or clip gradients: keras.optimizers.Adam(1e-3, clipnorm=1.0)"
    )
    return Advice("EK-NOTE-204", "warning", message, fix or usual)


def _first_cause(
    steps: tuple[int, ...], batch_at: Callable[[int], Batch], traced: TracedStep, workers: Team
) -> tuple[str, str]:
    for step in steps:
        cause, fix = _cause(step, batch_at(step), traced)
        if workers.decide(bool(cause)):
            return cause, fix
    return _largest(batch_at(steps[-1]), traced), ""


def _cause(step: int, batch: Batch, traced: TracedStep) -> tuple[str, str]:
    """Find what of a step is not finite with the last good weights: items, a layer's output, the
    loss, a gradient; and what mends it. Empty where all is.
    """
    import tensorflow as tf

    look = traced(batch.x, batch.y, batch.weight)
    bad = [name for name, each in look.gradients.items() if not np.isfinite(each).all()]
    layer = look.broken or (bad[0] if bad else "")
    for what, arrays in (("an input", batch.x), ("a label", batch.y)):
        for array in tf.nest.flatten(arrays):
            rows = _bad_rows(array)
            if len(rows):
                behind = f", and the first bad layer is {layer}" if layer else ""
                return (
                    f"item {rows[0]} of the batch of step {step:,} ({len(rows)} in all) has"
                    f" {what} that is not a number{behind}",
                    "mend or leave out such items; edgekit lint-data finds them",
                )
    if look.broken:
        return f"the first bad layer is {layer}, whose output in step {step:,} is not finite", ""
    if not np.isfinite(look.loss):
        return "every layer's output is finite, the loss of them is not", (
            "look for a logarithm or a division in the loss that gets 0: have the last layer give"
            " logits, and the loss from_logits=True"
        )
    if bad:
        return (
            f"the first bad layer is {bad[-1]}, whose gradient in step {step:,} is not finite",
            "",
        )
    return "", ""


def _largest(batch: Batch, traced: TracedStep) -> str:
    """Name the layer that changes most, where all is finite with the last good weights."""
    look = traced(batch.x, batch.y, batch.weight)
    norms = {name: float(np.linalg.norm(each)) for name, each in look.gradients.items()}
    if not norms:
        return ""
    name = max(norms, key=lambda one: norms[one])
    return (
        "the weights grew too large since the last good ones, of whose gradients that of"
        f" {name} is the largest ({norms[name]:.2g})"
    )


def _bad_rows(array: Any) -> Any:
    values = np.asarray(array)
    if values.dtype.kind != "f":
        return np.zeros(0, int)
    flat = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    return np.flatnonzero(~flat)
