"""How long a training waits for its data."""

from __future__ import annotations

import time
from typing import Any

from edgekit.training.seeds import is_deterministic


class InputClock:
    """Counts the seconds that steps wait for batches of the datasets it is put around."""

    def __init__(self) -> None:
        import tensorflow as tf

        self._waited = tf.Variable(0.0, dtype=tf.float64, trainable=False, name="waited")
        self._asked = (time.monotonic(), 0.0)

    @property
    def waited(self) -> float:
        """Seconds waited so far."""
        return float(self._waited.numpy())

    def share(self) -> float:
        """Return the share of the time since this was last asked that steps waited."""
        (then, before), self._asked = self._asked, (time.monotonic(), self.waited)
        now, waited = self._asked
        return (waited - before) / max(now - then, 1e-9)

    def around(self, dataset: Any) -> Any:
        """Return the same batches, each timed from when it is asked for until it is there."""
        import tensorflow as tf

        # A zip asks its parts in turn, in the thread of who asks it; its items are then mapped.
        asked = tf.data.Dataset.from_tensors(0).repeat().map(lambda _: _now())

        def count(begin: Any, batch: Any) -> Any:
            self._waited.assign_add(_now() - begin)
            return batch

        return tf.data.Dataset.zip(asked, dataset).map(count)


def _now() -> Any:
    import tensorflow as tf

    if not is_deterministic():
        return tf.timestamp()
    # TensorFlow's own is refused where all is to be deterministic, and is the quicker one.
    return tf.ensure_shape(tf.numpy_function(time.time, [], tf.float64), ())
