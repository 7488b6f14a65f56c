"""Runtimes on a device that has none: pushed, proven, found again, and gone without a trace.

The device is a shell on this machine with a home folder and a Python of its own, which has no
packages. The wheels are written here; what is in them is this Python's own.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from shells import Shell
from wheel_files import litert, numpy, tflite_runtime, wheel

from conftest import once
from edgekit.cli.devices import command
from edgekit.errors import DeviceError
from edgekit.process import Limits
from edgekit.targets.devices import DeviceName, Workplace, addressed, transports
from edgekit.targets.devices.remote import environment
from edgekit.targets.devices.remote.client import Agent, Refusal
from edgekit.types import Status

ADDRESS = "ssh://tester@here"
# A small disk, in a mount namespace of its own.
MOUNT = """
mkdir -p "$HOME/.cache"
mount -t tmpfs -o size=9m none "$HOME/.cache" || { echo planted: no namespaces >&2; exit 1; }
exec "$@"
"""
NAMESPACE = ("unshare", "-Urm", "sh", "-c", MOUNT, "sh")
MINOR = f"py{sys.version_info[0]}.{sys.version_info[1]}"
LITERT = f"ai-edge-litert-9.9.1-{MINOR}"


@dataclass
class Told:
    """A :class:`Progress` that keeps what it was told."""

    stages: list[str] = field(default_factory=list)

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def update(self, done: float, total: float, text: str) -> None:
        """Only stages are kept."""


@pytest.fixture(scope="session")
def bare(shared: Path) -> Path:
    """The folder of a Python without any packages."""

    def make(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)

    return once(shared / "bare-python", make) / "venv" / "bin"


@pytest.fixture(scope="session")
def wheels(shared: Path) -> Path:
    """A folder of wheels: LiteRT and numpy."""

    def make(folder: Path) -> None:
        litert(folder, "9.9.1")
        numpy(folder, "9.9.9")

    return once(shared / "device-wheels", make)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A device's home folder, with a blank and a file of its own."""
    folder = tmp_path / "a home"
    folder.mkdir()
    (folder / "own.txt").write_text("own")
    return folder


@pytest.fixture
def shell(home: Path, bare: Path) -> Shell:
    return Shell(home, path=f"{bare}:/usr/bin:/bin")


@pytest.fixture
def agent(shell: Shell, tmp_path: Path) -> Iterator[Agent]:
    with contextlib.closing(Agent(shell, tmp_path / "log.txt")) as agent:
        yield agent


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    (tmp_path / "work").mkdir()
    return Workplace(tmp_path / "work", tmp_path / "log.txt", Limits(60.0), Told())


def asked(runtime: str = "", package: str = "", version: str = "") -> DeviceName:
    wanted = f"{package}=={version}" if package else runtime
    text = f"{ADDRESS}#{wanted}" if wanted else ADDRESS
    return DeviceName(text, "ssh", runtime, package, version, ADDRESS)


def told(place: Workplace) -> str:
    """The stages that a workplace was told of."""
    assert isinstance(place.progress, Told)
    return "\n".join(place.progress.stages)


def listing(home: Path) -> dict[str, bytes]:
    found = sorted(home.rglob("*"))
    return {str(p.relative_to(home)): p.read_bytes() if p.is_file() else b"" for p in found}


def test_runtime_is_pushed_once_found_again_and_removed_without_a_trace(
    agent: Agent, home: Path, place: Workplace, wheels: Path
) -> None:
    before = listing(home)
    made = environment.prepare(agent, asked(), place, wheels)
    site = home / ".cache/edgekit/environments" / LITERT / "site"
    assert (made.runtime, made.version, made.path) == ("litert", "9.9.1", (str(site),))
    assert "running a model on litert 9.9.1" in told(place)
    assert (site / "numpy-9.9.9.dist-info/METADATA").is_file()
    # Python has compiled what a runner imports: its next start is not timed with it.
    assert list(site.glob("ai_edge_litert/__pycache__/*.pyc"))
    files = home / ".cache/edgekit/files"
    assert not [path for path in files.iterdir() if zipfile.is_zipfile(path)]

    quiet = replace(place, progress=Told())
    for name in (asked(), asked("litert"), asked("litert", "ai-edge-litert", "9.9.1")):
        assert environment.prepare(agent, name, quiet, Path("nowhere")) == made
    assert not told(quiet)

    (found,) = addressed.survey(agent, asked(), place)
    assert (found.name, found.status) == (f"{ADDRESS}#ai-edge-litert==9.9.1", Status.PASSED)
    assert (found.version, found.environment) == ("9.9.1", str(site.parent))

    assert addressed.clear(agent, asked()) == str(home / ".cache/edgekit")
    assert listing(home) == before


