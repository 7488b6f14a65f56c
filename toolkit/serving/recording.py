"""What a server lets `edgekit monitor` know: statistics of what it was given and answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.serving.runner import Answer
from edgekit.serving.source import Arrays, Servable
from edgekit.targets.runners.python_runner import alongside
from edgekit.targets.runners.recorder import Recorder

# Items that are counted at once: one by one they would take as long as a small model does.
TOGETHER = 64


class Recording:
    """Counts the items of one version into the records of a folder, some at a time."""

    def __init__(self, model: Servable, folder: Path) -> None:
        self._model = model
        self._recorder = Recorder(model.monitoring or {}, folder, device="edgekit serve")
        self._held: list[tuple[dict[str, Any], Arrays, int]] = []
        self._items = 0

    @property
    def problem(self) -> str:
        """Why the newest records could not be written yet; empty where they were."""
        return str(self._recorder.problem)

    def answered(self, inputs: Arrays, raw: bool, answer: Answer) -> None:
        """Count items and what was answered."""
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
        counts = [len(next(iter(inputs.values()))) for inputs, _, _ in held]
        times = [ns for (_, _, ns), count in zip(held, counts, strict=True) for _ in range(count)]
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
            whole = np.issubdtype(golden.inputs[name].dtype, np.integer)
            raw[name] = np.rint(real) if whole else real
        return raw


def _together(parts: Sequence[Arrays]) -> dict[str, Any]:
    """Return the items of several requests as one array each."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
