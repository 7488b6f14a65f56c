"""A network that hears windows of half a second: log-mel features first, then convolutions.

The features are part of the model, so an app feeds samples and nothing else. The Fourier transform
is a convolution with fixed cosines and sines, and the mel bands a product with a fixed matrix: the
operator RFFT is not among those that every runtime of TFLite has, least of all with int8.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

TRAIN = Path(__file__).parent / "sounds" / "train"
RATE, COUNT = 8000, 4000
WINDOW, STRIDE, BANDS = 256, 128, 32


def build() -> keras.Model:
    """Build the untrained model, for as many classes as the training sounds have folders."""
    classes = sum(folder.is_dir() for folder in TRAIN.iterdir())
    samples = keras.Input((COUNT,), name="samples")
    x = layers.Reshape((-1, BANDS, 1))(log_mel(samples))
    x = layers.BatchNormalization()(x)
    for filters in (8, 16, 32):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(samples, layers.Dense(classes, activation="softmax")(x), name="audio")


def log_mel(samples):
    """Return the logarithm of the energy in each band of each window."""
    x = layers.Reshape((COUNT, 1))(samples)
    cosines, sines = fourier()
    # edgekit.toml keeps these layers in float, by their names.
    real = _fixed(_windows("cosines"), x, cosines)
    imaginary = _fixed(_windows("sines"), x, sines)
    power = ops.square(real) + ops.square(imaginary)
    return ops.log(_fixed(layers.Dense(BANDS, use_bias=False, name="mel"), power, mel()) + 1e-6)


def _windows(name):
    """Return a layer that multiplies each window with a kernel per frequency."""
    return layers.Conv1D(WINDOW // 2 + 1, WINDOW, STRIDE, use_bias=False, name=name)


def fourier():
    """Return the kernels [window, 1, bins] of a Fourier transform of windows in Hann's shape."""
    n, k = np.arange(WINDOW)[:, None], np.arange(WINDOW // 2 + 1)
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * n / WINDOW)) / np.sqrt(WINDOW)
    angle = 2 * np.pi * n * k / WINDOW
    return (hann * np.cos(angle))[:, None], (hann * np.sin(angle))[:, None]


def mel():
    """Return the weights [bins, bands] of triangular bands on HTK's mel scale."""
    hertz = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    low, high = 1127 * np.log1p(np.array([20.0, RATE / 2]) / 700)
    place = (1127 * np.log1p(hertz / 700) - low) / (high - low) * (BANDS + 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(1, BANDS + 1)))


def _fixed(layer, x, weights):
    """Apply a layer whose weights are known, and stay as they are in training."""
    layer.trainable = False
    y = layer(x)
    layer.set_weights([weights])
    return y
