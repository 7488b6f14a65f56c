"""`edgekit convert` with a target that names its device: it ships by what is measured there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import brief
from edgekit.targets import catalog

TABLE = """
[targets.{target}]
device = "{device}"
budgets = {{ latency_p50 = "{limit}" }}
"""


def converted(digits_run: Path, folder: Path, **values: str) -> tuple[int, dict[str, Any]]:
    """The example project, converted before, with another target: exit code and that target."""
    project = folder / "project"
    shutil.copytree(digits_run / "project", project, ignore=shutil.ignore_patterns("dist", "build"))
    path = project / "edgekit.toml"
    text = path.read_text().partition("[targets.")[0]
    path.write_text(text.rstrip().rpartition("\n#")[0] + TABLE.format(**values))
    done = brief("convert", "--json", cwd=project)
    return done.returncode, json.loads(done.stdout)["targets"][0]


@pytest.mark.parametrize(("limit", "code"), [("1 s", 0), ("1 ns", 1)])
def test_latency_budget_is_judged_on_the_device_of_the_target(
    digits_run: Path, tmp_path: Path, limit: str, code: int
) -> None:
    device = "local:tflite-runtime"
    found, target = converted(
        digits_run, tmp_path, target=catalog.host(), device=device, limit=limit
    )
    assert found == code
    assert {one["candidate"] for one in target["on_device"]} >= {"float32", "int8"}
    for one in target["on_device"]:
        assert (one["device"], one["runtime"], one["status"]) == (
            device,
            "tflite-runtime",
            "passed",
        )
        assert one["latency"]["p50"]["value"] > 0
        assert one["items"] > 0
    checks = {check["name"]: check["status"] for check in target["checks"]}
    assert checks["latency_p50"] == ("passed" if code == 0 else "failed")
    assert target["candidate"] is None or code == 0


def test_device_that_is_away_is_unavailable_and_nothing_ships(
    digits_run: Path, tmp_path: Path
) -> None:
    found, target = converted(
        digits_run, tmp_path, target="raspberry-pi-4", device="ssh://127.0.0.1:1", limit="1 s"
    )
    assert found == 3
    assert target["candidate"] is None
    assert {one["status"] for one in target["on_device"]} == {"unavailable"}
    assert any("EK" in c["message"] or "refused" in c["message"] for c in target["checks"])
