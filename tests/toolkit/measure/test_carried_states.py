"""States that are inputs and outputs: carried on in streams, zeros at the start, on every runtime.

``leaking`` halves its state and adds ``x`` to it; ``y`` is twice the state.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tflite_files import G, N, T, build, leaking

from conftest import BRIEF_BENCH, answer

QUICK = ("--worst", 0, "--metric", "mae", "--json")
STARTS = {"stream": (0,), "clips": (0, 3), "apart": range(6)}


def states(x: npt.NDArray[Any], starts: Any) -> npt.NDArray[Any]:
    """The state after each item."""
    state, found = np.zeros(2, np.float32), []
    for at, item in enumerate(x):
        state = item + (0 if at in starts else state / 2)
        found.append(state)
    return np.array(found, np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in float and int8, and items that they answer rightly in each way."""
    folder = tmp_path_factory.mktemp("states")
    (folder / "leaking.tflite").write_bytes(leaking())
    (folder / "int8.tflite").write_bytes(leaking(quantized=True))
    renamed = [T("in", [1, 2]), T("in_2", [3, 1, 2]), T("out", [1, 2]), T("out_2", [3, 1, 2])]
    renamed.append(T("axis", [1], "INT32", np.zeros(1, np.int32)))
    nodes = [
        N("ADD", ["in_2", "in"], ["out_2"], options={"kind": "AddOptions"}),
        N("SUM", ["out_2", "axis"], ["out"], options={"kind": "ReducerOptions"}),
    ]
    renamed_content = build(G(renamed, nodes, ["in", "in_2"], ["out", "out_2"]))
    (folder / "named.tflite").write_bytes(renamed_content)
    # Quarters whose halves an int8 state of steps of 0.25 holds for six items.
    x = np.array([[8, -4], [4, 0], [0, 6], [-4, 2], [0, -8], [2, 4]], np.float32)
    for name, starts in STARTS.items():
        y = 2 * states(x, starts)
        beside = {"clip": np.repeat([7, 3], 3)} if name == "clips" else {}
        np.savez(folder / f"{name}.npz", x=x, y=y, **beside)
    given = np.array([[0, 2], [4, 4], [-2, 0], [6, 8], [0, 0], [2, -2]], np.float32)
    np.savez(folder / "given.npz", x=x, state_in=given, y=2 * (x + given / 2))
    return folder


def error_of(folder: Path, model: str, data: str, *more: object) -> float:
    """The mean absolute error that evaluate finds."""
    asked = ("evaluate", f"{model}.tflite", "--data", f"{data}.npz", *QUICK, *more)
    found = answer(*asked, cwd=folder)
    assert found.returncode == 0, found.stderr
    return float(json.loads(found.stdout)["models"][0]["metric"]["value"])


@pytest.mark.parametrize(
    "device", ["local", "local:tflite-runtime", "local:compiled-model", "tflm"]
)
@pytest.mark.parametrize("model", ["leaking", "int8"])
def test_a_state_is_carried_on_where_a_stream_is_asked_for(
    folder: Path, model: str, device: str
) -> None:
    # Of int8 each of three roundings may be a step off.
    close = 0.0 if model == "leaking" else 0.5
    assert error_of(folder, model, "stream", "--stream", "--device", device) <= close


@pytest.mark.parametrize(
    ("data", "options"), [("apart", ()), ("clips", ("--stream-by", "clip"))], ids=str
)
def test_a_state_begins_at_zeros_with_every_item_or_stream(
    folder: Path, data: str, options: tuple[object, ...]
) -> None:
    assert error_of(folder, "leaking", data, *options) == 0.0


@pytest.mark.parametrize(("data", "options"), [("stream", ()), ("apart", ("--stream",))])
def test_the_other_way_is_wrong(folder: Path, data: str, options: tuple[object, ...]) -> None:
    assert error_of(folder, "leaking", data, *options) > 1.0


def test_states_that_the_data_holds_are_fed_unless_a_stream_carries_them_on(folder: Path) -> None:
    assert error_of(folder, "leaking", "given") == 0.0
    found = dict(np.load(folder / "given.npz"))
    x = found["x"]
    np.savez(folder / "both.npz", **{**found, "y": 2 * states(x, (0,))})
    assert error_of(folder, "leaking", "both", "--stream") == 0.0


def test_a_state_without_a_telling_name_is_named(folder: Path) -> None:
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.savez(folder / "plain.npz", **{"in": x, "y": 3 * np.cumsum(x, 0)})
    asked = ("evaluate", "named.tflite", "--data", "plain.npz", *QUICK)
    refused = answer(*asked, cwd=folder)
    assert refused.returncode == 2
    assert "--state in_2=out_2" in refused.stderr
    (folder / "edgekit.toml").write_text(
        'schema = 1\n[model]\nsource = "named.tflite"\n[data]\nevaluate = "plain.npz"\n'
        '[evaluate]\nmetric = "mae"\nstream = true\nstate = { in_2 = "out_2" }\n'
    )
    found = answer("evaluate", "--worst", 0, "--json", cwd=folder)
    (folder / "edgekit.toml").unlink()
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    assert told["models"][0]["metric"]["value"] == 0.0
    assert any("it is named so" in advice["message"] for advice in told["advice"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--state", "x=state_out"), "every input"),
        (("--state", "state=state_out"), "unknown input"),
        (("--state", "state_in=y2"), "unknown output"),
        (("--state", "state_in"), "IN=OUT"),
    ],
    ids=str,
)
def test_a_wrong_pair_is_refused(folder: Path, given: tuple[str, ...], words: str) -> None:
    more = given if words != "every input" else (*given, "--state", "state_in=y")
    refused = answer("evaluate", "leaking.tflite", "--data", "apart.npz", *QUICK, *more, cwd=folder)
    assert refused.returncode == 2
    assert words in refused.stderr


def test_no_state_at_all_may_be_stated(folder: Path) -> None:
    found = answer(
        "evaluate",
        "leaking.tflite",
        "--data",
        "given.npz",
        *QUICK,
        "--state",
        "none",
        "--metric-output",
        "y",
        cwd=folder,
    )
    assert found.returncode == 0, found.stderr
    assert "EK-NOTE-076" not in found.stdout


def test_the_native_runner_takes_items_apart_and_refuses_a_stream(folder: Path) -> None:
    assert error_of(folder, "leaking", "apart", "--device", "local:native") == 0.0
    refused = answer(
        "evaluate",
        "leaking.tflite",
        "--data",
        "stream.npz",
        *QUICK,
        "--stream",
        "--device",
        "local:native",
        cwd=folder,
    )
    assert refused.returncode == 5
    assert "carries no state" in refused.stderr


def test_bench_and_compare_need_no_items_for_a_state(folder: Path) -> None:
    timed = answer("bench", "int8.tflite", *BRIEF_BENCH, cwd=folder)
    assert timed.returncode == 0, timed.stderr
    compared = answer(
        "compare",
        "leaking.tflite",
        "int8.tflite",
        "--data",
        "stream.npz",
        "--stream",
        "--layers",
        "--no-latency",
        "--json",
        cwd=folder,
    )
    found = json.loads(compared.stdout)
    assert found["contrasts"][0]["parity"]["y"]["max_abs_error"]["value"] <= 1.0
    assert found["contrasts"][0]["layers"] is not None
