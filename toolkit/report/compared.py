"""Tables of ``edgekit compress``: each scheme's layers, and both models at every precision."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.report import words
from edgekit.report.compression import layer_headings, layer_rows
from edgekit.report.grid import Row, drawn
from edgekit.types import Candidate, Evaluation, Report, SchemeResult

HEADINGS = (
    ("model", ""),
    ("size", ""),
    ("zip", "zstd"),
    ("{metric}", "95 % interval"),
    ("drop{unit}", "95 % interval"),
    ("latency p50", ""),
    ("ratio", "95 % interval"),
)


def layer_table(scheme: SchemeResult) -> object:
    """Return what a scheme did to each layer, for a rich console."""
    titles = [(name, "") for name in layer_headings(scheme)]
    return drawn(titles, (Row(tuple((cell, "") for cell in row)) for row in layer_rows(scheme)))


def compression_table(report: Report) -> object:
    """Return the uncompressed and the compressed model at every precision, for a rich console."""
    metric = str(report.settings["metric"])
    unit = " (points)" if report.settings["bounded"] else ""
    titles = [(first.format(metric=metric, unit=unit), second) for first, second in HEADINGS]
    return drawn(titles, _rows(report, metric))


def _rows(report: Report, metric: str) -> Iterator[Row]:
    bounded = bool(report.settings["bounded"])
    reference = report.reference
    size = (words.size(reference.bytes), "")
    yield _row((reference.title, ""), size, ("", ""), report.reference_evaluation, metric, bounded)
    for one in _in_pairs(report.candidates):
        precision, _, profile = one.id.partition("@")
        zipped = (words.size(one.compressed_bytes), words.size(one.zstd_bytes))
        name = (precision, profile or "compressed")
        yield _row(name, (words.size(one.bytes), ""), zipped, one.evaluation, metric, bounded)


def _in_pairs(candidates: tuple[Candidate, ...]) -> list[Candidate]:
    """Each compressed candidate below the uncompressed one of its precision."""
    order = list(dict.fromkeys(candidate.precision for candidate in candidates))
    return sorted(candidates, key=lambda one: (order.index(one.precision), "@" not in one.id))


def _row(
    name: tuple[str, str],
    size: tuple[str, str],
    zipped: tuple[str, str],
    evaluation: Evaluation,
    metric: str,
    bounded: bool,
) -> Row:
    value, drop = evaluation.metrics.get(metric), evaluation.drop.get(metric)
    latency, ratio = evaluation.latency, evaluation.uncompressed_ratio
    shown = f"x{ratio.value:.2f}" if ratio and ratio.value is not None else words.NONE
    return Row(
        (
            name,
            size,
            zipped,
            (words.value(value, bounded), words.interval(value, bounded)),
            (words.points(drop, bounded), words.interval(drop, bounded)),
            (words.duration(latency.p50 if latency else None), ""),
            (shown, words.interval(ratio, False)),
        )
    )
