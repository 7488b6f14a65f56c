"""A device behind a real sshd, and what becomes of its work when the cable is pulled."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from ssh_server import LOCALHOST, SYSTEM_PATH, SshServer, needs_sshd, slow_link
from tflite_files import G, N, T, build

from conftest import EDGEKIT, edgekit
from edgekit.contracts.device import PLANTED, DeviceContract, asked
from edgekit.contracts.runner import Bench, typed
from edgekit.errors import DeviceError, RunnerError
from edgekit.process import Limits
from edgekit.targets.devices import Transport, Workplace, open_device, parse
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.devices.remote.client import PAUSES, Agent
from edgekit.targets.devices.remote.device import Prepared, RemoteDevice
from edgekit.targets.devices.remote.wire import Pace
from edgekit.targets.devices.transports.ssh import VARIABLE, SshConnection
from edgekit.targets.runners import RUNNER_FILES
from edgekit.targets.runners.probe import probe_model

MEBIBYTE = 1 << 20
# A silent end is found out in a second, not in twelve.
HASTY = Pace(beat=0.2, silence=1.5, lease=1.5)
ASKED = '"$SSH_ORIGINAL_COMMAND"'
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system: needs root")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    with serving(tmp_path / "server") as server:
        yield server


@contextlib.contextmanager
def serving(folder: Path, **faults: str) -> Iterator[SshServer]:
    """A server whose logins edgekit makes meanwhile. Nothing that it began there may go on."""
    needs_sshd()
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, SshServer(folder, **faults) as server:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server
        assert eventually(lambda: not there(server)), there(server)


def there(server: SshServer) -> list[str]:
    """What runs on the device: the processes with its home folder."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if one.environ().get("HOME") == str(server.home) and one.status() != "zombie":
                found.append(" ".join(one.cmdline())[:200])
    return found


