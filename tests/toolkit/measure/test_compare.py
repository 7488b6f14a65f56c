"""Models side by side: what differs is found, and a planted fault goes red."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tflite_files import G, N, T, build

from conftest import answer
from edgekit.api import Options, convert
from edgekit.api import compare as compare_models
from edgekit.errors import DataError, DeviceError
from edgekit.pipeline.measure import MeasureOptions
from edgekit.project import Project, Share
from edgekit.report.measurements import advice_below, to_json
from edgekit.report.measurements import compared as compared_lines
from edgekit.targets.runners import OWN, RUNNER_FILES
from edgekit.types import Compared, Status

ITEMS = 400
CLASSES = 3
QUICK = MeasureOptions(latency=False)


def weights(seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(CLASSES, 6)).astype(np.float32)


def classifier(w: npt.NDArray[np.float32], scale: float = 1.0) -> bytes:
    """``w · scale · x`` of ``x`` [1, 6], two pixels of three channels."""
    tensors = [
        T("x", [1, 6]),
        T("w", [len(w), 6], data=w),
        T("z", [1, 6]),
        T("s", [1], data=np.array([scale], np.float32)),
        T("y", [1, len(w)]),
    ]
    nodes = [
        N("MUL", ["x", "s"], ["z"]),
        N("FULLY_CONNECTED", ["z", "w", None], ["y"]),
    ]
    return build(G(tensors, nodes, ["x"], ["y"]))


def difference(first: str, second: str) -> bytes:
    """The scores ``[first - second, second - first]`` of two inputs called ``a`` and ``b``."""
    tensors = [T("a", [1, 1]), T("b", [1, 1]), T("d", [1, 1]), T("n", [1, 1]), T("y", [1, 2])]
    nodes = [
        N("SUB", [first, second], ["d"]),
        N("SUB", [second, first], ["n"]),
        N("CONCATENATION", ["d", "n"], ["y"], options={"kind": "ConcatenationOptions", "axis": 1}),
    ]
    return build(G(tensors, nodes, ["a", "b"], ["y"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that is always right on ``data.npz``, and what a fault makes of it."""
    folder = tmp_path_factory.mktemp("compare")
    w = weights()
    flipped = w.copy()
    largest = np.unravel_index(np.argmax(np.abs(w)), w.shape)
    flipped[largest] = -flipped[largest]
    small = w.copy()
    small[0, 0] += 1e-4
    swapped = w.reshape(CLASSES, 2, 3)[:, :, ::-1].reshape(CLASSES, 6).copy()
    files = {
        "model": classifier(w),
        "flipped": classifier(flipped),
        "small": classifier(small),
        "rescaled": classifier(w, 1 / 255),
        "swapped": classifier(swapped),
        "a-b": difference("a", "b"),
        "b-a": difference("b", "a"),
    }
    for name, content in files.items():
        (folder / f"{name}.tflite").write_bytes(content)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ITEMS, 6)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=np.argmax(x @ w.T, axis=1))
    a, b = rng.normal(size=(2, ITEMS, 1)).astype(np.float32)
    np.savez(folder / "two.npz", a=a, b=b, y=(b > a)[:, 0].astype(np.int64))
    return folder


def compare(
    folder: Path, *models: str, data: str = "data.npz", output: str = "out", **asked: Any
) -> Compared:
    project = Project.model_validate(
        {"model": {"source": f"{models[0]}.tflite"}, "data": {"evaluate": data}}
    )
    project._root = folder
    sources = [str(folder / f"{name}.tflite") for name in models]
    wanted = dataclasses.replace(QUICK, **asked)
    return compare_models(project, sources, wanted, Options(output=folder / output))


def red(done: Compared) -> list[str]:
    return [check.name for check in done.verdict.checks if check.status is Status.FAILED]


def test_model_beside_itself_differs_in_nothing(folder: Path) -> None:
    done = compare(folder, "model", "model", max_drop=0.01, max_flips=0.01, max_changed=0.01)
    (contrast,) = done.contrasts
    assert done.verdict.exit_code == 0
    assert contrast.drop is not None
    assert contrast.drop.value == contrast.flips.value == contrast.changed.value == 0  # type: ignore[union-attr]
    assert contrast.parity["y"]["max_abs_error"].value == 0
    assert [one.metric.value for one in done.models if one.metric] == [1.0, 1.0]


@pytest.mark.parametrize("fault", ["flipped", "swapped"])
def test_fault_in_the_weights_goes_red_when_it_costs_accuracy(folder: Path, fault: str) -> None:
    done = compare(folder, "model", fault)
    assert (done.verdict.exit_code, red(done)) == (1, ["accuracy drop"])


