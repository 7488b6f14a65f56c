"""The sandbox of what opens a model: a program that tries every way out finds none."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from conftest import answer
from edgekit import doctor
from edgekit.errors import RunnerError
from edgekit.sandbox import Sandbox, landlock, state
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Request, RunnerModel, Status

HERE = "sandbox" if state().abi >= landlock.SCOPES_SINCE else ""
sandboxed = pytest.mark.skipif(not HERE, reason="this kernel has no Landlock, or an old one")

# A program that tries what its argument says, and says what came of each.
TRIES = """
import json, os, pathlib, shutil, signal, socket, subprocess, sys

def connect(port):
    with socket.create_connection(("127.0.0.1", port), 5):
        return True

def bind():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))

secret, outside, inside, port, parent = json.loads(sys.argv[1])
ways = {
    "read": lambda: open(secret).read(),
    "read by a child": lambda: subprocess.run(["cat", secret], check=True, capture_output=True),
    "list": lambda: os.listdir(os.path.dirname(secret)),
    "write": lambda: open(outside + "/new", "w").write("x"),
    "append": lambda: open(secret, "a").write("x"),
    "empty": lambda: os.truncate(secret, 0),
    "remove": lambda: os.remove(secret),
    "folder": lambda: os.mkdir(outside + "/folder"),
    "link": lambda: os.symlink("/", outside + "/link"),
    "hard link": lambda: os.link(secret, inside + "/link"),
    "move in": lambda: os.rename(secret, inside + "/moved"),
    "move out": lambda: (open(inside + "/a", "w"), os.rename(inside + "/a", outside + "/a")),
    "through a link": lambda: (os.symlink(secret, inside + "/way"), open(inside + "/way").read()),
    "home": lambda: os.listdir(os.path.expanduser("~")),
    "passwords": lambda: open("/etc/passwd").read(),
    "shared memory": lambda: __import__("multiprocessing").Lock(),
    "connect": lambda: connect(port),
    "bind": bind,
    "signal": lambda: os.kill(parent, 0),
    "environment": lambda: open(f"/proc/{parent}/environ").read(),
    "memory": lambda: open(f"/proc/{parent}/mem", "rb").read(1),
    "own folder": lambda: (open(inside + "/own", "w").write("x"), open(inside + "/own").read()),
    "own facts": lambda: (open("/proc/self/status").read(), os.listdir("/sys/devices/system/cpu")),
    "null": lambda: open("/dev/null", "w").write("x"),
    "numpy": lambda: __import__("numpy").ones(1),
    "child": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
}
found = {}
for name, way in ways.items():
    try:
        way()
        found[name] = "done"
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""
INSIDE = ("own folder", "own facts", "null", "numpy", "child")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a secret in it, and a folder of one's own."""
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "private").mkdir()
    (folder / "own").mkdir()
    (folder / "private" / "secret").write_text("0123456789abcdef")
    return folder


