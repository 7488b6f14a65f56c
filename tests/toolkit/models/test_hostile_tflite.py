"""``.tflite`` files that mean harm, made here: each is refused, or answered, and does none."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from tflite_files import G, N, T, build, packed

from conftest import answer
from edgekit.converters import flatbuffer
from edgekit.errors import ModelError
from edgekit.pipeline.float_file import check_operators

pytestmark = pytest.mark.hostile

# Operators of TensorFlow that touch files, processes, the network or Python, and one that does not.
REACHING_OUT = (
    "WriteFile",
    "ReadFile",
    "MatchingFiles",
    "PyFunc",
    "PyFuncStateless",
    "EagerPyFunc",
    "ImmutableConst",
    "SaveV2",
    "RestoreV2",
    "PrintV2",
    "TextLineDataset",
    "RemoteCall",
    "InitializeTableFromTextFileV2",
    "WriteSummary",
    "DebugIdentityV2",
    "XlaCustomCallV2",
    "Sin",
)


def flex(operator: str) -> bytes:
    """A Flex operator's options: its name, and the node's definition as a protobuf."""
    name = operator.encode()
    node = b"\n\x01n\x12" + bytes([len(name)]) + name + b"\x1a\x01a\x1a\x01b"
    builder = flexbuffers.Builder()
    with builder.Vector():
        builder.String(operator)
        builder.Blob(node)
    return bytes(builder.Finish())


def text(words: str) -> Any:
    """A constant of one string, as TFLite keeps them."""
    content = words.encode()
    head = np.array([1, 12, 12 + len(content)], "<i4").tobytes()
    return np.frombuffer(head + content, np.uint8)


X, Y = T("x", [1, 4]), T("y", [1, 4])
ADD = N("ADD", ["x", "x"], ["y"])


def with_operator(name: str, options: bytes = b"") -> bytes:
    """A float file that adds, and beside that has another operator on the marker's name."""
    words = [T("f", [1], "STRING", text("marker")), T("c", [1], "STRING", text("x"))]
    return build(G([X, Y, *words], [N(name, ["f", "c"], [], custom=options), ADD], ["x"], ["y"]))


def hidden(name: str) -> bytes:
    """The operator in a graph that only a condition leads to."""
    inner = build_inner(name)
    flag = T("flag", [1], "BOOL", np.array([True]))
    options = {"kind": "IfOptions", "thenSubgraphIndex": 1, "elseSubgraphIndex": 2}
    main = G([flag, X, Y], [N("IF", ["flag", "x"], ["y"], options=options)], ["x"], ["y"])
    return build(main, inner, G([X, Y], [ADD], ["x"], ["y"], None))


def build_inner(name: str) -> G:
    words = [T("f", [1], "STRING", text("marker")), T("c", [1], "STRING", text("x"))]
    nodes = [N(name, ["f", "c"], [], custom=flex(name.removeprefix("Flex"))), ADD]
    return G([X, Y, *words], nodes, ["x"], ["y"], None)


def edited(edit: Callable[[Any], None]) -> bytes:
    """A good file, changed as objects of the schema."""
    content = build(
        G(
            [X, Y, T("k", [1, 4], data=np.ones((1, 4), "f4"))],
            [N("ADD", ["x", "k"], ["y"])],
            ["x"],
            ["y"],
        )
    )
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    edit(model)
    return packed(model)


def buffer_at(offset: int, size: int) -> bytes:
    """A constant whose bytes are said to lie outside of the file."""

    def edit(model: Any) -> None:
        constant = model.subgraphs[0].tensors[2].buffer
        model.buffers[constant].data = None
        model.buffers[constant].offset, model.buffers[constant].size = offset, size

    return edited(edit)


def renamed(name: str) -> bytes:
    """An input, an output and a signature by a name that leads out of any folder."""
    x, y = T(name + "x", [1, 4]), T(name, [1, 4])
    return build(G([x, y], [N("ADD", [x.name, x.name], [y.name])], [x.name], [y.name], name))


def calling_itself() -> bytes:
    def edit(model: Any) -> None:
        model.subgraphs[0].operators[0].builtinOptions.thenSubgraphIndex = 0

    content = hidden("SIN")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    edit(model)
    return packed(model)


