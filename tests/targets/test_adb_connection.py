"""The shell that adb gives, through the real adb client and a test daemon in place of a phone."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from adb_daemon import AdbDaemon, adb_server, attached, needs_adb, said, until

from edgekit.errors import ConnectionLost, DeviceError, DeviceNameError
from edgekit.store import sha256
from edgekit.targets.devices import parse
from edgekit.targets.devices.agent.folder import MARK
from edgekit.targets.devices.remote.shell import Shell
from edgekit.targets.devices.remote.shell_files import ShellFiles
from edgekit.targets.devices.transports import adb

pytestmark = needs_adb
BYTES = bytes(range(256)) * 20_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with adb_server(tmp_path_factory.mktemp("adb")):
        yield


@pytest.fixture
def phone(server: None, tmp_path: Path) -> Iterator[AdbDaemon]:
    with attached(tmp_path) as phone:
        yield phone


@pytest.fixture
def shell(phone: AdbDaemon) -> Shell:
    return Shell(adb.reached(f"adb://{phone.serial}"))


def refused(address: str) -> DeviceError:
    with pytest.raises(DeviceError) as caught:
        adb.reached(address)
    assert caught.value.exit_code == 3
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("text", "runtime"),
    [
        ("adb://", ""),
        ("adb://R5CT1234ABC", ""),
        ("adb://emulator-5554#litert", "litert"),
        ("adb://192.168.1.5:5555/sdcard/a folder", ""),
        ("adb://[fe80::1%25]:5555#tflite-runtime", "tflite-runtime"),
        ("adb:///data/local/tmp/x#benchmark_model", "benchmark_model"),
    ],
)
def test_address_names_a_device(text: str, runtime: str) -> None:
    found = parse(text)
    assert (found.transport, found.runtime, found.address) == ("adb", runtime, text.split("#")[0])


@pytest.mark.parametrize("text", ["adb://a serial", "adb://x#nothing"])
def test_address_that_names_none_is_refused(text: str) -> None:
    with pytest.raises(DeviceNameError) as caught:
        parse(text)
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-012", 2)


def echoed(shell: Shell, folder: Path, content: bytes) -> bytes:
    """Bytes that went to the phone and came back."""
    path = folder / "fed"
    path.write_bytes(content)
    with path.open("rb") as feed:
        return shell.run("cat", feed=feed).out


def test_bytes_cross_unchanged_both_ways(shell: Shell, tmp_path: Path) -> None:
    assert echoed(shell, tmp_path, BYTES) == BYTES


@pytest.mark.parametrize("status", [0, 1, 2, 7, 127, 137, 251])
def test_status_is_that_of_the_script(shell: Shell, status: int) -> None:
    found = shell.run(f"echo out; echo err >&2; exit {status}")
    assert (found.status, found.out, found.err) == (status, b"out\n", "err\n")


@pytest.mark.parametrize("status", [252, 253, 255])
def test_statuses_that_the_connection_uses_are_told_as_another(shell: Shell, status: int) -> None:
    assert shell.run(f"exit {status}").status == 254


@pytest.mark.parametrize("text", ["a 'b' \"c\" $d `e` \\", "line\nline", "ü ☃", "*", "# end", ")"])
def test_script_may_hold_anything(shell: Shell, text: str) -> None:
    quoted = text.replace("'", "'\"'\"'")
    assert shell.run(f"printf %s '{quoted}' # ends in a comment").out == text.encode()


def test_script_that_says_what_adb_says_is_no_failure_of_adb(shell: Shell) -> None:
    found = shell.run("echo 'error: device offline' >&2; exit 1")
    assert found.status == 1


def test_files_are_pushed_into_a_folder_with_a_blank_and_found_again(
    phone: AdbDaemon, tmp_path: Path
) -> None:
    connection = adb.reached(f"adb://{phone.serial}{tmp_path}/a földer")
    source = tmp_path / "source"
    source.write_bytes(BYTES)
    files = ShellFiles(connection, connection.folder)
    (there,) = files.push([source]).values()
    assert Path(there).read_bytes() == BYTES
    assert there.startswith(f"{tmp_path}/a földer/files/")


def test_push_that_is_cut_goes_on_where_it_ended(phone: AdbDaemon, tmp_path: Path) -> None:
    connection = adb.reached(f"adb://{phone.serial}{tmp_path}/there")
    source = tmp_path / "source"
    source.write_bytes(BYTES)
    phone.faults.drop_after = len(BYTES) // 2
    (there,) = ShellFiles(connection, connection.folder).push([source]).values()
    assert phone.faults.drop_after is None
    assert Path(there).read_bytes() == BYTES


def test_full_disk_is_told(phone: AdbDaemon, tmp_path: Path) -> None:
    connection = adb.reached(f"adb://{phone.serial}{tmp_path}/there")
    source = tmp_path / "source"
    source.write_bytes(BYTES)
    part = tmp_path / "there" / "files" / f"{sha256(source)}.part"
    part.parent.mkdir(parents=True)
    (tmp_path / "there" / MARK).touch()
    part.symlink_to("/dev/full")
    with pytest.raises(DeviceError) as caught:
        ShellFiles(connection, connection.folder).push([source])
    assert "no space left" in caught.value.message


def test_device_that_drops_is_lost_and_the_next_command_connects_again(
    phone: AdbDaemon, shell: Shell
) -> None:
    threading.Timer(0.3, phone.drop).start()
    with pytest.raises(ConnectionLost) as caught:
        shell.run("echo begun; sleep 20; echo ended")
    assert caught.value.code == "EK-DEVICE-073"
    assert shell.run("echo again").out == b"again\n"


def test_device_that_went_and_stays_away_is_told(server: None, tmp_path: Path) -> None:
    with AdbDaemon(tmp_path / "tools") as phone:
        shell = Shell(adb.reached(f"adb://{phone.serial}"))
    until(lambda: adb.devices("adb")[phone.serial] == "offline")
    with pytest.raises(DeviceError) as caught:
        shell.run("true")
    assert caught.value.code == "EK-DEVICE-071"
    assert "network" in caught.value.hint


def test_slow_device_is_waited_for(phone: AdbDaemon, shell: Shell, tmp_path: Path) -> None:
    phone.faults.delay = 0.05
    assert echoed(shell, tmp_path, BYTES[:100_000]) == BYTES[:100_000]


def test_program_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, phone: AdbDaemon) -> None:
    monkeypatch.setenv("ADB", "no-such-adb")
    error = refused(f"adb://{phone.serial}")
    assert error.code == "EK-DEVICE-065"
    assert "install" in error.hint


def test_server_that_does_not_start_is_told(
    monkeypatch: pytest.MonkeyPatch, phone: AdbDaemon
) -> None:
    monkeypatch.setattr(adb, "PATIENCE", 1.0)
    with monkeypatch.context() as patch:
        # A port on which something else listens.
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(phone.port))
        assert refused(f"adb://{phone.serial}").code == "EK-DEVICE-066"


def test_device_whose_owner_has_not_confirmed_is_told(phone: AdbDaemon) -> None:
    phone.faults.unauthorized = True
    # It waits for the owner.
    with subprocess.Popen(["adb", "connect", phone.serial], stdout=subprocess.DEVNULL) as waiting:
        until(lambda: adb.devices("adb").get(phone.serial) in adb.UNCONFIRMED)
        error = refused(f"adb://{phone.serial}")
        waiting.kill()
    assert error.code == "EK-DEVICE-067"
    assert "confirm" in error.hint


def test_device_that_is_not_attached_is_told_with_those_that_are(shell: Shell) -> None:
    error = refused("adb://NOSUCH")
    assert error.code == "EK-DEVICE-069"
    assert shell.connection.address.removeprefix("adb://") + " (device)" in error.hint


def test_address_where_nothing_listens_is_told(server: None) -> None:
    error = refused("adb://127.0.0.1:1")
    assert error.code == "EK-DEVICE-071"
    assert "refused" in error.hint


def test_address_alone_is_the_only_device(phone: AdbDaemon) -> None:
    assert refused("adb://").code == "EK-DEVICE-069"
    adb.reached(f"adb://{phone.serial}")
    assert adb.reached("adb://").serial == phone.serial


def test_address_alone_is_refused_where_there_are_two(phone: AdbDaemon, tmp_path: Path) -> None:
    with AdbDaemon(tmp_path / "tools") as other:
        for one in (phone, other):
            adb.reached(f"adb://{one.serial}")
        error = refused("adb://")
        said("disconnect", other.serial)
    assert error.code == "EK-DEVICE-070"
    assert f"adb://{other.serial}" in error.hint


def test_serial_of_the_environment_is_meant_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch, phone: AdbDaemon
) -> None:
    monkeypatch.setenv("ANDROID_SERIAL", phone.serial)
    assert adb.reached("adb://").serial == phone.serial


def test_shell_without_statuses_is_refused(phone: AdbDaemon) -> None:
    phone.faults.shell_v2 = False
    error = refused(f"adb://{phone.serial}")
    assert error.code == "EK-DEVICE-072"
    assert "7.0" in error.hint


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("error: device offline", "EK-DEVICE-068"),
        ("adb: device offline", "EK-DEVICE-068"),
        ("error: device unauthorized.\nThis adb server's …", "EK-DEVICE-067"),
        ("error: insufficient permissions for device: user in plugdev group", "EK-DEVICE-067"),
        ("adb: device 'X' not found", "EK-DEVICE-069"),
        ("adb: no devices/emulators found", "EK-DEVICE-069"),
        ("error: closed", "EK-DEVICE-073"),
        ("error: protocol fault (couldn't read status): Success", "EK-DEVICE-073"),
        ("error: cannot connect to daemon", "EK-DEVICE-066"),
        ("error: something new", "EK-DEVICE-071"),
        ("", "EK-DEVICE-073"),
    ],
)
def test_words_of_adb_are_told_apart(server: None, words: str, code: str) -> None:
    failure = adb.AdbConnection("adb", "X").failure(255, words)
    assert failure is not None
    assert failure.code == code


def test_only_a_folder_of_edgekits_own_is_removed(phone: AdbDaemon, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / ".edgekit").mkdir(parents=True)
    (theirs / "photo").touch()
    connection = adb.reached(f"adb://{phone.serial}{theirs}")
    with pytest.raises(DeviceError) as caught:
        ShellFiles(connection, connection.folder).remove()
    assert caught.value.code == "EK-DEVICE-055"
    (there,) = ShellFiles(connection, connection.folder).push([theirs / "photo"]).values()
    assert there.startswith(f"{theirs}/edgekit/files/")
    ShellFiles(connection, connection.folder).remove()
    assert sorted(path.name for path in theirs.iterdir()) == [".edgekit", "photo"]
