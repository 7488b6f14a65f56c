"""A device behind a shell keeps the device contract, and loses nothing when the shell does."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from shells import Shell, faulty

from edgekit.contracts.device import DeviceContract
from edgekit.contracts.runner import typed
from edgekit.errors import ConnectionLost, DeviceError, RunnerError
from edgekit.process import Limits
from edgekit.targets.devices import DeviceName, RunnerSession, Transport, Workplace
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.devices.remote import open_remote
from edgekit.targets.devices.remote.client import Agent
from edgekit.targets.devices.remote.device import Prepared, RemoteDevice
from edgekit.targets.devices.remote.outputs import RequestOutputs
from edgekit.targets.devices.remote.wire import Pace
from edgekit.targets.runners import RUNNER_FILES
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Silent

QUICK = Pace(beat=0.2, silence=1.5, lease=1.5, start=10)
Opening = Callable[..., RemoteDevice]
Ranges = list[tuple[int, int]]


class TestRemoteDevice(DeviceContract):
    def transport(
        self, folder: Path, limits: Limits | None, runners: Mapping[str, Path]
    ) -> Transport:
        home = folder.parent / "home"
        home.mkdir(exist_ok=True)
        agent = Agent(Shell(home), folder.parent / "log.txt")
        self.agents.append(agent)
        prepared = Prepared("litert", "", agent.hello["executable"], ())
        return RemoteDevice(agent, prepared, folder, limits, runners)

    @pytest.fixture(autouse=True)
    def _closed(self) -> Iterator[None]:
        self.agents: list[Agent] = []
        yield
        for agent in self.agents:
            agent.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opening]:
    """Devices that are closed in the end."""
    with contextlib.ExitStack() as stack:

        def opening(
            shell: Shell, limits: Limits | None = None, runners: Mapping[str, Path] = RUNNER_FILES
        ) -> RemoteDevice:
            agent = Agent(shell, tmp_path / "log.txt", None, QUICK, (0.05, 0.2, 0.5, 1.0))
            prepared = Prepared("litert", "", agent.hello["executable"], ())
            device = RemoteDevice(agent, prepared, tmp_path / "work", limits, runners)
            stack.callback(device.close)
            return device

        yield opening


def request(folder: Path, items: int = 200, **changes: Any) -> dict[str, Any]:
    """The doubler on numbered items."""
    model = folder / "doubler.tflite"
    model.write_bytes(probe_model())
    numbers = np.arange(items * 4, dtype=np.float32).reshape(items, 4)
    np.save(folder / "x.npy", numbers)
    entry = {"id": "doubler", "path": str(model), "outputs": str(folder / "outputs")}
    return {
        "schema": 1,
        "mode": "evaluate",
        "runtime": "litert",
        "models": [entry],
        "inputs": {"x": str(folder / "x.npy")},
        "processes": 1,
        "batch": 1,
        **changes,
    }


def doubled(folder: Path, items: int = 200) -> bool:
    """Whether every answer is there and right."""
    answers = np.load(folder / "outputs" / "y.npy")
    return bool((answers == 2 * np.load(folder / "x.npy")[:items]).all()) and len(answers) == items


def altered(folder: Path, line: str, changed: str) -> Mapping[str, Path]:
    """The real runner with one of its lines changed, in a file of its own."""
    source = RUNNER_FILES["litert"].read_text()
    assert source.count(line) == 1
    path = folder / "altered_runner.py"
    path.write_text(source.replace(line, changed))
    return {"litert": path}


INVOKE = "        model.invoke()\n"


@pytest.fixture
def slow(tmp_path: Path) -> Mapping[str, Path]:
    """The real runner with 4 ms more for each item."""
    return altered(tmp_path, INVOKE, INVOKE + "        time.sleep(0.004)\n")


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The items that the host took down as finished, as they come."""
    noted: list[tuple[int, int]] = []
    take = RequestOutputs.take

    def noting(self: RequestOutputs, event: Mapping[str, Any], payload: bytes) -> None:
        take(self, event, payload)
        if "finished" in event:
            noted.append(tuple(event["finished"]))

    monkeypatch.setattr(RequestOutputs, "take", noting)
    return noted


def once_each(finished: list[tuple[int, int]], items: int = 200) -> bool:
    return sorted(n for start, stop in finished for n in range(start, stop)) == list(range(items))


