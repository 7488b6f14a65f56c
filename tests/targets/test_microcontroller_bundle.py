"""The bundle for microcontrollers: arena, resolver, golden items, four build systems."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from firmware_building import dense, write_bundle
from tflite_files import G, N, T, build

from edgekit.contracts.runner import typed
from edgekit.contracts.target import doubler
from edgekit.converters import flatbuffer
from edgekit.converters.micro import resolver
from edgekit.errors import ConversionError, RunnerError
from edgekit.targets import catalog
from edgekit.targets.bundles import Contents, Golden, microcontroller
from edgekit.targets.bundles.microcontroller.golden import MOST_BYTES
from edgekit.targets.bundles.microcontroller.layout import library_version
from edgekit.targets.devices import Workplace, open_device, parse
from edgekit.types import TensorSpec

NPU = "cortex-m55-ethos-u55-128"
SCHEMAS = Path(__file__).resolve().parent / "schemas"


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return dense(tmp_path_factory.mktemp("dense"))


@pytest.fixture(scope="module")
def folder(contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the bundle. Read only."""
    return write_bundle(contents, tmp_path_factory.mktemp("bundle") / "dense")


def size_in(folder: Path) -> int:
    (settings,) = (folder / "src").glob("*_settings.h")
    found = re.findall(r"kTensorArenaSize = (\d+);", settings.read_text())
    return int(found[0])


def text_of(contents: Contents, name: str, target: str = "cortex-m4") -> str:
    """A file of a bundle by the end of its name."""
    files = microcontroller.files(catalog.load(target), contents)
    (found,) = (content for path, content in files.items() if path.endswith(name))
    return found.decode()


@pytest.mark.parametrize(("less", "runs"), [(0, True), (16, False)])
def test_tflm_runs_the_model_in_the_arena_of_the_source_and_in_no_less(
    contents: Contents, folder: Path, tmp_path: Path, less: int, runs: bool
) -> None:
    np.save(tmp_path / "x.npy", contents.golden.inputs["x"])
    request = {
        "schema": 1,
        "mode": "evaluate",
        "models": [{"id": "m", "path": str(contents.model), "outputs": str(tmp_path / "outputs")}],
        "inputs": {"x": str(tmp_path / "x.npy")},
        "preprocess": contents.preprocess.arithmetic,
        "arena_bytes": size_in(folder) - less,
        "batch": 1,
        "processes": 1,
    }
    tflm = open_device(parse("tflm"), Workplace(tmp_path / "requests", tmp_path / "log.txt"))
    if not runs:
        with pytest.raises(RunnerError, match=f"runs in {size_in(folder)} bytes, and in no less"):
            tflm.run(typed(request))
        return
    tflm.run(typed(request))
    found = np.load(tmp_path / "outputs" / "y.npy")
    assert np.array_equal(found, contents.golden.outputs["y"])


def test_resolver_lists_the_operators_of_the_file_and_no_others(
    contents: Contents, folder: Path
) -> None:
    (text,) = (path.read_text() for path in (folder / "src").glob("*_resolver.h"))
    added = re.findall(r"resolver\.(\w+)\(\)", text)
    assert added == list(resolver.methods(flatbuffer.read(contents.model)))
    assert added == ["AddFullyConnected", "AddSoftmax"]


def test_source_says_how_the_arena_is_known(folder: Path) -> None:
    (settings,) = (folder / "src").glob("*_settings.h")
    text = " ".join(re.findall(r"^// (.*)", settings.read_text(), re.MULTILINE))
    said = f"The tensor arena: {size_in(folder):,} bytes, the smallest in steps of 16 in which tflm"
    assert said in text
    assert re.search(r"A target of 32 bits needs about [\d,]+ bytes .*estimated", text)
    assert "For another size define DENSE_NET_ARENA_BYTES" in text


def test_arena_is_unavailable_where_tflm_does_not_run_the_model(tmp_path: Path) -> None:
    tensors = [
        T("x", [1, 4]),
        T("w", [3, 4], "INT8", np.ones((3, 4), "i1"), scale=[0.5]),
        T("y", [1, 3]),
    ]
    nodes = [N("FULLY_CONNECTED", ["x", "w", None], ["y"], 9)]
    hybrid = replace(
        doubler(tmp_path),
        outputs=(TensorSpec("y", (1, 3), "float32"),),
        golden=Golden(
            {"x": np.ones((2, 4), np.float32)}, {"y": np.ones((2, 3), np.float32)}, {"y": 1e-3}
        ),
    )
    hybrid.model.write_bytes(build(G(tensors, nodes, ["x"], ["y"])))
    text = text_of(hybrid, "_settings.h")
    assert "kTensorArenaSize = 0;" in text
    assert "its size is unavailable, because" in text
    assert "#error" not in text


