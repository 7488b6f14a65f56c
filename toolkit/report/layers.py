"""Layers of two files side by side, and whether the files are the same network."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.evaluation.layers.likeness import Likeness
from edgekit.evaluation.layers.parity import FALL, LayerParity, MatchedLayer
from edgekit.evaluation.layers.sums import EQUAL
from edgekit.report import words
from edgekit.report.grid import Row, grid
from edgekit.report.inspection import Line, cut
from edgekit.types import Measurement
from edgekit.types.details import Details

NAME = 34
HEADINGS = (
    ("layer", ""),
    ("SQNR (dB)", "channel"),
    ("max error", "mean"),
    ("cosine", ""),
    ("adds", "fall (dB)"),
    ("", ""),
)
# What is left out where a terminal is too narrow for all, first to last.
DROP = ("cosine", "max error")
STYLES = {"same weights": "", "different weights": "red", "different structure": "red"}


def layer_table(parity: LayerParity, most: int | None = None) -> object:
    """Build the table of layers in execution order, or of those that add most noise."""
    layers = parity.layers if most is None else parity.ranked[:most]
    return grid(HEADINGS, (_row(layer, parity.first_fall) for layer in layers), DROP)


def _row(layer: MatchedLayer, first: MatchedLayer | None) -> Row:
    mark = "falls here first" if layer is first else "falls" if layer.falls else ""
    below = "without effect" if mark and layer.absorbed else ""
    if not mark and layer.sqnr.value is None and layer.sqnr.reason != EQUAL:
        mark = layer.sqnr.reason
    return Row(
        (
            (cut(layer.name, NAME), layer.operator),
            (_ratio(layer.sqnr), _ratio(layer.channel_sqnr)),
            (_figure(layer.max_abs_error, "{:.3g}"), _figure(layer.mean_abs_error, "{:.3g}")),
            (_figure(layer.cosine, "{:.5f}"), ""),
            (_added(layer.added), _figure(layer.fall, "{:+.1f}")),
            (mark, below),
        ),
        "red" if layer is first else "yellow" if layer.falls else "",
    )


def _ratio(measured: Measurement) -> str:
    return "equal" if measured.reason == EQUAL else _figure(measured, "{:.1f}")


def _figure(measured: Measurement, form: str) -> str:
    return words.NONE if measured.value is None else form.format(measured.value)


def _added(measured: Measurement) -> str:
    """Format the noise that an operator adds, in per cent of the signal."""
    if measured.value is None:
        return words.NONE
    return f"{measured.value * 100:.2g} %" if measured.value > 0 else "0 %"


def layer_lines(parity: LayerParity) -> Iterator[Line]:
    """Yield the lines below the table: the first fall, what adds most, what was not compared."""
    yield (
        f"{parity.left} against {parity.right}: {len(parity.layers)} tensors, {parity.n} items",
        "",
    )
    first = parity.first_fall
    if first is None:
        effect = " with an effect" if any(layer.falls for layer in parity.layers) else ""
        yield f"no layer falls by more than {FALL:g} dB beyond what rounding explains{effect}", ""
    elif first.broken:
        yield f"falls first at {first.operator} {cut(first.name, NAME)}: {first.sqnr.reason}", "red"
    else:
        fall = _figure(first.fall, "{:.1f}")
        yield f"falls first at {first.operator} {cut(first.name, NAME)}, by {fall} dB", "red"
    most = [
        f"{layer.operator} {cut(layer.name, NAME)} {_added(layer.added)}"
        for layer in parity.ranked[:3]
    ]
    if most:
        yield f"most noise is added by {'; '.join(most)}", ""
    for side, names in (("left", parity.left_only), ("right", parity.right_only)):
        if names:
            yield f"only {side}: {words.listed(names, 5)}", "dim"
    for line in (*parity.missing, *parity.notes):
        yield line, "dim"


def error_lines(details: Details | None) -> Iterator[Line]:
    """Yield a line for each candidate that was compared layer by layer: where error begins, and
    what adds most.
    """
    for name, candidate in details.candidates.items() if details else ():
        if candidate.layers is None:
            yield f"layers of {name}: unavailable, because {candidate.absent.get('layers')}", "dim"
            continue
        rows, first = candidate.layers.rows, candidate.layers.first_fall
        fall = f"no layer falls by more than {FALL:g} dB"
        if first is not None:
            row = rows[first]
            by = f", by {row.fall.value:.1f} dB" if row.fall.value is not None else ""
            fall = f"falls first at {row.operator} {cut(row.name, NAME)}{by}"
        most = [
            f"{rows[at].operator} {cut(rows[at].name, NAME)} {_added(rows[at].added)}"
            for at in candidate.layers.ranked[:3]
        ]
        adds = f"; most noise is added by {'; '.join(most)}" if most else ""
        yield f"layers of {name}: {fall}{adds}", "" if first is None else "yellow"


def likeness_line(likeness: Likeness) -> Line:
    """Say whether the two files are the same network."""
    verdicts = {
        "same weights": "the same weights",
        "different weights": "these are two different networks: other weights",
        "different structure": "these are two different networks: another structure",
        "not known": "not known whether these are the same network",
    }
    return f"{verdicts[likeness.verdict]} ({likeness.reason})", STYLES.get(
        likeness.verdict, "yellow"
    )
