"""The report of `edgekit evaluate` and `edgekit compare`: tables, verdict lines, JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgekit.report import parts, words
from edgekit.report.grid import Row, drawn
from edgekit.report.layers import layer_lines, layer_table, likeness_line
from edgekit.report.outputs import outputs_table
from edgekit.report.table import MARKS, outcome
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
WIDEST = 30
CONFUSED = 3
# What bears on every figure of a comparison stands above them.
DIFFERENT = "EK-NOTE-024"


def to_json(done: Evaluated | Compared) -> dict[str, Json]:
    """Return the whole report, as ``--json`` prints it."""
    return {"schema_version": SCHEMA_VERSION, **plain(dataclasses.asdict(done))}


def plain(value: Json) -> Json:
    """Convert what ``asdict`` gives to JSON types."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, Status):
        return value.value
    return str(value) if isinstance(value, Path) else value


def evaluated(done: Evaluated) -> Iterator[object]:
    """Yield the tables: models with their metric, classes, slices; and the worst items."""
    yield drawn(
        _headings(done.settings),
        (Row(_model_cells(one, done.settings), _style(one)) for one in done.models),
    )
    yield words.task(done.settings)
    yield from _outputs(done)
    if found := parts.worst(parts.of_json(done.details)):
        yield drawn(parts.titles(found), map(Row, parts.rows(found)))
    yield from _sliced(done)
    yield from _lines(done)


def _outputs(done: Evaluated | Compared) -> Iterator[object]:
    """Yield the table of the other metrics, where there are any."""
    if (found := outputs_table(done)) is not None:
        yield found


def _sliced(done: Evaluated) -> Iterator[object]:
    bounded = bool(done.settings["bounded"])
    metric = str(done.settings["metric"])
    for name in dict.fromkeys(one["name"] for one in done.slices):
        rows = []
        for one in done.slices:
            if one["name"] != name:
                continue
            found = Measurement(**one["metric"])
            value = words.value(found, bounded)
            rows.append(
                Row(
                    (
                        (str(one["value"]), ""),
                        (f"{one['count']:,}", ""),
                        (value, ""),
                        (words.interval(found, bounded), ""),
                        (str(one["note"] or found.reason), ""),
                    )
                )
            )
        titles = [(str(name), ""), ("items", ""), (metric, ""), ("95 % interval", ""), ("", "")]
        yield drawn(titles, rows)


def _lines(done: Evaluated) -> Iterator[str]:
    """Yield the classes confused most, and the worst items, in words."""
    pairs = done.details.get("confused") or ()
    if pairs:
        listed = ", ".join(
            f"{one['label']} as {one['answer']} {one['count']} ({100 * one['share']:.1f} %)"
            for one in list(pairs)[:CONFUSED]
        )
        yield f"confused most: {listed}"
    if done.worst:
        quoted = (done.settings.get("task") or {}).get("name") == "text"
        yield "worst items: " + "; ".join(_worst(one, quoted) for one in done.worst)


def _worst(one: Mapping[str, Json], quoted: bool) -> str:
    name = one["name"] or one["item"]
    if one["label"] is None or one["answer"] is None:
        return f"{name} ({one['score']:.3g})"
    label, answer = (f"{v!r}" if quoted else str(v) for v in (one["label"], one["answer"]))
    return f"{name} is {label}, answered {answer} ({one['score']:.3g})"


def draw_worst(done: Evaluated, images: Path, path: Path) -> None:
    """Write a PNG sheet of the worst items, from the items' ``images``.

    Raises :class:`DataError` where one is no picture.
    """
    import numpy as np

    from edgekit.report.pictures import draw, largest

    raw = np.load(images, mmap_mode="r")
    numbers = [int(one["item"]) for one in done.worst]
    labels = [str(one["label"]) for one in done.worst]
    answers = [str(one["answer"]) for one in done.worst]
    shown = [np.asarray(raw[number]) for number in numbers]
    draw(numbers, shown, labels, answers, path, largest(raw))


