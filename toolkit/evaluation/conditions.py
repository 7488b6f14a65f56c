"""What the machine does while something is timed: other load, frequency, throttling, drift, modes.

Counters are read at both ends of every timed part, frequency and temperature between its blocks.
Sources of the counters: proc(5) on ``/proc/stat``, and the kernel's documentation of
``thermal_throttle`` in sysfs and of ``cpu.stat`` in "Control Group v2".
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil

from edgekit.statistics import series
from edgekit.targets.devices.facts import conditions_now
from edgekit.types import Conditions, Json, Measurement

CPUS = Path("/sys/devices/system/cpu")
GROUP = Path("/sys/fs/cgroup/cpu.stat")
# From where on a disturbance is worth a word: processors, and shares of the median.
BUSY = 0.1
STOLEN = 0.02
FREQUENCY = 0.05
DRIFT = 0.02
DRIFT_P = 0.01
SPREAD = 0.05
# So many runs show what there is of drift and modes, evenly taken from a longer series.
LONGEST = 20_000

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """The counters at one moment: seconds, and events."""

    at: float
    busy: float
    own: float
    stolen: float
    throttled: int | None


class Watch:
    """Looks at the machine during the timed parts of one model's launches.

    ``core`` is the processor that the runner is pinned to, if it is.
    """

    def __init__(self, core: int | None) -> None:
        self._core = core
        self._parts: list[tuple[Reading, Reading]] = []
        self._states = [conditions_now(core=core)]

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Around what is timed; its processes must live at both ends."""
        begin = read()
        yield
        self._parts.append((begin, read()))

    def look(self) -> None:
        """Between two blocks: what frequency and temperature are now."""
        self._states.append(conditions_now(core=self._core))

    def found(self, launches: Sequence[Samples]) -> Conditions:
        """What was seen, with the timed runs of each launch (nanoseconds, [n] each)."""
        drifts = [series.drift(_thinned(one)) for one in launches]
        real = [abs(one.slope_share) for one in drifts if one.p < DRIFT_P]
        medians = [float(np.median(one)) for one in launches]
        spread = (max(medians) - min(medians)) / float(np.median(medians))
        conditions = Conditions(
            others=self._share("busy"),
            stolen=self._share("stolen"),
            load_average=self._told("load1", "1", lambda found: found[0]),
            frequency=self._told("frequency_hz", "1", lambda f: (max(f) - min(f)) / max(f)),
            temperature=self._told("temperature_c", "°C", max),
            throttled=self._throttled(),
            drift=Measurement(max(real, default=0.0), "1", n=len(launches), tool="Mann-Kendall"),
            launch_spread=Measurement(spread, "1", n=len(launches)),
            bimodal=sum(series.bimodal(_thinned(one)) for one in launches),
            notes=(),
        )
        return _noted(conditions, len(launches))

    def _share(self, what: str) -> Measurement:
        """Processors busy with others, or stolen from this machine, over all timed parts."""
        lasted = sum(end.at - begin.at for begin, end in self._parts)
        if lasted <= 0:
            return Measurement.unavailable("1", "nothing was timed for long enough")
        spent = 0.0
        for begin, end in self._parts:
            if what == "stolen":
                spent += end.stolen - begin.stolen
            else:
                spent += (end.busy - begin.busy) - (end.own - begin.own)
        return Measurement(max(0.0, spent / lasted), "1", tool="/proc/stat")

    def _told(self, name: str, unit: str, figure: Callable[[list[float]], float]) -> Measurement:
        """A figure of what the system told of something each time it was asked."""
        found = [float(state[name]) for state in self._states if name in state]
        if not found:
            return Measurement.unavailable(unit, reason(self._states[0], name))
        return Measurement(figure(found), unit, n=len(found))

    def _throttled(self) -> Measurement:
        counts = [
            end.throttled - begin.throttled
            for begin, end in self._parts
            if end.throttled is not None and begin.throttled is not None
        ]
        if not counts:
            return Measurement.unavailable("1", "this system counts no throttling")
        return Measurement(float(sum(counts)), "1", n=len(counts))


def read() -> Reading:
    """The counters now."""
    times = psutil.cpu_times()
    # What a guest runs counts as user time already.
    idle = times.idle + getattr(times, "iowait", 0.0)
    everything = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    stolen = getattr(times, "steal", 0.0)
    return Reading(time.monotonic(), everything - idle - stolen, _own(), stolen, throttle_count())


def _own() -> float:
    """Processor seconds of this process and all its descendants, ended ones too."""
    spent = 0.0
    with contextlib.suppress(psutil.Error):
        this = psutil.Process()
        for one in [this, *this.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                spent += sum(one.cpu_times()[:4])
    return spent


def throttle_count() -> int | None:
    """Thermal events of all cores, and periods in which the control group was held back."""
    counts = []
    for path in CPUS.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"):
        with contextlib.suppress(OSError, ValueError):
            counts.append(int(path.read_text()))
    with contextlib.suppress(OSError, ValueError):
        rows = dict(line.split() for line in GROUP.read_text().splitlines())
        if "nr_throttled" in rows:
            counts.append(int(rows["nr_throttled"]))
    return sum(counts) if counts else None


def reason(state: Mapping[str, Json], name: str) -> str:
    """Why :func:`conditions_now` does not tell something."""
    return str(state["unavailable"].get(name, "the system does not tell it"))


def _thinned(samples: Samples) -> Samples:
    return samples[:: max(1, -(-len(samples) // LONGEST))]


def _noted(found: Conditions, launches: int) -> Conditions:
    """The conditions with what is worth saying of them."""
    rows = (
        (found.others, BUSY, 1, "other processes kept {:.2f} processors busy"),
        (found.stolen, STOLEN, 1, "other guests of the host took {:.2f} processors"),
        (found.throttled, 0, 1, "the processor was throttled {:.0f} times"),
        (found.frequency, FREQUENCY, 100, "the processor's frequency changed by {:.0f} %"),
        (found.drift, DRIFT, 100, "times drifted by {:.1f} % within a launch"),
        (found.launch_spread, SPREAD, 100, "launches differ by {:.0f} %"),
    )
    notes = [
        text.format(scale * one.value)
        for one, limit, scale, text in rows
        if one.value is not None and one.value > limit
    ]
    if found.bimodal:
        notes.append(f"{found.bimodal} of {launches} launches have two speeds")
    return replace(found, notes=tuple(notes))
