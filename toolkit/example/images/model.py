"""A convolutional network for small grey pictures, with one output per class folder."""

from pathlib import Path

import keras
from keras import layers

TRAIN = Path(__file__).parent / "pictures" / "train"


def build() -> keras.Model:
    """Build the untrained model, for as many classes as the training pictures have folders."""
    classes = sum(folder.is_dir() for folder in TRAIN.iterdir())
    image = keras.Input((28, 28, 1), name="image")
    x = _block(image, 16)
    x = layers.MaxPooling2D()(x)
    x = _block(x, 32)
    x = layers.MaxPooling2D()(x)
    x = _block(x, 64)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.4)(x)
    x = layers.Dense(64, activation="relu")(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x), name="images")


def _block(x, filters):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
