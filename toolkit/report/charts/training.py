"""How a training went, epoch by epoch: each figure for training and for validation items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.report.charts.axis import Absent, Axis
from edgekit.report.charts.frame import Chart
from edgekit.report.charts.run import Run

TITLE = "Training"
HELD_OUT = "val_"
# What comes with every epoch, and is not a figure of the model.
EPOCH, STAGE = "epoch", "stage"
Figures = tuple[float | None, ...]


@dataclass(frozen=True)
class TrainingPanel:
    """One figure by epoch: ``train`` and ``validation`` have a value an epoch, or are empty."""

    name: str
    train: Figures
    validation: Figures


@dataclass(frozen=True)
class TrainingCurves(Chart):
    """The curves of a training: a panel for each figure, the loss first.

    ``stages`` are the first epochs of its stages, where it has several.
    """

    x: Axis
    panels: tuple[TrainingPanel, ...]
    stages: tuple[int, ...] = ()
    kind: str = "training"


def training(run: Run) -> TrainingCurves | Absent:
    """Draw the figures of a training by epoch, where the run has trained a model."""
    columns = {name: values for name, values in run.training.items() if name not in (EPOCH, STAGE)}
    names = dict.fromkeys(name.removeprefix(HELD_OUT) for name in columns)
    ordered = sorted(names, key=lambda name: name != "loss")
    if not ordered:
        return Absent(TITLE, "the run trained no model of the project's own function")
    panels = tuple(
        TrainingPanel(name, columns.get(name, ()), columns.get(HELD_OUT + name, ()))
        for name in ordered
    )
    stages = _begins(run.training.get(STAGE, ()))
    text = _text(columns)
    if len(stages) > 1:
        text += f" Stages begin with the epochs {', '.join(map(str, stages))}."
    return TrainingCurves(TITLE, text, Axis("epoch"), panels, stages)


def _begins(stages: Figures) -> tuple[int, ...]:
    """Return the epochs, from 1, with which each stage begins."""
    return tuple(at for at, now in enumerate(stages, 1) if at == 1 or now != stages[at - 2])


def _text(columns: Mapping[str, Figures]) -> str:
    """Say where the loss began and ended, and which epoch was the best on validation items."""
    epochs = max(len(values) for values in columns.values())
    text = f"{epochs:,} epoch{'s' if epochs > 1 else ''}"
    losses = [value for value in columns.get("loss", ()) if value is not None]
    if len(losses) > 1:
        text += f": the loss went from {losses[0]:.3g} to {losses[-1]:.3g}"
    held = [
        (value, at) for at, value in enumerate(columns.get("val_loss", ()), 1) if value is not None
    ]
    if held:
        least, at = min(held)
        text += f"; on validation items it was least after epoch {at} ({least:.3g})"
    return f"{text}."
