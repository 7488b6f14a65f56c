"""The charts of a run as data: what the HTML page and ``--plots`` draw, computed once.

A chart is a frozen dataclass with its ``kind``, ``title``, axes with units and ``text``: a sentence
that states what it shows. One that there is nothing to draw for is :class:`Absent`, with a reason::

    for name, chart in charts.of_report(report, details).items(): ...

:func:`edgekit.report.plain` makes JSON of them. Values are raw (bytes, nanoseconds, shares); an
axis says by which ``factor`` they are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.report.charts import run as runs
from edgekit.report.charts.axis import Absent, Axis, Reading
from edgekit.report.charts.budgets import BudgetBar, Budgets, budgets
from edgekit.report.charts.candidates import CandidateRow, Candidates, candidates
from edgekit.report.charts.classes import (
    ConfusionMatrix,
    ReliabilityBar,
    ReliabilityDiagram,
    confusion,
    reliability,
)
from edgekit.report.charts.latency import LatencyCurves, LaunchCurve, ModelCurves, latency
from edgekit.report.charts.layers import LayerBar, Layers, layers
from edgekit.report.charts.overlay import Overlay, OverlayPoint, overlay
from edgekit.report.charts.pareto import Pareto, ParetoPoint, pareto
from edgekit.report.charts.run import Model, Run
from edgekit.report.charts.sizes import Tile, Treemap, sizes, squarified
from edgekit.report.charts.training import TrainingCurves, TrainingPanel, training
from edgekit.types import BenchReport, Compared, Evaluated, Report
from edgekit.types.details import Details

Chart = (
    Pareto
    | Overlay
    | Budgets
    | Candidates
    | LatencyCurves
    | Layers
    | Treemap
    | ConfusionMatrix
    | ReliabilityDiagram
    | TrainingCurves
)
# By name, as files are called: one of the run, or NAME of a model.
Charts = Mapping[str, Chart | Absent]
OF_RUN = {"pareto": pareto, "budgets": budgets, "candidates": candidates, "latency": latency}
OF_MODEL = {
    "layers": layers,
    "sizes": sizes,
    "confusion": confusion,
    "reliability": reliability,
}


def of_report(report: Report, details: Details | None = None) -> Charts:
    """Return the charts of a run of `edgekit convert` or `compress`, by name."""
    return of_run(runs.of_report(report, details))


def of_evaluated(done: Evaluated, details: Details | None = None) -> Charts:
    """Return the charts of a run of `edgekit evaluate`, by name."""
    return of_run(runs.of_evaluated(done, details))


def of_compared(done: Compared, details: Details | None = None) -> Charts:
    """Return the charts of a run of `edgekit compare`, by name."""
    return of_run(runs.of_compared(done, details))


def of_bench(done: BenchReport, details: Details | None = None) -> Charts:
    """Return the charts of a run of `edgekit bench`, by name."""
    return of_run(runs.of_bench(done, details))


def run_of(
    done: Report | Evaluated | Compared | BenchReport, details: Details | None = None
) -> Run:
    """Return what any command found, as charts see it."""
    if isinstance(done, Report):
        return runs.of_report(done, details)
    if isinstance(done, Evaluated):
        return runs.of_evaluated(done, details)
    if isinstance(done, Compared):
        return runs.of_compared(done, details)
    return runs.of_bench(done, details)


def of_run(run: Run, models: Sequence[Model] | None = None) -> Charts:
    """Return the charts of the whole run, then of each model, or of some: ``sizes of int8``."""
    drawn: dict[str, Chart | Absent] = {name: draw(run) for name, draw in OF_RUN.items()}
    if run.training:
        drawn["training"] = training(run)
    for name, draw_model in OF_MODEL.items():
        for model in run.models if models is None else models:
            drawn[f"{name} of {model.id}"] = draw_model(run, model)
    return drawn


__all__ = [
    "Absent",
    "Axis",
    "BudgetBar",
    "Budgets",
    "CandidateRow",
    "Candidates",
    "Chart",
    "Charts",
    "ConfusionMatrix",
    "LatencyCurves",
    "LaunchCurve",
    "LayerBar",
    "Layers",
    "Model",
    "ModelCurves",
    "Overlay",
    "OverlayPoint",
    "Pareto",
    "ParetoPoint",
    "Reading",
    "ReliabilityBar",
    "ReliabilityDiagram",
    "Run",
    "Tile",
    "TrainingCurves",
    "TrainingPanel",
    "Treemap",
    "budgets",
    "candidates",
    "confusion",
    "latency",
    "layers",
    "of_bench",
    "of_compared",
    "of_report",
    "of_run",
    "overlay",
    "pareto",
    "reliability",
    "run_of",
    "sizes",
    "squarified",
    "training",
]
