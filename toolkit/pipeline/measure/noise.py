"""The smallest difference that this host can see now, before anything is compared."""

from __future__ import annotations

from typing import Protocol

from edgekit.errors import DeviceError, RunnerError
from edgekit.evaluation.latency import TimingInputs, time_side_by_side
from edgekit.pipeline.measure.bench_inputs import Feed
from edgekit.pipeline.measure.loaded_model import LoadedModel
from edgekit.pipeline.run import Run
from edgekit.types import Measurement


class Calibratable(Protocol):
    """A row that may be measured against itself."""

    @property
    def subject(self) -> LoadedModel | None: ...
    @property
    def feed(self) -> Feed | None: ...


def calibrate_noise(run: Run, entries: tuple[Calibratable, ...]) -> Measurement:
    """Time the first model that is there against itself over fresh launches (A/A).

    Not where times are estimates: no budget is judged there, so that the noise does not matter.
    """
    reason = "there is no model to time"
    for entry in entries:
        if entry.subject is None or entry.feed is None:
            continue
        feed = entry.feed
        if entry.subject.device.estimates():
            reason = "the times of every device are estimates"
            continue
        try:
            timings = time_side_by_side(
                [entry.subject.timed(feed.inputs)],
                TimingInputs(feed.inputs, feed.index, feed.preprocess),
                local=run.device,
                progress=run.progress.update,
            )
            return timings.noise or Measurement.unavailable("1", reason)
        except (RunnerError, DeviceError) as error:
            return Measurement.unavailable("1", f"the model could not be timed: {error.message}")
    return Measurement.unavailable("1", reason)
