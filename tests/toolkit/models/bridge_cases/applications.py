"""The families of keras.applications, without weights from the network, as small as they go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

SMALLEST = {"Xception": 71}


def application(name: str) -> Callable[[], Any]:
    def make() -> Any:
        size = SMALLEST.get(name, 32)
        model = getattr(keras.applications, name)(
            weights=None, input_shape=(size, size, 3), include_top=False, pooling="avg"
        )
        rng = np.random.default_rng(0)
        # Fresh normalizations do nothing: give them the statistics that training would.
        for layer in model.layers:
            if type(layer).__name__ == "BatchNormalization":
                layer.set_weights([rng.uniform(0.8, 1.2, w.shape) for w in layer.get_weights()])
        return model

    return make


FAMILIES = (
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "MobileNetV3Large",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "ResNet50",
    "DenseNet121",
    "NASNetMobile",
    "Xception",
)
MODELS = {name: application(name) for name in FAMILIES}
