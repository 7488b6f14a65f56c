"""The compressing stages: into tf_keras, scheme after scheme, and back to what the user brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from edgekit.compression import channel_stage, crossing, stage
from edgekit.compression.schemes import SCHEMES
from edgekit.compression.speed import forecast
from edgekit.errors import CompressionError
from edgekit.models.export import Names, saved_model
from edgekit.models.source import with_custom_objects
from edgekit.pipeline import tuning
from edgekit.pipeline.items import Items
from edgekit.pipeline.judge import metric_of
from edgekit.pipeline.make import KERAS, Obtained, settings_key, tell, training, training_key
from edgekit.pipeline.run import Run
from edgekit.pipeline.ship import put
from edgekit.pipeline.watching import watching
from edgekit.project.compress import ChannelsTable
from edgekit.project.strategies import MULTI_WORKER
from edgekit.store import Artefact, sha256
from edgekit.targets import catalog
from edgekit.training.finetune import finetuning
from edgekit.types import (
    Advice,
    Compression,
    Json,
    LayerCompression,
    Measurement,
    Model,
    Proof,
    SavedModel,
    SchemeResult,
)
from edgekit.usercode import file_of, fingerprint, is_reference

TFMOT = (*KERAS, "tensorflow-model-optimization")
DRY = "a dry run measures nothing"
NO_ITEMS = "there are no labelled items to measure it on"
NO_KERAS_FILE = (
    "a quantization-aware model is kept as .h5 and SavedModel: its .keras file does not reload"
    " (TFMOT's wrappers)"
)
NO_RECOVERY = "there was no training data to fine-tune with"


@dataclass(frozen=True)
class Twin:
    """A model as TFMOT takes it, how it was proven, and how it leads back to the original."""

    model: Model
    proof: Proof
    layers: Mapping[str, list[str]]


def compress(
    run: Run, obtained: Obtained, reference: SavedModel, items: Items
) -> tuple[SavedModel, Compression | None]:
    """Compress the model as the project says: the SavedModel to convert, and what was done."""
    schemes = run.project.compress.schemes
    if not schemes:
        return reference.in_float32, None
    _check(run, obtained)
    job = _Job(run, reference, items)
    model, made, files = obtained.model, reference.in_float32, {}
    if run.project.compress.channels is not None:
        artefact = job.cut(model, run.project.compress.channels)
        model, made = job.keras(artefact, model), saved_model(artefact)
        files = {crossing.KERAS_FILE: model.path}
    proof = None
    tfmot = tuple(scheme for scheme in schemes if scheme in SCHEMES)
    if tfmot:
        twin = job.cross(model)
        proof, last = twin.proof, job.applied(tfmot, twin.model)
        if last is not None and last.scheme == "quantization_aware":
            made, files = saved_model(last.artefact), {stage.FILE: last.artefact.path / stage.FILE}
            if not run.plan.options.dry_run:
                run.advise(Advice("EK-NOTE-009", "info", NO_KERAS_FILE))
        elif last is not None:
            back = job.carry(model, last.artefact, twin)
            made, files = saved_model(back), {crossing.KERAS_FILE: back.path / crossing.KERAS_FILE}
    kept = {} if run.plan.options.dry_run else {**files, "saved_model": made.path}
    return made, Compression(tuple(job.done), proof, kept)


def place_compressed(run: Run, compression: Compression) -> Compression:
    """Put the compressed model's files under ``build/<name>/compressed``.

    Raises :class:`ProjectError` rather than overwrite a file that edgekit did not write.
    """
    with run.stage("place"):
        folder = run.plan.output / "build" / run.plan.name / "compressed"
        placed = {}
        for name, source in compression.files.items():
            placed[name] = folder / name
            inside = [p for p in source.rglob("*") if p.is_file()] if source.is_dir() else [source]
            for path in inside:
                put(run, path, placed[name] / path.relative_to(source))
        return replace(compression, files=placed)


def _check(run: Run, obtained: Obtained) -> None:
    titles = {"saved_model": "SavedModel", "tflite": "TFLite file"}
    if obtained.model.kind in titles:
        title = titles[obtained.model.kind]
        message = f"{obtained.model.path} is a {title}: it has no layers to compress"
        hint = "give the .keras or .h5 file that it was exported from, or convert without"
        raise CompressionError("EK-COMPRESS-001", message, f"{hint} [compress]")
    if training(run, run.project.compress.finetune_epochs) is None and not run.plan.options.dry_run:
        message = "compressed without fine-tuning: without training data lost accuracy stays lost"
        fix = "give some with --train-data FILE.npz"
        run.advise(Advice("EK-NOTE-003", "warning", message, fix))


@dataclass(frozen=True)
class _Applied:
    """A scheme that was applied, and what it left in the store."""

    scheme: str
    artefact: Artefact


class _Job:
    """The schemes of one run, each a stage of its own, and their results so far."""

    def __init__(self, run: Run, reference: SavedModel, items: Items) -> None:
        self._run, self._reference, self._items = run, reference, items
        self._table, self._trust = run.project.compress, run.plan.options.trust
        self._names = Names.of(reference)
        self._samples = tuple(items.representative.values())
        self.done: list[SchemeResult] = []

    def cut(self, model: Model, table: ChannelsTable) -> Artefact:
        """Remove channels of the model, in its own generation of Keras."""
        run = self._run
        recovery = self._recovery(channel_stage.LEARNING_RATE, model)
        work = channel_stage.ChannelJob(
            table, model, self._samples, self._names, self._trust, run.requests
        )
        key = self._key(model, table, recovery)

        def make(partial: Path, folder: Path) -> Mapping[str, Json]:
            return tuning.channels(run, work, self._watched(recovery, partial), partial, folder)

        artefact = self._obtain("channels", key, make)
        self.done.append(self._result("channels", artefact))
        return artefact

    def cross(self, model: Model) -> Twin:
        """Convert the model to the tf_keras twin that TFMOT takes."""
        run, project = self._run, self._run.project
        twins = dict(project.model.twins)
        code = [dict(fingerprint(reference, project.root)) for reference in twins.values()]
        key = run.key(
            *TFMOT,
            model=_key(model),
            samples=self._items.representative_digest,
            twins=twins,
            code=code,
            trust=self._trust,
        )

        def make(_: Path, folder: Path) -> Mapping[str, Json]:
            return run.worker.call(
                crossing.cross, model, self._samples, twins, project.root, folder, self._trust
            )

        artefact = self._obtain("bridge", key, make)
        facts, dropped = artefact.facts["proof"], tuple(artefact.facts["dropped"])
        proof = Proof(facts["random"], facts["real"], facts["tolerance"], dropped)
        return Twin(self._twin(artefact), proof, artefact.facts["layers"])

    def applied(self, schemes: tuple[str, ...], model: Model) -> _Applied | None:
        """Apply schemes of TFMOT in turn; the last that made a model, none in a dry run without
        items.
        """
        current, last = model, None
        for scheme in schemes:
            artefact = self._apply(scheme, current, model)
            self.done.append(self._result(scheme, artefact))
            if (artefact.path / stage.FILE).is_file():
                current, last = self._twin(artefact), _Applied(scheme, artefact)
        return last

    def _apply(self, scheme: str, model: Model, teacher: Model) -> Artefact:
        run, table = self._run, self._table.table_of(scheme)
        before = tuple(result.scheme for result in self.done)
        recovery = self._recovery(SCHEMES[scheme].learning_rate, teacher)
        work = stage.SchemeJob(scheme, table, model, before, self._samples, self._names)
        needs = SCHEMES[scheme].needs_items and not self._samples
        foreseen = run.plan.options.dry_run and needs
        key = {**self._key(model, table, recovery), "before": list(before), "foreseen": foreseen}

        def make(partial: Path, folder: Path) -> Mapping[str, Json]:
            if foreseen:
                return run.worker.call(stage.preview, work)
            return tuning.scheme(run, work, self._watched(recovery, partial), partial, folder)

        return self._obtain(scheme, key, make)

    def carry(self, original: Model, compressed: Artefact, twin: Twin) -> Artefact:
        """Copy the compressed twin's weights into the user's model."""
        run, model = self._run, self._twin(compressed)
        key = run.key(
            *TFMOT,
            model=_key(original),
            compressed=_key(model),
            names=_listed(self._names),
            samples=self._items.representative_digest,
            trust=self._trust,
        )

        def make(_: Path, folder: Path) -> Mapping[str, Json]:
            done = (original, model, twin.layers, self._samples, self._names)
            return run.worker.call(crossing.carry, *done, folder, self._trust)

        return self._obtain("carry", key, make)

    def _obtain(
        self, name: str, key: Mapping[str, Json], make: Callable[[Path, Path], Mapping[str, Json]]
    ) -> Artefact:
        run = self._run
        with run.stage(name.replace("_", " ")):
            partial = run.store.partial(name, key)

            def made(folder: Path) -> Mapping[str, Json]:
                partial.mkdir(parents=True, exist_ok=True)
                return make(partial, folder)

            artefact = run.obtain(name, key, made)
            tell(run, artefact, artefact.facts.get("finetuned", {}))
            return artefact

    def _watched(
        self, recovery: stage.RecoveryTraining | None, partial: Path
    ) -> stage.RecoveryTraining | None:
        """Watch a fine-tuning as a training: its logs are beside those of trainings."""
        # What is looked at was not tried with TFMOT's wrappers in several workers.
        if recovery is None or recovery.finetuning.settings.strategy == MULTI_WORKER:
            return recovery
        return replace(
            recovery, watching=watching(self._run, partial.name, recovery.finetuning.settings)
        )

    def _key(
        self, model: Model, table: Any, recovery: stage.RecoveryTraining | None
    ) -> dict[str, Json]:
        return self._run.key(
            *TFMOT,
            model=_key(model),
            table=table.model_dump(mode="json"),
            recovery=_recovery_key(recovery),
            samples=self._items.representative_digest,
            names=_listed(self._names),
            trust=self._trust,
        )

    def _recovery(self, rate: float, teacher: Model) -> stage.RecoveryTraining | None:
        run, table = self._run, self._table.finetune
        data = training(run, self._table.finetune_epochs)
        if data is None or run.plan.options.dry_run:
            return None
        return stage.RecoveryTraining(
            training=data,
            finetuning=finetuning(table, run.project.train, data.epochs, rate),
            metric=run.project.evaluate.metric or self._items.metric.name,
            root=run.project.root,
            teacher=teacher if table.distill else None,
        )

    def keras(self, artefact: Artefact, original: Model) -> Model:
        """Describe an artefact's .keras file, of the original's generation and code."""
        path = artefact.path / crossing.KERAS_FILE
        return replace(
            original,
            path=path,
            kind="keras",
            digest=sha256(path),
            weights=None,
            own=True,
            generation=artefact.facts["generation"],
        )

    def _twin(self, artefact: Artefact) -> Model:
        """Describe a twin's file, with the code of the user's tf_keras layers in it."""
        path, project = artefact.path / stage.FILE, self._run.project
        model = Model(path, "h5", "keras2", sha256(path), own=True)
        files = {file_of(reference, project.root) for reference in project.model.twins.values()}
        if len(files) > 1:
            message = "[model] twins: they are in several files"
            hint = "put the tf_keras twins of your layers into one Python file"
            raise CompressionError("EK-COMPRESS-015", message, hint)
        return with_custom_objects(model, next(iter(files), None), project.root)

    def _result(self, scheme: str, artefact: Artefact) -> SchemeResult:
        facts, table = artefact.facts, self._table.table_of(scheme)
        layers = TypeAdapter(tuple[LayerCompression, ...]).validate_python(facts["layers"])
        weights = sum(layer.weights for layer in layers)
        finetuned = facts["finetuned"]
        metric, recovered = self._metrics(artefact, bool(finetuned["epochs"]))
        return SchemeResult(
            scheme=scheme,
            requested=_words(scheme, table),
            sparsity=sum(layer.sparsity * layer.weights for layer in layers) / max(weights, 1),
            layers=layers,
            metric=metric,
            recovered=recovered,
            epochs=finetuned["epochs"],
            best_epoch=finetuned.get("best_epoch"),
            seconds=facts["seconds"],
            speed=forecast(
                scheme, _runtimes(self._run), facts["unmet"], tuple(r.scheme for r in self.done)
            ),
            macs=_pair(facts.get("macs")),
            parameters=_pair(facts.get("sizes")),
            nanoseconds=_pair(facts.get("nanoseconds")),
        )

    def _metrics(self, artefact: Artefact, trained: bool) -> tuple[Measurement, Measurement]:
        """Measure the metric once the scheme is applied, and after fine-tuning."""
        run, items = self._run, self._items
        final = artefact.path / "saved_model"
        if not items.evaluated or not final.is_dir():
            reason = DRY if run.plan.options.dry_run else NO_ITEMS
            nothing = Measurement.unavailable("1", reason)
            return nothing, nothing
        value = metric_of(run, self._reference, final, artefact.digest, items)
        if not trained:
            return value, Measurement.unavailable(value.unit, NO_RECOVERY)
        at = artefact.path / stage.UNRECOVERED / "saved_model"
        digest = f"{artefact.digest} {stage.UNRECOVERED}"
        return metric_of(run, self._reference, at, digest, items), value


def _recovery_key(recovery: stage.RecoveryTraining | None) -> Json:
    """Build the part of a store key that identifies the fine-tuning, without its log folder."""
    if recovery is None:
        return None
    metric, taught = recovery.metric, recovery.finetuning.distillation
    return {
        "training": training_key(recovery.training),
        "settings": settings_key(recovery.finetuning.settings, recovery.root),
        "distillation": [taught.temperature, taught.weight] if taught else None,
        "metric": metric,
        "files": [dict(fingerprint(metric, recovery.root))] if is_reference(metric) else [],
    }


def _runtimes(run: Run) -> tuple[str, ...]:
    """List the runtimes of the run's targets."""
    found = (catalog.load(target).runtimes for target in run.plan.targets)
    return tuple(dict.fromkeys(runtime.name for runtimes in found for runtime in runtimes))


def _pair(found: list[Any] | None) -> Any:
    return (found[0], found[1]) if found and None not in found else None


def _listed(names: Names) -> Json:
    return [list(names.inputs), list(names.outputs)]


def _key(model: Model) -> Json:
    return {**model.key, "kind": model.kind, "generation": model.generation}


def _words(scheme: str, table: Any) -> str:
    """Describe the requested amount of compression."""
    if scheme == "channels":
        return f"{table.macs * 100:.3g} % fewer multiply-accumulates"
    if scheme == "prune":
        return f"{table.pattern} zeros" if table.pattern else f"{table.share * 100:.3g} % zeros"
    if scheme == "cluster":
        where = "channel" if table.per_channel else "layer"
        return f"{table.clusters} weights a {where}"
    if scheme == "quantization_aware":
        return "int8 in training"
    return ", ".join(f"{name} {value}" for name, value in table) or "its defaults"
