"""`edgekit convert` with a target that names its device: it ships by what is measured there."""

from __future__ import annotations

import json
import platform
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from ssh_server import SshServer, needs_sshd

from conftest import answer
from edgekit.report import details
from edgekit.targets import catalog

# All is in the store but times: the user's own code is not called.
pytestmark = pytest.mark.usefixtures("lent_runner", "one_launch")
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
    done = answer("convert", "--json", cwd=project)
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
    runs = (tmp_path / "project/.edgekit/runs").iterdir()
    drawn = details.read(max(runs, key=lambda run: run.stat().st_mtime_ns))
    assert drawn is not None
    for one in target["on_device"]:
        launches = drawn.candidates[one["candidate"]].device_launches[device]
        assert [launch.count for launch in launches] == one["latency"]["launches"]


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
    (latency,) = [c["message"] for c in target["checks"] if c["name"] == "latency_p50"]
    assert 'device = "ssh://127.0.0.1:1" in [targets.raspberry-pi-4]' in latency


def test_another_machine_than_the_target_is_unavailable_until_any_device_says_so(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_sshd()
    if catalog.host() == "raspberry-pi-4":
        pytest.skip("this host is the target's machine")
    with SshServer(tmp_path / "ssh") as server:
        monkeypatch.setenv("EDGEKIT_SSH_COMMAND", server.environment["EDGEKIT_SSH_COMMAND"])
        values = {"target": "raspberry-pi-4", "device": server.address(), "limit": "1 s"}
        found, target = converted(digits_run, tmp_path, **values)
    assert (found, target["candidate"]) == (3, None)
    project = tmp_path / "project"
    (machine,) = [check for check in target["checks"] if check["name"] == "machine"]
    assert machine["status"] == "unavailable"
    named = f"{server.address()} is Linux {platform.machine()}"
    assert named in machine["message"]
    assert "raspberry-pi-4 is Linux aarch64" in machine["message"]

    def gate(code: int) -> tuple[dict[str, ET.Element], str]:
        done = answer("check", "--junit", "j.xml", "--summary", "s.md", cwd=project)
        assert done.returncode == code, done.stdout
        suite = ET.parse(project / "j.xml").getroot()  # noqa: S314  (ours)
        return {str(case.get("name")): case for case in suite.iter("testcase")}, (
            project / "s.md"
        ).read_text()

    cases, summary = gate(3)
    assert {cases[name][0].tag for name in ("machine", "latency_p50")} == {"error"}
    assert named in str(cases["machine"][0].get("message"))
    assert named in summary
    path = project / "edgekit.toml"
    path.write_text(path.read_text().replace("device = ", "any_device = true\ndevice = "))
    cases, summary = gate(0)
    assert "it counts, because any_device = true" in str(cases["machine"][0].text)
    assert "another machine, which any_device lets count" in summary


def test_latency_budget_without_a_device_names_the_key_and_moves_the_older_bundle_aside(
    digits_run: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(digits_run / "project", project)
    (bundle,) = (project / "dist").iterdir()
    before = bundle.read_bytes()
    theirs = bundle.with_name(bundle.name.replace(catalog.host(), "raspberry-pi-4"))
    theirs.write_bytes(b"theirs")
    path = project / "edgekit.toml"
    text = path.read_text().partition("[targets.")[0].rstrip().rpartition("\n#")[0]
    limit = 'budgets = { latency_p50 = "1 ns" }\n'
    path.write_text(f"{text}\n[targets.{catalog.host()}]\n{limit}[targets.raspberry-pi-4]\n{limit}")
    done = answer("convert", cwd=project)
    assert done.returncode == 1
    assert 'name its own device, device = "ssh://…" in [targets.raspberry-pi-4]' in done.stdout
    assert "EK-NOTE-080" in done.stdout
    aside = bundle.with_name(f"{bundle.name}.superseded")
    assert f"dist/{bundle.name} is dist/{aside.name} from now on" in done.stdout
    assert {one.name for one in aside.parent.iterdir()} == {aside.name, theirs.name}
    assert aside.read_bytes() == before
    assert theirs.read_bytes() == b"theirs"
    again = answer("convert", cwd=project)
    assert "EK-NOTE-080" not in again.stdout
    assert aside.read_bytes() == before
