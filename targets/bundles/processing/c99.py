"""Pre- and postprocessing in C99: ``<model>_spec.h`` beside the library's header and sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.converters.micro.names import guard, identifier
from edgekit.targets.bundles.processing.library import (
    LIBRARIES,
    MADE_BY,
    joined,
    library,
    short_float,
)
from edgekit.targets.bundles.processing.spec import InputSpec, OutputSpec, PictureSpec, Spec
from edgekit.types import BoxesSpec, Signal

HEADER = "edgekit_processing.h"
PARTS = {
    "values": "edgekit_values.c",
    "pictures": "edgekit_pictures.c",
    "boxes": "edgekit_boxes.c",
    "signals": "edgekit_signals.c",
}
# What is written as it is between quotes in C; "?" might begin a trigraph.
PLAIN = frozenset(range(0x20, 0x7F)) - {ord('"'), ord("\\"), ord("?")}


def files(spec: Spec, name: str) -> Mapping[str, bytes]:
    """Return the constants of a model and the library's files that it uses, by file name."""
    prefix = identifier(name)
    header = f"{prefix}_spec.h"
    placed = library("c99", spec, PARTS)
    placed[HEADER] = (LIBRARIES / "c99" / HEADER).read_bytes()
    placed[header] = _constants(spec, name, prefix, guard(header)).encode()
    return placed


def _constants(spec: Spec, name: str, prefix: str, guard_name: str) -> str:
    parts = [
        f"/* {MADE_BY.format(name=_comment(name))} */",
        f"#ifndef {guard_name}\n#define {guard_name}",
        f'#include "{HEADER}"',
        *(_input(prefix, number, one) for number, one in enumerate(spec.inputs)),
        *(_output(prefix, number, one) for number, one in enumerate(spec.outputs)),
        _labels(prefix, spec.labels),
    ]
    if spec.boxes is not None:
        parts.append(_boxes(prefix, spec.boxes, [one.name for one in spec.outputs]))
    if spec.signal is not None:
        parts.append(_signal(prefix, spec.signal))
    parts.append(f"#endif /* {guard_name} */\n")
    return "\n\n".join(parts)


def text(value: str) -> str:
    """Return a C string of a text in UTF-8, every byte beyond ASCII in octal."""
    return '"' + "".join(chr(b) if b in PLAIN else f"\\{b:03o}" for b in value.encode()) + '"'


def number(value: float) -> str:
    """Return a float constant."""
    return f"{short_float(value)}f"


def _array(name: str, values: Sequence[float]) -> str:
    return f"static const float {name}[] = {{{joined(map(number, values))}}};"


def _input(prefix: str, place: int, item: InputSpec) -> str:
    name = f"{prefix}_input_{place}"
    lines = [
        f"/* {_comment(item.name)} {list(item.shape)} */",
        f"#define {name.upper()}_SIZE {item.size}",
        _array(f"{name}_factors", item.factors),
        _array(f"{name}_offsets", item.offsets),
    ]
    if item.picture:
        lines.append(_picture(name, item.picture))
    picture = f"&{name}_picture" if item.picture else "NULL"
    lines.append(
        f"static const ek_input {name} = {{{text(item.name)}, {item.size},"
        f" EK_{item.dtype.upper()}, {number(item.scale)}, {item.zero_point},"
        f" {len(item.factors)}, {item.channel_stride}, {name}_factors, {name}_offsets,"
        f" {picture}}};"
    )
    return "\n".join(lines)


def _picture(name: str, picture: PictureSpec) -> str:
    known = (
        "" if picture.measured else "/* measured on arrays: whether pixels are 0..255 is open */\n"
    )
    return (
        f"{known}static const ek_picture {name}_picture = {{{picture.height}, {picture.width},"
        f" EK_{picture.color.upper()}, EK_{picture.method.upper()}, {int(picture.crop)},"
        f" {int(picture.layout == 'nchw')}}};"
    )


def _output(prefix: str, place: int, item: OutputSpec) -> str:
    name = f"{prefix}_output_{place}"
    return (
        f"/* {_comment(item.name)} {list(item.shape)} */\n"
        f"#define {name.upper()}_SIZE {item.size}\n"
        f"static const ek_output {name} = {{{text(item.name)}, {item.size},"
        f" EK_{item.dtype.upper()}, {number(item.scale)}, {item.zero_point},"
        f" EK_{item.activation.upper()}}};"
    )


def _labels(prefix: str, labels: tuple[str, ...]) -> str:
    count = f"#define {prefix.upper()}_LABELS {len(labels)}"
    if not labels:
        return count
    listed = "".join(f"  {text(label)},\n" for label in labels)
    return f"{count}\nstatic const char *const {prefix}_labels[] = {{\n{listed}}};"


def _boxes(prefix: str, boxes: BoxesSpec, outputs: Sequence[str]) -> str:
    lines, anchors = [], "NULL"
    for role in ("box", "score", "class", "count"):
        output = getattr(boxes, f"{role}_output")
        if output is not None:
            lines.append(f"#define {prefix.upper()}_{role.upper()}_OUTPUT {outputs.index(output)}")
    if boxes.anchors:
        anchors = f"{prefix}_anchors"
        rows = "".join(f"  {{{joined(map(number, row))}}},\n" for row in boxes.anchors)
        lines.append(f"static const float {anchors}[][4] = {{\n{rows}}};")
    integers = (
        boxes.rows,
        boxes.classes,
        boxes.box_row,
        boxes.box_column,
        boxes.score_start,
        boxes.score_row,
        boxes.score_column,
        boxes.objectness,
        int(boxes.sigmoid),
        int(boxes.background),
        int(boxes.suppress),
    )
    scales = joined(map(number, boxes.scales))
    lines.append(
        f"static const ek_box_spec {prefix}_boxes = {{EK_{boxes.layout.upper()},"
        f" {joined(map(str, integers))}, {number(boxes.width)}, {number(boxes.height)}, {anchors},"
        f" {{{scales}}}, {number(boxes.score)}, {number(boxes.iou)}, {boxes.largest},"
        f" {boxes.candidates}}};"
    )
    return "\n".join(lines)


def _signal(prefix: str, signal: Signal) -> str:
    integers = (
        signal.rate,
        signal.window,
        signal.stride,
        signal.fft,
        signal.mels,
        signal.coefficients,
        signal.power,
    )
    floats = (signal.low, signal.high, signal.floor)
    return (
        f"#define {prefix.upper()}_FEATURES {signal.features}\n"
        f"#define {prefix.upper()}_TABLES EK_TABLES({signal.window}, {signal.fft})\n"
        f"#define {prefix.upper()}_WORK EK_WORK({signal.fft}, {signal.mels})\n"
        f"static const ek_signal {prefix}_signal = {{{joined(map(str, integers))},"
        f" {joined(map(number, floats))}}};"
    )


def _comment(name: str) -> str:
    """Return a tensor's name as a comment may have it."""
    return text(name)[1:-1].replace("*/", "* /").replace("/*", "/ *")
