"""The usual loss and metric of a task, where a model says none. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError, ProjectError
from edgekit.evaluation.tasks import TaskEvidence, detect
from edgekit.evaluation.texts import TextSpec, reader
from edgekit.models.inputs import dtype_name, inputs_of
from edgekit.training.contrastive import supervised_contrastive
from edgekit.training.texts import ctc
from edgekit.types import TensorSpec

Array = npt.NDArray[Any]
# What labels of a mask say of a pixel that nothing is said of.
VOID = 255
# Tasks whose loss nobody can guess: why, and what is needed.
NO_LOSS = {
    "class-ids": (
        "a model that ends in class numbers has no gradient",
        "train the model that ends before argmax; edgekit convert takes either",
    ),
}


@dataclass(frozen=True)
class Fit:
    """What an output is trained by: the task, loss and, where there is a usual one, metric."""

    task: str
    loss: Any
    metric: Any | None


def usual(
    keras: Any,
    model: Any,
    name: str,
    output: Any,
    labels: Array,
    answers: Array,
    task: str | None = None,
    texts: TextSpec | None = None,
) -> Fit:
    """Return loss and metric of one output, from its labels and a few of its answers.

    A ``task`` that is stated is not detected; ``texts`` says how texts are read. Raises
    :class:`ProjectError`: EK-TRAIN-002, where the task has no loss, or where it is not known which
    token is CTC's blank.
    """
    shape, last = tuple(output.shape), last_activation(model, output)
    spec = TensorSpec(name, shape, dtype_name(output))
    evidence = TaskEvidence(labels, spec, last, inputs_of(model).specs)
    try:
        task = task or detect(evidence).task.name
    except DataError as error:
        raise no_loss(repr(name), error.message) from error
    if task == "embeddings":
        return Fit(task, supervised_contrastive, None)
    if task in NO_LOSS:
        raise no_loss(repr(name), *NO_LOSS[task])
    if task == "text":
        read = reader(texts or TextSpec(), shape[1:], last, labels)
        if not read.scored:
            raise no_loss(repr(name), *NO_LOSS["class-ids"])
        return Fit(task, ctc(read.blank, is_probability(answers)), None)
    loss, metric = _of_task(keras, task, labels, answers)
    return Fit(task, loss, metric)


def _of_task(keras: Any, task: str, labels: Array, answers: Array) -> tuple[Any, Any]:
    losses, metrics = keras.losses, keras.metrics
    if task in ("regression", "anomaly"):
        return losses.MeanSquaredError(), metrics.MeanAbsoluteError(name="mae")
    logits = not is_probability(answers)
    if task == "multi-label" or answers.shape[-1] == 1:
        logits = bool((answers < 0).any() or (answers > 1).any())
        metric = metrics.BinaryAccuracy(name="accuracy", threshold=0.0 if logits else 0.5)
        return losses.BinaryCrossentropy(from_logits=logits), metric
    if labels.shape[1:] == answers.shape[1:]:
        categorical = metrics.CategoricalAccuracy(name="accuracy")
        return losses.CategoricalCrossentropy(from_logits=logits), categorical
    void = {"ignore_class": VOID} if task == "segmentation" and (labels == VOID).any() else {}
    loss = losses.SparseCategoricalCrossentropy(from_logits=logits, **void)
    return loss, metrics.SparseCategoricalAccuracy(name="accuracy")


def is_probability(answers: Array) -> bool:
    """Tell whether answers are shares of one along the last axis."""
    return bool((answers >= 0).all() and np.allclose(answers.sum(-1), 1.0, atol=1e-2))


def by_output(model: Any, answers: Any) -> Mapping[str, tuple[Any, Array]]:
    """Return a model's outputs with their answers, by name."""
    found = answers if isinstance(answers, (list, tuple, Mapping)) else [answers]
    arrays = list(found.values()) if isinstance(found, Mapping) else list(found)
    outputs = list(getattr(model, "outputs", None) or arrays)
    names = list(getattr(model, "output_names", None) or [])
    if len(names) != len(outputs):
        names = [f"output_{k}" for k in range(len(outputs))]
    return {
        str(name): (output, np.asarray(array))
        for name, output, array in zip(names, outputs, arrays, strict=True)
    }


def last_activation(model: Any, output: Any) -> str:
    """Return the activation of the layer that gives an output; empty where it is not known."""
    history = getattr(output, "_keras_history", None)
    layer = history[0] if history is not None else None
    # The wrappers of compression have the layer inside.
    layer = getattr(layer, "layer", layer)
    if type(layer).__name__ in ("Softmax", "UnitNormalization"):
        return {"Softmax": "softmax", "UnitNormalization": "unit norm"}[type(layer).__name__]
    activation = getattr(layer, "activation", None)
    name = getattr(getattr(activation, "activation", activation), "__name__", "")
    return name if name in ("softmax", "sigmoid") else ""


def no_loss(name: str, reason: str, need: str = "") -> ProjectError:
    """Return the error of outputs, as they are to be called, without a usual loss."""
    message = f"output {name} has no usual loss: {reason}"
    ways = (
        'name one: [train] loss = "losses.py:mine" (y_true, y_pred); or return a compiled model:'
        " model.compile(optimizer, loss, metrics); or take steps of your own: [train] loop ="
        ' "steps.py:train_step"'
    )
    return ProjectError("EK-TRAIN-002", message, f"{need}\n{ways}" if need else ways)
