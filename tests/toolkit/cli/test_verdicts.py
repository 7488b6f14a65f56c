"""A verdict is never better than its evidence: exit code, JUnit and Markdown of `edgekit check`."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_files import build, doubling

from conftest import answer
from edgekit.targets import catalog

Edit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Judged:
    """What `edgekit check` answered: its exit code, output, JUnit cases by name, and Markdown."""

    code: int
    text: str
    cases: dict[str, ET.Element]
    suite: ET.Element
    markdown: str

    def kind(self, name: str) -> str:
        """``failure``, ``error``, ``skipped``, or ``system-out`` where the check passed."""
        return self.cases[name][0].tag


@pytest.fixture
def report(digits_run: Path, tmp_path: Path) -> Path:
    """The report of the converted example, alone in a folder."""
    (path,) = (digits_run / "project" / ".edgekit" / "runs").glob("*/report.json")
    return Path(shutil.copyfile(path, tmp_path / "report.json"))


def edit(path: Path, change: Edit) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def check(path: Path, *arguments: object) -> Judged:
    done = answer(
        "check", path.name, "--junit", "j.xml", "--summary", "s.md", *arguments, cwd=path.parent
    )
    assert "Traceback" not in done.stderr
    if not (path.parent / "j.xml").exists():
        return Judged(done.returncode, done.stderr, {}, ET.Element("none"), "")
    suite = ET.parse(path.parent / "j.xml").getroot()  # noqa: S314  (ours)
    cases = {str(case.get("name")): case for case in suite.iter("testcase")}
    return Judged(done.returncode, done.stdout, cases, suite, (path.parent / "s.md").read_text())


def budgets(document: dict[str, Any]) -> dict[str, Any]:
    """The budgets of the report's only target, to change."""
    (table,) = document["settings"]["targets"].values()
    found: dict[str, Any] = table["budgets"]
    return found


@pytest.mark.parametrize(
    "narrowed",
    [
        (),
        ("--precision", "int8"),
        ("--target", catalog.host()),
        ("--precision", "int8", "--target", catalog.host()),
    ],
)
def test_narrowing_keeps_the_limit_that_the_run_failed(
    report: Path, narrowed: tuple[str, ...]
) -> None:
    edit(report, lambda document: budgets(document).update(size=5000.0, accuracy=None))
    done = check(report, *narrowed)
    assert done.code == 1
    assert done.kind("size") == "failure"
    assert int(done.suite.get("failures", 0)) == 1
    assert len(done.cases) >= 3
    assert "limit: at most 5,000 bytes" in str(done.cases["size"][0].get("message"))
    assert "FAILED: " in done.markdown
    assert "(at most 5,000 bytes)" in done.markdown
    row = next(line for line in done.markdown.splitlines() if line.startswith("| int8"))
    assert "FAILED<br>size" in row
    # A size that has a limit is shown to the byte: in kB both could look alike.
    held = next(one for one in json.loads(report.read_text())["candidates"] if one["id"] == "int8")
    assert held["bytes"] > 10_000
    assert f"| {held['bytes']:,} B<br>" in row
    assert done.text.rstrip().splitlines()[-2] == "verdict: FAILED"


def test_limits_that_are_kept_are_listed(report: Path) -> None:
    done = check(report)
    assert done.code == 0
    for text in (done.text, done.markdown):
        assert " size (at most 100,000 bytes): the file has" in text
        assert " accuracy drop (at most 2 points): drop" in text


def test_narrowing_to_what_no_target_ships_is_an_error(report: Path) -> None:
    (name,) = json.loads(report.read_text())["settings"]["targets"]
    edit(report, lambda d: d["settings"]["targets"][name].update(precision="int8"))
    done = check(report, "--precision", "float32")
    assert done.code == 2
    assert "EK-REPORT-004: no target of the report ships float32" in done.text
    assert f"{name} int8" in done.text


