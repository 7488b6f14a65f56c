"""The networks of the benchmarks: two for 28 x 28 grey images of ten classes, and a larger one.

Sources: ResNet-8 is the image classification network of MLPerf Tiny (Banbury et al. 2021), DS-CNN
the depthwise separable one of "Hello Edge" (Zhang et al. 2017), both at that input's size.
"""

from __future__ import annotations

from typing import Any

EPOCHS = 10
BATCH_SIZE = 128
ITEMS = 60_000


def resnet8() -> Any:
    """Three stages of 16, 32 and 64 channels with residual sums; compiled."""
    import keras

    layers = keras.layers

    def normalized(x: Any, filters: int, size: int, strides: int, active: bool) -> Any:
        x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        return layers.ReLU()(x) if active else x

    image = keras.Input((28, 28, 1), name="image")
    x = normalized(image, 16, 3, 1, True)
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        y = normalized(x, filters, 3, strides, True)
        y = normalized(y, filters, 3, 1, False)
        if strides > 1:
            x = normalized(x, filters, 1, strides, False)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return _compiled(keras.Model(image, _classes(x), name="resnet8"))


def ds_cnn() -> Any:
    """A convolution and four depthwise separable blocks of 64 channels; compiled."""
    import keras

    layers = keras.layers
    image = keras.Input((28, 28, 1), name="image")
    x = layers.Conv2D(64, 3, 2, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for _ in range(4):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(64, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    return _compiled(keras.Model(image, _classes(x), name="ds_cnn"))


def mobilenet(side: int) -> Any:
    """MobileNetV2 (Sandler et al. 2018) for colour images of so many pixels a side, untrained."""
    import keras

    return keras.applications.MobileNetV2((side, side, 3), weights=None, classes=10)


def _classes(x: Any) -> Any:
    import keras

    return keras.layers.Dense(10, activation="softmax", name="garment")(x)


def _compiled(model: Any) -> Any:
    import keras

    steps = EPOCHS * -(-ITEMS // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    # XLA's depthwise convolutions on a CPU take eight times as long as TensorFlow's own.
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", jit_compile=False)
    return model
