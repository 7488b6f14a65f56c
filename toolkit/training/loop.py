"""Fit a compiled model in pieces, from any step on, with nothing lost. Runs in the worker.

Keras's own ``fit`` does the work, for models of either generation: first to the end of the epoch
that was cut off, then through the rest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from edgekit.errors import ProjectError
from edgekit.models.load import is_keras3, library
from edgekit.training import variables
from edgekit.training.averages import averages, swapping_callback
from edgekit.training.distribution.coordinated import coordinated, fit
from edgekit.training.distribution.team import team
from edgekit.training.feed import Feed
from edgekit.training.own_step import own_step
from edgekit.training.rates import learning_rate
from edgekit.training.state import State, StateError, StateFolder

# The column of the rate that the step after the epoch takes.
RATE = "learning_rate"
# Without a number of steps: seconds between two states, and the share of the time that they take.
SECONDS_APART, MOST_SHARE = 5.0, 0.05
# More batches in one call of the graph than this were not measured to be faster.
MOST_AT_ONCE = 32


@dataclass(frozen=True)
class Choice:
    """Which epoch is the best: by one of its figures, and when the training ends early.

    ``settled`` is the step from which an epoch may be the best. After ``patience`` epochs without
    a better one the training ends; without it all epochs run. ``restored`` says whether the model
    is left with the best epoch's weights.
    """

    figure: str
    higher: bool
    patience: int | None = None
    settled: int = 0
    restored: bool = True


@dataclass(frozen=True)
class Saving:
    """Where the state goes, after how many steps, and how many states are kept.

    Without ``every`` it is saved as often as costs little; each finished epoch is saved anyway.
    """

    folder: Path
    every: int | None = None
    keep: int = 2


@dataclass(frozen=True)
class Outcome:
    """What a training came to: the figures of each epoch, the best one, and how it was resumed.

    ``resumed`` is the step that it went on from, 0 where it began; ``notices`` say which states
    were damaged. ``cut_short`` says that something other than its choice of an epoch ended it.
    """

    rows: tuple[Mapping[str, float], ...]
    best_epoch: int | None = None
    best_value: float | None = None
    resumed: int = 0
    notices: tuple[str, ...] = ()
    cut_short: bool = False


@dataclass
class Course:
    """How far a training is, and what it remembers: all that a state holds beside variables."""

    step: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    stopped: bool = False
    out_of_patience: bool = False

    @property
    def memory(self) -> dict[str, Any]:
        """What goes into a state, as JSON."""
        return {
            "rows": self.rows,
            "best": self.best,
            "stopped": self.stopped,
            "out_of_patience": self.out_of_patience,
        }


def figures(outcome: Outcome) -> dict[str, float]:
    """Return the figures of the epoch whose weights are kept: the best, else the last."""
    if not outcome.rows:
        return {}
    row = outcome.rows[(outcome.best_epoch or 0) - 1]
    return {name: value for name, value in row.items() if name != RATE}


class Keeper:
    """Keeps the state of one training: what its callback is told goes into the states."""

    def __init__(
        self, model: Any, feed: Feed, saving: Saving, choice: Choice | None, before: Outcome
    ) -> None:
        self.course = Course()
        self.resumed = 0
        self._before = before
        self._model, self._choice, self._every = model, choice, saving.every
        self._steps = feed.steps_per_epoch
        self._team = team()
        self._folder = StateFolder(saving.folder, saving.keep)
        self._variables = variables.training_variables(model)
        self._metrics: Mapping[str, Any] = {}
        self._offset = 0
        self._saved, self._cost = time.monotonic(), 0.0

    def resume(self) -> tuple[str, ...]:
        """Go on from the last intact state, and say which were damaged."""
        state, notices = self._team.shared(self._folder.last)
        while state is not None:
            try:
                variables.assign(self._variables, state.arrays)
                break
            except StateError as error:
                notices += (f"the state of training at step {state.step} does not fit: {error}",)
                state, more = self._team.shared(partial(self._folder.before, state.step))
                notices += more
        if state is None:
            self._team.shared(self._folder.clear)
            self._begin()
        else:
            self._team.shared(partial(self._folder.forget, state.step))
            self.resumed = state.step
            self.course = Course(state.step, **state.memory)
            self._metrics = {k: v for k, v in state.arrays.items() if k.startswith("metric/")}
        where = f"step {self.course.step}" if self.course.step else "the beginning"
        return tuple(f"{notice}; training went on from {where}" for notice in notices)

    def _begin(self) -> None:
        """Go on after what was before: the weights of now are its best."""
        before = self._before
        self.course = Course(len(before.rows) * self._steps, [dict(row) for row in before.rows])
        if before.best_epoch is not None:
            self.course.best = {
                "value": before.best_value,
                "epoch": before.best_epoch,
                "step": self.course.step,
            }
            self._write_weights(self._model.weights, set())

    @property
    def needs_metrics(self) -> bool:
        """Whether the epoch that was cut off has figures to go on with."""
        return self.course.step % self._steps > 0

    def epoch_began(self) -> None:
        """Set the metrics to where they were in the epoch that was cut off."""
        self._offset = self.course.step % self._steps
        if self._offset:
            variables.assign(variables.metric_variables(self._model), self._metrics)

    def batch_ended(self, epoch: int, batch: int) -> None:
        """Save the state where it is time, but at the end of an epoch: that is not over yet."""
        self.course.step = epoch * self._steps + self._offset + batch + 1
        if self.course.step % self._steps and self._is_time():
            self._save()

    def epoch_ended(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Keep the figures of an epoch, its weights if it is the best, and the state."""
        self.course.step = (epoch + 1) * self._steps
        figures = {name: float(value) for name, value in logs.items()}
        rate = learning_rate(self._model)
        row = figures if rate is None else {**figures, RATE: rate}
        self.course.rows = [*self.course.rows[:epoch], row]
        if self._choice is not None:
            self._judge(self._choice, epoch + 1, figures)
        self.course.stopped = bool(self._model.stop_training)
        self._save()

    def end(self) -> None:
        """Leave the model with the best epoch's weights, else with the averages, if any."""
        best = self.course.best
        if best is not None and self._choice is not None and self._choice.restored:
            arrays = self._team.shared(partial(self._folder.best, best["step"])).arrays
            self._model.set_weights([arrays[name] for name in sorted(arrays)])
            return
        for variable, average in averages(self._model):
            variable.assign(average)

    def _judge(self, choice: Choice, epoch: int, figures: Mapping[str, float]) -> None:
        if choice.figure not in figures:
            message = f"[train] best = {choice.figure!r}: an epoch has no such figure"
            hint = f"it has {', '.join(figures)}; those of validation begin with val_"
            raise ProjectError("EK-TRAIN-004", message, hint)
        if self.course.step < choice.settled:
            return
        value, best = figures[choice.figure], self.course.best
        sign = 1 if choice.higher else -1
        # NaN is better than nothing else.
        if not math.isnan(value) and (best is None or sign * value > sign * best["value"]):
            self._keep_weights(best)
            best = {"value": value, "epoch": epoch, "step": self.course.step}
            self.course.best = best
        if (
            choice.patience is not None
            and epoch - max(best["epoch"] if best else 0, len(self._before.rows)) >= choice.patience
        ):
            self.course.out_of_patience = not self._model.stop_training
            self._model.stop_training = True

    def _keep_weights(self, before: Mapping[str, Any] | None) -> None:
        by_variable = {id(variable): average for variable, average in averages(self._model)}
        kept = [by_variable.get(id(one), one) for one in self._model.weights]
        self._write_weights(kept, {before["step"]} if before else set())

    def _write_weights(self, weights: Sequence[Any], referenced: set[int]) -> None:
        arrays = variables.values({f"{k:05d}": one for k, one in enumerate(weights)})
        if self._team.chief:
            self._folder.save_best(State(self.course.step, arrays), referenced)

    def _is_time(self) -> bool:
        if not self._team.in_step:
            return False
        if self._every is not None:
            return self.course.step % self._every == 0
        apart = max(SECONDS_APART, self._cost / MOST_SHARE)
        return self._team.agree(time.monotonic() - self._saved >= apart)

    def _save(self) -> None:
        begin = time.monotonic()
        metrics = variables.metric_variables(self._model)
        arrays = variables.values({**self._variables, **metrics})
        if self._team.chief:
            self._folder.save(State(self.course.step, arrays, self.course.memory))
        self._saved = time.monotonic()
        self._cost = self._saved - begin


