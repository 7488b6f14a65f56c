"""Golden vectors of pre- and postprocessing: what every language must answer.

Expected values come from Pillow, the runner, SciPy and the host's own box decoding, never from the
library that is tested. A case is a line of tokens, so that a driver in any language reads it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from scipy.special import expit, softmax

from edgekit.data import images, signals
from edgekit.evaluation import boxes
from edgekit.pipeline.box_places import boxes_of
from edgekit.targets.bundles.processing import InputSpec, OutputSpec, PictureSpec, Spec
from edgekit.targets.bundles.processing.spec import StateSpec
from edgekit.targets.runners import python_runner as runner
from edgekit.types import BoxesSpec, Preprocess, Signal

METHODS = ("nearest", "area", "bilinear", "hamming", "bicubic", "lanczos")
COLORS = ("rgb", "bgr", "grayscale")
DTYPES = ("uint8", "int8", "int16", "int32", "float32")
ACTIVATIONS = ("none", "softmax", "sigmoid")
LAYOUTS = ("xyxy", "yxyx", "xywh", "cxcywh")


@dataclass(frozen=True)
class Case:
    """A command with its arguments, and the numbers it must answer within a tolerance."""

    command: str
    arguments: tuple[Any, ...]
    expected: tuple[float, ...]
    tolerance: float = 0.0

    @property
    def line(self) -> str:
        return " ".join([self.command, *_tokens(self.arguments)])

    def wrong(self, answer: str) -> str:
        """Tell what is wrong with an answer; empty where nothing is."""
        held = np.array([float(token) for token in answer.split()], np.float64)
        expected = np.array(self.expected, np.float64)
        said = f"{self.line[:90]}: "
        if held.shape != expected.shape:
            return f"{said}{held.size} values, expected {expected.size}: {answer[:80]}"
        close = np.isclose(held, expected, rtol=0, atol=self.tolerance, equal_nan=True)
        if close.all():
            return ""
        at = int(np.flatnonzero(~close)[0])
        return f"{said}{int((~close).sum())} differ, first {at}: {held[at]} for {expected[at]}"


def _tokens(values: Any) -> Iterator[str]:
    for value in values:
        if isinstance(value, np.ndarray | tuple | list):
            yield from _tokens(np.asarray(value).reshape(-1).tolist())
        elif isinstance(value, float) and not np.isfinite(value):
            yield "NaN" if np.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
        elif isinstance(value, bool):
            yield str(int(value))
        else:
            yield str(value)


def fit(
    source: Any, size: tuple[int, int], method: str, color: str, crop: bool, layout: str
) -> Case:
    """A picture and what Pillow makes of it on the host."""
    spec = Preprocess(
        resize=size,
        crop="center" if crop else None,
        color=color,
        method=method,
        model_layout=layout,
    )
    expected = images.fitted(source[..., :3], spec)
    settings = (*size, METHODS.index(method), COLORS.index(color), crop, layout == "nchw")
    return Case("fit", (*settings, *source.shape, source), tuple(expected.reshape(-1).tolist()))


@functools.cache
def photo() -> Any:
    """A part of a real photograph, uint8 [41, 67, 3]."""
    # A second to import, in every test process, whether it comes here or not.
    from sklearn.datasets import load_sample_image

    return np.asarray(Image.fromarray(load_sample_image("china.jpg")).resize((67, 41)))


def fits() -> Iterator[Case]:
    gray, alpha = photo()[..., :1], np.concatenate([photo(), photo()[..., :1]], axis=2)
    for method, crop in itertools.product(METHODS, (False, True)):
        yield fit(photo(), (24, 24), method, "rgb", crop, "nhwc")
    for method in METHODS:
        # Pillow 13 begins with the height here, and the host does not let it.
        yield fit(photo(), (9, 80), method, "grayscale", False, "nhwc")
    # Positions where the step that is added up rounds to another pixel than a product does.
    yield fit(photo()[:14, :28], (19, 10), "nearest", "rgb", False, "nhwc")
    yield fit(photo(), (41, 67), "lanczos", "bgr", False, "nchw")
    yield fit(photo(), (41, 30), "bicubic", "rgb", False, "nchw")
    yield fit(gray, (32, 31), "bilinear", "rgb", True, "nhwc")
    yield fit(gray, (17, 33), "hamming", "grayscale", True, "nchw")
    yield fit(alpha, (20, 13), "bilinear", "bgr", True, "nhwc")
    # The shorter side becomes 12.5 pixels: halves are rounded to even.
    yield fit(photo()[:4, :5], (10, 8), "area", "rgb", True, "nhwc")
    hard = np.random.default_rng(4).choice(np.array([0, 255], np.uint8), (13, 29, 3))
    for method in METHODS:
        yield fit(hard, (30, 7), method, "grayscale", False, "nhwc")
        yield fit(hard, (5, 11), method, "rgb", True, "nchw")


def encode(
    dtype: str, scale: float, zero: int, preprocess: Preprocess, raw: Any, first: bool = False
) -> Case:
    """Raw values, and what the runner feeds the model with."""
    count = preprocess.channels or 1
    info = runner.TensorInfo(0, raw.shape, np.dtype(dtype), scale, zero, (), False)
    expected = runner.encode(raw, info, preprocess.arithmetic)
    factors, offsets = (
        one if isinstance(one, tuple) else (one,) * count
        for one in (preprocess.scale, preprocess.offset)
    )
    stride = int(np.prod(raw.shape[2:])) if first else 1
    settings = (DTYPES.index(dtype), float(np.float32(scale)), zero, count, stride)
    numbers = [np.asarray(one, np.float32).astype(float) for one in (factors, offsets, raw)]
    values = tuple(expected.reshape(-1).astype(float).tolist())
    return Case("encode", (*settings, *numbers[:2], raw.size, numbers[2]), values)


def encodes() -> Iterator[Case]:
    bytes_ = np.arange(255, dtype=np.uint8).reshape(1, 5, 17, 3)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    imagenet = Preprocess(tuple(1 / 255 / std), tuple(-mean / std))
    for dtype, scale, zero in (
        ("int8", 0.0186584, -14),
        ("uint8", 0.0186584, 114),
        ("int16", 1e-4, 0),
    ):
        yield encode(dtype, scale, zero, imagenet, bytes_)
    yield encode("float32", 0.0, 0, imagenet, bytes_)
    yield encode("float32", 0.0, 0, imagenet, bytes_.transpose(0, 3, 1, 2), first=True)
    # Halves: 0.5, 1.5, 2.5 … are rounded to even, and what is too large saturates.
    halves = np.arange(-300, 300, dtype=np.float32)[None] / 2
    for dtype in ("int8", "uint8", "int16", "int32"):
        yield encode(dtype, 1.0, 3, Preprocess(), halves)
    yield encode("int8", 0.5, 0, Preprocess(0.25, -0.125), halves * 1000)
    yield encode("int8", 1 / 255, -128, Preprocess(1 / 255), bytes_.reshape(1, -1))


def decodes() -> Iterator[Case]:
    for dtype, scale, zero, values in (
        ("int8", 1 / 256, -128, range(-128, 128)),
        ("uint8", 0.0731, 31, range(256)),
        ("int16", 3.1e-5, 0, range(-32768, 32768, 777)),
        ("int32", 0.0, 0, range(-5, 5)),
        ("float32", 0.0, 0, [0.1, -2.5, 1e-9]),
    ):
        held = np.array(values, dtype)
        info = runner.TensorInfo(0, held.shape, held.dtype, scale, zero, (), False)
        expected = tuple(runner.decode(held, info).astype(float).tolist())
        settings = (DTYPES.index(dtype), float(np.float32(scale)), zero, held.size)
        yield Case("decode", (*settings, held.astype(float)), expected)


def scores() -> Iterator[Case]:
    values = np.random.default_rng(7).normal(0, 9, 10).astype(np.float32).astype(float)
    far = np.array([1000.0, 999.0, -1000.0])
    for held in (values, far):
        yield Case("activate", (1, held.size, held), tuple(softmax(held)), 1e-6)
        yield Case("activate", (2, held.size, held), tuple(expit(held)), 1e-6)
    yield Case("activate", (0, 3, far), tuple(far))
    for limit, held, best in (
        (3, [0.1, 0.7, 0.2, 0.7], (1, 3, 2)),
        (9, [2.0, 2.0, 2.0], (0, 1, 2)),
        (4, [float("nan"), 1.0, -float("inf"), float("inf")], (3, 1, 2, 0)),
        (2, [-1.0], (0,)),
    ):
        yield Case("top", (limit, len(held), held), best)


def box_case(outputs: dict[str, Any], spec: boxes.BoxSpec, size: tuple[int, int]) -> Case:
    """A detector's outputs of one picture, and the boxes that the host reads from them."""
    outputs = {name: array.astype(np.float32) for name, array in outputs.items()}
    resolved = boxes_of(outputs, spec, size)
    decoded = boxes.decoded(outputs, spec, size)[0]
    expected = decoded[decoded[:, 0] >= 0].reshape(-1)
    held: list[Any] = [*box_settings(resolved)]
    for role in ("box", "score", "class", "count"):
        name = getattr(resolved, f"{role}_output")
        array = outputs[name] if name else np.empty(0)
        held += [array.size, array.astype(float)]
    return Case("boxes", tuple(held), tuple(expected.astype(float).tolist()), 2e-5)