@pytest.fixture(scope="module")
def listening() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def tried(place: Path, port: int, wrap: Callable[[list[str]], list[str]]) -> dict[str, str]:
    private = place / "private"
    told = [str(private / "secret"), str(private), str(place / "own"), port, os.getpid()]
    done = subprocess.run(
        wrap([sys.executable, "-c", TRIES, json.dumps(told)]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def outcomes(place: Path, listening: int) -> dict[str, str]:
    """What came of every try in the sandbox."""
    return tried(place, listening, Sandbox(write=(place / "own",)).command)


@sandboxed
@pytest.mark.parametrize("name", INSIDE)
def test_what_a_program_needs_works_in_the_sandbox(outcomes: dict[str, str], name: str) -> None:
    assert outcomes[name] == "done"


@sandboxed
def test_nothing_else_works_in_the_sandbox(outcomes: dict[str, str], place: Path) -> None:
    others = {name: said for name, said in outcomes.items() if name not in INSIDE}
    assert len(others) > 20
    assert {name: said for name, said in others.items() if said == "done"} == {}
    secret = place / "private" / "secret"
    assert secret.read_text() == "0123456789abcdef"
    assert [one.name for one in secret.parent.iterdir()] == ["secret"]
    assert "Permission denied" in outcomes["connect"]


@sandboxed
def test_ports_that_are_named_are_open_and_no_others(place: Path, listening: int) -> None:
    code = """
import socket, sys
for port in map(int, sys.argv[1:]):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        print("connected")
    except PermissionError:
        print("refused")
with socket.socket() as free:
    try:
        free.bind(("127.0.0.1", 0))
        print("bound")
    except PermissionError:
        print("refused")
"""
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = [str(listening), str(other.getsockname()[1])]
        command = Sandbox(ports=(listening,)).command([sys.executable, "-c", code, *ports])
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["connected", "refused", "refused"]


def test_the_same_works_without_a_sandbox(place: Path, listening: int, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "private" / "secret").write_text("0123456789abcdef")
    found = tried(tmp_path, listening, list)
    # What takes the file away leaves nothing to the next.
    for name in ("read", "list", "write", "empty", "connect", "bind", "signal", "home"):
        assert found[name] == "done", name


@sandboxed
def test_link_that_was_given_leads_where_it_leads(place: Path) -> None:
    given = place / "given"
    given.symlink_to(place / "private" / "secret")
    command = Sandbox((given,)).command(
        [sys.executable, "-c", f"print(open({str(given)!r}).read())"]
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "0123456789abcdef", done.stderr


@pytest.mark.parametrize(
    ("version", "absent"),
    [(1, landlock.REFER), (2, landlock.TRUNCATE), (4, landlock.IOCTL_DEV), (5, 0)],
)
def test_rights_are_those_that_the_kernel_knows(version: int, absent: int) -> None:
    every = landlock.RIGHTS["write"] | landlock.RIGHTS["devices"]
    known = landlock._known(every, version)
    assert not known & absent
    assert known & landlock.WRITE_FILE


@sandboxed
@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_older_kernels_take_the_rules_of_their_own_interface(place: Path, version: int) -> None:
    # The kernel refuses what an interface does not have, not what a newer one has besides.
    body = (
        f"import sys; sys.path.insert(0, {str(Path(landlock.__file__).parent)!r}); import landlock;"
        f" landlock.abi = lambda: {version};"
        f" landlock.restrict({{'run': ['/usr', '/lib', '/lib64', sys.base_prefix]}});"
        f" open({str(place / 'private' / 'secret')!r})"
    )
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr


def request(folder: Path) -> Request:
    """The probe on three items."""
    (folder / "probe.tflite").write_bytes(probe_model())
    np.save(folder / "x.npy", np.ones((3, 4), np.float32))
    model = RunnerModel("tiny", folder / "probe.tflite", outputs=folder / "out")
    inputs = {"x": folder / "x.npy"}
    return Request("evaluate", (model,), inputs, runtime="planted", processes=1)


RUNNER = """
import json, sys
from pathlib import Path
request = json.loads(Path(sys.argv[1]).read_text())
for path in (request["models"][0]["path"], request["inputs"]["x"]):
    assert Path(path).read_bytes()
Path(request["models"][0]["outputs"], "y.npy").write_bytes(b"own")
try:
    {action}
    result = {{"models": {{}}}}
except Exception as error:
    result = {{"error": {{"kind": "failed", "message": f"{{type(error).__name__}}: {{error}}"}}}}
Path(sys.argv[2]).write_text(json.dumps(result))
"""


@sandboxed
@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("open({secret!r}).read()", "a runner may not read or write {secret}"),
        ("open({new!r}, 'w')", "a runner may not read or write {new}"),
        ("open(request['models'][0]['path'], 'a')", "a runner may not write to {model}"),
        ("open({code!r}, 'w')", "a runner may not write to {code}"),
    ],
)
def test_error_names_what_a_runner_may_not_reach(
    place: Path, tmp_path: Path, action: str, said: str
) -> None:
    private = place / "private"
    words = {
        "secret": str(private / "secret"),
        "new": str(private / "new"),
        "model": str(tmp_path / "probe.tflite"),
        "code": str(tmp_path / "code" / "new.py"),
    }
    runner = tmp_path / "code" / "planted_runner.py"
    runner.parent.mkdir()
    runner.write_text(RUNNER.format(action=action.format(**words)))
    device = LocalDevice(tmp_path / "requests", tmp_path / "log.txt", runners={"planted": runner})
    with pytest.raises(RunnerError) as caught:
        device._run(request(tmp_path), None)
    assert caught.value.code == "EK-RUNNER-008"
    assert caught.value.message.startswith(said.format(**words))
    assert "docs/safety.md" in caught.value.hint
    assert (tmp_path / "out" / "y.npy").read_bytes() == b"own"
    assert not (private / "new").exists()


def missing(number: int) -> Callable[[], int]:
    def abi() -> int:
        raise OSError(number, os.strerror(number))

    return abi


@pytest.mark.parametrize(
    ("planted", "reason", "opens"),
    [
        (missing(errno.EOPNOTSUPP), "Landlock is disabled in this kernel", "read and write"),
        (missing(errno.ENOSYS), "has no Landlock", "read and write"),
        (missing(errno.EPERM), "Landlock is refused here", "read and write"),
        (lambda: 3, "ABI 3, which does not restrict TCP", "files are protected"),
        (lambda: 2, "ABI 2, which does not restrict TCP", "empty your files"),
    ],
)
def test_missing_sandbox_is_said_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, planted: Callable[[], int], reason: str, opens: str
) -> None:
    monkeypatch.setattr(landlock, "abi", planted)
    found = state()
    assert reason in found.reason
    assert opens in found.open
    assert found.fix
    line = doctor._sandbox()
    assert line.status is Status.UNAVAILABLE
    assert not line.needed
    assert reason in line.message
    assert opens in line.message


@pytest.mark.parametrize("switch", [True, False])
def test_run_without_a_sandbox_carries_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: bool
) -> None:
    environment = {"EDGEKIT_SANDBOX": "off"} if switch else {}
    if not switch:
        monkeypatch.setattr(landlock, "abi", missing(errno.EOPNOTSUPP))
    (tmp_path / "probe.tflite").write_bytes(probe_model())
    x = np.arange(80, dtype=np.float32).reshape(20, 4)
    np.savez(tmp_path / "items.npz", x=x, y=2 * x)
    done = answer(
        "evaluate",
        "probe.tflite",
        "--data",
        "items.npz",
        "--metric",
        "mse",
        "--json",
        cwd=tmp_path,
        **environment,
    )
    assert done.returncode == 0, done.stderr
    notes = [one for one in json.loads(done.stdout)["advice"] if one["code"] == "EK-NOTE-095"]
    (note,) = notes
    assert ("EDGEKIT_SANDBOX=off" if switch else "Landlock is disabled") in note["message"]


@sandboxed
def test_doctor_says_which_landlock_there_is() -> None:
    assert doctor._sandbox().status is Status.PASSED
    assert doctor._sandbox().version == f"Landlock ABI {landlock.abi()}"
