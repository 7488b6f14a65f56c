"""What a device behind ssh costs, over loopback: a benchmark there, and a model that is pushed.

python benchmarks/devices.py [--rounds 9]

Needs OpenSSH's client and server; the server is the benchmark's own. What is compared takes turns.
Of times the least counts: what other processes take of the machine is not the device's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from latency import CHANNELS, network
from latency import SIZE as IMAGE
from rows import Row

from edgekit.targets.devices import Device, Workplace, open_device, parse
from edgekit.targets.devices.remote.client import Agent
from edgekit.targets.devices.transports.ssh import SshConnection
from edgekit.types import Request, RunnerModel

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))
from ssh_server import SshServer, slow_link  # noqa: E402

SIZE = 64 << 20
LOCAL = "local:litert"
FIRST, REPEATED, RATIO = 1.5, 0.5, 1.3
# What is timed in a benchmark: launches, blocks of each, runs of a block.
LAUNCHES, BLOCKS, RUNS = 3, 8, 50


class Bench:
    """A server with a home folder of its own, and a model."""

    def __init__(self, server: SshServer, folder: Path) -> None:
        self._server, self._folder = server, folder
        (folder / "model.tflite").write_bytes(network())
        np.save(folder / "x.npy", np.zeros((1, IMAGE, IMAGE, CHANNELS), np.float32))
        self.large = folder / "large.bin"
        self.large.write_bytes(os.urandom(SIZE))

    def forget(self) -> None:
        """Leave nothing of edgekit on the device."""
        shutil.rmtree(self._server.home / ".edgekit", ignore_errors=True)

    def bench(self, name: str) -> float:
        """Seconds of a device's benchmark: connection, facts, launches, and its end."""
        begin = time.perf_counter()
        log = self._folder / "log.txt"
        with closing(open_device(parse(name), Workplace(self._folder / "requests", log))) as device:
            device.facts()
            for _ in range(LAUNCHES):
                with closing(device.open(self._request(device))) as session:
                    session.ready()
                    for _ in range(BLOCKS):
                        device.state(device.core())
                        session.block("model", 0.0, RUNS)
        return time.perf_counter() - begin

    def remote(self) -> float:
        """That of the device behind the server."""
        return self.bench(self._server.address("#litert"))

    def _request(self, device: Device) -> Request:
        return Request(
            mode="bench",
            models=(RunnerModel("model", self._folder / "model.tflite"),),
            inputs={"x": self._folder / "x.npy"},
            runtime="litert",
            threads=1,
            core=device.core(),
        )

    def push(self) -> float:
        """Seconds of a connection, and of a file that is pushed over it."""
        begin = time.perf_counter()
        with closing(Agent(SshConnection("ssh://board"), self._folder / "log.txt")) as agent:
            agent.push([self.large])
        return time.perf_counter() - begin

    def copy(self) -> float:
        """Seconds of ``scp`` of the same file."""
        begin = time.perf_counter()
        to = f"board:{self._server.home}/copied"
        config = ["-F", str(self._server.config)]
        subprocess.run(["scp", "-q", *config, str(self.large), to], check=True)
        taken = time.perf_counter() - begin
        (self._server.home / "copied").unlink()
        return taken

    def carried(self, push: bool) -> int:
        """Bytes to the device of a connection, with or without a push over it."""
        with slow_link(self._server.port, 1 << 30) as link:
            self._server.configure(host="board", Port=link.port, HostKeyAlias=self._server.alias)
            with closing(Agent(SshConnection("ssh://board"), self._folder / "log.txt")) as agent:
                if push:
                    agent.push([self.large])
            self._server.configure()
            return link.carried


def rows(rounds: int = 9) -> Iterator[Row]:
    """Overheads, the push against scp, and what an unchanged push sends."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with SshServer(folder / "server") as server:
            os.environ.update(server.environment)
            bench = Bench(server, folder)
            yield from _overhead(bench, rounds)
            yield from _pushes(bench, rounds)


def _overhead(bench: Bench, rounds: int) -> Iterator[Row]:
    bench.bench(LOCAL)
    local, first, repeated = [], [], []
    for _ in range(rounds):
        bench.forget()
        first.append(bench.remote())
        local.append(bench.bench(LOCAL))
        repeated.append(bench.remote())
    own = min(local)
    for times, bar, which in ((first, FIRST, "first"), (repeated, REPEATED, "repeated")):
        yield Row(
            f"a benchmark of {LAUNCHES} launches on ssh over loopback, {which} run, over the same"
            f" on this host (the least of {rounds}: {min(times):.2f} s and {own:.2f} s)",
            f"under {bar} s",
            f"{min(times) - own:.2f} s",
            min(times) - own < bar,
        )


def _pushes(bench: Bench, rounds: int) -> Iterator[Row]:
    pushed, copied = [], []
    for number in range(rounds):
        bench.forget()
        for one, times in ((bench.push, pushed), (bench.copy, copied))[:: 1 if number % 2 else -1]:
            times.append(one())
    ratio = statistics.median(ours / scp for ours, scp in zip(pushed, copied, strict=True))
    yield Row(
        f"64 MiB pushed to a device, connection included (the least of {rounds}:"
        f" {min(pushed):.2f} s; `scp` {min(copied):.2f} s)",
        f"at most {RATIO} x scp, median of the rounds",
        f"{ratio:.2f} x",
        ratio <= RATIO,
    )
    more = bench.carried(push=True) - bench.carried(push=False)
    yield Row(
        "bytes that go to the device when the file is there already, over a connection that pushes"
        " nothing",
        "nothing of the file: under 0.1 %",
        f"{more:,}",
        more < SIZE / 1000,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    kept = True
    for row in rows(parser.parse_args().rounds):
        kept = kept and row.kept
        print(f"{row.what}\n  bar: {row.bar}\n  measured: {row.measured}", flush=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
