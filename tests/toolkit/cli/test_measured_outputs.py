"""What evaluate, compare and bench print as JSON and write for CI; and that they measure more."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import numpy as np
import pytest
from checked_rows import differences
from output_schemas import OUTPUTS, schema
from rendered import ReadPage
from tflite_files import G, N, T, build, doubling

from conftest import BRIEF_BENCH, SURE_LAUNCHES, answer
from edgekit.api.judgement import latest
from edgekit.cli.retry import measured
from edgekit.errors import ProjectError
from edgekit.report import details, document
from edgekit.report.measured_files import read_bench, read_compared, read_evaluated
from edgekit.types import BenchReport, Compared, Evaluated, Status

ROOM = document.SCHEMA.parent
FILES = ("--summary", "s.md", "--junit", "j.xml", "--sarif", "s.sarif", "--code-quality", "q.json")
DATA = ("--data", "classes.npz")
ARGUMENTS = {
    "evaluate": ("model.tflite", *DATA, "--json", "--plots", "plots"),
    "compare": (
        "model.tflite",
        "other.tflite",
        *DATA,
        "--no-latency",
        "--max-error",
        "0",
        "--json",
    ),
    "bench": ("model.tflite", "--max-latency", "1 ns", *BRIEF_BENCH, *SURE_LAUNCHES),
}
READERS: dict[str, Callable[[Path], Evaluated | Compared | BenchReport]] = {
    "evaluate": read_evaluated,
    "compare": read_compared,
    "bench": read_bench,
}
EXIT_CODES = {"evaluate": 0, "compare": 1, "bench": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two float files whose answers differ, and items of two classes."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "model.tflite").write_bytes(build(doubling([1, 2])))
    square = N("MUL", ["x", "x"], ["y"], options={"kind": "MulOptions"})
    squares = G([T("x", [1, 2]), T("y", [1, 2])], [square], ["x"], ["y"], "serving_default")
    (folder / "other.tflite").write_bytes(build(squares))
    x = np.random.default_rng(0).random((120, 2), np.float32)
    np.savez(folder / "classes.npz", x=x, y=(x[:, 1] > x[:, 0]).astype(np.int64))
    return folder


@pytest.mark.parametrize("command", ARGUMENTS)
def test_json_fits_the_shipped_schema_and_the_files_tell_the_same(
    folder: Path, command: str
) -> None:
    done = answer(command, *ARGUMENTS[command], *FILES, cwd=folder)
    assert done.returncode == EXIT_CODES[command], done.stderr
    shipped = json.loads((ROOM / f"{command}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(shipped)
    found = json.loads(done.stdout)
    jsonschema.validate(found, shipped)
    broken = {**found, "verdict": {**found["verdict"], "status": "fine"}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, shipped)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**found, "surprise": 1}, shipped)

    root = ET.parse(folder / "j.xml").getroot()  # noqa: S314  (ours)
    assert int(root.get("tests", 0)) == len(found["verdict"]["checks"])
    assert (int(root.get("failures", 0)) > 0) == (done.returncode == 1)
    assert f"exit code {done.returncode}" in (folder / "s.md").read_text()
    results = json.loads((folder / "s.sarif").read_text())["runs"][0]["results"]
    assert any(entry["level"] == "error" for entry in results) == (done.returncode == 1)
    check_the_run(folder, command, found)
    if command == "evaluate":
        assert {one.suffix for one in (folder / "plots").glob("*confusion*")} == {".svg", ".png"}


def check_the_run(folder: Path, command: str, found: dict[str, Any]) -> None:
    """Its folder holds what was printed, and details; a damaged file is refused."""
    run = folder / ".edgekit/runs" / found["run"]
    file = run / f"{command}.json"
    assert json.loads(file.read_text()) == found
    read = READERS[command]
    kept = read(run)
    drawn = details.read(run)
    assert drawn is not None
    assert (drawn.run, drawn.kind) == (kept.run, command)
    assert drawn.command.startswith(f"edgekit {command} model.tflite")
    rows = found["rows" if command == "bench" else "models"]
    assert list(drawn.candidates) == [row["id"] for row in rows]
    for row in rows:
        model = drawn.candidates[row["id"]]
        assert model.sizes is not None
        assert model.sizes.total == row["bytes"]
        if command != "bench":
            assert model.confusion is not None
            assert sum(map(sum, model.confusion.matrix)) == row["items"]
            assert model.absent["launches"] == "nothing was timed"
        else:
            assert [one.count for one in model.launches] == row["latency"]["launches"]
    check_the_page(run, command, found, rows)
    # Neither is a run that `edgekit check` judges by default.
    with pytest.raises(ProjectError, match="no report below"):
        latest(folder)
    file.write_text(json.dumps({**found, "run": 3}))
    with pytest.raises(ProjectError) as caught:
        read(run)
    assert caught.value.code == "EK-REPORT-002"
    assert "run" in caught.value.hint


def check_the_page(
    run: Path, command: str, found: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    """Its page says what was decided first, and draws the figures that were printed."""
    page = ReadPage((run / "report.html").read_text())
    sections = [one["id"] for tag, one in page.elements if tag == "section"]
    assert sections[:2] == ["verdict", "models"]
    assert ("latency" in sections) == (command != "evaluate")
    seen = " ".join(page.visible.split())
    assert f"{command} run {found['run']}" in seen
    assert ("✓ passed" if command == "evaluate" else "✕ failed") in seen
    assert all(row["id"].partition(" on ")[0] in seen for row in rows)
    assert differences(page, found) == []
    drawn = page.data["charts"]
    if command == "evaluate":
        (model,) = found["models"]
        assert drawn[f"confusion of {model['id']}"]["counts"] == found["details"]["confusion"]
        assert f"{100 * model['metric']['value']:.2f} %" in seen
    elif command == "compare":
        sizes = {point["model"]: point["size"]["value"] for point in drawn["pareto"]["points"]}
        assert sizes == {row["id"]: row["bytes"] for row in rows}
        assert found["contrasts"][0]["likeness"]["reason"] in seen
    else:
        (timed,) = drawn["latency"]["models"]
        assert [one["count"] for one in timed["launches"]] == rows[0]["latency"]["launches"]
        assert timed["median"]["value"] == rows[0]["latency"]["p50"]["value"]


def test_a_bench_without_a_limit_is_nowhere_said_to_have_passed(folder: Path) -> None:
    done = answer("bench", "model.tflite", *BRIEF_BENCH[:-1], *FILES, cwd=folder)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert "not evaluated (exit code 0): nothing was judged" in done.stdout
    run = max((folder / ".edgekit/runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    verdict = json.loads((run / "bench.json").read_text())["verdict"]
    assert verdict == {"status": "not evaluated", "exit_code": 0, "checks": []}
    text = (run / "report.html").read_text()
    page = " ".join(ReadPage(text).visible.split())
    assert "– not evaluated" in page
    assert "Nothing was judged: this run has no check." in page
    summary, junit = ((folder / name).read_text() for name in ("s.md", "j.xml"))
    assert "⏭️ model.tflite: not evaluated" in summary.replace(" on local", "")
    root = ET.fromstring(junit)  # noqa: S314  (ours)
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["1", "0", "0"]
    assert root.find("testsuite/testcase/skipped") is not None
    assert not any("passed" in said for said in (done.stdout, page, summary, junit))


@pytest.mark.parametrize("command", OUTPUTS)
def test_the_shipped_schema_is_that_of_the_types(command: str) -> None:
    shipped = json.loads((ROOM / f"{command}.schema.json").read_text())
    assert shipped == schema(command), "python tests/output_schemas.py toolkit/report"


def test_retry_evaluates_more_items_while_nothing_is_decided(folder: Path) -> None:
    same = ("compare", "model.tflite", "model.tflite", *DATA, "--no-latency", "--max-flips", "0.5%")
    done = answer(*same, "--limit", "20", "--inconclusive", "retry", "--json", cwd=folder)
    assert done.returncode == 4
    assert json.loads(done.stdout)["models"][0]["items"] == 80
    assert "inconclusive: measuring 4 times as much" in done.stderr
    whole = answer(*same, "--inconclusive", "retry", cwd=folder)
    assert whole.returncode == 4
    assert "every item was evaluated" in whole.stderr
    assert "times as much" not in whole.stderr


def found(status: Status) -> Any:
    return SimpleNamespace(verdict=SimpleNamespace(status=status))


@pytest.mark.parametrize(
    ("statuses", "retry_for", "times"),
    [
        ([Status.PASSED], 600.0, [1]),
        ([Status.INCONCLUSIVE, Status.FAILED], 600.0, [1, 2]),
        ([Status.INCONCLUSIVE] * 3, 600.0, [1, 2, 4]),
        ([Status.INCONCLUSIVE], 0.0, [1]),
    ],
)
def test_retry_ends_with_a_decision_or_the_time(
    statuses: list[Status], retry_for: float, times: list[int]
) -> None:
    made: list[int] = []

    def measure(more: int) -> Any:
        made.append(more)
        return found(statuses[len(made) - 1])

    done = measured(measure, {"inconclusive": "retry", "retry_for": retry_for})
    assert made == times
    assert done.verdict.status is statuses[-1]


def test_without_retry_is_measured_once() -> None:
    made = []
    measured(
        lambda more: made.append(more) or found(Status.INCONCLUSIVE),
        {"inconclusive": "fail", "retry_for": 600.0},
    )
    assert made == [1]