def compared(done: Compared) -> Iterator[object]:
    """Yield the models with their metric, then how each other one differs from the first."""
    for advice in done.advice:
        if advice.code == DIFFERENT:
            yield "\n".join(advice_lines(advice))
    by_id = {contrast.id: contrast for contrast in done.contrasts}
    unit = " (pts)" if done.settings["bounded"] else ""
    headings = [
        *_headings(done.settings),
        (f"drop{unit}", "95 % interval"),
        ("flips", "changed"),
        ("max error", "SQNR"),
        ("p50", "ratio"),
    ]
    rows = (
        Row(
            (*_model_cells(one, done.settings), *_contrast_cells(one, by_id.get(one.id), done)),
            _style(one),
        )
        for one in done.models
    )
    yield drawn(headings, rows)
    yield words.task(done.settings)
    yield from _outputs(done)
    yield "\n".join(_differences(done))
    for contrast in done.contrasts:
        if contrast.layers is not None:
            yield layer_table(contrast.layers)
            yield "\n".join(line for line, _ in layer_lines(contrast.layers))


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
    said = set()
    above = " ".join(advice.message for advice in done.advice if advice.code == DIFFERENT)
    for contrast in done.contrasts:
        name = contrast.id
        if contrast.likeness is not None and contrast.likeness.reason not in above:
            source = name.partition(" on ")[0]
            line = f"{source}: {likeness_line(contrast.likeness)[0]}"
            if line not in said:
                yield line
            said.add(line)
        for output, found in contrast.steps.items():
            if found.largest:
                yield (
                    f"{name}: output {output!r} lies up to {found.largest} quantization steps"
                    f" apart, in {100 * (found.differing.value or 0):.2g} % of its values"
                )
        if contrast.latency_ratio is not None:
            yield f"{name}: latency {words.ratio(contrast.latency_ratio)}"
    for model in done.models:
        if model.emulated and model.id in done.latency:
            why = "its latency is an estimate, and satisfies no budget"
            yield f"{model.id}: emulated ({model.emulated}): {why}"
    floors = [one.noise.value for one in done.contrasts if one.noise and one.noise.value]
    if floors:
        yield f"A/A: this host tells latencies apart from {100 * max(floors):.2g} % on"


def _headings(settings: Json) -> list[tuple[str, str]]:
    return [("model", "device"), ("size", ""), (str(settings["metric"]), "95 % interval")]


def _model_cells(one: Measured, settings: Json) -> tuple[tuple[str, str], ...]:
    bounded = bool(settings["bounded"])
    name = one.id.partition(" on ")[0]
    ran = f"{one.runtime} {one.version}".strip()
    where = ran if one.device.startswith("local") and "==" not in one.device else one.device
    absent = one.metric is not None and one.metric.how == "unavailable"
    status = Status.UNAVAILABLE if absent and one.status is Status.PASSED else one.status
    mark = "" if status is Status.PASSED else MARKS[status][0]
    return (
        (words.shortened(name, WIDEST), where or one.device),
        (words.size(one.bytes) if one.bytes else words.NONE, ""),
        (words.value(one.metric, bounded), mark or words.interval(one.metric, bounded)),
    )


def _style(one: Measured) -> str:
    return "" if one.status is Status.PASSED else MARKS[one.status][1]


def _contrast_cells(
    one: Measured, contrast: Contrast | None, done: Compared
) -> tuple[tuple[str, str], ...]:
    bounded = bool(done.settings["bounded"])
    latency = done.latency.get(one.id)
    mark = words.ESTIMATE if one.emulated else ""
    p50 = f"{mark}{words.duration(latency.p50)}" if latency else words.NONE
    if contrast is None:
        return (("reference", ""), ("", ""), ("", ""), (p50, ""))
    errors = [(found["max_abs_error"], found["sqnr"]) for found in contrast.parity.values()]
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


def verdict_lines(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Yield the checks that do not pass, with their style, then the verdict."""
    for check in verdict.checks:
        if check.status is Status.PASSED and not check.limit:
            continue
        if check.status is Status.PASSED and not check.stated:
            if "not proven" in check.message:
                yield f"{check.candidate}: {check.name} {check.message}", "dim"
            continue
        limit = f" ({check.limit})" if check.limit else ""
        mark, style = MARKS[check.status]
        yield f"{check.candidate}: {mark}: {check.name}{limit}: {outcome(check)}", style
    mark, style = MARKS[verdict.status]
    yield f"{mark} (exit code {verdict.exit_code})", f"bold {style}"
