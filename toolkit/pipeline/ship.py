"""What a run leaves outside its own folder: models under ``build/``, bundles under ``dist/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

import edgekit
from edgekit.converters import flatbuffer
from edgekit.evaluation.parity import open_outputs
from edgekit.evaluation.tasks.margins import DecisionMargin
from edgekit.pipeline import golden
from edgekit.pipeline.answers import answers_of
from edgekit.pipeline.box_places import boxes_of
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import box_spec, picture_size
from edgekit.store import place as place_file
from edgekit.targets import bundles, catalog
from edgekit.types import Advice, BoxesSpec, Candidate, Json, SavedModel, TargetResult

# Runtimes round differently: golden outputs may differ by this many quantization steps, or by this
# share of the largest output where it is float, or by twice what the runtimes tried here differ.
STEPS = 2.0
FLOAT_SHARE = 1e-4


def place(run: Run, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Put every candidate's file under ``build/`` and in the run's folder.

    Raises :class:`ProjectError` rather than overwrite a file that edgekit did not write.
    """
    with run.stage("place"):
        return tuple(_place(run, candidate) for candidate in candidates)


def _place(run: Run, candidate: Candidate) -> Candidate:
    if candidate.path is None:
        return candidate
    below = Path(candidate.id) / "model.tflite"
    path = run.plan.output / "build" / run.plan.name / below
    put(run, candidate.path, path)
    place_file(candidate.path, run.folder / "build" / below)
    return replace(candidate, path=path)


def put(run: Run, source: Path, path: Path) -> None:
    """Put a file where the user sees it, unless a file of theirs is there."""
    run.outputs.put(source, path, run.plan.options.force)


def bundle(
    run: Run,
    target: TargetResult,
    candidates: tuple[Candidate, ...],
    reference: SavedModel,
    items: Items,
) -> TargetResult:
    """Return the target with its bundle packed, where it ships a candidate.

    Where it ships none, the bundle that an earlier run left under the same name is moved aside.
    """
    version = run.version(reference)
    name = f"{run.plan.name}-{version}-{target.id}.tar.gz"
    path = run.plan.output / "dist" / name
    chosen = next((c for c in candidates if c.id == target.candidate), None)
    if chosen is None or chosen.path is None or not items.evaluated:
        if run.plan.options.evaluate:
            _supersede(run, target, path)
        return target
    if reason := bundles.unpackable(catalog.load(target.id)):
        fix = "its model is under build/; a package may add the kind: docs/extend.md"
        run.advise(Advice("EK-NOTE-086", "warning", f"no bundle is packed: {reason}", fix))
        return target
    with run.stage(f"bundle {target.id}"):
        labels = items.class_names or _class_numbers(reference, items)
        goldens = _golden(run, chosen, reference, items, labels)
        contents = bundles.Contents(
            name=run.plan.name,
            version=version,
            model=chosen.path,
            precision=chosen.precision,
            inputs=reference.inputs,
            outputs=reference.outputs,
            preprocess=items.preprocess,
            labels=labels,
            golden=goldens,
            measurements=_measurements(chosen, target, run.project.convert.judged_by_itself),
            compiled=target.npu.path if target.npu else None,
            tools={"edgekit": edgekit.__version__, **run.versions},
            signature=chosen.signature,
            states=tuple(s for s in reference.states if s.input.name in items.states),
            boxes=_boxes(run, items, goldens),
        )
        inside = run.folder / "dist" / name
        packed = bundles.pack(catalog.load(target.id), contents, inside)
        put(run, inside, path)
        run.note(False)
        return replace(target, bundle=replace(packed, path=path))


def _boxes(run: Run, items: Items, goldens: bundles.Golden) -> BoxesSpec | None:
    """Return where a detector's boxes lie in its outputs, where the metric reads them."""
    if items.metric.reads != "boxes" or items.postprocess:
        return None
    return boxes_of(goldens.outputs, box_spec(run), picture_size(goldens.inputs.values()))


