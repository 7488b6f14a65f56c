"""The items of a run: which calibrate, which are judged, matched to the model's inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgekit import data
from edgekit.data import preprocessing
from edgekit.data.split import SAMPLES, SEED
from edgekit.errors import DataError
from edgekit.evaluation import metrics
from edgekit.project import RepresentativeTable
from edgekit.types import Advice, Preprocess, SavedModel
from edgekit.usercode import is_reference

if TYPE_CHECKING:
    from edgekit.pipeline.run import Run

Index = npt.NDArray[np.int64]
FEWEST = 2


@dataclass(frozen=True)
class Items:
    """What a run judges by, and what it calibrates with.

    ``inputs`` are raw ``.npy`` files by input name, ``index`` the items of them that are judged
    (also on disk, at ``index_path``), ``labels`` theirs. ``representative`` are preprocessed
    ``.npy`` files by input name, of the items ``representative_index`` of
    ``representative_source``.
    """

    inputs: Mapping[str, Path]
    index: Index
    index_path: Path
    labels: npt.NDArray[Any] | None
    digest: str
    metric: metrics.Metric
    preprocess: Preprocess
    class_names: tuple[str, ...]
    representative: Mapping[str, Path]
    representative_digest: str
    representative_count: int
    representative_source: data.Dataset | None = None
    representative_index: Index | None = None
    seed: int = SEED


def supply(run: Run, reference: SavedModel, labelled: bool = True) -> Items:
    """Open the evaluation and representative data, and set the two apart where they are one file.

    ``labelled`` says that items to judge by need labels. Raises :class:`DataError`.
    """
    project, plan = run.project, run.plan
    preprocess = project.data.preprocess.spec()
    with run.stage("data"):
        judged = _open(run, project.data.evaluate)
        labels = None
        if judged and plan.options.evaluate and (labelled or judged.labels):
            labels = judged.open_labels()
        index, chosen, source = _choose(run, judged, labels)
        files, digest = _representative(run, reference, source, chosen)
        inputs: Mapping[str, Path] = {}
        if judged and plan.options.evaluate:
            inputs = _matched(run, judged, reference, preprocess)
        index_path = _keep_index(run, index)
    metric = _metric(run, labels)
    return Items(
        inputs=inputs,
        index=index,
        index_path=index_path,
        labels=labels[index] if labels is not None else None,
        digest=judged.digest if judged else "",
        metric=metric,
        preprocess=preprocess,
        class_names=data.read_labels(project.data.labels, project.root),
        representative=files,
        representative_digest=digest,
        representative_count=len(chosen),
        representative_source=source,
        representative_index=chosen,
    )


def training_data(run: Run) -> data.Dataset | None:
    """The training data, where the project names any."""
    return _open(run, run.project.data.train)


def item_sizes(run: Run) -> Mapping[str, tuple[int, ...]]:
    """The shapes of single items by array name, as in the first data that the project names."""
    named = run.project.data
    representative = named.representative.from_ if named.representative else None
    others = None if representative in ("train", "evaluate") else representative
    for source in (named.evaluate, others, named.train):
        found = _open(run, source)
        if found is not None:
            return {
                name: np.load(path, mmap_mode="r").shape[1:] for name, path in found.arrays.items()
            }
    return {}


def _open(run: Run, source: str | None) -> data.Dataset | None:
    if source is None:
        return None
    if is_reference(source):
        found, cached = data.from_callable(source, run.project.root, run.store, run.worker)
    else:
        found, cached = data.from_file(run.project.root / source, run.store)
    run.note(cached)
    return found


def _choose(
    run: Run, judged: data.Dataset | None, labels: npt.NDArray[Any] | None
) -> tuple[Index, Index, data.Dataset | None]:
    """Items to judge, items to calibrate with, and the dataset that the latter are from."""
    everything = _limited(run, judged.count if judged else 0)
    nothing = np.arange(0)
    if not run.plan.calibrated:
        return everything, nothing, None
    wanted = run.project.data.representative
    if wanted is None and run.project.compress.schemes and run.project.data.train is not None:
        # Training items are at hand: no evaluation item needs to be given up.
        wanted = RepresentativeTable.model_validate({"from": "train", "samples": SAMPLES})
    if wanted is None or wanted.from_ == "evaluate":
        if judged is None:
            return everything, nothing, None
        strata: npt.NDArray[Any] = labels if labels is not None else np.zeros(judged.count)
        parts = data.split(strata, wanted.samples if wanted else SAMPLES)
        apart, rest = len(parts.representative), len(parts.evaluation)
        message = (
            f"{apart} items of {judged.source} are set apart for calibration;"
            f" the metric is taken on the other {rest:,}"
        )
        run.advise(Advice("EK-NOTE-001", "info", message))
        _enough(judged.source, apart)
        return parts.evaluation, parts.representative, judged
    name = run.project.data.train if wanted.from_ == "train" else wanted.from_
    source = _open(run, name)
    assert source is not None  # noqa: S101  (the plan has checked it)
    classes = np.load(source.labels) if source.labels else None
    chosen = data.choose(classes, source.count, wanted.samples)
    _enough(source.source, len(chosen))
    return everything, chosen, source


def _limited(run: Run, count: int) -> Index:
    """All items, or as many as the run is limited to, drawn with its seed and in their order."""
    limit = run.plan.options.limit
    if limit is None or limit >= count:
        return np.arange(count)
    drawn = np.random.default_rng(run.plan.options.seed).choice(count, limit, replace=False)
    return np.sort(drawn)


def _enough(source: str, count: int) -> None:
    if count < FEWEST:
        hint = "calibration needs varied real items: 100 to 500 are usual"
        message = f"{source} gives a representative dataset of {count} items"
        raise DataError("EK-DATA-015", message, hint)


def _matched(
    run: Run, dataset: data.Dataset, reference: SavedModel, preprocess: Preprocess
) -> Mapping[str, Path]:
    found = data.match(dataset, reference.inputs, preprocess)
    for notice in found.notices:
        run.advise(Advice("EK-NOTE-002", "info", notice))
    return found.inputs


def _representative(
    run: Run, reference: SavedModel, source: data.Dataset | None, chosen: Index
) -> tuple[Mapping[str, Path], str]:
    if source is None:
        return {}, ""
    preprocess = run.project.data.preprocess.spec()
    arrays = _matched(run, source, reference, preprocess)
    key = run.key(
        data=source.digest,
        index=hashlib.sha256(chosen.tobytes()).hexdigest(),
        preprocess=[preprocess.scale, preprocess.offset],
        inputs=[[s.name, list(s.shape), s.dtype] for s in reference.inputs],
    )
    artefact = run.keep(
        run.store.obtain(
            "representative",
            key,
            lambda folder: {
                "files": preprocessing.write(arrays, chosen, reference.inputs, preprocess, folder)
            },
        )
    )
    files = {name: artefact.path / file for name, file in artefact.facts["files"].items()}
    return files, artefact.digest


def _keep_index(run: Run, index: Index) -> Path:
    def make(folder: Path) -> Mapping[str, Any]:
        np.save(folder / "index.npy", index)
        return {}

    key = {"sha256": hashlib.sha256(index.tobytes()).hexdigest()}
    return run.store.obtain("index", key, make).path / "index.npy"


def _metric(run: Run, labels: npt.NDArray[Any] | None) -> metrics.Metric:
    name = run.project.evaluate.metric
    if name is None:
        name = metrics.default_for(labels) if labels is not None else "accuracy"
    metric = metrics.find(name, run.project.root)
    assert metric is not None  # noqa: S101  (the plan has checked it)
    return metric
