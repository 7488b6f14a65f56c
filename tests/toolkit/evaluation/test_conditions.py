"""What disturbs a measurement is seen, and what does not is not."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.evaluation.conditions import Watch
from edgekit.targets.devices.agent import machine
from edgekit.types import Conditions

ORPHAN = """
import os, time
if os.fork():
    os._exit(0)
end = time.time() + {seconds}
while time.time() < end:
    pass
"""


def quiet(launch: int, count: int = 400) -> npt.NDArray[np.float64]:
    return np.asarray(1e6 * (1 + 0.002 * np.random.default_rng(launch).standard_normal(count)))


def found(*launches: npt.NDArray[np.float64]) -> Conditions:
    watch = Watch(machine.state, None)
    with watch.timed():
        time.sleep(0.01)
    return watch.conditions(launches)


def test_quiet_launches_leave_no_note_on_the_series() -> None:
    seen = found(*(quiet(k) for k in range(5)))
    assert seen.bimodal == 0
    assert seen.drift.value == 0
    assert seen.launch_spread.value is not None
    assert seen.launch_spread.value < 0.01
    assert not [note for note in seen.notes if "launch" in note]


@pytest.mark.parametrize(
    ("planted", "note"),
    [
        (quiet(1) * np.linspace(1, 1.2, 400), "times drifted by"),
        (np.where(np.arange(400) % 3 == 0, 1.5, 1.0) * quiet(1), "1 of 3 launches have two speeds"),
        (quiet(1) * 1.3, "launches differ by 30 %"),
    ],
    ids=["drift", "bimodal", "shift"],
)
def test_a_disturbed_launch_is_said(planted: npt.NDArray[np.float64], note: str) -> None:
    seen = found(quiet(2), planted, quiet(3))
    assert any(note in one for one in seen.notes), seen.notes


def test_another_process_is_seen_when_it_spins() -> None:
    # Not a child of this process, for what is ours does not count.
    subprocess.run([sys.executable, "-c", ORPHAN.format(seconds=1.0)], check=True)
    watch = Watch(machine.state, None)
    with watch.timed():
        time.sleep(0.8)
    seen = watch.conditions([quiet(1)])
    assert seen.others.value is not None
    assert seen.others.value > 0.2
    assert any("other processes" in note for note in seen.notes)


def test_time_of_our_own_runners_is_ours() -> None:
    begin = machine.counters()
    code = "import time; e = time.process_time() + 0.3\nwhile time.process_time() < e: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        child.wait()
    assert machine.counters()["own"] - begin["own"] >= 0.3


def test_throttling_is_counted_where_the_system_tells(
    tmp_path: Path,
) -> None:
    counter = tmp_path / machine.CPUS / "cpu0" / "thermal_throttle" / "core_throttle_count"
    group = tmp_path / machine.GROUP
    for path in (counter, group):
        path.parent.mkdir(parents=True)
    group.write_text("usage_usec 5\nnr_throttled 2\n")
    counter.write_text("7\n")
    watch = Watch(lambda core: machine.state(core, tmp_path), None)
    with watch.timed():
        counter.write_text("9\n")
        group.write_text("usage_usec 9\nnr_throttled 3\n")
    seen = watch.conditions([quiet(1)])
    assert seen.throttled.value == 3
    assert "the processor was throttled 3 times" in seen.notes


def test_throttling_is_unavailable_where_nothing_counts_it(
    tmp_path: Path,
) -> None:
    watch = Watch(lambda core: machine.state(core, tmp_path), None)
    with watch.timed():
        pass
    seen = watch.conditions([quiet(1)])
    assert seen.throttled.how == "unavailable"
    assert seen.throttled.reason


@pytest.mark.parametrize("told", [True, False])
def test_temperature_is_told_before_and_after(tmp_path: Path, told: bool) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)

    def heat(value: str) -> None:
        if told:
            (zone / "type").write_text("cpu-thermal\n")
            (zone / "temp").write_text(value)

    heat("41000\n")
    watch = Watch(lambda core: machine.state(core, tmp_path), None)
    with watch.timed():
        heat("63500\n")
    expected = {"temperature_before_c": 41.0, "temperature_after_c": 63.5}
    assert watch.temperatures() == (expected if told else {})
