"""Lines of the serial protocol: whole or not taken, on both ends; no bytes break the firmware."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from boards import FIRMWARE, PLANTS, compile_c

from edgekit.targets.devices.microcontroller.lines import LineReader, frame

pytest_plugins = ["serial_boards"]
DESCRIPTION = Path(__file__).resolve().parents[2] / "docs" / "devices" / "serial.md"


def test_crc_is_that_of_ethernet_on_both_ends(library: Path) -> None:
    import ctypes

    crc = ctypes.CDLL(str(library)).edgekit_crc32
    crc.restype, crc.argtypes = ctypes.c_uint32, (ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t)
    # The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
    assert crc(0, b"123456789", 9) == 0xCBF43926
    content = np.random.default_rng(1).bytes(1000)
    for size in (0, 1, 7, 1000):
        assert crc(0, content, size) == zlib.crc32(content[:size])
    assert crc(crc(0, content, 400), content[400:], 600) == zlib.crc32(content)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("before", [b"", b"boot\n", b"half a <line", b"\x00\xff<", b">00 echo\n"])
def test_line_is_read_whatever_is_around_it(before: bytes, end: bytes) -> None:
    line = frame(1, 2, "ok a=b").replace(b">", b"<").replace(b"\n", end)
    for step in (1, 3, 1000):
        reader, found = LineReader(), []
        content = before + line + line
        for at in range(0, len(content), step):
            found += reader.take(content[at : at + step])
        assert [(one.token, one.sequence, one.text) for one in found] == [(1, 2, "ok a=b")] * 2


def test_line_with_any_one_byte_changed_dropped_or_added_is_not_taken() -> None:
    line = frame(0x12345678, 9, "ok AACAPwAAAEA=").replace(b">", b"<")
    for at in range(len(line) - 1):
        for bad in (
            *(line[:at] + bytes([line[at] ^ 1 << bit]) + line[at + 1 :] for bit in range(8)),
            line[:at] + line[at + 1 :],
            line[:at] + b"A" + line[at:] if at else b"",
        ):
            assert all(one.text == "" for one in LineReader().take(bad + b"\n")), bad


def test_text_besides_the_protocol_is_kept_for_messages() -> None:
    reader = LineReader()
    reader.take(b"Failed to resize buffer\r\n<not whole\nlast\n")
    assert reader.stray() == ["Failed to resize buffer", "not whole", "last"]
    assert reader.damaged == 1


def test_lines_in_the_protocol_s_description_are_sound() -> None:
    """The board's of the example, read as any line is; the host's, made again."""
    example = DESCRIPTION.read_text().partition("### An example")[2].partition("## ")[0]
    lines = [line for line in example.splitlines() if line[:1] in ("<", ">")]
    assert len(lines) == 19
    for line in lines:
        token, sequence, text = line[1:].rpartition("*")[0].split(" ", 2)
        if line[0] == ">":
            assert frame(int(token, 16), int(sequence, 16), text) == f"{line}\n".encode()
        else:
            (found,) = LineReader().take(f"{line}\n".encode())
            assert found.text == text


# The firmware alone.

SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def fuzz(folder: Path, source: Path, rounds: int) -> subprocess.CompletedProcess[str]:
    program = compile_c(
        folder / "fuzz", *SANITIZED, PLANTS / "fuzz.c", PLANTS / "doubler.c", source
    )
    return subprocess.run([program, "1", str(rounds)], capture_output=True, text=True, check=False)


def test_no_bytes_break_the_firmware(tmp_path: Path) -> None:
    done = fuzz(tmp_path, FIRMWARE / "edgekit_serial.c", 20_000)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("check", "without"),
    [
        (" || offset > size - (uint32_t)count) return", ") return"),
        ("serial->used < EDGEKIT_LINE)", "serial->used < 2 * EDGEKIT_LINE)"),
    ],
    ids=["offset", "line"],
)
def test_fuzzer_finds_a_check_that_is_missing(tmp_path: Path, check: str, without: str) -> None:
    source = (FIRMWARE / "edgekit_serial.c").read_text()
    assert check in source
    planted = tmp_path / "planted.c"
    planted.write_text(source.replace(check, without))
    assert fuzz(tmp_path, planted, 20_000).returncode != 0
