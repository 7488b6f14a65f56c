"""``edgekit devices``: what works now, by running a model in each."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from conftest import edgekit

OLD = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="tflite-runtime has no wheel for this Python"
)
NAME = "local:ai-edge-litert==9.9.9"


def test_named_devices_run_a_model(tmp_path: Path) -> None:
    done = edgekit("devices", "list", "local", "local:litert", "--json", cwd=tmp_path)
    assert done.returncode == 0
    short, whole = json.loads(done.stdout)
    assert (short["name"], whole["name"]) == ("local", "local:litert")
    for found in (short, whole):
        assert (found["runtime"], found["status"]) == ("litert", "passed")
        assert found["version"].startswith("2.3.")
        assert found["message"] == "runs a model"


@OLD
def test_named_device_that_does_not_work_is_exit_code_3_with_the_reason(tmp_path: Path) -> None:
    package = tmp_path / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "interpreter.py").write_text("import ctypes\nctypes.string_at(0)\n")
    done = edgekit(
        "devices", "list", "local:tflite-runtime", "local", cwd=tmp_path, PYTHONPATH=str(tmp_path)
    )
    assert done.returncode == 3
    _, broken, works = done.stdout.splitlines()
    assert broken.split()[:3] == ["local:tflite-runtime", "failed", "2.14.0"]
    assert "the tflite-runtime runner was ended by SIGSEGV" in broken
    assert works.split()[:2] == ["local", "ok"]


def test_release_without_an_environment_says_how_to_make_it(tmp_path: Path) -> None:
    done = edgekit("devices", "list", NAME, "--json", cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path))
    (found,) = json.loads(done.stdout)
    assert (done.returncode, found["status"]) == (3, "unavailable")
    assert f"edgekit devices setup {NAME}" in found["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["setup"], 2, "edgekit devices setup NAME"),
        (["remove", "local"], 2, "local is not an environment"),
        (["remove", NAME], 3, f"EK-DEVICE-021: there is no environment of {NAME}"),
    ],
)
def test_what_cannot_be_done_is_an_error(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = edgekit("devices", *arguments, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == code
    assert said in done.stderr


@pytest.mark.slow
def test_all_devices_are_listed_with_what_each_does(tmp_path: Path) -> None:
    done = edgekit("devices", "--json", cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path))
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 0
    assert {"local:litert", "local:tflite-runtime", "local:tensorflow"} <= set(found)
    assert found["local:tensorflow"]["status"] == "passed"
    assert found["local:tensorflow"]["version"].startswith("2.21.")
    expected = "passed" if sys.version_info < (3, 12) else "unavailable"
    assert found["local:tflite-runtime"]["status"] == expected
