"""The golden pairs of a bundle: real items, what the model answers, how far others may be off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.converters import flatbuffer
from edgekit.errors import DeviceError, RunnerError
from edgekit.evaluation.parity import open_outputs
from edgekit.evaluation.tasks.margins import DecisionMargin
from edgekit.pipeline import golden
from edgekit.pipeline.answers import JUDGE, answers_of, request, timed
from edgekit.pipeline.arena import affordable
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.targets import bundles
from edgekit.targets.runners import DISTRIBUTION
from edgekit.types import Advice, Candidate, Json, SavedModel, Status

# Runtimes round differently: golden outputs may differ by this many quantization steps, or by this
# share of the largest output where it is float, or by twice what the runtimes tried here differ.
STEPS = 2.0
FLOAT_SHARE = 1e-4


def golden_pairs(
    run: Run,
    candidate: Candidate,
    reference: SavedModel,
    items: Items,
    labels: tuple[str, ...],
    tell: bool = True,
) -> bundles.Golden:
    """Return items spread over classes, or over the outputs' range, and the judging runtime's
    outputs.

    Where it is packed now (``tell``), the other runtimes that run it here give theirs too, and the
    user hears of outputs whose answers rounding could change.
    """
    names = tuple(spec.name for spec in reference.outputs)
    answers = open_outputs(answers_of(run, candidate, items).path / "outputs", names)
    inputs = {name: np.load(path, mmap_mode="r") for name, path in items.inputs.items()}
    item_bytes = sum(values[:1].nbytes for values in inputs.values())
    known = _margins(items, names)
    chosen = golden.choose(answers, items.labels, item_bytes, known)
    if items.streams:
        # What is carried on is tested by items in their order, from the first one on.
        chosen = golden.begin(items.streams, len(items.index), item_bytes)
    rounding = _rounding(candidate, {name: np.array(v[chosen]) for name, v in answers.items()})
    for name, values in answers.items() if not items.streams else ():
        chosen = chosen[
            golden.clear_items(np.array(values[chosen]), rounding[name], known.get(name))
        ]
    outputs = {name: np.array(values[chosen]) for name, values in answers.items()}
    families = _families(run, candidate, items, chosen, outputs) if tell else ()
    tolerance = {}
    for name, values in outputs.items():
        apart = max((family.differences[name] for family in families), default=0.0)
        off = max(rounding[name], 2 * apart)
        tolerance[name], tells = golden.tolerance(values, off, known.get(name))
        if not tells and tell:
            message = f"output {name!r} of {candidate.id} tells its answers by less than rounding"
            fix = "the bundle's self-test cannot tell a wrong answer there: look at the accuracy"
            run.advise(Advice("EK-NOTE-045", "warning", message, fix))
    kept = {name: np.array(values[items.index[chosen]]) for name, values in inputs.items()}
    return bundles.Golden(
        kept,
        outputs,
        tolerance,
        _answers(items, outputs, labels),
        (0,) if items.streams else (),
        run.versions[DISTRIBUTION[JUDGE]],
        families,
    )


def _families(
    run: Run,
    candidate: Candidate,
    items: Items,
    chosen: golden.Index,
    outputs: Mapping[str, npt.NDArray[np.float32]],
) -> tuple[bundles.Family, ...]:
    """Return what the other runtimes that run the candidate here give for the golden items."""
    families: list[bundles.Family] = []
    for tried in candidate.evaluation.runtimes:
        seen = (JUDGE, *(family.runtime for family in families))
        if tried.status is not Status.PASSED or tried.runtime in seen:
            continue
        try:
            theirs = _outputs_on(run, candidate, items, chosen, tried.runtime, tuple(outputs))
        except (DeviceError, RunnerError):
            # It ran the run's own items: that it did not run these is said by its absence.
            continue
        differences = {
            name: float(np.abs(values.astype(np.float64) - outputs[name]).max())
            for name, values in theirs.items()
        }
        if theirs and all(np.isfinite(value) for value in differences.values()):
            families.append(bundles.Family(tried.runtime, tried.version, theirs, differences))
    return tuple(families)


def _outputs_on(
    run: Run,
    candidate: Candidate,
    items: Items,
    chosen: golden.Index,
    runtime: str,
    names: tuple[str, ...],
) -> Mapping[str, npt.NDArray[np.float32]]:
    """Run the golden items on a runtime of this host; nothing of one that is too slow for them.

    Raises :class:`DeviceError` or :class:`RunnerError`.
    """
    key = run.key(
        DISTRIBUTION[runtime],
        runtime=runtime,
        candidate=candidate.sha256,
        chosen=[int(position) for position in chosen],
        **items.key,
        **({"signature": candidate.signature} if candidate.signature else {}),
    )

    def make(folder: Path) -> Mapping[str, Json]:
        np.save(folder / "index.npy", items.index[chosen])
        asked = replace(
            request(timed(candidate, items, runtime), items, folder / "outputs"),
            index=folder / "index.npy",
            streams=(0,) if items.streams else None,
        )
        whole = affordable(run.device, asked, len(chosen)) == len(chosen)
        if whole:
            run.device.run(asked)
        return {"whole": whole}

    kept = run.obtain("golden-outputs", key, make)
    if not kept.facts["whole"]:
        return {}
    opened = open_outputs(kept.path / "outputs", names)
    return {name: np.array(values) for name, values in opened.items()}


def _margins(items: Items, names: tuple[str, ...]) -> Mapping[str, DecisionMargin]:
    """Return what tells the answers of the output that the task is of; of boxes, of every
    output.
    """
    if items.task is None:
        return {}
    margin = items.task.task.margin
    if items.metric.reads == "boxes":
        return dict.fromkeys(names, margin)
    return {items.output or names[0]: margin}


def _answers(
    items: Items, outputs: Mapping[str, npt.NDArray[np.float32]], labels: tuple[str, ...]
) -> bundles.Answers | None:
    """Return what the golden items' classes are called, where they have names."""
    name = items.output or next(iter(outputs))
    if items.metric.reads != "classes" or items.postprocess or outputs[name].ndim != 2:
        return None
    if outputs[name].shape[1] < 2 or outputs[name].shape[1] != len(labels):
        return None
    return bundles.Answers(name, tuple(labels[k] for k in outputs[name].argmax(axis=1)))


def _rounding(
    candidate: Candidate, outputs: Mapping[str, npt.NDArray[np.float32]]
) -> Mapping[str, float]:
    """Tell by how much the outputs of other runtimes may differ."""
    seen = max((r.disagreement or 0.0 for r in candidate.evaluation.runtimes), default=0.0)
    file = flatbuffer.read(candidate.path) if candidate.path else None
    steps = file.outputs_of(candidate.signature) if file else {}
    bounds = {}
    for name, values in outputs.items():
        scale = steps[name].scale if name in steps else 0.0
        rounding = STEPS * scale if scale else FLOAT_SHARE * max(float(np.abs(values).max()), 1e-6)
        bounds[name] = max(rounding, 2 * seen)
    return bounds
