"""Files over a shell arrive whole, or not at all with the reason; a cut resumes where it was."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from shells import Shell as Connection

from edgekit.errors import ConnectionLost, DeviceError
from edgekit.store import sha256
from edgekit.targets.devices.agent.folder import MARK
from edgekit.targets.devices.remote.shell_files import ShellFiles

BUSYBOX = pytest.mark.skipif(
    shutil.which("busybox") is None, reason="there is no BusyBox: apt-get install busybox"
)
SHELLS = [("sh",), pytest.param(("busybox", "sh"), marks=BUSYBOX)]
# A disk of its own for what a connection runs: small, and then read-only where wanted.
SMALL = (
    'mount -t tmpfs -o size=64k none "$0" && mkdir -p "$0/k/files" && touch "$0/k/.edgekit"'
    ' && {then} exec "$@"'
)
UNSHARE = ("unshare", "-Urm", "sh", "-c")
LOCKED = 'mount -o remount,ro none "$0" &&'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a file ü.bin"
    path.write_bytes(np.random.default_rng(1).bytes(300_000))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "höme of it"
    path.mkdir()
    return path


@dataclass(frozen=True)
class Counted(Connection):
    """A connection that counts the bytes it carries there."""

    carried: list[Path] = field(default_factory=list)

    def command(self, script: str) -> list[str]:
        if "cat >>" not in script:
            return super().command(script)
        kept = self.home / f"carried-{len(self.carried)}"
        self.carried.append(kept)
        return ["sh", "-c", f'tee "{kept}" | "$@"', "sh", *super().command(script)]

    @property
    def sizes(self) -> list[int]:
        """Bytes of each file that was sent."""
        return [path.stat().st_size for path in self.carried]


@pytest.mark.parametrize("shell", SHELLS)
def test_file_arrives_whole_and_is_not_sent_again(
    file: Path, home: Path, tmp_path: Path, shell: tuple[str, ...]
) -> None:
    connection = Counted(home, shell=shell, before="echo hello; echo\n")
    for _ in range(2):
        files = ShellFiles(connection, connection.folder)
        there = files.push([file], executable=True)[file]
    assert there == f"{home}/{connection.folder}/files/{sha256(file)}"
    assert Path(there).read_bytes() == file.read_bytes()
    assert os.access(there, os.X_OK)
    assert connection.sizes == [300_000]
    files.fetch(there, tmp_path / "back" / "file.bin")
    assert (tmp_path / "back" / "file.bin").read_bytes() == file.read_bytes()
    files.remove()
    assert not (home / connection.folder).exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_file_that_was_cut_off_is_sent_from_there_on(
    file: Path, home: Path, shell: tuple[str, ...]
) -> None:
    connection = Counted(home, shell=shell)
    there = home / connection.folder / "files" / sha256(file)
    there.parent.mkdir(parents=True)
    (home / connection.folder / MARK).touch()
    there.with_name(f"{there.name}.part").write_bytes(file.read_bytes()[:100_000])
    ShellFiles(connection, connection.folder).push([file])
    assert there.read_bytes() == file.read_bytes()
    assert connection.sizes == [200_000]


@pytest.mark.parametrize(
    ("suffix", "content", "sent"),
    [
        (".part", b"x" * 100, [299_900, 300_000]),
        (".part", b"x" * 300_001, [300_000]),
        ("", b"", [300_000]),
    ],
    ids=["a damaged part", "a part that is too long", "emptied after it came"],
)
def test_file_that_is_damaged_there_is_sent_anew(
    file: Path, home: Path, suffix: str, content: bytes, sent: list[int]
) -> None:
    connection = Counted(home)
    there = home / connection.folder / "files" / sha256(file)
    there.parent.mkdir(parents=True)
    (home / connection.folder / MARK).touch()
    there.with_name(there.name + suffix).write_bytes(content)
    ShellFiles(connection, connection.folder).push([file])
    assert there.read_bytes() == file.read_bytes()
    assert connection.sizes == sent


@dataclass(frozen=True)
class Cut(Connection):
    """A connection that carries so many bytes of a file, the first times."""

    bytes: int = 0
    left: list[int] = field(default_factory=list)

    def command(self, script: str) -> list[str]:
        whole = super().command(script)
        if "cat >>" not in script or not self.left:
            return whole
        self.left.pop()
        return ["sh", "-c", f'head -c {self.bytes} | "$@"', "sh", *whole]


def test_file_goes_on_where_the_connection_broke(file: Path, home: Path) -> None:
    connection = Cut(home, bytes=90_000, left=[1, 1, 1])
    there = ShellFiles(connection, connection.folder).push([file])[file]
    assert Path(there).read_bytes() == file.read_bytes()


def test_connection_that_always_breaks_is_an_error(file: Path, home: Path) -> None:
    connection = Cut(home, bytes=10, left=[1] * 9)
    with pytest.raises(ConnectionLost) as caught:
        ShellFiles(connection, connection.folder).push([file])
    assert caught.value.code == "EK-DEVICE-075"
    assert not list((home / connection.folder / "files").glob("?" * 64))


def unshared() -> bool:
    """Whether disks can be made here."""
    command = [*UNSHARE, "mount -t tmpfs none /mnt"]
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(command, check=False, capture_output=True).returncode
    )


@pytest.mark.skipif(not unshared(), reason="no file system can be mounted here")
@pytest.mark.parametrize(
    ("then", "reason"), [("", "no space left"), (LOCKED, "read-only file system")]
)
def test_disk_that_takes_no_file_is_an_error_that_says_why(
    file: Path, home: Path, then: str, reason: str
) -> None:
    through = (*UNSHARE, SMALL.format(then=then), str(home))
    connection = Connection(home, folder=f"{home}/k", through=through)
    with pytest.raises(DeviceError) as caught:
        ShellFiles(connection, connection.folder).push([file])
    assert caught.value.code == "EK-DEVICE-076"
    assert reason in caught.value.message
    assert "a folder" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_may_not_be_written_is_an_error_that_says_why(file: Path, home: Path) -> None:
    home.chmod(0o500)
    with pytest.raises(DeviceError) as caught:
        ShellFiles(Connection(home), "edgekit").push([file])
    assert "permission denied" in caught.value.message


def test_shell_without_sha256sum_takes_no_files(file: Path, home: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "mkdir", "cat", "wc"):
        (programs / name).symlink_to(str(shutil.which(name)))
    with pytest.raises(DeviceError) as caught:
        ShellFiles(Connection(home, path=str(programs)), "edgekit").push([file])
    assert caught.value.code == "EK-DEVICE-076"
    assert "sha256sum" in caught.value.hint


def test_file_that_is_not_there_cannot_be_fetched(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        ShellFiles(Connection(home), "edgekit").fetch(str(home / "none"), tmp_path / "back")
    assert caught.value.code == "EK-DEVICE-076"
    assert list(tmp_path.glob("back*")) == []


def test_device_that_does_not_answer_is_lost(home: Path) -> None:
    files = ShellFiles(Connection(home, before="sleep 30\n"), "edgekit")
    with pytest.raises(ConnectionLost) as caught:
        files.shell.run("true", seconds=0.2)
    assert caught.value.code == "EK-DEVICE-075"
