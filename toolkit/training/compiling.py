"""Compile a model by the settings of ``[train]``. Runs in the worker.

A compiled model stays as it was compiled but for what the settings say.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data import LABELS
from edgekit.errors import ProjectError, did_you_mean
from edgekit.models.load import library
from edgekit.project.train import ScheduleTable, TrainTable
from edgekit.training import defaults
from edgekit.training.columns import Column, Columns
from edgekit.training.contrastive import refuse_unpaired
from edgekit.training.distribution.scope import predictions
from edgekit.training.feed import Feed
from edgekit.training.rates import schedule
from edgekit.training.set_prediction import set_prediction
from edgekit.usercode import is_reference, resolve


def compile_model(
    model: Any, feed: Feed, settings: TrainTable, epochs: int, root: Path
) -> tuple[Feed, str]:
    """Compile a model where the settings or the model want it; return the feed to train on.

    The feed is another where the loss wants other labels: one-hot ones that are smoothed, or the
    input itself. The second value says in words what the task was taken for, if it was. Raises
    :class:`ProjectError` where Keras has no such optimizer, loss or metric.
    """
    keras = library(model)
    own = getattr(model, "optimizer", None) is not None
    losses = settings.loss is not None or settings.label_smoothing > 0
    losses = losses or settings.loss_weights is not None
    if own and not (losses or settings.metrics is not None or _changes_optimizer(settings)):
        return feed, ""
    # XLA's depthwise convolutions on a CPU were measured at eight times TensorFlow's own.
    config: dict[str, Any] = {"jit_compile": False}
    if own:
        config = dict(model._compile_config.config)
    rate = settings.learning_rate
    if own and settings.optimizer is None:
        changed = _changed(model.optimizer, settings, feed, epochs)
    else:
        changed = _optimizer(keras, settings, feed, epochs, rate or ScheduleTable())
    config["optimizer"] = changed
    task = ""
    if not own and settings.loss is None and settings.loop is None:
        feed, found = _by_task(keras, model, feed)
        config |= found.config
        task = found.words
    if settings.loss is not None:
        config["loss"] = _of_names(settings.loss, lambda name: _loss(keras, name, root))
    if settings.loss_weights is not None:
        config["loss_weights"] = _weights(model, settings.loss_weights)
    if settings.metrics is not None:
        config["metrics"] = _of_names(settings.metrics, lambda name: _metric(keras, name, root))
    if settings.label_smoothing:
        feed, smoothed = _smoothed(keras, config, feed, model, settings.label_smoothing)
        config |= smoothed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.compile(**{key: value for key, value in config.items() if value is not None})
    return feed, task


def recompile(model: Any, feed: Feed, settings: TrainTable, epochs: int, original: Any) -> None:
    """Compile a compiled model again for what is trainable now, with a fresh optimizer.

    It is as ``original``, the one that the model came with if it did, but for what the settings
    say; its schedule is of so many epochs.
    """
    config = dict(model._compile_config.config)
    if original is not None and settings.optimizer is None:
        config["optimizer"] = _changed(original, settings, feed, epochs, fresh=True)
    else:
        rate = settings.learning_rate or ScheduleTable()
        config["optimizer"] = _optimizer(library(model), settings, feed, epochs, rate)
    model.compile(**{key: value for key, value in config.items() if value is not None})


def own_steps_at_once(model: Any) -> int | None:
    """Return how many batches a call of the graph takes, where the model was compiled with more
    than one.
    """
    said = model._compile_config.config.get("steps_per_execution")
    return said if isinstance(said, int) and said > 1 else None


def usual_loss(
    model: Any, feed: Feed, named: str | Mapping[str, str] | None, root: Path
) -> tuple[Feed, Any]:
    """Return a named loss, else that of the model's task, and the feed of the labels it wants.

    Of several outputs it is a dict. Raises :class:`ProjectError` as :func:`compile_model` does.
    """
    keras = library(model)
    if named is not None:
        return feed, _of_names(named, lambda name: _loss(keras, name, root))
    feed, found = _by_task(keras, model, feed)
    return feed, found.config["loss"]


def _changes_optimizer(settings: TrainTable) -> bool:
    asked = (settings.optimizer, settings.learning_rate, settings.clip_norm, settings.ema)
    return any(one is not None for one in asked)


def _more(settings: TrainTable) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if settings.clip_norm is not None:
        more |= {"clipnorm": None, "clipvalue": None, "global_clipnorm": settings.clip_norm}
    if settings.ema is not None:
        more |= {"use_ema": True, "ema_momentum": settings.ema}
    return more


def _changed(
    optimizer: Any, settings: TrainTable, feed: Feed, epochs: int, fresh: bool = False
) -> Any:
    """Return an optimizer as the model's own, but for what the settings say.

    Where they say nothing, it is the same one, unless a ``fresh`` one is wanted.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    more = _more(settings)
    if settings.learning_rate is not None:
        keras = _library_of(inner)
        rate = schedule(keras, settings.learning_rate, feed.steps_per_epoch, epochs)
        more["learning_rate"] = rate
    changed = bool(more) or fresh
    return type(inner).from_config({**inner.get_config(), **more}) if changed else optimizer


