"""Learning rates by the steps taken, of either Keras generation."""

from __future__ import annotations

from typing import Any

from edgekit.project.train import ScheduleTable

EXPONENTIAL, PIECEWISE = 0.9, 0.1


def schedule(keras: Any, table: ScheduleTable, steps_per_epoch: int, epochs: int) -> Any:
    """Return a number or a schedule of Keras; the warm-up rises linearly from zero.

    ``steps_per_epoch`` and ``epochs`` are those of the whole training.
    """
    schedules, warm_up = keras.optimizers.schedules, round(table.warm_up * steps_per_epoch)
    if table.schedule == "cosine":
        rest = max(steps_per_epoch * epochs - warm_up, 1)
        alpha = table.end / table.start
        if warm_up:
            return schedules.CosineDecay(
                0.0, rest, alpha, warmup_target=table.start, warmup_steps=warm_up
            )
        return schedules.CosineDecay(table.start, rest, alpha)
    if table.schedule == "exponential":
        factor = table.factor or EXPONENTIAL
        fallen: Any = schedules.ExponentialDecay(table.start, steps_per_epoch, factor)
    elif table.schedule == "piecewise":
        factor = table.factor or PIECEWISE
        # Keras changes the value after the step of a boundary; steps count from 0.
        bounds = [epoch * steps_per_epoch - 1 for epoch in table.after]
        values = [table.start * factor**k for k in range(len(bounds) + 1)]
        fallen = schedules.PiecewiseConstantDecay(bounds, values)
    elif warm_up:
        fallen = schedules.PiecewiseConstantDecay([0], [table.start, table.start])
    else:
        fallen = table.start
    return _warmed_up(keras, fallen, warm_up) if warm_up else fallen


def _warmed_up(keras: Any, fallen: Any, steps: int) -> Any:
    class WarmUp(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        """Rise linearly to a schedule, which goes on by the same count of steps."""

        after = fallen

        def __call__(self, step: Any) -> Any:
            import tensorflow as tf

            share = tf.minimum(tf.cast(step, tf.float32) / steps, 1.0)
            return tf.cast(fallen(step), tf.float32) * share

        def get_config(self) -> dict[str, Any]:
            return {}

    return WarmUp()


def storable(optimizer: Any) -> None:
    """Take a warm-up out of an optimizer, so that the model's file loads with Keras alone."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    after = getattr(getattr(inner, "_learning_rate", None), "after", None)
    if after is not None:
        inner.learning_rate = after


def learning_rate(model: Any) -> float | None:
    """Return the learning rate that the next step will take, of a schedule or not."""
    optimizer: Any = getattr(model, "optimizer", None)
    rate = getattr(optimizer, "learning_rate", None)
    if rate is None:
        return None
    if callable(rate) and not hasattr(rate, "numpy"):
        rate = rate(optimizer.iterations)
    return float(rate.numpy() if hasattr(rate, "numpy") else rate)
