"""The making stages: obtain the model, export it, convert it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import zstandard

from edgekit import quantities
from edgekit.converters import flatbuffer, flex, tflite
from edgekit.converters.inspection.contents import is_mostly_scales
from edgekit.converters.inspection.macs import inference_macs
from edgekit.converters.inspection.weights import sparsity
from edgekit.converters.precisions import PRECISIONS
from edgekit.converters.runtime_version import runtime_need
from edgekit.errors import ConversionError, WorkerError
from edgekit.models.export import export as export_model
from edgekit.models.export import saved_model
from edgekit.models.source import with_custom_objects
from edgekit.pipeline import feeding, stage_results, texts
from edgekit.pipeline.carried import with_states
from edgekit.pipeline.datasets import check_early, item_sizes, judged_early, training_data
from edgekit.pipeline.distributed import part, trained
from edgekit.pipeline.float_file import as_it_is, float_reference
from edgekit.pipeline.items import Items
from edgekit.pipeline.metadata import with_metadata
from edgekit.pipeline.planned_files import PlannedFile
from edgekit.pipeline.quantize import made
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import box_spec
from edgekit.pipeline.watching import by_epoch, telling_logs, watching
from edgekit.project.boxes import BoxesTable
from edgekit.project.train import TrainTable
from edgekit.store import Artefact, sha256
from edgekit.training.evidence import kept
from edgekit.training.feed import Training
from edgekit.training.fit import HISTORY
from edgekit.types import Advice, Candidate, Json, Model, SavedModel, Status
from edgekit.usercode import file_of, fingerprint, is_reference

# What package managers and update services use where size matters more than time.
ZSTD_LEVEL = 19
KERAS = ("tensorflow", "keras", "tf_keras")
# Settings of training that do not change what it comes to.
UNSEEN = {"save_every", "keep_states", "sweep"}


@dataclass(frozen=True)
class Obtained:
    """The model to work on, and where training has just made it, that artefact."""

    model: Model
    trained: Artefact | None = None


def obtain(run: Run) -> Obtained:
    """Find the model file, or build and train the user's model where something changed since."""
    if run.plan.model is not None:
        check_early(run, run.plan.model)
        return Obtained(run.plan.model)
    project, source = run.project, run.project.model.source
    data = training(run, project.train.all_epochs)
    if data is None:
        message = (
            f"{source} is not trained, for there is no training data: the model is used as returned"
        )
        fix = 'to train it, give [data] train = "data.py:train" or --train-data FILE.npz'
        run.advise(Advice("EK-NOTE-006", "info", message, fix))
    with run.stage("train" if data else "build") as stage:
        key = run.key(
            *KERAS,
            source=source,
            files=dict(fingerprint(source, project.root)),
            arguments=dict(project.model.arguments),
            training=training_key(data) if data else None,
            settings=settings_key(project.train, project.root) if data else None,
        )
        partial = run.store.partial("train", key)
        watched = watching(run, partial.name, project.train)
        with telling_logs(watched):
            artefact = run.obtain(
                "train",
                key,
                lambda folder: trained(run, data, partial, folder, watched),
            )
        tell(run, artefact, {**artefact.facts, **artefact.facts["trained"]})
        run.training, run.trained = by_epoch(artefact.path / HISTORY), kept(artefact.facts)
        run.trained_on = data.dataset if data else None
        stage.result = stage_results.training(artefact.facts)
    path, facts = artefact.path / "model.keras", artefact.facts
    model = Model(path, "keras", facts["generation"], artefact.digest, own=True)
    named = project.model.custom_objects
    layers = project.root / named if named else file_of(source, project.root)
    return Obtained(with_custom_objects(model, layers, project.root), artefact)


def take_part(run: Run) -> None:
    """Train as a process of a cluster whose chief, elsewhere, keeps the states and the model."""
    data = training(run, run.project.train.all_epochs)
    if data is None:
        return
    with run.stage("train"):
        partial = run.requests / "train"
        # What the others look at it looks at with them.
        part(run, data, partial, watching(run, partial.name, run.project.train))


def settings_key(table: TrainTable, root: Path) -> Json:
    """Build the part of a store key that identifies the settings of a training."""
    losses = table.loss.values() if isinstance(table.loss, Mapping) else [table.loss]
    metrics = table.metrics or ()
    lists = metrics.values() if isinstance(metrics, Mapping) else [metrics]
    steps = [table.loop, table.validation_step]
    named = [*losses, *steps, *(name for names in lists for name in names)]
    return {
        **table.model_dump(mode="json", exclude=UNSEEN),
        "files": [dict(fingerprint(one, root)) for one in named if one and is_reference(one)],
    }


