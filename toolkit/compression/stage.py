"""Apply one scheme to one model file: plan, one shot, training, strip. In the worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.compression.scheme import Context, LayerPlan, Scheme, kernels
from edgekit.compression.schemes import SCHEMES
from edgekit.compression.speed import unmet_sparse_conditions
from edgekit.errors import CompressionError
from edgekit.evaluation import metrics
from edgekit.models.export import Names, export_keras
from edgekit.models.float32 import in_float32
from edgekit.models.load import load
from edgekit.training.distribution.team import team
from edgekit.training.feed import Training
from edgekit.training.finetune import Finetuning, TrainingHooks, count_steps, finetune
from edgekit.training.progress import Report
from edgekit.training.seeds import deterministic, seed_everything
from edgekit.training.watch.settings import Watching
from edgekit.types import LayerCompression, Model

FILE = "model.h5"
UNRECOVERED = "unrecovered"
# TFMOT's wrappers put this before a layer's name.
PREFIX = "quant_"


@dataclass(frozen=True)
class RecoveryTraining:
    """How accuracy is recovered: on which data, how, by which metric, with which teacher.

    ``metric`` is a name of ours or ``file.py:function``, found from ``root``.
    """

    training: Training
    finetuning: Finetuning
    metric: str
    root: Path
    teacher: Model | None = None
    watching: Watching | None = None


@dataclass(frozen=True)
class SchemeJob:
    """A scheme to apply to a flat tf_keras model file.

    ``table`` is the scheme's of ``[compress]``, ``before`` the schemes already applied, ``samples``
    are ``.npy`` files of preprocessed items, one per input in the model's order, ``names`` are the
    inputs and outputs of the reference.
    """

    scheme: str
    table: Any
    model: Model
    before: tuple[str, ...]
    samples: tuple[Path, ...]
    names: Names


def apply(
    work: SchemeJob,
    recovery: RecoveryTraining | None,
    partial: Path,
    folder: Path,
    progress: Report | None = None,
    warn: Callable[[str], None] | None = None,
) -> Mapping[str, Any]:
    """Write ``model.h5``, its SavedModel, and the SavedModel before recovery; return the facts.

    Without ``recovery`` the scheme acts in one shot. ``warn`` is told of alarms at once. Raises
    :class:`CompressionError` if it can change no layer, or lacks data.
    """
    begin = time.monotonic()
    scheme = SCHEMES[work.scheme]
    plan = scheme.plan(load(work.model), work.table)
    samples = tuple(np.load(path) for path in work.samples)
    _check_samples(scheme, samples)
    pruned = _one_shot(scheme, work, plan, samples)
    exported = export_keras(pruned, folder, True, work.names)
    finetuned: Mapping[str, Any] = {"epochs": 0}
    if recovery is not None and recovery.finetuning.epochs:
        (folder / UNRECOVERED).mkdir()
        (folder / "saved_model").rename(folder / UNRECOVERED / "saved_model")
        heard = (progress, warn)
        pruned, finetuned = _trained(scheme, work, plan, samples, recovery, partial, heard)
        exported = export_keras(pruned, folder, True, work.names)
    pruned.save(folder / FILE)
    return {
        **exported,
        "layers": [asdict(row) for row in measure_layers(pruned, plan)],
        "finetuned": finetuned,
        "unmet": unmet_sparse_conditions(pruned) if scheme.name == "prune" else [],
        "seconds": time.monotonic() - begin,
    }


def preview(work: SchemeJob) -> Mapping[str, Any]:
    """Plan what :func:`apply` would do to each layer, if it cannot be tried; return the facts."""
    begin = time.monotonic()
    model = load(work.model)
    plan = SCHEMES[work.scheme].plan(model, work.table)
    return {
        "layers": [asdict(row) for row in measure_layers(model, plan)],
        "finetuned": {"epochs": 0},
        "unmet": [],
        "seconds": time.monotonic() - begin,
    }


def _check_samples(scheme: Scheme, samples: tuple[Any, ...]) -> None:
    if scheme.needs_items and not samples:
        message = "quantization-aware training needs real items to set its ranges from"
        hint = "give some with --train-data, --data or --representative"
        raise CompressionError("EK-COMPRESS-014", message, hint)


def _one_shot(scheme: Scheme, work: SchemeJob, plan: tuple[LayerPlan, ...], samples: Any) -> Any:
    wrapped = scheme.wrap(load(work.model), work.table, plan, Context(0, work.before, samples))
    return scheme.strip(wrapped, load(work.model), plan)


def _trained(
    scheme: Scheme,
    work: SchemeJob,
    plan: tuple[LayerPlan, ...],
    samples: Any,
    recovery: RecoveryTraining,
    partial: Path,
    heard: tuple[Report | None, Callable[[str], None] | None],
) -> tuple[Any, Mapping[str, Any]]:
    teacher = in_float32(load(recovery.teacher)) if recovery.teacher else None
    wrapped, facts = tune(scheme, work, plan, samples, recovery, partial, heard, teacher)
    return scheme.strip(wrapped, load(work.model), plan), facts


def tune(
    scheme: Scheme,
    work: SchemeJob,
    plan: tuple[LayerPlan, ...],
    samples: Any,
    recovery: RecoveryTraining,
    partial: Path,
    heard: tuple[Report | None, Callable[[str], None] | None],
    teacher: Any | None,
) -> tuple[Any, Mapping[str, Any]]:
    """Wrap a model for a scheme and train it, by the strategy that this is called in."""
    settings = recovery.finetuning
    if settings.settings.deterministic:
        deterministic()
    seed_everything(recovery.training.seed)
    steps = count_steps(recovery.training, settings.epochs)
    wrapped = scheme.wrap(load(work.model), work.table, plan, Context(steps, work.before, samples))
    # Of several workers the first writes.
    board = recovery.watching.folder if recovery.watching and team().chief else None
    hooks = TrainingHooks(
        score=build_score(recovery.metric, recovery.root),
        settled=scheme.settled(work.table, steps),
        callbacks=tuple(scheme.callbacks(str(board / "scheme") if board else None)),
        watching=recovery.watching,
    )
    facts = finetune(
        wrapped, settings, recovery.training, teacher, hooks, partial, recovery.root, *heard
    )
    return wrapped, facts


def build_score(name: str, root: Path) -> Any:
    """Build ``score(labels, outputs)`` of a metric: higher is better."""
    metric = metrics.named(name, root)
    sign = 1.0 if metric.direction == "higher" else -1.0

    def score(labels: Any, outputs: Any) -> float:
        return sign * float(metrics.value(metric, labels, outputs) or 0.0)

    return score


def measure_layers(model: Any, plan: tuple[LayerPlan, ...]) -> list[LayerCompression]:
    """Measure what each layer of a compressed model really holds, beside the requested value."""
    rows = {row.layer: row for row in plan}
    rows_measured = []
    for layer in model.layers:
        name, inner = layer.name.removeprefix(PREFIX), getattr(layer, "layer", layer)
        row = rows.get(name, LayerPlan(name, type(inner).__name__, 0, None))
        arrays = list(kernels(layer).values())
        if not arrays and not row.reason:
            continue
        values = np.concatenate([np.zeros(0), *(array.ravel() for array in arrays)])
        rows_measured.append(
            LayerCompression(
                layer=name,
                kind=row.kind,
                weights=int(values.size),
                requested=row.value,
                sparsity=float(np.mean(values == 0)) if arrays else 0.0,
                unique=max((len(np.unique(array)) for array in arrays), default=0),
                reason=row.reason,
            )
        )
    return rows_measured