def test_runtime_that_crashes_there_makes_room_for_the_next(
    agent: Agent, home: Path, place: Workplace, tmp_path: Path
) -> None:
    folder = tmp_path / "wheels"
    litert(folder, "9.9.2", crashes=True)
    tflite_runtime(folder, "9.9.3")
    numpy(folder, "1.99.9")
    made = environment.prepare(agent, asked(), place, folder)
    assert (made.runtime, made.version) == ("tflite-runtime", "9.9.3")
    assert "litert runner was ended by SIGSEGV" in told(place)
    left = home / ".cache/edgekit/environments"
    assert [path.name for path in left.iterdir()] == [f"tflite-runtime-9.9.3-{MINOR}"]
    with pytest.raises(DeviceError) as caught:
        environment.prepare(agent, asked("litert"), place, folder)
    assert caught.value.code == "EK-DEVICE-050"
    assert "SIGSEGV" in caught.value.hint
    assert [path.name for path in left.iterdir()] == [f"tflite-runtime-9.9.3-{MINOR}"]


def test_device_for_which_nothing_fits_is_told_every_reason(
    agent: Agent, home: Path, place: Workplace, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DeviceError) as caught:
        environment.prepare(agent, asked(), place, tmp_path / "empty")
    assert caught.value.code == "EK-DEVICE-050"
    for package in ("ai-edge-litert", "tflite-runtime"):
        assert f"holds no {package} for Python" in caught.value.hint


def test_what_a_device_has_of_its_own_is_used(
    home: Path, bare: Path, place: Workplace, tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    for path in (litert(tmp_path, "9.9.4"), numpy(tmp_path, "9.9.8")):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    own = Shell(home, path=f"{bare}:/usr/bin:/bin", variables={"PYTHONPATH": str(folder)})
    with contextlib.closing(Agent(own, tmp_path / "log.txt")) as agent:
        made = environment.prepare(agent, asked(), place, Path("nowhere"))
        assert (made.version, made.path) == ("9.9.4", ())
        (found,) = environment.environments(agent)
        assert (found.name, found.proven) == (f"own-ai-edge-litert-9.9.4-{MINOR}", ("litert",))


@pytest.mark.parametrize(
    ("changed", "holds"),
    [
        ({}, True),
        ({"python": "3.11.9"}, True),
        ({"python": "3.12.1"}, False),
        ({"machine": "armv7l"}, False),
        ({"packages": {"numpy": "2.0.0"}}, False),
        ({"packages": {}}, False),
    ],
)
def test_stamp_holds_for_what_was_proven(changed: dict[str, Any], holds: bool) -> None:
    hello = {"python": "3.11.2", "machine": "aarch64", "packages": {"numpy": "1.24.2"}}
    stamp = {
        "package": "tflite-runtime",
        "version": "2.14.0",
        "path": ["/site"],
        "numpy": "1.24.2",
        "python": "3.11.2",
        "machine": "aarch64",
    }
    assert environment.holds(stamp, {**hello, **changed}) is holds
    assert not environment.holds({}, hello)


HARMLESS = {"module.py": "x = 1\n"}


def planted(folder: Path, fault: str) -> Path:
    """A wheel with a fault."""
    if fault == "changed":
        return wheel(folder, "planted", "1", HARMLESS, record={"module.py": "sha256=AAAA"})
    if fault == "unrecorded":
        return wheel(folder, "planted", "1", HARMLESS, record={"module.py": ""})
    if fault == "weak":
        return wheel(folder, "planted", "1", HARMLESS, record={"module.py": "md5=AAAA"})
    if fault == "outside":
        return wheel(folder, "planted", "1", {"../../outside.py": ""})
    if fault == "absolute":
        return wheel(folder, "planted", "1", {"/tmp/edgekit-planted.py": ""})  # noqa: S108
    path = wheel(folder, "planted", "1", HARMLESS)
    if fault == "link":
        with zipfile.ZipFile(path, "a") as archive:
            link = zipfile.ZipInfo("link")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
    elif fault == "short":
        path.write_bytes(path.read_bytes()[:-40])
    elif fault == "flipped":
        data = bytearray(path.read_bytes())
        data[data.index(b"module.py") + len("module.py") + 1] ^= 0xFF
        path.write_bytes(data)
    elif fault == "newer":
        # The version of zip that a member needs, in the archive's directory.
        data = bytearray(path.read_bytes())
        data[data.index(b"PK\x01\x02") + 6] = 99
        path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory, bare: Path) -> Iterator[tuple[Agent, Path]]:
    """An agent for all faults, and its home folder."""
    home = tmp_path_factory.mktemp("home")
    with contextlib.closing(
        Agent(Shell(home, path=f"{bare}:/usr/bin:/bin"), home / "log")
    ) as agent:
        yield agent, home


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("changed", "'module.py' is not what its RECORD says"),
        ("unrecorded", "its RECORD does not vouch for 'module.py'"),
        ("weak", "by md5, which is not trusted"),
        ("outside", "would write outside its folder: '../../outside.py'"),
        ("absolute", "would write outside its folder"),
        ("link", "'link' is neither a file nor a folder"),
        ("short", "planted-1-py3-none-any.whl is damaged"),
        ("flipped", "planted-1-py3-none-any.whl is damaged"),
        ("newer", "planted-1-py3-none-any.whl is damaged"),
    ],
)
def test_wheel_that_is_unsafe_or_damaged_is_refused_and_leaves_nothing(
    device: tuple[Agent, Path], tmp_path: Path, fault: str, said: str
) -> None:
    agent, home = device
    path = planted(tmp_path, fault)
    (there,) = agent.push([path]).values()
    with pytest.raises(Refusal, match="planted-1") as caught:
        agent.call("environments.make", name="planted-1", wheels={path.name: there})
    assert caught.value.kind == "wheel"
    assert said in caught.value.message
    assert list((home / ".cache/edgekit/environments").iterdir()) == []
    assert not list(home.rglob("outside.py"))
    assert not Path("/tmp/edgekit-planted.py").exists()  # noqa: S108