def box_settings(spec: BoxesSpec) -> tuple[Any, ...]:
    """A spec of boxes as a driver reads it."""
    return (
        LAYOUTS.index(spec.layout),
        *(spec.rows, spec.classes, spec.box_row, spec.box_column, spec.score_start),
        *(spec.score_row, spec.score_column, spec.objectness, spec.sigmoid, spec.background),
        *(spec.suppress, spec.width, spec.height, spec.score, spec.iou, spec.largest),
        *(spec.candidates, *spec.scales, len(spec.anchors), spec.anchors),
    )


def box_cases() -> Iterator[Case]:
    random = np.random.default_rng(11)
    centers = random.uniform(0.2, 0.8, (1, 60, 2))
    sizes = random.uniform(0.1, 0.4, (1, 60, 2))
    logits = random.normal(-1, 2, (1, 60, 3))
    spec = boxes.BoxSpec(score=0.3, iou=0.4, largest=20)
    whole = np.concatenate([centers, sizes], axis=2)
    corners = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=2)
    newer = np.concatenate([whole * 96, expit(logits)], axis=2).transpose(0, 2, 1)
    yield box_case({"y": newer}, spec, (96, 96))
    older = np.concatenate([whole, expit(random.normal(1, 1, (1, 60, 1))), expit(logits)], axis=2)
    yield box_case({"y": older}, spec, (96, 96))
    pair = {"boxes": corners, "scores": logits}
    with_background = boxes.BoxSpec(score=0.2, iou=0.5, background=True)
    yield box_case(pair, with_background, (64, 96))
    anchors = np.concatenate([centers, sizes], axis=2)[0]
    ssd = boxes.BoxSpec(score=0.2, iou=0.5, background=True, anchors=anchors)
    yield box_case({"boxes": random.normal(0, 1, (1, 60, 4)), "scores": logits}, ssd, (64, 64))
    # Equal scores keep their order; a limit of boxes holds.
    even = boxes.BoxSpec(score=0.5, iou=0.9, largest=7, sigmoid=False)
    yield box_case({"boxes": corners, "scores": np.full((1, 60, 2), 0.5)}, even, (9, 9))
    detected = {
        "boxes": corners[:, :10, [1, 0, 3, 2]],
        "classes": np.arange(10.0)[None] % 3,
        "scores": random.permutation(np.linspace(0.1, 0.9, 10))[None],
        "count": np.array([8.0]),
    }
    yield box_case(detected, spec, (96, 96))


