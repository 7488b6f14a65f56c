"""A small U-Net: a class for each pixel of a 32 x 32 picture."""

import keras
from keras import layers

CLASSES = 3


def build() -> keras.Model:
    """Build the untrained model."""
    image = keras.Input((32, 32, 3), name="image")
    fine = _block(image, 16)
    middle = _block(layers.MaxPooling2D()(fine), 32)
    x = _block(layers.MaxPooling2D()(middle), 64)
    x = layers.Concatenate()([layers.UpSampling2D()(x), middle])
    x = _block(x, 32)
    x = layers.Concatenate()([layers.UpSampling2D()(x), fine])
    x = _block(x, 16)
    pixels = layers.Conv2D(CLASSES, 1, activation="softmax")(x)
    return keras.Model(image, pixels, name="segmentation")


def _block(x, filters):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
