"""The traced step that is looked at: loss, gradients and units of a model on a fixed batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.training.own_step import own_step
from edgekit.training.variables import value_of

Array = npt.NDArray[Any]
RECTIFIERS = ("relu", "relu6")


@dataclass(frozen=True)
class Look:
    """What one look at a model saw.

    ``gradients`` and ``weights`` are by variable, in the model's order; ``dead`` counts by layer
    the units that were zero for every item, and ``units`` all of them. ``broken`` is the first
    layer, in the order of execution, whose output is not finite.
    """

    loss: float
    weights: Mapping[str, Array]
    gradients: Mapping[str, Array]
    dead: Mapping[str, int]
    units: Mapping[str, int]
    broken: str = ""


def name_of(variable: Any, model: Any) -> str:
    """Return a variable's name below its model: Keras 3 calls it a path."""
    name = str(getattr(variable, "path", variable.name)).split(":")[0]
    return name.removeprefix(f"{model.name}/")


def layers_of(model: Any) -> list[Any]:
    """List the layers that hold no others, however deep they lie."""
    flat = model._flatten_layers(include_self=False, recursive=True)
    return [layer for layer in flat if not list(layer._flatten_layers(include_self=False))]


def rectifies(layer: Any) -> bool:
    """Tell whether a layer's outputs are zero below some input, as of ReLU."""
    activation = getattr(layer, "activation", None)
    return type(layer).__name__ == "ReLU" or getattr(activation, "__name__", "") in RECTIFIERS


@contextlib.contextmanager
def observed(layers: list[Any], seen: Callable[[Any, Any], None]) -> Iterator[None]:
    """Call ``seen(layer, output)`` whenever one of the layers is called, in eager code or graph."""
    for layer in layers:
        # Neither Keras may track what is put here for a moment.
        object.__setattr__(layer, "call", _reporting(layer, layer.call, seen))
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _reporting(layer: Any, call: Any, seen: Callable[[Any, Any], None]) -> Any:
    def reporting(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        seen(layer, output)
        return output

    return reporting


class TracedStep:
    """One training step of a compiled model without its update, as a ``tf.function``.

    It runs as training does, with dropout and the batch's statistics, and puts every variable that
    this changes back: generators, moving averages, metrics.
    """

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        self._model = model
        self._outputs: list[tuple[str, bool]] = []
        self._states: list[tuple[Any, Any]] = []
        # AutoGraph converts the model's Python, and none of this: it took longer than tracing.
        plain = tf.autograph.experimental.do_not_convert
        kept, put_back = plain(self._kept), plain(self._put_back)

        def traced(x: Any, y: Any, weight: Any) -> Any:
            before = kept()
            loss, found = _in_a_replica(self._differentiated, x, y, weight)
            return put_back(loss, found, before)

        self._run = tf.function(traced)

    def __call__(self, x: Any, y: Any, weight: Any = None) -> Look:
        """Look at the model on a batch of its own structure."""
        import tensorflow as tf

        plain = tf.autograph.experimental.do_not_convert(self._seen)
        with _generators(self._model), observed(layers_of(self._model), plain):
            loss, gradients, outputs = self._ran(x, y, weight)
        variables = self._model.trainable_variables
        by_variable = {
            name_of(variable, self._model): gradient.numpy()
            for variable, gradient in zip(variables, gradients, strict=True)
            if gradient is not None
        }
        dead, units, broken = {}, {}, ""
        for (name, rectified), (finite, silent) in zip(self._outputs, outputs, strict=True):
            if not broken and not bool(finite):
                broken = name
            if rectified:
                dead[name], units[name] = int(silent.numpy().sum()), int(silent.shape[0])
        weights = {name_of(one, self._model): np.asarray(one.numpy()) for one in variables}
        return Look(float(loss), weights, by_variable, dead, units, broken)

    def _ran(self, x: Any, y: Any, weight: Any) -> Any:
        if own_step(self._model) is None:
            return self._run(x, y, weight)
        import tensorflow as tf

        # A step of the user's own may change variables of theirs.
        traced = self._run.get_concrete_function(x, y, weight)
        before = [(one, tf.identity(one)) for one in traced.graph.variables]
        result = self._run(x, y, weight)
        for variable, value in before:
            variable.assign(value)
        return result

    def _differentiated(self, x: Any, y: Any, weight: Any) -> Any:
        """Return the loss, and its gradients by the variables that are trained."""
        import tensorflow as tf

        model = self._model
        trained = [value_of(one) for one in model.trainable_variables]
        own = own_step(model)
        if own is not None:
            loss, pairs = own.look((x, y) if weight is None else (x, y, weight))
            by_variable = {id(value_of(one)): gradient for gradient, one in pairs}
            return loss, [by_variable.get(id(one)) for one in trained]
        with tf.GradientTape() as tape:
            answers = model(x, training=True)
            loss = model.compute_loss(x=x, y=y, y_pred=answers, sample_weight=weight)
        return loss, tape.gradient(loss, trained)

    def _kept(self) -> list[tuple[Any, Any]]:
        """Return every variable that a step may change, with its value of now."""
        import tensorflow as tf

        self._outputs, self._states = [], []
        changed = [value_of(one) for one in _changed_variables(self._model)]
        return [(one, tf.identity(one)) for one in changed]

    def _seen(self, layer: Any, output: Any) -> None:
        import tensorflow as tf

        if not _first_replica():
            return
        if isinstance(output, tf.Tensor) and output.dtype.is_floating:
            self._outputs.append((layer.name, rectifies(layer) and output.shape.rank > 1))
            finite = tf.reduce_all(tf.math.is_finite(output))
            axes = list(range((output.shape.rank or 1) - 1))
            self._states.append((finite, tf.reduce_all(output <= 0, axis=axes)))

    def _put_back(self, loss: Any, raw: Any, kept: list[tuple[Any, Any]]) -> Any:
        """Return what was seen of a step, and give the variables their values of before."""
        import tensorflow as tf

        gradients = [None if each is None else tf.convert_to_tensor(each) for each in raw]
        for variable, value in kept:
            variable.assign(value)
        return loss, gradients, self._states


def _in_a_replica(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function as a replica does, and return what the first one gives; under no strategy it
    is just called.
    """
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        return function(*arguments)
    strategy = tf.distribute.get_strategy()
    found = strategy.run(function, args=arguments)
    return tf.nest.map_structure(lambda one: strategy.experimental_local_results(one)[0], found)


def _first_replica() -> bool:
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return int(tf.get_static_value(context.replica_id_in_sync_group) or 0) == 0


def _changed_variables(model: Any) -> list[Any]:
    """List the variables that a step without its update may change: they are put back.

    Weights are among them: a mask of pruning is laid over them in the forward pass.
    """
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    return [*model.variables, *metrics]


@contextlib.contextmanager
def _generators(model: Any) -> Iterator[None]:
    """Leave the generators of tf_keras's layers as they were: their state is not a weight."""
    found: list[Any] = [getattr(one, "_random_generator", None) for one in layers_of(model)]
    seeds = [(one, one._seed) for one in found if isinstance(getattr(one, "_seed", None), int)]
    inner: list[Any] = [getattr(one, "_generator", None) for one in found]
    states = [(one.state, one.state.numpy()) for one in inner if hasattr(one, "state")]
    try:
        yield
    finally:
        for one, seed in seeds:
            one._seed = seed
        for state, value in states:
            state.assign(value)
