"""Moving averages of the weights, which the optimizers of both Keras generations keep."""

from __future__ import annotations

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


def swapping_callback(model: Any) -> list[Any]:
    """Build a callback that puts the averages in while the model is validated, if it has any."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not getattr(optimizer, "use_ema", False):
        return []

    class Averaged(library(model).callbacks.Callback):  # type: ignore[misc]
        """Validate the averaged weights, which are what is kept in the end."""

        def on_test_begin(self, logs: Any = None) -> None:
            pairs = averages(model)
            self.own = [(variable, np.array(variable.numpy())) for variable, _ in pairs]
            for variable, average in pairs:
                variable.assign(average)

        def on_test_end(self, logs: Any = None) -> None:
            for variable, value in self.own:
                variable.assign(value)

    return [Averaged()]
