"""The agent on a device: found and started there, files whole or resumed, turns, and its end."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from shells import Shell, faulty

from edgekit.errors import ConnectionLost, DeviceError
from edgekit.targets.devices.remote.client import Agent
from edgekit.targets.devices.remote.wire import AGENT, Pace
from edgekit.types import Silent

QUICK = Pace(beat=0.2, silence=1.5, lease=1.5, start=10)
MEGABYTE = 1 << 20
Connect = Callable[..., Agent]


class Listening(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def update(self, done: float, total: float, text: str) -> None:
        self.told.append(text)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """Agents that are closed in the end."""
    opened: list[Agent] = []

    def opening(shell: Shell, progress: Listening | None = None, pace: Pace = QUICK) -> Agent:
        agent = Agent(shell, tmp_path / "log.txt", progress, pace, (0.05, 0.2, 0.5))
        opened.append(agent)
        return agent

    yield opening
    for agent in opened:
        agent.close()


def payload(folder: Path, size: int, name: str = "file.bin") -> Path:
    path = folder / name
    path.write_bytes(os.urandom(size))
    return path


def stored(agent: Agent) -> list[str]:
    """Names of the pushed files there, finished and not."""
    return sorted(path.name for path in Path(agent.hello["folder"], "files").glob("*"))


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether a process ends within seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_hello_says_what_the_device_has_and_leaves_nothing_there(
    home: Path, connect: Connect
) -> None:
    hello = connect(Shell(home)).hello
    assert hello["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert hello["machine"] == os.uname().machine
    assert hello["packages"]["numpy"]
    assert hello["home"] == str(home)
    assert hello["folder"] == str(home / ".cache" / "edgekit")
    assert hello["libc"][0] in ("glibc", "musl")
    assert list(home.rglob("*")) == []


def test_agent_imports_no_package_and_nothing_of_edgekit(tmp_path: Path) -> None:
    shutil.copytree(AGENT, tmp_path / "alone", ignore=shutil.ignore_patterns("__pycache__"))
    modules = sorted(p.stem for p in AGENT.glob("*.py") if p.stem not in ("boot", "__init__"))
    script = f"""
