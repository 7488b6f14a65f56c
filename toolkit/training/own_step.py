"""A training step of the user's own, which ``fit`` runs in the place of Keras's.

Runs in the worker, for models of either Keras generation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekit.errors import ProjectError
from edgekit.models.load import is_keras3, library
from edgekit.project.train import TrainTable
from edgekit.usercode import place, resolve

CODE = "EK-TRAIN-006"
Step = Callable[..., Any]
# Where a model that is trained by such a step has it.
ATTRIBUTE = "_edgekit_step"


class Figures:
    """The means of what a step returns, over the batches of an epoch, weighed by their items."""

    def __init__(self, model: Any, prefix: str) -> None:
        self._model, self._prefix = model, prefix
        self._means: dict[str, Any] = {}

    def __call__(self, figures: Mapping[str, Any], batch: Any) -> dict[str, Any]:
        """Take the figures of a batch in, and return the means so far."""
        import tensorflow as tf

        items = items_of(batch)
        means = {}
        for name, value in figures.items():
            mean = self._mean(name)
            mean.update_state(tf.cast(tf.reduce_mean(value), tf.float32), sample_weight=items)
            means[name] = mean.result()
        return means

    @property
    def means(self) -> list[Any]:
        """The means of all figures that were seen."""
        return list(self._means.values())

    def forget(self) -> None:
        """Take the means out of the model, as which they are not part of its file."""
        own = {id(mean) for mean in self._means.values()}
        self._model._metrics[:] = [one for one in self._model._metrics if id(one) not in own]

    def _mean(self, name: str) -> Any:
        import tensorflow as tf

        if name not in self._means:
            # Here it may be a graph that is traced: a variable is to outlast it.
            with tf.init_scope():
                mean = library(self._model).metrics.Mean(name=f"{self._prefix}{name}")
            self._means[name] = mean
            # Both generations look here for metrics other than the loss: they are reset with every
            # epoch, and are part of a state.
            self._model._metrics.append(mean)
        return self._means[name]


class Applied:
    """Stands in for an optimizer: keeps the gradients that it is to apply, and applies none."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self.pairs: list[tuple[Any, Any]] = []

    def apply_gradients(self, pairs: Any, *_: Any, **__: Any) -> None:
        """Keep gradients with their variables."""
        self.pairs += list(pairs)

    def apply(self, gradients: Any, variables: Any = None) -> None:
        """Keep gradients, as Keras 3 takes them apart from their variables."""
        of = self._optimizer._trainable_variables if variables is None else variables
        self.pairs += list(zip(gradients, of, strict=True))

    def minimize(self, loss: Any, variables: Any, tape: Any) -> None:
        """Keep the gradients of a loss that a tape has seen."""
        self.pairs += list(zip(tape.gradient(loss, variables), variables, strict=True))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)


