"""An Android device with Python, through the real adb client: the contract of every device."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from adb_daemon import AdbDaemon, adb_server, attached, needs_adb

from edgekit.contracts.device import DeviceContract
from edgekit.contracts.runner import Bench
from edgekit.targets.devices.remote.client import Agent
from edgekit.targets.devices.transports import adb
from edgekit.targets.runners import RUNNER_FILES

MAIN = 'if __name__ == "__main__":\n'
pytestmark = [needs_adb, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with adb_server(tmp_path_factory.mktemp("adb")):
        yield


class TestAdbDevice(DeviceContract):
    phone: AdbDaemon

    @pytest.fixture(autouse=True)
    def attach(self, server: None, tmp_path: Path) -> Iterator[None]:
        with attached(tmp_path) as self.phone:
            # What Termux has: the packages of this installation.
            self.phone.install("python3", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
            yield

    def address(self, folder: Path) -> str:
        return f"adb://{self.phone.serial}{folder}/on the phone#litert"

    def test_evaluation_goes_on_where_the_connection_dropped(
        self, tmp_path: Path, bench: Bench
    ) -> None:
        slow = tmp_path / "slow_runner.py"
        pause = "import time; time.sleep(1.5)\n"
        slow.write_text(RUNNER_FILES["litert"].read_text().replace(MAIN, f"{MAIN}    {pause}"))
        device = self.transport(tmp_path / "work", None, {"litert": slow})
        device.facts()
        dropping = threading.Timer(1.0, self.phone.drop)
        dropping.start()
        result = device.run(bench.asked("evaluate"))
        assert not dropping.is_alive()
        device.close()
        assert result["models"]["doubler"]["items"] == 7
        assert np.array_equal(np.load(bench.outputs / "y.npy"), 2 * bench.x)

    def test_push_goes_on_where_the_connection_dropped(self, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(bytes(range(256)) * 40_000)
        agent = Agent(adb.reached(f"adb://{self.phone.serial}{tmp_path}/there"), tmp_path / "log")
        self.phone.faults.drop_after = 5_000_000
        there = agent.push([source])
        agent.close()
        assert self.phone.faults.drop_after is None
        assert Path(next(iter(there.values()))).read_bytes() == source.read_bytes()
