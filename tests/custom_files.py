"""Files of one custom operator each, as the runtimes that carry it want them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from flatbuffers import flexbuffers
from tflite_files import G, N, T, build

SAME, VALID = 1, 2


def options(**values: Any) -> bytes:
    """A FlexBuffers map, which is what most custom operators keep their options in."""
    builder = flexbuffers.Builder()
    with builder.Map():
        for name, value in values.items():
            builder.Key(name)
            builder.Add(value)
    return bytes(builder.Finish())


def numbers(*values: int) -> bytes:
    """A C struct of integers, which is what MediaPipe's operators have."""
    return struct.pack(f"<{len(values)}i", *values)


def one(operator: str, inputs: list[T], outputs: list[T], custom: bytes = b"") -> bytes:
    """A file of one node, whose inputs are the graph's where they are not constants."""
    names = [t.name for t in inputs], [t.name for t in outputs]
    fed = [t.name for t in inputs if t.data is None]
    return build(G([*inputs, *outputs], [N(operator, *names, custom=custom)], fed, names[1]))


def detector(**changes: Any) -> bytes:
    """The end of a detector of the TensorFlow Object Detection API: boxes, then NMS."""
    values = {
        "max_detections": 3,
        "max_classes_per_detection": 1,
        "num_classes": 3,
        "nms_score_threshold": 0.1,
        "nms_iou_threshold": 0.6,
        "x_scale": 10.0,
        "y_scale": 10.0,
        "h_scale": 5.0,
        "w_scale": 5.0,
    }
    anchors = np.array([[0.25, 0.25, 0.3, 0.3], [0.75, 0.75, 0.3, 0.3]], "f4")
    ins = [T("boxes", [1, 2, 4]), T("scores", [1, 2, 4]), T("anchors", [2, 4], data=anchors)]
    outs = [T("where", [1, 3, 4]), T("class", [1, 3]), T("score", [1, 3]), T("count", [1])]
    return one("TFLite_Detection_PostProcess", ins, outs, options(**{**values, **changes}))


CUSTOM_FILES = {
    "Sinh": one("Sinh", [T("x", [1])], [T("y", [1])]),
    "TFLite_Detection_PostProcess": detector(),
    "AudioSpectrogram": one(
        "AudioSpectrogram",
        [T("x", [64, 1])],
        [T("y", [1, 7, 9])],
        options(window_size=16, stride=8, magnitude_squared=True),
    ),
    "Mfcc": one(
        "Mfcc",
        [T("x", [1, 7, 9]), T("rate", [1], "INT32", np.array([16000], "i4"))],
        [T("y", [1, 7, 4])],
        options(
            upper_frequency_limit=4000,
            lower_frequency_limit=20,
            filterbank_channel_count=5,
            dct_coefficient_count=4,
        ),
    ),
    "Convolution2DTransposeBias": one(
        "Convolution2DTransposeBias",
        [
            T("x", [1, 4, 4, 2]),
            T("w", [3, 2, 2, 2], data=np.ones((3, 2, 2, 2), "f4")),
            T("b", [3], data=np.zeros(3, "f4")),
        ],
        [T("y", [1, 8, 8, 3])],
        numbers(SAME, 2, 2),
    ),
    "MaxPoolingWithArgmax2D": one(
        "MaxPoolingWithArgmax2D",
        [T("x", [1, 4, 4, 2])],
        [T("y", [1, 2, 2, 2]), T("where", [1, 2, 2, 2])],
        numbers(SAME, 2, 2, 2, 2, 0),
    ),
    "MaxUnpooling2D": one(
        "MaxUnpooling2D",
        [T("x", [1, 2, 2, 2]), T("where", [1, 2, 2, 2])],
        [T("y", [1, 4, 4, 2])],
        numbers(VALID, 2, 2, 2, 2, 0),
    ),
    "SignalWindow": one(
        "SignalWindow",
        [T("x", [1, 16], "INT16"), T("w", [16], "INT16", np.ones(16, "i2"))],
        [T("y", [1, 16], "INT16")],
        options(shift=12),
    ),
}
