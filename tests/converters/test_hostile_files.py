"""Damaged and hostile files: read, or refused by name; never a traceback, a hang or much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import flatfiles
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_files import G, N, T, build

from conftest import EDGEKIT
from edgekit.converters import flatbuffer
from edgekit.errors import ModelError
from edgekit.targets.runners.probe import probe_model

pytestmark = pytest.mark.hostile

MUTATIONS = 2000
THROUGH_THE_COMMAND_LINE = 50
LONGEST_SECONDS = 1.0
# Of a child with numpy and the schema; the reader's bound is 1 GiB.
MOST_BYTES = 1 << 30
HUGE = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFC, 0x01000000)

# One process reads them all and looks at all that was read, under a limit of address space.
READ = """
import json, resource, sys, time
from pathlib import Path
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from edgekit.converters import flatbuffer
from edgekit.converters.runtime_version import fits, minimum_runtime
from edgekit.converters.version_stamp import stamp_versions
from edgekit.errors import ModelError

def look(content, name):
    try:
        file = flatbuffer.parse(content, name)
    except ModelError as error:
        assert error.code == "EK-MODEL-003" and name in error.message, error
        return "refused"
    file.operators, file.float_operators, file.weights, file.stateful, file.signature_outputs
    fits(minimum_runtime(file), "tflite-runtime", "2.14.0")
    stamp_versions(content)
    for tensor in (t for graph in file.graphs for t in graph.tensors):
        try:
            file.array(tensor)
        except ModelError as error:
            assert error.code == "EK-MODEL-003", error
    return "read"

outcomes, odd, slowest = {"read": 0, "refused": 0}, [], 0.0
with open(sys.argv[2], "rb") as rows:
    for number, row in enumerate(rows):
        content, begin = bytes.fromhex(row.decode()), time.process_time()
        try:
            outcomes[look(content, f"file {number}")] += 1
        except BaseException as error:
            odd.append([number, type(error).__name__, str(error)[:200]])
        slowest = max(slowest, time.process_time() - begin)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({**outcomes, "odd": odd, "slowest": slowest, "peak": peak}))
