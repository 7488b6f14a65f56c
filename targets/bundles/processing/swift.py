"""Pre- and postprocessing in Swift: ``ModelSpec.swift`` beside ``Values.swift`` and its like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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

CONSTANTS = "ModelSpec.swift"
PARTS = {
    "values": "Values.swift",
    "pictures": "Pictures.swift",
    "boxes": "Boxes.swift",
    "signals": "Signals.swift",
}


def files(spec: Spec, name: str) -> Mapping[str, bytes]:
    """Return the constants of a model and the library's files that it uses, by file name."""
    placed = library("swift", spec, PARTS)
    placed[CONSTANTS] = _constants(spec, name).encode()
    return placed


def text(value: str) -> str:
    """Return a string of Swift, whose backslash begins no interpolation."""

    def escape(character: str) -> str:
        return f"\\{character}" if character in '"\\' else f"\\u{{{ord(character):x}}}"

    return quoted(value, escape, '"\\')


def _constants(spec: Spec, name: str) -> str:
    parts = [
        f"// {MADE_BY.format(name=text(name)[1:-1])}",
        "public enum ModelSpec {",
        f"    public static let inputs: [InputSpec] = {_lines(map(_input, spec.inputs))}",
        f"    public static let outputs: [OutputSpec] = {_lines(map(_output, spec.outputs))}",
        f"    public static let labels: [String] = {_lines(map(text, spec.labels))}",
        "    /// The output that scores the classes.",
        f"    public static let answers: String? = {_optional(spec.answers)}",
        "    /// What is carried on from an inference to the next.",
        f"    public static let states: [StateSpec] = {_lines(map(_state, spec.states))}",
    ]
    if spec.boxes is not None:
        parts.append(f"    public static let boxes = {_boxes(spec.boxes)}")
    if spec.signal is not None:
        parts.append(f"    public static let signal = {_signal(spec.signal)}")
    return "\n".join([*parts, "}\n"])


def _lines(values: Iterable[str]) -> str:
    listed = "".join(f"        {value},\n" for value in values)
    return f"[\n{listed}    ]" if listed else "[]"


def _call(struct: str, /, **arguments: str) -> str:
    return f"{struct}({joined(f'{key}: {value}' for key, value in arguments.items())})"


def _input(item: InputSpec) -> str:
    return _call(
        "InputSpec",
        name=text(item.name),
        shape=_list(map(str, item.shape)),
        dtype=f".{item.dtype}",
        scale=short_float(item.scale),
        zeroPoint=str(item.zero_point),
        factors=_list(map(short_float, item.factors)),
        offsets=_list(map(short_float, item.offsets)),
        channelStride=str(item.channel_stride),
        picture=_picture(item.picture),
    )


def _picture(picture: PictureSpec | None) -> str:
    if picture is None:
        return "nil"
    return _call(
        "PictureSpec",
        height=str(picture.height),
        width=str(picture.width),
        color=f".{picture.color}",
        method=f".{picture.method}",
        crop=_boolean(picture.crop),
        channelsFirst=_boolean(picture.layout == "nchw"),
        measured=_boolean(picture.measured),
    )


def _output(item: OutputSpec) -> str:
    return _call(
        "OutputSpec",
        name=text(item.name),
        shape=_list(map(str, item.shape)),
        dtype=f".{item.dtype}",
        scale=short_float(item.scale),
        zeroPoint=str(item.zero_point),
        activation=f".{item.activation}",
    )


def _state(state: StateSpec) -> str:
    return _call("StateSpec", input=_input(state.input), output=_output(state.output))


def _boxes(boxes: BoxesSpec) -> str:
    lines = [text(line) for line in anchor_lines(boxes)]
    return _call(
        "BoxesSpec",
        layout=f".{boxes.layout}",
        rows=str(boxes.rows),
        classes=str(boxes.classes),
        boxOutput=text(boxes.box_output),
        scoreOutput=text(boxes.score_output),
        classOutput=_optional(boxes.class_output),
        countOutput=_optional(boxes.count_output),
        boxRow=str(boxes.box_row),
        boxColumn=str(boxes.box_column),
        scoreStart=str(boxes.score_start),
        scoreRow=str(boxes.score_row),
        scoreColumn=str(boxes.score_column),
        objectness=str(boxes.objectness),
        sigmoid=_boolean(boxes.sigmoid),
        background=_boolean(boxes.background),
        suppress=_boolean(boxes.suppress),
        width=short_float(boxes.width),
        height=short_float(boxes.height),
        anchors=f"floats({_list(lines)})" if lines else "[]",
        scales=_list(map(short_float, boxes.scales)),
        score=short_float(boxes.score),
        iou=short_float(boxes.iou),
        largest=str(boxes.largest),
        candidates=str(boxes.candidates),
    )


def _signal(signal: Signal) -> str:
    return _call(
        "SignalSpec",
        rate=str(signal.rate),
        window=str(signal.window),
        stride=str(signal.stride),
        fft=str(signal.fft),
        mels=str(signal.mels),
        low=repr(float(signal.low)),
        high=repr(float(signal.high)),
        coefficients=str(signal.coefficients),
        power=str(signal.power),
        floor=repr(float(signal.floor)),
    )


def _list(values: Iterable[str]) -> str:
    return f"[{joined(values)}]"


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _optional(value: str | None) -> str:
    return "nil" if value is None else text(value)