def run(
    model: Any,
    feed: Feed,
    epochs: int,
    saving: Saving,
    choice: Choice | None = None,
    callbacks: Sequence[Any] = (),
    at_once: int = MOST_AT_ONCE,
    validation: Any | None = None,
    before: Outcome | None = None,
) -> Outcome:
    """Fit a compiled model to the end, from where ``saving`` has a state of it.

    ``at_once`` bounds the batches in one call of the graph; ``validation`` is a ``tf.data.Dataset``
    that every epoch ends with. What was ``before`` is gone on from: its epochs are among
    ``epochs``, and its best weights are the model's. Raises :class:`StoreError`, EK-STORE-001, on a
    full disk: the last good state stays.
    """
    _set_steps_at_once(model, divisor(feed.steps_per_epoch, at_once, saving.every))
    keeper = Keeper(model, feed, saving, choice, before or Outcome(()))
    notices = keeper.resume()
    course = keeper.course
    steps = feed.steps_per_epoch
    if keeper.needs_metrics:
        _create_metrics(model, feed.batches(course.step, epochs))
    fitting = partial(fit, model, feed.whole) if coordinated(model) else model.fit
    heard = [*callbacks, *swapping_callback(model), _callback(model, keeper)]
    with _averages_apart(model.optimizer):
        while course.step < steps * epochs and not course.stopped:
            epoch, within = divmod(course.step, steps)
            fitting(
                feed.batches(course.step, epochs),
                initial_epoch=epoch,
                epochs=epoch + 1 if within else epochs,
                steps_per_epoch=steps - within,
                validation_data=validation,
                validation_steps=feed.validation_steps if validation is not None else None,
                shuffle=False,
                verbose=0,
                callbacks=heard,
            )
    keeper.end()
    best = course.best or {"epoch": None, "value": None}
    cut_short = course.stopped and not course.out_of_patience
    rows, resumed = tuple(course.rows), keeper.resumed
    return Outcome(rows, best["epoch"], best["value"], resumed, notices, cut_short)


