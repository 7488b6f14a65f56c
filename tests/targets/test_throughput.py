"""How runners evaluate fast: blocks shared by processes, trials, crashes that name their item."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_files import G, N, T, build

from edgekit.contracts.runner import Bench
from edgekit.targets.runners import FOLDER, RUNNER_FILES
from edgekit.targets.runners.probe import probe_model

# A runner with a fault; further processes run it too.
PLANTED = """
import os, sys, time
sys.path.insert(0, {folder!r})
import python_runner

class Job(python_runner.Job):
    def feeds(self, model, start, stop):
        part = self.request.get("part")
        {fault}
        return super().feeds(model, start, stop)

python_runner.Job = Job
sys.exit(python_runner.main(sys.argv[1:]))
"""
CLAIM = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import throughput
for number in itertools.takewhile(lambda n: n < 4000, throughput.claims(Path(sys.argv[2]))):
    print(number)
"""
BATCHED_DIFFERS = """
class Differs(python_runner.TFLiteModel):
    def fetch(self):
        return {n: v + (self.batch > 1) * np.float32(2**-18) for n, v in super().fetch().items()}

TFLiteModel = Differs
python_runner.TFLiteModel = Differs
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """The doubler on seven items, on LiteRT."""
    model = tmp_path / "doubler.tflite"
    model.write_bytes(probe_model())
    return Bench(RUNNER_FILES["litert"], "litert", model, tmp_path)


def planted(bench: Bench, fault: str) -> None:
    """Have a bench's runner do something before it takes items ``start`` to ``stop``."""
    bench.runner_file = bench.folder / "planted.py"
    bench.runner_file.write_text(PLANTED.format(folder=str(FOLDER), fault=fault))


def status(bench: Bench, request: dict[str, Any]) -> int:
    """How the runner ends; below 0 by a signal."""
    asked, answered = bench.folder / "request.json", bench.folder / "result.json"
    asked.write_text(json.dumps(request))
    command = [sys.executable, str(bench.runner_file), str(asked), str(answered)]
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode


def recorded(bench: Bench) -> list[int]:
    (record,) = bench.outputs.glob("progress-*.json")
    items: list[int] = json.loads(record.read_text())["items"]
    return items


