"""Fixed items that a training is watched on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """Items in the model's own structure: inputs, labels, and weights where there are any."""

    x: Any
    y: Any
    weight: Any = None

    def __len__(self) -> int:
        import tensorflow as tf

        return len(tf.nest.flatten(self.x)[0])

    def part(self, begin: int, end: int) -> Batch:
        """Return some of the items."""
        import tensorflow as tf

        x, y, weight = tf.nest.map_structure(
            lambda each: None if each is None else each[begin:end], (self.x, self.y, self.weight)
        )
        return Batch(x, y, weight)

    @property
    def images(self) -> Array | None:
        """The items as pictures of bytes ``[n, height, width, 1 or 3]``, where they are such."""
        import tensorflow as tf

        arrays = [each for each in tf.nest.flatten(self.x) if each.ndim == 4]
        if len(arrays) != 1 or arrays[0].shape[-1] not in (1, 3, 4):
            return None
        values = np.asarray(arrays[0], np.float32)[..., :3]
        low = values.min(axis=(1, 2, 3), keepdims=True)
        high = values.max(axis=(1, 2, 3), keepdims=True)
        shown = 255 * (values - low) / np.maximum(high - low, 1e-12)
        return np.asarray(shown.round(), np.uint8)


def take(dataset: Any, count: int) -> Batch:
    """Take the first items of a dataset that yields batches ``(x, y)`` or ``(x, y, weight)``."""
    import tensorflow as tf

    batches, found = [], 0
    for each in dataset:
        batches.append(each)
        found += len(tf.nest.flatten(each)[0])
        if found >= count:
            break
    joined = tf.nest.map_structure(
        lambda *parts: np.concatenate([part.numpy() for part in parts])[:count], *batches
    )
    return Batch(*joined)
