"""What libraries do otherwise while a step of the user's own runs in a replica.

A step computes the mean of its replica's items, and its gradients count by the replica's share of
the items. What cannot be put together so is refused by name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from edgekit.errors import ProjectError
from edgekit.training.variables import value_of

CODE = "EK-TRAIN-008"
Function = Callable[..., Any]


class Guard:
    """Knows in which threads a step runs, and with which share: each replica is a thread."""

    def __init__(self, model: Any, source: str) -> None:
        self._model, self._source = model, source
        self._here = threading.local()

    @contextmanager
    def stepping(self, share: Any = None) -> Iterator[None]:
        """Guard the user's own function meanwhile, in this thread."""
        self._here.steps, self._here.share = True, share
        try:
            yield
        finally:
            self._here.steps = False

    @contextmanager
    def applying(self) -> Iterator[None]:
        """Let the optimizer that was given do its work meanwhile, in this thread."""
        before, self._here.steps = self._steps, False
        try:
            yield
        finally:
            self._here.steps = before

    @property
    def _steps(self) -> bool:
        return bool(getattr(self._here, "steps", False))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Put other functions in the place of libraries', which see whether a step runs."""
        import keras
        import tf_keras
        from keras.src.losses import loss as losses
        from tensorflow.python.distribute.distribute_lib import ReplicaContextBase
        from tensorflow.python.distribute.values import DistributedVariable
        from tf_keras.src.utils import losses_utils

        legacy = tf_keras.optimizers.legacy.Optimizer
        replaced: list[tuple[Any, str, Callable[[Function], Function]]] = [
            (keras.optimizers.Optimizer, "apply", self._without_others),
            (tf_keras.optimizers.Optimizer, "apply_gradients", self._without_others),
            (legacy, "apply_gradients", self._without_others),
            (ReplicaContextBase, "all_reduce", self._shared),
            (losses, "scale_loss_for_distribution", self._as_it_is),
            (losses, "unscale_loss_for_distribution", self._as_it_is),
            (losses_utils, "scale_loss_for_distribution", self._as_it_is),
            (tf_keras.losses.Loss, "_get_reduction", self._mean),
        ]
        for name in ("assign", "assign_add", "assign_sub"):
            replaced.append((DistributedVariable, name, self._without_weights))
        with ExitStack() as stack:
            for kind, name, made in replaced:
                stock = getattr(kind, name)
                setattr(kind, name, made(stock))
                stack.callback(setattr, kind, name, stock)
            yield

    def _without_others(self, stock: Function) -> Function:
        def apply(optimizer: Any, *given: Any, **named: Any) -> Any:
            if self._steps:
                raise self._refused(
                    f"applies gradients by another optimizer ({type(optimizer).__name__}) than it"
                    " is given, which would add up the means of all replicas"
                )
            return stock(optimizer, *given, **named)

        return apply

    def _without_weights(self, stock: Function) -> Function:
        def assign(variable: Any, *given: Any, **named: Any) -> Any:
            weights = self._model.trainable_variables if self._steps else ()
            if any(value_of(weight) is variable for weight in weights):
                name = variable.name.split(":")[0]
                raise self._refused(
                    f"assigns to the weight {name}, of which each replica has a copy: they would"
                    " differ from then on"
                )
            return stock(variable, *given, **named)

        return assign

    def _refused(self, what: str) -> ProjectError:
        hint = (
            "apply them by the optimizer that the step is given:"
            " optimizer.apply_gradients(zip(gradients, model.trainable_variables))"
        )
        return ProjectError(CODE, f"{self._source} {what}", hint)

    def _shared(self, stock: Function) -> Function:
        """Let gradients through a sum over replicas count by each one's share, as its loss does."""

        def all_reduce(context: Any, operation: Any, value: Any, options: Any = None) -> Any:
            import tensorflow as tf

            share = self._here.share if self._steps else None
            if share is None:
                return stock(context, operation, value, options)
            own = tf.nest.map_structure(lambda each: _weighed_back(each, 1 / share), value)
            total = stock(context, operation, own, options)
            return tf.nest.map_structure(lambda each: _weighed_back(each, share), total)

        return all_reduce

    def _as_it_is(self, stock: Function) -> Function:
        """Keep losses of Keras's from being a share of the mean, which ``fit`` wants."""
        return lambda value: value if self._steps else stock(value)

    def _mean(self, stock: Function) -> Function:
        """Let losses of tf_keras's take a mean, which they refuse in a replica."""

        def reduction(loss: Any) -> Any:
            if not self._steps:
                return stock(loss)
            mean = "sum_over_batch_size"
            return mean if loss.reduction == "auto" else loss.reduction

        return reduction


def _weighed_back(value: Any, factor: Any) -> Any:
    """Return a value as it is, whose gradient is multiplied by a factor."""
    import tensorflow as tf

    if isinstance(value, tf.IndexedSlices) or not value.dtype.is_floating:
        return value

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def same(x: Any) -> Any:
        return tf.identity(x), lambda gradient: gradient * tf.cast(factor, gradient.dtype)

    return same(value)