def tell(run: Run, artefact: Artefact, trained: Mapping[str, Any]) -> None:
    """Say what went wrong in a training, and which states of one that went on were damaged."""
    for alarm in trained.get("alarms", ()):
        run.advise(Advice(**alarm))
    for notice in () if artefact.cached else trained.get("notices", ()):
        fix = "nothing is to be done: the steps since then were taken again"
        run.advise(Advice("EK-NOTE-121", "warning", notice, fix))


def export(run: Run, obtained: Obtained) -> SavedModel:
    """Export the model as :func:`_whole` does, with its states set apart."""
    return with_states(run, _whole(run, obtained))


def _whole(run: Run, obtained: Obtained) -> SavedModel:
    """Export the model to the SavedModel, or take the float ``.tflite``: the reference.

    Runtimes on devices want every size fixed: what the model leaves free is as the data has it.
    """
    if obtained.model.kind == "tflite":
        with run.stage("read"):
            whole = run.project.convert.as_is
            return (as_it_is if whole else float_reference)(run, obtained.model)
    trained = saved_model(obtained.trained) if obtained.trained else None
    if run.project.convert.unroll:
        trained = None
    if trained is not None and not _free(trained):
        return trained
    with run.stage("export") as stage:
        reference = trained or _exported(run, obtained.model, None)
        sizes = item_sizes(run) if _free(reference) else {}
        if sizes:
            reference = _exported(run, obtained.model, sizes)
            shapes = ", ".join(f"{spec.name!r} {list(spec.shape[1:])}" for spec in reference.inputs)
            message = (
                f"the model takes items of any size; it is made for those of the data: {shapes}"
            )
            run.advise(Advice("EK-NOTE-007", "info", message))
        stage.result = f"SavedModel {quantities.size(reference.bytes)}"
    return reference


def _free(model: SavedModel) -> bool:
    return any(None in spec.shape[1:] for spec in model.inputs)


def _exported(run: Run, model: Model, sizes: Mapping[str, tuple[int, ...]] | None) -> SavedModel:
    options = run.plan.options
    key = run.key(
        *KERAS,
        model=model.key,
        batched=options.evaluate,
        trust=options.trust,
        sizes={name: list(size) for name, size in (sizes or {}).items()},
        unrolled=run.project.convert.unroll,
    )

    def make(folder: Path) -> Mapping[str, Json]:
        run.start_ahead()
        return run.worker.call(
            export_model,
            model,
            folder,
            options.evaluate,
            options.trust,
            sizes,
            run.project.convert.unroll,
        )

    artefact = run.obtain("export", key, make)
    stripped = [name for name in artefact.facts["wrappers"] if not name.startswith("Quantize")]
    if stripped and model.kind == "saved_model":
        message = (
            f"{model.path} still computes with {', '.join(stripped)}: its files hold every weight"
            " and its mask, and no integers"
        )
        fix = (
            "give the .keras or .h5 file, whose wrappers edgekit takes off; or save the model that"
            " tfmot.sparsity.keras.strip_pruning or tfmot.clustering.keras.strip_clustering returns"
        )
        run.advise(Advice("EK-NOTE-091", "warning", message, fix))
    elif stripped:
        message = f"{model.path} still held {', '.join(stripped)}: the model is taken without"
        run.advise(Advice("EK-NOTE-008", "info", message))
    return saved_model(artefact)


def candidates(
    run: Run, model: SavedModel, items: Items, profile: str = ""
) -> tuple[Candidate, ...]:
    """Make one candidate per planned file; one that fails says why and stops no other.

    Their ids are the precision, or ``precision@profile``; the ``profile`` given here follows.
    """
    # Compressing to see the size takes as long as converting, and the worker converts meanwhile.
    with run.stage("convert") as stage, ThreadPoolExecutor(1) as reader:
        try:
            made = [
                _candidate(run, model, items, planned, number, profile, reader)
                for number, planned in enumerate(run.plan.planned_files)
            ]
            done = tuple(one.result() for one in made)
            stage.result = stage_results.files(done)
        except BaseException:
            reader.shutdown(wait=False, cancel_futures=True)
            raise
    for one in done:
        _weigh_scales(run, one, done)
    return done