def test_claims_give_each_number_to_one_of_three_processes(tmp_path: Path) -> None:
    (tmp_path / "claims").touch()
    command = [sys.executable, "-c", CLAIM, str(FOLDER), str(tmp_path / "claims")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    found = [int(line) for one in running for line in one.communicate(timeout=60)[0].split()]
    assert sorted(found) == list(range(4000))


def test_a_crash_leaves_its_block_and_then_its_item(bench: Bench) -> None:
    planted(bench, "if start <= 5 < stop: os.kill(os.getpid(), 11)")
    assert status(bench, bench.request("evaluate", block=4)) == -11
    block = recorded(bench)
    assert block == [4, 7]
    again = bench.request("evaluate", items=block, batch=1, processes=1, block=1)
    assert status(bench, again) == -11
    assert recorded(bench) == [5, 6]


def test_a_crash_while_loading_leaves_no_record_of_items(bench: Bench) -> None:
    planted(bench, "pass")
    source = bench.runner_file.read_text()
    fault = (
        "python_runner.RUNTIMES['litert'] = (lambda: lambda *_: os.kill(os.getpid(), 6), 'numpy')\n"
    )
    bench.runner_file.write_text(source.replace("sys.exit", fault + "sys.exit"))
    bench.outputs.mkdir()
    (bench.outputs / "progress-0.json").write_text('{"items": [0, 512]}')
    assert status(bench, bench.request("evaluate")) == -6
    assert list(bench.outputs.glob("progress-*.json")) == []


# The first process is slow, so that the further one comes to take item 20 or a later one.
FURTHER = "time.sleep(0 if part else 0.05)\n        if part and stop > 20: "


def test_a_further_process_that_crashes_ends_the_first_alike_at_its_item(bench: Bench) -> None:
    planted(bench, FURTHER + "os.kill(os.getpid(), 11)")
    bench.x = np.zeros((200, 4), np.float32)
    assert status(bench, bench.request("evaluate", processes=2, block=1)) == -11
    start, stop = recorded(bench)
    assert (start >= 20, stop - start) == (True, 1)


def test_a_further_process_that_fails_names_its_item(bench: Bench) -> None:
    planted(bench, FURTHER + "raise ValueError('planted')")
    bench.x = np.zeros((200, 4), np.float32)
    result = bench.run(bench.request("evaluate", processes=2, block=1))
    assert result["error"]["message"] == "planted"
    start, stop = result["running"]["items"]
    assert (start >= 20, stop - start) == (True, 1)


@pytest.mark.parametrize("differs", [False, True])
def test_a_batch_is_chosen_only_where_it_answers_alike_to_the_bit(
    bench: Bench, differs: bool
) -> None:
    planted(bench, "pass")
    if differs:
        source = bench.runner_file.read_text().replace("import os,", "import numpy as np, os,")
        bench.runner_file.write_text(source.replace("class Job", BATCHED_DIFFERS + "\nclass Job"))
    bench.x = np.random.default_rng(7).random((60_000, 4), np.float32)
    result = bench.run(bench.request("evaluate", batch="auto"))
    assert (result["models"]["doubler"]["batch"] > 1) is not differs
    assert np.array_equal(np.load(bench.outputs / "y.npy"), 2 * bench.x)


def test_python_runner_alone_runs_one_item_at_a_time(bench: Bench) -> None:
    bench.runner_file = Path(shutil.copy(bench.runner_file, bench.folder / "alone.py"))
    result = bench.run(bench.request("evaluate", batch=4, processes=2))
    model = result["models"]["doubler"]
    assert (model["batch"], model["processes"], model["threads"]) == (1, 1, 1)
    assert np.array_equal(np.load(bench.outputs / "y.npy"), 2 * bench.x)


def test_each_of_two_models_is_split_over_two_processes(bench: Bench) -> None:
    models = [
        {"id": name, "path": str(bench.model), "outputs": str(bench.folder / name)}
        for name in ("first", "second")
    ]
    result = bench.run(bench.request("evaluate", models=models, processes=2, block=1))
    for name in ("first", "second"):
        assert result["models"][name]["processes"] == 2
        assert np.array_equal(np.load(bench.folder / name / "y.npy"), 2 * bench.x)


def test_a_short_job_tries_nothing(bench: Bench) -> None:
    result = bench.run(bench.request("evaluate", batch="auto", processes="auto", threads="auto"))
    model = result["models"]["doubler"]
    assert (model["batch"], model["processes"], model["threads"]) == (1, 1, 1)


def test_delegate_none_leaves_xnnpack_out(bench: Bench) -> None:
    said = {}
    for delegate in ("xnnpack", "none"):
        asked = bench.folder / "request.json"
        asked.write_text(json.dumps(bench.request("evaluate", delegate=delegate)))
        command = [sys.executable, str(bench.runner_file), str(asked), str(bench.folder / "r.json")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        said[delegate] = "XNNPACK delegate" in done.stderr
    assert said == {"xnnpack": True, "none": False}


def integers(dtype: str) -> bytes:
    tensors = [T("x", [1, 4], dtype), T("y", [1, 4], dtype)]
    return build(G(tensors, [N("ADD", ["x", "x"], ["y"], options=ADD)], ["x"], ["y"]))


ADD = {"kind": "AddOptions"}
REFUSED = {
    "is int16": integers("INT16"),
    "is int64": integers("INT64"),
    "output 'x' is an input too": build(G([T("x", [1, 4])], [], ["x"], ["x"])),
    "no stateful model": build(
        G(
            [T("x", [1, 4]), T("v", [1, 4], variable=True), T("y", [1, 4])],
            [N("ADD", ["x", "v"], ["y"], options=ADD)],
            ["x"],
            ["y"],
        )
    ),
    "shape of output 'y' follows": build(
        G(
            [
                T("x", [1, 4]),
                T("axis", [1], "INT32", np.array([1], np.int32)),
                T("s", [1]),
                T("d", [1], "INT32"),
                T("one", [], data=np.float32(1)),
                T("y", [1]),
            ],
            [
                N("SUM", ["x", "axis"], ["s"], options={"kind": "ReducerOptions"}),
                N(
                    "CAST",
                    ["s"],
                    ["d"],
                    options={"kind": "CastOptions", "inDataType": 0, "outDataType": 2},
                ),
                N("FILL", ["d", "one"], ["y"], options={"kind": "FillOptions"}),
            ],
            ["x"],
            ["y"],
        )
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_compiled_model_refuses_by_name_what_it_would_answer_wrongly(
    bench: Bench, reason: str
) -> None:
    bench.runner_file, bench.runtime = RUNNER_FILES["compiled-model"], "compiled-model"
    bench.model.write_bytes(REFUSED[reason])
    assert reason in bench.error(bench.request("evaluate"))["message"]


def test_reference_kernels_say_which_operator_they_lack(bench: Bench) -> None:
    bench.runner_file, bench.runtime = RUNNER_FILES["reference"], "reference"
    tensors = [T("x", [1, 4]), T("y", [1, 4])]
    bench.model.write_bytes(build(G(tensors, [N("ELU", ["x"], ["y"])], ["x"], ["y"])))
    assert "'ELU'" in bench.error(bench.request("evaluate"))["message"]


@pytest.mark.slow
@pytest.mark.parametrize("mapped", [True, False])
def test_anonymous_memory_does_not_grow_with_the_items(bench: Bench, mapped: bool) -> None:
    planted(bench, "pass")
    if not mapped:
        whole = "load = python_runner.np.load\npython_runner.np.load = lambda p, **_: load(p)\n"
        source = bench.runner_file.read_text()
        bench.runner_file.write_text(source.replace("class Job", whole + "\nclass Job"))
    tensors = [T("x", [1, 784]), T("y", [1, 784])]
    adding = G(tensors, [N("ADD", ["x", "x"], ["y"], options=ADD)], ["x"], ["y"])
    bench.model.write_bytes(build(adding))
    held = []
    for items in (10_000, 60_000):
        bench.x = np.ones((items, 784), np.float32)
        memory = bench.run(bench.request("evaluate"))["models"]["doubler"]["memory"]
        held.append(memory["anonymous_bytes"])
    assert (abs(held[1] - held[0]) < 50 << 20) is mapped
