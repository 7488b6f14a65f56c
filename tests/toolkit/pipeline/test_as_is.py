"""``--as-is``: a quantized ``.tflite`` checked, described and packed without being converted."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from conftest import answer
from edgekit import Project, convert
from edgekit.api import check, lint_data
from edgekit.converters import flatbuffer
from edgekit.converters.metadata.read import read_metadata
from edgekit.converters.precisions import PRECISIONS, precision_in
from edgekit.errors import EdgekitError
from edgekit.pipeline import Options
from edgekit.report import document
from edgekit.targets.bundles import verify
from edgekit.types import Report

NPU = "cortex-m55-ethos-u55-128"
SCALED = {"scale": 1 / 16}
pytestmark = pytest.mark.usefixtures("untimed")
needs_micro = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("ethosu", "tflite_micro"))),
    reason="ethos-u-vela or tflite-micro is not installed: edgekit[micro]",
)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def project(file: Path, items: Path, root: Path, **tables: Any) -> Project:
    """A project around a file that is taken as it is."""
    table = {
        "model": {"source": str(file)},
        "data": {"evaluate": str(items), "preprocess": SCALED},
        **tables,
        "convert": {"as_is": True, **tables.get("convert", {})},
    }
    return Project.parse(table, root)


def codes(report: Report) -> list[str]:
    return [advice.code for advice in report.advice]


@pytest.fixture
def int8(digits_run: Path) -> Path:
    return digits_run / "project/build/digits/int8/model.tflite"


@pytest.fixture
def test_items(digits: Path) -> Path:
    return digits / "test.npz"


@pytest.mark.parametrize("name", PRECISIONS)
def test_precision_is_read_from_the_bytes(converted: Path, name: str) -> None:
    path = converted / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"ai-edge-quantizer, which makes {name}, is not installed")
    assert precision_in(flatbuffer.read(path)) == name


def test_file_is_packed_to_the_byte_and_judged_by_itself(
    int8: Path, test_items: Path, tmp_path: Path
) -> None:
    report = convert(project(int8, test_items, tmp_path))
    (candidate,), (target,) = report.candidates, report.targets
    assert (report.verdict.exit_code, candidate.id, candidate.as_is) == (0, "int8", True)
    assert (target.candidate, report.reference.title) == ("int8", "the file itself")
    assert candidate.evaluation.drop["accuracy"].value == 0.0
    assert (candidate.evaluation.metrics["accuracy"].value or 0.0) > 0.95
    assert candidate.path is not None
    assert digest(candidate.path) == digest(int8)
    assert "EK-NOTE-046" in codes(report)
    assert target.bundle is not None
    found = verify(target.bundle.path)
    assert found.manifest["files"]["model.tflite"]["sha256"] == digest(int8)
    assert found.selftests["litert"].startswith("passed")
    # What was lost before is not known: the bundle does not say that nothing was.
    assert "accuracy" in found.manifest["measurements"]
    assert "accuracy_drop" not in found.manifest["measurements"]
    written = document.to_json(report)
    jsonschema.validate(written, json.loads(document.SCHEMA.read_text()))
    assert document.to_json(document.from_json(written)) == written


def test_command_line_judges_it_again_and_names_the_labels(
    int8: Path, test_items: Path, tmp_path: Path
) -> None:
    names = ",".join(f"digit {k}" for k in range(10))
    asked = ("--data", test_items, "--rescale", "1/16", "--labels", names)
    done = answer("convert", int8, "--as-is", *asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the file itself" in done.stdout
    assert "--reference MODEL" in done.stdout
    assert answer("check", cwd=tmp_path).returncode == 0
    small = answer("check", "--max-size", "20 kB", cwd=tmp_path)
    assert small.returncode == 1
    assert "FAILED" in small.stdout
    (bundle,) = (tmp_path / "dist").iterdir()
    assert answer("verify", bundle, cwd=tmp_path).returncode == 0
    assert verify(bundle).manifest["labels"][3] == "digit 3"


def test_a_budget_that_the_file_exceeds_fails_and_ships_nothing(
    int8: Path, test_items: Path, tmp_path: Path
) -> None:
    budgets = {"size": "20 kB", "accuracy": {"threshold": 0.999}}
    targets = {"linux-x86_64": {"precision": "int8", "budgets": budgets}}
    report = convert(project(int8, test_items, tmp_path, targets=targets))
    red = {c.name for c in report.verdict.checks if c.status.value == "failed"}
    assert {"size", "accuracy"} <= red
    assert (report.verdict.exit_code, report.targets[0].candidate) == (1, None)
    assert not (tmp_path / "dist").exists()


@needs_micro
def test_microcontrollers_get_c_source_and_an_estimate_of_the_file(
    int8: Path, test_items: Path, tmp_path: Path
) -> None:
    targets: dict[str, Any] = {"cortex-m4": {}, NPU: {}}
    report = convert(project(int8, test_items, tmp_path, targets=targets))
    plain, compiled = report.targets
    assert report.verdict.exit_code == 0
    assert compiled.npu is not None
    assert (compiled.npu.cycles.value or 0) > 0
    assert plain.bundle is not None
    assert verify(plain.bundle.path).selftests["tflm"].startswith("passed")
    with tarfile.open(plain.bundle.path) as archive:
        (source,) = (m for m in archive if m.name.endswith("_model.cpp"))
        text = archive.extractfile(source)
        assert text is not None
        assert f"_model_size = {int8.stat().st_size};".encode() in text.read()


def test_metadata_is_all_that_changes_the_bytes(
    int8: Path, test_items: Path, tmp_path: Path
) -> None:
    labels = [f"digit {k}" for k in range(10)]
    data = {"evaluate": str(test_items), "preprocess": SCALED, "labels": labels}
    table = project(int8, test_items, tmp_path, convert={"metadata": True}, data=data)
    report = convert(table)
    (candidate,) = report.candidates
    assert candidate.path is not None
    assert candidate.sha256 != digest(int8)
    assert candidate.evaluation.drop["accuracy"].value == 0.0
    described = read_metadata(candidate.path.read_bytes())
    assert described.outputs[0].labels == tuple(labels)
    assert described.inputs[0].std == pytest.approx((16.0,))
    (note,) = (one for one in report.advice if one.code == "EK-NOTE-042")
    assert "the float model that this was made from" in note.fix


def test_reference_of_the_same_network_says_what_quantization_cost(
    int8: Path, test_items: Path, digits_run: Path, tmp_path: Path
) -> None:
    better = digits_run / "project/build/digits/float32/model.tflite"
    report = convert(project(int8, test_items, tmp_path, convert={"reference": str(better)}))
    (candidate,) = report.candidates
    assert (report.verdict.exit_code, report.reference.title) == (0, "float .tflite")
    assert report.reference.bytes == better.stat().st_size
    assert not {"EK-NOTE-046", "EK-NOTE-024"} & set(codes(report))
    (parity,) = candidate.evaluation.parity.values()
    assert 0.0 < (parity["max_abs_error"].value or 0.0) < 0.5
    assert report.targets[0].bundle is not None
    manifest = verify(report.targets[0].bundle.path).manifest
    assert "accuracy_drop" in manifest["measurements"]


def test_reference_of_another_network_fails_and_is_called_so(
    test_items: Path, converted: Path, digits_run: Path, tmp_path: Path
) -> None:
    better = digits_run / "project/build/digits/float32/model.tflite"
    worse = converted / "int8.tflite"
    report = convert(project(worse, test_items, tmp_path, convert={"reference": str(better)}))
    assert report.verdict.exit_code == 1
    assert "EK-NOTE-024" in codes(report)
    (red,) = (c for c in report.verdict.checks if c.status.value == "failed")
    assert red.name == "accuracy drop"


def test_reference_of_other_names_is_matched_where_there_is_one_of_each(tmp_path: Path) -> None:
    from tflite_files import build, doubling

    (tmp_path / "file.tflite").write_bytes(build(doubling([1, 3], name="a", answer="b")))
    (tmp_path / "right.tflite").write_bytes(build(doubling([1, 3])))
    x = np.random.default_rng(0).random((12, 3)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=2 * x)
    table = {
        "model": {"source": "file.tflite"},
        "data": {"evaluate": "data.npz"},
        "evaluate": {"metric": "mae"},
        "convert": {"as_is": True, "reference": "right.tflite"},
    }
    report = convert(Project.parse(table, tmp_path))
    assert report.verdict.exit_code == 0
    assert report.candidates[0].evaluation.parity["b"]["max_abs_error"].value == 0.0
    assert report.reference_evaluation.metrics["mae"].value == 0.0


@pytest.mark.slow
@pytest.mark.usefixtures("lent_worker")
def test_reference_in_keras_is_exported_and_matched_by_its_own_names(
    test_items: Path, converted: Path, models: Path, tmp_path: Path
) -> None:
    keras = models / "keras3.keras"
    file = converted / "uint8-io.tflite"
    report = convert(project(file, test_items, tmp_path, convert={"reference": str(keras)}))
    assert report.verdict.exit_code == 0
    assert (report.reference.title, report.candidates[0].id) == ("SavedModel", "uint8-io")
    assert "EK-NOTE-024" not in codes(report)


def test_bytes_for_an_input_of_bytes_are_taken_as_they_are(
    test_items: Path, converted: Path, tmp_path: Path
) -> None:
    items = np.load(test_items)
    pixels = np.rint(items["x"] * (255 / 16)).astype(np.uint8)
    np.savez(tmp_path / "pixels.npz", x=pixels, y=items["y"])
    file, data = converted / "uint8-io.tflite", tmp_path / "pixels.npz"
    scaled = convert(project(file, test_items, tmp_path))
    raw = convert(project(file, data, tmp_path, data={"evaluate": str(data)}))
    figures = [one.candidates[0].evaluation.metrics["accuracy"].value for one in (raw, scaled)]
    assert figures[0] == pytest.approx(figures[1], abs=0.005)
    assert "EK-NOTE-073" in codes(raw)
    assert raw.targets[0].bundle is not None
    found = verify(raw.targets[0].bundle.path)
    # A picture that the bundle's app reads goes the same way.
    assert found.manifest["preprocess"]["scale"] == pytest.approx(1 / 255, rel=0.05)
    assert found.selftests["litert"].startswith("passed")


def test_lint_looks_at_the_items_of_a_file_as_it_is(
    int8: Path, test_items: Path, tmp_path: Path
) -> None:
    found = lint_data(project(int8, test_items, tmp_path))
    assert [use for use, _, _ in found.parts] == ["evaluation"]


@pytest.mark.parametrize(
    ("tables", "code", "words"),
    [
        ({"convert": {"precisions": ["int8"]}}, "EK-PROJECT-046", "[convert] precisions"),
        ({"convert": {"recover": True}}, "EK-PROJECT-046", "--recover"),
        ({"convert": {"unroll": True}}, "EK-PROJECT-046", "--unroll"),
        ({"convert": {"flex": True}}, "EK-PROJECT-046", "--flex"),
        ({"convert": {"mixed": [{"precision": "int8"}]}}, "EK-PROJECT-046", "convert.mixed"),
        ({"compress": {"prune": {"sparsity": 0.5}}}, "EK-PROJECT-046", "compress"),
        ({"targets": {"cortex-m4": {"precision": "float32"}}}, "EK-PROJECT-046", "asks for float"),
        ({"convert": {"as_is": False, "reference": "x.keras"}}, "EK-PROJECT-046", "--as-is"),
        ({"convert": {"reference": "none.keras"}}, "EK-MODEL-001", "none.keras"),
    ],
)
def test_what_contradicts_is_refused_by_name(
    int8: Path, test_items: Path, tmp_path: Path, tables: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(EdgekitError) as refused:
        convert(project(int8, test_items, tmp_path, **tables))
    assert refused.value.code == code
    assert words in f"{refused.value.message} {refused.value.hint}"
    assert not (tmp_path / "build").exists()


def test_a_model_that_is_no_tflite_is_not_taken_as_it_is(
    models: Path, test_items: Path, tmp_path: Path
) -> None:
    for source in (models / "keras3.keras", "model.py:build"):
        if source == "model.py:build":
            (tmp_path / "model.py").write_text("def build():\n    pass\n")
        with pytest.raises(EdgekitError, match="EK-MODEL-042"):
            convert(project(Path(source), test_items, tmp_path))


def test_reference_of_other_outputs_is_refused_with_both(
    int8: Path, test_items: Path, tmp_path: Path
) -> None:
    from tflite_files import build, doubling

    (tmp_path / "other.tflite").write_bytes(build(doubling([1, 8, 8, 1])))
    table = project(int8, test_items, tmp_path, convert={"reference": "other.tflite"})
    with pytest.raises(EdgekitError, match="EK-MODEL-043") as refused:
        convert(table)
    assert "another network" in refused.value.message
    assert "[1, 10]" in refused.value.hint


def test_a_quantized_model_is_refused_with_the_way_on(
    int8: Path, test_items: Path, tmp_path: Path
) -> None:
    with pytest.raises(EdgekitError, match="EK-MODEL-006") as refused:
        convert(project(int8, test_items, tmp_path, convert={"as_is": False}))
    assert "--as-is" in refused.value.hint


def test_without_evaluation_only_the_file_is_placed(int8: Path, tmp_path: Path) -> None:
    table = Project.parse({"model": {"source": str(int8)}, "convert": {"as_is": True}}, tmp_path)
    report = convert(table, Options(evaluate=False))
    assert report.verdict.exit_code == 0
    assert "EK-NOTE-046" not in codes(report)
    assert digest(tmp_path / "build/model/int8/model.tflite") == digest(int8)


def test_check_reads_a_report_of_a_file_as_it_is_for_a_target_with_a_profile(
    converted: Path, test_items: Path, tmp_path: Path
) -> None:
    # The host's profile makes dynamic files otherwise: what was given is the only one there is.
    report = convert(project(converted / "dynamic.tflite", test_items, tmp_path))
    assert report.candidates[0].id == "dynamic"
    assert [c.candidate for c in report.verdict.checks if c.candidate] != []
    path = tmp_path / ".edgekit/runs" / report.run / "report.json"
    again = check(path)
    assert again.verdict.exit_code == report.verdict.exit_code
    assert "candidate" not in [c.name for c in again.verdict.checks]
