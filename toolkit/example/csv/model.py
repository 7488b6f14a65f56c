"""A small network for a row of a table: the columns of the project file, in their order."""

import keras
from keras import layers

# Three islands, four measurements, two sexes: `edgekit data describe` names the values in order.
VALUES, CLASSES = 9, 3


def build() -> keras.Model:
    """Build the untrained model."""
    row = keras.Input((VALUES,), name="row")
    x = layers.Dense(16, activation="relu")(row)
    x = layers.Dropout(0.2)(x)
    x = layers.Dense(16, activation="relu")(x)
    return keras.Model(row, layers.Dense(CLASSES, activation="softmax")(x), name="table")
