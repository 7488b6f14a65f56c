"""The files and lines for CI that every judging command writes, and what inconclusive counts as."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from conftest import answer
from edgekit.cli.main import group
from edgekit.targets import catalog

SAMPLE = Path(__file__).parents[1] / "report" / "samples" / "report_version_1.json"
COMMANDS = ("convert", "compress", "check", "compare", "evaluate", "bench")
FILES = ("--summary", "--junit", "--sarif", "--code-quality")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the report of a finished run."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    shutil.copyfile(SAMPLE, tmp_path / "report.json")
    return tmp_path


def check(folder: Path, *arguments: object) -> Any:
    done = answer("check", "report.json", *arguments, cwd=folder)
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("command", COMMANDS)
def test_every_judging_command_has_the_same_options(command: str) -> None:
    context = group.make_context("edgekit", [], resilient_parsing=True)
    shown = group.get_command(context, command)
    assert shown is not None
    flags = {name for parameter in shown.params for name in parameter.opts}
    assert flags >= {*FILES, "--annotate"}
    assert ("--inconclusive" in flags) == (command not in ("evaluate", "compress"))


def test_check_writes_all_files_in_one_go(folder: Path) -> None:
    named = {name: folder / f"out{name}" for name in FILES}
    arguments = [each for pair in named.items() for each in pair]
    done = check(folder, "--max-size", "1 kB", *arguments)
    assert done.returncode == 1
    assert named["--summary"].read_text().startswith("## ❌ ")
    root = ET.parse(named["--junit"]).getroot()  # noqa: S314  (ours)
    assert root.tag == "testsuites"
    assert root.get("failures") == "1"
    assert json.loads(named["--sarif"].read_text())["version"] == "2.1.0"
    assert json.loads(named["--code-quality"].read_text())[0]["check_name"] == "edgekit/size"
    assert "::error" not in done.stdout + done.stderr


def test_three_budgets_that_fail_are_three_failures(folder: Path) -> None:
    """In JUnit, in the summary, and as annotations with the lines of the three."""
    budgets = 'size = "1 kB"\naccuracy = { threshold = 0.9999 }\nlatency_p50 = "1 us"\n'
    text = f'[model]\nsource = "m.py:f"\n[targets.{catalog.host()}.budgets]\n{budgets}'
    (folder / "p.toml").write_text(text)
    files = ("--junit", "j.xml", "--summary", "s.md", "--annotate", "github")
    done = check(folder, "--project", "p.toml", *files)
    assert done.returncode == 1
    root = ET.parse(folder / "j.xml").getroot()  # noqa: S314  (ours)
    red = [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None]
    assert sorted(map(str, red)) == ["accuracy", "latency_p50", "size"]
    assert root.get("failures") == "3"
    summary = (folder / "s.md").read_text()
    assert "**3 failed**" in summary
    assert sum(line.startswith("| ❌ ") for line in summary.splitlines()) == 3
    lines = [line for line in done.stdout.splitlines() if line.startswith("::")]
    assert all(line.startswith("::error file=p.toml,line=") for line in lines)
    assert sorted(line.split("line=")[1][0] for line in lines) == ["4", "5", "6"]


@pytest.mark.parametrize("flag", FILES)
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("none/x", "there is no folder none: create it"),
        (".", "is a folder: name a file in it"),
        ("/proc/x", "cannot be written"),
        ("report.json/x", "there is no folder report.json"),
    ],
)
def test_a_file_that_cannot_be_written_is_an_error_before_the_work(
    folder: Path, flag: str, path: str, says: str
) -> None:
    done = answer("convert", "none.keras", flag, path, cwd=folder)
    assert done.returncode == 2
    assert f"Invalid value for '{flag}'" in done.stderr
    assert says in done.stderr
    assert "none.keras" not in done.stderr


def test_a_summary_is_added_to_that_of_the_job_and_replaces_any_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "steps.md"
    path.write_text("first step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    check(folder, "--summary", path)
    check(folder, "--summary", path)
    assert path.read_text().startswith("first step\n\n## ")
    assert path.read_text().count("digits 0.1.0: passed") == 2
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    check(folder, "--summary", path)
    assert path.read_text().startswith("## ")


def test_annotations_are_printed_on_github_and_leave_json_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = ("--max-size", "1 kB")
    assert "::error " not in check(folder, *limit).stdout
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert "::error file=edgekit.toml,line=1," in check(folder, *limit).stdout
    assert "::error" not in check(folder, *limit, "--annotate", "none").stdout
    done = check(folder, *limit, "--json")
    assert "::error" in done.stderr
    assert json.loads(done.stdout)["verdict"]["status"] == "failed"


@pytest.mark.parametrize(
    ("choice", "code", "mark"), [(None, 4, "❔"), ("fail", 1, "❌"), ("pass", 0, "⏭️")]
)
def test_inconclusive_counts_as_is_chosen(
    folder: Path, choice: str | None, code: int, mark: str
) -> None:
    chosen = ("--inconclusive", choice) if choice else ()
    done = check(folder, "--max-drop", "0.0001", "--summary", "s.md", *chosen)
    assert done.returncode == code
    assert "verdict: inconclusive" in done.stdout
    assert (f"(--inconclusive {choice}): exit code {code}" in done.stdout) == bool(choice)
    summary = (folder / "s.md").read_text()
    assert f"exit code {code}" in summary
    assert any(line.startswith(f"| {mark}") and " drop" in line for line in summary.splitlines())
    told = check(folder, "--max-drop", "0.0001", "--json", *chosen)
    assert json.loads(told.stdout)["verdict"]["exit_code"] == code
    assert json.loads(told.stdout)["verdict"]["status"] == "inconclusive"


@pytest.mark.parametrize(("choice", "code"), [("fail", 1), ("pass", 1)])
def test_what_inconclusive_counts_as_changes_no_proven_failure(
    folder: Path, choice: str, code: int
) -> None:
    limits = ("--max-drop", "0.0001", "--max-size", "1 kB")
    assert check(folder, *limits, "--inconclusive", choice).returncode == code


@pytest.mark.parametrize(
    ("command", "says"),
    [("check", "judges a finished run and measures nothing"), ("convert", "give more items")],
)
def test_retry_is_refused_where_nothing_more_can_be_measured(
    folder: Path, command: str, says: str
) -> None:
    done = answer(command, "report.json", "--inconclusive", "retry", cwd=folder)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.parametrize(
    ("option", "limit", "code"),
    [("--max-drop", "0.0001", 4), ("--max-size", "1 kB", 1), ("--max-latency", "1 ns", 1)],
)
def test_options_judge_each_of_several_runs_as_they_judge_one(
    folder: Path, option: str, limit: str, code: int
) -> None:
    shutil.copyfile(SAMPLE, folder / "other.json")
    assert check(folder, option, limit).returncode == code
    assert check(folder, "other.json", option, limit).returncode == code
