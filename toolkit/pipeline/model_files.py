"""The trained model, its history and its SavedModel, where a user finds them: ``build/<name>``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekit.errors import DataError, ModelError, ProjectError
from edgekit.pipeline import expected_stages
from edgekit.pipeline.distributed import place_here
from edgekit.pipeline.make import Obtained, export, obtain, take_part
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.run import Run
from edgekit.project import Project
from edgekit.training.evidence import kept
from edgekit.training.fit import CURVES, HISTORY
from edgekit.types import Advice, Progress, SavedModel, StageRecord, TensorSpec
from edgekit.usercode import is_reference

KERAS_FILE, SAVED_MODEL = "model.keras", "saved_model"


@dataclass(frozen=True)
class Signature:
    """A signature of a SavedModel; its first dimensions are 1, or free."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class TrainedStage:
    """A stage of a training: its epochs, and how many of the model's weights it trained."""

    name: str
    epochs: int
    trained: int
    weights: int


@dataclass(frozen=True)
class ModelFiles:
    """What ``train`` and ``export`` leave: files by name, and the signatures of the SavedModel.

    ``epochs`` is how long the model was trained, 0 where it was not, and ``figures`` are those of
    the epoch whose weights are kept: ``best_epoch``, else the last. ``trained_stages`` are those of
    ``[[train.stage]]``, where there are any, and ``training`` says of which items the training was,
    with which seed, how many steps it took, and on which machine. A stage of the run
    that is cached came from the store.
    TensorBoard is pointed to ``logs``, which has a folder for each training.
    """

    name: str
    files: Mapping[str, Path]
    signatures: tuple[Signature, ...]
    epochs: int
    figures: Mapping[str, float]
    stages: tuple[StageRecord, ...]
    advice: tuple[Advice, ...]
    best_epoch: int | None = None
    trained_stages: tuple[TrainedStage, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    logs: Path | None = None


def train(project: Project, options: Options, progress: Progress) -> ModelFiles:
    """Train the project's model, and leave it under ``build/``. Raises :class:`EdgekitError`."""
    source = project.model.source
    if not is_reference(source):
        message = f"{source} is a model that is built already: there is no function to train"
        hint = (
            'name a function that returns a compiled model, source = "model.py:build"; or fine-tune'
            "\nwhile making it smaller: edgekit compress"
        )
        raise ProjectError("EK-PROJECT-090", message, hint)
    if project.data.train is None:
        hint = 'name labelled items: --train-data FILE.npz, or [data] train = "data.py:train"'
        raise DataError("EK-DATA-070", f"there is no data to train {source} on", hint)
    return _make(project, options, progress)


def export_model(project: Project, options: Options, progress: Progress) -> ModelFiles:
    """Leave the SavedModel of the project's model under ``build/``.

    Raises :class:`EdgekitError`.
    """
    return _make(project, options, progress)


def _make(project: Project, options: Options, progress: Progress) -> ModelFiles:
    # With the signature that evaluation takes, as `convert` exports it.
    plan = Plan.of_model(project, replace(options, evaluate=True))
    with Run(plan, progress) as run:
        run.progress.expect(expected_stages.making(plan))
        if plan.model is not None and plan.model.kind == "tflite":
            hint = "a SavedModel is written of the model that it was converted from"
            message = f"{plan.model.path} is a .tflite file: there is no SavedModel in it"
            raise ModelError("EK-MODEL-050", message, hint)
        if not place_here(run).chief:
            return _part(run)
        obtained = obtain(run)
        exported = export(run, obtained)
        files = place_model(run, obtained, exported)
        facts = obtained.trained.facts if obtained.trained else {}
        figures = facts.get("history", {})
        return ModelFiles(
            plan.name,
            files,
            signatures(exported),
            facts["trained"]["epochs"] if figures else 0,
            figures,
            run.stages,
            run.advices,
            facts["trained"]["best_epoch"] if figures else None,
            tuple(TrainedStage(**one) for one in facts["trained"]["stages"]) if figures else (),
            kept(facts),
            logs if figures and (logs := plan.logs).is_dir() else None,
        )


def _part(run: Run) -> ModelFiles:
    """Train as a process of a cluster whose chief, elsewhere, leaves the model."""
    take_part(run)
    return ModelFiles(run.plan.name, {}, (), 0, {}, run.stages, run.advices)


def place_model(run: Run, obtained: Obtained, exported: SavedModel) -> Mapping[str, Path]:
    """Put the model's files under ``build/<name>``, and return where they are by name.

    Raises :class:`ProjectError` rather than overwrite a file that edgekit did not write.
    """
    folder = run.plan.output / "build" / run.plan.name
    sources = {}
    if obtained.trained is not None:
        _say_unsaved(run, obtained)
        for name in (KERAS_FILE, HISTORY, CURVES):
            sources[name] = obtained.trained.path / name
    if not exported.is_tflite:
        sources[SAVED_MODEL] = exported.path
    placed = {name: folder / name for name, source in sources.items() if source.exists()}
    given = run.plan.model.path.resolve() if run.plan.model else None
    with run.stage("place model"):
        for name, path in placed.items():
            # The model that was given may lie where it would be put.
            if given is not None and given.is_relative_to(path.resolve()):
                continue
            force = run.plan.options.force
            put = run.outputs.put_folder if sources[name].is_dir() else run.outputs.put
            put(sources[name], path, force)
    return placed


def _say_unsaved(run: Run, obtained: Obtained) -> None:
    """Say why a model is there as a SavedModel alone."""
    reason = obtained.trained.facts.get("not_saved") if obtained.trained else ""
    if reason:
        message = f"there is no {KERAS_FILE}, for Keras cannot save this model: {reason}"
        fix = "its SavedModel is whole; to have both, give the class a get_config"
        run.advise(Advice("EK-NOTE-120", "info", message, fix))


def signatures(model: SavedModel) -> tuple[Signature, ...]:
    """Return the signatures that a SavedModel was exported with."""

    def of(name: str, batch: int | None) -> Signature:
        def batched(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
            return tuple(replace(spec, shape=(batch, *spec.shape[1:])) for spec in specs)

        return Signature(name, batched(model.all_inputs), batched(model.all_outputs))

    first = of("serving_default", model.batch)
    return (first, of("evaluate", None)) if model.batched else (first,)
