"""The data linted: its arrays, the ranges it gives the activations, what the model answers to it.

Before int8, `edgekit convert` looks at arrays and ranges: both cost a second or two, once. Other
preparations of the items take another start of TensorFlow. `edgekit lint-data` always tries them,
`convert` where there is cause: raw integers fed unscaled, a finding of scale, or a model that
answers no better than chance.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit import data
from edgekit.converters import tflite
from edgekit.converters.precisions import PRECISIONS
from edgekit.converters.quantization.activations import item_ranges
from edgekit.data import lint
from edgekit.data.lint import Saturation, Subset, Unchecked, quantity
from edgekit.errors import ConversionError, DataError, WorkerError
from edgekit.pipeline import carried, expected_stages, stage_results
from edgekit.pipeline.datasets import training_data
from edgekit.pipeline.items import Index, Items
from edgekit.pipeline.make import export, obtain
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.preprocessing_check import Score, chance, check_preprocessing, unscaled
from edgekit.pipeline.quantize import float_file
from edgekit.pipeline.run import Run
from edgekit.pipeline.selection import select_items
from edgekit.project import Project
from edgekit.types import Advice, Evaluation, Json, Preprocess, Progress, SavedModel, TensorSpec

# More items make the curve no clearer, and each is one inference with every tensor kept.
RANGE_ITEMS = 500
SCHEMA_VERSION = 1
# Findings that put the scale of the items in doubt.
SCALE = {"EK-LINT-010", "EK-LINT-012"}
# What helps a model of one's own training, whose scale is the one it is judged by.
UNTRAINED = (
    "it was trained on pictures of this same scale: train it longer ([train] epochs), on more"
    " pictures, or take another network"
)


@dataclass(frozen=True)
class Linted:
    """What was found, and what could not be looked for.

    ``parts`` says which data was linted: use, source and number of items. ``saturation`` is the
    curve of activation ranges, ``scores`` the metric of the items as given and prepared otherwise.
    """

    parts: tuple[tuple[str, str, int], ...]
    findings: tuple[Advice, ...]
    unchecked: tuple[Unchecked, ...]
    saturation: Saturation | None = None
    scores: tuple[Score, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a finding is an error."""
        return any(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Json]:
        """Return everything, as `edgekit lint-data --json` prints it."""
        return {
            "schema_version": SCHEMA_VERSION,
            **dataclasses.asdict(self),
            "parts": [
                {"use": use, "source": source, "items": count} for use, source, count in self.parts
            ],
        }


def lint_data(project: Project, options: Options, progress: Progress) -> Linted:
    """Lint the data of a project against its model. Raises :class:`EdgekitError`.

    The representative items are those that int8 would be calibrated with, whatever precisions the
    project asks for; none where it takes a file as it is.
    """
    table = project.convert.model_copy(update={"precisions": ("int8",)})
    in_int8 = project if project.convert.as_is else project.model_copy(update={"convert": table})
    plan = Plan.of(in_int8, options)
    with Run(plan, progress) as run:
        run.progress.expect(expected_stages.linting(plan))
        reference = export(run, obtain(run))
        items = select_items(run, reference, labelled=False)
        with run.stage("lint") as stage:
            linted = _lint(run, reference, reference.in_float32, items, True)
            stage.result = stage_results.findings(linted.findings)
        with run.stage("variants"):
            tried = check_preprocessing(run, reference, items)
    return dataclasses.replace(
        linted,
        findings=lint.ordered((*linted.findings, *tried.findings)),
        unchecked=(*linted.unchecked, *tried.unchecked),
        scores=tried.scores,
    )


def advise(run: Run, reference: SavedModel, model: SavedModel, items: Items) -> None:
    """Lint what is about to calibrate a model, and tell the user what is worse than a note."""
    calibrated = any(PRECISIONS[precision].calibrated for precision in run.plan.precisions)
    if run.project.convert.as_is or not calibrated:
        return
    with run.stage("lint") as stage:
        # Training data that the run has no other use for is not opened for this.
        opened = run.plan.model is None or bool(run.project.compress.schemes)
        found = _lint(run, reference, model, items, opened)
        findings = list(found.findings)
        if SCALE & {finding.code for finding in findings} or unscaled(reference, items):
            tried = check_preprocessing(run, reference, items)
            findings += tried.findings
            if tried.scores and not tried.findings:
                # As given is what the model answers best.
                run.withdraw("EK-NOTE-002", data.UNSCALED)
        stage.result = stage_results.findings(findings)
    _tell(run, findings)


def doubt(run: Run, reference: SavedModel, evaluated: Evaluation, items: Items) -> None:
    """Warn where the reference is no better than chance, with other preprocessing that is."""
    metric = evaluated.metrics.get(items.metric.name)
    if metric is None or (finding := chance(metric, items)) is None:
        return
    if _scaled_alike(run):
        _tell(run, [dataclasses.replace(finding, fix=UNTRAINED)])
        return
    with run.stage("variants"):
        _tell(run, check_preprocessing(run, reference, items).findings or [finding])


def _scaled_alike(run: Run) -> bool:
    """Tell whether the run itself trained on pictures, which are scaled as those that it judges by:
    another scale that a chance answer likes better is a chance, too.
    """
    named, root = run.project.data, run.project.root
    sources = (named.train, named.evaluate) if run.plan.model is None else (None,)
    return all(one is not None and data.is_picture_folder(root / one) for one in sources)


def _tell(run: Run, findings: Iterable[Advice]) -> None:
    for finding in findings:
        if finding.severity != "info":
            run.advise(finding)


