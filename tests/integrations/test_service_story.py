"""The whole way from the shell: trained, promoted, served beside another, drifted, rolled back."""

from __future__ import annotations

import json
import re
import runpy
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from conftest import EDGEKIT, edgekit
from edgekit.targets import catalog

pytest.importorskip("uvicorn", reason="it is in the extra 'serve'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(catalog.host() != "linux-x86_64", reason="the story ships to linux-x86_64"),
]
MODEL = """
import keras

def build():
    return keras.Sequential([
        keras.Input((6,), name="x"), keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(3, activation="softmax"),
    ])
"""
DATA = """
import numpy as np

def items(count, seed):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, count)
    centres = np.random.default_rng(7).normal(size=(3, 6)) * 1.5
    return (centres[labels] + draw.normal(size=(count, 6))).astype("float32"), labels

def train(): return items(1500, 0)
def test(): return items(4000, 1)
"""
# Latency is held against the champion's file, timed beside it; a busy host tells a factor of two.
PROJECT = """
schema = 1

[model]
name = "story"
version = "0.1.0"
source = "model.py:build"

[data]
train = "data.py:train"
evaluate = "data.py:test"

[train]
epochs = {epochs}
learning_rate = {rate}

[convert]
precisions = ["int8"]

[targets.linux-x86_64]

[lock]
max_slowdown = "100%"
"""
REQUESTS = 600


def version(folder: Path, epochs: int, rate: float) -> subprocess.CompletedProcess[str]:
    """Train with other settings, register what comes of it, and ask for it to be champion."""
    (folder / "edgekit.toml").write_text(PROJECT.format(epochs=epochs, rate=rate))
    done = edgekit("convert", "-q", cwd=folder)
    assert done.returncode == 0, done.stderr + done.stdout
    added = re.match(r"story:(\d+): registered", edgekit("registry", "add", cwd=folder).stdout)
    assert added
    return edgekit("promote", added[1], cwd=folder)


def champion(folder: Path) -> int:
    found = re.search(r"^ +(\d+) .*<- .*champion", edgekit("registry", cwd=folder).stdout, re.M)
    assert found
    return int(found[1])


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    """Serve until the block ends; the address of the model."""
    process = subprocess.Popen(
        [EDGEKIT, "serve", *options, "--port", "0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "")
        yield next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def asked(url: str, body: Any = None, **headers: str) -> tuple[Any, str]:
    """What the server answers, and the number of the request."""
    there = urlsplit(url)
    connection = HTTPConnection(there.netloc, timeout=30)
    how = "GET" if body is None else "POST"
    connection.request(how, there.path, json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status == 200, content
    return json.loads(content), answer.headers.get("X-Request-Id", "")


def devices(folder: Path, url: str, seed: int, moved: float) -> Counter[str]:
    """Ask as many devices would, and tell what was right; how many each version answered."""
    x, y = runpy.run_path(str(folder / "data.py"))["items"](REQUESTS, seed)
    arms: Counter[str] = Counter()
    for number, (item, label) in enumerate(zip(x + np.float32(moved), y, strict=True)):
        body = {"instances": [item.tolist()]}
        answer, request = asked(f"{url}:predict", body, **{"X-Split-Key": f"{seed} {number}"})
        right = int(np.argmax(answer["predictions"][0])) == int(label)
        judged, _ = asked(f"{url}/feedback", {"id": request, "correct": right})
        arms[judged["arm"]] += 1
    return arms


def test_from_training_to_rollback(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "data.py").write_text(DATA)
    first = version(tmp_path, 4, 0.001)
    assert first.returncode == 0, first.stdout
    assert champion(tmp_path) == 1

    worse = version(tmp_path, 1, 0.00001)
    assert worse.returncode == 1
    assert "FAILED: linux-x86_64 int8 champion accuracy" in worse.stdout
    assert champion(tmp_path) == 1

    better = version(tmp_path, 12, 0.001)
    assert better.returncode == 0, better.stdout
    assert "its file timed beside this one in the same launches" in better.stdout
    assert champion(tmp_path) == 3

    both = ("story@champion", "--split", "champion=90,story:1=10", "--record")
    with serving(tmp_path, *both, "well") as url:
        arms = devices(tmp_path, url, 5, 0.0)
        results, _ = asked(f"{url}/results")
    # 60 of 600 are expected, give or take four deviations.
    assert 30 <= arms["1"] <= 90
    assert sum(arms.values()) == REQUESTS == sum(arm["right"]["n"] for arm in results["arms"])
    with serving(tmp_path, *both, "moved") as url:
        devices(tmp_path, url, 6, 1.5)

    bundle = next((tmp_path / "registry" / "story" / "3" / "targets").rglob("*.tar.gz"))
    well = edgekit("monitor", bundle, "well/3", cwd=tmp_path)
    assert well.returncode == 0, well.stdout
    alarm = edgekit("monitor", bundle, "moved/3", "-q", cwd=tmp_path)
    assert alarm.returncode == 1
    assert "x[0]" in alarm.stdout

    back = edgekit("registry", "rollback", "--note", "drift in the field", cwd=tmp_path)
    assert back.returncode == 0, back.stderr
    assert champion(tmp_path) == 1
