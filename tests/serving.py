"""A real `edgekit serve` on a free port of this machine, for tests that are its clients."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.contracts.target import doubler
from edgekit.targets import catalog
from edgekit.targets.bundles import Answers, pack
from edgekit.targets.bundles.monitoring import layout_of, statistics_of, table_of

# Ends of a runner that certain first values of an item bring about.
PLANTED = Path(__file__).with_name("serving_faults.py")
CRASH, HANG, NAN, SLOW = 1013.0, 1014.0, 1015.0, 1016.0


def doubler_bundle(folder: Path, target: str = "linux-x86_64", version: str = "1.2.3") -> Path:
    """Pack the doubler, whose golden items are called d."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = doubler(folder, ("a", "b", "c", "d"))
    golden = dataclasses.replace(contents.golden, answers=Answers("y", ("d", "d", "d")))
    contents = dataclasses.replace(
        contents, golden=golden, version=version, monitoring=statistics(version)
    )
    path = folder / f"{target}-{version}.tar.gz"
    pack(catalog.load(target), contents, path)
    return path


def statistics(version: str) -> Any:
    """The statistics of many raw items, of which each is prepared, then doubled."""
    raw = raw_items(3000, seed=1)
    x, y = layout_of("x", "input", (4,)), layout_of("y", "output", (4,))
    tables = [(x, table_of(x, raw.astype(np.float64))), (y, table_of(y, 2 * (0.5 * raw + 1)))]
    named = {"name": "doubler", "version": version, "model": "0" * 64}
    return statistics_of(named, tables, None, None)


def raw_items(count: int, seed: int) -> Any:
    """Items whose four values are drawn from a normal distribution."""
    return np.random.default_rng(seed).normal(size=(count, 4)).round(3)


@dataclasses.dataclass
class Server:
    """A server that runs."""

    process: subprocess.Popen[str]
    told: Mapping[str, Any]

    @property
    def port(self) -> int:
        return int(self.told["url"].split(":")[2].split("/")[0])

    @property
    def model(self) -> str:
        return str(self.told["url"].rpartition("/")[2])

    def ask(
        self, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return the status, and what JSON or text is answered."""
        status, _, told = self.exchange(path, body, headers)
        return status, told

    def exchange(
        self, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request("GET" if data is None else "POST", path, data, dict(headers or {}))
            answer = connection.getresponse()
            text = answer.read().decode()
            kind = answer.headers.get("content-type", "")
            told = json.loads(text) if kind == "application/json" else text
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, told

    def predict(self, *items: Any, **fields: Any) -> tuple[int, Any]:
        return self.ask(f"/v1/models/{self.model}:predict", {"instances": items, **fields})

    def told_again(self) -> Mapping[str, Any]:
        """Wait for what it says after a reload."""
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(30)


@contextlib.contextmanager
def serving(cwd: Path, *words: object, **environment: str) -> Iterator[Server]:
    """Yield a server once it is ready; what is left of it is killed."""
    command = [sys.executable, str(PLANTED), "serve", *map(str, words), "--json", "--port", "0"]
    with (cwd / "stderr.txt").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "NO_COLOR": "1", **environment},
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (cwd / "stderr.txt").read_text()
        yield Server(process, json.loads(line))
    finally:
        process.kill()
        process.communicate()