def _library_of(optimizer: Any) -> Any:
    import keras
    import tf_keras

    return keras if isinstance(optimizer, keras.optimizers.Optimizer) else tf_keras


def _optimizer(
    keras: Any, settings: TrainTable, feed: Feed, epochs: int, rate: ScheduleTable
) -> Any:
    name = settings.optimizer or "adam"
    config = {
        "learning_rate": schedule(keras, rate, feed.steps_per_epoch, epochs),
        **_more(settings),
    }
    try:
        kind = type(keras.optimizers.get(name))
    except (ValueError, TypeError) as error:
        kinds = [one.lower() for one in vars(keras.optimizers) if one[0].isupper()]
        raise _unknown("optimizer", name, kinds) from error
    return kind(**config)


def _loss(keras: Any, name: str, root: Path) -> Any:
    if is_reference(name):
        return resolve(name, root)
    try:
        return keras.losses.get(name)
    except (ValueError, TypeError) as error:
        kinds = [one for one in vars(keras.losses) if one.islower()]
        raise _unknown("loss", name, kinds) from error


def _metric(keras: Any, name: str, root: Path) -> Any:
    if is_reference(name):
        return resolve(name, root)
    # Which accuracy is meant, Keras tells by the labels.
    if name in ("accuracy", "acc", "crossentropy", "ce"):
        return name
    kinds = [*(one for one in vars(keras.metrics) if one.islower()), "accuracy"]
    try:
        metric = keras.metrics.get(name)
    except (ValueError, TypeError) as error:
        raise _unknown("metrics", name, kinds) from error
    # tf_keras gives back a name that it does not know.
    if isinstance(metric, str):
        raise _unknown("metrics", name, kinds)
    return metric


def _of_names(named: Any, find: Any) -> Any:
    """Look up a name, a list of names, or both by output."""
    if isinstance(named, Mapping):
        return {output: _of_names(one, find) for output, one in named.items()}
    return find(named) if isinstance(named, str) else [find(name) for name in named]


def _weights(model: Any, weights: Mapping[str, float]) -> dict[str, float]:
    """Return how much each output's loss counts; of those that are not named, 1."""
    outputs = [str(name) for name in getattr(model, "output_names", None) or weights]
    for name in weights:
        if name not in outputs:
            message = f"[train] loss_weights: no output is called {name!r}"
            message += did_you_mean(name, outputs)
            raise ProjectError("EK-TRAIN-001", message, f"the outputs are {', '.join(outputs)}")
    return {name: weights.get(name, 1.0) for name in outputs}


def _unknown(key: str, name: str, known: list[str]) -> ProjectError:
    hint = "use one of Keras's names"
    if key != "optimizer":
        hint = f"{hint}; or your own: file.py:function(y_true, y_pred)"
    message = f"[train] {key}: Keras has no {name!r}{did_you_mean(name, known)}"
    return ProjectError("EK-TRAIN-001", message, hint)


class _Found:
    """What the tasks of a model's outputs say: parts of what ``compile`` takes, and words."""

    def __init__(self, fits: Mapping[str, defaults.Fit]) -> None:
        only = next(iter(fits.values())) if len(fits) == 1 else None
        losses = only.loss if only else {name: fit.loss for name, fit in fits.items()}
        named = {name: [fit.metric] if fit.metric else [] for name, fit in fits.items()}
        metrics = next(iter(named.values())) if only else named
        self.config = {"loss": losses, "metrics": metrics}
        self.words = ", ".join(dict.fromkeys(fit.task for fit in fits.values()))