def _lint(
    run: Run, reference: SavedModel, model: SavedModel, items: Items, training: bool
) -> Linted:
    """Lint the arrays by the reference's inputs, and the ranges of the model to be quantized."""
    parts, unfit = _parts(run, reference, items, training)
    findings, unchecked = _arrays(run, reference, parts)
    unchecked = (*unfit, *unchecked)
    curve, reason = _saturation(run, model, items)
    if reason:
        unchecked = (*unchecked, Unchecked("saturation of activation ranges", reason))
    if items.representative_source:
        few = quantity.lint(curve, items.representative_count, parts[0].source)
        findings = lint.ordered((*findings, *few))
    return Linted(summary(parts), findings, unchecked, curve)


def summary(parts: tuple[Subset, ...]) -> tuple[tuple[str, str, int], ...]:
    """List use, source and number of items of each part."""
    return tuple((part.use, part.source, len(part)) for part in parts)


def _parts(
    run: Run, reference: SavedModel, items: Items, training: bool
) -> tuple[tuple[Subset, ...], tuple[Unchecked, ...]]:
    """Collect the run's items by use, in the linter's order."""
    specs, preprocess, root = reference.inputs, items.preprocess, run.project.root
    subsets: list[Subset] = []
    source, index = items.representative_source, items.representative_index
    if source is not None and index is not None:
        source = carried.without(source, reference)
        subsets.append(part("representative", source, index, specs, preprocess, root))
    if items.inputs:
        name = _shown(str(run.project.data.evaluate), root)
        subsets.append(
            Subset(
                "evaluation",
                name,
                items.inputs,
                items.index,
                items.labels,
                specs,
                preprocess,
                items.class_names,
            )
        )
    dataset = training_data(run, specs) if training else None
    if dataset is None:
        return tuple(subsets), ()
    try:
        dataset = carried.without(dataset, reference)
        subsets.append(part("training", dataset, np.arange(dataset.count), specs, preprocess, root))
    except DataError as error:
        # Training may well resize or augment: that these are not the model's items is not a fault.
        return tuple(subsets), (Unchecked("training data", f"{error.code} {error.message}"),)
    return tuple(subsets), ()


def part(
    use: lint.Use,
    dataset: data.Dataset,
    index: Index,
    specs: tuple[TensorSpec, ...],
    preprocess: Preprocess,
    root: Path,
) -> Subset:
    """Take items of a dataset for one use. Raises :class:`DataError` where they do not fit the
    inputs.
    """
    arrays = data.match(dataset, specs, preprocess).inputs
    labels = np.load(dataset.labels)[index] if dataset.labels else None
    source = _shown(dataset.source, root)
    names = dataset.class_names
    return Subset(use, source, arrays, index, labels, specs, preprocess, names)


def _shown(source: str, root: Path) -> str:
    """Return a source as the user would name it: a file below the project's folder from there."""
    path = Path(source)
    return str(path.relative_to(root)) if path.is_relative_to(root) else source


def _arrays(
    run: Run, reference: SavedModel, parts: tuple[Subset, ...]
) -> tuple[tuple[Advice, ...], tuple[Unchecked, ...]]:
    key = run.key(
        "numpy",
        parts=[_identity(one) for one in parts],
        inputs=[[s.name, list(s.shape), s.dtype] for s in reference.inputs],
        preprocess=parts[0].preprocess.arithmetic,
    )

    def make(_: Path) -> Mapping[str, Json]:
        findings, unchecked = lint.arrays(parts)
        return {
            "findings": [dataclasses.asdict(finding) for finding in findings],
            "unchecked": [dataclasses.asdict(one) for one in unchecked],
        }

    facts = run.obtain("lint", key, make).facts
    return (
        tuple(Advice(**finding) for finding in facts["findings"]),
        tuple(Unchecked(**one) for one in facts["unchecked"]),
    )


def _identity(subset: Subset) -> Json:
    """Build the part of a store key that identifies a subset: artefacts are named by content."""
    files = {name: f"{path.parent.name}/{path.name}" for name, path in subset.arrays.items()}
    return [subset.use, subset.source, files, hashlib.sha256(subset.index.tobytes()).hexdigest()]


def _saturation(run: Run, model: SavedModel, items: Items) -> tuple[Saturation | None, str]:
    """Measure the saturation curve of the representative items, or say why there is none."""
    if items.representative_count < quantity.FEWEST:
        return None, f"it takes {quantity.FEWEST} representative items"
    try:
        floating = float_file(run, model, items)
    except (ConversionError, WorkerError) as error:
        run.note(False)
        return None, f"there is no float32 file to run: {error.code} {error.message}"
    path = floating.path / tflite.FILE
    key = run.key(
        "ai-edge-litert",
        model=floating.digest,
        items=items.representative_digest,
        most=RANGE_ITEMS,
    )

    def make(folder: Path) -> Mapping[str, Json]:
        names, ranges = run.worker.call(item_ranges, path, items.representative, RANGE_ITEMS)
        np.save(folder / "ranges.npy", ranges)
        return {"tensors": list(names)}

    try:
        artefact = run.obtain("ranges", key, make)
    except (ConversionError, WorkerError) as error:
        run.note(False)
        return None, f"{error.code} {error.message}"
    names = tuple(artefact.facts["tensors"])
    if not names:
        return None, "the model computes no float activation"
    return lint.saturation(names, np.load(artefact.path / "ranges.npy")), ""
