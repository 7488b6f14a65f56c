"""A runner's request: one dataclass, whose fields are what the runners read."""

from __future__ import annotations

import ast
import contextlib
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from shells import Shell

from edgekit.targets.devices import Transport
from edgekit.targets.devices.cassette.requests import normal
from edgekit.targets.devices.digests import Digests
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.devices.remote.client import Agent
from edgekit.targets.devices.remote.device import Prepared, RemoteDevice
from edgekit.targets.runners import python_runner
from edgekit.types import ExpectedOutput, Preprocess, Request, RunnerModel

ROOT = Path(__file__).resolve().parents[2]
RUNNERS = Path(python_runner.__file__).resolve().parent


def read_by_runners(name: str, sources: str) -> bool:
    """Whether a runner asks a request for a field."""
    return bool(re.search(rf"request(?:\[|\.get\()\"{name}\"", sources))


def built_by_hand(source: str) -> list[int]:
    """The lines where a dict literal says a mode and models, as a request does."""
    named = [
        (node.lineno, {key.value for key in node.keys if isinstance(key, ast.Constant)})
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Dict)
    ]
    return [line for line, keys in named if {"mode", "models"} <= keys]


def test_request_is_written_as_runners_read_it() -> None:
    request = Request(
        mode="selftest",
        models=(RunnerModel("m", Path("/a/m.tflite"), Path("/a/out"), (1, 2)),),
        inputs={"x": Path("/a/x.npy")},
        preprocess=Preprocess(scale=(0.5, 2.0), resize=(8, 8)),
        runtime="litert",
        items=(0, 3),
        threads=0,
        golden={"y": ExpectedOutput(Path("/a/y.npy"), 0.0)},
    )
    assert request.to_json() == {
        "schema": 1,
        "mode": "selftest",
        "models": [
            {"id": "m", "path": "/a/m.tflite", "outputs": "/a/out", "tensors": [1, 2]},
        ],
        "inputs": {"x": "/a/x.npy"},
        "preprocess": {"scale": [0.5, 2.0], "offset": 0.0},
        "runtime": "litert",
        "items": [0, 3],
        "threads": 0,
        "reset_state": False,
        "golden": {"y": {"path": "/a/y.npy", "tolerance": 0.0}},
    }


def test_what_is_not_said_is_left_to_the_runner() -> None:
    asked = Request("load", (RunnerModel("m", Path("m")),)).to_json()
    assert not {"runtime", "core", "index", "golden"} & asked.keys()
    assert "outputs" not in asked["models"][0]


def test_every_field_is_read_by_a_runner() -> None:
    files = (*RUNNERS.glob("*.py"), *(RUNNERS.parent / "devices").rglob("*.py"))
    sources = "".join(path.read_text() for path in files)
    unread = [one.name for one in fields(Request) if not read_by_runners(one.name, sources)]
    assert not unread
    assert not read_by_runners("colour", sources)


@dataclass(frozen=True)
class Newer(Request):
    """A request with a field that nothing knows, and one that names a file."""

    colour: str | None = None
    palette: Path | None = None


ECHO = """
import json, sys
from pathlib import Path

asked = json.loads(Path(sys.argv[1]).read_text())
held = Path(asked["palette"]).read_text()
models = {"m": {"colour": asked["colour"], "palette": held}}
Path(sys.argv[2]).write_text(json.dumps({"runtime": "echo", "version": "1", "models": models}))
"""


@pytest.mark.parametrize("where", ["here", "behind a shell"])
def test_new_field_of_a_request_reaches_the_runner_without_another_edit(
    tmp_path: Path, where: str
) -> None:
    runner, palette = tmp_path / "echo_runner.py", tmp_path / "palette.txt"
    runner.write_text(ECHO)
    palette.write_text("ochre")
    (tmp_path / "m.tflite").write_bytes(b"TFL3")
    (tmp_path / "home").mkdir()
    model = RunnerModel("m", tmp_path / "m.tflite")
    asked = Newer("load", (model,), runtime="echo", colour="red", palette=palette)
    with contextlib.ExitStack() as stack:
        device: Transport = LocalDevice(
            tmp_path / "work", tmp_path / "log.txt", None, {"echo": runner}
        )
        if where != "here":
            agent = Agent(Shell(tmp_path / "home"), tmp_path / "log.txt")
            prepared = Prepared("echo", "", agent.hello["executable"], ())
            device = RemoteDevice(agent, prepared, tmp_path / "work", None, {"echo": runner})
        stack.callback(device.close)
        told: Any = device.run(asked)["models"]["m"]
    assert (told["colour"], told["palette"]) == ("red", "ochre")
    assert normal(asked, Digests())["palette"].startswith("sha256:")


def test_no_request_is_built_by_hand() -> None:
    rooms = ("toolkit", "targets", "converters")
    found = {
        str(path.relative_to(ROOT)): lines
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if (lines := built_by_hand(path.read_text()))
    }
    assert not found, f"use edgekit.types.Request: {found}"


@pytest.mark.parametrize("planted", ['x = {"mode": "bench", "models": []}', '{**a, "models": 1}'])
def test_a_request_built_by_hand_is_seen(planted: str) -> None:
    assert built_by_hand(planted) == ([1] if "mode" in planted.split("models")[0] else [])
