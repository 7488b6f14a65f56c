"""A small run's details with every part filled, and a PNG as they hold it."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from edgekit.types import Measurement
from edgekit.types.details import (
    CandidateDetails,
    Confusion,
    Curve,
    DataDetails,
    Details,
    FileSizes,
    Histogram,
    InputDetails,
    LaunchSamples,
    LayerError,
    LayerErrors,
    OperatorRow,
    Operators,
    PoorItem,
    PrecisionIsland,
    Reliability,
    ReliabilityBin,
    TensorSize,
    ValueRange,
)


def picture(height: int = 8, width: int = 8) -> str:
    """A PNG of noise in base64."""
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def decibel(value: float) -> Measurement:
    return Measurement(value, "dB", n=32)


def share(value: float) -> Measurement:
    return Measurement(value, "1", n=32)


def layer(name: str, sqnr: float, inputs: tuple[int, ...] = ()) -> LayerError:
    figures = [decibel(sqnr), decibel(sqnr), share(0.5), share(0.1), share(0.9), share(0.1)]
    return LayerError("CONV_2D", name, *figures, decibel(12.0), sqnr < 20, False, inputs)


def candidate() -> CandidateDetails:
    """A classifier of two classes and two layers, whose second computes in float."""
    return CandidateDetails(
        launches=(LaunchSamples(3, (90, 100, 400)), LaunchSamples(2, (95, 96))),
        device_launches={"ssh://pi@pi": (LaunchSamples(2, (900, 950)),)},
        confusion=Confusion(("cat", "dog"), ((3, 1), (0, 4))),
        reliability=Reliability(
            (ReliabilityBin(0.0, 0.5, 0), ReliabilityBin(0.5, 1.0, 8, 0.9, 0.875)), share(0.025)
        ),
        worst_items=(PoorItem(7, 0.93, "confidence", "cat", "dog", "cat/7.png", "evaluated-7"),),
        layers=LayerErrors("reference", 32, (layer("a", 30.0), layer("b", 9.0, (0,))), 1, (1, 0)),
        sizes=FileSizes(
            900, (TensorSize("a", "CONV_2D", "kernel", "INT8", (3, 3), 500),), {"structure": 400}
        ),
        operators=Operators(
            (
                OperatorRow("a", "CONV_2D", "int8", "integer", (1, 4), (), None, 9000),
                OperatorRow("b", "SOFTMAX", "float32", "float", (1, 2), (0,), 0),
            ),
            (PrecisionIsland("at the end", (1,)),),
        ),
        absent={},
    )


def inputs() -> InputDetails:
    return InputDetails(
        shape=(8, 8, 3),
        dtype="float32",
        range=ValueRange(8, 0.0, 1.0, 0.5, 0.25, {"1": 0.01, "50": 0.5, "99": 0.99}),
        histogram=Histogram((0.0, 0.5, 1.0), (700, 836)),
        pictures=("evaluated-7",),
        envelope=Curve((0.0, 0.1), (0.9, 1.0)),
        examples=(Curve((0.2, 0.2), (0.3, 0.4)),),
    )


def training() -> dict[str, tuple[float | None, ...]]:
    """A training of four epochs that was validated from the second on."""
    return {
        "epoch": (1.0, 2.0, 3.0, 4.0),
        "accuracy": (0.5, 0.7, 0.8, 0.9),
        "loss": (1.2, 0.8, 0.5, 0.3),
        "val_loss": (None, 0.9, 0.7, 0.8),
    }


def details() -> Details:
    """A run of one candidate."""
    return Details(
        run="20260101-000000-abcdef",
        kind="convert",
        command="edgekit convert model.keras --data 'my data.npz'",
        reference=CandidateDetails(launches=(LaunchSamples(1, (200,)),), absent={"sizes": "why"}),
        candidates={"int8": candidate()},
        representative=DataDetails(8, {"image": inputs()}, {"cat": 4, "dog": 4}),
        evaluated=DataDetails(8, {"image": inputs()}),
        pictures={"evaluated-7": picture()},
        training=training(),
        absent={"evaluated.classes": "labels are not classes"},
    )
