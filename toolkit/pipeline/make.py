"""The making stages: obtain the model, export it, prune it, convert it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.compression import prune as pruning_scheme
from edgekit.converters import flatbuffer, tflite
from edgekit.converters.precisions import PRECISIONS
from edgekit.errors import ConversionError, WorkerError
from edgekit.models.export import Names, saved_model
from edgekit.models.export import export as export_model
from edgekit.models.source import with_custom_objects
from edgekit.pipeline.run import Run
from edgekit.pipeline.supply import Items, item_sizes, training_data
from edgekit.store import Artefact, sha256
from edgekit.training.fit import Training, train
from edgekit.types import Advice, Candidate, Json, Model, Pruning, SavedModel, Status
from edgekit.usercode import file_of, fingerprint

KERAS = ("tensorflow", "keras", "tf_keras")


@dataclass(frozen=True)
class Obtained:
    """The model to work on, and where training has just made it, that artefact."""

    model: Model
    trained: Artefact | None = None


def obtain(run: Run) -> Obtained:
    """The model file as it is, or the user's model, trained where nothing was changed since."""
    if run.plan.model is not None:
        return Obtained(run.plan.model)
    project, source = run.project, run.project.model.source
    training = _training(run, project.train.epochs)
    if training is None:
        message = f"nothing trains {source}: the model is taken as the function returns it"
        fix = 'to train it, give [data] train = "data.py:train" or --train-data FILE.npz'
        run.advise(Advice("EK-NOTE-006", "info", message, fix))
    with run.stage("train" if training else "build"):
        key = run.key(
            *KERAS,
            source=source,
            files=dict(fingerprint(source, project.root)),
            training=_training_key(training) if training else None,
        )
        partial = run.store.partial("train", key)
        artefact = run.keep(
            run.store.obtain(
                "train",
                key,
                lambda folder: run.worker.call(
                    train, source, project.root, training, partial, folder
                ),
            )
        )
    path, facts = artefact.path / "model.keras", artefact.facts
    model = Model(path, "keras", facts["generation"], artefact.digest, own=True)
    named = project.model.custom_objects
    layers = project.root / named if named else file_of(source, project.root)
    return Obtained(with_custom_objects(model, layers, project.root), artefact)


def export(run: Run, obtained: Obtained) -> SavedModel:
    """The SavedModel of the model as trained or loaded: the reference.

    Runtimes on devices want every size fixed: what the model leaves free is as the data has it.
    """
    trained = saved_model(obtained.trained) if obtained.trained else None
    if trained is not None and not _free(trained):
        return trained
    with run.stage("export"):
        reference = trained or _exported(run, obtained.model, None)
        sizes = item_sizes(run) if _free(reference) else {}
        if sizes:
            reference = _exported(run, obtained.model, sizes)
            shapes = ", ".join(f"{spec.name!r} {list(spec.shape[1:])}" for spec in reference.inputs)
            message = (
                f"the model takes items of any size; it is made for those of the data: {shapes}"
            )
            run.advise(Advice("EK-NOTE-007", "info", message))
    return reference


def _free(model: SavedModel) -> bool:
    return any(None in spec.shape[1:] for spec in model.inputs)


def _exported(run: Run, model: Model, sizes: Mapping[str, tuple[int, ...]] | None) -> SavedModel:
    options = run.plan.options
    key = run.key(
        *KERAS, model=model.key, batched=options.evaluate, trust=options.trust,
        sizes={name: list(size) for name, size in (sizes or {}).items()},
    )  # fmt: skip
    artefact = run.keep(
        run.store.obtain(
            "export",
            key,
            lambda folder: run.worker.call(
                export_model, model, folder, options.evaluate, options.trust, sizes
            ),
        )
    )
    return saved_model(artefact)


