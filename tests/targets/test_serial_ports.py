"""A serial port that cannot be used: each error says what is there, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from boards import build_library
from serial_boards import Make, opened

from edgekit.errors import DeviceNameError, EdgekitError
from edgekit.targets.devices import Workplace, open_device, parse
from edgekit.targets.devices.microcontroller import link as links
from edgekit.targets.devices.transports.serial import parse as port_of

pytest_plugins = ["serial_boards"]
pytestmark = pytest.mark.usefixtures("short_looks")


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """A terminal with nothing behind it: the end of the board, and its path."""
    master, slave = os.openpty()
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def failure(address: str, folder: Path) -> EdgekitError:
    with pytest.raises(EdgekitError) as caught:
        open_device(parse(address), Workplace(folder, folder / "log.txt"))
    return caught.value


def test_port_that_is_not_there_is_an_error_that_lists_those_that_are(tmp_path: Path) -> None:
    error = failure("serial:///dev/ttyNONE7", tmp_path)
    assert (error.code, error.exit_code) == ("EK-DEVICE-080", 3)
    assert "no serial port /dev/ttyNONE7" in error.message
    assert "serial ports here: " in error.hint


def test_file_that_is_no_port_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    error = failure(f"serial://{tmp_path / 'file'}", tmp_path)
    assert (error.code, error.exit_code) == ("EK-DEVICE-080", 3)


def test_port_in_use_is_an_error(make: Make, tmp_path: Path) -> None:
    board = make()
    with opened(board):
        error = failure(board.address, tmp_path)
    assert (error.code, error.exit_code) == ("EK-DEVICE-082", 3)


def test_port_of_another_group_is_an_error_that_names_it(terminal: tuple[int, str]) -> None:
    path = terminal[1]
    script = """
import grp, os, pwd, sys
from pathlib import Path
from edgekit.targets.devices import Workplace, open_device, parse
from edgekit.targets.devices.transports import serial
if os.getuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    open_device(parse("serial://" + sys.argv[1]), Workplace(Path("/tmp"), Path("/dev/null")))
except Exception as error:
    print(error)
"""
    Path(path).chmod(0o600 if os.getuid() == 0 else 0)
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=False
    )
    assert "EK-DEVICE-081" in done.stdout, done
    assert f"usermod -aG {Path(path).group()}" in done.stdout


@pytest.mark.parametrize(
    ("said", "seen"),
    [(b"", "not one byte"), (b"\xff\x00\x9c", "3 bytes"), (b"hello world\n", "hello world")],
)
def test_port_where_nothing_of_ours_answers_is_an_error_that_says_what_was_seen(
    terminal: tuple[int, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: bytes,
    seen: str,
) -> None:
    monkeypatch.setattr(links, "START", 0.6)
    master, path = terminal
    threading.Timer(0.2, os.write, (master, said)).start()
    error = failure(f"serial://{path}", tmp_path)
    assert (error.code, error.exit_code) == ("EK-DEVICE-083", 3)
    assert seen in error.hint
    assert "115200 baud" in error.message


def test_firmware_of_another_protocol_is_an_error(make: Make, tmp_path: Path) -> None:
    library = build_library(tmp_path, "-DEDGEKIT_PROTOCOL=2")
    error = failure(make(library=library).address, tmp_path)
    assert (error.code, error.exit_code) == ("EK-DEVICE-085", 3)
    assert "speaks protocol 2, edgekit 1" in error.message


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("serial:///dev/ttyACM0", ("/dev/ttyACM0", 115200)),
        ("serial:///dev/ttyUSB0@921600", ("/dev/ttyUSB0", 921600)),
        ("serial:///dev/serial/by-id/usb-A@b@9600", ("/dev/serial/by-id/usb-A@b", 9600)),
    ],
)
def test_address_is_a_path_and_a_rate(address: str, port: tuple[str, int]) -> None:
    assert port_of(address) == port


@pytest.mark.parametrize(
    "address",
    [
        "serial://",
        "serial://COM3",
        "serial:///",
        "serial:///dev/ttyACM0@0",
        "serial:///dev/a b",
        "serial:///dev/ttyACM0@99999999999",
        "serial:///dev/ttyACM0#litert",
        "serial:///dev/ttyACM0#tflite-micro==1",
    ],
)
def test_address_that_names_no_port_is_a_mistake_of_the_user_s(
    address: str, tmp_path: Path
) -> None:
    error = failure(address, tmp_path)
    assert isinstance(error, DeviceNameError)
    assert (error.code, error.exit_code) == ("EK-DEVICE-012", 2)
