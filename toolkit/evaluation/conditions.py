"""What the machine does while something is timed: other load, frequency, throttling, drift, modes.

Counters are read at both ends of every timed part, frequency and temperature between its blocks:
those of the machine where the runner runs, as ``agent.machine.state`` gives them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edgekit.statistics import series
from edgekit.types import Conditions, Json, Measurement

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
Reading = Mapping[str, Json]
# What a device's ``state`` gives, by the core that is timed.
State = Callable[[int | None], Reading]


class Watch:
    """Looks at the machine during the timed parts of one model's launches.

    ``state`` tells the machine's, ``core`` is the processor that the runner is pinned to, if it is.
    """

    def __init__(self, state: State, core: int | None) -> None:
        self._state, self._core = state, core
        self._parts: list[tuple[Reading, Reading]] = []
        self._states = [state(core)]

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Watch what is timed inside; its processes must live at both ends."""
        begin = self._state(self._core)
        yield
        self._parts.append((begin, self._state(self._core)))

    def record(self) -> None:
        """Record what frequency and temperature are now, between two blocks."""
        self._states.append(self._state(self._core))

    def temperatures(self) -> Mapping[str, Json]:
        """Return ``temperature_before_c`` and ``temperature_after_c`` all that was timed, where
        told.
        """
        ends = {"before": self._states[0]}
        if self._parts:
            ends["after"] = self._parts[-1][1]
        return {
            f"temperature_{end}_c": state["temperature_c"]
            for end, state in ends.items()
            if "temperature_c" in state
        }

    def conditions(self, launches: Sequence[Samples]) -> Conditions:
        """Summarize the conditions of timed launches (nanoseconds of each run, [n] a launch)."""
        drifts = [series.drift(_thinned(runs)) for runs in launches]
        real = [abs(runs.slope_share) for runs in drifts if runs.p < DRIFT_P]
        medians = [float(np.median(runs)) for runs in launches]
        spread = (max(medians) - min(medians)) / float(np.median(medians))
        conditions = Conditions(
            others=self._share("busy"),
            stolen=self._share("stolen"),
            load_average=self._reading("load1", "1", lambda values: values[0]),
            frequency=self._reading("frequency_hz", "1", lambda f: (max(f) - min(f)) / max(f)),
            temperature=self._reading("temperature_c", "°C", max),
            throttled=self._throttled(),
            drift=Measurement(max(real, default=0.0), "1", n=len(launches), tool="Mann-Kendall"),
            launch_spread=Measurement(spread, "1", n=len(launches)),
            bimodal=sum(series.bimodal(_thinned(runs)) for runs in launches),
            notes=(),
        )
        return _noted(conditions, len(launches))

    def _share(self, counter: str) -> Measurement:
        """Return processors busy with others, or stolen from this machine, over all timed parts."""
        known = [(begin, end) for begin, end in self._parts if counter in begin and counter in end]
        if self._parts and not known:
            return Measurement.unavailable("1", "the system counts no processor time")
        lasted = sum(end["at"] - begin["at"] for begin, end in known)
        if lasted <= 0:
            return Measurement.unavailable("1", "too little time was measured")
        spent = sum(end[counter] - begin[counter] for begin, end in known)
        if counter == "busy":
            spent -= sum(end["own"] - begin["own"] for begin, end in known)
        return Measurement(max(0.0, spent / lasted), "1", tool="/proc/stat")

    def _reading(self, name: str, unit: str, figure: Callable[[list[float]], float]) -> Measurement:
        """Summarize a quantity over all times that the system reported it."""
        readings = [float(state[name]) for state in self._states if name in state]
        if not readings:
            return Measurement.unavailable(unit, reason(self._states[0], name))
        return Measurement(figure(readings), unit, n=len(readings))

    def _throttled(self) -> Measurement:
        counts = [
            end["throttled"] - begin["throttled"]
            for begin, end in self._parts
            if "throttled" in end and "throttled" in begin
        ]
        if not counts:
            return Measurement.unavailable("1", "this system counts no throttling")
        return Measurement(float(sum(counts)), "1", n=len(counts))


def reason(state: Mapping[str, Json], name: str) -> str:
    """Explain why a quantity is missing from a state."""
    return str(state["unavailable"].get(name, "the system does not tell it"))


def _thinned(samples: Samples) -> Samples:
    return samples[:: max(1, -(-len(samples) // LONGEST))]


def _noted(conditions: Conditions, launches: int) -> Conditions:
    """Return the conditions with what is worth saying of them."""
    rows = (
        (conditions.others, BUSY, 1, "other processes kept {:.2f} processors busy"),
        (conditions.stolen, STOLEN, 1, "other virtual machines took {:.2f} processors"),
        (conditions.throttled, 0, 1, "the processor was throttled {:.0f} times"),
        (conditions.frequency, FREQUENCY, 100, "the processor's frequency changed by {:.0f} %"),
        (conditions.drift, DRIFT, 100, "times drifted by {:.1f} % within a launch"),
        (conditions.launch_spread, SPREAD, 100, "launches differ by {:.0f} %"),
    )
    notes = [
        text.format(scale * measured.value)
        for measured, limit, scale, text in rows
        if measured.value is not None and measured.value > limit
    ]
    if conditions.bimodal:
        notes.append(f"{conditions.bimodal} of {launches} launches have two speeds")
    return replace(conditions, notes=tuple(notes))
