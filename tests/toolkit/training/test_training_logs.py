"""TensorBoard while a training goes on, and the logs of past ones: listed, pruned."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from forking import heed_interrupts
from test_alarms import DATA, MODEL

from conftest import EDGEKIT, edgekit


def logged(folder: Path, model: str, name: str, modified: float) -> Path:
    log = folder / "build" / model / "logs" / name
    (log / "train").mkdir(parents=True)
    for path in (log / "events.out.tfevents.1", log / "train" / "events.out.tfevents.2"):
        path.write_bytes(b"0" * 10)
        os.utime(path, (modified, modified))
    return log


def test_prune_keeps_the_newest_of_each_model_and_what_is_not_ours(tmp_path: Path) -> None:
    old, new, newest = (logged(tmp_path, "digits", f"train-0000000{k}", 1e9 + k) for k in range(3))
    other = logged(tmp_path, "other", "train-0000000a", 1e9)
    mine = logged(tmp_path, "digits", "mine", 1e8)
    listed = json.loads(edgekit("logs", "--json", cwd=tmp_path).stdout)["logs"]
    assert [Path(row["path"]) for row in listed] == [newest, new, old, other]
    assert listed[0]["bytes"] == 20
    done = edgekit("logs", "prune", "--keep", "1", cwd=tmp_path)
    assert done.stdout.count("removed ") == 2
    assert [path.exists() for path in (old, new, newest, other, mine)] == [
        False,
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize("words", [["prune"], ["list", "--keep", "1"]])
def test_keep_belongs_to_prune(tmp_path: Path, words: list[str]) -> None:
    done = edgekit("logs", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert "edgekit logs prune --keep 5" in done.stderr


@pytest.mark.slow
def test_tensorboard_is_served_while_a_training_goes_on_and_ends_with_it(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "data.py").write_text(DATA)
    (tmp_path / "edgekit.toml").write_text(
        'schema = 1\n[model]\nname = "dark"\nsource = "model.py:build"\n'
        '[data]\ntrain = "data.py:train"\n[train]\nbatch_size = 2\nepochs = 10000\n'
    )
    command = subprocess.Popen(
        [EDGEKIT, "train", "--tensorboard"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=heed_interrupts,
    )
    assert command.stderr is not None
    try:
        url = re.findall(r"http://127\.0\.0\.1:\d+/", command.stderr.readline())[0]
        deadline = time.monotonic() + 120
        found: dict[str, dict[str, object]] = {}
        while time.monotonic() < deadline and not any("loss" in tags for tags in found.values()):
            time.sleep(0.5)
            try:
                address = f"{url}data/plugin/scalars/tags"
                with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310
                    found = json.loads(answer.read())
            except OSError:
                continue
        assert any("loss" in tags for tags in found.values())
    finally:
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=60)
    assert command.returncode == 130
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)  # noqa: S310