class OwnStep:
    """The functions that a model is trained and validated by, as the project names them."""

    figures = Figures

    def __init__(self, model: Any, settings: TrainTable, root: Path) -> None:
        self._model = model
        self.source = settings.loop or ""
        self._function = _step(self.source, root, 3, "loop", "model, optimizer, batch")
        self._validate: Step | None = None
        if settings.validation_step is not None:
            words = "model, batch"
            source = settings.validation_step
            self._validate = _step(source, root, 2, "validation_step", words)
        self._figures = self.figures(model, "")
        self._held_out = self.figures(model, "held_out_")
        self._graphs: dict[Step, Any] = {}

    @property
    def validates(self) -> bool:
        """Whether there is a step to validate by."""
        return self._validate is not None

    @property
    def metrics(self) -> list[Any]:
        """The means of the figures of an epoch so far."""
        return self._figures.means

    def train(self, batch: Any) -> dict[str, Any]:
        """Take a training step."""
        optimizer = self._optimizer(batch)
        return self._figures(self._called(self._function, self._model, optimizer, batch), batch)

    def validate(self, batch: Any) -> dict[str, Any]:
        """Validate a batch."""
        if self._validate is None:
            raise ValueError("there is no step to validate by")
        return self._held_out(self._called(self._validate, self._model, batch), batch)

    def look(self, batch: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        """Return the loss of a step and its gradients with their variables, which stay as they are.

        Raises :class:`ValueError` where it applies none by the optimizer that it is given.
        """
        import tensorflow as tf

        applied = Applied(self._model.optimizer)
        # A graph of its own would keep its gradients to itself.
        converted = tf.autograph.to_graph(python_function(self._function))
        figures = self._checked(converted(self._model, applied, batch), self._function)
        if not applied.pairs:
            raise ValueError(f"{self.source} applies no gradients by the optimizer it is given")
        return figures.get("loss", 0.0), applied.pairs

    def create_metrics(self, batches: Any) -> None:
        """Create the means of all figures, which else the first step does: no step is taken."""
        import tensorflow as tf

        if not tf.config.functions_run_eagerly():
            tf.function(self.train).get_concrete_function(batches.element_spec)

    def forget(self) -> None:
        """Leave the model without what was put in."""
        self._figures.forget()
        self._held_out.forget()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Let a process alone do as it likes."""
        yield

    def _optimizer(self, batch: Any) -> Any:
        """Return the optimizer that the user's function is given."""
        return self._model.optimizer

    def _called(self, function: Step, *arguments: Any) -> Mapping[str, Any]:
        import tensorflow as tf

        if getattr(self._model, "run_eagerly", False):
            return self._checked(function(*arguments), function)
        # Keras converts no Python of a step, such as an if on a tensor; a tf.function does.
        is_graph = hasattr(function, "get_concrete_function")
        graph = self._graphs.setdefault(function, function if is_graph else tf.function(function))
        return self._checked(graph(*arguments), function)

    @staticmethod
    def _checked(figures: Any, function: Step) -> Mapping[str, Any]:
        named = isinstance(figures, Mapping) and all(isinstance(name, str) for name in figures)
        if named and figures:
            return dict(figures)
        message = (
            f"{place(function)}: a step returned {type(figures).__name__}, not a dict of figures"
        )
        raise ProjectError(CODE, message, 'return them by name: return {"loss": loss}')


@contextmanager
def stepping(
    model: Any, settings: TrainTable, root: Path, kind: type[OwnStep] = OwnStep
) -> Iterator[OwnStep | None]:
    """Have a model take the user's own step, where the settings name one: it is of a ``kind``.

    Raises :class:`ProjectError` where it takes other arguments.
    """
    if settings.loop is None:
        yield None
        return
    step = kind(model, settings, root)
    put = {ATTRIBUTE: step, "train_step": step.train}
    if is_keras3(model):
        put["get_metrics_result"] = _results(model.get_metrics_result)
    if step.validates:
        put["test_step"] = step.validate
    for name, value in put.items():
        # Neither Keras may track what is put here for the time of a training.
        object.__setattr__(model, name, value)
    try:
        with step.guarded():
            yield step
    finally:
        for name in put:
            object.__delattr__(model, name)
        step.forget()


def items_of(batch: Any) -> Any:
    """Count the items of a batch, as a tensor."""
    import tensorflow as tf

    return tf.shape(tf.nest.flatten(batch)[0])[0]


def python_function(function: Step) -> Step:
    """Return what a ``tf.function`` was made of; other functions are it."""
    plain: Step = getattr(function, "python_function", function)
    return plain


def _results(stock: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    def results() -> dict[str, Any]:
        """Return the results of a model's metrics: none before a validation has built them."""
        try:
            return stock()
        except ValueError:
            return {}

    return results


def own_step(model: Any) -> OwnStep | None:
    """Return the step that a model is trained by, if it is the user's own."""
    return getattr(model, ATTRIBUTE, None)


def check_validation(model: Any) -> None:
    """Raise :class:`ProjectError` where held-out items would have nothing to be judged by."""
    step = own_step(model)
    loss = dict(model._compile_config.config).get("loss")
    if step is None or step.validates or loss is not None:
        return
    message = f"{step.source} trains a model without a loss, which leaves nothing to validate by"
    hint = (
        'name a step for it: [train] validation_step = "steps.py:test_step" (model, batch); or a'
        " loss"
    )
    raise ProjectError(CODE, message, hint)


def _step(source: str, root: Path, count: int, key: str, words: str) -> Step:
    function = resolve(source, root)
    try:
        inspect.signature(function).bind(*range(count))
    except (TypeError, ValueError) as error:
        message = f"[train] {key} = {source!r} does not take ({words}): {error}"
        raise ProjectError(CODE, message, f"{place(function)}: def step({words})") from error
    return function
