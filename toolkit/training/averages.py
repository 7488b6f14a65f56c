"""Moving averages of the weights, which the optimizers of both Keras generations keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from edgekit.models.load import library


def averages(model: Any) -> list[tuple[Any, Any]]:
    """Return the trainable variables of a model with their averages; none without averages."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not getattr(optimizer, "use_ema", False):
        return []
    kept = getattr(optimizer, "_model_variables_moving_average", [])
    pairs = zip(model.trainable_variables, kept, strict=True)
    return [(variable, average) for variable, average in pairs if average is not None]


@contextmanager
def averaged(model: Any) -> Iterator[None]:
    """Put the averages in place of the weights meanwhile, if there are any."""
    pairs = averages(model)
    own = [(variable, np.array(variable.numpy())) for variable, _ in pairs]
    for variable, average in pairs:
        variable.assign(average)
    try:
        yield
    finally:
        for variable, value in own:
            variable.assign(value)


def swapping_callback(model: Any) -> list[Any]:
    """Build a callback that puts the averages in while the model is validated, if it has any."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not getattr(optimizer, "use_ema", False):
        return []

    class Averaged(library(model).callbacks.Callback):  # type: ignore[misc]
        """Validate the averaged weights, which are what is kept in the end."""

        def on_test_begin(self, logs: Any = None) -> None:
            self.swapped = ExitStack()
            self.swapped.enter_context(averaged(model))

        def on_test_end(self, logs: Any = None) -> None:
            self.swapped.close()

    return [Averaged()]