def _by_task(keras: Any, model: Any, feed: Feed) -> tuple[Feed, _Found]:
    if feed.head is not None:
        loss = set_prediction(feed.head)
        return feed, _Found({feed.head.names[0]: defaults.Fit("detection", loss, None)})
    x, y = feed.rows(feed.few())
    outputs = defaults.by_output(model, predictions(model, x))
    if len(outputs) > 1 and not isinstance(y, Mapping):
        message = f"the model has {len(outputs)} outputs, and the data one array of labels"
        hint = f"name an array of labels as each output is called: {', '.join(outputs)}"
        raise ProjectError("EK-TRAIN-002", message, hint)
    fits = {}
    for name, (output, answers) in outputs.items():
        labels = np.asarray(y[name] if isinstance(y, Mapping) else y)
        task = feed.task if len(outputs) == 1 else None
        fits[name] = defaults.usual(keras, model, name, output, labels, answers, task, feed.texts)
        if fits[name].task == "embeddings":
            column = feed.columns.targets[name if isinstance(y, Mapping) else LABELS]
            refuse_unpaired(column.rows[feed.items], "the training data")
    if [fit.task for fit in fits.values()] == ["anomaly"]:
        feed = _with_targets(feed, lambda columns: columns.inputs)
        feed = replace(feed, pack_targets=feed.pack)
    return feed, _Found(fits)


def _smoothed(
    keras: Any, config: Mapping[str, Any], feed: Feed, model: Any, share: float
) -> tuple[Feed, Mapping[str, Any]]:
    """Return a cross-entropy of smoothed labels; those of class numbers become one-hot."""
    loss = config.get("loss")
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    name = getattr(loss, "__name__", "") or getattr(loss, "name", "")
    said = {"from_logits": bool(_config(loss).get("from_logits")), "label_smoothing": share}
    if name == "binary_crossentropy":
        return feed, {"loss": keras.losses.BinaryCrossentropy(**said)}
    if name == "categorical_crossentropy":
        return feed, {"loss": keras.losses.CategoricalCrossentropy(**said)}
    if name != "sparse_categorical_crossentropy" or len(model.outputs) > 1:
        message = f"[train] label_smoothing smooths a cross-entropy of one output, not {name!r}"
        hint = "leave it out, or smooth in a loss of your own"
        raise ProjectError("EK-TRAIN-003", message, hint)
    metrics = ["accuracy" if _is_sparse(one) else one for one in config.get("metrics") or []]
    feed = _one_hot(feed, int(model.outputs[0].shape[-1]))
    return feed, {"loss": keras.losses.CategoricalCrossentropy(**said), "metrics": metrics}


def _is_sparse(metric: Any) -> bool:
    return "sparse_categorical_accuracy" in str(metric) or "SparseCategoricalAccuracy" in str(
        type(metric)
    )


def _config(loss: Any) -> Mapping[str, Any]:
    config: Mapping[str, Any] = loss.get_config() if hasattr(loss, "get_config") else {}
    return config


def _one_hot(feed: Feed, classes: int) -> Feed:
    import tensorflow as tf

    def hot(column: Column) -> Column:
        def prepare(raw: Any) -> Any:
            labels = column.prepare(raw)
            single = len(labels.shape) > 1 and labels.shape[-1] == 1
            labels = tf.squeeze(labels, -1) if single else labels
            return tf.one_hot(tf.cast(labels, tf.int32), classes)

        return replace(column, prepare=prepare)

    return _with_targets(feed, lambda columns: {n: hot(one) for n, one in columns.targets.items()})


def _with_targets(feed: Feed, targets: Callable[[Columns], Mapping[str, Column]]) -> Feed:
    """Return a feed with other labels: those to train on, and those held out."""
    return replace(
        feed,
        columns=replace(feed.columns, targets=targets(feed.columns)),
        held_out_columns=replace(feed.held_out_columns, targets=targets(feed.held_out_columns)),
    )
