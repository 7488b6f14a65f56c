"""Every variable that a training goes on from: of model, optimizer and random generators.

Runs in the worker, for models of either Keras generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.models.load import is_keras3
from edgekit.training.own_step import own_step
from edgekit.training.state import StateError

Array = npt.NDArray[Any]


def training_variables(model: Any) -> dict[str, Any]:
    """Return the variables of a compiled model and its optimizer, with their random generators.

    Keras 3 has seed generators among the model's variables; tf_keras has them in its layers. The
    optimizer's are created here if no step was taken yet.
    """
    build_optimizer(model)
    groups = {
        "model": model.variables,
        "optimizer": _optimizer_variables(model.optimizer),
        "generator": _keras3_seeds() if is_keras3(model) else _keras2_generators(model),
    }
    return _named(groups)


def metric_variables(model: Any) -> dict[str, Any]:
    """Return the variables of the metrics, which hold an epoch's figures so far."""
    step = own_step(model)
    # Its compiled ones are of validation alone then, and come to be when that begins.
    metrics = model.metrics if step is None else step.metrics
    return _named({"metric": [one for metric in metrics for one in metric.variables]})


def values(variables: Mapping[str, Any]) -> dict[str, Array]:
    """Read variables into arrays."""
    return {name: np.array(variable.numpy()) for name, variable in variables.items()}


def assign(variables: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Set variables from arrays by name.

    Raises :class:`StateError` where a name is missing, or a shape is another.
    """
    for name, variable in variables.items():
        if name not in arrays:
            raise StateError(f"it has no {name}")
        if tuple(arrays[name].shape) != tuple(variable.shape):
            raise StateError(f"{name} has another shape")
    for name, variable in variables.items():
        array = arrays[name]
        # numpy keeps the bytes of dtypes that it does not know, such as bfloat16.
        known = array if array.dtype.kind != "V" else array.view(variable.numpy().dtype)
        variable.assign(known)


def build_optimizer(model: Any) -> None:
    """Create the optimizer's variables for what is trainable now."""
    optimizer = model.optimizer
    if hasattr(optimizer, "build"):
        optimizer.build(model.trainable_variables)
    elif hasattr(optimizer, "_create_all_weights"):
        optimizer._create_all_weights(model.trainable_variables)


def value_of(variable: Any) -> Any:
    """Return TensorFlow's variable behind one of Keras 3's; tf_keras's are it."""
    value = getattr(variable, "value", variable)
    return variable if callable(value) else value


def _named(groups: Mapping[str, Iterable[Any]]) -> dict[str, Any]:
    """Name variables by group and number, each once."""
    seen: set[int] = set()
    named = {}
    for group, variables in groups.items():
        for number, variable in enumerate(variables):
            if id(variable) not in seen:
                seen.add(id(variable))
                named[f"{group}/{number:04d}"] = variable
    return named


def _optimizer_variables(optimizer: Any) -> list[Any]:
    variables = optimizer.variables
    # A method in tf_keras's legacy optimizers.
    return list(variables() if callable(variables) else variables)


def _keras3_seeds() -> Iterator[Any]:
    """Yield the state of the generator that layers without one of their own draw from."""
    from keras.src.random.seed_generator import global_seed_generator

    # Made here where it is not there yet: a layer would make it in the first step.
    yield global_seed_generator().state


def _keras2_generators(model: Any) -> Iterator[Any]:
    for layer in model._flatten_layers():
        generator = getattr(getattr(layer, "_random_generator", None), "_generator", None)
        if generator is not None:
            yield generator.state