def test_damaged_wheel_is_an_error_that_says_to_fetch_it_anew(
    agent: Agent, home: Path, place: Workplace, tmp_path: Path
) -> None:
    folder = tmp_path / "wheels"
    numpy(folder, "9.9.9")
    wheel(folder, "ai-edge-litert", "9.9.5", HARMLESS, record={"module.py": "sha256=AAAA"})
    with pytest.raises(DeviceError) as caught:
        environment.prepare(agent, asked("litert"), place, folder)
    assert caught.value.code == "EK-DEVICE-053"
    assert "is not what its RECORD says" in caught.value.message
    assert list((home / ".cache/edgekit/environments").iterdir()) == []
    assert list((home / ".cache/edgekit/files").iterdir()) == []


def test_parts_of_a_wheel_that_run_no_model_stay_out(
    device: tuple[Agent, Path], tmp_path: Path
) -> None:
    agent, _ = device
    files = {
        "pure/a.py": "",
        "some-1.data/platlib/native/b.so": "b",
        "some-1.data/purelib/c.py": "c",
        "some-1.data/scripts/d": "d",
        "some-1.data/headers/e.h": "e",
    }
    path = wheel(tmp_path, "some", "1", files)
    (there,) = agent.push([path]).values()
    made = agent.call("environments.make", name="some-1", wheels={path.name: there})
    found = {str(p.relative_to(made["site"])) for p in Path(made["site"]).rglob("*.[psh]*")}
    assert {"pure/a.py", "native/b.so", "c.py"} <= found
    assert not {name for name in found if name.endswith((".h", "/d"))}
    assert agent.call("environments.remove", name="some-1")["removed"]


def test_half_made_environment_is_none_and_is_made_anew(
    device: tuple[Agent, Path], tmp_path: Path
) -> None:
    agent, home = device
    folder = home / ".cache/edgekit/environments"
    # What was killed before the rename, and before the stamp.
    (folder / "half-1.part-999999999" / "site").mkdir(parents=True)
    (folder / "half-1" / "site").mkdir(parents=True)
    (folder / "half-1" / "site" / "stale.py").write_text("")
    assert agent.call("environments.made")["environments"] == []
    path = wheel(tmp_path, "half", "1", HARMLESS)
    (there,) = agent.push([path]).values()
    made = agent.call("environments.make", name="half-1", wheels={path.name: there})
    assert not (Path(made["site"]) / "stale.py").exists()
    assert [one.name for one in folder.iterdir()] == ["half-1"]
    agent.call("environments.stamp", name="half-1", facts={"package": "half"})
    (found,) = agent.call("environments.made")["environments"]
    assert (found["name"], found["package"]) == ("half-1", "half")
    assert agent.call("environments.remove", name="half-1")["removed"]
    assert not agent.call("environments.remove", name="half-1")["removed"]


@pytest.mark.parametrize(
    ("through", "before", "said"),
    [
        # A disk of 9 MB, of which 8 are to stay free; a disk that takes no file of 200 kB.
        (NAMESPACE, "", "MB are needed"),
        ((), "ulimit -f 400; ", "File too large"),
    ],
)
def test_disk_that_does_not_take_an_environment_is_left_as_it_was(
    shell: Shell, home: Path, tmp_path: Path, through: tuple[str, ...], before: str, said: str
) -> None:
    if through and subprocess.run([*through, "true"], env=shell.environment()).returncode:
        pytest.skip("this kernel gives a user no mount namespace (Debian: util-linux has unshare)")
    path = wheel(tmp_path, "large", "1", {"large.bin": bytes(2_500_000), **HARMLESS})
    full = replace(shell, through=through, before=before)
    with contextlib.closing(Agent(full, tmp_path / "log.txt")) as agent:
        (there,) = agent.push([path]).values()
        with pytest.raises(Refusal, match=said) as caught:
            agent.call("environments.make", name="large-1", wheels={path.name: there})
        assert caught.value.code == "EK-DEVICE-033"
        assert not agent.call("environments.remove", name="large-1")["removed"]
    assert not list(home.rglob("large*"))