def test_answers_come_while_others_are_made(
    home: Path, tmp_path: Path, opened: Opening, slow: Mapping[str, Path], finished: Ranges
) -> None:
    result = opened(Shell(home), None, slow).run(typed(request(tmp_path, block=4)))
    assert len(finished) > 3
    assert once_each(finished)
    assert doubled(tmp_path)
    assert result["models"]["doubler"]["items"] == 200


@pytest.mark.parametrize(
    ("how", "processes"),
    [
        ("kill", 1),
        ("agent", 1),
        *(pytest.param(h, 2, marks=pytest.mark.slow) for h in ("kill", "agent")),
    ],
)
def test_run_that_is_killed_three_times_counts_every_item_once(
    home: Path,
    tmp_path: Path,
    opened: Opening,
    slow: Mapping[str, Path],
    finished: Ranges,
    how: str,
    processes: int,
) -> None:
    # All three together are shorter than the work; the fourth connection lasts.
    plan = [f"time {random.uniform(0.45, 0.6):.3f} {how}" for _ in range(3)] + ["never 0 kill"]
    device = opened(faulty(home, *plan), None, slow)
    result = device.run(typed(request(tmp_path, 500, block=4, processes=processes)))
    assert (tmp_path / "plan.txt").read_text() == "", plan
    assert once_each(finished, 500), (plan, finished)
    assert doubled(tmp_path, 500)
    facts = result["models"]["doubler"]
    assert (facts["items"], facts["seconds"] > 0) == (500, True)


@pytest.mark.slow
def test_run_goes_on_after_a_silent_cut(
    home: Path, tmp_path: Path, opened: Opening, slow: Mapping[str, Path], finished: Ranges
) -> None:
    device = opened(faulty(home, "time 0.6 silent"), None, slow)
    begin = time.monotonic()
    device.run(typed(request(tmp_path, block=4)))
    assert time.monotonic() - begin < 40
    assert once_each(finished)
    assert doubled(tmp_path)


@pytest.mark.slow
def test_connection_that_breaks_before_every_answer_is_given_up(
    home: Path, tmp_path: Path, opened: Opening
) -> None:
    device = opened(
        faulty(home, *["time 1 agent"] * 9),
        None,
        altered(tmp_path, INVOKE, "        time.sleep(5)\n" + INVOKE),
    )
    with pytest.raises(ConnectionLost):
        device.run(typed(request(tmp_path)))


def test_session_whose_connection_breaks_is_lost_and_another_can_be_opened(
    home: Path, tmp_path: Path, opened: Opening
) -> None:
    device = opened(faulty(home, "time 0.7 kill"))
    session = device.open(typed(request(tmp_path, mode="bench")))
    with pytest.raises(ConnectionLost) as caught:
        _time(session)
    assert caught.value.code == "EK-DEVICE-030"
    with contextlib.closing(device.open(typed(request(tmp_path, mode="bench")))) as another:
        another.ready()
        assert another.block("doubler", 0.0, 2)


def _time(session: RunnerSession) -> None:
    session.ready()
    for _ in range(99):
        session.block("doubler", 0.05, 1)


