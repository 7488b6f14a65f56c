"""The pages of evaluate, compare and bench: their tables, what was decided, and their charts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.report import bench, charts, measurements, parts, words
from edgekit.report.changes import flat
from edgekit.report.document import plain
from edgekit.report.grid import Row
from edgekit.report.html import answers, drawings, inputs, models, verdict
from edgekit.report.html.shell import Page, Section, badge, render
from edgekit.report.outputs import TITLES, outputs_rows
from edgekit.types import BenchReport, Compared, Contrast, Evaluated
from edgekit.types.details import Details

Measured = Evaluated | Compared | BenchReport
# Charts that set models side by side.
OF_SEVERAL = ("pareto", "budgets", "candidates", "latency")
LAYERS = "`edgekit compare --layers` compares them."
LIKENESS = {
    "same weights": "the same weights",
    "different weights": "two different networks: other weights",
    "different structure": "two different networks: another structure",
    "not known": "not known whether these are the same network",
}


@dataclass(frozen=True)
class CellTable:
    """A table whose cells have two lines, as the terminal's have.

    ``ids`` name the models of its rows, where charts lead to them.
    """

    caption: str
    headings: tuple[tuple[str, str], ...]
    rows: tuple[tuple[tuple[str, str], ...], ...]
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeasuredView:
    """The models of a run, how they compare, and what else is to be said."""

    tables: tuple[CellTable, ...]
    lines: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    pareto: charts.Chart | charts.Absent | None = None


@dataclass(frozen=True)
class RunFacts:
    """The command of a run, and what it was set to and made on, by name."""

    command: str
    facts: tuple[tuple[str, str], ...]


def evaluated_page(done: Evaluated, details: Details | None = None) -> str:
    """Return the HTML page of a run of `edgekit evaluate`."""
    pictures = charts.of_evaluated(done, details)
    # Each model is by itself: they are not set side by side.
    pictures = {name: chart for name, chart in pictures.items() if name not in OF_SEVERAL}
    models = CellTable(
        "What was evaluated; each interval 95 %",
        tuple(measurements.headings(done.settings)),
        _cells(measurements.evaluated_rows(done)),
        tuple(model.id for model in done.models),
    )
    lines = tuple(filter(None, [measurements.confused_line(done)]))
    view = MeasuredView((models, *_figures(done)), lines)
    names = dict.fromkeys(model.id.partition(" on ")[0] for model in done.models)
    return _page(words.listed(tuple(names), 3), "evaluate", done, details, view, pictures)


def _figures(done: Evaluated) -> Iterator[CellTable]:
    """Yield the tables of what else was measured: other metrics, classes, slices."""
    if others := list(outputs_rows(done)):
        yield CellTable("Other metrics", TITLES, _cells(others))
    if worst := parts.worst(parts.of_json(done.details)):
        titles = tuple(parts.titles(worst))
        yield CellTable("The lowest figures by class", titles, tuple(parts.rows(worst)))
    for name, headings, rows in measurements.slice_tables(done):
        named = (*headings[:-1], ("note", ""))
        yield CellTable(f"By {name}", named, _cells(rows))


def compared_page(done: Compared, details: Details | None = None) -> str:
    """Return the HTML page of a run of `edgekit compare`."""
    pictures = charts.of_compared(done, details)
    table = CellTable(
        "Models, the first the one that the others are set beside; each interval 95 %",
        tuple(measurements.headings(done.settings, compared=True)),
        _cells(measurements.rows(done)),
        tuple(model.id for model in done.models),
    )
    view = MeasuredView((table,), tuple(_differences(done)), pareto=pictures["pareto"])
    names = [model.id.partition(" on ")[0] for model in done.models]
    title = " against ".join(dict.fromkeys((names[-1], names[0])))
    if len(names) > 2:
        title = f"{len(names)} models against {names[0]}"
    return _page(title, "compare", done, details, view, pictures)


def bench_page(done: BenchReport, details: Details | None = None) -> str:
    """Return the HTML page of a run of `edgekit bench`."""
    pictures = charts.of_bench(done, details)
    rows = CellTable("What was measured", bench.HEADINGS, _cells(bench.rows(done)))
    profiles = tuple(
        CellTable(f"{name}: operators by time", bench.PROFILE, _cells(those))
        for name, those in bench.profiles(done)
    )
    lines = tuple(line for line, _ in bench.lines(done))
    every = (line for line, _ in bench.lines(done, verbose=True))
    conditions = tuple(line for line in every if line not in lines)
    names = dict.fromkeys(row.id.partition(" on ")[0] for row in done.rows)
    view = MeasuredView((rows, *profiles), lines, conditions)
    return _page(words.listed(tuple(names), 3), "bench", done, details, view, pictures)


def _page(
    title: str,
    command: str,
    done: Measured,
    details: Details | None,
    view: MeasuredView,
    figures: charts.Charts,
) -> str:
    rows = done.rows if isinstance(done, BenchReport) else done.models
    names = [row.id for row in rows]
    if isinstance(done, Evaluated):
        # The details are of the first that answered, which is looked at first.
        names.sort(key=lambda name: name == done.details.get("model"))
    drawn, pictures = drawings.embedded_of(names[-1], details, figures)
    sections = tuple(_sections(done, details, view, figures, names))
    footer = f"edgekit {command}, run {done.run}"
    state = badge(done.verdict.status)
    return render(
        Page(title, f"{command} run {done.run}", state, sections, footer, drawn, pictures)
    )


def _sections(
    done: Measured,
    details: Details | None,
    view: MeasuredView,
    pictures: charts.Charts,
    names: Sequence[str],
) -> Iterator[Section]:
    task = words.task(done.settings)
    yield Section("verdict", "Verdict", "verdict.html.j2", verdict.of_verdict(done.verdict, task))
    yield Section("models", "Models", "measured.html.j2", view)
    if not isinstance(done, Evaluated):
        yield _latency(pictures["latency"])
    for kind, title, remedy in (
        ("layers", "Error by layer", LAYERS),
        ("sizes", "Size by layer", ""),
        ("confusion", "Confusion", ""),
        ("reliability", "Reliability", ""),
    ):
        chosen = models.chosen(names, names[-1], pictures, kind)
        # What a bench or an evaluation cannot have is not missed there.
        if isinstance(done, Compared) or not isinstance(chosen, str):
            yield models.shown(chosen, kind, title, remedy)
    if not isinstance(done, BenchReport):
        yield answers.worst_of(names[-1], names[0], details)
    if isinstance(done, Evaluated):
        yield inputs.section(details)
    yield Section("run", "What was done", "measured_run.html.j2", _run(done, details))
    if done.advice:
        yield Section("advice", "Advice", "advice.html.j2", done.advice)


def _latency(timed: charts.Chart | charts.Absent) -> Section:
    if isinstance(timed, charts.Absent):
        return Section("latency", "Latency", absent=models.missing(timed.reason))
    return Section("latency", "Latency", "measured_latency.html.j2", timed)


def _run(done: Measured, details: Details | None) -> RunFacts:
    """Return how the run was made: the command, the settings, and the host where it is known."""
    facts = [(name, text) for name, text in flat(done.settings) if text not in ("null", "{}", "[]")]
    if isinstance(done, BenchReport):
        facts += [(f"host.{name}", text) for name, text in flat(done.device)]
        facts += [(name, version) for name, version in done.versions.items() if version]
    return RunFacts(details.command if details else "", tuple(facts))


def _cells(rows: Iterable[Row]) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(tuple(row.cells) for row in rows)


def _differences(done: Compared) -> Iterator[str]:
    """Yield how the files differ: network, quantization steps, latencies, and what can be told."""
    for contrast in done.contrasts:
        yield from _difference(contrast)
    floors = [one.noise.value for one in done.contrasts if one.noise and one.noise.value]
    if floors:
        floor = f"{100 * max(floors):.2g} %"
        yield f"A/A calibration: this host can tell latency differences from {floor}."


def _difference(contrast: Contrast) -> Iterator[str]:
    # Read back it is a document, made just now a dataclass.
    likeness: Any = plain(contrast.likeness)
    if likeness:
        said = LIKENESS.get(likeness["verdict"], likeness["verdict"])
        yield f"{contrast.id}: {said} ({likeness['reason']})."
    for output, steps in dict[str, Any](plain(contrast.steps)).items():
        if steps["largest"]:
            share = f"{100 * (steps['differing']['value'] or 0):.2g} %"
            far = f"output {output!r} lies up to {steps['largest']} quantization steps apart"
            yield f"{contrast.id}: {far}, in {share} of its values."
    if contrast.latency_ratio is not None and contrast.latency_ratio.value is not None:
        yield f"{contrast.id}: latency {words.ratio(contrast.latency_ratio)}."
