"""Files of several signatures: one is chosen, converted alone, looked into and packed by name."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_files import G, N, T, build, doubling

from conftest import answer
from edgekit import Project, convert
from edgekit.converters import flatbuffer
from edgekit.converters.signature import extract_signature
from edgekit.errors import ModelError
from edgekit.models import graph
from edgekit.targets.bundles import verify
from edgekit.types import Report

BENCH = (
    "--no-calibrate",
    "--min-seconds",
    0.1,
    "--max-seconds",
    0.3,
    "--max-runs",
    50,
    "--launches",
    2,
    "--precision-goal",
    "50%",
    "--json",
)
pytestmark = pytest.mark.usefixtures("untimed")


def square(signature: str) -> G:
    node = N("MUL", ["x", "x"], ["y"], options={"kind": "MulOptions"})
    return G([T("x", [1, 2]), T("y", [1, 2])], [node], ["x"], ["y"], signature)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``two.tflite``, of the signatures infer (twice) and square, and what each must answer."""
    (tmp_path / "two.tflite").write_bytes(
        build(doubling([1, 2], signature="infer"), square("square"))
    )
    (tmp_path / "default.tflite").write_bytes(
        build(doubling([1, 2], signature="other"), square("serving_default"))
    )
    x = np.random.default_rng(0).random((12, 2)).astype(np.float32)
    np.savez(tmp_path / "infer.npz", x=x, y=2 * x)
    np.savez(tmp_path / "square.npz", x=x, y=x**2)
    return tmp_path


def made(folder: Path, file: str, data: str, signature: str | None, **table: Any) -> Report:
    return convert(
        Project.parse(
            {
                "model": {"source": file, **({"signature": signature} if signature else {})},
                "data": {"evaluate": data},
                "evaluate": {"metric": "mae"},
                "convert": {"precisions": ["float32"]},
                **table,
            },
            folder,
        )
    )


def test_a_signature_alone_brings_the_graphs_that_it_calls_and_no_others() -> None:
    main, begin = counting_graphs(2)
    content = build(doubling([1, 1], signature="other"), main, begin)
    found = flatbuffer.parse(extract_signature(content, "infer"), "the file")
    assert [one.key for one in found.signatures] == ["infer"]
    assert len(found.graphs) == 2
    kinds = {node.operator for graph in found.graphs for node in graph.nodes}
    assert "CALL_ONCE" in kinds
    assert {one.name for one in found.operators} == kinds
    # The only constant is that of the graph that is called once.
    (five,) = (t for t in found.graphs[1].tensors if t.name == "five")
    assert found.array(five) == 5
    lean = flatbuffer.parse(extract_signature(content, "other"), "the file")
    assert (len(lean.graphs), len(lean.buffers), len(lean.operators)) == (1, 1, 1)
    assert lean.size < found.size < len(content)


def test_a_signature_alone_answers_as_it_did() -> None:
    from ai_edge_litert.interpreter import Interpreter

    main, begin = counting_graphs(2)
    content = build(doubling([1, 1], signature="other"), main, begin)
    interpreter = Interpreter(model_content=extract_signature(content, "infer"))
    runner = interpreter.get_signature_runner("infer")
    three = np.full((1, 1), 3, np.float32)
    assert runner(x=three)["y"] == 8
    assert runner(x=three)["y"] == 11


def counting_graphs(begin: int) -> tuple[G, G]:
    """A graph with a state, ``infer``, and the one numbered ``begin`` that it is set by."""
    handle = {"kind": "VarHandleOptions", "container": "", "sharedName": "sum"}
    tensors = [T("x", [1, 1]), T("v", [1], "RESOURCE"), T("before", [1, 1]), T("y", [1, 1])]
    nodes = [
        N("CALL_ONCE", [], [], options={"kind": "CallOnceOptions", "initSubgraphIndex": begin}),
        N("VAR_HANDLE", [], ["v"], options=handle),
        N("READ_VARIABLE", ["v"], ["before"]),
        N("ADD", ["before", "x"], ["y"], options={"kind": "AddOptions"}),
        N("ASSIGN_VARIABLE", ["v", "y"], []),
    ]
    five = T("five", [1, 1], data=np.full((1, 1), 5, "f4"))
    first = [N("VAR_HANDLE", [], ["v"], options=handle), N("ASSIGN_VARIABLE", ["v", "five"], [])]
    return (
        G(tensors, nodes, ["x"], ["y"], "infer"),
        G([T("v", [1], "RESOURCE"), five], first, signature=None),
    )


@pytest.mark.parametrize(
    ("file", "signature", "data"),
    [
        ("two.tflite", "infer", "infer.npz"),
        ("two.tflite", "square", "square.npz"),
        ("default.tflite", None, "square.npz"),
    ],
)
@pytest.mark.usefixtures("lent_worker")
def test_convert_makes_files_of_one_signature_alone(
    folder: Path, file: str, signature: str | None, data: str
) -> None:
    report = made(folder, file, data, signature)
    (candidate,) = report.candidates
    assert report.verdict.exit_code == 0
    assert candidate.evaluation.metrics["mae"].value == 0.0
    assert candidate.path is not None
    built = flatbuffer.read(candidate.path)
    assert [one.key for one in built.signatures] == [signature or "serving_default"]
    assert len(built.graphs) == 1
    assert "EK-NOTE-047" in [advice.code for advice in report.advice]
    assert report.targets[0].bundle is not None
    assert verify(report.targets[0].bundle.path).selftests["litert"].startswith("passed")


