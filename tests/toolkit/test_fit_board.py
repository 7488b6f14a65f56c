"""The fit board: for every column a file that stands against a target, and the nearest fix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import flatfiles
import numpy as np
import pytest
from tflite_files import G, N, T, build, int8_dense

from conftest import answer
from edgekit.inspection import Cell, FitTrials, fits, inspect
from edgekit.inspection.cells import COLUMNS, FIRMWARE, percent
from edgekit.inspection.trial import FitTrial
from edgekit.targets import catalog

MANY = 300_000


def relu(shape: list[int], dtype: str = "FLOAT32", free: list[int] | None = None) -> bytes:
    scale = [0.5] if dtype != "FLOAT32" else []
    ends = [T(name, shape, dtype, scale=scale, free=free or []) for name in ("x", "y")]
    return build(G(ends, [N("RELU", ["x"], ["y"], 2)], ["x"], ["y"]))


def dense(count: int, dtype: str = "FLOAT32") -> bytes:
    """A dense layer of ``count`` weights from a thousand inputs."""
    rows = count // 1000
    held = np.ones((rows, 1000), {"FLOAT32": "f4", "INT8": "i1"}[dtype])
    scale = {"scale": [0.5]} if dtype == "INT8" else {}
    return build(
        G(
            [
                T("x", [1, 1000], dtype, **scale),
                T("w", [rows, 1000], dtype, held, **scale),
                T("y", [1, rows], dtype, **scale),
            ],
            [N("FULLY_CONNECTED", ["x", "w"], ["y"], 4)],
            ["x"],
            ["y"],
        )
    )


def custom(name: str) -> bytes:
    return build(G([T("x", [1, 4]), T("y", [1, 4])], [N(name, ["x"], ["y"])], ["x"], ["y"]))


NEWER = build(
    G(
        [
            T("x", [1, 4]),
            T("y", [1, 3]),
            T("w", [3, 4], "INT8", np.ones((3, 4), "i1"), scale=[0.1, 0.2, 0.3]),
        ],
        [N("FULLY_CONNECTED", ["x", "w"], ["y"], 12)],
        ["x"],
        ["y"],
    )
)
INT8 = build(int8_dense())


def board(folder: Path, content: bytes, trials: FitTrials | None = None) -> Mapping[str, Mapping]:  # type: ignore[type-arg]
    path = folder / "m.tflite"
    path.write_bytes(content)
    found = fits(inspect(path), trials or FitTrials())
    return {
        row.target: {"verdict": row.verdict, **{cell.column: cell for cell in row.cells}}
        for row in found
    }


@pytest.mark.parametrize(
    ("content", "target", "column", "reason", "fix"),
    [
        (custom("Sinh"), "cortex-m4", "operators", "TFLM does not have Sinh", "AddCustom"),
        (custom("Sinh"), "linux-aarch64", "operators", "no kernel for Sinh", "register Sinh"),
        (custom("Sinh"), "android-arm64", "operators", "no kernel for Sinh", "register Sinh"),
        (custom("FlexErf"), "ios-arm64", "operators", "no TensorFlow operators", "SELECT_TF_OPS"),
        (NEWER, "linux-armv7", "runtime", "is older than 2.17.0", "disable per-channel dense"),
        (INT8, "tf-serving", "runtime", "takes a SavedModel", "edgekit convert"),
        (dense(MANY), "nrf52840", "flash", "of 1 MiB flash", "int8: 1.14 MiB -> about 293 KiB"),
        (dense(4 * MANY, "INT8"), "nrf52840", "flash", "of 1 MiB flash", "--channels"),
        (relu([1, 256, 256]), "nrf52840", "memory", "512 KiB of 256 KiB RAM", "int8: 512 KiB"),
        (relu([1, 512, 512], "INT8"), "esp32", "memory", "of 160 KiB RAM", "--channels"),
        (flatfiles.dense("INT8"), "esp32", "precision", "float activations", "int8"),
        (
            relu([1, 8]),
            "cortex-m55-ethos-u55-128",
            "precision",
            "integers only",
            "--precision int8",
        ),
        (relu([1, 8], "INT16"), "coral-dev-board", "npu", "computes in int16", "--precision int8"),
        (relu([1, 8]), "coral-usb-accelerator", "npu", "integers only", "--precision int8"),
        (relu([1, 8]), "ethos-u65-256", "npu", "integers only", "--precision int8"),
        (INT8, "web-wasm", "io", "float32, int32, uint8, and 'x' is int8", "int8-float-io"),
        (INT8, "web-wasm", "precision", "no int8 tensors", "int8-float-io"),
        (relu([1, 8], free=[-1, 8]), "web-wasm", "io", "fixed sizes only", "every size fixed"),
        (
            relu([1, 8], "INT8", [-1, 8]),
            "coral-dev-board",
            "io",
            "fixed sizes only",
            "every size fixed",
        ),
    ],
)
def test_what_stands_against_a_target_is_red_with_the_nearest_fix(
    tmp_path: Path, content: bytes, target: str, column: str, reason: str, fix: str
) -> None:
    row = board(tmp_path, content)[target]
    cell: Cell = row[column]
    assert (row["verdict"], cell.verdict) == ("does not fit", "does not fit")
    assert reason in cell.reason
    assert fix in cell.fix


@pytest.mark.parametrize(
    ("content", "target"),
    [
        (dense(MANY), "esp32"),
        (relu([1, 256, 256]), "stm32h747"),
        (relu([1, 8], "INT8"), "coral-dev-board"),
        (NEWER, "android-arm64"),
        (NEWER, "ios-arm64"),
    ],
)
def test_same_file_is_not_red_where_nothing_stands_against_it(
    tmp_path: Path, content: bytes, target: str
) -> None:
    row = board(tmp_path, content)[target]
    assert row["verdict"] in ("fits", "not known")
    assert not [row[column] for column in COLUMNS if row[column].verdict == "does not fit"]


def test_file_that_a_browser_runs_is_not_red_there(tmp_path: Path) -> None:
    ends = {"x": {"dtype": "UINT8", "zero": [127]}, "y": {"dtype": "UINT8", "zero": [0]}}
    row = board(tmp_path, build(int8_dense(**ends)))["web-wasm"]
    assert not [row[column] for column in COLUMNS if row[column].verdict == "does not fit"]


def test_every_cell_says_how_it_is_known_and_why(tmp_path: Path) -> None:
    for row in board(tmp_path, INT8).values():
        cells = [row[column] for column in COLUMNS]
        assert all(cell.how in ("measured", "estimated", "unavailable") for cell in cells)
        assert all(cell.reason for cell in cells if cell.verdict != "fits")
        assert all(cell.fix or cell.how == "unavailable" for cell in cells if cell.value == "no")


def test_trials_decide_over_estimates(tmp_path: Path) -> None:
    arena = 200 << 10
    trials = FitTrials(
        {"tflm": FitTrial("ran", catalog.load("esp32").runtimes[0].version, arena=arena)},
        {"ethos-u55-128": FitTrial("ran", "5.2.0", "half", share=0.5, sram=4096.0, bytes=99)},
    )
    rows = board(tmp_path, INT8, trials)
    assert rows["esp32"]["memory"].verdict == "does not fit"
    assert "200 KiB of 160 KiB" in rows["esp32"]["memory"].reason
    assert rows["nrf52840"]["memory"].value == "78 %"
    assert rows["cortex-m55-ethos-u55-128"]["npu"].value == "50 %"
    # What another NPU's compiler said proves nothing of this one.
    assert rows["cortex-m55-ethos-u55-256"]["npu"].verdict == "not known"


def test_file_that_no_runtime_of_the_target_loads_does_not_fit(tmp_path: Path) -> None:
    refused = FitTrial("refused", "2.14.0", "no reason at all")
    rows = board(tmp_path, INT8, FitTrials({"tflite-runtime": refused}))
    assert rows["linux-armv7"]["verdict"] == "does not fit"
    assert "no reason at all" in rows["linux-armv7"]["runtime"].reason
    assert rows["linux-aarch64"]["verdict"] == "fits in part"
    assert rows["ios-arm64"]["verdict"] == "fits"


def test_firmware_needs_flash_beside_the_file(tmp_path: Path) -> None:
    limit = catalog.load("nrf52840").memory.most_flash or 0
    content = dense(limit - FIRMWARE // 2, "INT8")
    row = board(tmp_path, content)["nrf52840"]
    assert (row["verdict"], row["flash"].verdict) == ("not known", "not known")
    assert "82 kB beside it" in row["flash"].reason


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.001, "<1 %"),
        (0.999, "99 %"),
        (1.0, "100 %"),
        (1.001, ">100 %"),
        (3.2, "320 %"),
    ],
)
def test_share_is_never_rounded_over_its_limit(share: float, text: str) -> None:
    assert percent(share) == text


def test_board_fits_eighty_columns_and_json_has_every_cell(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(INT8)
    done = answer("targets", "fit", "--no-run", "m.tflite", cwd=tmp_path)
    rows = done.stdout.splitlines()[: len(catalog.names()) + 1]
    assert max(map(len, rows)) <= 80
    assert rows[0].split() == [
        "target",
        "fits",
        "operators",
        "runs",
        "flash",
        "RAM",
        "precision",
        "NPU",
        "I/O",
    ]
    assert all(len(line.split()) == 9 for line in rows[1:])
    told = json.loads(
        answer("targets", "fit", "--no-run", "--json", "m.tflite", cwd=tmp_path).stdout
    )
    assert {row["target"] for row in told} == set(catalog.names())
    assert all([cell["column"] for cell in row["cells"]] == list(COLUMNS) for row in told)
