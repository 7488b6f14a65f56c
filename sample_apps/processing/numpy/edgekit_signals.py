"""Log-mel features and MFCC of a signal, by the rule of ``tf.signal``.

The reference of the same functions in other languages. Needs numpy alone; works on Python 3.9 and
later.
"""

from __future__ import annotations

from typing import Any, Dict

import numpy as np


def mel_of(hertz: Any) -> Any:
    """Return frequencies on HTK's mel scale."""
    return 1127.0 * np.log1p(np.asarray(hertz, np.float64) / 700.0)


def windows(samples: Any, window: int, stride: int) -> Any:
    """Return the whole windows ``[frames, window]`` of samples; what is left over is dropped."""
    samples = np.asarray(samples)
    starts = np.arange(0, len(samples) - window + 1, stride)
    return samples[starts[:, None] + np.arange(window)]


def mel_weights(signal: Dict[str, Any]) -> Any:
    """Return the weights ``[bins, mels]`` of the triangular mel bands; the mean has none."""
    bins, mels = signal["fft"] // 2 + 1, signal["mels"]
    hertz = np.arange(bins) * signal["rate"] / signal["fft"]
    low, high = mel_of(signal["low"]), mel_of(signal["high"])
    place = (mel_of(hertz) - low) / (high - low) * (mels + 1)
    weights = np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(1, mels + 1)))
    weights[0] = 0.0
    return weights


def features(signal: Dict[str, Any], samples: Any) -> Any:
    """Return the features ``[frames, mels or coefficients]`` of samples, float32.

    Whole numbers of 16 bits stand for -1 to 1.
    """
    samples = np.asarray(samples)
    full_scale = 32768.0 if samples.dtype == np.int16 else 1.0
    size, mels = signal["window"], signal["mels"]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    framed = windows(samples.astype(np.float64) / full_scale, size, signal["stride"])
    spectrum = np.abs(np.fft.rfft(framed * hann, signal["fft"])) ** signal["power"]
    bands = np.log(spectrum @ mel_weights(signal) + signal["floor"])
    if not signal["coefficients"]:
        return bands.astype(np.float32)
    # The cosine transform of type II.
    k, band = np.arange(signal["coefficients"]), np.arange(mels)
    cosines = np.cos(np.pi * k * (2 * band[:, None] + 1) / (2 * mels))
    return (bands @ cosines * np.sqrt(2.0 / mels)).astype(np.float32)