def runners_left(home: Path) -> list[int]:
    """Processes that still work in this home."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        runs = process.info["status"] != psutil.STATUS_ZOMBIE
        if runs and str(home) in " ".join(process.info["cmdline"] or []):
            found.append(process.pid)
    return found


def soon(true: Callable[[], bool], seconds: float = 4.0) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


@pytest.mark.parametrize(
    "how", ["interrupt", "close", pytest.param("silent", marks=pytest.mark.slow)]
)
def test_job_ends_with_the_host(
    home: Path, tmp_path: Path, opened: Opening, slow: Mapping[str, Path], how: str
) -> None:
    device = opened(Shell(home) if how != "silent" else faulty(home, "time 1 silent"), None, slow)
    asked = request(tmp_path, 5000, block=4)
    job = threading.Thread(target=lambda: _quietly(device, asked), daemon=True)
    if how == "interrupt":
        threading.Thread(
            target=lambda: (soon(lambda: bool(runners_left(home))), _interrupt()), daemon=True
        ).start()
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                device.run(typed(asked))
        finally:
            signal.signal(signal.SIGINT, before)
    else:
        job.start()
        assert soon(lambda: bool(runners_left(home)))
        if how == "silent":
            # So that it is not begun again.
            device._agent._closed = True
        else:
            device.close()
    assert soon(lambda: not runners_left(home), 6)
    assert soon(lambda: list((home / ".cache/edgekit/jobs").iterdir()) == [])


def _quietly(device: RemoteDevice, asked: Mapping[str, Any]) -> None:
    with contextlib.suppress(DeviceError, OSError):
        device.run(typed(asked))


def _interrupt() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_runner_that_is_killed_is_an_error_with_its_signal_and_its_words(
    home: Path, tmp_path: Path, opened: Opening
) -> None:
    runners = altered(
        tmp_path,
        INVOKE,
        "        if int(batch['x'][0][0]) == 4 * 17:\n"
        "            sys.stderr.write('native trouble')\n"
        "            sys.stderr.flush()\n"
        "            os.kill(os.getpid(), 9)\n" + INVOKE,
    )
    with pytest.raises(RunnerError) as caught:
        opened(Shell(home), None, runners).run(typed(request(tmp_path, 40)))
    assert (caught.value.code, caught.value.item) == ("EK-RUNNER-001", 17)
    assert "SIGKILL on doubler at item 17" in caught.value.message
    assert "native trouble" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_disk_that_fills_with_answers_is_an_error_that_says_so(
    home: Path, tmp_path: Path, opened: Opening
) -> None:
    script = 'mount -t tmpfs -o size=3m none "$HOME" && exec "$@"'
    device = opened(Shell(home, through=("unshare", "-m", "sh", "-c", script, "sh")))
    with pytest.raises(DeviceError) as caught:
        device.run(typed(request(tmp_path, 120_000)))
    assert caught.value.code == "EK-DEVICE-033"
    assert "no space left" in caught.value.message


@pytest.mark.parametrize("mode", ["evaluate", "bench"])
def test_of_a_data_set_only_what_is_looked_at_goes_to_the_device(
    home: Path, tmp_path: Path, opened: Opening, mode: str
) -> None:
    index = np.array([190, 3, 77, 4])
    np.save(tmp_path / "index.npy", index)
    device = opened(Shell(home))
    asked = request(tmp_path, mode=mode, index=str(tmp_path / "index.npy"))
    device.run(typed({**asked, "stop": {"blocks": 1, "seconds": 0, "runs": 1}}))
    files = [path for path in (home / ".cache/edgekit/files").iterdir() if path.suffix == ""]
    sent = [np.load(path) for path in files if path.read_bytes().startswith(b"\x93NUMPY")]
    assert [value.tolist() for value in sent] == [np.load(tmp_path / "x.npy")[index].tolist()]
    if mode == "evaluate":
        answers = np.load(tmp_path / "outputs" / "y.npy")
        assert (answers == 2 * np.load(tmp_path / "x.npy")[index]).all()


def test_several_models_and_a_range_of_items_answer_as_on_this_host(
    home: Path, tmp_path: Path, opened: Opening
) -> None:
    asked = request(tmp_path, items=50)
    entry = asked["models"][0]
    asked["models"] = [{**entry, "id": n, "outputs": str(tmp_path / n)} for n in ("a", "b")]
    asked["items"] = [10, 20]
    result = opened(Shell(home)).run(typed(asked))
    ours = LocalDevice(tmp_path / "local", tmp_path / "log.txt")
    ours.run(typed({**asked, "models": [{**entry, "id": "a", "outputs": str(tmp_path / "ours")}]}))
    for name in ("a", "b"):
        assert result["models"][name]["items"] == 10
        answers = np.load(tmp_path / name / "y.npy")
        assert answers[10:20].tobytes() == np.load(tmp_path / "ours" / "y.npy")[10:20].tobytes()


def test_inner_tensors_of_a_trace_come_back(home: Path, tmp_path: Path, opened: Opening) -> None:
    asked = request(tmp_path, items=3, mode="trace")
    asked["models"][0]["tensors"] = [1]
    result = opened(Shell(home)).run(typed(asked))
    assert result["models"]["doubler"]["written"] == [1]
    traced = np.load(tmp_path / "outputs" / "1.npy")
    assert (traced == 2 * np.load(tmp_path / "x.npy")[:, None]).all()


def test_device_opens_by_its_name_with_the_runtime_that_is_there(
    home: Path, tmp_path: Path
) -> None:
    place = Workplace(tmp_path / "work", tmp_path / "log.txt", Limits(), Silent())
    name = DeviceName("ssh://tester@here#litert", "ssh", "litert", address="ssh://tester@here")
    with contextlib.closing(open_remote(Shell(home), name, place)) as device:
        assert device.run(typed(request(tmp_path, 7)))["runtime"] == "litert"
        assert device.facts()["address"] == "ssh://tester@here"
        assert device.version == metadata.version("ai-edge-litert")
