"""Steps of a Keras 3 model that a coordinator gives to workers, which Keras 3's ``fit`` cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edgekit.models.load import is_keras3
from edgekit.training.distribution.team import Coordinator, team
from edgekit.training.feed import Feed


def coordinated(model: Any) -> bool:
    """Tell whether a model is fitted by :func:`fit`, and not by its own."""
    return is_keras3(model) and isinstance(team(), Coordinator)


def fit(
    model: Any,
    whole: Feed,
    batches: Any,
    *,
    initial_epoch: int,
    epochs: int,
    steps_per_epoch: int,
    validation_data: Any,
    callbacks: Sequence[Any],
    **_: Any,
) -> None:
    """Fit a compiled model as Keras's ``fit`` does, but that workers take the steps.

    ``whole`` are the items as a process alone reads them: the coordinator validates on those held
    out, and ``batches`` are what each worker reads. Callbacks are told of epochs alone.
    """
    import keras
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    # Variables of metrics have to be there before a worker takes a step.
    model._symbolic_build(data_batch=next(iter(whole.batches(0, 1))))
    heard = keras.callbacks.CallbackList(list(callbacks), model=model)
    judge = tf.function(model.test_step, reduce_retracing=True)
    held = whole.validation() if validation_data is not None else None

    @tf.function  # type: ignore[untyped-decorator]
    def step(iterator: Any) -> None:
        strategy.run(model.train_step, args=(next(iterator),))

    model.stop_training = False
    with _adding_at_once():
        iterator = iter(coordinator.create_per_worker_dataset(batches))
        heard.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            model.reset_metrics()
            heard.on_epoch_begin(epoch)
            for _number in range(steps_per_epoch):
                coordinator.schedule(step, args=(iterator,))
            coordinator.join()
            figures = _figures(model)
            if held is not None:
                figures |= _validated(model, held, judge, heard)
            heard.on_epoch_end(epoch, figures)
            if model.stop_training:
                break
        heard.on_train_end()


def _figures(model: Any, prefix: str = "") -> dict[str, float]:
    return {f"{prefix}{name}": float(value) for name, value in model.get_metrics_result().items()}


def _validated(model: Any, held: Any, judge: Callable[[Any], Any], heard: Any) -> dict[str, float]:
    """Return the figures of items held out, each of which is judged once, by the coordinator."""
    model.reset_metrics()
    heard.on_test_begin()
    for batch in held:
        judge(batch)
    heard.on_test_end()
    return _figures(model, "val_")


@contextmanager
def _adding_at_once() -> Iterator[None]:
    """Let Keras's variables add in one operation of the server that has them.

    Keras 3 reads and writes (``assign(self + value)``): what another worker added in between is
    lost, as 10 of 28 steps of two workers were that an optimizer counted.
    """
    from keras.src.backend.tensorflow.core import Variable

    stock = {name: getattr(Variable, name) for name in ("assign_add", "assign_sub")}

    def adding(name: str) -> Callable[[Any, Any], Any]:
        def add(variable: Any, value: Any) -> Any:
            import tensorflow as tf

            held = variable.value
            # While Keras asks for shapes there is none.
            if not hasattr(held, name):
                return stock[name](variable, value)
            return getattr(held, name)(tf.cast(value, held.dtype))

        return add

    for name in stock:
        setattr(Variable, name, adding(name))
    try:
        yield
    finally:
        for name, function in stock.items():
            setattr(Variable, name, function)