def test_arena_of_a_file_for_an_npu_is_unavailable_with_what_its_compiler_estimates(
    contents: Contents,
) -> None:
    sram = {"npu_sram": {"value": 3072.0, "unit": "byte", "tool": "vela 5.2"}}
    found = replace(contents, compiled=contents.model, measurements=sram)
    text = text_of(found, "_settings.h", NPU)
    assert "kTensorArenaSize = 0;" in text
    said = " ".join(re.findall(r"^// (.*)", text, re.MULTILINE))
    assert "compiled for ethos-u55-128, and cannot run" in said
    assert "vela 5.2 estimates 3,072 bytes of SRAM" in said


def test_golden_items_are_as_many_as_flash_should_hold(contents: Contents) -> None:
    assert "golden_items = 6;" in text_of(contents, "_golden.h")
    x = np.zeros((6, 4), np.uint8).repeat(2000, axis=0)
    golden = Golden({"x": x}, {"y": np.zeros((len(x), 3), np.float32)}, {"y": 0.01})
    (count,) = re.findall(
        r"golden_items = (\d+);", text_of(replace(contents, golden=golden), "_golden.h")
    )
    # Four raw bytes, four as the model takes them, three floats.
    assert int(count) == MOST_BYTES // (4 + 4 + 12)


def test_inputs_go_by_name_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    node = N("SUB", ["a", "b"], ["y"], options={"kind": "SubOptions"})
    tensors = [T(name, [1, 1]) for name in "aby"]
    one = doubler(tmp_path)
    one.model.write_bytes(build(G(tensors, [node], ["b", "a"], ["y"])))
    a, b = np.array([[[5]], [[4]]], np.float32)
    two = replace(
        one,
        inputs=tuple(TensorSpec(name, (1, 1), "float32") for name in "ab"),
        outputs=(TensorSpec("y", (1, 1), "float32"),),
        golden=Golden({"a": a, "b": b}, {"y": a - b}, {"y": 1e-6}),
    )
    text = text_of(two, "_settings.h")
    assert "kInputs[] = {{&doubler_input_0, 1}, {&doubler_input_1, 0}}" in text
    assert "kTensorArenaSize = 0;" not in text


def test_dtype_that_the_c_library_does_not_carry_is_refused(tmp_path: Path) -> None:
    wide = replace(doubler(tmp_path), outputs=(TensorSpec("y", (1, 4), "int64"),))
    node = N("CAST", ["x"], ["y"], options={"kind": "CastOptions"})
    graph = G([T("x", [1, 4]), T("y", [1, 4], "INT64")], [node], ["x"], ["y"])
    wide.model.write_bytes(build(graph))
    with pytest.raises(ConversionError, match=r"EK-CONVERT-109.*'y' is int64"):
        microcontroller.files(catalog.load("cortex-m4"), wide)


def test_every_source_is_listed_once_for_all_build_systems(folder: Path) -> None:
    listed = re.findall(r"src/[\w.]+", (folder / "sources.cmake").read_text())
    assert sorted(listed) == sorted(f"src/{path.name}" for path in folder.glob("src/*.c*"))
    for name in ("CMakeLists.txt", "zephyr/CMakeLists.txt"):
        assert "DENSE_NET_SOURCES" in (folder / name).read_text()


def test_no_name_of_the_template_is_left(folder: Path) -> None:
    for path in filter(Path.is_file, folder.rglob("*")):
        assert "edgekit_name" not in path.name.lower()
        assert b"edgekit_name" not in path.read_bytes().lower(), path


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.2.3", "1.2.3"),
        ("1.2.3-rc.1", "1.2.3-rc.1"),
        ("1b2c3d4e", "0.0.0+1b2c3d4e"),
        ("1.2", None),
    ],
)
def test_version_of_a_library_is_semantic(version: str, expected: str | None) -> None:
    assert library_version(version) == (expected or "0.0.0+1-2")


