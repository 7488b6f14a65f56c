"""Read .wav files for a model whose features are of samples: 16-bit PCM, mono or stereo.

Needs numpy and Python alone. Works on Python 3.9 and later.
"""

from __future__ import annotations

import wave
from typing import Any, Dict, List

import numpy as np


def is_sound(path: str) -> bool:
    """Whether a file is called like a sound."""
    return path.lower().endswith(".wav")


def read(path: str, signal: Dict[str, Any], shape: List[int]) -> Any:
    """Samples ``[n, samples]`` between -1 and 1: as many items as the sound has whole ones.

    Two channels become their mean.
    """
    try:
        with wave.open(path, "rb") as file:
            channels, width, rate = file.getparams()[:3]
            content = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise RuntimeError("%s is not a .wav of PCM: %s" % (path, error)) from error
    if width != 2 or channels not in (1, 2):
        raise RuntimeError(
            "%s has %d channels of %d bits: 16-bit mono or stereo is read"
            % (path, channels, 8 * width)
        )
    if rate != signal["rate"]:
        raise RuntimeError(
            "%s has %d samples a second, the model takes %d: resample it"
            % (path, rate, signal["rate"])
        )
    frames = np.frombuffer(content[: len(content) // (2 * channels) * 2 * channels], "<i2")
    samples = frames.reshape(-1, channels).mean(axis=1) / 32768.0
    needed = samples_of_an_item(signal, shape)
    count = len(samples) // needed
    if not count:
        raise RuntimeError("%s has %d samples, an item takes %d" % (path, len(samples), needed))
    return samples[: count * needed].reshape(count, needed).astype(np.float32)


def samples_of_an_item(signal: Dict[str, Any], shape: List[int]) -> int:
    """How many samples an item's windows span."""
    features = signal["coefficients"] or signal["mels"]
    frames = int(np.prod(shape)) // features
    return int(signal["window"] + (frames - 1) * signal["stride"])