def test_limits_of_the_command_line_of_the_run_stay_where_the_project_has_none(
    report: Path,
) -> None:
    edit(report, lambda document: document["settings"].update(max_drop=0.0001, max_size=1))
    project = report.with_name("p.toml")
    text = f'[model]\nsource = "m"\n[targets.{catalog.host()}]\n'
    project.write_text(text)
    done = check(report, "--project", project.name)
    assert (done.kind("size"), done.kind("accuracy drop")) == ("failure", "failure")
    assert done.cases["accuracy drop"][0].get("type") == "inconclusive"
    project.write_text(text + 'budgets = { size = "1 MB", metric = { max_degradation = 0.1 } }\n')
    assert check(report, "--project", project.name).code == 0


@pytest.mark.parametrize("added", ["coral-dev-board", "cortex-m55-ethos-u55-128", "linux-aarch64"])
def test_a_target_added_after_the_run_is_unavailable(report: Path, added: str) -> None:
    project = report.with_name("p.toml")
    project.write_text(f'[model]\nsource = "m"\n[targets.{catalog.host()}]\n[targets.{added}]\n')
    done = check(report, "--project", project.name)
    assert done.code == 3
    case = done.cases["tried"]
    assert case[0].tag == "error"
    assert added in str(case.get("classname"))
    for text in (done.text, done.markdown):
        assert f"{added}: ships nothing; not tried" in text
        assert "nothing was compiled, run or packed for it" in text


def test_a_run_that_evaluated_nothing_proves_nothing(report: Path) -> None:
    def forget(document: dict[str, Any]) -> None:
        budgets(document).clear()
        for one in document["candidates"]:
            one.update(metrics={}, drop={}, paired={}, runtimes=[], latency=None)

    edit(report, forget)
    done = check(report)
    assert done.code == 3
    assert done.kind("evaluation") == "error"
    assert "unavailable: evaluation: the run evaluated nothing" in done.text


def test_a_runtime_that_was_not_tried_is_said(report: Path) -> None:
    def forget(document: dict[str, Any]) -> None:
        for one in document["candidates"]:
            one["runtimes"] = []

    edit(report, forget)
    done = check(report)
    assert done.code == 3
    assert {name: done.kind(name) for name in done.cases if name.startswith("runs on")} == {
        "runs on litert 2.3.0": "error",
        "runs on tflite-runtime 2.14.0": "error",
    }


def test_a_bundle_of_another_candidate_is_not_shown_for_the_one_that_passes(report: Path) -> None:
    edit(report, lambda d: d["targets"][0].update(candidate="float16"))
    assert "bundle" not in check(report).text.replace("bundled", "")


@pytest.mark.parametrize("written", ["1%", "1 %", "0.01", "1pt", "1 point", "1/100"])
def test_a_drop_is_one_however_it_is_written(report: Path, written: str) -> None:
    done = check(report, "--max-drop", written)
    assert done.code == 0
    assert "accuracy drop (at most 1 point)" in done.text
    assert "limit: at most 1 point" in str(done.cases["accuracy drop"][0].text)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("1", "is it 100 points or 1 point?"),
        ("0.6", "is it 60 points or 0.6 points?"),
        ("5", "is it 5 points?"),
        ("1e400", "is not a number such as"),
        ("nan", "is not a number such as"),
        ("1pc", "is not a number such as"),
    ],
)
def test_a_bare_drop_that_may_mean_two_things_is_asked_about(
    report: Path, written: str, words: str
) -> None:
    done = check(report, "--max-drop", written)
    assert (done.code, done.cases) == (2, {})
    assert words in done.text
    if words.startswith("is it"):
        assert f"write {written}pt, {written}% or" in done.text


def test_a_large_drop_is_taken_with_its_unit(report: Path) -> None:
    assert check(report, "--max-drop", "100%").code == 0


@pytest.mark.parametrize(
    ("goal", "code", "words"),
    [
        ('max_degradation = "1pt"', 0, "at most 1 point"),
        ("max_degradation = 1", 2, "accuracy.max_degradation 1: accuracy lies in 0..1"),
        ("threshold = 90", 2, "accuracy.threshold 90: accuracy lies in 0..1, is it 90 points?"),
        ('threshold = "90%"', 0, "at least 90 points"),
        ("min_improvement = 5", 2, "min_improvement 5"),
    ],
)
def test_goals_of_the_project_are_read_alike(
    report: Path, goal: str, code: int, words: str
) -> None:
    project = report.with_name("p.toml")
    table = f"[targets.{catalog.host()}]\nbudgets = {{ accuracy = {{ {goal} }} }}\n"
    project.write_text(f'[model]\nsource = "m"\n{table}')
    done = check(report, "--project", project.name)
    assert done.code == code
    assert words in done.text