def eventually(what: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def agent_of(
    address: str, folder: Path, pace: Pace = HASTY, pauses: tuple[float, ...] = PAUSES
) -> Agent:
    return Agent(SshConnection(address), folder / "log.txt", pace=pace, pauses=pauses)


@contextlib.contextmanager
def device_of(
    address: str,
    folder: Path,
    pace: Pace = HASTY,
    limits: Limits | None = None,
    runners: Mapping[str, Path] = RUNNER_FILES,
    executable: str = "",
    pauses: tuple[float, ...] = PAUSES,
) -> Iterator[RemoteDevice]:
    agent = agent_of(address, folder, pace, pauses)
    prepared = Prepared("litert", "", executable or agent.hello["executable"], ())
    with contextlib.closing(
        RemoteDevice(agent, prepared, folder / "work", limits, runners)
    ) as device:
        yield device


@pytest.mark.slow
class TestSshDevice(DeviceContract):
    @pytest.fixture(autouse=True)
    def served(self, server: SshServer) -> Iterator[None]:
        with contextlib.ExitStack() as self.opened:
            self.server = server
            yield

    def address(self, folder: Path) -> str:
        return self.server.address("/~/my board/ü#litert")

    def transport(
        self, folder: Path, limits: Limits | None, runners: Mapping[str, Path]
    ) -> Transport:
        agent = agent_of(self.server.address(), folder.parent, Pace())
        prepared = Prepared("litert", "", agent.hello["executable"], ())
        device = RemoteDevice(agent, prepared, folder, limits, runners)
        self.opened.callback(device.close)
        return device


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """The doubler and its items, on this host."""
    model = tmp_path / "doubler.tflite"
    model.write_bytes(probe_model())
    return Bench(RUNNER_FILES["litert"], "litert", model, tmp_path)


def doubles(device: Transport, bench: Bench) -> bool:
    """Whether a device answers every item, and rightly."""
    shutil.rmtree(bench.outputs, ignore_errors=True)
    items = device.run(bench.asked("evaluate"))["models"]["doubler"]["items"]
    return items == len(bench.x) and np.array_equal(np.load(bench.outputs / "y.npy"), 2 * bench.x)


def test_device_by_address_evaluates_and_tells_its_facts(
    server: SshServer, bench: Bench, tmp_path: Path
) -> None:
    name = server.address("/~/my board/ü#litert")
    with contextlib.closing(
        open_device(parse(name), Workplace(tmp_path / "work", tmp_path / "log.txt"))
    ) as device:
        assert (device.name, device.runtime) == (name, "litert")
        assert device.version
        assert device.facts()["address"] == server.address("/~/my board/ü")
        assert doubles(device, bench)
    assert (server.home / "my board" / "ü" / "files").is_dir()


@pytest.fixture
def shared_login(server: SshServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The socket of a login that ssh shares, because its user has configured it so."""
    # A socket's path is short.
    with tempfile.TemporaryDirectory(prefix="ek-") as folder:
        control = Path(folder) / "c"
        server.configure(ControlMaster="auto", ControlPath=control, ControlPersist="30")
        # ssh itself gives it up after 3 s without an answer.
        command = f"{server.environment[VARIABLE]} -o ServerAliveInterval=1"
        monkeypatch.setenv(VARIABLE, command)
        yield control
        leave = ["ssh", "-F", str(server.config), "-O", "exit", LOCALHOST]
        subprocess.run(leave, capture_output=True, check=False)


def test_login_that_the_user_shares_is_used_and_left_alone(
    server: SshServer, shared_login: Path, bench: Bench, tmp_path: Path
) -> None:
    for _ in range(2):
        with device_of(server.address(), tmp_path) as device:
            assert doubles(device, bench)
        assert eventually(lambda: not there(server))
        assert shared_login.exists()
    assert server.log.read_text().count("Accepted publickey") == 1


@pytest.mark.slow
def test_silent_cut_of_a_shared_login_is_found_out_and_waited_for(
    server: SshServer, shared_login: Path, bench: Bench, tmp_path: Path
) -> None:
    """Only the agent's beats tell; until ssh gives the login up, every new one goes there too."""
    with device_of(server.address(), tmp_path) as device:
        assert doubles(device, bench)
        assert server.silence() > 0
        assert doubles(device, bench)


NOISE = 'echo "Welcome to \\"the\\" board!"; printf "no line end"; echo oops >&2;'


@pytest.mark.parametrize("how", [".bashrc", "server"])
def test_output_before_the_agent_is_not_taken_for_its_answers(
    how: str, bench: Bench, tmp_path: Path
) -> None:
    wrapper = f"{NOISE} exec bash -c {ASKED}"
    with serving(tmp_path / "s", **({"wrapper": wrapper} if how == "server" else {})) as server:
        if how == ".bashrc":
            (server.home / ".bashrc").write_text(NOISE)
            if "Welcome" not in server.ssh("true").stdout:
                pytest.skip("the login shell here is not a bash that reads .bashrc under sshd")
        assert "Welcome" in server.ssh("true").stdout
        with device_of(server.address(), tmp_path) as device:
            assert doubles(device, bench)


def test_userland_of_busybox_is_enough(bench: Bench, tmp_path: Path) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed (Debian, Ubuntu: apt install busybox-static)")
    applets = tmp_path / "applets"
    applets.mkdir()
    subprocess.run([busybox, "--install", "-s", str(applets)], check=True)
    python = applets / "python3"
    python.write_text(f'#!{applets}/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    wrapper = f"exec {applets}/env PATH={applets} {applets}/sh -c {ASKED}"
    with serving(tmp_path / "server", wrapper=wrapper) as server:
        assert "BusyBox" in server.ssh("ls --help 2>&1").stdout
        with device_of(server.address(), tmp_path) as device:
            assert doubles(device, bench)


def test_device_without_python_is_an_error_that_says_so(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "uname"):
        (programs / name).symlink_to(shutil.which(name, path=SYSTEM_PATH) or "")
    with serving(tmp_path / "server", path=str(programs)) as server:
        with pytest.raises(DeviceError) as caught:
            agent_of(server.address(), tmp_path)
        assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-031", 3)
        assert "has no Python" in caught.value.message
        assert caught.value.hint


def test_runner_without_numpy_is_an_error_that_says_so(
    server: SshServer, bench: Bench, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    python = str(bare / "bin" / "python")
    with (
        device_of(server.address(), tmp_path, executable=python) as device,
        pytest.raises(RunnerError, match="No module named 'numpy'"),
    ):
        device.run(bench.asked("evaluate"))


def test_runner_that_is_killed_there_is_an_error_and_the_device_goes_on(
    server: SshServer, bench: Bench, tmp_path: Path
) -> None:
    planted = tmp_path / "planted_runner.py"
    planted.write_text(PLANTED.format(action="os.kill(os.getpid(), 9)", at=0))
    runners = {**RUNNER_FILES, "planted": planted}
    with device_of(server.address(), tmp_path, runners=runners) as device:
        with pytest.raises(RunnerError) as caught:
            device.run(replace(asked(bench), mode="selftest"))
        assert caught.value.code == "EK-RUNNER-001"
        assert "SIGKILL" in caught.value.message
        assert doubles(device, bench)


def sent(tmp_path: Path, size: int) -> Path:
    """A file of ``size`` bytes that do not repeat."""
    path = tmp_path / "large.bin"
    path.write_bytes(np.random.default_rng(1).bytes(size))
    return path


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@needs_root
@pytest.mark.parametrize(
    ("options", "why"), [("size=1m", "the disk there is full"), ("ro", "that disk is read-only")]
)
def test_disk_that_takes_no_more_is_an_error_that_names_the_way_out(
    server: SshServer, tmp_path: Path, options: str, why: str
) -> None:
    with (
        mounted(server.home / "disk", options),
        contextlib.closing(agent_of(server.address("/~/disk/x"), tmp_path)) as agent,
        pytest.raises(DeviceError) as caught,
    ):
        agent.push([sent(tmp_path, 2 * MEBIBYTE)])
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-033", 3)
    assert str(server.home / "disk") in caught.value.message
    assert why in caught.value.hint
    assert "name another folder" in caught.value.hint


def test_folder_of_another_user_is_an_error_that_names_the_way_out(tmp_path: Path) -> None:
    if not Path("/usr/bin/python3").exists():
        pytest.skip("there is no Python that every user may run (apt install python3)")
    drop = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    wrapper = f"exec {drop} sh -c {ASKED}" if os.geteuid() == 0 else ""
    with serving(tmp_path / "server", wrapper=wrapper, path=SYSTEM_PATH) as server:
        closed = server.home / "closed"
        closed.mkdir(mode=0o555)
        with (
            contextlib.closing(agent_of(server.address("/~/closed/x"), tmp_path)) as agent,
            pytest.raises(DeviceError) as caught,
        ):
            agent.push([sent(tmp_path, 100)])
        assert caught.value.code == "EK-DEVICE-033"
        assert "may not write" in caught.value.hint


def test_push_that_is_dropped_goes_on_where_it_broke(server: SshServer, tmp_path: Path) -> None:
    size = 24 * MEBIBYTE
    path = sent(tmp_path, size)
    with slow_link(server.port, 12 * MEBIBYTE) as link:
        server.configure(Port=link.port, HostKeyAlias=server.alias)
        with contextlib.closing(agent_of("ssh://board", tmp_path)) as agent:
            before = link.carried

            def drop() -> None:
                assert eventually(lambda: link.carried - before > size / 2)
                server.drop()

            cable = threading.Thread(target=drop)
            cable.start()
            there = Path(agent.push([path])[path])
            cable.join()
            again = link.carried - before - size
            assert there.read_bytes() == path.read_bytes()
            assert 0 < again < size / 4
            assert not list(there.parent.glob("*.part"))
            # What is there is not sent again, by another connection neither.
            before = link.carried
            assert agent.push([path])[path] == str(there)
        with contextlib.closing(agent_of("ssh://board", tmp_path)) as agent:
            agent.push([path])
            assert link.carried - before < MEBIBYTE / 4


@pytest.mark.slow
def test_link_of_a_mebibyte_a_second_is_slow_and_not_silent(
    server: SshServer, bench: Bench, tmp_path: Path
) -> None:
    path = sent(tmp_path, 4 * MEBIBYTE)
    with slow_link(server.port, MEBIBYTE) as link:
        server.configure(Port=link.port, HostKeyAlias=server.alias)
        with device_of("ssh://board", tmp_path) as device:
            assert doubles(device, bench)
        begin, before = time.monotonic(), link.carried
        with contextlib.closing(agent_of("ssh://board", tmp_path)) as agent:
            agent.push([path])
        assert time.monotonic() - begin > 2 * HASTY.silence
        assert link.carried - before < 5 * MEBIBYTE


def slow_model(milliseconds: int = 1) -> bytes:
    """Layers of 1024 x 1024 weights, ``x [1, 64]`` to ``y [1, 10]``: 0.1 to 0.5 ms each."""
    rng = np.random.default_rng(0)
    sizes = [64, *[1024] * (2 + milliseconds), 10]
    tensors, nodes = [T("t0", [1, sizes[0]])], []
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        weights = rng.normal(0, fan_in**-0.5, (fan_out, fan_in)).astype(np.float32)
        zeros = np.zeros(fan_out, np.float32)
        tensors += [
            T(f"w{number}", weights.shape, data=weights),
            T(f"b{number}", [fan_out], data=zeros),
            T(f"t{number + 1}", [1, fan_out]),
        ]
        names = [f"t{number}", f"w{number}", f"b{number}"]
        nodes.append(N("FULLY_CONNECTED", names, [f"t{number + 1}"]))
    return build(G(tensors, nodes, ["t0"], [f"t{len(sizes) - 1}"]))


class Work:
    """An evaluation that takes some seconds, and what this host answers to it."""

    def __init__(self, folder: Path, items: int) -> None:
        self.folder, self.items = folder, items
        (folder / "slow.tflite").write_bytes(slow_model())
        x = np.random.default_rng(2).normal(size=(items, 64)).astype(np.float32)
        np.save(folder / "items.npy", x)
        local = LocalDevice(folder / "local-work", folder / "local.log")
        self.expected = self.answers(local)

    def answers(self, device: Transport) -> npt.NDArray[np.float32]:
        """What a device answers to every item, which it must have counted once."""
        outputs = self.folder / f"outputs-{time.monotonic_ns()}"
        request: dict[str, Any] = {
            "schema": 1,
            "mode": "evaluate",
            "runtime": "litert",
            "processes": 1,
            "batch": 1,
            "models": [
                {"id": "slow", "path": str(self.folder / "slow.tflite"), "outputs": str(outputs)}
            ],
            "inputs": {"t0": str(self.folder / "items.npy")},
            "preprocess": {"scale": 1.0, "offset": 0.0},
        }
        result = device.run(typed(request))
        assert result["models"]["slow"]["items"] == self.items
        (written,) = outputs.glob("*.npy")
        found: npt.NDArray[np.float32] = np.load(written)
        assert found.shape == (self.items, 10)
        return found


def runs_there(server: SshServer) -> bool:
    """Whether a runner is at work on the device."""
    return any("python_runner.py" in command for command in there(server))


@pytest.mark.slow
def test_run_whose_connection_is_killed_three_times_counts_every_item_once(
    server: SshServer, tmp_path: Path
) -> None:
    work, seed = Work(tmp_path, 14_000), random.SystemRandom().randrange(10**6)
    moments = random.Random(seed)
    drops: list[int] = []

    def pull() -> None:
        while len(drops) < 3 and eventually(lambda: runs_there(server)):
            time.sleep(moments.uniform(0.0, 0.5))
            # Between two connections there is none to drop.
            drops.extend([1] if server.drop() else [])

    cable = threading.Thread(target=pull)
    with device_of(server.address(), tmp_path) as device:
        cable.start()
        found = work.answers(device)
        cable.join()
    assert len(drops) == 3, seed
    assert np.array_equal(found, work.expected), seed


@pytest.mark.slow
def test_run_goes_on_after_a_silent_cut(server: SshServer, tmp_path: Path) -> None:
    work, silenced = Work(tmp_path, 4000), []

    def cut() -> None:
        assert eventually(lambda: runs_there(server))
        time.sleep(0.3)
        silenced.append(server.silence())

    cable = threading.Thread(target=cut)
    with device_of(server.address(), tmp_path) as device:
        cable.start()
        found = work.answers(device)
        cable.join()
    assert silenced[0] > 0
    assert np.array_equal(found, work.expected)


@pytest.mark.slow
def test_work_ends_by_itself_where_the_host_is_silent(server: SshServer, tmp_path: Path) -> None:
    """The lease: nobody connects again, and nothing is left to run there."""
    work, lost = Work(tmp_path, 10), []
    np.save(tmp_path / "items.npy", np.zeros((50_000, 64), np.float32))
    work.items = 50_000

    def run() -> None:
        with pytest.raises(DeviceError) as caught:
            work.answers(device)
        lost.append(caught.value)

    thread = threading.Thread(target=run)
    with device_of(server.address(), tmp_path, pauses=(0.1,)) as device:
        thread.start()
        assert eventually(lambda: runs_there(server))
        server.pause()
        server.silence()
        assert eventually(lambda: not runs_there(server), 10 * HASTY.lease)
        server.stop()
        thread.join(60)
        assert not thread.is_alive()
    # Whether the last attempt meets a silent server or one that closes is a race of the two.
    (error,) = lost
    assert error.code in ("EK-DEVICE-045", "EK-DEVICE-048")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Models and data for the command."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "doubler.tflite").write_bytes(probe_model())
    x = (np.arange(40).reshape(10, 4) / 4).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=2 * x)
    (folder / "slow.tflite").write_bytes(slow_model())
    slow = np.random.default_rng(2).normal(size=(30_000, 64)).astype(np.float32)
    np.savez(folder / "slow.npz", x=slow, y=np.zeros((30_000, 10), np.float32))
    return folder


def test_command_evaluates_on_the_device(server: SshServer, project: Path) -> None:
    name = server.address("#litert")
    done = edgekit(
        "evaluate", "doubler.tflite", "--data", "data.npz", "--device", name, "--json", cwd=project
    )
    assert done.returncode == 0, done.stderr
    (model,) = json.loads(done.stdout)["models"]
    assert (model["device"], model["runtime"], model["metric"]["n"]) == (name, "litert", 10)
    assert model["metric"]["value"] == 0.0


@pytest.mark.slow
def test_commands_compare_and_bench_on_the_device(server: SshServer, project: Path) -> None:
    name, model = server.address("#litert"), "doubler.tflite"
    for command in (
        ["compare", model, model, "--data", "data.npz"],
        ["bench", model, "--max-seconds", "1", "--launches", "2", "--no-calibrate"],
    ):
        done = edgekit(*command, "--device", name, "--json", cwd=project)
        assert done.returncode in (0, 4), done.stderr
        assert name in done.stdout


@pytest.mark.slow
def test_device_that_is_not_reached_is_exit_3(server: SshServer, project: Path) -> None:
    server.stop()
    done = edgekit(
        "evaluate",
        "doubler.tflite",
        "--data",
        "data.npz",
        "--device",
        server.address(),
        cwd=project,
    )
    assert done.returncode == 3
    assert "EK-DEVICE-045" in done.stdout + done.stderr
    assert "openssh-server" in done.stdout + done.stderr


def _interruptible() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def started(project: Path, *words: str) -> subprocess.Popen[str]:
    """The command, which Ctrl-C reaches as it does from a terminal."""
    return subprocess.Popen(
        [EDGEKIT, *words],
        cwd=project,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # In the background of a shell it would be ignored.
        preexec_fn=_interruptible,
    )


@pytest.mark.slow
def test_interrupted_command_leaves_nothing_running_there(server: SshServer, project: Path) -> None:
    running = started(
        project, "evaluate", "slow.tflite", "--data", "slow.npz", "--device", server.address()
    )
    assert eventually(lambda: runs_there(server), 60)
    time.sleep(0.5)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130, said
    assert eventually(lambda: not there(server), 5)
    assert not list((server.home / ".edgekit" / "jobs").iterdir())


@pytest.mark.slow
def test_two_commands_on_one_device_take_turns(server: SshServer, project: Path) -> None:
    words = ["evaluate", "slow.tflite", "--data", "slow.npz", "--limit", "6000", "--json"]
    for name in "ab":
        shutil.copytree(project, project / name, ignore=shutil.ignore_patterns("a", "b"))
    pair = [started(project / name, *words, "--device", server.address()) for name in "ab"]
    ends = [one.communicate(timeout=120) for one in pair]
    assert [one.returncode for one in pair] == [0, 0], ends
    models = [json.loads(out)["models"][0] for out, _ in ends]
    assert [one["metric"]["n"] for one in models] == [6000, 6000]
    assert models[0]["metric"] == models[1]["metric"]