"""


def good_files() -> list[bytes]:
    return [probe_model(), flatfiles.convolutional(), flatfiles.dense("INT8")]


def mutated(seed: int, count: int) -> Iterator[bytes]:
    """Good files with bits flipped, cut short, and with lengths and offsets blown up or looped."""
    rng, files = np.random.default_rng(seed), good_files()
    for number in range(count):
        content = bytearray(files[number % len(files)])
        kind = number // len(files) % 5
        if kind == 0:
            for at in rng.integers(0, len(content), 1 + number % 16):
                content[at] ^= 1 << rng.integers(8)
        elif kind == 1:
            del content[rng.integers(len(content)) :]
        elif kind == 2:
            # Lengths and offsets are aligned 32-bit numbers.
            for _ in range(1 + number % 3):
                _write(content, rng, int(HUGE[rng.integers(len(HUGE))]))
        elif kind == 3:
            # An offset to anywhere in the file: to itself, into a loop, into a constant.
            _write(content, rng, int(rng.integers(len(content))))
        else:
            at, size = rng.integers(0, len(content) - 64), int(rng.integers(4, 64))
            content[at : at + size] = content[at // 2 : at // 2 + size]
        yield bytes(content)


def _write(content: bytearray, rng: np.random.Generator, value: int) -> None:
    at = int(rng.integers(len(content) // 4)) * 4
    content[at : at + 4] = value.to_bytes(4, "little")


def read_all(folder: Path, contents: Iterator[bytes]) -> dict[str, object]:
    rows = folder / "rows.txt"
    rows.write_text("".join(content.hex() + "\n" for content in contents))
    done = subprocess.run(
        [sys.executable, "-c", READ, str(MOST_BYTES), str(rows)],
        # Every thread of a numeric library claims address space.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    found = read_all(tmp_path, mutated(20, MUTATIONS))
    assert found["odd"] == []
    assert int(str(found["read"])) + int(str(found["refused"])) == MUTATIONS
    # Mutations that no reader would notice prove nothing, and neither do hopeless ones.
    assert int(str(found["refused"])) > MUTATIONS // 5
    assert int(str(found["read"])) > MUTATIONS // 5
    assert float(str(found["slowest"])) < LONGEST_SECONDS
    assert int(str(found["peak"])) < MOST_BYTES


def shared_tables(count: int) -> bytes:
    """A file whose graphs are one graph, named ``count`` times: small bytes, much to walk."""
    content = bytearray(flatfiles.convolutional())
    root = int.from_bytes(content[0:4], "little")
    vtable = root - int.from_bytes(content[root : root + 4], "little", signed=True)
    field = root + int.from_bytes(content[vtable + 8 : vtable + 10], "little")
    vector = field + int.from_bytes(content[field : field + 4], "little")
    graph = vector + 4 + int.from_bytes(content[vector + 4 : vector + 8], "little")
    # A table may lie before what points at it only by a wrapped offset, which is refused: so the
    # graph is copied behind the vector, with all that it points at.
    new = len(content) + -len(content) % 4
    content = content.ljust(new, b"\0")
    content[field : field + 4] = (new - field).to_bytes(4, "little")
    copy = new + 4 + 4 * count
    begin = graph // 4 * 4
    shift = copy - begin
    content += count.to_bytes(4, "little")
    for number in range(count):
        place = new + 4 + 4 * number
        content += (graph + shift - place).to_bytes(4, "little")
    # Its vtable lies before it: the whole file is the copy.
    content += bytes(content[begin:new])
    table = graph + shift
    old_vtable = graph - int.from_bytes(content[graph : graph + 4], "little", signed=True)
    content[table : table + 4] = (table - old_vtable).to_bytes(4, "little", signed=True)
    return bytes(content)


def test_shared_tables_are_refused_before_they_cost_much(tmp_path: Path) -> None:
    found = read_all(tmp_path, iter([shared_tables(2), shared_tables(100_000)]))
    assert found["odd"] == []
    assert (found["read"], found["refused"]) == (1, 1)
    assert float(str(found["slowest"])) < 5
    assert int(str(found["peak"])) < MOST_BYTES


def shared_options(operators: int, entries: int) -> bytes:
    """A file whose operators all have the options of the first, which hold a long vector."""
    shape = np.ones(entries, np.int32)
    options = [
        {"kind": "ReshapeOptions", "newShape": shape if k == 0 else shape[:1]}
        for k in range(operators)
    ]
    nodes = [N("RESHAPE", ["x"], ["y"], options=one) for one in options]
    content = bytearray(build(G([T("x", [1, 4]), T("y", [1, 4])], nodes, ["x"], ["y"])))
    graph = schema.Model.GetRootAs(bytes(content), 0).Subgraphs(0)
    target = graph.Operators(0).BuiltinOptions().Pos
    for number in range(1, operators):
        table = graph.Operators(number)._tab
        place = table.Pos + table.Offset(12)
        content[place : place + 4] = (target - place).to_bytes(4, "little")
    return bytes(content)


def shared_buffers(count: int, size: int) -> bytes:
    """A file whose constants all lie in the same bytes."""
    tensors = [
        T(f"k{k}", [size if k == 0 else 1], "UINT8", np.zeros(size if k == 0 else 1, np.uint8))
        for k in range(count)
    ]
    content = bytearray(build(G([T("x", [1, 4]), *tensors], [], ["x"], ["x"])))
    model = schema.Model.GetRootAs(bytes(content), 0)
    first = model.Buffers(1)._tab
    target = first.Vector(first.Offset(4)) - 4
    for number in range(2, count + 1):
        table = model.Buffers(number)._tab
        place = table.Pos + table.Offset(4)
        content[place : place + 4] = (target - place).to_bytes(4, "little")
    return bytes(content)


def test_shared_vectors_are_refused_before_they_cost_much(tmp_path: Path) -> None:
    small = [shared_options(2, 4), shared_buffers(2, 100)]
    large = [shared_options(200, 100_000), shared_buffers(200, 1_000_000)]
    found = read_all(tmp_path, iter([*small, *large]))
    assert found["odd"] == []
    assert (found["read"], found["refused"]) == (2, 2)
    assert float(str(found["slowest"])) < 5


def test_a_fault_in_the_reader_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child reports what is not an error of ours: here one planted in the reader."""
    broken = READ.replace("def look", "flatbuffer.parse = lambda content, name: 1 / 0\ndef look", 1)
    monkeypatch.setitem(globals(), "READ", broken)
    found = read_all(tmp_path, mutated(20, 3))
    assert [row[1] for row in found["odd"]] == ["ZeroDivisionError"] * 3  # type: ignore[attr-defined]


def inspected(path: Path, printed: Path) -> tuple[int, float, int]:
    """`edgekit inspect` on a file: exit code, seconds of its own and peak memory in bytes."""
    with printed.open("wb") as out:
        process = subprocess.Popen([EDGEKIT, "inspect", path], stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


@pytest.mark.slow
def test_mutated_files_through_the_command_line(tmp_path: Path) -> None:
    path, printed, codes = tmp_path / "mutated.tflite", tmp_path / "printed.txt", set()
    for content in mutated(21, THROUGH_THE_COMMAND_LINE):
        path.write_bytes(content)
        code, seconds, peak = inspected(path, printed)
        said = printed.read_text()
        assert code in (0, 2), said
        assert "Traceback" not in said
        assert ("EK-MODEL-003" in said) == (code == 2), said
        assert seconds < 5
        assert peak < MOST_BYTES
        codes.add(code)
    assert codes == {0, 2}


def test_published_files_are_read_or_refused_by_name(test_data: Path, tmp_path: Path) -> None:
    paths = sorted(test_data.rglob("*.tflite"))
    assert len(paths) > 30
    names = {
        "invalid_model.tflite",
        "test_model_broken.tflite",
        "0_subgraphs.tflite",
        "no_subgraphs.tflite",
    }
    bad = [path for path in paths if path.name in names]
    for path in bad:
        with pytest.raises(ModelError, match=path.name) as caught:
            flatbuffer.read(path)
        assert caught.value.code == "EK-MODEL-003"
    found = read_all(tmp_path, (path.read_bytes() for path in paths))
    assert (found["odd"], found["refused"]) == ([], len(bad))
    assert len(bad) == len(names)
