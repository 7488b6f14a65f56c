"""Compute pictures of discs and squares with their masks: train.npz and test.npz.

They are drawn here, from a seed: nobody's pictures.
"""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
SIZE = 32
ITEMS = {"train": 600, "test": 150}


def draw(rng):
    """Return a picture [size, size, 3], and the class of each pixel: 0 ground, 1 disc, 2 square."""
    down, across = np.mgrid[:SIZE, :SIZE]
    picture = rng.normal(rng.uniform(0, 110, 3), 15, (SIZE, SIZE, 3))
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for kind in rng.integers(1, 3, rng.integers(1, 3)):
        y, x = rng.integers(6, SIZE - 6, 2)
        radius = rng.integers(4, 9)
        off = (down - y, across - x)
        disc, square = np.hypot(*off) < radius, np.maximum(*np.abs(off)) < radius
        inside = disc if kind == 1 else square
        picture[inside] = rng.normal(rng.uniform(140, 255, 3), 15, (inside.sum(), 3))
        mask[inside] = kind
    return np.clip(picture, 0, 255).astype(np.uint8), mask


def main() -> None:
    """Write both files."""
    rng = np.random.default_rng(0)
    for part, count in ITEMS.items():
        x, y = zip(*(draw(rng) for _ in range(count)), strict=True)
        np.savez_compressed(FOLDER / f"{part}.npz", x=np.array(x), y=np.array(y))


if __name__ == "__main__":
    main()
