"""Signals as features: log-mel or MFCC of whole windows, as ``[data.preprocess.signal]`` says.

The rule is that of ``tf.signal``; the apps of bundles compute the same
(``sample_apps/processing``).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.types import Signal

Array = npt.NDArray[Any]
# What whole numbers stand for: -1 to 1.
FULL_SCALE = 32768.0


def reals(samples: Array) -> Array:
    """Return samples as float64; of int16 those between -1 and 1."""
    scale = FULL_SCALE if samples.dtype == np.int16 else 1.0
    return samples.astype(np.float64) / scale


def features(samples: Array, signal: Signal) -> npt.NDArray[np.float32]:
    """Return the features ``[n, frames, features]`` of signals ``[n, samples]``."""
    starts = np.arange(signal.frames(samples.shape[1])) * signal.stride
    windows = reals(samples)[:, starts[:, None] + np.arange(signal.window)]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(signal.window) / signal.window)
    spectrum = np.abs(np.fft.rfft(windows * hann, signal.fft)) ** signal.power
    bands = np.log(spectrum @ _mel_weights(signal) + signal.floor)
    if not signal.coefficients:
        return np.asarray(bands, np.float32)
    k, band = np.arange(signal.coefficients), np.arange(signal.mels)
    cosines = np.cos(np.pi * k * (2 * band[:, None] + 1) / (2 * signal.mels))
    return np.asarray(bands @ cosines * np.sqrt(2.0 / signal.mels), np.float32)


def _mel(hertz: Any) -> Any:
    """Return frequencies on HTK's mel scale."""
    return 1127.0 * np.log1p(np.asarray(hertz, np.float64) / 700.0)


@functools.cache
def _mel_weights(signal: Signal) -> Array:
    """Return the weights ``[bins, mels]`` of the triangular bands; the mean has none."""
    hertz = np.arange(signal.fft // 2 + 1) * signal.rate / signal.fft
    low, high = _mel(signal.low), _mel(signal.high)
    place = (_mel(hertz) - low) / (high - low) * (signal.mels + 1)
    weights = np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(1, signal.mels + 1)))
    weights[0] = 0.0
    return np.asarray(weights)
