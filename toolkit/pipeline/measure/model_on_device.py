"""Answers of models on devices to the same items, with what could not answer and why."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgekit.converters import flatbuffer
from edgekit.errors import DataError, DeviceError, EdgekitError, ExitCode, ProjectError, RunnerError
from edgekit.evaluation.parity import Floats, open_outputs
from edgekit.pipeline.answers import answers
from edgekit.pipeline.headline import unclear
from edgekit.pipeline.items import Items
from edgekit.pipeline.judge import memory_of
from edgekit.pipeline.measure.loaded_model import (
    LoadedModel,
    is_tflite,
    load_model,
    measured,
    unique_names,
)
from edgekit.pipeline.measure.measure_options import MeasureOptions
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.raw_bytes import with_raw_bytes
from edgekit.pipeline.run import Run
from edgekit.project import Project
from edgekit.targets.devices import Tape, tape_of
from edgekit.types import Measured, Progress, SavedModel, Status, TensorSpec
from edgekit.usercode import is_reference


@dataclass(frozen=True)
class ModelOnDevice:
    """One model on one device: what is known of it and, where it answered, its outputs.

    ``answers`` are the output that the metric is taken on, as the metric takes it, and ``others``
    those of the outputs that are judged beside it, by the name of their figures.
    """

    measured: Measured
    subject: LoadedModel | None = None
    items: Items | None = None
    outputs: Mapping[str, Floats] | None = None
    answers: Floats | None = None
    others: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def answered(self) -> Answered | None:
        """What it gave, where it answered every item."""
        if self.subject is None or self.items is None or self.outputs is None:
            return None
        return Answered(self.measured.id, self.subject, self.items, self.outputs)


@dataclass(frozen=True)
class Answered:
    """A model that answered every item, as it takes them, and its outputs by name."""

    id: str
    subject: LoadedModel
    items: Items
    outputs: Mapping[str, Floats]


@contextlib.contextmanager
def measuring(project: Project, options: Options, source: str, progress: Progress) -> Iterator[Run]:
    """Open a run that takes models as they are; ``source`` is the first of them."""
    table = project.model.model_copy(update={"source": source})
    wanted = measured(project).model_copy(update={"model": table})
    plan = Plan.of(wanted, options)
    with recording(plan) as tape, Run(plan, progress, tape=tape) as run:
        yield run


def recording(plan: Plan) -> contextlib.AbstractContextManager[Tape]:
    """Open the cassette that a run's devices are recorded on, or played back from."""
    folders = {str(plan.output): "<output>", str(plan.project.root): "<project>"}
    return tape_of(plan.options.record, plan.options.replay, folders)


def obtained(
    run: Run, sources: Sequence[str], devices: Sequence[str], strict: bool = True
) -> tuple[ModelOnDevice, ...]:
    """Open every model on every device, as far as both are there; one that is not says why.

    Raises where a model cannot be read, a device's name is not one, or the first is not there:
    without ``strict``, where none is.
    """
    devices = run.devices.expand(devices)
    abouts = {source: _about(run, source, len(sources) > 1) for source in sources}
    models: list[ModelOnDevice] = []
    missing: DeviceError | None = None
    for source in sources:
        for name in devices or (None,):
            try:
                subject = load_model(abouts[source], source, name)
            except DeviceError as error:
                if strict and not models:
                    raise
                missing = error
                models.append(ModelOnDevice(_absent(source, name or "", error)))
                continue
            facts = Measured(
                id=subject.id,
                source=source,
                device=subject.device.name,
                runtime=subject.device.runtime,
                version=subject.device.version,
                bytes=subject.model.bytes,
                sha256=subject.model.digest,
                status=Status.NOT_EVALUATED,
                address=subject.device.address,
                estimates=subject.device.estimates(),
            )
            models.append(ModelOnDevice(facts, subject))
    if missing is not None and all(model.subject is None for model in models):
        raise missing
    names = unique_names([model.measured for model in models], bool(devices))
    return tuple(
        replace(
            model,
            measured=replace(model.measured, id=name),
            subject=replace(model.subject, id=name) if model.subject else None,
        )
        for model, name in zip(models, names, strict=True)
    )


def _about(run: Run, source: str, several: bool) -> Run:
    """Point the run at one of several models; one with a single signature ignores a named one.

    What is made of a SavedModel's signature has only one, called as TensorFlow calls it.
    """
    table, path = run.project.model, run.project.root / source
    if table.signature is None or not several or is_reference(source):
        return run
    if not (path.is_file() and is_tflite(path)):
        return run
    keys = [one.key for one in flatbuffer.read(path).signatures]
    if len(keys) > 1 or table.signature in keys:
        return run
    own = table.model_copy(update={"signature": None})
    project = run.project.model_copy(update={"model": own})
    return run.about(replace(run.plan, project=project))


