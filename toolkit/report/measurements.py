"""The report of `edgekit evaluate` and `edgekit compare`: tables, verdict lines, JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.report import evidence, parts, words
from edgekit.report.document import plain
from edgekit.report.grid import Row, grid, single_lines
from edgekit.report.layers import layer_lines, layer_table, likeness_line
from edgekit.report.outputs import outputs_table
from edgekit.report.table import MARKS, fix_of, outcome
from edgekit.types import (
    Advice,
    Compared,
    Contrast,
    Evaluated,
    Json,
    Measured,
    Measurement,
    Status,
    Verdict,
)

SCHEMA_VERSION = 1
WIDEST = 60
# What is left out where a terminal is too narrow for all, first to last.
DROP = ("max error", "size", "flips", "p50")
CONFUSED = 3
# What bears on every figure of a comparison stands above them.
DIFFERENT = "EK-NOTE-024"


def to_json(done: Evaluated | Compared) -> dict[str, Json]:
    """Return the whole report, as ``--json`` prints it."""
    if isinstance(done, Compared):
        document, besides = plain(replace(done, details=None)), "details"
    else:
        document, besides = plain(replace(done, drawn=None)), "drawn"
    # What pages draw besides is a file of its own.
    del document[besides]
    return {"schema_version": SCHEMA_VERSION, **document}


def evaluated(done: Evaluated) -> Iterator[object]:
    """Yield the tables: models with their metric, classes, slices; and the worst items."""
    yield grid(headings(done.settings), evaluated_rows(done), DROP)
    yield words.task(done.settings)
    yield from _outputs(done)
    if worst := parts.worst(parts.of_json(done.details)):
        yield grid(parts.titles(worst), map(Row, parts.rows(worst)))
    yield from _sliced(done)
    yield from _lines(done)


def evaluated_rows(done: Evaluated) -> Iterator[Row]:
    """Yield a row per model, under :func:`headings`."""
    for model in done.models:
        yield Row(_model_cells(model, done.settings), _style(model))


def confused_line(done: Evaluated) -> str:
    """Say which classes are confused most; empty where none are."""
    pairs = done.details.get("confused") or ()
    listed = ", ".join(
        f"{entry['label']} as {entry['answer']}: {entry['count']} ({100 * entry['share']:.1f} %)"
        for entry in list(pairs)[:CONFUSED]
    )
    return f"confused most: {listed}" if listed else ""


def _outputs(done: Evaluated | Compared) -> Iterator[object]:
    """Yield the table of the other metrics, where there are any."""
    if (table := outputs_table(done)) is not None:
        yield table


def _sliced(done: Evaluated) -> Iterator[object]:
    for _, titles, rows in slice_tables(done):
        yield grid(titles, rows, ("items",))


def slice_tables(done: Evaluated) -> Iterator[tuple[str, list[tuple[str, str]], list[Row]]]:
    """Yield of each column that items are divided by its name, the table's titles, its rows."""
    bounded = bool(done.settings["bounded"])
    metric = str(done.settings["metric"])
    for name in dict.fromkeys(part["name"] for part in done.slices):
        rows = []
        for part in done.slices:
            if part["name"] != name:
                continue
            measured = Measurement(**part["metric"])
            rows.append(
                single_lines(
                    str(part["value"]),
                    f"{part['count']:,}",
                    words.value(measured, bounded),
                    words.interval(measured, bounded),
                    str(part["note"] or measured.reason),
                )
            )
        titles = [(str(name), ""), ("items", ""), (metric, ""), ("95 % interval", ""), ("", "")]
        yield str(name), titles, rows


def _lines(done: Evaluated) -> Iterator[str]:
    """Yield the classes confused most, and the worst items, in words."""
    if confused := confused_line(done):
        yield confused
    if done.worst:
        quoted = (done.settings.get("task") or {}).get("name") == "text"
        yield "worst items: " + "; ".join(_worst(entry, quoted) for entry in done.worst)


def _worst(item: Mapping[str, Json], quoted: bool) -> str:
    name = item["name"] or item["item"]
    if item["label"] is None or item["answer"] is None:
        return f"{name} ({item['score']:.3g})"
    label, answer = (f"{v!r}" if quoted else str(v) for v in (item["label"], item["answer"]))
    return f"{name} is {label}, answered {answer} ({item['score']:.3g})"


def draw_worst(done: Evaluated, images: Path, path: Path) -> None:
    """Write a PNG sheet of the worst items, from the items' ``images``.

    Raises :class:`DataError` where one is not a picture.
    """
    import numpy as np

    from edgekit.data.pixels import largest
    from edgekit.report.pictures import draw

    raw = np.load(images, mmap_mode="r")
    numbers = [int(item["item"]) for item in done.worst]
    labels = [str(item["label"]) for item in done.worst]
    answers = [str(item["answer"]) for item in done.worst]
    shown = [np.asarray(raw[number]) for number in numbers]
    draw(numbers, shown, labels, answers, path, largest(raw))


def compared(done: Compared) -> Iterator[object]:
    """Yield the models with their metric, then how each other one differs from the first."""
    for advice in done.advice:
        if advice.code == DIFFERENT:
            yield "\n".join(advice_lines(advice))
    yield grid(headings(done.settings, compared=True), rows(done), DROP)
    yield words.task(done.settings)
    yield from _outputs(done)
    yield "\n".join(_differences(done))
    for contrast in done.contrasts:
        if contrast.layers is not None:
            yield layer_table(contrast.layers)
            yield "\n".join(line for line, _ in layer_lines(contrast.layers))


