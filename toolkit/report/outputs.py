"""The metrics other than the main one: a row per metric or output, and model.

The metrics of other outputs are judged too, the task's other metrics are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.report import words
from edgekit.report.grid import Row, grid
from edgekit.types import Compared, Evaluated, Evaluation, Measurement, Report

EMBEDDINGS = "embeddings"
TITLES = (
    ("also measured", "model"),
    ("metric", "95 % interval"),
    ("drop", "95 % interval"),
    ("", ""),
)


def outputs_table(done: Report | Evaluated | Compared) -> object | None:
    """Build the table of the other metrics; None where there are none."""
    rows = list(outputs_rows(done))
    return grid(TITLES, rows) if rows else None


def outputs_rows(done: Report | Evaluated | Compared) -> Iterator[Row]:
    """Yield a row per metric and model, the reference first."""
    judged = list(done.settings.get("outputs", ()))[1:]
    for metric in (*list(done.settings.get("beside", ())), *judged):
        name, bounded = str(metric["name"]), bool(metric["bounded"])
        for model, value, drop in _figures(done, name):
            first = (words.value(value, bounded), words.interval(value, bounded))
            second = (words.points(drop, bounded), words.interval(drop, bounded))
            if drop is not None and drop.value is not None and bounded:
                second = (f"{second[0]} points", second[1])
            yield Row(((name, model), first, second, ("", "")))
    yield from _cosines(done)


def _cosines(done: Report | Evaluated | Compared) -> Iterator[Row]:
    """Yield the mean cosine of each model's embeddings to the first's, which needs no labels."""
    if (done.settings.get("task") or {}).get("name") != EMBEDDINGS or isinstance(done, Evaluated):
        return
    judged = list(done.settings.get("outputs", ()))
    output = str(judged[0]["output"]) if judged else ""
    if isinstance(done, Report):
        sides = [(side.id, side.evaluation.parity) for side in done.candidates]
        first = done.reference.title
    else:
        sides = [(side.id, side.parity) for side in done.contrasts]
        first = done.models[0].id
    for model, parity in sides:
        of_output = parity.get(output) or next(iter(parity.values()), {})
        cosine = of_output.get("cosine")
        if cosine is not None and cosine.value is not None:
            shown = (f"{cosine.value:.5f}", "")
            yield Row(((f"cosine to {first}", model), shown, ("", ""), ("", "")))


def _figures(
    done: Report | Evaluated | Compared, name: str
) -> Iterator[tuple[str, Measurement | None, Measurement | None]]:
    if isinstance(done, Report):
        sides: list[tuple[str, Evaluation]] = [(done.reference.title, done.reference_evaluation)]
        sides += [
            (candidate.id, candidate.evaluation)
            for candidate in done.candidates
            if candidate.path is not None
        ]
        for model, evaluation in sides:
            yield model, evaluation.metrics.get(name), evaluation.drop.get(name)
        return
    drops = (
        {candidate.id: candidate.drops for candidate in done.contrasts}
        if isinstance(done, Compared)
        else {}
    )
    for side in done.models:
        yield side.id, side.outputs.get(name), drops.get(side.id, {}).get(name)
