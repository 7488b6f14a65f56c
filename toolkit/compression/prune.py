"""Magnitude pruning by TFMOT: each layer's smallest weights become zero. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import CompressionError
from edgekit.models.bridge import prove_equal, to_tf_keras
from edgekit.models.export import Names, export_keras
from edgekit.models.load import load
from edgekit.training.fit import Report, Training, fit, seed_everything
from edgekit.types import Model

LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Plan:
    """How much to prune, on which schedule, and how long to fine-tune."""

    sparsity: float
    schedule: str
    epochs: int


def prune(
    source: Model, plan: Plan, training: Training | None, samples: Path | None, folder: Path,
    names: Names, trust: bool = False, progress: Report | None = None,
) -> Mapping[str, Any]:  # fmt: skip
    """Prune the model in a file and write its SavedModel to ``folder``; its facts.

    Fine-tuned on ``training``; without it pruned in one shot. ``names`` are the reference's inputs
    and outputs. ``samples`` is an ``.npy`` of preprocessed items on which the tf_keras twin must
    answer as the model does. Raises :class:`CompressionError` where a layer cannot be pruned over.
    """
    original = load(source, trust)
    twin = to_tf_keras(original).twin
    items = [np.load(samples)] if samples and len(original.inputs) == 1 else None
    proof = prove_equal(original, twin, items)
    if training is None or plan.epochs == 0:
        pruned = _one_shot(twin, plan)
    else:
        seed_everything(training.seed)
        pruned = _finetuned(twin, plan, training, progress)
    facts = dict(export_keras(pruned, folder, True, names))
    layers = _sparsity(pruned)
    weights = sum(size for _, _, size in layers)
    zeros = sum(share * size for _, share, size in layers)
    return {
        **facts,
        "layers": [[name, share] for name, share, _ in layers],
        "achieved": zeros / weights if weights else 0.0,
        "finetuned": training is not None and plan.epochs > 0,
        "bridge_difference": max(proof.random, proof.real or 0.0),
    }


def _one_shot(twin: Any, plan: Plan) -> Any:
    wrapped, schedules = _wrap(twin, plan, 1)
    for layer in wrapped.layers:
        if hasattr(layer, "pruning_obj"):
            layer.pruning_step.assign(schedules.begin_step)
            layer.pruning_obj.conditional_mask_update()
            layer.pruning_obj.weight_mask_op()
    return _strip(wrapped)


def _finetuned(twin: Any, plan: Plan, training: Training, progress: Report | None) -> Any:
    import tensorflow_model_optimization as tfmot
    import tf_keras

    labels = training.dataset.open_labels()
    steps = -(-len(labels) // training.batch_size) * plan.epochs
    wrapped, _ = _wrap(twin, plan, steps)
    loss = _loss(twin, training)
    wrapped.compile(tf_keras.optimizers.Adam(LEARNING_RATE), loss)
    callback = tfmot.sparsity.keras.UpdatePruningStep()
    fit(wrapped, training, plan.epochs, [callback], progress)
    return _strip(wrapped)


def _wrap(twin: Any, plan: Plan, steps: int) -> tuple[Any, Any]:
    import tensorflow_model_optimization as tfmot

    if plan.schedule == "constant" or steps < 4:
        schedule = tfmot.sparsity.keras.ConstantSparsity(plan.sparsity, begin_step=0, frequency=1)
    else:
        # The last quarter of the steps recovers at full sparsity.
        schedule = tfmot.sparsity.keras.PolynomialDecay(
            initial_sparsity=0.0, final_sparsity=plan.sparsity, begin_step=0,
            end_step=steps * 3 // 4, frequency=max(1, steps // 50),
        )  # fmt: skip
    return tfmot.sparsity.keras.prune_low_magnitude(twin, pruning_schedule=schedule), schedule


def _strip(wrapped: Any) -> Any:
    import tensorflow_model_optimization as tfmot

    return tfmot.sparsity.keras.strip_pruning(wrapped)


def _loss(twin: Any, training: Training) -> Any:
    """The usual loss for the labels and what the model's outputs look like."""
    import tf_keras

    if len(twin.outputs) > 1:
        message = f"the model has {len(twin.outputs)} outputs; fine-tuning takes one"
        raise CompressionError("EK-COMPRESS-005", message, "prune in one shot: no training data")
    labels = training.dataset.open_labels()
    outputs = twin.outputs[0].shape[-1]
    if labels.dtype.kind not in "iub":
        return tf_keras.losses.MeanSquaredError()
    shape = tuple(1 if s is None else s for s in twin.inputs[0].shape[1:])
    random = np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32)
    answers = np.asarray(twin(random, training=False))
    if outputs == 1:
        logits = bool((answers < 0).any() or (answers > 1).any())
        return tf_keras.losses.BinaryCrossentropy(from_logits=logits)
    logits = not np.allclose(answers.sum(-1), 1.0, atol=1e-3)
    return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=logits)


def _sparsity(model: Any) -> list[tuple[str, float, int]]:
    """Each layer's share of zeros in its kernel, and the kernel's size."""
    found = []
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            values = np.asarray(kernel)
            found.append((layer.name, float(np.mean(values == 0)), int(values.size)))
    return found