HERE = """
import os
from pathlib import Path
from edgekit.errors import DeviceError
from edgekit.targets.devices import remote
from edgekit.targets.devices.scheme import AddressScheme
from shells import Shell

def connect(address):
    if address == "here://away":
        raise DeviceError("EK-DEVICE-099", "here://away is not reached", "planted: plug it in")
    return Shell(Path(os.environ["DEVICE_HOME"]), path=os.environ["DEVICE_PATH"])

def create(address, progress):
    folder = Path(os.environ["DEVICE_HOME"], "created")
    folder.mkdir()
    return folder

def opened(name, place):
    return remote.open_remote(connect(name.address), name, place)

SCHEME = AddressScheme("here://", str, ("litert", "tflite-runtime"), opened, connect, create)
"""


@pytest.fixture
def here(home: Path, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address that ``edgekit devices`` reaches."""
    (tmp_path / "schemes").mkdir()
    (tmp_path / "schemes" / "here.py").write_text(HERE)
    path = [*transports.__path__, str(tmp_path / "schemes")]
    monkeypatch.setattr(transports, "__path__", path)
    monkeypatch.setenv("DEVICE_HOME", str(home))
    monkeypatch.setenv("DEVICE_PATH", f"{bare}:/usr/bin:/bin")
    return "here://board"


def devices(*arguments: str) -> tuple[int, Any]:
    """Exit code and JSON of ``edgekit devices``."""
    done = CliRunner().invoke(command, [*arguments, "--json"], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return int(done.return_value), json.loads(done.stdout)


def test_command_sets_a_device_up_lists_and_clears_it(here: str, home: Path, wheels: Path) -> None:
    before = listing(home)
    code, (found,) = devices("list", here)
    assert (code, found["status"]) == (3, "unavailable")
    assert f"edgekit devices setup {here}" in found["message"]
    assert listing(home) == before

    code, (found,) = devices("setup", here, "--wheels", str(wheels))
    assert (code, found["status"], found["runtime"]) == (0, "passed", "litert")
    assert found["environment"].endswith(LITERT)

    code, (found, away) = devices("list", here, "here://away")
    assert (code, found["name"]) == (3, f"{here}#ai-edge-litert==9.9.1")
    assert (found["status"], away["status"]) == ("passed", "unavailable")
    assert away["message"] == "here://away is not reached: planted: plug it in"

    code, gone = devices("remove", f"{here}#ai-edge-litert==9.9.1")
    assert gone["removed"] == [found["environment"]]
    with pytest.raises(DeviceError, match="there is no environment of"):
        devices("remove", f"{here}#ai-edge-litert==9.9.1")
    with pytest.raises(DeviceError, match="is not an environment"):
        devices("remove", f"{here}#litert")
    assert devices("remove", here) == (0, {"removed": [str(home / ".cache/edgekit")]})
    assert listing(home) == before
    with pytest.raises(DeviceError, match="has put nothing on"):
        devices("remove", here)


def test_folder_that_is_not_edgekits_is_not_deleted(here: str, home: Path) -> None:
    foreign = home / ".cache" / "edgekit" / "edgekit"
    foreign.mkdir(parents=True)
    for folder in (foreign, foreign.parent):
        (folder / "theirs.txt").write_text("theirs")
    before = listing(home)
    with pytest.raises(DeviceError) as caught:
        devices("remove", here)
    assert "not edgekit's" in caught.value.message + caught.value.hint
    assert listing(home) == before


def test_device_is_created_where_its_scheme_does_so(here: str, home: Path) -> None:
    assert devices("create", here) == (0, {"created": [str(home / "created")]})
    with pytest.raises(DeviceError, match="not a device that edgekit creates") as caught:
        devices("create", "local")
    assert caught.value.code == "EK-DEVICE-054"
    assert "here://" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
def test_published_wheels_run_on_a_python_without_packages(
    agent: Agent, home: Path, place: Workplace, runtime: str
) -> None:
    try:
        made = environment.prepare(agent, asked(runtime), place)
    except DeviceError as error:
        if error.code in ("EK-DEVICE-051", "EK-DEVICE-052"):
            pytest.skip(f"no wheels are to be had here: {error.message}: {error.hint}")
        raise
    assert (made.runtime, len(made.path)) == (runtime, 1)
    assert addressed.clear(agent, asked()) == str(home / ".cache/edgekit")
    assert list(listing(home)) == ["own.txt"]
