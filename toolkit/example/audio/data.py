"""Write half a second each of four kinds of sound as .wav files, a folder per class.

They are computed here, from a seed: nobody's recordings.
"""

import wave
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "sounds"
RATE, COUNT = 8000, 4000
ITEMS = {"train": 120, "test": 60}


def hum(rng, t):
    """A low tone with its overtones, as of a motor."""
    pitch = rng.uniform(60, 160)
    return sum(np.sin(2 * np.pi * k * pitch * t + rng.uniform(0, 6)) / k for k in range(1, 6))


def whistle(rng, t):
    """A high tone that rises or falls."""
    start, end = rng.uniform(1200, 3000, 2)
    return np.sin(2 * np.pi * (start * t + (end - start) * t**2))


def knock(rng, t):
    """A few short blows."""
    blows = rng.uniform(0.02, 0.45, rng.integers(1, 4))
    pitch = rng.uniform(200, 500)
    since = t[:, None] - blows
    blow = np.exp(-np.maximum(since, 0) * 60) * np.sin(2 * np.pi * pitch * since)
    return (blow * (since >= 0)).sum(1)


def hiss(rng, t):
    """Noise that swells and fades."""
    return rng.normal(0, 0.5, len(t)) * (1 + np.sin(2 * np.pi * rng.uniform(1, 6) * t))


def main() -> None:
    """Write the files: each at a level of its own, in noise of a room."""
    rng, t = np.random.default_rng(0), np.arange(COUNT) / RATE
    for part, count in ITEMS.items():
        for make in (hum, whistle, knock, hiss):
            folder = FOLDER / part / make.__name__
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                sound = make(rng, t)
                sound = sound / np.abs(sound).max() * rng.uniform(0.1, 0.8)
                sound = np.clip(sound + rng.normal(0, 0.02, COUNT), -1, 1)
                with wave.open(str(folder / f"{number:03d}.wav"), "wb") as file:
                    file.setnchannels(1)
                    file.setsampwidth(2)
                    file.setframerate(RATE)
                    file.writeframes((sound * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
