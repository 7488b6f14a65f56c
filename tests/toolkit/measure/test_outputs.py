"""Several outputs: each labelled one is judged, one gives the headline, a fault in any shows."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from tflite_files import G, N, T, build

from conftest import answer
from edgekit.report.document import SCHEMA

ITEMS = 200
OUTPUTS = ("side", "sum")


def two_ended(side: float = 1.0, total: float = 1.0) -> bytes:
    """``x`` [1, 4] to the scores ``side`` [1, 2] of its halves, and to its ``sum`` [1, 1]."""
    halves = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], np.float32)
    halves[0] *= side
    tensors = [
        T("x", [1, 4]),
        T("w", [2, 4], data=halves),
        T("v", [1, 4], data=np.full((1, 4), total, np.float32)),
        T("side", [1, 2]),
        T("sum", [1, 1]),
    ]
    nodes = [
        N("FULLY_CONNECTED", ["x", "w", None], ["side"]),
        N("FULLY_CONNECTED", ["x", "v", None], ["sum"]),
    ]
    return build(G(tensors, nodes, ["x"], list(OUTPUTS)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model and two with one fault each; labels that the model is 90 % and nearly right on."""
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "model.tflite").write_bytes(two_ended())
    (folder / "one-sided.tflite").write_bytes(two_ended(side=3.0))
    (folder / "scaled.tflite").write_bytes(two_ended(total=1.2))
    rng = np.random.default_rng(0)
    x = rng.random((ITEMS, 4)).astype(np.float32)
    side = (x[:, 2:].sum(1) > x[:, :2].sum(1)).astype(np.int64)
    side[::10] ^= 1
    total = (x.sum(1) + rng.normal(0, 0.1, ITEMS)).astype(np.float32)
    np.savez(folder / "named.npz", x=x, side=side, sum=total)
    np.savez(folder / "y.npz", x=x, y=(total * 3).astype(np.int64) + 5)
    np.savez(folder / "classes.npz", x=x, y=side, sum=total)
    np.savez(folder / "half.npz", x=x, side=side)
    (folder / "mine.py").write_text(
        "import numpy as np\n"
        "def test():\n"
        "    found = np.load('named.npz')\n"
        "    return found['x'], {name: found[name] for name in ('side', 'sum')}\n"
    )
    return folder


