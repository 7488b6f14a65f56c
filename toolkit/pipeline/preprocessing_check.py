"""The model's own normalisation: which preparation of labelled items it answers best.

What a model was trained on is written nowhere; what it answers is. A Rescaling layer inside the
model counts by itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data import preprocessing
from edgekit.data.lint import PreprocessVariant, Unchecked, labels, variants
from edgekit.errors import RunnerError
from edgekit.evaluation import metrics
from edgekit.evaluation.latency import REFERENCE
from edgekit.evaluation.parity import open_outputs
from edgekit.gate import decide
from edgekit.pipeline.answers import threads_of
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.targets.runners import DISTRIBUTION
from edgekit.types import (
    Advice,
    Json,
    Measurement,
    Request,
    RunnerModel,
    SavedModel,
    Status,
)

ITEMS = 1000
# All variants of all items lie in one file: one start of TensorFlow answers them.
BYTES = 1 << 28
LOOK = 100
GIVEN = "as given"
# How much better a variant must surely be, for a bounded metric or as a share of an error: more
# than nothing, because the best of several is looked at.
MARGIN, RELATIVE_MARGIN = 0.005, 0.02
CHECK = "the model's own normalisation"
LEFT_OUT = "its answers are not finite"
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Score:
    """The metric of one preparation, and how much worse it is than the items as given.

    ``table`` is what makes it, of ``[data] preprocess``.
    """

    title: str
    metric: Measurement
    drop: Measurement | None
    fix: str = ""
    table: str = ""


@dataclass(frozen=True)
class PreprocessingCheck:
    """What trying other preparations found: the ``better`` one of them, where one surely is."""

    findings: tuple[Advice, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    scores: tuple[Score, ...] = ()
    better: Score | None = None


def check_preprocessing(run: Run, reference: SavedModel, items: Items) -> PreprocessingCheck:
    """Score the items as given and otherwise; a finding where another way is clearly better.

    Raises :class:`DataError` where the labels do not fit the outputs.
    """
    outputs = [spec.name for spec in reference.outputs]
    output = items.output
    if items.streams:
        return _unchecked("the items are streams: one item alone says nothing")
    if items.labels is None or not items.inputs:
        return _unchecked("there are no labelled items (--data FILE.npz with an array y)")
    if items.takes_all or items.reader is not None:
        return _unchecked("the metric is computed from postprocessed outputs")
    if not output:
        return _unchecked(f"the model has {len(outputs)} outputs: name one, --metric-output")
    places = np.linspace(0, len(items.index), min(ITEMS, len(items.index)), endpoint=False)
    chosen = _fitting(reference, items, places.astype(np.int64))
    as_is = {
        spec.name: preprocessing.apply(
            np.load(items.inputs[spec.name], mmap_mode="r")[items.index[chosen]],
            spec,
            items.preprocess,
        )
        for spec in reference.inputs
    }
    tried = [
        (spec.name, variant)
        for spec in reference.inputs
        for variant in variants(as_is[spec.name], spec, items.preprocess)
    ]
    if not tried:
        return _unchecked("no input takes floats")
    try:
        answers = _answers(run, reference, items, as_is, tried, output)
    except RunnerError as error:
        return _unchecked(f"{error.code} {error.message}")
    if not np.isfinite(answers[0]).all():
        return _unchecked("the model answers the items as given with NaN or infinite values")
    return _judge(reference, items, items.labels[chosen], tried, answers)


def unscaled(reference: SavedModel, items: Items) -> bool:
    """Tell whether raw integers beyond 0..2 are fed to a float input as they are."""
    if not items.preprocess.identity or not items.inputs:
        return False
    for spec in reference.inputs:
        raw = np.load(items.inputs[spec.name], mmap_mode="r")
        if np.dtype(spec.dtype).kind == "f" and raw.dtype.kind in "iu":
            return bool(raw[items.index[:LOOK]].max() > 2)
    return False


def _unchecked(reason: str) -> PreprocessingCheck:
    return PreprocessingCheck(unchecked=(Unchecked(CHECK, reason),))


def _fitting(
    reference: SavedModel, items: Items, places: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Thin the items out until all variants of them fit on disk."""
    size = sum(
        4 * int(np.prod(np.load(items.inputs[spec.name], mmap_mode="r").shape[1:]))
        for spec in reference.inputs
    )
    most = max(20, BYTES // (size * 10 * len(reference.inputs)))
    return places[:: max(1, -(-len(places) // most))]


def _answers(
    run: Run,
    reference: SavedModel,
    items: Items,
    as_is: Arrays,
    tried: list[tuple[str, PreprocessVariant]],
    output: str,
) -> npt.NDArray[Any]:
    """Run the reference on the items as given, then in each variant: ``[1 + variants, n, ...]``."""
    count = len(next(iter(as_is.values())))
    key = run.key(
        DISTRIBUTION[reference.runtime],
        model=reference.digest,
        **items.key,
        count=count,
        output=output,
        tried=[[n, v.title] for n, v in tried],
    )

    def make(folder: Path) -> Mapping[str, Json]:
        inputs = folder / "inputs"
        inputs.mkdir()
        request = Request(
            "evaluate",
            (RunnerModel(REFERENCE, reference.path, folder / "outputs"),),
            _write(as_is, tried, inputs),
            runtime=reference.runtime,
            threads=threads_of(reference.runtime),
            reset_state=reference.stateful,
            states=reference.carried() or None,
        )
        run.device.run(request)
        shutil.rmtree(inputs)
        return {}

    artefact = run.obtain("variants", key, make)
    answers = np.asarray(open_outputs(artefact.path / "outputs", (output,))[output])
    return answers.reshape((1 + len(tried), count, *answers.shape[1:]))


def _write(
    as_is: Arrays, tried: list[tuple[str, PreprocessVariant]], folder: Path
) -> dict[str, Path]:
    """Write every input's items as given and in each variant, one after the other, as ``.npy``."""
    create: Any = np.lib.format.open_memmap
    files = {}
    for number, (name, array) in enumerate(as_is.items()):
        path = folder / f"{number:03d}.npy"
        count = len(array)
        shape = (count * (1 + len(tried)), *array.shape[1:])
        whole = create(path, mode="w+", dtype=array.dtype, shape=shape)
        whole[:count] = array
        for at, (varied, variant) in enumerate(tried, 1):
            whole[at * count : (at + 1) * count] = variant.apply(array) if varied == name else array
        whole.flush()
        files[name] = path
    return files


def _judge(
    reference: SavedModel,
    items: Items,
    truths: npt.NDArray[Any],
    tried: list[tuple[str, PreprocessVariant]],
    answers: npt.NDArray[Any],
) -> PreprocessingCheck:
    metric = items.metric
    as_is = metrics.measure(metric, truths, answers[0])
    scores = [Score(GIVEN, as_is, None)]
    for (name, variant), answer in zip(tried, answers[1:], strict=True):
        title = variant.title if len(reference.inputs) == 1 else f"{name}: {variant.title}"
        if not np.isfinite(answer).all():
            nothing = Measurement.unavailable(metric.unit, LEFT_OUT)
            scores.append(Score(title, nothing, None, variant.fix, variant.table))
            continue
        lost, _ = metrics.drop(metric, truths, answers[0], answer)
        measured = metrics.measure(metric, truths, answer)
        scores.append(Score(title, measured, lost, variant.fix, variant.table))
    margin = MARGIN if metric.bounded else RELATIVE_MARGIN * abs(as_is.value or 0.0)
    better = [(s, s.drop) for s in scores if s.drop and decide(s.drop, -margin) is Status.PASSED]
    findings: list[Advice] = []
    best = None
    if better:
        best, drop = min(better, key=lambda pair: pair[1].value or 0.0)
        findings.append(_other(items, as_is, best, drop))
    elif doubtful := chance(as_is, items):
        findings.append(doubtful)
    return PreprocessingCheck(tuple(findings), (), tuple(scores), best)


def _other(items: Items, as_is: Measurement, best: Score, drop: Measurement) -> Advice:
    name, low, high = items.metric.name, -(drop.high or 0.0), drop.low
    upper = f" to {-high:.3g}" if high is not None else " or more"
    message = (
        f"inputs look wrongly preprocessed: {name} {as_is.value:.3g} as is,"
        f" {best.metric.value:.3g} {best.title}, on the same {as_is.n} items"
        f" (better by {low:.3g}{upper}, 95 %)"
    )
    return Advice("EK-LINT-060", "error", message, best.fix)


def chance(metric: Measurement, items: Items) -> Advice | None:
    """Find an accuracy that is not proven better than always answering the commonest class."""
    classes = labels.classes(items.labels) if items.metric.name == "accuracy" else None
    if classes is None or metric.low is None or metric.value is None:
        return None
    commonest = float(np.max(np.unique(classes, return_counts=True)[1])) / len(classes)
    # With one class there is nothing to tell apart, with few items nothing is proven.
    if metric.low > commonest or commonest == 1.0 or (metric.n or 0) < 50:
        return None
    message = (
        f"the model itself answers no better than the commonest class would: accuracy"
        f" {metric.value:.3g}, against {commonest:.3g}"
    )
    fix = "is the data scaled as in training? `edgekit lint-data` tries other ways"
    return Advice("EK-LINT-061", "warning", message, fix)
