"""``targets fit``: what is judged by tables is held against what the runtimes do."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatfiles
import numpy as np
import pytest
from custom_files import CUSTOM_FILES, detector
from tflite_files import G, N, T, build, int8_dense

from conftest import edgekit
from edgekit.contracts.runner import typed
from edgekit.errors import ModelError
from edgekit.inspection import FitTrials, TargetFit, fits, inspect
from edgekit.inspection.trial import FitTrial, load
from edgekit.process import Limits
from edgekit.targets.devices.local import LocalDevice

RUNTIMES = ("litert", "tflite-runtime", "tflm")
# A target of each runtime.
WHERE = {"litert": "linux-x86_64", "tflite-runtime": "linux-x86_64", "tflm": "cortex-m4"}


def one(node: N, *tensors: T) -> bytes:
    return build(G(tensors, [node], ["x"], ["y"]))


def dense(bias: Mapping[str, Any], weight: Mapping[str, Any]) -> bytes:
    return build(int8_dense(b=bias, w=weight))


BUILT = {
    **CUSTOM_FILES,
    "int8": build(int8_dense()),
    "bias along dimension 3": dense({"axis": 3}, {}),
    "scales along dimension 2": dense({}, {"axis": 2, "scale": [0.02] * 3}),
    "two scales for three channels": dense({}, {"scale": [0.02] * 2}),
    "free batch": build(int8_dense(x={"free": [-1, 4]})),
    "free size": one(N("RELU", ["x"], ["y"]), T("x", [1, 1], free=[1, -1]), T("y", [1, 1])),
    "scalar": one(
        N("RESHAPE", ["x", "s"], ["y"]),
        T("x", [1]),
        T("y", []),
        T("s", [0], "INT32", np.zeros(0, "i4")),
    ),
    "strings": one(
        N("RESHAPE", ["x", "s"], ["y"]),
        T("x", [1], "STRING"),
        T("y", [1], "STRING"),
        T("s", [1], "INT32", np.ones(1, "i4")),
    ),
    "flex": one(N("FlexErf", ["x"], ["y"]), T("x", [1]), T("y", [1])),
    "complex": build(
        G(
            [
                T("x", [1, 8]),
                T("n", [2], "INT32", np.array([1, 8], "i4")),
                T("c", [1, 5], "COMPLEX64"),
                T("y", [1, 5]),
            ],
            [N("RFFT2D", ["x", "n"], ["c"]), N("REAL", ["c"], ["y"])],
            ["x"],
            ["y"],
        )
    ),
    "newer than 2.14": one(
        N("FULLY_CONNECTED", ["x", "w"], ["y"], 12),
        T("x", [1, 4]),
        T("y", [1, 3]),
        T("w", [3, 4], "INT8", np.ones((3, 4), "i1"), scale=[0.1, 0.2, 0.3]),
    ),
    "newer than it says": one(
        N("FULLY_CONNECTED", ["x", "w"], ["y"], 3),
        T("x", [1, 4]),
        T("y", [1, 3]),
        T("w", [3, 4], "INT8", np.ones((3, 4), "i1"), scale=[0.1, 0.2, 0.3]),
    ),
    "dynamic": flatfiles.dense("INT8"),
    "no operator": build(G([T("x", [1])], [], ["x"], ["x"])),
}


def tried(folder: Path, files: Mapping[str, Path]) -> dict[str, FitTrials]:
    """Every file on every runtime; together where that goes, as a process costs the most."""
    outcomes: dict[str, dict[str, FitTrial]] = {name: {} for name in files}
    device = LocalDevice(folder / "requests", folder / "log", Limits(120.0, 4 << 30))
    for runtime in RUNTIMES:
        version = load(next(iter(files.values())), runtime).version
        models = [{"id": name, "path": str(path)} for name, path in files.items()]
        told = device.run(
            typed({"mode": "load", "runtime": runtime, "inputs": {}, "models": models})
        )
        for name, found in told["models"].items():
            outcome = "ran" if found["ran"] else "loaded" if found["allocated"] else "refused"
            outcomes[name][runtime] = FitTrial(outcome, version, found["problem"])  # type: ignore[arg-type]
    return {name: FitTrials(found) for name, found in outcomes.items()}


def contradictions(path: Path, trials: FitTrials) -> list[str]:
    """Where the tables say what a runtime does not do."""
    found, wrong = inspect(path), []
    judged = {row.target: row for row in fits(found)}
    final = {row.target: row for row in fits(found, trials)}
    for runtime, trial in trials.runtimes.items():
        (table,) = [r for r in judged[WHERE[runtime]].runtimes if r.runtime == runtime]
        (after,) = [r for r in final[WHERE[runtime]].runtimes if r.runtime == runtime]
        refused = trial.outcome == "refused"
        # A file may state less than it uses, and be answered wrongly: that is told apart.
        doubted = "outputs are in doubt" in after.reason or "but wrongly" in after.reason
        contrary = (refused and table.fits) or (trial.outcome == "ran" and table.fits is False)
        if contrary and not doubted:
            wrong.append(f"{path.name} on {runtime}: {table} against {trial}")
        if after.fits and trial.outcome != "ran":
            wrong.append(f"{path.name} on {runtime}: {after} after {trial}")
    return wrong


def test_tables_do_not_contradict_the_runtimes(tmp_path: Path) -> None:
    files = {}
    for number, (name, content) in enumerate(BUILT.items()):
        files[name] = tmp_path / f"{number}.tflite"
        files[name].write_bytes(content)
    trials = tried(tmp_path, files)
    assert [one for n, path in files.items() for one in contradictions(path, trials[n])] == []
    ran = {n for n, found in trials.items() if found.runtimes["litert"].outcome == "ran"}
    assert {"TFLite_Detection_PostProcess", "Convolution2DTransposeBias", "scalar", "int8"} <= ran
    assert not {"Sinh", "flex", "bias along dimension 3", "SignalWindow"} & ran


@pytest.mark.slow
def test_tables_do_not_contradict_the_runtimes_on_published_files(test_data: Path) -> None:
    wrong = []
    for path in sorted(test_data.glob("**/*.tflite")):
        try:
            inspect(path)
        except ModelError:
            continue
        trials = FitTrials({runtime: load(path, runtime) for runtime in RUNTIMES})
        wrong += contradictions(path, trials)
    assert wrong == []


def verdicts(rows: tuple[TargetFit, ...]) -> dict[str, str]:
    return {row.target: row.verdict for row in rows}


def test_fit_runs_the_file_and_says_how_each_verdict_is_known(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(detector())
    done = edgekit("targets", "fit", "m.tflite", cwd=tmp_path)
    assert done.returncode == 0
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    assert lines["linux-x86_64"][:3] == ["yes", "~yes", "yes"]
    assert lines["raspberry-pi-4"][:3] == ["yes", "~yes", "~yes"]
    rows = {
        r["target"]: r
        for r in json.loads(edgekit("targets", "fit", "m.tflite", "--json", cwd=tmp_path).stdout)
    }
    assert rows["cortex-m4"]["verdict"] == "fits"
    assert rows["linux-x86_64"]["runtimes"][0]["reason"].endswith("ran it once on zeros")
    assert not list(tmp_path.glob(".edgekit*"))


def test_fit_without_running_judges_by_tables(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(BUILT["int8"])
    done = edgekit("targets", "fit", "m.tflite", "--no-run", cwd=tmp_path)
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    assert lines["linux-x86_64"][:3] == ["yes", "~yes", "~yes"]
    assert lines["cortex-m4"][0] == "?"
    assert edgekit("targets", "list", "--no-run", cwd=tmp_path).returncode == 2


def test_refusal_of_a_runtime_does_not_fit_whatever_the_tables_say(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(BUILT["int8"])
    found = inspect(path)
    trial = FitTrial("refused", "2.3.0", "no reason at all")
    rows = {r.target: r for r in fits(found, FitTrials({"litert": trial}))}
    assert rows["linux-x86_64"].verdict == "fits in part"
    assert "litert 2.3.0 refuses it: no reason at all" in rows["linux-x86_64"].runtimes[0].reason
    # What another release did proves nothing of this one.
    other = fits(found, FitTrials({"litert": replace(trial, version="1.0.1")}))
    assert verdicts(other)["linux-x86_64"] == "fits"


def test_runtime_that_crashes_refuses(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    # Without its inputs the kernel reads what is not there.
    path.write_bytes(one(N("TFLite_Detection_PostProcess", ["x"], ["y"]), T("x", [1]), T("y", [1])))
    trial = load(path, "litert")
    assert trial.outcome == "refused"
    assert "SIGSEGV" in trial.reason


def compiled(*words: int) -> bytes:
    stream = b"COP1" + np.array(words, "<u4").tobytes()
    tensors = [
        T("x", [1, 4], "INT8", scale=[0.5]),
        T("y", [1, 4], "INT8", scale=[0.5]),
        T("stream", [len(stream)], "UINT8", np.frombuffer(stream, "u1")),
        T("scratch", [64], "UINT8"),
    ]
    return one(N("ethos-u", ["stream", "scratch", "x"], ["y"]), *tensors)


@pytest.mark.parametrize(
    ("config", "target"),
    [
        (0x1807, "cortex-m55-ethos-u55-128"),
        (0x3008, "cortex-m55-ethos-u55-256"),
        (0x10003008, "ethos-u65-256"),
        (0x20000118, "cortex-m85-ethos-u85-256"),
        (0x1006, None),
    ],
)
def test_compiled_file_fits_what_it_was_compiled_for_and_nothing_else(
    tmp_path: Path, config: int, target: str | None
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(compiled(0x100001, config))
    found = verdicts(fits(inspect(path)))
    assert {name for name, verdict in found.items() if verdict == "fits"} == {target} - {None}
    assert set(found.values()) <= {"fits", "does not fit"}


def test_program_of_an_unknown_configuration_is_not_known_to_fit(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(compiled(0x100001, 0x70000001))
    found = verdicts(fits(inspect(path)))
    assert found["cortex-m55-ethos-u55-128"] == "not known"
    assert found["linux-x86_64"] == found["coral-dev-board"] == "does not fit"


def test_edge_tpu_program_fits_the_edge_tpu_only(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(
        one(
            N("edgetpu-custom-op", ["x"], ["y"]),
            T("x", [1, 4], "INT8", scale=[0.5]),
            T("y", [1, 4], "INT8", scale=[0.5]),
        )
    )
    found = verdicts(fits(inspect(path)))
    assert {name for name, verdict in found.items() if verdict == "fits"} == {
        "coral-dev-board",
        "coral-usb-accelerator",
    }


RELU = N("RELU", ["x"], ["y"], 2)


@pytest.mark.parametrize(
    ("shape", "free", "dtype", "reason"),
    [
        ([1, 1, 1, 3], [1, -1, -1, 3], "INT8", "fixed sizes only"),
        ([1, 8, 8, 3], [-1, 8, 8, 3], "INT8", "fixed sizes only"),
        ([1, 8, 8, 3], [], "INT16", "computes in int16"),
        ([8, 8, 8, 3], [], "INT8", "whose outer ones are 1"),
        ([1, 8, 8, 3], [], "INT8", ""),
    ],
)
def test_edge_tpu_takes_no_free_sizes_no_int16_and_one_item(
    tmp_path: Path, shape: list[int], free: list[int], dtype: str, reason: str
) -> None:
    path = tmp_path / "m.tflite"
    ends = [T(name, shape, dtype, scale=[0.5], free=free) for name in ("x", "y")]
    path.write_bytes(one(RELU, *ends))
    (row,) = [row for row in fits(inspect(path)) if row.target == "coral-dev-board"]
    assert row.verdict == ("does not fit" if reason else "fits")
    assert reason in row.runtimes[0].reason


def test_file_that_only_converts_is_left_to_the_compiler(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(
        one(
            N("QUANTIZE", ["x"], ["y"], 2),
            T("x", [1, 4], "INT16", scale=[0.5]),
            T("y", [1, 4], "INT8", scale=[0.5]),
        )
    )
    found = {row.target: row for row in fits(inspect(path))}["ethos-u65-256"]
    assert (found.verdict, found.how) == ("not known", "unavailable")
    assert "only its compiler says" in found.runtimes[0].reason


def test_operators_that_tflm_lacks_are_named_once_each(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    names = ["x", *(f"t{at}" for at in range(45)), "y"]
    nodes = [N("Sinh", [a], [b]) for a, b in itertools.pairwise(names)]
    path.write_bytes(build(G([T(n, [1]) for n in names], nodes, ["x"], ["y"])))
    (row,) = [row for row in fits(inspect(path)) if row.target == "cortex-m4"]
    assert row.runtimes[0].reason == "TFLM does not have Sinh (t0) and 45 more"