def prune(
    run: Run, obtained: Obtained, reference: SavedModel, items: Items
) -> tuple[SavedModel, Pruning | None]:
    """The SavedModel to convert: the pruned one where pruning is asked for, else the reference."""
    project, asked = run.project, run.project.compress.prune
    if asked is None:
        return reference, None
    model = obtained.model
    training = _training(run, project.compress.finetune_epochs)
    if training is None:
        message = "pruned in one shot: without training data nothing wins back what it costs"
        run.advise(
            Advice("EK-NOTE-003", "warning", message, "give some with --train-data FILE.npz")
        )
    samples = next(iter(items.representative.values()), None)
    plan = pruning_scheme.Plan(
        asked.sparsity, asked.schedule, project.compress.finetune_epochs if training else 0
    )
    names = Names.of(reference)
    with run.stage("prune"):
        key = run.key(
            *KERAS,
            "tensorflow-model-optimization",
            model=model.key,
            plan=[plan.sparsity, plan.schedule, plan.epochs],
            training=_training_key(training) if training else None,
            samples=items.representative_digest,
            trust=run.plan.options.trust,
        )
        artefact = run.keep(
            run.store.obtain(
                "prune",
                key,
                lambda folder: run.worker.call(
                    pruning_scheme.prune, model, plan, training, samples, folder, names,
                    run.plan.options.trust,
                ),
            )
        )  # fmt: skip
    facts = artefact.facts
    layers = tuple((name, share) for name, share in facts["layers"])
    done = Pruning(asked.sparsity, facts["achieved"], layers, facts["finetuned"])
    return saved_model(artefact), done


def candidates(run: Run, model: SavedModel, items: Items) -> tuple[Candidate, ...]:
    """One candidate per precision; a precision that cannot be made says why and stops no other."""
    with run.stage("convert"):
        return tuple(
            _candidate(run, model, items, precision, number)
            for number, precision in enumerate(run.plan.precisions)
        )


def _candidate(run: Run, model: SavedModel, items: Items, precision: str, number: int) -> Candidate:
    run.progress.update(number, len(run.plan.precisions), precision)
    calibrated = PRECISIONS[precision].calibrated
    key = run.key(
        "tensorflow",
        model=model.digest,
        precision=precision,
        representative=items.representative_digest if calibrated else None,
    )
    feeds = items.representative if calibrated else None
    try:
        artefact = run.keep(
            run.store.obtain(
                "convert",
                key,
                lambda folder: run.worker.call(
                    tflite.convert, model.path, precision, feeds, folder
                ),
            )
        )
    except (ConversionError, WorkerError) as error:
        run.note(False)
        problem = f"{error.code} {error.message}\n{error.hint}".strip()
        return Candidate(precision, precision, problem=problem, problem_status=Status.INCOMPATIBLE)
    return read_back(artefact.path / tflite.FILE, precision)


def read_back(path: Path, precision: str) -> Candidate:
    """A candidate from its file: what it really holds, and whether that is its precision."""
    file = flatbuffer.read(path)
    wrong = PRECISIONS[precision].problem(file)
    return Candidate(
        id=precision,
        precision=precision,
        path=path,
        sha256=sha256(path),
        bytes=path.stat().st_size,
        compressed_bytes=_zipped(path),
        operators=file.operators,
        float_operators=file.float_operators,
        problem=f"the file is not {precision}: {wrong}" if wrong else "",
    )


def _zipped(path: Path) -> int:
    """Bytes of the file in a zip archive: what an update over the air carries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(path, path.name)
    return len(buffer.getvalue())


def _training(run: Run, epochs: int) -> Training | None:
    dataset = training_data(run)
    if dataset is None or epochs == 0:
        return None
    return Training(
        dataset=dataset,
        preprocess=run.project.data.preprocess.spec(),
        epochs=epochs,
        batch_size=run.project.train.batch_size,
        seed=run.project.train.seed,
    )


def _training_key(training: Training) -> Mapping[str, Json]:
    return {
        "data": training.dataset.digest,
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "seed": training.seed,
        "preprocess": [training.preprocess.scale, training.preprocess.offset],
    }