# Source: "Library specification" of the Arduino CLI documentation.
REQUIRED = (
    "name version author maintainer sentence paragraph category url architectures includes".split()
)
CATEGORIES = (
    "Display,Communication,Signal Input/Output,Sensors,Device Control,Timing,Data Storage,"
    "Data Processing,Other"
).split(",")
SEMANTIC = re.compile(r"\d+(\.\d+(\.\d+)?)?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


def arduino_problems(folder: Path) -> list[str]:
    """What breaks Arduino's published rules of a library."""
    lines = (folder / "library.properties").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines)
    problems = [f"no {field}" for field in REQUIRED if not found.get(field)]
    name = found.get("name", "")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", name):
        problems.append("name has characters that are not allowed, or too many")
    if name.lower().startswith("arduino"):
        problems.append("names that begin with Arduino are Arduino's own")
    if not SEMANTIC.fullmatch(found.get("version", "")):
        problems.append("version is not semantic")
    if found.get("category") not in CATEGORIES:
        problems.append("no such category")
    if not re.fullmatch(r"https?://\S+", found.get("url", "")):
        problems.append("url is not one")
    if not (folder / "src").is_dir():
        problems.append("no src")
    for header in found.get("includes", "").split(","):
        if not (folder / "src" / header).is_file():
            problems.append(f"no {header}")
    for example in (folder / "examples").iterdir():
        if not (example / f"{example.name}.ino").is_file():
            problems.append(f"example {example.name} has no sketch of its name")
    return problems


def test_arduino_takes_the_library(folder: Path) -> None:
    assert arduino_problems(folder) == []


ARDUINO_FAULTS: dict[str, tuple[str, str, str]] = {
    "no url": ("url=https", "x=https", "no url"),
    "no address": ("url=https://", "url=", "url is not one"),
    "Arduino's name": ("name=edgekit_", "name=Arduino_", "Arduino's own"),
    "a character": ("name=edgekit_", "name=edgekit/", "characters"),
    "a version": ("version=0.0.0+1b2c3d4e", "version=1b2c3d4e", "not semantic"),
    "a category": ("Data Processing", "Machine Learning", "category"),
    "a header": ("includes=", "includes=other_", "no other_"),
}


@pytest.mark.parametrize("fault", ARDUINO_FAULTS)
def test_check_of_arduino_s_rules_sees(contents: Contents, tmp_path: Path, fault: str) -> None:
    right, wrong, said = ARDUINO_FAULTS[fault]
    write_bundle(contents, tmp_path)
    path = tmp_path / "library.properties"
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    assert any(said in problem for problem in arduino_problems(tmp_path))


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text())


FORMATS = {
    "idf_component.yml": "idf_component.json",
    "zephyr/module.yml": "zephyr_module.json",
}
YAML_FAULTS: list[tuple[str, Callable[[Any], object]]] = [
    ("idf_component.yml", lambda d: d.update(version="1b2c3d4e")),
    ("idf_component.yml", lambda d: d.update(dependency={})),
    ("idf_component.yml", lambda d: d["dependencies"].update(idf=5.0)),
    ("idf_component.yml", lambda d: d["dependencies"]["idf"].update(public="yes")),
    ("idf_component.yml", lambda d: d.update(targets="esp32")),
    ("zephyr/module.yml", lambda d: d["build"].update(cmake=True)),
    ("zephyr/module.yml", lambda d: d["build"].update(depends="tflite-micro")),
    ("zephyr/module.yml", lambda d: d.update(sources=[])),
]


@pytest.mark.parametrize("name", FORMATS)
def test_yaml_is_as_its_specification_says(folder: Path, name: str) -> None:
    document = yaml.safe_load((folder / name).read_text())
    jsonschema.validate(document, schema(FORMATS[name]))
    if name.startswith("zephyr"):
        assert (folder / document["build"]["cmake"] / "CMakeLists.txt").is_file()
        assert (folder / document["build"]["kconfig"]).is_file()


@pytest.mark.parametrize(("name", "fault"), YAML_FAULTS)
def test_schema_refuses(folder: Path, name: str, fault: Callable[[Any], object]) -> None:
    document = yaml.safe_load((folder / name).read_text())
    fault(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema(FORMATS[name]))