def _supersede(run: Run, target: TargetResult, path: Path) -> None:
    """Move a bundle aside that this run, which ships none, does not bear out."""
    aside = run.outputs.set_aside(path, run.plan.options.force)
    if aside is None:
        return
    below = aside.relative_to(run.plan.output)
    message = (
        f"{target.id} ships nothing now, and an earlier run's bundle of this version was there:"
        f" dist/{path.name} is {below} from now on"
    )
    fix = "its verdict is the earlier run's, by that run's limits: do not deliver it by this one"
    run.advise(Advice("EK-NOTE-080", "warning", message, fix))


def _class_numbers(reference: SavedModel, items: Items) -> tuple[str, ...]:
    """Return numbers as class names, where the metric takes the outputs as classes."""
    if items.metric.name != "accuracy" or len(reference.outputs) != 1:
        return ()
    return tuple(str(k) for k in range(reference.outputs[0].shape[-1] or 0))


def _golden(
    run: Run, candidate: Candidate, reference: SavedModel, items: Items, labels: tuple[str, ...]
) -> bundles.Golden:
    """Return items spread over classes, or over the outputs' range, and the judging runtime's
    outputs.
    """
    names = tuple(spec.name for spec in reference.outputs)
    found = open_outputs(answers_of(run, candidate, items).path / "outputs", names)
    inputs = {name: np.load(path, mmap_mode="r") for name, path in items.inputs.items()}
    item_bytes = sum(values[:1].nbytes for values in inputs.values())
    known = _margins(items, names)
    chosen = golden.choose(found, items.labels, item_bytes, known)
    if items.streams:
        # What is carried on is tested by items in their order, from the first one on.
        chosen = golden.begin(items.streams, len(items.index), item_bytes)
    rounding = _rounding(candidate, {name: np.array(v[chosen]) for name, v in found.items()})
    for name, values in found.items() if not items.streams else ():
        chosen = chosen[
            golden.clear_items(np.array(values[chosen]), rounding[name], known.get(name))
        ]
    outputs = {name: np.array(values[chosen]) for name, values in found.items()}
    tolerance = {}
    for name, values in outputs.items():
        tolerance[name], tells = golden.tolerance(values, rounding[name], known.get(name))
        if not tells:
            message = f"output {name!r} of {candidate.id} tells its answers by less than rounding"
            fix = "the bundle's self-test cannot tell a wrong answer there: look at the accuracy"
            run.advise(Advice("EK-NOTE-045", "warning", message, fix))
    kept = {name: np.array(values[items.index[chosen]]) for name, values in inputs.items()}
    streams = (0,) if items.streams else ()
    return bundles.Golden(kept, outputs, tolerance, _answers(items, outputs, labels), streams)


def _margins(items: Items, names: tuple[str, ...]) -> Mapping[str, DecisionMargin]:
    """Return what tells the answers of the output that the task is of; of boxes, of every
    output.
    """
    if items.task is None:
        return {}
    found = items.task.task.margin
    if items.metric.reads == "boxes":
        return dict.fromkeys(names, found)
    return {items.output or names[0]: found}


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
    found = {}
    for name, values in outputs.items():
        scale = steps[name].scale if name in steps else 0.0
        rounding = STEPS * scale if scale else FLOAT_SHARE * max(float(np.abs(values).max()), 1e-6)
        found[name] = max(rounding, 2 * seen)
    return found


def _measurements(
    candidate: Candidate, target: TargetResult, by_itself: bool
) -> Mapping[str, Json]:
    """Return what the manifest tells; no drop where the file was judged by itself."""
    evaluation = candidate.evaluation
    measured: dict[str, Json] = {n: asdict(m) for n, m in evaluation.metrics.items()}
    if not by_itself:
        measured |= {f"{n}_drop": asdict(m) for n, m in evaluation.drop.items()}
    if evaluation.latency is not None:
        measured["latency_p50_on_build_host"] = asdict(evaluation.latency.p50)
    if target.npu is not None:
        named = ("cycles", "latency", "sram", "dram", "flash", "operators_on_npu", "macs_on_npu")
        measured |= {f"npu_{name}": asdict(getattr(target.npu, name)) for name in named}
    if evaluation.memory is not None:
        measured["peak_rss_on_build_host"] = asdict(evaluation.memory.peak_rss)
    return measured
