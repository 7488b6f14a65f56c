"""Progress of a training, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.models.load import library

Report = Callable[[float, float, str], None]
# How often an epoch is reported, at most.
REPORTS = 20


def progress_callback(model: Any, epochs: int, progress: Report, stage: str = "") -> Any:
    """Build a callback that reports batches as they pass, and of which stage they are, if any."""

    class Shown(library(model).callbacks.Callback):  # type: ignore[misc]
        """Report batches as they pass."""

        epoch, reported = 0, 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch, self.reported = epoch, 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            steps = self.params.get("steps") or 1
            if (batch + 1) * REPORTS // steps > self.reported or not batch:
                self.reported = (batch + 1) * REPORTS // steps
                self._report(batch + 1, steps, logs)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self._report(1, 1, logs)

        def _report(self, step: int, steps: int, logs: Any) -> None:
            figures = ", ".join(f"{k} {float(v):.3f}" for k, v in (logs or {}).items())
            text = f"epoch {self.epoch + 1}/{epochs}" + (f": {figures}" if figures else "")
            text = f"{stage}, {text}" if stage else text
            progress(self.epoch + step / steps, epochs, text)

    return Shown()