import importlib, sys
for name in {modules}: importlib.import_module("alone." + name)
print([name for name in ("edgekit", "numpy", "psutil") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "before",
    ["echo hello; ", "printf '\\n\\nno line end'; ", "head -c 300000 /dev/zero; ", "cd /; "],
    ids=["line", "open line", "much", "another folder"],
)
def test_noise_of_a_login_is_left_out(home: Path, connect: Connect, before: str) -> None:
    assert connect(Shell(home, before=before)).call("about.core") is not None


def test_noise_without_an_end_is_an_error_that_shows_it(home: Path, connect: Connect) -> None:
    with pytest.raises(DeviceError) as caught:
        connect(Shell(home, before="while echo welcome to the board; do :; done; "))
    assert caught.value.code == "EK-DEVICE-034"
    assert "welcome to the board" in caught.value.hint


def test_device_that_never_answers_is_given_up(home: Path, connect: Connect) -> None:
    with pytest.raises(DeviceError) as caught:
        connect(Shell(home, before="sleep 30; "), pace=Pace(0.2, 1.5, 1.5, start=1.0))
    assert "fell silent" in caught.value.message


def old_python(folder: Path) -> Path:
    """A folder with a Python that says it is 3.7, and the tools of the system."""
    folder.mkdir()
    broken = folder / "python3.13"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    for name in ("uname", "sh"):
        (folder / name).symlink_to(str(shutil.which(name)))
    old = folder / "python3"
    old.write_text("#!/bin/sh\n[ $1 = -V ] && echo Python 3.7.3 && exit\nexit 97\n")
    old.chmod(0o755)
    return folder


@pytest.mark.parametrize("version", ["none", "old"])
def test_device_without_a_python_is_an_error_that_says_what_is_there(
    home: Path, tmp_path: Path, connect: Connect, version: str
) -> None:
    tools = old_python(tmp_path / "tools")
    if version == "none":
        (tools / "python3").unlink()
    with pytest.raises(DeviceError) as caught:
        connect(Shell(home, path=str(tools)))
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-031", 3)
    assert os.uname().machine in caught.value.message
    assert ("Python 3.7.3" in caught.value.message) == (version == "old")
    assert caught.value.hint


def test_python_off_the_path_is_found_where_the_connection_says(
    home: Path, tmp_path: Path, connect: Connect
) -> None:
    shell = Shell(home, path=str(old_python(tmp_path / "tools")), pythons=(sys.executable,))
    assert connect(shell).hello["executable"] == sys.executable


def test_agent_runs_on_the_oldest_python(home: Path, tmp_path: Path, connect: Connect) -> None:
    found = subprocess.run(
        ["sh", "-c", "python3.9 -c 'import sys; print(sys.executable)'"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    if not found:
        pytest.skip("needs python3.9 on the PATH")
    agent = connect(Shell(home, path=str(old_python(tmp_path / "tools")), pythons=(found,)))
    agent.occupy()
    path = payload(tmp_path, 10)
    assert Path(agent.push([path])[path]).read_bytes() == path.read_bytes()
    assert agent.hello["python"].startswith("3.9.")


@pytest.mark.skipif(not shutil.which("busybox"), reason="needs the Debian package busybox")
def test_busybox_is_enough(home: Path, tmp_path: Path, connect: Connect) -> None:
    applets = tmp_path / "applets"
    applets.mkdir()
    subprocess.run([str(shutil.which("busybox")), "--install", "-s", str(applets)], check=True)
    (applets / "python3").symlink_to(sys.executable)
    shell = Shell(home, shell=(str(applets / "sh"),), path=str(applets))  # noqa: S604
    path = payload(tmp_path, 1000)
    assert Path(connect(shell).push([path])[path]).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["Müllers Dateien/edge kit", "/{home}/new/absolute 'one'"])
def test_push_keeps_files_whole_in_a_private_folder_of_any_name(
    home: Path, tmp_path: Path, connect: Connect, name: str
) -> None:
    agent = connect(Shell(home, folder=name.replace("/{home}", str(home))))
    path, empty = payload(tmp_path, 3 * MEGABYTE + 5), payload(tmp_path, 0, "empty")
    there = agent.push([path, empty])
    for one in (path, empty):
        assert Path(there[one]).read_bytes() == one.read_bytes()
    assert stat.S_IMODE(Path(agent.hello["folder"]).stat().st_mode) == 0o700


def test_folder_that_holds_other_things_gets_a_folder_of_edgekit(
    home: Path, tmp_path: Path, connect: Connect
) -> None:
    (home / "mine").write_text("mine")
    path = payload(tmp_path, 10)
    there = connect(Shell(home, folder=str(home))).push([path])
    assert Path(there[path]).parent == home / "edgekit" / "files"


def test_unchanged_file_is_not_sent_again(home: Path, tmp_path: Path, connect: Connect) -> None:
    path, listening = payload(tmp_path, MEGABYTE), Listening()
    connect(Shell(home), listening).push([path])
    connect(Shell(home), listening).push([path])
    assert len([text for text in listening.told if text.startswith("sending")]) == 1


def test_file_that_was_damaged_there_is_sent_again(
    home: Path, tmp_path: Path, connect: Connect
) -> None:
    path, listening = payload(tmp_path, MEGABYTE), Listening()
    there = Path(connect(Shell(home), listening).push([path])[path])
    there.write_bytes(bytes(MEGABYTE))
    connect(Shell(home), listening).push([path])
    assert there.read_bytes() == path.read_bytes()
    assert len([text for text in listening.told if text.startswith("sending")]) == 2


def test_file_that_is_damaged_on_its_way_is_never_kept(
    home: Path, tmp_path: Path, connect: Connect
) -> None:
    agent, path = connect(Shell(home)), payload(tmp_path, MEGABYTE)
    agent.digests.of = lambda _: "0" * 64  # type: ignore[method-assign]
    with pytest.raises(DeviceError) as caught:
        agent.push([path])
    assert caught.value.code == "EK-DEVICE-035"
    assert stored(agent) == []


@pytest.mark.parametrize("how", ["kill", "agent", pytest.param("silent", marks=pytest.mark.slow)])
def test_push_goes_on_at_the_byte_where_it_broke(
    home: Path, tmp_path: Path, connect: Connect, how: str
) -> None:
    path, listening = payload(tmp_path, 6 * MEGABYTE), Listening()
    agent = connect(faulty(home, f"in {5 * MEGABYTE} {how}"), listening)
    there = agent.push([path])
    assert Path(there[path]).read_bytes() == path.read_bytes()
    sent = [text for text in listening.told if text.startswith("sending")]
    megabytes = [float(text.split()[1]) for text in sent]
    # What has arrived and is not written yet is lost with the agent: on a busy disk most of it.
    assert (len(megabytes), megabytes[0]) == (2, 6.3)
    assert megabytes[1] < megabytes[0]
    assert stored(agent) == sorted([Path(there[path]).name, Path(there[path]).name + ".checked"])


def test_device_that_stays_away_is_an_error_after_some_attempts(
    home: Path, tmp_path: Path, connect: Connect
) -> None:
    agent = connect(faulty(home, f"in {MEGABYTE} kill", *["in 10 kill"] * 9))
    with pytest.raises(DeviceError) as caught:
        agent.push([payload(tmp_path, 3 * MEGABYTE)])
    assert not isinstance(caught.value, ConnectionLost)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("fault", ["read-only", "denied"])
def test_folder_that_cannot_be_written_is_an_error_that_says_what_to_do(
    home: Path, tmp_path: Path, connect: Connect, fault: str
) -> None:
    through: tuple[str, ...] = ()
    if fault == "read-only":
        if os.geteuid() or not shutil.which("unshare"):
            pytest.skip("only root can mount a file system read-only")
        script = 'mount --bind "$HOME" "$HOME" && mount -o remount,ro,bind "$HOME" && exec "$@"'
        through = ("unshare", "-m", "sh", "-c", script, "sh")
    elif os.geteuid() == 0:
        for folder in (home, *home.parents):
            if folder.stat().st_mode & 0o005 != 0o005 and folder != home:
                folder.chmod(folder.stat().st_mode | 0o055)
        home.chmod(0o555)
        through = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    else:
        home.chmod(0o555)
    with pytest.raises(DeviceError) as caught:
        connect(Shell(home, through=through)).push([payload(tmp_path, 10)])
    home.chmod(0o755)
    assert caught.value.code == "EK-DEVICE-033"
    assert str(home) in caught.value.message
    assert "another folder at the end of the address" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_full_disk_is_an_error_that_leaves_nothing_behind(
    home: Path, tmp_path: Path, connect: Connect
) -> None:
    script = 'mount -t tmpfs -o size=2m none "$HOME" && exec "$@"'
    agent = connect(Shell(home, through=("unshare", "-m", "sh", "-c", script, "sh")))
    with pytest.raises(DeviceError) as caught:
        agent.push([payload(tmp_path, 3 * MEGABYTE)])
    assert caught.value.code == "EK-DEVICE-033"
    assert "full" in caught.value.hint
    assert ".part" in caught.value.message
    small = payload(tmp_path, MEGABYTE, "small")
    assert agent.push([small])[small]


def test_two_hosts_take_turns_and_the_second_is_told_who_has_it(
    home: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, listening = connect(Shell(home)), Listening()
    first.occupy()
    second = connect(Shell(home), listening)
    monkeypatch.setattr("edgekit.targets.devices.remote.turn.KEY", "another host's")
    waiting = threading.Thread(target=second.occupy, daemon=True)
    waiting.start()
    waiting.join(1.0)
    assert waiting.is_alive()
    assert "who has used" in listening.told[-1]
    assert f"process {os.getpid()}" in listening.told[-1]
    first.close()
    waiting.join(3.0)
    assert not waiting.is_alive()


def test_lock_of_a_connection_that_was_lost_from_sight_is_taken_over(
    home: Path, connect: Connect
) -> None:
    lost = connect(Shell(home))
    lost.occupy()
    listening = Listening()
    connect(Shell(home), listening).occupy()
    assert not any("waiting for" in said for said in listening.told)
    assert gone(lost.hello["pid"])


def test_agent_ends_when_the_host_is_killed(home: Path, tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from shells import Shell
from edgekit.targets.devices.remote.client import Agent
agent = Agent(Shell(Path({str(home)!r})), Path({str(tmp_path / "log.txt")!r}))
print(agent.hello["pid"], flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        assert not gone(pid, 0.5)
        host.kill()
        assert gone(pid)


def test_agent_ends_by_itself_when_it_hears_nothing_for_its_lease(
    home: Path, connect: Connect
) -> None:
    agent = connect(faulty(home, "time 1 silent"))
    assert gone(agent.hello["pid"], 6)


def test_error_inside_the_agent_is_told_with_its_place(home: Path, connect: Connect) -> None:
    with pytest.raises(DeviceError) as caught:
        connect(Shell(home)).call("files.missing", files=3)
    assert caught.value.code == "EK-DEVICE-034"
    assert "AttributeError" in caught.value.message
    assert "files" in caught.value.hint


def test_clock_that_is_wrong_by_years_changes_nothing(
    home: Path, tmp_path: Path, connect: Connect
) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(
        "import time\nreal = time.time\ntime.time = lambda: real() - 30 * 365 * 86400\n"
    )
    agent = connect(Shell(home, variables={"PYTHONPATH": str(planted)}))
    path = payload(tmp_path, 10)
    there = Path(agent.push([path])[path])
    os.utime(there, (0, 0))
    agent.occupy()
    assert json.loads((Path(agent.hello["folder"]) / "lock").read_text())["since"] > 0
    assert connect(Shell(home)).push([path])[path] == str(there)
    assert there.read_bytes() == path.read_bytes()