def rows(done: Compared) -> Iterator[Row]:
    """Yield a row per model, under :func:`headings`."""
    by_id = {contrast.id: contrast for contrast in done.contrasts}
    for model in done.models:
        contrast = _contrast_cells(model, by_id.get(model.id), done)
        yield Row((*_model_cells(model, done.settings), *contrast), _style(model))


def advice_lines(advice: Advice) -> Iterator[str]:
    """Yield a note, and what to do about it."""
    yield f"{advice.severity} {advice.code}: {advice.message}"
    if advice.fix:
        yield f"  {advice.fix}"


def advice_below(done: Evaluated | Compared) -> tuple[Advice, ...]:
    """Return the advice that is not above the tables already."""
    above = DIFFERENT if isinstance(done, Compared) else ""
    return tuple(advice for advice in done.advice if advice.code != above)


def _differences(done: Compared) -> Iterator[str]:
    """Yield how the files differ: network, quantization steps, latencies."""
    lines = set()
    above = " ".join(advice.message for advice in done.advice if advice.code == DIFFERENT)
    for contrast in done.contrasts:
        name = contrast.id
        if contrast.likeness is not None and contrast.likeness.reason not in above:
            source = name.partition(" on ")[0]
            line = f"{source}: {likeness_line(contrast.likeness)[0]}"
            if line not in lines:
                yield line
            lines.add(line)
        for output, steps in contrast.steps.items():
            if steps.largest:
                yield (
                    f"{name}: output {output!r} lies up to {steps.largest} quantization steps"
                    f" apart, in {100 * (steps.differing.value or 0):.2g} % of its values"
                )
        if contrast.latency_ratio is not None:
            yield f"{name}: latency {words.ratio(contrast.latency_ratio)}"
    for model in done.models:
        if model.estimates and model.id in done.latency:
            why = "its latency is an estimate, and satisfies no budget"
            yield f"{model.id}: {why}: {model.estimates}"
    floors = [one.noise.value for one in done.contrasts if one.noise and one.noise.value]
    if floors:
        floor = f"{100 * max(floors):.2g} %"
        yield f"A/A calibration: this host can tell latency differences from {floor}"


def headings(settings: Json, compared: bool = False) -> list[tuple[str, str]]:
    """Return the titles of a table of models, and of how each differs from the first."""
    own = [("model", "device"), ("size", ""), (str(settings["metric"]), "95 % interval")]
    if not compared:
        return own
    unit = " (pts)" if settings["bounded"] else ""
    drop = (f"drop{unit}", "95 % interval")
    return [*own, drop, ("flips", "changed"), ("max error", "SQNR"), ("p50", "ratio")]


def _model_cells(model: Measured, settings: Json) -> tuple[tuple[str, str], ...]:
    bounded = bool(settings["bounded"])
    name = model.id.partition(" on ")[0]
    ran = f"{model.runtime} {model.version}".strip()
    where = ran if model.device.startswith("local") and "==" not in model.device else model.device
    absent = model.metric is not None and model.metric.how == "unavailable"
    status = Status.UNAVAILABLE if absent and model.status is Status.PASSED else model.status
    mark = "" if status is Status.PASSED else MARKS[status][0]
    return (
        (words.shortened(name, WIDEST), where or model.device),
        (words.size(model.bytes) if model.bytes else words.NONE, ""),
        (words.value(model.metric, bounded), mark or words.interval(model.metric, bounded)),
    )


def _style(model: Measured) -> str:
    return "" if model.status is Status.PASSED else MARKS[model.status][1]


def _contrast_cells(
    model: Measured, contrast: Contrast | None, done: Compared
) -> tuple[tuple[str, str], ...]:
    bounded = bool(done.settings["bounded"])
    latency = done.latency.get(model.id)
    mark = words.ESTIMATE if model.estimates else ""
    p50 = f"{mark}{words.duration(latency.p50)}" if latency else words.NONE
    if contrast is None:
        return (("reference", ""), ("", ""), ("", ""), (p50, ""))
    errors = [(figures["max_abs_error"], figures["sqnr"]) for figures in contrast.parity.values()]
    largest = max((e.value for e, _ in errors if e.value is not None), default=None)
    lowest = min((s.value for _, s in errors if s.value is not None), default=None)
    return (
        (words.points(contrast.drop, bounded), words.interval(contrast.drop, bounded)),
        (_percent(contrast.flips), _percent(contrast.changed)),
        (
            words.NONE if largest is None else f"{largest:.3g}",
            "" if lowest is None else f"{lowest:.1f} dB",
        ),
        (p50, _times(contrast.latency_ratio)),
    )


def _times(measured: Measurement | None) -> str:
    return "" if measured is None or measured.value is None else f"x{measured.value:.3g}"


def _percent(measured: Measurement | None) -> str:
    if measured is None or measured.value is None:
        return words.NONE
    return f"{100 * measured.value:.2f} %"


def verdict_lines(verdict: Verdict, quiet: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the checks that do not pass, with their style, then the verdict."""
    told: set[str] = set()
    for check in verdict.checks:
        if check.status is Status.PASSED and (quiet or not check.limit):
            continue
        if check.status is Status.PASSED and not check.stated:
            if "not proven" in check.message:
                yield f"{check.candidate}: {check.name} {check.message}", "dim"
            continue
        limit = f" ({check.limit})" if check.limit else ""
        mark, style = MARKS[check.status]
        yield f"{check.candidate}: {mark}: {check.name}{limit}: {outcome(check)}", style
        if not quiet and (fix := fix_of(check, told)):
            yield f"  {fix}", "dim"
    mark, style = MARKS[verdict.status]
    why = f": {lacking}" if (lacking := evidence.lacking(verdict)) else ""
    yield f"{mark} (exit code {verdict.exit_code}){why}", f"bold {style}"
