"""Targets that take compiled models: estimates in words, exit codes, what the bundle holds."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conftest import brief, once
from edgekit import Project, convert
from edgekit.api import check
from edgekit.converters.micro import vela
from edgekit.errors import DeviceError
from edgekit.report import document
from edgekit.targets.bundles import verify
from edgekit.types import Report

NPU = "cortex-m55-ethos-u55-128"
# vela compiles in every one of them.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("untimed", "lent_worker")]
needs_vela = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("ethosu", "tflite_micro"))),
    reason="ethos-u-vela or tflite-micro is not installed: edgekit[micro]",
)


def copy(digits_run: Path, folder: Path) -> Path:
    """The example around its float32 file, without its target: LiteRT is the reference."""
    source, project = digits_run / "project", folder / "project"
    project.mkdir()
    shutil.copyfile(source / "data.py", project / "data.py")
    shutil.copyfile(source / "build/digits/float32/model.tflite", project / "float.tflite")
    text = (source / "edgekit.toml").read_text().replace("model.py:build", "float.tflite")
    (project / "edgekit.toml").write_text(text[: text.index("[targets.")])
    return project


@pytest.fixture(scope="session")
def compiled(shared: Path, digits_run: Path) -> Path:
    """The example after `edgekit convert` for a microcontroller and one with an NPU. Read only."""

    def make(folder: Path) -> None:
        project = copy(digits_run, folder)
        done = brief("convert", "--target", NPU, "--target", "cortex-m4", cwd=project)
        (folder / "stdout.txt").write_text(done.stdout)
        assert done.returncode == 0, done.stderr

    return once(shared / "compiled", make)


@pytest.fixture
def report(compiled: Path) -> Any:
    (path,) = (
        path
        for path in (compiled / "project" / ".edgekit" / "runs").glob("*/report.json")
        if NPU in path.read_text()
    )
    return json.loads(path.read_text())


@needs_vela
def test_run_ends_with_the_estimates_in_words(compiled: Path) -> None:
    text = " ".join((compiled / "stdout.txt").read_text().split())
    assert f"{NPU}: ships int8; runs on tflm" in text
    assert "tried uncompiled on this host, not on the device" in text
    assert "dynamic does not run on tflm" in text
    assert "ethos-u55-128: about" in text
    assert "cycles, SRAM" in text
    assert "estimated by ethos-u-vela" in text
    assert "on the NPU: 100.0 % of the operators and 100.0 % of the multiply-accumulates" in text
    assert "verdict: passed" in text


@needs_vela
def test_estimates_are_in_the_report_and_survive_reading_it(report: Any) -> None:
    jsonschema.validate(report, json.loads(document.SCHEMA.read_text()))
    assert document.to_json(document.from_json(report)) == report
    by_id = {target["id"]: target for target in report["targets"]}
    npu = by_id[NPU]["npu"]
    assert by_id["cortex-m4"]["npu"] is None
    by_precision = {one["id"]: one for one in report["candidates"]}
    arena = by_precision["int8"]["memory"]["arena"]
    assert 1000 < arena["value"] < 50_000
    assert (arena["unit"], arena["how"]) == ("byte", "measured")
    refused = by_precision["dynamic"]["memory"]["arena"]
    assert refused["how"] == "unavailable"
    assert "dynamic range" in refused["reason"]
    assert npu["cycles"]["value"] > 0
    assert npu["latency"]["how"] == "estimated"
    assert Path(npu["path"]).name == f"{NPU}.tflite"
    assert document.from_json(report).targets[0].npu is not None


@needs_vela
@pytest.mark.parametrize(
    ("precisions", "ships", "code"), [((), "int8", 0), (("float32",), None, 5)]
)
def test_finished_run_is_judged_again_with_what_the_compiler_said(
    compiled: Path, report: Any, precisions: tuple[str, ...], ships: str | None, code: int
) -> None:
    run = compiled / "project" / ".edgekit" / "runs" / report["run"] / "report.json"
    again = check(run, precisions=precisions, targets=(NPU,))
    assert again.verdict.exit_code == code
    assert again.targets[0].candidate == ships
    small = check(run, max_size=28_000, precisions=("int8",), targets=(NPU,))
    assert "compiled size" in [
        c.name for c in small.targets[0].checks if c.status.value == "failed"
    ]


@needs_vela
def test_bundle_holds_the_source_of_the_compiled_model_and_verifies(
    compiled: Path, tmp_path: Path
) -> None:
    dist = compiled / "project" / "dist"
    for target, operators in ((NPU, ["AddEthosU"]), ("cortex-m4", ["AddConv2D", "AddSoftmax"])):
        (bundle,) = dist.glob(f"*-{target}.tar.gz")
        found = verify(bundle)
        assert found.selftests["tflm"] == "passed on 10 golden items"
        assert "LiteRT" in found.manifest["golden"]["of"]
        with tarfile.open(bundle) as archive:
            archive.extractall(tmp_path / target)  # noqa: S202  (our own)
        (root,) = (tmp_path / target).iterdir()
        text = (root / "src" / "digits_resolver.h").read_text()
        assert all(f"resolver.{name}()" in text for name in operators)
        assert ("AddEthosU" in text) == (target == NPU)
        source = "model_npu.tflite" if target == NPU else "model.tflite"
        size = (root / source).stat().st_size
        assert f"digits_model_size = {size};" in (root / "src" / "digits_model.cpp").read_text()
    assert (root / "golden" / "input_0.npy").is_file()


def settled(project: Path, targets: dict[str, Any]) -> Report:
    """The report of the example for other targets."""
    table = Project.load(project / "edgekit.toml").model_dump(by_alias=True, exclude_unset=True)
    return convert(Project.parse({**table, "targets": targets}, project))


@needs_vela
def test_float_candidate_of_an_npu_target_is_incompatible(digits_run: Path, tmp_path: Path) -> None:
    project = copy(digits_run, tmp_path)
    report = settled(project, {NPU: {"precision": "float32"}})
    (red,) = [c for c in report.targets[0].checks if c.name.startswith("compiles")]
    assert red.message.startswith("EK-CONVERT-101 the model computes in float")
    assert (report.targets[0].candidate, report.verdict.exit_code) == (None, 5)
    assert not (project / "dist").exists()


@needs_vela
def test_float_model_on_an_npu_is_incompatible_in_words(digits_run: Path, tmp_path: Path) -> None:
    project = copy(digits_run, tmp_path)
    done = brief("convert", "--target", NPU, "--precision", "float32", cwd=project)
    text = " ".join(done.stdout.split())
    assert done.returncode == 5, done.stderr
    assert "EK-CONVERT-101 the model computes in float" in text
    assert "convert to int8" in text
    assert not (project / "dist").exists()


@needs_vela
def test_size_budget_is_of_the_compiled_file_too(digits_run: Path, tmp_path: Path) -> None:
    targets = {NPU: {"precision": "int8", "budgets": {"size": "28 kB"}}}
    report = settled(copy(digits_run, tmp_path), targets)
    checks = {check.name: check for check in report.targets[0].checks}
    assert checks["size"].status.value == "passed"
    # Vela's file holds commands besides the weights.
    assert checks["compiled size"].status.value == "failed"
    assert report.verdict.exit_code == 1


def test_missing_compiler_makes_the_target_unavailable(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> str:
        raise DeviceError("EK-DEVICE-010", "vela is not installed", "pip install it")

    monkeypatch.setattr(vela, "version", absent)
    monkeypatch.setenv("PATH", str(tmp_path))
    report = settled(copy(digits_run, tmp_path), {NPU: {}, "coral-dev-board": {}})
    for target, name in zip(report.targets, ("vela", "edgetpu_compiler"), strict=True):
        (red,) = [c for c in target.checks if c.name.startswith("compiles")]
        assert (target.candidate, target.status.value) == (None, "unavailable")
        assert red.message.startswith("unavailable, because")
        assert name in red.message
    assert report.verdict.exit_code == 3
