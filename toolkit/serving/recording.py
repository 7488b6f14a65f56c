"""What a server lets `edgekit monitor` know: statistics of what it was given and answered, and raw
items only where it was told to keep some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.serving.runner import Answer
from edgekit.serving.source import Arrays, Servable
from edgekit.targets.runners.python_runner import alongside
from edgekit.targets.runners.raw_items import RawItems
from edgekit.targets.runners.recorder import Recorder, processor

# Items that are counted at once: one by one they would take as long as a small model does.
TOGETHER = 64


@dataclass
class Kept:
    """The samples of raw items of a server, ``items`` each; 0 keeps none.

    A version that is read anew goes on with the sample of the one before, which may still answer.
    """

    items: int = 0
    _samples: dict[tuple[Path, str], RawItems] = field(default_factory=dict)

    def of(self, model: Servable, folder: Path) -> RawItems | None:
        """Return what keeps the raw items of a version, None where nobody asked for it."""
        if not self.items or model.monitoring is None:
            return None
        key = (folder, str(model.monitoring["digest"]))
        if key not in self._samples:
            self._samples[key] = RawItems(model.monitoring, folder, self.items)
        return self._samples[key]


class Recording:
    """Counts the items of one version into the records of a folder, some at a time.

    ``raw`` keeps a sample of the items themselves.
    """

    def __init__(self, model: Servable, folder: Path, raw: RawItems | None = None) -> None:
        self._model = model
        golden = model.monitoring or {}
        self._recorder = Recorder(golden, folder, device=f"edgekit serve on {processor()}", raw=raw)
        self._held: list[tuple[dict[str, Any], Arrays, int]] = []
        self._items = 0

    @property
    def problem(self) -> str:
        """Why the newest records could not be written yet; empty where they were."""
        return str(self._recorder.problem)

    def answered(self, inputs: Arrays, raw: bool, answer: Answer) -> None:
        """Count items and what was answered, and one time: of the request, by its items.

        A time for each item would be copies of that one, and pass for as many that were measured.
        """
        items = len(next(iter(inputs.values())))
        given = dict(inputs) if raw else self._as_given(inputs)
        self._held.append((given, answer.outputs, int(answer.seconds * 1e9 / items)))
        self._items += items
        if self._items >= TOGETHER:
            self._count()

    def failed(self, inputs: Arrays) -> None:
        """Count items that were not answered."""
        self._recorder.error(len(next(iter(inputs.values()))))

    def close(self) -> None:
        """Write what is left."""
        self._count()
        self._recorder.close()

    def _count(self) -> None:
        held, self._held, self._items = self._held, [], 0
        if not held:
            return
        times = [ns for _, _, ns in held]
        inputs = _together([inputs for inputs, _, _ in held])
        self._recorder.add(inputs, _together([outputs for _, outputs, _ in held]), times)

    def _as_given(self, inputs: Arrays) -> dict[str, Any]:
        """Return items as they were before they were prepared: the golden ones were counted so."""
        golden, steps = self._model.golden, self._model.preprocess.arithmetic
        if golden is None:
            return {}
        raw = {}
        for name, value in inputs.items():
            real = value.astype(np.float64) - alongside(steps["offset"], value)
            real = real / alongside(steps["scale"], value)
            raw[name] = _typed(real, golden.inputs[name].dtype)
        return raw


def _typed(real: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return numbers in the type of the golden items, where it holds them."""
    if not np.issubdtype(dtype, np.integer):
        return real.astype(dtype)
    whole, limits = np.rint(real), np.iinfo(dtype)
    fits = whole.size and limits.min <= whole.min() and whole.max() <= limits.max
    return whole.astype(dtype) if fits else whole


def _together(parts: Sequence[Arrays]) -> dict[str, Any]:
    """Return the items of several requests as one array each."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
