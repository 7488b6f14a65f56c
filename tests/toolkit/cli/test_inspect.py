"""``edgekit inspect`` and ``edgekit diff`` as a user meets them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tflite_files import G, N, T, build, int8_dense

import edgekit as public
from conftest import edgekit
from edgekit.cli.diff import command as diff
from edgekit.cli.inspect import command as inspect
from edgekit.errors import EdgekitError, ModelError
from edgekit.inspection import fits


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(build(int8_dense(), metadata={"min_runtime_version": b"1.14.0"}))
    return path


def printed(command: object, *arguments: object) -> str:
    done = CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=False)  # type: ignore[arg-type]
    return done.stdout


def test_inspect_tells_what_a_user_asks(model: Path) -> None:
    text = printed(inspect, model)
    for part in (
        "signature        serving_default",
        "x  int8 [1, 4] scale 0.5 zero point -1",
        "MACs           12 per item",
        "at least 7 B at once at FULLY_CONNECTED (h)",
        "minimum runtime  TFLite 1.14.0",
        "file claims    1.14.0",
        "int8: 2 operators, 100.0 % of the MACs",
        "pip tflite-runtime 2.14.0",
        "fits: android-arm, ",
    ):
        assert part in text, text
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text


def test_inspect_json_holds_all_that_is_shown(model: Path) -> None:
    answer = json.loads(printed(inspect, model, "--json"))
    (entry,) = answer["entries"]
    assert entry["macs"]["value"] == 12
    assert entry["inputs"][0]["quantization"]["scales"] == [0.5]
    assert answer["runtime"]["release"] == "1.14.0"
    assert answer["precisions"] == {"int8": 2}
    assert [row["tensor"] for row in answer["weights"]] == ["w", "b"]
    verdicts = {row["target"]: row["verdict"] for row in answer["targets"]}
    assert verdicts["linux-x86_64"] == verdicts["raspberry-pi-4"] == "fits"
    assert answer["findings"] == []


def test_inspect_is_a_function_too(model: Path) -> None:
    assert public.inspect(model).entries[0].macs.value == 12


@pytest.mark.parametrize("rows", ["0", "1", "all"])
def test_layers_are_as_many_as_asked(model: Path, rows: str) -> None:
    text = printed(inspect, model, "--layers", rows)
    shown = text.count("FULLY_CONNECTED v4, int8") + text.count("SOFTMAX v2, int8")
    assert shown == {"0": 0, "1": 1, "all": 2}[rows]


def test_findings_do_not_change_the_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(build(int8_dense(h={"scale": [0.0]})))
    done = edgekit("inspect", path, cwd=tmp_path)
    assert done.returncode == 0
    assert "error EK-INSPECT-020" in done.stdout
    assert "not known" in done.stdout


def test_markup_and_control_characters_in_names_are_text(tmp_path: Path) -> None:
    path = tmp_path / "odd.tflite"
    names = ["[red]x[/red]", "y\x1b[31m\n"]
    graph = G([T(n, [1]) for n in names], [N("RELU", names[:1], names[1:])], names[:1], names[1:])
    path.write_bytes(build(graph))
    text = printed(inspect, path, "--layers", "all")
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


KINDS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "nothing": (Path.exists, "EK-MODEL-001", "there is no file"),
    "empty": (lambda path: path.touch(), "EK-MODEL-002", "is empty"),
    "lfs": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        "EK-MODEL-002",
        "Git LFS pointer",
    ),
    "folder": (lambda path: path.mkdir(), "EK-MODEL-025", "is a folder"),
    "saved model": (
        lambda path: (path.mkdir(), (path / "saved_model.pb").write_bytes(b"x")),
        "EK-MODEL-025",
        "SavedModel folder",
    ),
    "h5": (
        lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)),
        "EK-MODEL-025",
        "HDF5 file",
    ),
    "zip": (lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)), "EK-MODEL-025", ".keras"),
    "noise": (lambda path: path.write_bytes(bytes(range(256))), "EK-MODEL-003", "cannot be read"),
    "c array": (
        lambda path: path.write_text("const unsigned char model[] = {0x1c, 0x00};\n"),
        "EK-MODEL-025",
        "C source",
    ),
    "header": (lambda path: path.write_bytes(b"\x08\x00\x00\x00TFL3"), "EK-MODEL-003", ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_files_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    make, code, words = KINDS[kind]
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(ModelError) as caught:
        public.inspect(path)
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.exit_code == 2


def test_targets_fit_names_what_does_not_run_and_the_nearest_fix(tmp_path: Path) -> None:
    weight = T("w", [3, 4], "INT8", np.ones((3, 4), "int8"), scale=[0.1, 0.2, 0.3])
    tensors = [T("x", [1, 4]), weight, T("y", [1, 3])]
    node = N("FULLY_CONNECTED", ["x", "w"], ["y"], 12)
    (tmp_path / "m.tflite").write_bytes(build(G(tensors, [node], ["x"], ["y"])))
    done = edgekit("targets", "fit", "m.tflite", cwd=tmp_path)
    assert done.returncode == 0
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    assert rows["linux-x86_64"][0] == "part"
    text = " ".join(done.stdout.split())
    assert "tflite-runtime 2.14.0 is older than 2.17.0" in text
    assert "disable_per_channel_quantization_for_dense_layers" in text
    assert edgekit("targets", "fit", cwd=tmp_path).returncode == 2


def test_float_files_do_not_fit_an_npu(tmp_path: Path) -> None:
    tensors = [T("x", [1, 4]), T("w", [3, 4], data=np.ones((3, 4), "f4")), T("y", [1, 3])]
    node = N("FULLY_CONNECTED", ["x", "w"], ["y"], 6)
    path = tmp_path / "float.tflite"
    path.write_bytes(build(G(tensors, [node], ["x"], ["y"])))
    rows = {row.target: row for row in fits(public.inspect(path))}
    npu = rows["cortex-m55-ethos-u55-128"]
    assert npu.verdict == "does not fit"
    assert "computes in integers only" in npu.runtimes[0].reason
    assert npu.runtimes[0].fix == "convert with --precision int8"
    assert rows["cortex-m4"].verdict == "not known"
    assert rows["linux-x86_64"].verdict == "fits"


def test_hybrid_files_do_not_fit_a_microcontroller(tmp_path: Path) -> None:
    weight = T("w", [3, 4], "INT8", np.ones((3, 4), "int8"), scale=[0.1])
    node = N("FULLY_CONNECTED", ["x", "w"], ["y"], 3)
    path = tmp_path / "hybrid.tflite"
    path.write_bytes(build(G([T("x", [1, 4]), weight, T("y", [1, 3])], [node], ["x"], ["y"])))
    (row,) = [row for row in fits(public.inspect(path)) if row.target == "cortex-m4"]
    assert row.verdict == "does not fit"
    assert "no kernels for integer weights with float" in row.runtimes[0].reason
    assert row.runtimes[0].fix == "use int8 or float32"


def test_diff_tells_quantization_weights_and_operators(tmp_path: Path, model: Path) -> None:
    base = int8_dense(y={"scale": [1 / 128]}, w={"data": np.ones((3, 4), "int8")})
    other = tmp_path / "other.tflite"
    other.write_bytes(build(replace(base, nodes=[base.nodes[0], N("LOGISTIC", ["h"], ["y"], 2)])))
    text = printed(diff, model, other)
    assert "operator SOFTMAX v2 x1 removed" in text
    assert "operator LOGISTIC v2 x1 added" in text
    assert "output y: int8 [1, 3] scale 0.00390625 zero point -128 to" in text
    assert "other weights" in text
    assert "metadata min_runtime_version removed" in text
    answer = json.loads(printed(diff, model, other, "--json"))
    assert [row["name"] for row in answer["layers"]] == ["h", "y", "y"]
    assert (answer["identical"], answer["equal"]) == (False, False)
    assert printed(inspect, model, other) == text


def test_diff_says_when_only_names_differ(tmp_path: Path, model: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(build(replace(int8_dense(), signature="predict")))
    assert "both compute the same" in printed(diff, model, other)
    assert "both compute the same" not in printed(diff, model, model)
    first, second = (json.loads(printed(inspect, one, "--json")) for one in (model, other))
    assert first["sha256"] != second["sha256"]
    assert first["semantic_hash"] == second["semantic_hash"]


def test_diff_follows_layers_by_position_where_names_differ(tmp_path: Path, model: Path) -> None:
    base = int8_dense(h={"scale": [0.5]})
    names = {one.name: f"other/{one.name}" for one in base.tensors}
    renamed = G(
        [replace(one, name=names[one.name]) for one in base.tensors],
        [
            replace(
                n, inputs=[names[i] for i in n.inputs if i], outputs=[names[o] for o in n.outputs]
            )
            for n in base.nodes
        ],
        ["other/x"],
        ["other/y"],
    )
    other = tmp_path / "other.tflite"
    other.write_bytes(build(renamed))
    answer = json.loads(printed(diff, model, other, "--json"))
    (only,) = answer["layers"]
    assert only["changes"] == ["output scale x2"]
    assert only["scale_ratio"] == 2
    assert answer["same"] == 1


def test_diff_of_equal_files_says_so(tmp_path: Path, model: Path) -> None:
    assert "identical, byte for byte" in printed(diff, model, model)


def test_inspect_imports_no_tensorflow_and_no_interpreter(model: Path) -> None:
    code = (
        "import sys\nfrom edgekit.cli.main import run\nassert run(['inspect', sys.argv[1]]) == 0\n"
        "heavy = {'tensorflow', 'keras', 'scipy', 'sklearn', 'pydantic', 'h5py',"
        " 'ai_edge_litert.interpreter'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        # A try on this host, as --target makes it, needs nothing that reaches other machines.
        "import edgekit.inspection.trial\n"
        "assert 'edgekit.targets.devices.remote' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, model], check=True, capture_output=True)


def damaged(count: int, seed: int) -> list[bytes]:
    """Sound files with bytes changed, blocks swapped, or the end cut off."""
    rng, files = np.random.default_rng(seed), []
    whole = [build(int8_dense(), metadata={"note": b"n" * 50}), build(*LOOP)]
    for number in range(count):
        content = bytearray(whole[number % 2])
        for at in rng.integers(8, len(content), 1 + number % 6):
            content[at] = rng.choice([0, 1, 127, 255, rng.integers(256)])
        files.append(
            bytes(content[: len(content) if number % 5 else rng.integers(8, len(content))])
        )
    return files


LOOP = (
    G(
        [T("x", [1, 9]), T("y", [1, 9])],
        [
            N(
                "WHILE",
                ["x"],
                ["y"],
                options={"kind": "WhileOptions", "condSubgraphIndex": 1, "bodySubgraphIndex": 2},
            )
        ],
        ["x"],
        ["y"],
    ),
    G([T("p", [1, 9]), T("q", [], "BOOL")], [N("LESS", ["p", "p"], ["q"])], ["p"], ["q"], None),
    G([T("p", [1, 9]), T("q", [1, 9])], [N("RELU", ["p"], ["q"])], ["p"], ["q"], None),
)


def test_damaged_files_get_an_error_or_an_honest_report(tmp_path: Path) -> None:
    path, refused = tmp_path / "damaged.tflite", []
    for content in damaged(400, 7):
        path.write_bytes(content)
        begin = time.process_time()
        try:
            printed(inspect, path)
            json.loads(printed(inspect, path, "--json"))
            printed(diff, path, path)
        except EdgekitError as error:
            refused.append(error.code)
        assert time.process_time() - begin < 60
    assert 40 < len(refused) < 400
    assert set(refused) == {"EK-MODEL-003"}
