"""What disturbs a measurement is seen, and what does not is not."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.evaluation import conditions
from edgekit.evaluation.conditions import Watch, read
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
    watch = Watch(None)
    with watch.timed():
        time.sleep(0.01)
    return watch.found(launches)


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
    watch = Watch(None)
    with watch.timed():
        time.sleep(0.8)
    seen = watch.found([quiet(1)])
    assert seen.others.value is not None
    assert seen.others.value > 0.2
    assert any("other processes" in note for note in seen.notes)


def test_time_of_our_own_runners_is_ours() -> None:
    begin = read()
    code = "import time; e = time.process_time() + 0.3\nwhile time.process_time() < e: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        child.wait()
    assert read().own - begin.own >= 0.3


def test_throttling_is_counted_where_the_system_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = tmp_path / "cpu0" / "thermal_throttle" / "core_throttle_count"
    counter.parent.mkdir(parents=True)
    group = tmp_path / "cpu.stat"
    group.write_text("usage_usec 5\nnr_throttled 2\n")
    counter.write_text("7\n")
    monkeypatch.setattr(conditions, "CPUS", tmp_path)
    monkeypatch.setattr(conditions, "GROUP", group)
    watch = Watch(None)
    with watch.timed():
        counter.write_text("9\n")
        group.write_text("usage_usec 9\nnr_throttled 3\n")
    seen = watch.found([quiet(1)])
    assert seen.throttled.value == 3
    assert "the processor was throttled 3 times" in seen.notes


def test_throttling_is_unavailable_where_nothing_counts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "CPUS", tmp_path)
    monkeypatch.setattr(conditions, "GROUP", tmp_path / "none")
    seen = found(quiet(1))
    assert seen.throttled.how == "unavailable"
    assert seen.throttled.reason