def _weigh_scales(run: Run, candidate: Candidate, others: tuple[Candidate, ...]) -> None:
    """Note where scales and zero points take much of a file."""
    if candidate.path is None or not is_mostly_scales(file := flatbuffer.read(candidate.path)):
        return
    smaller = [f"{one.id} has {one.bytes:,}" for one in others if 0 < one.bytes < candidate.bytes]
    beside = f" ({', '.join(smaller)})" if smaller else ""
    message = (
        f"{file.scale_bytes:,} of the {candidate.bytes:,} bytes of {candidate.id}{beside} are"
        " scales and zero points: a layer of many outputs and few inputs has one of each for every"
        " output, of its weights and of its bias"
    )
    fix = "dynamic has none for biases, and may be smaller; so may a model of narrower layers"
    run.advise(Advice("EK-NOTE-044", "warning" if smaller else "info", message, fix))


def _candidate(
    run: Run,
    model: SavedModel,
    items: Items,
    planned: PlannedFile,
    number: int,
    profile: str,
    reader: ThreadPoolExecutor,
) -> Future[Candidate]:
    name, precision = f"{planned.id}@{profile}" if profile else planned.id, planned.precision
    run.progress.update(number, len(run.plan.planned_files), name)
    try:
        artefact = made(run, model, items, planned)
        path = with_metadata(run, artefact.path / tflite.FILE, model, items)
        as_is = run.project.convert.as_is
    except (ConversionError, WorkerError) as error:
        run.note(False)
        problem = f"{error.code} {error.message}\n{error.hint}".strip()
        status = Status.INCOMPATIBLE
        return reader.submit(Candidate, name, precision, problem=problem, problem_status=status)
    key = model.signature
    return reader.submit(lambda: replace(read_back(path, precision, as_is), id=name, signature=key))


def read_back(path: Path, precision: str, as_is: bool = False) -> Candidate:
    """Read a candidate from its file: what it really holds, and whether that is its precision.

    With ``as_is`` the precision is what its bytes hold, and no promise.
    """
    file = flatbuffer.read(path)
    wrong, unproven = PRECISIONS[precision].problem(file), flex.problem(file)
    wrong = "" if as_is else wrong
    return Candidate(
        id=precision,
        precision=precision,
        path=path,
        sha256=sha256(path),
        bytes=path.stat().st_size,
        compressed_bytes=_zipped(path),
        zstd_bytes=len(zstandard.compress(path.read_bytes(), ZSTD_LEVEL)),
        operators=file.operators,
        float_operators=file.float_operators,
        minimum_runtime=runtime_need(file),
        problem=f"the file is not {precision}: {wrong}" if wrong else unproven,
        problem_status=Status.UNAVAILABLE if unproven and not wrong else Status.FAILED,
        as_is=as_is,
        semantic_hash=flatbuffer.semantic_hash(file),
        macs=inference_macs(file),
        sparsity=sparsity(file),
    )


def _zipped(path: Path) -> int:
    """Count the bytes of the file in a zip archive, as an update over the air carries it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(path, path.name)
    return len(buffer.getvalue())


def training(run: Run, epochs: int) -> Training | None:
    """Open the training data and the settings of training, where the project names any."""
    dataset = training_data(run)
    if dataset is None or epochs == 0:
        return None
    aside, spoken = feeding.aside(run, dataset), texts.is_text_task(run)
    return Training(
        dataset=dataset,
        preprocess=run.project.data.preprocess.spec(),
        epochs=epochs,
        batch_size=run.project.train.batch_size,
        seed=run.project.train.seed,
        aside=aside,
        weights=feeding.weights(run, dataset, aside),
        augmentation=feeding.augmentation(run),
        judged=judged_early(run),
        task=texts.TASK if spoken else run.project.evaluate.task,
        texts=texts.spec_of(run) if spoken else None,
        boxes=box_spec(run) if run.project.evaluate.boxes != BoxesTable() else None,
    )


def training_key(data: Training) -> Mapping[str, Json]:
    """Build the part of a store key that identifies a training."""
    return {
        "data": data.dataset.digest,
        "epochs": data.epochs,
        "batch_size": data.batch_size,
        "seed": data.seed,
        "preprocess": data.preprocess.arithmetic,
        "aside": data.aside.key,
        "weights": [data.weights.column, *data.weights.classes],
        "augmentation": data.augmentation.key if data.augmentation else None,
        "task": data.task,
        **({"texts": asdict(data.texts)} if data.texts else {}),
        **({"boxes": data.boxes.key} if data.boxes else {}),
    }
