"""What is measured: one model on one device, with its inputs and outputs read."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgekit.errors import ModelDoesNotSuit
from edgekit.evaluation.latency import Timed
from edgekit.pipeline.carried import with_states
from edgekit.pipeline.float_file import tflite_model
from edgekit.pipeline.make import export, obtain
from edgekit.pipeline.plan import Plan
from edgekit.pipeline.run import Run
from edgekit.project import ConvertTable, Project
from edgekit.project.compress import CompressTable
from edgekit.targets.devices import Device
from edgekit.types import SavedModel
from edgekit.usercode import is_reference

SAVED_MODEL_DEVICE = "local:tensorflow"
DEFAULT_DEVICE = "local"


@dataclass(frozen=True)
class LoadedModel:
    """One model on one device.

    ``model`` is what the inputs and outputs are of: integer ends that are quantized count as
    float32, for that is how items are given. ``id`` is unique among the subjects of a run.
    """

    id: str
    source: str
    model: SavedModel
    device: Device

    @property
    def path(self) -> Path:
        return self.model.path

    def timed(self, inputs: Collection[str]) -> Timed:
        """Describe the model on its device to the latency engine."""
        return Timed(
            self.id,
            self.path,
            self.device.runtime,
            self.model.stateful,
            self.device,
            signature=self.model.signature,
            states=self.model.carried(inputs),
        )


def measured(project: Project) -> Project:
    """Return the project without conversion or compression: models are measured as they are."""
    nothing = {
        "convert": ConvertTable(precisions=("float32",)),
        "compress": CompressTable(),
        "targets": {},
    }
    return project.model_copy(update=nothing)


def load_model(run: Run, source: str, device: str | None) -> LoadedModel:
    """Load one model on a device; by default TensorFlow for what it runs, else LiteRT.

    Raises :class:`ModelError` or :class:`DeviceError` where either cannot be had.
    """
    path = run.project.root / source
    if not is_reference(source) and is_tflite(path):
        opened = _open(run, device or DEFAULT_DEVICE)
        if opened.runtime == "tensorflow":
            hint = "a .tflite file runs on local:litert, local:tflite-runtime, tflm …"
            raise ModelDoesNotSuit(
                "EK-DEVICE-014", f"TensorFlow cannot run a .tflite file: {source}", hint
            )
        model = with_states(run, tflite_model(run, path))
        return LoadedModel(path.name, source, model, opened)
    opened = _open(run, device or SAVED_MODEL_DEVICE)
    if opened.runtime != "tensorflow":
        hint = f"convert it first: edgekit convert {source}; then name the .tflite file"
        raise ModelDoesNotSuit("EK-DEVICE-014", f"{opened.name} cannot run {source}", hint)
    return LoadedModel(Path(source).name, source, _exported(run, source), opened)


def is_tflite(path: Path) -> bool:
    """Tell whether a file is named, or begins, as a ``.tflite`` file does."""
    return path.suffix == ".tflite" or (path.is_file() and path.open("rb").read(8)[4:] == b"TFL3")


def _open(run: Run, name: str) -> Device:
    return run.devices.open(name)


def _exported(run: Run, source: str) -> SavedModel:
    table = run.project.model.model_copy(update={"source": source})
    plan = Plan.of(run.project.model_copy(update={"model": table}), run.plan.options)
    about = run.about(plan)
    return export(about, obtain(about))


class HasDevice(Protocol):
    """What :func:`unique_names` names."""

    @property
    def source(self) -> str: ...
    @property
    def device(self) -> Device | str: ...


def unique_names(models: Sequence[HasDevice], named: bool) -> list[str]:
    """Make unique ids: the file's name, more of its path where names are equal, and the device."""
    files = {model.source: Path(model.source).name for model in models}
    twins = {name for name in files.values() if list(files.values()).count(name) > 1}
    alike = [Path(source).parent for source, name in files.items() if name in twins]
    parent = os.path.commonpath(alike) if alike and all(p.is_absolute() for p in alike) else ""
    names: list[str] = []
    for model in models:
        name = files[model.source]
        if name in twins:
            name = os.path.relpath(model.source, parent) if parent else model.source
        device = model.device if isinstance(model.device, str) else model.device.name
        names.append(f"{name} on {device}" if named else name)
    return [
        f"{name} ({names[: k + 1].count(name)})" if names[:k].count(name) else name
        for k, name in enumerate(names)
    ]