def chirp(count: int) -> Any:
    """A tone that rises through the bands, with noise: float32 in -1..1."""
    time = np.arange(count) / 16000
    noise = np.random.default_rng(3).normal(0, 0.01, count)
    return (0.5 * np.sin(2 * np.pi * (200 + 3000 * time / time[-1]) * time) + noise).astype(
        np.float32
    )


SIGNALS = (
    Signal(16000, 400, 160, 512, 40, 20.0, 7600.0),
    Signal(16000, 480, 320, 512, 40, 20.0, 4000.0, coefficients=10),
    Signal(8000, 256, 128, 256, 20, 0.0, 4000.0, power=2),
)


def signal_cases() -> Iterator[Case]:
    """Signals, and the features that the host makes of them."""
    for signal in SIGNALS:
        samples = chirp(1600)
        settings = (
            *(signal.rate, signal.window, signal.stride, signal.fft, signal.mels),
            *(signal.coefficients, signal.power, signal.low, signal.high, signal.floor),
        )
        expected = signals.features(samples[None], signal).reshape(-1).astype(float)
        held = (*settings, samples.size, samples.astype(float))
        yield Case("features", held, tuple(expected.tolist()), 1e-4)


def cases() -> list[Case]:
    """Every case."""
    together = (
        [constants()],
        fits(),
        encodes(),
        decodes(),
        scores(),
        box_cases(),
        signal_cases(),
    )
    return list(itertools.chain(*together))


