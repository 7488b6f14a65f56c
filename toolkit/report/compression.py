"""What ``edgekit compress`` did: in words, layer by layer, and both models at every precision."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.report import words
from edgekit.report.grid import Row, grid, single_lines
from edgekit.types import Candidate, Evaluation, LayerCompression, Report, SchemeResult

LAYER_HEADINGS = ("weights", "asked", "zeros", "unique", "")
CHANNEL_HEADINGS = ("channels", "before", "multiply-accumulates", "MACs before", "")
# What is left out where a terminal is too narrow for all, first to last: titles, or numbers.
LAYER_DROP = ("unique", "asked")
CHANNEL_DROP = (4, 2)
DROP = ("ratio", "zip", "latency p50")
TABLE_HEADINGS = (
    ("model", ""),
    ("size", ""),
    ("zip", "zstd"),
    ("{metric}", "95 % interval"),
    ("drop{unit}", "95 % interval"),
    ("latency p50", ""),
    ("ratio", "95 % interval"),
)


def compression_lines(report: Report) -> Iterator[str]:
    """Yield a line per scheme, and one for the layers that it left unchanged."""
    if report.compression is None:
        return
    bounded = bool(report.settings["bounded"])
    metric = str(report.settings["metric"])
    for scheme in report.compression.schemes:
        yield f"{_title(scheme)}: requested {scheme.requested}; {_achieved(scheme)}"
        yield f"  {metric} {_path(scheme, bounded)}"
        yield f"  {scheme.speed}"
        for reason, names in _left_alone(scheme).items():
            yield f"  unchanged: {', '.join(names)} ({reason})"
    yield "the drop is measured against the model before compression"
    bridge = report.compression.bridge
    if bridge is not None:
        real = f", {bridge.real:.1e} on real ones" if bridge.real is not None else ""
        apart = f"{bridge.random:.1e} of their range on random items{real}"
        yield f"rebuilt in tf_keras: outputs differ by {apart}; tolerance {bridge.tolerance:.0e}"


def _achieved(scheme: SchemeResult) -> str:
    touched = [layer for layer in scheme.layers if layer.requested is not None]
    weights = sum(layer.weights for layer in touched)
    if scheme.macs is not None:
        before, after = scheme.macs
        gone = f"{words.share(1 - after / before)} of {before:,} multiply-accumulates removed"
        if scheme.nanoseconds is None:
            return gone
        was, now = (nanoseconds / 1e3 for nanoseconds in scheme.nanoseconds)
        return f"{gone}; the planner measured {was:.4g} µs before and {now:.4g} µs after, in int8"
    if scheme.scheme == "prune":
        return f"{words.share(scheme.sparsity)} of all weights are zero, in {_layers(touched)}"
    if scheme.scheme == "cluster":
        most = max(layer.unique for layer in touched)
        return f"at most {most} different weights a layer, in {_layers(touched)}"
    return f"{_layers(touched)} of {weights:,} weights trained with int8 rounding"


def _layers(layers: list[LayerCompression]) -> str:
    return f"{len(layers)} layer{'s' if len(layers) != 1 else ''}"


def _path(scheme: SchemeResult, bounded: bool) -> str:
    """Return the metric once the scheme is applied, and after recovery."""
    applied = words.value(scheme.metric, bounded)
    if scheme.metric.value is None:
        return f"is unavailable, because {scheme.metric.reason}"
    if scheme.recovered.value is None:
        return f"{applied}, not fine-tuned"
    kept = f", epoch {scheme.best_epoch} kept" if scheme.best_epoch else ""
    epochs = f"{scheme.epochs} epoch{'s' if scheme.epochs != 1 else ''}"
    return f"{applied}, {words.value(scheme.recovered, bounded)} after {epochs}{kept}"


def _left_alone(scheme: SchemeResult) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for layer in scheme.layers:
        if layer.reason:
            names.setdefault(layer.reason, []).append(f"{layer.layer} ({layer.kind})")
    return names


def layer_headings(scheme: SchemeResult) -> tuple[str, ...]:
    """Return the titles of :func:`layer_rows`, the layer's first."""
    rest = CHANNEL_HEADINGS if scheme.scheme == "channels" else LAYER_HEADINGS
    return (
        _title(scheme) if scheme.scheme != "channels" else "layer",
        *rest,
    )


def layer_rows(scheme: SchemeResult) -> Iterator[tuple[str, ...]]:
    """Yield a scheme's layers as rows under :func:`layer_headings`."""
    for layer in scheme.layers:
        name = f"{layer.layer} ({layer.kind})"
        if layer.channels is not None and layer.macs is not None:
            (before, after), (was, now) = layer.channels, layer.macs
            yield name, f"{after:,}", f"{before:,}", f"{now:,}", f"{was:,}", layer.reason
            continue
        yield (
            name,
            f"{layer.weights:,}" if layer.weights else words.NONE,
            _asked(scheme, layer),
            words.share(layer.sparsity) if layer.weights else words.NONE,
            f"{layer.unique:,}" if layer.weights else words.NONE,
            layer.reason,
        )


def _title(scheme: SchemeResult) -> str:
    return scheme.scheme.replace("_", "-")


def _asked(scheme: SchemeResult, layer: LayerCompression) -> str:
    if layer.requested is None:
        return words.NONE
    if scheme.scheme == "prune":
        return words.share(layer.requested)
    return "int8" if scheme.scheme == "quantization_aware" else f"{layer.requested:.4g}"


def layer_table(scheme: SchemeResult) -> object:
    """Build the table of a scheme's layers, for a rich console."""
    titles = [(name, "") for name in layer_headings(scheme)]
    drop = CHANNEL_DROP if scheme.scheme == "channels" else LAYER_DROP
    return grid(titles, (single_lines(*row) for row in layer_rows(scheme)), drop)


def compression_table(report: Report) -> object:
    """Return the uncompressed and the compressed model at every precision, for a rich console."""
    metric = str(report.settings["metric"])
    unit = " (points)" if report.settings["bounded"] else ""
    titles = [(first.format(metric=metric, unit=unit), second) for first, second in TABLE_HEADINGS]
    return grid(titles, _rows(report, metric), DROP)


def _rows(report: Report, metric: str) -> Iterator[Row]:
    bounded = bool(report.settings["bounded"])
    reference = report.reference
    size = (words.size(reference.bytes), "")
    yield _row((reference.title, ""), size, ("", ""), report.reference_evaluation, metric, bounded)
    for candidate in _in_pairs(report.candidates):
        precision, _, profile = candidate.id.partition("@")
        zipped = (words.size(candidate.compressed_bytes), words.size(candidate.zstd_bytes))
        name = (precision, profile or "compressed")
        yield _row(
            name, (words.size(candidate.bytes), ""), zipped, candidate.evaluation, metric, bounded
        )


def _in_pairs(candidates: tuple[Candidate, ...]) -> list[Candidate]:
    """Order candidates: each compressed one below the uncompressed one of its precision."""
    order = list(dict.fromkeys(candidate.precision for candidate in candidates))
    return sorted(candidates, key=lambda each: (order.index(each.precision), "@" not in each.id))


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