def evaluated(folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    done = answer("evaluate", *words, "--json", cwd=folder)
    assert done.returncode == code, done.stderr
    return dict(json.loads(done.stdout))


def by_hand(folder: Path) -> tuple[float, float]:
    """Accuracy of the sides, and the mean squared error of the sums."""
    found = np.load(folder / "named.npz")
    x = found["x"].astype(np.float64)
    right = (x[:, 2:].sum(1) > x[:, :2].sum(1)) == found["side"]
    return float(right.mean()), float(((x.sum(1) - found["sum"]) ** 2).mean())


@pytest.mark.parametrize("data", ["named.npz", "classes.npz", "mine.py:test"])
def test_every_labelled_output_has_its_metric(folder: Path, data: str) -> None:
    headline = ["--metric-output", "side"] if data == "classes.npz" else []
    found = evaluated(folder, "model.tflite", "--data", data, *headline)
    accuracy, mse = by_hand(folder)
    (model,) = found["models"]
    assert model["metric"]["value"] == pytest.approx(accuracy) == pytest.approx(0.9)
    assert model["outputs"]["sum.mse"]["value"] == pytest.approx(mse, rel=1e-4)
    assert [one["name"] for one in found["settings"]["outputs"]] == ["accuracy", "sum.mse"]
    assert "accuracy of output 'side'" in found["advice"][0]["message"]


def test_the_headline_is_the_output_asked_for(folder: Path) -> None:
    words = ["model.tflite", "--data", "named.npz", "--metric-output", "sum", "--metric", "mae"]
    found = evaluated(folder, *words)
    (model,) = found["models"]
    assert found["settings"]["metric"] == "mae"
    assert model["outputs"]["side.accuracy"]["value"] == pytest.approx(by_hand(folder)[0])


def test_metric_and_labels_of_an_output_are_the_projects(folder: Path) -> None:
    (folder / "edgekit.toml").write_text(
        'schema = 1\n[model]\nsource = "model.tflite"\n[data]\nevaluate = "classes.npz"\n'
        '[evaluate.outputs.side]\nlabels = "y"\n[evaluate.outputs.sum]\nmetric = "r2"\n'
    )
    found = evaluated(folder)
    assert found["models"][0]["metric"]["value"] == pytest.approx(by_hand(folder)[0])
    assert list(found["models"][0]["outputs"]) == ["sum.r2"]


def test_an_output_without_labels_is_said_to_be_unjudged(folder: Path) -> None:
    found = evaluated(folder, "model.tflite", "--data", "half.npz")
    assert found["models"][0]["outputs"] == {}
    warned = [one for one in found["advice"] if one["code"] == "EK-NOTE-061"]
    assert "'sum'" in warned[0]["message"]


@pytest.mark.parametrize("command", ["evaluate", "convert"])
def test_the_way_on_is_an_option_that_the_command_has(folder: Path, command: str) -> None:
    done = answer(command, "model.tflite", "--data", "y.npz", cwd=folder)
    assert done.returncode == 2, done.stderr
    assert "EK-PROJECT-010" in done.stderr
    assert "--metric-output side" in done.stderr


@pytest.mark.parametrize(
    "command", ["convert", "compress", "evaluate", "compare", "bench", "lint-data", "check"]
)
def test_the_output_can_be_named_on_every_command_that_scores(folder: Path, command: str) -> None:
    assert "--metric-output" in answer(command, "--help", cwd=folder).stdout


def test_an_unknown_output_is_refused_with_the_names(folder: Path) -> None:
    done = answer(
        "evaluate", "model.tflite", "--data", "named.npz", "--metric-output", "sums", cwd=folder
    )
    assert done.returncode == 2
    assert "did you mean 'sum'" in done.stderr


@pytest.mark.parametrize(
    ("fault", "red", "green"),
    [("one-sided", "accuracy drop", "sum.mse drop"), ("scaled", "sum.mse drop", "accuracy drop")],
)
def test_a_loss_of_any_judged_output_fails(folder: Path, fault: str, red: str, green: str) -> None:
    words = ["model.tflite", f"{fault}.tflite", "--data", "named.npz", "--no-latency"]
    done = answer("compare", *words, "--json", cwd=folder)
    assert done.returncode == 1, done.stderr
    checks = {one["name"]: one["status"] for one in json.loads(done.stdout)["verdict"]["checks"]}
    assert checks[red] == "failed"
    assert checks[green] == "passed"


def test_an_output_that_the_other_model_has_not_is_unavailable(folder: Path) -> None:
    tensors = [
        T("x", [1, 4]),
        T("w", [2, 4], data=np.eye(2, 4, dtype=np.float32)),
        T("side", [1, 2]),
    ]
    one = build(G(tensors, [N("FULLY_CONNECTED", ["x", "w", None], ["side"])], ["x"], ["side"]))
    (folder / "single.tflite").write_bytes(one)
    words = ["model.tflite", "single.tflite", "--data", "named.npz", "--no-latency"]
    done = answer("compare", *words, "--json", cwd=folder)
    checks = {one["name"]: one["status"] for one in json.loads(done.stdout)["verdict"]["checks"]}
    assert checks["sum.mse drop"] == "unavailable"


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    """A whole conversion of the model, whose sums have a budget of their own."""
    (folder / "run").mkdir()
    (folder / "run" / "edgekit.toml").write_text(
        'schema = 1\n[model]\nsource = "../model.tflite"\n[data]\nevaluate = "../named.npz"\n'
        '[convert]\nprecisions = ["float32"]\n'
        "[targets.linux-x86_64.budgets.outputs.sum]\nthreshold = 0.001\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        from edgekit.pipeline import judge

        patch.setattr(judge, "_time", lambda _run, _reference, base, judged, _items: (base, judged))
        done = answer("convert", "--json", cwd=folder / "run")
    assert done.returncode == 1, done.stderr
    return dict(json.loads(done.stdout))


def test_the_report_holds_every_output(folder: Path, report: dict[str, Any]) -> None:
    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    accuracy, mse = by_hand(folder)
    (candidate,) = report["candidates"]
    assert candidate["metrics"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert candidate["metrics"]["sum.mse"]["value"] == pytest.approx(mse, rel=1e-4)
    assert candidate["drop"]["sum.mse"]["value"] == pytest.approx(0, abs=1e-6)


def test_check_judges_every_output_again_or_the_one_named(
    folder: Path, report: dict[str, Any]
) -> None:
    run = folder / "run"
    done = answer("check", "--junit", "junit.xml", "--summary", "summary.md", cwd=run)
    assert done.returncode == 1, done.stderr
    cases = {one.get("name"): one for one in ET.parse(run / "junit.xml").iter("testcase")}  # noqa: S314
    assert cases["sum.mse"].find("failure") is not None
    assert cases["accuracy drop"].find("failure") is None
    assert "sum.mse" in (run / "summary.md").read_text()
    alone = answer("check", "--metric-output", "side", cwd=run)
    assert alone.returncode == 0, alone.stderr
    assert answer("check", "--metric-output", "sum", cwd=run).returncode == 1
    unknown = answer("check", "--metric-output", "total", cwd=run)
    assert unknown.returncode == 2
    assert "it holds: side, sum" in unknown.stderr
