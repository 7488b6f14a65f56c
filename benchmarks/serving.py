"""`edgekit serve` under load on loopback: throughput against the runner alone, latency, reloads.

The client is on the same machine, and takes its share of it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from rows import Row, seconds

from edgekit.targets.devices.local import LocalDevice
from edgekit.types import Request, RunnerModel

EDGEKIT = Path(sys.executable).with_name("edgekit")
# As many connections as keep a runner busy while the server reads and writes.
CONNECTIONS, SECONDS, ROUNDS, RELOADS = 4, 3.0, 5, 10
SIDE, ITEMS = 160, 64
MOST = 1.3
MAKE = """
import sys
sys.path.insert(0, sys.argv[1])
import networks
networks.mobilenet(int(sys.argv[3])).save(sys.argv[2])
"""


@dataclass
class Load:
    """What a load had for answers: seconds of each, and how many were none."""

    seconds: list[float] = field(default_factory=list)
    lost: int = 0

    def percentile(self, share: float) -> float:
        """Milliseconds within which that share of them came."""
        return float(np.percentile(self.seconds, share)) * 1e3


@contextlib.contextmanager
def server(model: Path) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """Serve a model; yield the process, the port and the model's name."""
    command = [EDGEKIT, "serve", model, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = str(json.loads(process.stdout.readline())["url"])
        yield process, int(url.split(":")[2].split("/")[0]), url.rpartition("/")[2]
        process.terminate()


def request(name: str, items: np.ndarray, binary: bool) -> bytes:
    """Return a request with items, as bytes of HTTP."""
    told: object = {"instances": items.tolist()}
    if binary:
        file = io.BytesIO()
        np.save(file, items)
        told = {"inputs": {"b64": base64.b64encode(file.getvalue()).decode()}}
    body = json.dumps(told).encode()
    head = f"POST /v1/models/{name}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def loaded(port: int, requests: list[bytes], over: float, pause: float = 0.0) -> Load:
    """Send requests for so many seconds over several connections, each after the other's answer.

    With ``pause`` each begins so many seconds after the one before, or at once where that is late.
    """
    found = Load()

    def ask(at: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            due = time.perf_counter()
            while time.perf_counter() < end:
                if pause:
                    due = max(due + pause, time.perf_counter() - pause)
                    time.sleep(max(0.0, due - time.perf_counter()))
                begin = time.perf_counter()
                at += 1
                try:
                    connection.sendall(requests[at % len(requests)])
                    whole = answered(connection)
                except OSError:
                    whole = False
                if not whole:
                    found.lost += 1
                    return
                found.seconds.append(time.perf_counter() - begin)

    end = time.perf_counter() + over
    threads = [threading.Thread(target=ask, args=(k,)) for k in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def answered(connection: socket.socket) -> bool:
    """Read one answer; whether it is a 200, and whole."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(1 << 16)
        if not piece:
            return False
        read += piece
    head, _, body = read.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(1 << 16)
    return b" 200 " in head[:16]


def alone(model: Path, name: str, items: np.ndarray, folder: Path, count: int) -> float:
    """Items a second of the runner by itself, at batch 1 on one thread."""
    np.save(folder / "x.npy", items)
    np.save(folder / "index.npy", np.arange(count) % len(items))
    asked = Request(
        "evaluate",
        (RunnerModel("m", model, folder / "out"),),
        inputs={name: folder / "x.npy"},
        index=folder / "index.npy",
        runtime="litert",
        batch=1,
        processes=1,
        threads=1,
    )
    told = LocalDevice(folder / "requests", folder / "log.txt").run(asked)["models"]["m"]
    return told["items"] / told["seconds"]


def processor(pid: int) -> float:
    """Seconds that a process has computed."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def rows() -> Iterator[Row]:
    """Measure, one row at a time."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = mobilenet(folder)
        items = np.random.default_rng(0).integers(0, 256, (ITEMS, SIDE, SIDE, 3), np.uint8)
        with server(model) as (process, port, name):
            requests = [request(name, items[k : k + 1], True) for k in range(ITEMS)]
            yield from _throughput(model, items, requests, (process, port), folder)
            yield _reloads(process, port, requests)
        yield from _small(folder)


def mobilenet(folder: Path) -> Path:
    """MobileNetV2 as a float ``.tflite``."""
    here = Path(__file__).resolve().parent
    seconds([sys.executable, "-c", MAKE, here, folder / "network.keras", SIDE])
    words = ["--precision", "float32", "--no-evaluate", "--output", folder]
    seconds([EDGEKIT, "convert", folder / "network.keras", *words])
    return folder / "build" / "network" / "float32" / "model.tflite"


def _throughput(
    model: Path,
    items: np.ndarray,
    requests: list[bytes],
    served_by: tuple[subprocess.Popen[str], int],
    folder: Path,
) -> Iterator[Row]:
    process, port = served_by
    what = f"MobileNetV2 at {SIDE} x {SIDE}, one item a request as .npy"
    (name,) = _inputs(model)
    ratios, rates, full, taken = [], [], Load(), 0.0
    for _ in range(ROUNDS):
        before = alone(model, name, items, folder, 400)
        begin = processor(process.pid)
        found = loaded(port, requests, SECONDS)
        taken += processor(process.pid) - begin
        after = alone(model, name, items, folder, 400)
        served = len(found.seconds) / SECONDS
        ratios.append((before + after) / 2 / served)
        rates.append(served)
        full.seconds += found.seconds
        full.lost += found.lost
    ratio, rate = statistics.median(ratios), statistics.median(rates)
    spread = f"{min(ratios):.2f} to {max(ratios):.2f} in {ROUNDS} rounds"
    yield Row(
        f"`edgekit serve`, {what}: the runner alone at batch 1 over what is served",
        f"at most {MOST}",
        f"{ratio:.2f} ({spread}; {rate:.0f} a second served)",
        ratio <= MOST,
    )
    each = taken / len(full.seconds) * 1e3
    yield Row(
        f"`edgekit serve`, {what}: processor time of the server, without its runner's",
        "stated",
        f"{each:.2f} ms a request",
        True,
    )
    half = loaded(port, requests, 3 * SECONDS, pause=2 * CONNECTIONS / rate)
    for load, named in ((full, f"at {CONNECTIONS} connections"), (half, "at half the load")):
        yield Row(
            f"`edgekit serve`, {what}: from request to answer {named}",
            "stated",
            f"p50 {load.percentile(50):.1f} ms, p99 {load.percentile(99):.1f} ms",
            not load.lost,
        )


def _reloads(process: subprocess.Popen[str], port: int, requests: list[bytes]) -> Row:
    """Reload again and again under load; no request may go without its answer."""
    loads: list[Load] = []
    over = RELOADS * 1.5
    thread = threading.Thread(target=lambda: loads.append(loaded(port, requests, over)))
    thread.start()
    assert process.stdout is not None
    done, end = 0, time.perf_counter() + over - 1
    while done < RELOADS and time.perf_counter() < end:
        process.send_signal(signal.SIGHUP)
        process.stdout.readline()
        done += 1
    thread.join()
    (load,) = loads
    return Row(
        f"requests lost in {done} reloads under load",
        "0",
        f"{load.lost} of {len(load.seconds) + load.lost:,}",
        not load.lost and done > 0,
    )


def _small(folder: Path) -> Iterator[Row]:
    """The least model there is: what is left is the server's own."""
    from edgekit.targets.runners.probe import probe_model

    model = folder / "adder.tflite"
    model.write_bytes(probe_model())
    items = np.random.default_rng(1).random((ITEMS, 4)).round(3)
    with server(model) as (_, port, name):
        for count in (1, 32):
            requests = [request(name, items[:count], False)]
            found = [loaded(port, requests, SECONDS) for _ in range(ROUNDS)]
            rate = statistics.median(len(one.seconds) / SECONDS for one in found)
            yield Row(
                f"`edgekit serve`, an addition of four numbers, {count} items a request in JSON",
                "stated",
                f"{rate:,.0f} requests and {rate * count:,.0f} items a second",
                not any(one.lost for one in found),
            )


def _inputs(model: Path) -> list[str]:
    from edgekit.converters import flatbuffer

    return list(flatbuffer.read(model).inputs_of("serving_default"))


if __name__ == "__main__":
    for row in rows():
        print(row, flush=True)