def problems(held: list[Case], answers: list[str]) -> list[str]:
    """Return what is wrong with the answers, a line each."""
    assert len(answers) == len(held), f"{len(answers)} answers for {len(held)} cases"
    return [
        said for case, answer in zip(held, answers, strict=True) if (said := case.wrong(answer))
    ]


def golden_spec() -> Spec:
    """A spec that uses every part, with names and labels that need care in every language."""
    picture = PictureSpec(24, 32, "bgr", "lanczos", True, "nchw", True)
    factors, offsets = (1 / 255, 0.1, 3.0), (-1.0, 1e-7, 12345.678)
    rounded = [tuple(float(np.float32(v)) for v in values) for values in (factors, offsets)]
    item = InputSpec("in*/*put", (3, 24, 32), "int8", 0.0078125, -1, *rounded, 768, picture)
    output = OutputSpec('sc"o$re', (60, 6), "uint8", 0.00390625, 3, "softmax")
    rows = np.random.default_rng(1).uniform(0.1, 0.9, (60, 4)).astype(np.float32).astype(float)
    places = (6, 1, 4, 6, 1, -1, True, False)
    boxes_spec = BoxesSpec(
        *("ssd", "xyxy", 60, 2, output.name, output.name, None, None, *places, 32, 24),
        tuple((a, b, c, d) for a, b, c, d in rows.tolist()),
        (10.0, 10.0, 5.0, 5.0),
        *(0.3, 0.45, 20, True, 1000),
    )
    labels = (
        'a "quoted" \\ one',
        "what??/ trigraph",
        "$dollar ${x} \\(y)",
        "Überraschung 🐈",
        "*/",
    )
    state = InputSpec("state", (1, 2), "int8", 0.125, 9, (1.0,), (0.0,), 1, None)
    after = OutputSpec("state_out", (1, 2), "int8", 0.25, -3, "none")
    states = (StateSpec(state, after),)
    return Spec((item,), (output,), labels, output.name, boxes_spec, SIGNALS[1], states)


def constants() -> Case:
    """The constants of :func:`golden_spec`, as every driver prints them."""
    spec = golden_spec()
    (item,), (output,) = spec.inputs, spec.outputs
    assert item.picture is not None
    assert spec.boxes is not None
    assert spec.signal is not None
    picture = item.picture
    expected = [
        *(item.size, DTYPES.index(item.dtype), item.scale, item.zero_point, item.channel_stride),
        *(*item.factors, *item.offsets, picture.height, picture.width),
        *(COLORS.index(picture.color), METHODS.index(picture.method), picture.crop),
        *(picture.layout == "nchw", output.size, DTYPES.index(output.dtype), output.scale),
        *(output.zero_point, ACTIVATIONS.index(output.activation), spec.boxes.rows),
        *(spec.boxes.iou, spec.boxes.candidates, spec.boxes.anchors[1][3]),
        *(spec.signal.fft, spec.signal.floor, *"".join(spec.labels).encode()),
    ]
    return Case("constants", (), tuple(map(float, expected)), 1e-7)