def divisor(steps: int, most: int, every: int | None = None) -> int:
    """Return the largest number up to ``most`` that divides an epoch's steps, and ``every``."""
    return max(
        k
        for k in range(1, max(most, 1) + 1)
        if steps % k == 0 and (every is None or every % k == 0)
    )


def _callback(model: Any, keeper: Keeper) -> Any:
    class Kept(library(model).callbacks.Callback):  # type: ignore[misc]
        """Tell the keeper what happens; the last in the list, so that all else is done."""

        epoch = 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch
            keeper.epoch_began()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            keeper.epoch_ended(epoch, logs or {})

    class KeptInEpochs(Kept):
        """The same within epochs, of which Keras has no notion where a coordinator gives steps."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            keeper.batch_ended(self.epoch, batch)

    return KeptInEpochs() if team().in_step else Kept()


def _set_steps_at_once(model: Any, steps: int) -> None:
    if is_keras3(model):
        model.steps_per_execution = steps
        model.train_function = model.test_function = None
    else:
        model._configure_steps_per_execution(steps)
        model.train_function = model.test_function = None


def _create_metrics(model: Any, batches: Any) -> None:
    """Create the metrics' variables, which Keras does in the first step: no step is taken."""
    import tensorflow as tf

    if (step := own_step(model)) is not None:
        step.create_metrics(batches)
    elif is_keras3(model):
        local = tf.distribute.get_strategy().experimental_local_results
        first = tf.nest.map_structure(lambda one: local(one)[0], next(iter(batches)))
        model._symbolic_build(data_batch=first)
    elif model.run_eagerly:
        model.test_on_batch(*next(iter(batches)))
    else:
        model.make_train_function().get_concrete_function(iter(batches))


@contextmanager
def _averages_apart(optimizer: Any) -> Iterator[None]:
    """Hold back the averages of the weights, which each ``fit`` would put in at its end."""
    optimizer.finalize_variable_values = lambda *_: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values