def test_one_weight_off_by_little_goes_red_when_outputs_must_be_equal(folder: Path) -> None:
    done = compare(folder, "model", "small")
    assert done.verdict.exit_code == 0
    assert red(compare(folder, "model", "small", max_changed=0.0)) == ["changed items"]
    assert red(compare(folder, "model", "small", max_error=1e-7)) == ["largest error"]


def test_wrong_rescale_goes_red_though_no_class_changes(folder: Path) -> None:
    done = compare(folder, "model", "rescaled", max_error=0.01)
    assert done.contrasts[0].flips is not None
    assert done.contrasts[0].flips.value == 0
    assert red(done) == ["largest error"]


def test_swapped_inputs_go_red(folder: Path) -> None:
    done = compare(folder, "a-b", "b-a", data="two.npz")
    assert red(done) == ["accuracy drop"]
    assert done.contrasts[0].flips is not None
    assert done.contrasts[0].flips.value == 1


def test_models_with_other_inputs_are_refused_by_name(folder: Path) -> None:
    with pytest.raises(DataError, match="takes x; the first model takes a, b") as caught:
        compare(folder, "a-b", "model", data="two.npz")
    assert "never by order" in caught.value.hint


def planted(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Have another file run tflite-runtime."""
    row = replace(OWN["tflite-runtime"], file=file)
    monkeypatch.setitem(OWN, "tflite-runtime", row)  # type: ignore[arg-type]


def test_runtime_that_lies_goes_red(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lying = folder / "lying_runner.py"
    runner = RUNNER_FILES["tflite-runtime"]
    lying.write_text(
        f"import sys\nsys.path.insert(0, {str(runner.parent)!r})\nimport python_runner as honest\n"
        "decode = honest.decode\n"
        "honest.decode = lambda value, info: decode(value, info)[..., ::-1].copy()\n"
        "sys.exit(honest.main(sys.argv[1:]))\n"
    )
    planted(monkeypatch, lying)
    devices = ("local:litert", "local:tflite-runtime")
    done = compare(folder, "model", devices=devices, max_flips=0.02, output="lie")
    assert set(red(done)) == {"accuracy drop", "flips"}


def test_device_that_is_not_there_is_a_row_and_exit_code_3(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = folder / "broken_runner.py"
    runner = RUNNER_FILES["tflite-runtime"]
    broken.write_text(
        f"import sys\nsys.path.insert(0, {str(runner.parent)!r})\nimport python_runner as honest\n"
        "def missing():\n    raise honest.RuntimeMissing('it is not installed: pip install it')\n"
        "honest.RUNTIMES['tflite-runtime'] = (missing, 'tflite-runtime')\n"
        "sys.exit(honest.main(sys.argv[1:]))\n"
    )
    planted(monkeypatch, broken)
    done = compare(folder, "model", devices=("local", "local:tflite-runtime"), output="none")
    assert done.verdict.exit_code == 3
    assert done.models[0].metric is not None
    assert "pip install it" in done.models[1].problem


def test_first_model_s_device_must_be_there(folder: Path) -> None:
    with pytest.raises(DeviceError, match="no runtime 'nonsense'"):
        compare(folder, "model", devices=("local:nonsense", "local"))


def test_nan_in_one_output_goes_red_and_names_the_item(folder: Path, tmp_path: Path) -> None:
    tensors = [
        T("x", [1, 6]),
        T("h", [1, 6]),
        T("w", [CLASSES, 6], data=weights()),
        T("y", [1, CLASSES]),
    ]
    nodes = [N("SQRT", ["x"], ["h"]), N("FULLY_CONNECTED", ["h", "w", None], ["y"])]
    (folder / "root.tflite").write_bytes(build(G(tensors, nodes, ["x"], ["y"])))
    x = np.abs(np.load(folder / "data.npz")["x"])
    x[7, 2] = -1.0
    np.savez(folder / "negative.npz", x=x, y=np.load(folder / "data.npz")["y"])
    done = compare(folder, "model", "root", data="negative.npz")
    assert done.models[1].status is Status.INCOMPATIBLE
    assert "NaN or infinite at item 7" in done.models[1].problem
    assert done.verdict.exit_code == 5


def test_missing_class_leaves_the_budget_unmeasured(folder: Path) -> None:
    kept = dict(np.load(folder / "data.npz"))
    some = kept["y"] != 2
    np.savez(folder / "missing.npz", x=kept["x"][some], y=kept["y"][some])
    project: Mapping[str, Any] = {
        "model": {"source": "model.tflite"},
        "data": {"evaluate": "missing.npz"},
        "evaluate": {"metric": "roc_auc"},
    }
    parsed = Project.model_validate(project)
    parsed._root = folder
    sources = [str(folder / "model.tflite"), str(folder / "flipped.tflite")]
    asked = dataclasses.replace(QUICK, max_drop=0.01)
    done = compare_models(parsed, sources, asked, Options(output=folder / "out"))
    assert done.verdict.exit_code == 3
    assert any("every class" in check.message for check in done.verdict.checks)


def test_undecided_budget_says_how_many_items_would_settle_it(folder: Path) -> None:
    project = Project.model_validate(
        {"model": {"source": "model.tflite"}, "data": {"evaluate": "data.npz"}}
    )
    project._root = folder
    sources = [str(folder / "model.tflite"), str(folder / "small.tflite")]
    asked = dataclasses.replace(QUICK, max_drop=0.01)
    options = Options(output=folder / "out", limit=50)
    done = compare_models(project, sources, asked, options)
    assert done.verdict.exit_code == 4
    assert done.contrasts[0].needed is not None
    assert done.contrasts[0].needed > 50


def test_budget_of_everything_is_kept(folder: Path) -> None:
    assert compare(folder, "model", "flipped", max_drop=Share(1)).verdict.exit_code == 0


def test_command_prints_json_alone_and_the_table_elsewhere(folder: Path) -> None:
    import subprocess

    ran = subprocess.run(
        [
            Path(sys.executable).with_name("edgekit"),
            "compare",
            "model.tflite",
            "--device",
            "local",
            "--device",
            "local:tflite-runtime",
            "--data",
            "data.npz",
            "--no-latency",
            "--json",
            "--output",
            "out",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert [one["runtime"] for one in found["models"]] == ["litert", "tflite-runtime"]
    assert found["verdict"]["exit_code"] == 0
    assert "max error" in ran.stderr


def test_slower_model_goes_red_and_the_same_one_does_not(folder: Path) -> None:
    """A hundred layers in place of one: slower on any host."""
    square = np.eye(6, dtype=np.float32)
    names = [f"h{k}" for k in range(100)]
    tensors = [
        T("x", [1, 6]),
        T("e", [6, 6], data=square),
        T("w", [CLASSES, 6], data=weights()),
        *(T(name, [1, 6]) for name in names),
        T("y", [1, CLASSES]),
    ]
    nodes = [
        N("FULLY_CONNECTED", [a, "e", None], [b])
        for a, b in zip(["x", *names], names, strict=False)
    ]
    nodes.append(N("FULLY_CONNECTED", [names[-1], "w", None], ["y"]))
    (folder / "deep.tflite").write_bytes(build(G(tensors, nodes, ["x"], ["y"])))
    done = compare(folder, "model", "model", "deep", latency=True, launches=6, max_slowdown=1.0)
    assert red(done) == ["latency"]
    same, deep = done.contrasts
    assert same.latency_ratio is not None
    assert deep.latency_ratio is not None
    assert deep.latency_ratio.value is not None
    assert deep.latency_ratio.value > 2
    assert same.noise is not None
    assert set(done.latency) == {one.id for one in done.models}


def test_layers_name_where_two_files_part(folder: Path) -> None:
    done = compare(folder, "model", "flipped", layers=True)
    layers = done.contrasts[0].layers
    assert layers is not None
    assert layers.first_fall is not None
    assert layers.first_fall.operator == "FULLY_CONNECTED"
    assert to_json(done)["contrasts"][0]["layers"]["layers"][-1]["operator"] == "FULLY_CONNECTED"


def test_two_networks_are_called_that(folder: Path) -> None:
    rng = np.random.default_rng
    for name, seed in (("one", 1), ("other", 2)):
        w = rng(seed).normal(size=(64, 6)).astype(np.float32)
        tensors = [T("x", [1, 6]), T("w", [64, 6], data=w), T("y", [1, 64])]
        nodes = [N("FULLY_CONNECTED", ["x", "w", None], ["y"])]
        (folder / f"{name}.tflite").write_bytes(build(G(tensors, nodes, ["x"], ["y"])))
    done = compare(folder, "one", "other")
    assert [advice.code for advice in done.advice] == ["EK-NOTE-024"]
    assert done.contrasts[0].likeness.verdict == "different weights"
    assert "share" in done.advice[0].message
    assert "1 constant correlates by" in done.advice[0].message
    # Said once, above the tables, with what to do.
    lines = [line for block in compared_lines(done) for line in str(block).splitlines()]
    assert sum("two different networks" in line for line in lines) == 1
    assert lines[1] == f"  {done.advice[0].fix}"
    assert advice_below(done) == ()


def first_line(done: Compared) -> str:
    return str(next(compared_lines(done)))


def test_float_models_that_part_are_said_to_in_the_first_line(folder: Path) -> None:
    done = compare(folder, "model", "flipped")
    # Of 18 weights the constants tell nothing: the outputs alone do.
    assert "may be two different networks: their outputs share" in first_line(done)
    assert "neither file has an operator with 64 weights" in first_line(done)
    assert "EK-NOTE" not in first_line(compare(folder, "model", "small"))
    words = ("compare", "model.tflite", "flipped.tflite", "--data", "data.npz", "--no-latency")
    printed = answer(*words, "--max-drop", "0.02", cwd=folder)
    assert printed.returncode == 1
    assert "may be two different networks" in printed.stdout.strip().splitlines()[0]


def test_network_fed_otherwise_is_told_from_another_network(folder: Path) -> None:
    w = np.random.default_rng(1).normal(size=(64, 6)).astype(np.float32)
    for name, scale in (("fed", 1.0), ("fed-otherwise", 1 / 255)):
        (folder / f"{name}.tflite").write_bytes(classifier(w, scale))
    done = compare(folder, "fed", "fed-otherwise")
    assert "hold the same weights, but their outputs share 0.0 dB" in first_line(done)


@pytest.mark.slow
def test_networks_that_tensorflow_runs_are_told_apart_too(folder: Path, models: Path) -> None:
    source = models / "untrained.keras"
    w = np.random.default_rng(1).normal(size=(10, 64)).astype(np.float32)
    tensors = [
        T("x", [1, 8, 8, 1]),
        T("s", [2], "INT32", np.array([1, 64], "i4")),
        T("f", [1, 64]),
        T("w", [10, 64], data=w),
        T("y", [1, 10]),
    ]
    nodes = [N("RESHAPE", ["x", "s"], ["f"]), N("FULLY_CONNECTED", ["f", "w", None], ["y"])]
    (folder / "linear.tflite").write_bytes(build(G(tensors, nodes, ["x"], ["y"])))
    x = np.random.default_rng(2).normal(size=(40, 8, 8, 1)).astype(np.float32)
    np.savez(folder / "pictures.npz", x=x, y=np.arange(40) % 10)
    project = Project.model_validate(
        {"model": {"source": str(source)}, "data": {"evaluate": "pictures.npz"}}
    )
    project._root = folder
    sources = [str(source), str(folder / "linear.tflite")]
    done = compare_models(project, sources, QUICK, Options(output=folder / "out"))
    assert "are two different networks (their outputs share" in first_line(done)
    assert done.contrasts[0].likeness.verdict == "different structure"


@pytest.mark.slow
def test_runtime_matrix_names_what_an_old_runtime_lacks(test_data: Path, tmp_path: Path) -> None:
    """The third-party dynamic-range file, and the one that edgekit makes for the old runtime."""
    pytest.importorskip("tflite_runtime")
    theirs = test_data / "models_fashion_cvishakh" / "fashion_mnist_model.tflite"
    keras = theirs.with_suffix(".keras")
    data = test_data / "fashion_mnist" / "fashion_test.npz"
    table: dict[str, Any] = {
        "model": {"source": str(keras)},
        "convert": {"precisions": ["dynamic"]},
        "data": {"evaluate": str(data), "preprocess": {"scale": "1/255"}},
        "targets": {"raspberry-pi-4": {}},
    }
    options = Options(output=tmp_path, evaluate=False)
    convert(Project.model_validate(table), options)
    ours = next(tmp_path.glob("build/*/dynamic@tflite-2.14/model.tflite"))
    devices = ("local:litert", "local:tflite-runtime")
    asked = dataclasses.replace(QUICK, devices=devices)
    sources = [str(theirs), str(ours)]
    project = Project.model_validate({**table, "model": {"source": str(theirs)}})
    done = compare_models(project, sources, asked, Options(output=tmp_path, limit=2000))
    status = [(Path(one.source).name, one.runtime, one.status) for one in done.models]
    assert status == [
        (theirs.name, "litert", Status.PASSED),
        (theirs.name, "tflite-runtime", Status.INCOMPATIBLE),
        (ours.name, "litert", Status.PASSED),
        (ours.name, "tflite-runtime", Status.PASSED),
    ]
    assert "'FULLY_CONNECTED' version '12'" in done.models[1].problem
    assert done.verdict.exit_code == 5