@pytest.mark.parametrize("as_is", [False, True])
def test_convert_refuses_with_the_names_where_it_is_not_clear(folder: Path, as_is: bool) -> None:
    table = {"convert": {"as_is": True}} if as_is else {}
    for signature, words in ((None, "several signatures"), ("infr", "did you mean 'infer'")):
        with pytest.raises(ModelError, match="EK-MODEL-011") as refused:
            made(folder, "two.tflite", "infer.npz", signature, **table)
        assert words in refused.value.message
        assert "'infer', 'square'" in f"{refused.value.message} {refused.value.hint}"


def test_a_file_as_it_is_runs_by_its_named_signature_in_bundle_and_app(folder: Path) -> None:
    report = made(folder, "two.tflite", "square.npz", "square", convert={"as_is": True})
    (candidate,), (target,) = report.candidates, report.targets
    assert report.verdict.exit_code == 0
    assert candidate.evaluation.metrics["mae"].value == 0.0
    assert candidate.path is not None
    assert candidate.path.read_bytes() == (folder / "two.tflite").read_bytes()
    assert target.bundle is not None
    found = verify(target.bundle.path)
    assert found.manifest["model"]["signature"] == "square"
    assert found.selftests["litert"].startswith("passed")
    with tarfile.open(target.bundle.path) as archive:
        archive.extractall(folder / "bundle")  # noqa: S202  (our own)
    (root,) = (folder / "bundle").iterdir()
    app = [sys.executable, root / "app.py", "selftest", "--runtime", "litert"]
    done = subprocess.run(app, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    timed = answer("bench", target.bundle.path, *BENCH, cwd=folder)
    assert json.loads(timed.stdout)["rows"][0]["selftest"]["passed"] is True
    # By another signature the same bundle's self-test is red.
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["model"]["signature"] = "infer"
    (root / "manifest.json").write_text(json.dumps(manifest))
    done = subprocess.run(app, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "FAILED" in done.stdout) == (1, True)


def test_inspection_and_fit_look_at_one_signature(folder: Path) -> None:
    whole = json.loads(answer("inspect", "two.tflite", "--json", cwd=folder).stdout)
    one = answer("inspect", "two.tflite", "--signature", "square", "--json", cwd=folder)
    found = json.loads(one.stdout)
    assert [entry["key"] for entry in whole["entries"]] == ["infer", "square"]
    assert [entry["key"] for entry in found["entries"]] == ["square"]
    assert found["sha256"] == whole["sha256"]
    fit = answer("targets", "fit", "two.tflite", "--signature", "square", "--json", cwd=folder)
    assert fit.returncode == 0
    rows = {row["target"]: row for row in json.loads(fit.stdout)}
    assert rows["linux-x86_64"]["verdict"] == "fits"
    for command in (("inspect", "two.tflite"), ("targets", "fit", "two.tflite")):
        done = answer(*command, "--signature", "learn", cwd=folder)
        assert done.returncode == 2
        assert "has no signature 'learn'" in done.stderr
    both = answer("inspect", "two.tflite", "two.tflite", "--signature", "infer", cwd=folder)
    assert both.returncode == 2


def test_a_file_of_one_signature_is_compared_with_a_named_one(folder: Path) -> None:
    (folder / "one.tflite").write_bytes(build(square("serving_default")))
    asked = ("--data", "square.npz", "--metric", "mae", "--no-latency", "--json")
    named = ("--signature", "square")
    done = answer("compare", "two.tflite", "one.tflite", *named, *asked, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [one["metric"]["value"] for one in json.loads(done.stdout)["models"]] == [0.0, 0.0]
    # Alone it has none of that name.
    alone = answer("evaluate", "one.tflite", *named, *asked[:4], cwd=folder)
    assert (alone.returncode, "EK-MODEL-011" in alone.stderr) == (2, True)


@pytest.mark.parametrize(
    ("file", "named"), [("two.tflite", ("--signature", "square")), ("default.tflite", ())]
)
def test_layers_of_a_signature_beyond_the_main_graph_are_compared(
    folder: Path, file: str, named: tuple[str, ...]
) -> None:
    done = answer(
        "compare",
        file,
        file,
        *named,
        "--data",
        "square.npz",
        "--metric",
        "mae",
        "--layers",
        "--no-latency",
        "--json",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert "EK-NOTE-025" not in done.stdout
    assert '"MUL"' in done.stdout


def test_only_the_signature_that_has_a_state_is_stateful() -> None:
    main, begin = counting_graphs(2)
    content = build(doubling([1, 1], signature="other"), main, begin)
    stateful = [
        flatbuffer.parse(extract_signature(content, k), "it").stateful for k in ("other", "infer")
    ]
    assert stateful == [False, True]


def test_a_saved_model_takes_the_only_signature_and_guesses_no_other() -> None:
    path = Path("model")
    assert graph._choose(path, None, {"chances": 0, "__saved_model_init_op": 0}) == "chances"
    assert graph._choose(path, None, {"chances": 0, "serving_default": 0}) == "serving_default"
    for wanted, found in ((None, {"chances": 0, "logits": 0}), ("chance", {"chances": 0})):
        with pytest.raises(ModelError, match="EK-MODEL-011") as refused:
            graph._choose(path, wanted, found)
        assert "chances" in refused.value.hint
