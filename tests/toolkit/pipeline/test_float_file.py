"""A float ``.tflite`` as MODEL: its own reference, and refusals by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import answer, brief, once
from edgekit import Project, convert
from edgekit.converters import flatbuffer
from edgekit.errors import ModelError
from edgekit.pipeline import float_file

# Those that are not made by a recipe, which starts from a float32 file anyway.
PRECISIONS = ("float32", "float16", "dynamic", "int8", "uint8-io", "int16x8")


@pytest.fixture(scope="session")
def from_tflite(shared: Path, digits_run: Path) -> dict[str, Any]:
    """What `edgekit convert model.tflite --json` printed, of the example's float32 file."""

    def make(folder: Path) -> None:
        project = digits_run / "project"
        done = brief(
            "convert",
            project / "build/digits/float32/model.tflite",
            "--data",
            f"{project / 'data.py'}:test",
            "--rescale",
            "1/16",
            "--json",
            *(f"--precision={precision}" for precision in PRECISIONS),
            cwd=folder,
        )
        (folder / "stderr.txt").write_text(done.stderr)
        assert done.returncode == 0, done.stderr
        (folder / "report.json").write_text(done.stdout)

    folder = once(shared / "from-tflite", make)
    # The folder had another name while it was filled.
    text = (folder / "report.json").read_text().replace("from-tflite.part", "from-tflite")
    return dict(json.loads(text))


def test_convert_judges_by_the_file_itself_when_the_model_is_tflite(
    from_tflite: dict[str, Any], digits_report: dict[str, Any]
) -> None:
    assert from_tflite["reference"]["runtime"] == "litert"
    float32 = from_tflite["candidates"][0]
    assert float32["drop"]["accuracy"]["value"] == 0.0
    assert [one["max_abs_error"]["value"] for one in float32["parity"].values()] == [0.0]
    original = digits_report["candidates"][0]
    assert (float32["id"], float32["sha256"]) == ("float32", original["sha256"])


def test_int8_of_a_tflite_computes_what_int8_of_its_model_does(
    from_tflite: dict[str, Any], digits_report: dict[str, Any], digits_run: Path
) -> None:
    ours, direct = (
        next(c for c in report["candidates"] if c["id"] == "int8")
        for report in (from_tflite, digits_report)
    )
    built = Path(ours["path"]), digits_run / "project/build/digits/int8/model.tflite"
    files = [flatbuffer.read(path) for path in built]
    operators = [[(node.operator, node.version) for node in file.graphs[0].nodes] for file in files]
    assert operators[0] == operators[1]
    assert ours["float_operators"] == []
    drops = [one["drop"]["accuracy"]["value"] for one in (ours, direct)]
    assert abs(drops[0] - drops[1]) < 0.01


@pytest.mark.parametrize("number", range(1, len(PRECISIONS)), ids=PRECISIONS[1:])
def test_every_precision_of_a_tflite_is_what_it_says(
    from_tflite: dict[str, Any], number: int
) -> None:
    candidate = from_tflite["candidates"][number]
    assert candidate["precision"] == PRECISIONS[number]
    assert candidate["problem"] == ""
    assert candidate["drop"]["accuracy"]["value"] < 0.01
    ran = {one["runtime"]: one["status"] for one in candidate["runtimes"]}
    assert ran["litert"] == "passed"
    assert ran.get("tflite-runtime", "passed") in ("passed", "unavailable")


def test_convert_refuses_a_quantized_tflite(digits_run: Path, tmp_path: Path) -> None:
    project = digits_run / "project"
    done = answer(
        "convert",
        project / "build/digits/int8/model.tflite",
        "--data",
        f"{project / 'data.py'}:test",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "error EK-MODEL-006" in done.stderr
    assert "INT8 weights" in done.stderr


def test_compress_refuses_a_tflite(digits_run: Path, tmp_path: Path) -> None:
    project = digits_run / "project"
    done = answer(
        "compress",
        project / "build/digits/float32/model.tflite",
        "--prune",
        "0.5",
        "--data",
        f"{project / 'data.py'}:test",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "is a TFLite file: it has no layers to compress" in done.stderr


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        ("misc_tflite/partly_quantized_mnist.tflite", "EK-MODEL-006", "INT8"),
        ("misc_tflite/trained_lstm_int8.tflite", "EK-MODEL-006", "INT8"),
        ("bad_tflite/double_flex.tflite", "EK-MODEL-021", "FlexDouble"),
        ("bad_tflite/custom_sinh.tflite", "EK-MODEL-021", "Sinh"),
        ("bad_tflite/string_input_model.tflite", "EK-MODEL-010", "string"),
        ("coral/keras_lstm_mnist_ptq_edgetpu.tflite", "EK-MODEL-021", "edgetpu-custom-op"),
    ],
)
def test_real_files_are_refused_when_nothing_can_be_made_of_them(
    test_data: Path, file: str, code: str, words: str
) -> None:
    path = test_data / file
    with pytest.raises(ModelError, match=words) as refused:
        float_file.check(path, flatbuffer.read(path))
    assert refused.value.code == code


@pytest.mark.usefixtures("untimed")
def test_a_stateful_float_file_is_reset_between_items(test_data: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=rng.random((40, 28, 28), np.float32), y=np.arange(40) % 10)
    done = answer(
        "convert",
        test_data / "misc_tflite/trained_lstm.tflite",
        "--data",
        tmp_path / "data.npz",
        "--precision",
        "float32",
        "--json",
        cwd=tmp_path,
    )
    report = json.loads(done.stdout)
    assert report["reference"]["stateful"]
    # An item's answer that hung on those before it would differ between runs in blocks.
    (candidate,) = report["candidates"]
    assert all(p["max_abs_error"]["value"] == 0.0 for p in candidate["parity"].values())


@pytest.mark.usefixtures("untimed", "lent_worker")
def test_recovery_judges_int8_of_a_tflite_by_the_file_itself(
    digits_run: Path, digits: Path, tmp_path: Path
) -> None:
    table = {
        "model": {"source": str(digits_run / "project/build/digits/float32/model.tflite")},
        "data": {"evaluate": str(digits / "test.npz"), "preprocess": {"scale": 1 / 16}},
        "convert": {"precisions": ["int8"], "recover": True},
    }
    report = convert(Project.parse(table, tmp_path))
    assert report.verdict.exit_code == 0
    assert "EK-NOTE-021" in [advice.code for advice in report.advice]
