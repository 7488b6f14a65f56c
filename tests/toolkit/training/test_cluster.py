"""Processes that work together: one that dies is started again, and none is left behind."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from forking import heed_interrupts

from edgekit.errors import ProjectError, WorkerDied
from edgekit.process import Limits, alive
from edgekit.project.train import TrainTable
from edgekit.training import cluster
from edgekit.training.distribution.place import Place, read
from edgekit.worker import Worker

TWO = TrainTable(strategy="multi_worker", workers=2)
# Starts two processes that sleep, and says their numbers.
WAITING = """
import functools, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_cluster import TWO, cluster, members, sleep

def note(worker, place):
    with Path(sys.argv[2], "pids").open("a") as file:
        file.write(f"{worker.pid}\\n")
    sleep(worker)

if __name__ == "__main__":
    cluster.together(functools.partial(members, Path(sys.argv[2]), note), TWO)
"""


def members(
    folder: Path, work: Callable[[Worker, Place], Any], places: Sequence[Place]
) -> list[cluster.Member]:
    def one(place: Place) -> cluster.Member:
        log = folder / f"{place.task}-{place.index}.txt"

        def start() -> Worker:
            return Worker(log, None, Limits())

        return cluster.Member(place, log, start, lambda worker: work(worker, place))

    return [one(place) for place in places]


def sleep(worker: Worker, seconds: float = 600) -> None:
    worker.call(subprocess.call, ["sleep", str(seconds)])


def test_process_that_always_dies_is_named_after_three_new_starts(tmp_path: Path) -> None:
    started: list[int] = []

    def work(worker: Worker, place: Place) -> Mapping[str, Any]:
        if place.index == 0:
            sleep(worker)
        started.append(worker.pid)
        worker.call(os.write, 2, b"the last thing that it said\n")
        worker.call(signal.raise_signal, signal.SIGKILL)
        return {}

    with pytest.raises(WorkerDied) as error:
        cluster.together(functools.partial(members, tmp_path, work), TWO)
    assert error.value.code == "EK-TRAIN-027"
    assert "worker 1 of 2 processes was ended by SIGKILL" in error.value.message
    assert "the last thing that it said" in error.value.hint
    assert str(tmp_path / "worker-1.txt") in error.value.hint
    assert "smaller batch_size" in error.value.hint
    assert len(started) == 4
    assert not any(map(alive, started))


def test_all_are_started_again_when_one_has_died(tmp_path: Path) -> None:
    starts: list[str] = []

    def work(worker: Worker, place: Place) -> Mapping[str, Any]:
        starts.append(place.name)
        if starts.count(place.name) == 1:
            if place.index == 1:
                worker.call(signal.raise_signal, signal.SIGKILL)
            sleep(worker)
        return {"pid": worker.pid}

    done = cluster.together(functools.partial(members, tmp_path, work), TWO)
    assert sorted(starts) == ["worker 0"] * 2 + ["worker 1"] * 2
    (death,) = done.deaths
    assert death.startswith("worker 1 of 2 processes was ended by SIGKILL")
    assert not any(alive(result["pid"]) for result in done.results)


def test_error_of_users_code_is_told_at_once_and_not_tried_again(tmp_path: Path) -> None:
    starts: list[str] = []

    def work(worker: Worker, place: Place) -> Mapping[str, Any]:
        starts.append(place.name)
        if place.index == 0:
            sleep(worker)
        worker.call(read, "{}")
        return {}

    with pytest.raises(ProjectError) as error:
        cluster.together(functools.partial(members, tmp_path, work), TWO)
    assert error.value.code == "EK-TRAIN-020"
    assert sorted(starts) == ["worker 0", "worker 1"]


def test_who_fails_because_another_died_does_not_take_its_blame(tmp_path: Path) -> None:
    """The survivor's error may come first."""
    calls: list[str] = []

    def work(worker: Worker, place: Place) -> Mapping[str, Any]:
        calls.append(place.name)
        if len(calls) > 2:
            return {}
        if place.index == 1:
            sleep(worker, 0.3)
            worker.call(signal.raise_signal, signal.SIGKILL)
        worker.call(read, "{}")
        return {}

    done = cluster.together(functools.partial(members, tmp_path, work), TWO)
    assert "worker 1 of 2 processes was ended by SIGKILL" in done.deaths[0]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_when_edgekit_ends(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    paths = os.pathsep.join((str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")))
    process = subprocess.Popen(
        [sys.executable, script, Path(__file__).parent, tmp_path],
        preexec_fn=heed_interrupts,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": paths},
    )
    said = tmp_path / "pids"
    try:
        until(lambda: said.exists() and said.read_text().count("\n") == 2)
        pids = [int(line) for line in said.read_text().split()]
        assert all(map(alive, pids))
        process.send_signal(how)
        process.wait(30)
        until(lambda: not any(map(alive, pids)))
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_local_places_are_of_one_cluster_at_ports_of_their_own() -> None:
    places = cluster.places(TrainTable(strategy="parameter_server", workers=2))
    assert [place.name for place in places] == ["chief 0", "worker 0", "worker 1", "ps 0"]
    addresses = [at for place in places[0].cluster.values() for at in place]
    assert len(set(addresses)) == 4
    assert [place.chief for place in places] == [True, False, False, False]
    assert read(places[2].text) == places[2]


def test_port_that_somebody_takes_first_is_chosen_anew(tmp_path: Path) -> None:
    tried: list[str] = []

    def work(worker: Worker, place: Place) -> Mapping[str, Any]:
        address = place.cluster["worker"][place.index]
        tried.append(address)
        with socket.socket() as taken:
            taken.bind((cluster.LOOPBACK, int(address.rpartition(":")[2])))
            if len(tried) <= 2:
                raise ProjectError("EK-X-001", "m", f"UnknownError: {cluster.PORT_TAKEN}")
        return {}

    done = cluster.together(functools.partial(members, tmp_path, work), TWO)
    assert not done.deaths
    assert len(set(tried)) == 4


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": 3, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_tf_config_that_says_no_place_is_refused(text: str) -> None:
    with pytest.raises(ProjectError) as error:
        read(text)
    assert error.value.code == "EK-TRAIN-020"
    assert '"cluster"' in error.value.hint