def test_points_of_a_metric_without_bounds_are_refused(report: Path) -> None:
    edit(report, lambda document: document["settings"].update(bounded=False))
    done = check(report, "--max-drop", "1%")
    assert done.code == 2
    assert "accuracy does not lie in 0..1" in done.text


def test_a_budget_for_another_metric_is_refused(report: Path) -> None:
    edit(report, lambda document: document["settings"].update(metric="mse", bounded=False))
    project = report.with_name("p.toml")
    table = f"[targets.{catalog.host()}.budgets]\naccuracy = {{ max_degradation = 0.01 }}\n"
    project.write_text(f'[model]\nsource = "m"\n{table}')
    done = check(report, "--project", project.name)
    assert done.code == 2
    assert "EK-PROJECT-009" in done.text


def test_two_goals_for_one_metric_are_refused(report: Path) -> None:
    project = report.with_name("p.toml")
    both = "accuracy = { threshold = 0.9 }\nmetric = { threshold = 0.1 }\n"
    project.write_text(f'[model]\nsource = "m"\n[targets.{catalog.host()}.budgets]\n{both}')
    done = check(report, "--project", project.name)
    assert done.code == 2
    assert "accuracy and metric are the same budget" in done.text


@pytest.mark.parametrize("option", ["--max-flips", "--max-changed", "--max-slowdown"])
def test_a_bare_share_that_may_mean_two_things_is_asked_about(tmp_path: Path, option: str) -> None:
    done = answer("compare", "a.tflite", "b.tflite", option, "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "1 is ambiguous: write 1% or 100%" in done.stderr


@pytest.mark.parametrize("command", ["verify", "bench"])
def test_a_bundle_that_is_not_there_is_a_mistake_of_the_command_line(
    tmp_path: Path, command: str
) -> None:
    done = answer(command, "none.tar.gz", cwd=tmp_path)
    assert done.returncode == 2, done.stderr


def test_quiet_says_the_result_and_only_it(report: Path) -> None:
    done = check(report, "-q", "--max-size", "1 kB")
    assert done.code == 1
    lines = done.text.splitlines()
    assert lines[-1] == "verdict: FAILED"
    assert any(line.startswith("FAILED: ") and "size (at most 1,000" in line for line in lines)
    assert "SavedModel" not in done.text


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float file whose answers are the labels of ``numbers.npz``, and classes of others."""
    folder = tmp_path_factory.mktemp("exact")
    (folder / "model.tflite").write_bytes(build(doubling([1, 2])))
    x = np.random.default_rng(0).random((120, 2), np.float32)
    np.savez(folder / "numbers.npz", x=x, y=2 * x)
    np.savez(folder / "classes.npz", x=x, y=(x[:, 1] > x[:, 0]).astype(np.int64))
    return folder


@pytest.mark.usefixtures("lent_worker", "untimed")
@pytest.mark.parametrize(
    ("items", "metric", "stated"),
    [("numbers", "mse", ()), ("numbers", "r2", ("--max-drop", "0.0001")), ("classes", "f1", ())],
)
def test_a_file_equal_to_its_reference_passes_by_any_metric(
    exact: Path, tmp_path: Path, items: str, metric: str, stated: tuple[str, ...]
) -> None:
    words = ("--data", exact / f"{items}.npz", "--metric", metric, "--precision", "float32")
    done = answer("convert", exact / "model.tflite", *words, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / ".edgekit" / "runs").glob("*/report.json")
    found = check(path, *stated)
    assert found.code == 0
    (name,) = [one for one in found.cases if one.endswith(" drop")]
    assert found.kind(name) == "system-out"
    assert "drop 0 " in str(found.cases[name][0].text)
    for text in (found.text, found.markdown):
        assert "inf" not in text.replace("info", "")
        assert f"{metric} drop (at most" in text
