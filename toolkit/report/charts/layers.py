"""How far each layer of a file lies from the reference's, in execution order."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.report import words
from edgekit.report.charts.axis import Absent, Axis
from edgekit.report.charts.frame import ModelChart
from edgekit.report.charts.run import Model, Run
from edgekit.types.details import LayerError, LayerErrors

LONGEST = 48


@dataclass(frozen=True)
class LayerBar:
    """One layer: the signal over its error in dB, absent where both are equal or it is unknown.

    ``note`` says why it is absent. ``falls`` marks where something begins to go wrong, ``first``
    the first such layer; ``added`` is the noise that the operator adds, as a share of the signal.
    """

    name: str
    operator: str
    sqnr: float | None
    text: str
    note: str = ""
    added: float | None = None
    falls: bool = False
    first: bool = False


@dataclass(frozen=True)
class Layers(ModelChart):
    """The layers of one model against those of ``reference``, over ``items`` items."""

    reference: str
    items: int
    x: Axis
    y: Axis
    bars: tuple[LayerBar, ...]
    kind: str = "layers"


def layers(run: Run, model: Model) -> Layers | Absent:
    """Draw the layers of a model, where they were compared."""
    title = f"Error by layer: {model.id}"
    errors = run.details_of(model).layers
    if errors is None or not errors.rows:
        return Absent(title, run.why_absent(model, "layers", "its layers were not compared"))
    bars = tuple(_bar(row, at == errors.first_fall) for at, row in enumerate(errors.rows))
    return Layers(
        title,
        _text(model, errors),
        model.id,
        errors.reference,
        errors.n,
        Axis("layer, in execution order"),
        Axis("signal to error (dB)", "dB"),
        bars,
    )


def _bar(row: LayerError, first: bool) -> LayerBar:
    value = row.sqnr.value
    return LayerBar(
        row.name,
        row.operator,
        value,
        f"{value:.1f} dB" if value is not None else words.NONE,
        row.sqnr.reason if value is None else "",
        row.added.value,
        row.falls,
        first,
    )


def _text(model: Model, errors: LayerErrors) -> str:
    """State where error begins, and which layer adds most."""
    if errors.first_fall is not None:
        row = errors.rows[errors.first_fall]
        fall = f" by {row.fall.value:.1f} dB" if row.fall.value is not None else ""
        text = f"{model.id} falls first at {row.operator} {_named(row)}{fall}"
    else:
        text = f"No layer of {model.id} falls beyond what rounding explains"
    if errors.ranked:
        row = errors.rows[errors.ranked[0]]
        if row.added.value:
            share = f"{100 * row.added.value:.2g} %"
            text += f"; {row.operator} {_named(row)} adds most noise, {share} of its signal"
    return f"{text}."


def _named(row: LayerError) -> str:
    """Return the end of a layer's name: fused layers have the names of all that they are of."""
    return words.shortened(row.name, LONGEST)
