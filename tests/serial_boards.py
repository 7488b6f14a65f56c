"""The firmware at a terminal: a board that tests reach through a serial port."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boards import Board, build_library
from tflite_files import build, int8_dense

from conftest import once
from edgekit.process import Limits
from edgekit.targets.devices import Workplace, open_device, parse
from edgekit.targets.devices.microcontroller import board as boards_end

ITEMS = 12
Make = Callable[..., Board]


def dense() -> bytes:
    """An int8 network ``x [1, 4]`` to softmax ``y [1, 3]``, with the options that TFLM needs."""
    graph = int8_dense()
    options = [{"kind": "FullyConnectedOptions"}, {"kind": "SoftmaxOptions", "beta": 1.0}]
    nodes = [replace(n, options=o) for n, o in zip(graph.nodes, options, strict=True)]
    return build(replace(graph, nodes=nodes))


@pytest.fixture
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal answers at once: the clock need not be watched for long."""
    monkeypatch.setattr(boards_end, "WATCHED", 0.05)


@pytest.fixture(scope="session")
def library(shared: Path) -> Path:
    return once(shared / "serial-firmware", lambda folder: void(build_library(folder))) / (
        "firmware.so"
    )


def void(_: object) -> None:
    """Nothing of it."""


@pytest.fixture
def make(library: Path, tmp_path: Path) -> Iterator[Make]:
    """Boards that end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(
            Board(
                **{"library": library, "folder": tmp_path / "board", "model": dense(), **settings}
            )
        )


@contextlib.contextmanager
def opened(board: Board | str, limits: Limits | None = None) -> Iterator[Any]:
    address = board if isinstance(board, str) else board.address
    folder = Path(address.removeprefix("serial://").partition("@")[0]).parent
    device = open_device(parse(address), Workplace(folder, folder / "log.txt", limits or Limits()))
    with contextlib.closing(device):
        yield device