def answered(
    run: Run,
    model: ModelOnDevice,
    items: Items,
    first: SavedModel,
    options: MeasureOptions,
    strict: bool = False,
) -> ModelOnDevice:
    """Run the model on the items. A runtime that cannot run it is a row, unless strict."""
    subject = model.subject
    if subject is None:
        return model
    theirs = replace(items, inputs=_inputs(items.inputs, first.inputs, subject))
    theirs = with_raw_bytes(run, subject.source, subject.model, theirs)
    timed = subject.timed(theirs.inputs)
    device, runner_options = subject.device, options.runner_options(subject.device.runtime)
    try:
        kept = answers(run, timed, subject.model.digest, theirs, device, runner_options)
    except (RunnerError, DeviceError) as error:
        if strict:
            raise
        run.note(False)
        return replace(model, measured=_failed(model.measured, error))
    facts = kept.facts
    names = tuple(spec.name for spec in subject.model.outputs)
    return replace(
        model,
        items=theirs,
        outputs=open_outputs(kept.path / "outputs", names),
        measured=replace(
            model.measured,
            status=Status.PASSED,
            memory=memory_of(kept),
            items=len(items.index),
            batch=int(facts["batch"]),
            processes=int(facts["processes"]),
            seconds=float(facts["seconds"]),
            version=str(facts["version"]),
        ),
    )


def output_of(answered: Answered, named: str | None) -> str:
    """Choose the output that the metric is taken on. Raises where it is not clear which."""
    names, source = list(answered.outputs), answered.subject.source
    if len(names) == 1:
        return names[0]
    if named and named in names:
        return named
    if named:
        message = f"{source} has no output {named!r}"
        raise ProjectError("EK-PROJECT-004", message, f"its outputs are {', '.join(names)}")
    raise unclear(names, source)


def pairs(left: Answered, right: Answered) -> Mapping[str, tuple[Floats, Floats]]:
    """Pair the outputs of two models: by name, or the only one of each."""
    if len(left.outputs) == len(right.outputs) == 1:
        ((name, mine),) = left.outputs.items()
        ((_, theirs),) = right.outputs.items()
        return {name: (mine, theirs)} if mine.shape == theirs.shape else {}
    return {
        name: (value, right.outputs[name])
        for name, value in left.outputs.items()
        if name in right.outputs and right.outputs[name].shape == value.shape
    }


def problem(error: EdgekitError) -> str:
    """Describe an error in one line: its code, what happened, and the first line of why."""
    hint = error.hint.splitlines()[0] if error.hint else ""
    return f"{error.code} {error.message}" + (f": {hint}" if hint else "")


def status_of(error: EdgekitError) -> Status:
    """Translate a device's or a runtime's error into the status of a row."""
    missing = error.exit_code is ExitCode.UNAVAILABLE
    return Status.UNAVAILABLE if missing else Status.INCOMPATIBLE


def _absent(source: str, device: str, error: DeviceError) -> Measured:
    status = status_of(error)
    return Measured(Path(source).name, source, device, status=status, problem=problem(error))


def _failed(measured: Measured, error: EdgekitError) -> Measured:
    return replace(measured, status=status_of(error), problem=problem(error))


def _inputs(
    files: Mapping[str, Path], first: tuple[TensorSpec, ...], subject: LoadedModel
) -> Mapping[str, Path]:
    """Key the items by a model's own input names: the same names, or the only one of each.

    Raises :class:`DataError`: which input is which is never guessed.
    """
    specs = subject.model.inputs
    names = {spec.name for spec in specs}
    if names <= set(files) <= {spec.name for spec in subject.model.all_inputs}:
        return files
    if len(names) == len(files) == 1:
        (spec,), (file,) = specs, files.values()
        _check_size(file, spec, subject)
        return {spec.name: file}
    message = (
        f"{subject.source} takes {', '.join(sorted(names))}; the first model takes"
        f" {', '.join(sorted(spec.name for spec in first))}"
    )
    hint = (
        "inputs are matched by name, never by order: compare models whose inputs are called alike"
    )
    raise DataError("EK-DATA-010", message, hint)


def _check_size(file: Path, spec: TensorSpec, subject: LoadedModel) -> None:
    shape = np.load(file, mmap_mode="r").shape[1:]
    takes = spec.shape[1:]
    if (
        shape == spec.shape
        or None in takes
        or int(np.prod(shape)) == int(np.prod([int(s or 1) for s in takes]))
    ):
        return
    message = (
        f"{subject.source}: input {spec.name!r} expects {list(takes)}, items are {list(shape)}"
    )
    raise DataError("EK-DATA-004", message, "the models compared must take the same items")
