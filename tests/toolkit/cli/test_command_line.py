"""The command line as a user meets it: what is printed where, and what is not imported."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from conftest import answer, edgekit


@pytest.fixture
def project(digits_run: Path, tmp_path: Path) -> Path:
    """A copy of the converted example, store and all."""
    return Path(shutil.copytree(digits_run / "project", tmp_path / "project"))


@pytest.mark.parametrize(
    "command", [["--help"], ["targets"], ["--version"], ["completion", "bash"]]
)
def test_light_commands_do_not_import_tensorflow(command: list[str]) -> None:
    code = (
        "import sys\nfrom edgekit.cli.main import run\nassert run(sys.argv[1:]) == 0\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'scipy', 'sklearn', 'pydantic', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True)


def test_listing_the_targets_imports_nothing_of_what_a_report_holds() -> None:
    code = (
        "import sys\nfrom edgekit.cli.main import run\nassert run(['targets']) == 0\n"
        "heavy = {'edgekit.types.outcome', 'edgekit.types.benched', 'edgekit.targets.devices'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_check_does_not_import_tensorflow(project: Path) -> None:
    code = (
        "import sys\nfrom edgekit.cli.main import run\nassert run(['check']) == 0\n"
        "assert not {'tensorflow', 'keras', 'tf_keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=project)


def test_version_is_printed(tmp_path: Path) -> None:
    assert re.fullmatch(r"edgekit \d+\.\d+\.\d+\n", edgekit("--version", cwd=tmp_path).stdout)


def test_noise_of_tensorflow_stays_in_the_log(digits_run: Path) -> None:
    lines = (digits_run / "stderr.txt").read_text().splitlines()
    stages = [re.fullmatch(r"(\d+) of (\d+)  (.*?): \d+\.\d s(, .+)?", line) for line in lines]
    told = [stage.groups() for stage in stages if stage]
    assert told[0][2] == "train"
    assert told[-1][:2] == (str(len(told)), str(len(told)))
    # What was expected at first is what came.
    assert {of for _, of, *_ in told} == {str(len(told))}
    assert any(name == "convert" and " kB" in (result or "") for _, _, name, result in told)
    text = "\n".join(lines)
    for noise in ("WARNING", "cudart", "INFO", "Saved artifact", "fully_quantize"):
        assert noise not in text


def test_table_is_readable_at_100_columns(project: Path) -> None:
    done = answer("check", "--max-drop", "0.0001", cwd=project)
    rows = done.stdout.split("\n\n")[0].splitlines()
    assert max(map(len, rows)) <= 100
    assert "…" not in "".join(rows)
    assert "\x1b" not in done.stdout
    for word in ("SavedModel", "float32", "int8", "inconclusive", "accuracy", "95 % interval"):
        assert word in "\n".join(rows)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--max-drop", "0.0001"], 4),
        (["--max-size", "1 kB"], 1),
        (["--max-size", "1"], 2),
        (["--precision", "float32", "--max-size", "30 kB"], 1),
        (["--target", "raspberry-pi-4"], 2),
    ],
)
def test_check_exits_by_its_verdict(project: Path, arguments: list[str], code: int) -> None:
    done = answer("check", *arguments, cwd=project)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_check_takes_changed_budgets_from_the_project_file(project: Path) -> None:
    file = project / "edgekit.toml"
    file.write_text(file.read_text().replace('size = "100 kB"', 'size = "1 kB"'))
    assert answer("check", cwd=project).returncode == 1


def test_check_of_a_report_elsewhere_names_it_and_asks_no_project(
    project: Path, tmp_path: Path
) -> None:
    (report,) = (project / ".edgekit" / "runs").glob("*/report.json")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copyfile(report, elsewhere / "report.json")
    (elsewhere / "edgekit.toml").write_text("no project")
    done = answer("check", "report.json", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    named = Path(done.stdout.rstrip().splitlines()[-1].removeprefix("report "))
    assert (elsewhere / named / "report.json").is_file()


def test_check_writes_junit_and_markdown(project: Path) -> None:
    done = answer(
        "check", "--max-size", "1 kB", "--junit", "j.xml", "--summary", "s.md", cwd=project
    )
    assert done.returncode == 1
    suite = ET.parse(project / "j.xml").getroot()  # noqa: S314  (ours)
    assert int(suite.attrib["failures"]) >= 1
    assert "size" in {case.attrib["name"] for case in suite.iter("testcase")}
    assert (project / "s.md").read_text().startswith("## ❌ digits 0.1.0: failed")


def test_check_prints_only_json_when_asked(project: Path) -> None:
    done = edgekit("check", "--json", cwd=project)
    assert json.loads(done.stdout)["verdict"]["exit_code"] == 0


def test_init_refuses_to_overwrite_without_force(tmp_path: Path) -> None:
    assert answer("init", "p", cwd=tmp_path).returncode == 0
    (tmp_path / "p" / "model.py").write_text("mine")
    again = answer("init", "p", cwd=tmp_path)
    assert again.returncode == 2
    assert "EK-INIT-001" in again.stderr
    assert (tmp_path / "p" / "model.py").read_text() == "mine"
    assert answer("init", "p", "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / "p" / "model.py").read_text() != "mine"


def test_internal_error_names_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgekit.cli.main import run

    def fail(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("edgekit.api.init", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run(["init", str(tmp_path / "new")]) == 70
    said = capsys.readouterr().err
    assert "EK-INTERNAL-001" in said
    (log,) = tmp_path.glob("edgekit-*.log")
    assert str(log) in said
    assert "ZeroDivisionError" in log.read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_the_commands(shell: str, tmp_path: Path) -> None:
    line = edgekit("completion", shell, cwd=tmp_path).stdout
    assert f"_EDGEKIT_COMPLETE={shell}_source edgekit" in line
    offered = edgekit(
        cwd=tmp_path,
        _EDGEKIT_COMPLETE=f"{shell}_complete",
        COMP_WORDS="edgekit con",
        COMP_CWORD="1" if shell != "fish" else "con",
    ).stdout
    assert "convert" in offered


@pytest.mark.slow
def test_doctor_runs_a_model_in_every_runtime(tmp_path: Path) -> None:
    done = edgekit("doctor", "--json", cwd=tmp_path)
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 0
    assert found["litert"]["message"] == "runs a model"
    assert found["tensorflow"]["status"] == "passed"
    if sys.version_info >= (3, 12):
        assert found["tflite-runtime"]["status"] == "unavailable"
    else:
        assert found["tflite-runtime"]["message"] == "runs a model"


def test_doctor_goes_red_when_a_runtime_is_broken(tmp_path: Path) -> None:
    broken = tmp_path / "ai_edge_litert"
    broken.mkdir()
    (broken / "__init__.py").write_text("")
    (broken / "interpreter.py").write_text("raise ImportError('planted')\n")
    shutil.copyfile(
        Path(__import__("ai_edge_litert").__file__).with_name("schema_py_generated.py"),
        broken / "schema_py_generated.py",
    )
    plugin = tmp_path / "solar_kit-0.3.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: solar-kit\nVersion: 0.3\n")
    (plugin / "entry_points.txt").write_text("[edgekit.metrics]\nghost = absent_kit:GHOST\n")
    done = edgekit("doctor", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 3
    assert re.search(r"metrics: ghost +failed +solar-kit 0.3 .*'absent_kit'", done.stdout)
    assert re.search(r"litert +failed", done.stdout)
    # The others are tried all the same.
    assert re.search(r"tensorflow +ok", done.stdout)
