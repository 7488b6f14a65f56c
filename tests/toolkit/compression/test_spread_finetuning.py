"""Fine-tuning by a strategy: on several devices or in several processes it is that of one."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from forking import tensorflow_script
from spreading import JOBS, ONE_LAYER, job, prepare

from edgekit.compression import members
from edgekit.process import Limits
from edgekit.training import cluster
from edgekit.training.distribution.place import Place
from edgekit.worker import Worker

TESTS = Path(__file__).parents[2]
# Two parts of a CPU in one process: the same schemes on one of them, and on both.
COMPARED = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from spreading import compare
folder, names = Path(sys.argv[2]), sys.argv[3].split(",")
(folder / "compared.json").write_text(json.dumps(compare(folder, names)))
"""
KILLED = """
import json, os, signal, sys, threading, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from spreading import spread
folder, name, case, step = Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])

def kill():
    states = folder / case / "states"
    while max((int(one.stem[-9:]) for one in states.glob("step-*.state")), default=0) < step:
        time.sleep(0.001)
    (folder / "killed").touch()
    os.kill(os.getpid(), signal.SIGKILL)

if step:
    threading.Thread(target=kill, daemon=True).start()
(folder / f"{case}.json").write_text(json.dumps(spread(folder, name, case)))
"""


def compared(folder: Path, *names: str) -> dict[str, Any]:
    """By job: the furthest that two devices end from one, and what the scheme has left."""
    prepare(folder)
    tensorflow_script(COMPARED, TESTS, folder, ",".join(names))
    said: dict[str, Any] = json.loads((folder / "compared.json").read_text())
    return said


@pytest.mark.slow
def test_pruned_on_two_devices_as_on_one(tmp_path: Path) -> None:
    (of_pruning,) = compared(tmp_path, ONE_LAYER).values()
    assert of_pruning["furthest"] < 1e-5
    assert of_pruning["zeros"] == [[0.5], [0.5]]


@pytest.mark.slow
def test_every_scheme_on_two_devices_as_on_one(tmp_path: Path) -> None:
    # That of quantization-aware training alone is by two workers, below.
    names = [name for name in JOBS if name not in (ONE_LAYER, "quantization_aware")]
    every = compared(tmp_path, *names)
    assert {name: row["furthest"] for name, row in every.items() if row["furthest"] >= 1e-5} == {}
    for name, row in every.items():
        assert row["scores"][0] == pytest.approx(row["scores"][1]), name
    # Exactly the share that was asked for, of each kernel.
    assert every["prune"]["zeros"] == [[0.5, 0.5], [0.5, 0.5]]
    # What earlier schemes made is kept: half of the weights are zero, and few are different.
    for name in ("cluster after prune", "quantization_aware after prune and cluster"):
        assert every[name]["zeros"][1] == every[name]["zeros"][0]
        assert min(every[name]["zeros"][1]) >= 0.5
    assert max(every["cluster after prune"]["unique"][1]) <= 4


@pytest.mark.slow
def test_killed_on_two_devices_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    prepare(tmp_path)
    prepare_in_process(tmp_path)
    tensorflow_script(KILLED, TESTS, tmp_path, "prune", "whole", 0)
    with pytest.raises(AssertionError):
        tensorflow_script(KILLED, TESTS, tmp_path, "prune", "cut", 10)
    assert (tmp_path / "killed").exists()
    tensorflow_script(KILLED, TESTS, tmp_path, "prune", "cut", 0)
    whole, cut = (json.loads((tmp_path / f"{one}.json").read_text()) for one in ("whole", "cut"))
    assert cut["weights"] == whole["weights"]
    assert cut["scores"] == whole["scores"]


def prepare_in_process(folder: Path) -> None:
    """Write the models to compress: that takes TensorFlow, which this process does not import."""
    code = "import sys; sys.path.insert(0, sys.argv[1])\nfrom pathlib import Path\n"
    code += "from spreading import prepare_models\nprepare_models(Path(sys.argv[2]))"
    tensorflow_script(code, TESTS, folder)


@pytest.mark.slow
def test_worker_that_is_killed_is_started_again_and_all_end_alike(tmp_path: Path) -> None:
    prepare(tmp_path)
    prepare_in_process(tmp_path)
    work, recovery = job(tmp_path, "quantization_aware", "multi_worker")
    started: dict[str, Worker] = {}

    def of_places(places: Sequence[Place]) -> list[cluster.Member]:
        return [member(place) for place in places]

    def member(place: Place) -> cluster.Member:
        log = tmp_path / f"{place.task}-{place.index}.txt"

        def start() -> Worker:
            started[place.name] = Worker(log, None, Limits())
            return started[place.name]

        def tune(worker: Worker) -> Any:
            partial = tmp_path / "together"
            return worker.call(members.tune_scheme, work, recovery, partial, place)

        return cluster.Member(place, log, start, tune)

    killing(tmp_path / "together" / "states", lambda: started["worker 1"].pid)
    done = cluster.together(of_places, recovery.finetuning.settings)
    (death,) = done.deaths
    assert death.startswith("worker 1 of 2 processes was ended by SIGKILL")
    first, second = done.results
    assert first["weights"] == second["weights"]
    assert first["scores"] == second["scores"]
    # From the state that they leave, one process alone takes the same model.
    left = "import sys, json; sys.path.insert(0, sys.argv[1])\nfrom pathlib import Path\n"
    left += "from spreading import furthest_from_one\n"
    left += "folder = Path(sys.argv[2])\n"
    left += "(folder / 'far').write_text(str(furthest_from_one(folder, 'quantization_aware')))"
    tensorflow_script(left, TESTS, tmp_path)
    assert float((tmp_path / "far").read_text()) < 1e-5


def killing(states: Path, pid: Callable[[], int]) -> None:
    """Kill a process once some steps are saved."""

    def kill() -> None:
        while max((int(one.stem[-9:]) for one in states.glob("step-*.state")), default=0) < 6:
            time.sleep(0.01)
        os.kill(pid(), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