def trailing_archive(name: str, content: bytes) -> bytes:
    """A zip archive behind the file, as label files lie there, under a name that leads out."""
    archive = io.BytesIO(build(G([X, Y], [ADD], ["x"], ["y"])))
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, content)
    return archive.getvalue()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a Flex operator that writes": lambda: with_operator("FlexWriteFile", flex("WriteFile")),
    "a Flex operator that reads": lambda: with_operator("FlexReadFile", flex("ReadFile")),
    "a Flex operator that runs Python": lambda: with_operator("FlexPyFunc", flex("PyFunc")),
    "a Flex operator behind a condition": lambda: hidden("FlexWriteFile"),
    "a Flex operator without options": lambda: with_operator("FlexWriteFile"),
    "a Flex operator named otherwise inside": lambda: with_operator("FlexSin", flex("WriteFile")),
    "an operator of nobody": lambda: with_operator("Evil", os.urandom(40)),
    "an operator with the name of a path": lambda: with_operator("../../marker"),
    "an operator without a name": lambda: with_operator(" "),
    "an operator with a very long name": lambda: with_operator("E" * 100_000),
    "a constant beyond the end": lambda: buffer_at(1 << 20, 16),
    "a constant at the end of all numbers": lambda: buffer_at((1 << 64) - 16, 32),
    "a constant larger than the file": lambda: buffer_at(64, 1 << 40),
    "names that lead out": lambda: renamed("../../../marker"),
    "names from the root": lambda: renamed("/marker"),
    "names with a zero": lambda: renamed("mar\0ker"),
    "a graph that calls itself": calling_itself,
    "labels that lead out": lambda: trailing_archive("../../marker", b"a\nb\n"),
    "labels that unpack to a gigabyte": lambda: trailing_archive("labels.txt", bytes(1 << 26)),
}


# Their inputs are called otherwise: each is run for itself.
RENAMED = sorted(name for name in HOSTILE if name.startswith("names"))
# Refused before anything is run, by whoever reads them.
UNREADABLE = sorted(name for name in HOSTILE if name.startswith("a constant"))
RUN_TOGETHER = sorted(HOSTILE.keys() - {*RENAMED, *UNREADABLE})
ITEMS = ("--data", "items.npz", "--metric", "accuracy")


def deep(folder: Path) -> Path:
    """A folder three deep with items, so that what leads out leads into the test's own folder."""
    place = folder / "a" / "b" / "c"
    place.mkdir(parents=True)
    np.savez(place / "items.npz", x=np.eye(4, dtype=np.float32), y=np.arange(4))
    return place


def assert_harmless(folder: Path) -> None:
    assert [one for one in folder.rglob("*") if one.name == "marker"] == []
    assert not Path("/marker").exists()


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_file_is_answered_and_does_no_harm(tmp_path: Path, name: str) -> None:
    place = deep(tmp_path)
    (place / "m.tflite").write_bytes(HOSTILE[name]())
    commands = [
        ["inspect", "m.tflite"],
        ["convert", "m.tflite", "--data", "items.npz", "--precision", "int8"],
    ]
    if name not in RUN_TOGETHER:
        commands.append(["evaluate", "m.tflite", *ITEMS])
    for words in commands:
        done = answer(*words, cwd=place)
        assert done.returncode in (0, 2, 3, 4, 5), (words[0], done.stderr)
        assert len(done.stderr) < 10_000
    assert_harmless(tmp_path)


def test_hostile_files_are_run_and_do_no_harm(tmp_path: Path) -> None:
    """Beside a good one, by one runner after the other: to start one for each takes longest."""
    place, said = deep(tmp_path), {}
    (place / "good.tflite").write_bytes(build(G([X, Y], [ADD], ["x"], ["y"])))
    for number, name in enumerate(RUN_TOGETHER):
        (place / f"{number}.tflite").write_bytes(HOSTILE[name]())
    files = [f"{number}.tflite" for number in range(len(RUN_TOGETHER))]
    done = answer(
        "compare",
        "good.tflite",
        *files,
        *ITEMS,
        "--no-latency",
        "--json",
        "--output",
        "out",
        cwd=place,
    )
    assert done.returncode == 5, done.stderr
    assert len(done.stderr) < 10_000
    for row in json.loads(done.stdout)["models"]:
        said[row["id"]] = row["status"]
    assert said.pop("good.tflite") == "passed"
    assert set(said) == set(files)
    for number, name in enumerate(RUN_TOGETHER):
        # What is not an operator of a file runs as the file that it also is.
        expected = "passed" if name.startswith("labels") else "incompatible"
        assert said[f"{number}.tflite"] == expected, name
    assert_harmless(tmp_path)


@pytest.mark.parametrize("operator", REACHING_OUT)
def test_no_operator_of_tensorflow_is_taken_where_it_would_be_run(
    tmp_path: Path, operator: str
) -> None:
    path = tmp_path / "m.tflite"
    for content in (with_operator(f"Flex{operator}", flex(operator)), hidden(f"Flex{operator}")):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="EK-MODEL-021") as caught:
            check_operators(path, flatbuffer.read(path))
        assert f"Flex{operator}" in caught.value.message
