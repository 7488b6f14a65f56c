"""A step of the user's own in each replica: what the replicas give is put together.

Each sees its part of a batch, and computes the mean of its items. Gradients and figures count by
the share of the items that a replica has, so that their sum is what one process has of all items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from edgekit.errors import ProjectError
from edgekit.training.distribution.guard import CODE, Guard
from edgekit.training.own_step import Figures, OwnStep, Step, items_of, python_function
from edgekit.usercode import place

NESTED = "called while defining a new graph or a tf.function"


class Combined(Figures):
    """The means of what a step returns over the batches of all replicas."""

    def __call__(self, figures: Mapping[str, Any], batch: Any) -> dict[str, Any]:
        """Take the figures of a batch in, and return the means so far: the same in each replica."""
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        # Not in a replica, where a variable would be that replica's alone.
        context.merge_call(lambda _: [self._mean(name) for name in figures] and None)
        items = tf.cast(items_of(batch), tf.float32)
        own = [tf.cast(tf.reduce_mean(value), tf.float32) * items for value in figures.values()]
        count, *sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [items, *own])
        means = {}
        for name, value in zip(figures, sums, strict=True):
            mean = self._mean(name)
            mean.update_state(value / count, sample_weight=count)
            means[name] = mean.result()
        return means


class Shared:
    """Stands in for an optimizer in a replica, whose gradients count by its share of the items."""

    def __init__(self, optimizer: Any, share: Any, guard: Guard) -> None:
        # Set past what hands on to the optimizer.
        object.__setattr__(self, "_own", (optimizer, share, guard))

    @property
    def share(self) -> Any:
        """The replica's share of the items of the batch."""
        return self._own[1]

    def apply_gradients(self, pairs: Any, *more: Any, **named: Any) -> Any:
        """Apply the sum of all replicas' gradients, as they count."""
        optimizer, share, guard = self._own
        named.pop("skip_gradients_aggregation", None)
        counted = [(_counted(gradient, share), variable) for gradient, variable in pairs]
        with guard.applying():
            return optimizer.apply_gradients(counted, *more, **named)

    def apply(self, gradients: Any, variables: Any = None) -> Any:
        """Apply gradients, as Keras 3 takes them apart from their variables."""
        of = self._own[0]._trainable_variables if variables is None else variables
        return self.apply_gradients(zip(gradients, of, strict=True))

    def minimize(self, loss: Any, variables: Any, tape: Any) -> Any:
        """Apply the gradients of a loss that a tape has seen."""
        return self.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own[0], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._own[0], name, value)


def _counted(gradient: Any, share: Any) -> Any:
    import tensorflow as tf

    if gradient is None:
        return None
    # It knows sparse gradients, too.
    return tf.math.scalar_mul(tf.cast(share, gradient.dtype), gradient)


class ReplicaStep(OwnStep):
    """The same functions, called in each replica with its part of a batch."""

    figures = Combined

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._guard = Guard(self._model, self.source)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Refuse meanwhile what cannot be put together."""
        before = getattr(self._model, "distribute_reduction_method", None)
        # tf_keras adds up what replicas return, and all return the same.
        self._model.distribute_reduction_method = "first"
        try:
            with self._guard.watching():
                yield
        finally:
            self._model.distribute_reduction_method = before

    def look(self, batch: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        """Return the loss of a step and its gradients, as of a process alone."""
        with self._guard.stepping():
            return super().look(batch)

    def create_metrics(self, batches: Any) -> None:
        """Create the means of all figures: no step is taken."""
        import tensorflow as tf

        strategy = tf.distribute.get_strategy()

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def step(iterator: Any) -> Any:
            return strategy.run(self.train, args=(next(iterator),))

        step.get_concrete_function(iter(batches))

    def _optimizer(self, batch: Any) -> Any:
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        items = tf.cast(items_of(batch), tf.float32)
        share = items / context.all_reduce(tf.distribute.ReduceOp.SUM, items)
        return Shared(self._model.optimizer, share, self._guard)

    def _called(self, function: Step, *arguments: Any) -> Mapping[str, Any]:
        import tensorflow as tf

        # A graph of its own could not wait for other replicas.
        plain = python_function(function)
        if not getattr(self._model, "run_eagerly", False):
            plain = tf.autograph.to_graph(plain)
        shares = [one.share for one in arguments if isinstance(one, Shared)]
        try:
            with self._guard.stepping(*shares):
                return self._checked(plain(*arguments), function)
        except RuntimeError as error:
            if NESTED not in str(error):
                raise
            message = (
                f"{place(function)}: it waits for other replicas within a tf.function, an if or a"
                " loop of TensorFlow, where it cannot"
            )
            hint = (
                "apply gradients in the step itself, and call the model there: leave out the"
                " @tf.function of what it calls, for the step is a graph anyway"
            )
            raise ProjectError(CODE, message, hint) from error
