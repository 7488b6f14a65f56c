"""What a run leaves outside its own folder: models under ``build/``, bundles under ``dist/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import edgekit
from edgekit.errors import BundleError
from edgekit.evaluation.boxes import picture_size
from edgekit.pipeline import stage_results
from edgekit.pipeline.answers import file_of
from edgekit.pipeline.app_table import signing_key, with_app
from edgekit.pipeline.box_places import boxes_of
from edgekit.pipeline.bundle_kinds import file_name, kinds_of
from edgekit.pipeline.golden_pairs import golden_pairs
from edgekit.pipeline.golden_statistics import golden_statistics
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import box_spec
from edgekit.project import Project
from edgekit.store import place as place_file
from edgekit.targets import bundles, catalog
from edgekit.types import Advice, BoxesSpec, Candidate, Json, SavedModel, TargetResult

# Below a run's folder: what bundles are made of, by candidate.
KEPT = "contents"


def place(run: Run, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Put every candidate's file under ``build/`` and in the run's folder.

    Raises :class:`ProjectError` rather than overwrite a file that edgekit did not write.
    """
    with run.stage("place") as stage:
        stage.result = f"in build/{run.plan.name}"
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


def keep_contents(
    run: Run,
    targets: tuple[TargetResult, ...],
    candidates: tuple[Candidate, ...],
    reference: SavedModel,
    made_of: SavedModel,
    items: Items,
) -> Mapping[str, bundles.Contents]:
    """Return what bundles are made of, by candidate, and keep it for bundles that are made later.

    Of candidates that have a file, that runs; none where nothing was evaluated. ``made_of`` is the
    SavedModel that they were converted from: the reference, or the compressed one.
    """
    if not items.evaluated:
        return {}
    shipped = {target.candidate for target in targets}
    by_candidate = {}
    with run.stage("golden pairs") as stage:
        for candidate in candidates:
            if candidate.path is None or candidate.problem or not candidate.evaluation.metrics:
                continue
            tell = candidate.id in shipped
            contents = contents_of(run, candidate, reference, items, tell)
            by_candidate[candidate.id] = replace(contents, saved_model=_served(candidate, made_of))
            bundles.keep(by_candidate[candidate.id], run.folder / KEPT / candidate.id)
        stage.result = f"of {len(by_candidate)} candidate{'' if len(by_candidate) == 1 else 's'}"
    return by_candidate


def _served(candidate: Candidate, made_of: SavedModel) -> Path | None:
    """Return the SavedModel that a candidate was made of, where both compute the same."""
    if candidate.as_is or candidate.precision != "float32" or made_of.runtime != "tensorflow":
        return None
    return made_of.in_float32.path


def bundle(
    run: Run,
    target: TargetResult,
    candidates: tuple[Candidate, ...],
    kept: Mapping[str, bundles.Contents],
    reference: SavedModel,
) -> TargetResult:
    """Return the target with its bundles packed, where it ships a candidate.

    Where it ships none, the bundle that an earlier run left under the same name is moved aside.
    """
    path = run.plan.output / "dist" / f"{run.plan.name}-{run.version(reference)}-{target.id}.tar.gz"
    chosen = next((c for c in candidates if c.id == target.candidate), None)
    if chosen is None or chosen.id not in kept:
        if run.plan.options.evaluate:
            with run.stage(f"bundle {target.id}") as stage:
                _supersede(run, target, path)
                stage.result = "none: it ships nothing"
        return target
    known, packed = catalog.load(target.id), []
    key = signing_key(run.project)
    with run.stage(f"bundle {target.id}") as stage:
        contents = for_target(kept[chosen.id], chosen, target, run.project)
        for kind in kinds_of(known, run.project.bundle.kinds):
            if reason := bundles.unpackable(known, kind):
                fix = "its model is under build/; a package may add the kind: docs/extend.md"
                run.advise(Advice("EK-NOTE-086", "warning", f"no bundle is packed: {reason}", fix))
                continue
            file = file_name(contents, known, kind)
            inside, path = run.folder / "dist" / file, run.plan.output / "dist" / file
            try:
                made = bundles.pack(known, contents, inside, kind, key)
            except BundleError as error:
                # What was measured is worth its report, with or without an archive.
                run.advise(Advice("EK-NOTE-087", "warning", error.message, error.hint))
                continue
            put(run, inside, path)
            packed.append(replace(made, path=path))
        run.note(False)
        stage.result = stage_results.bundles(chosen.id, packed)
    first = packed[0] if packed else None
    return replace(target, bundle=first, further_bundles=tuple(packed[1:]))


def for_target(
    contents: bundles.Contents, candidate: Candidate, target: TargetResult, project: Project
) -> bundles.Contents:
    """Return the contents with what was found of the candidate for a target, and the project's app.

    Raises :class:`ProjectError` for a wrong file or licence in ``[bundle]``.
    """
    return replace(
        with_app(contents, project),
        measurements=measurements(candidate, target, project.convert.judged_by_itself),
        compiled=target.npu.path if target.npu else None,
        gate=bundles.Gate(target.status.value, target.fit),
    )


def contents_of(
    run: Run, candidate: Candidate, reference: SavedModel, items: Items, tell: bool = True
) -> bundles.Contents:
    """Return what the bundles of a candidate hold, whatever their target and the project's app."""
    labels = items.class_names or _class_numbers(reference, items)
    goldens = golden_pairs(run, candidate, reference, items, labels, tell)
    memory = candidate.evaluation.memory
    return bundles.Contents(
        name=run.plan.name,
        version=run.version(reference),
        model=file_of(candidate),
        precision=candidate.precision,
        inputs=reference.inputs,
        outputs=reference.outputs,
        preprocess=items.preprocess,
        labels=labels,
        golden=goldens,
        measurements={},
        tools={"edgekit": edgekit.__version__, **run.versions},
        signature=candidate.signature,
        states=tuple(s for s in reference.states if s.input.name in items.states),
        boxes=_boxes(run, items, goldens),
        minimum_runtime=candidate.minimum_runtime,
        arena=memory.arena if memory else None,
        monitoring=golden_statistics(run, candidate, reference, items, labels),
    )


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


def measurements(candidate: Candidate, target: TargetResult, by_itself: bool) -> Mapping[str, Json]:
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
