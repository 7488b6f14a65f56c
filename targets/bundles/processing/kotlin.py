"""Pre- and postprocessing in Kotlin: ``ModelSpec.kt`` beside ``Values.kt`` and its like.

Plain Kotlin 1.3 and the JVM's own classes, nothing of Android: it runs, and is tested, on any JVM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edgekit.targets.bundles.processing.library import (
    MADE_BY,
    anchor_lines,
    joined,
    library,
    quoted,
    short_float,
)
from edgekit.targets.bundles.processing.spec import (
    InputSpec,
    OutputSpec,
    PictureSpec,
    Spec,
    StateSpec,
)
from edgekit.types import BoxesSpec, Signal

CONSTANTS = "ModelSpec.kt"
PACKAGE = "edgekit"
PARTS = {
    "values": "Values.kt",
    "pictures": "Pictures.kt",
    "boxes": "Boxes.kt",
    "signals": "Signals.kt",
}
# A method of the JVM holds 64 KiB of code: longer lists are made by several.
LABELS_A_METHOD = 500


def files(spec: Spec, name: str, package: str = PACKAGE) -> Mapping[str, bytes]:
    """Return the constants of a model and the library's files that it uses, by file name.

    All are of ``package``: models of one app have a package each.
    """
    placed = library("kotlin", spec, PARTS) | {CONSTANTS: _constants(spec, name).encode()}
    head, named = f"package {PACKAGE}\n".encode(), f"package {package}\n".encode()
    return {file: content.replace(head, named, 1) for file, content in placed.items()}


def text(value: str) -> str:
    """Return a string of Kotlin, whose ``$`` begins no template."""

    def escape(character: str) -> str:
        if character in '"\\$':
            return f"\\{character}"
        units = character.encode("utf-16-be", "surrogatepass").hex()
        return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))

    return quoted(value, escape, '"\\$')


def _constants(spec: Spec, name: str) -> str:
    inputs = "".join(f"        {_input(item)},\n" for item in spec.inputs).rstrip(",\n")
    outputs = "".join(f"        {_output(item)},\n" for item in spec.outputs).rstrip(",\n")
    parts = [
        f"// {MADE_BY.format(name=text(name)[1:-1])}",
        f"package {PACKAGE}",
        "",
        "object ModelSpec {",
        f"    val inputs = listOf(\n{inputs}\n    )",
        f"    val outputs = listOf(\n{outputs}\n    )",
        *_labels(spec.labels),
        "    /** The output that scores the classes. */",
        f"    val answers: String? = {_optional(spec.answers)}",
        "    /** What is carried on from an inference to the next. */",
        f"    val states: List<StateSpec> = listOf({joined(map(_state, spec.states))})",
    ]
    if spec.boxes is not None:
        parts.append(_boxes(spec.boxes))
    if spec.signal is not None:
        parts.append(f"    val signal = {_signal(spec.signal)}")
    return "\n".join([*parts, "}\n"])


def _input(item: InputSpec) -> str:
    return (
        f"InputSpec({text(item.name)}, {_integers(item.shape)}, DType.{item.dtype.upper()},"
        f" {number(item.scale)}, {item.zero_point}, {_floats(item.factors)},"
        f" {_floats(item.offsets)}, {item.channel_stride}, {_picture(item.picture)})"
    )


def _picture(picture: PictureSpec | None) -> str:
    if picture is None:
        return "null"
    return (
        f"PictureSpec({picture.height}, {picture.width}, Color.{picture.color.upper()},"
        f" Method.{picture.method.upper()}, {_boolean(picture.crop)},"
        f" {_boolean(picture.layout == 'nchw')}, {_boolean(picture.measured)})"
    )


def _output(item: OutputSpec) -> str:
    return (
        f"OutputSpec({text(item.name)}, {_integers(item.shape)}, DType.{item.dtype.upper()},"
        f" {number(item.scale)}, {item.zero_point}, Activation.{item.activation.upper()})"
    )


def _state(state: StateSpec) -> str:
    return f"\n        StateSpec({_input(state.input)}, {_output(state.output)})"


def _labels(labels: Sequence[str]) -> Iterable[str]:
    """Yield the labels, in methods that are short enough for a JVM."""
    starts = range(0, len(labels), LABELS_A_METHOD)
    for start in starts:
        held = labels[start : start + LABELS_A_METHOD]
        yield f"    private fun labels{start}() = listOf({joined(map(text, held))})"
    whole = " + ".join(f"labels{start}()" for start in starts) or "emptyList()"
    yield f"    val labels: List<String> = {whole}"


def _boxes(boxes: BoxesSpec) -> str:
    lines = [text(line) for line in anchor_lines(boxes)]
    anchors = f"floats(listOf({joined(lines)}))" if lines else "floatArrayOf()"
    named = (boxes.box_output, boxes.score_output, boxes.class_output, boxes.count_output)
    integers = (
        *(boxes.box_row, boxes.box_column, boxes.score_start, boxes.score_row),
        *(boxes.score_column, boxes.objectness),
    )
    switches = (boxes.sigmoid, boxes.background, boxes.suppress)
    return (
        f"    val boxes = BoxesSpec(\n        BoxLayout.{boxes.layout.upper()}, {boxes.rows},"
        f" {boxes.classes}, {joined(map(_optional, named))}, {joined(map(str, integers))},"
        f" {joined(map(_boolean, switches))}, {number(boxes.width)}, {number(boxes.height)},\n"
        f"        {anchors},\n        {_floats(boxes.scales)}, {number(boxes.score)},"
        f" {number(boxes.iou)}, {boxes.largest}, {boxes.candidates}\n    )"
    )


def _signal(signal: Signal) -> str:
    return (
        f"SignalSpec({signal.rate}, {signal.window}, {signal.stride}, {signal.fft},"
        f" {signal.mels}, {float(signal.low)!r}, {float(signal.high)!r}, {signal.coefficients},"
        f" {signal.power}, {float(signal.floor)!r})"
    )


def number(value: float) -> str:
    """Return a float constant."""
    return f"{short_float(value)}f"


def _integers(values: Iterable[int]) -> str:
    return f"intArrayOf({joined(map(str, values))})"


def _floats(values: Iterable[float]) -> str:
    return f"floatArrayOf({joined(map(number, values))})"


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _optional(value: str | None) -> str:
    return "null" if value is None else text(value)
