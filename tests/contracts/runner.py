"""What every runner keeps to: requests and results as ``python_runner.py`` describes them.

The judged model is a doubler: it takes ``x``, float32 ``[1, 4]``, and gives ``y = x + x``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.targets.runners.probe import probe_model
from edgekit.types import ExpectedOutput, Preprocess, Request, RunnerModel

ITEMS = 7
SECONDS = 120.0
Floats = npt.NDArray[np.float32]


def typed(request: Mapping[str, Any]) -> Request:
    """Return a request that is written as runners read it as devices take it."""
    told = {name: value for name, value in request.items() if name != "schema"}
    for name in ("items", "streams"):
        if told.get(name) is not None:
            told[name] = tuple(told[name])
    if told.get("index") is not None:
        told["index"] = Path(told["index"])
    if told.get("golden") is not None:
        told["golden"] = {
            name: ExpectedOutput(Path(one["path"]), one["tolerance"])
            for name, one in told["golden"].items()
        }
    return Request(
        **{
            **told,
            "models": tuple(map(_typed_model, told["models"])),
            "inputs": {name: Path(path) for name, path in told.get("inputs", {}).items()},
            "preprocess": Preprocess(**told.get("preprocess", {})),
        }
    )


def _typed_model(entry: Mapping[str, Any]) -> RunnerModel:
    outputs, tensors = entry.get("outputs"), entry.get("tensors")
    return RunnerModel(
        entry["id"],
        Path(entry.get("path", "")),
        None if outputs is None else Path(outputs),
        None if tensors is None else tuple(tensors),
    )


class Bench:
    """One runner of one runtime in one folder: it asks, and reads what comes back."""

    def __init__(self, runner_file: Path, runtime: str, model: Path, folder: Path) -> None:
        self.runner_file, self.runtime, self.model, self.folder = (
            runner_file,
            runtime,
            model,
            folder,
        )
        # Quarters: sums and products of them are exact in float32.
        quarters = np.arange(ITEMS * 4).reshape(ITEMS, 4) / 4 - 3
        self.x: Floats = quarters.astype(np.float32)
        self.outputs = folder / "outputs"

    def save(self, name: str, array: npt.NDArray[Any]) -> str:
        """The path of an array as an ``.npy`` file."""
        path = self.folder / f"{name}.npy"
        np.save(path, array)
        return str(path)

    def request(self, mode: str, **changes: Any) -> dict[str, Any]:
        """A request on all items, with some fields changed."""
        entry = {"id": "doubler", "path": str(self.model), "outputs": str(self.outputs)}
        return {
            "schema": 1,
            "mode": mode,
            "runtime": self.runtime,
            "models": [entry],
            "inputs": {"x": self.save("x", self.x)},
            "preprocess": {"scale": 1.0, "offset": 0.0},
            "processes": 1,
            "batch": 1,
            **changes,
        }

    def asked(self, mode: str, **changes: Any) -> Request:
        """The same request, as devices take it."""
        return typed(self.request(mode, **changes))

    def golden(self, expected: Floats, tolerance: float = 1e-6) -> dict[str, Any]:
        """The ``golden`` field of a self-test."""
        return {"y": {"path": self.save("golden", expected), "tolerance": tolerance}}

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The result of one request; it is written whatever happened, and stdout stays clean."""
        asked, answered = self.folder / "request.json", self.folder / "result.json"
        asked.write_text(json.dumps(request))
        answered.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, str(self.runner_file), str(asked), str(answered)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert answered.exists(), done.stderr
        result: dict[str, Any] = json.loads(answered.read_text())
        assert (done.returncode == 0) == ("error" not in result), (done.returncode, result)
        assert "Traceback" not in done.stderr, done.stderr
        return result

    def answers(self, request: Mapping[str, Any]) -> Floats:
        """The output ``y`` of a request that must succeed."""
        result = self.run(request)
        assert "error" not in result, result
        written = [path.name for path in self.outputs.glob("*.npy")]
        assert written == ["y.npy"]
        answers: Floats = np.load(self.outputs / "y.npy")
        return answers

    def error(self, request: Mapping[str, Any]) -> dict[str, str]:
        """The error of a request that must fail."""
        error: dict[str, str] = self.run(request)["error"]
        assert set(error) == {"kind", "message"}
        return error

    def serve(self, *lines: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The answers to lines sent to a runner that stays alive; it ends with its input."""
        done = subprocess.run(
            [sys.executable, str(self.runner_file), "--serve"],
            input="".join(json.dumps(line) + "\n" for line in lines),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


class RunnerContract:
    """Subclass it with ``runner_file`` and ``runtime`` as attributes.

    Override ``doubler`` where the runtime takes another kind of model, and ``delegates`` where it
    has a choice of them, the default first.
    """

    runner_file: Path
    runtime: str
    delegates: ClassVar[tuple[str, ...]] = ("none",)

    @pytest.fixture
    def doubler(self, tmp_path: Path) -> Path:
        """The judged model as this runtime takes it; a ``.tflite`` file unless overridden."""
        path = tmp_path / "doubler.tflite"
        path.write_bytes(probe_model())
        return path

    @pytest.fixture
    def bench(self, doubler: Path, tmp_path: Path) -> Bench:
        return Bench(self.runner_file, self.runtime, doubler, tmp_path)

    def test_evaluate_writes_one_float32_file_per_output(self, bench: Bench) -> None:
        answers = bench.answers(bench.request("evaluate"))
        assert answers.dtype == np.float32
        assert np.array_equal(answers, 2 * bench.x)

    def test_evaluate_reports_its_runtime_phases_and_memory(self, bench: Bench) -> None:
        result = bench.run(bench.request("evaluate"))
        model = result["models"]["doubler"]
        assert result["schema"] == 1
        assert result["runtime"] == bench.runtime
        assert result["version"]
        assert (result["delegate"], result["threads"]) == (self.delegates[0], 1)
        assert "running" not in result
        assert model["items"] == ITEMS
        assert min(model["load_ns"], model["first_ns"]) > 0
        assert {"baseline_bytes", "peak_bytes", "anonymous_bytes"} <= set(model["memory"])
        assert {"system", "machine", "python"} <= set(result["device"])

    def test_evaluate_answers_with_every_delegate(self, bench: Bench) -> None:
        for delegate in self.delegates:
            result = bench.run(bench.request("evaluate", delegate=delegate))
            assert result["delegate"] == delegate
            assert np.array_equal(np.load(bench.outputs / "y.npy"), 2 * bench.x)

    def test_a_delegate_it_does_not_have_is_an_error_that_names_it(self, bench: Bench) -> None:
        error = bench.error(bench.request("evaluate", delegate="nonsense"))
        assert error["kind"] == "failed"
        for word in ("nonsense", self.runtime, *self.delegates):
            assert word in error["message"]

    @pytest.mark.parametrize("threads", ["many", -1])
    def test_threads_that_are_no_number_are_an_error_that_names_them(
        self, bench: Bench, threads: object
    ) -> None:
        error = bench.error(bench.request("evaluate", threads=threads))
        assert f"threads {threads!r}" in error["message"]

    def test_evaluate_chooses_its_threads_when_asked_to(self, bench: Bench) -> None:
        result = bench.run(bench.request("evaluate", threads="auto"))
        assert result["models"]["doubler"]["threads"] >= 1
        assert np.array_equal(np.load(bench.outputs / "y.npy"), 2 * bench.x)

    def test_evaluate_takes_the_items_of_the_index_in_its_order(self, bench: Bench) -> None:
        index = np.array([5, 0, 3])
        answers = bench.answers(bench.request("evaluate", index=bench.save("index", index)))
        assert np.array_equal(answers, 2 * bench.x[index])

    def test_evaluate_takes_a_range_of_the_index(self, bench: Bench) -> None:
        index = np.array([6, 5, 4, 3, 2])
        asked = bench.request("evaluate", index=bench.save("index", index), items=[1, 3])
        assert np.array_equal(bench.answers(asked)[1:3], 2 * bench.x[[5, 4]])
        assert bench.run(asked)["models"]["doubler"]["items"] == 2

    def test_evaluate_scales_and_offsets_raw_items(self, bench: Bench) -> None:
        asked = bench.request("evaluate", preprocess={"scale": 0.5, "offset": 2.0})
        assert np.array_equal(bench.answers(asked), bench.x + 4)

    def test_evaluate_takes_integers_as_raw_items(self, bench: Bench) -> None:
        pixels = np.arange(ITEMS * 4, dtype=np.uint8).reshape(ITEMS, 4) * 9
        inputs = {"x": bench.save("pixels", pixels)}
        asked = bench.request("evaluate", inputs=inputs, preprocess={"scale": 0.25, "offset": -1.0})
        assert np.array_equal(bench.answers(asked), 2 * (pixels.astype(np.float32) / 4 - 1))

    @pytest.mark.parametrize("batch", ["auto", 4])
    def test_evaluate_answers_alike_at_any_batch(self, bench: Bench, batch: object) -> None:
        assert np.array_equal(bench.answers(bench.request("evaluate", batch=batch)), 2 * bench.x)

    def test_evaluate_uses_the_batch_that_is_asked_for(self, bench: Bench) -> None:
        result = bench.run(bench.request("evaluate", batch=4))
        assert result["models"]["doubler"]["batch"] == 4

    def test_evaluate_gives_the_same_bytes_with_two_processes(self, bench: Bench) -> None:
        bench.answers(bench.request("evaluate", processes=1))
        alone = (bench.outputs / "y.npy").read_bytes()
        result = bench.run(bench.request("evaluate", processes=2))
        assert result["models"]["doubler"]["processes"] == 2
        assert (bench.outputs / "y.npy").read_bytes() == alone

    def test_evaluate_takes_items_of_the_whole_input(self, bench: Bench) -> None:
        # [1, 4] is the input with its batch of 1: an item may as well be all of it.
        whole = {"x": bench.save("whole", bench.x[:, None])}
        answers = bench.answers(bench.request("evaluate", inputs=whole))
        assert np.array_equal(answers, 2 * bench.x)

    def test_evaluate_carries_a_stream_on_item_by_item(self, bench: Bench) -> None:
        asked = bench.request("evaluate", streams=[0, 3], batch="auto", processes="auto")
        result = bench.run({**asked, "reset_state": True})["models"]["doubler"]
        assert (result["batch"], result["processes"]) == (1, 1)
        assert np.array_equal(np.load(bench.outputs / "y.npy"), 2 * bench.x)

    @pytest.mark.parametrize("streams", [[], [1], [0, 3, 3], [0, "3"]], ids=str)
    def test_streams_that_are_no_positions_in_order_are_an_error(
        self, bench: Bench, streams: object
    ) -> None:
        assert "streams" in bench.error(bench.request("evaluate", streams=streams))["message"]

    def test_a_stream_in_batches_is_an_error(self, bench: Bench) -> None:
        error = bench.error(bench.request("evaluate", streams=[0], batch=4))
        assert "item by item" in error["message"]

    def test_a_signature_that_the_model_does_not_have_is_an_error_that_names_it(
        self, bench: Bench
    ) -> None:
        error = bench.error(bench.request("evaluate", signature="nonsense"))
        assert "'nonsense'" in error["message"]

    def test_selftest_passes_on_the_right_golden_outputs(self, bench: Bench) -> None:
        result = bench.run(bench.request("selftest", golden=bench.golden(2 * bench.x)))
        model = result["models"]["doubler"]
        assert (model["passed"], model["items"], model["differences"]) == (True, ITEMS, {"y": 0.0})

    def test_selftest_fails_when_one_golden_value_is_changed(self, bench: Bench) -> None:
        expected = 2 * bench.x
        expected[ITEMS - 1, 3] += 0.25
        result = bench.run(bench.request("selftest", golden=bench.golden(expected)))
        model = result["models"]["doubler"]
        assert (model["passed"], model["differences"]) == (False, {"y": 0.25})

    def test_selftest_passes_when_the_difference_is_within_its_tolerance(
        self, bench: Bench
    ) -> None:
        golden = bench.golden(2 * bench.x + np.float32(0.25), 0.25)
        result = bench.run(bench.request("selftest", golden=golden))
        assert result["models"]["doubler"]["passed"] is True

    @pytest.mark.parametrize("where", ["input", "golden"])
    def test_selftest_fails_when_a_value_is_nan(self, bench: Bench, where: str) -> None:
        expected = 2 * bench.x
        (bench.x if where == "input" else expected)[2, 1] = np.nan
        result = bench.run(bench.request("selftest", golden=bench.golden(expected)))
        assert result["models"]["doubler"]["passed"] is False

    @pytest.mark.parametrize("golden", ["none", "other name", "other shape"])
    def test_selftest_is_an_error_when_nothing_can_be_compared(
        self, bench: Bench, golden: str
    ) -> None:
        given: dict[str, Any] = {
            "none": {},
            "other name": {"z": bench.golden(2 * bench.x)["y"]},
            "other shape": bench.golden(bench.x[:3]),
        }[golden]
        assert bench.error(bench.request("selftest", golden=given))["kind"] == "failed"

    def test_bench_returns_nanoseconds_in_blocks(self, bench: Bench) -> None:
        stop = {"blocks": 3, "seconds": 0.0, "runs": 4}
        warmup = {"seconds": 0.0, "runs": 1}
        result = bench.run(bench.request("bench", stop=stop, warmup=warmup))
        blocks = result["models"]["doubler"]["blocks_ns"]
        assert result["models"]["doubler"]["batch"] == 1
        assert [len(block) for block in blocks] == [4, 4, 4]
        assert all(isinstance(ns, int) and ns > 0 for block in blocks for ns in block)

    def test_bench_times_several_models_in_turn(self, bench: Bench) -> None:
        models = [{"id": name, "path": str(bench.model)} for name in ("first", "second")]
        stop = {"blocks": 2, "seconds": 0.0, "runs": 2}
        asked = bench.request("bench", models=models, stop=stop, warmup={"seconds": 0, "runs": 1})
        result = bench.run(asked)["models"]
        assert {name: len(model["blocks_ns"]) for name, model in result.items()} == {
            "first": 2,
            "second": 2,
        }

    def test_serve_answers_a_bench_request_then_its_blocks(self, bench: Bench) -> None:
        block = {"model": "doubler", "seconds": 0.0, "runs": 3}
        opened, *blocks = bench.serve(bench.request("bench"), block, block)
        assert opened["runtime"] == bench.runtime
        assert (opened["delegate"], opened["threads"]) == (self.delegates[0], 1)
        assert opened["models"]["doubler"]["first_ns"] > 0
        assert [len(answer["ns"]) for answer in blocks] == [3, 3]

    def test_serve_times_for_as_long_as_it_is_asked(self, bench: Bench) -> None:
        block = {"model": "doubler", "seconds": 0.05, "runs": 1}
        _, answer = bench.serve(bench.request("bench"), block)
        assert len(answer["ns"]) > 1
        assert sum(answer["ns"]) <= 0.1e9

    def test_serve_answers_an_error_and_goes_on_when_a_block_is_wrong(self, bench: Bench) -> None:
        block = {"model": "doubler", "seconds": 0.0, "runs": 1}
        early, opened, wrong, right = bench.serve(
            block, bench.request("bench"), {**block, "model": "unknown"}, block
        )
        assert early["error"]["kind"] == wrong["error"]["kind"] == "failed"
        assert "unknown" in wrong["error"]["message"]
        assert "error" not in opened
        assert len(right["ns"]) == 1

    def test_serve_answers_an_error_when_the_model_is_missing(self, bench: Bench) -> None:
        bench.model = bench.folder / "missing"
        (answer,) = bench.serve(bench.request("bench"))
        assert answer["error"]["kind"] == "failed"

    def test_unknown_input_names_are_an_error_that_names_both(self, bench: Bench) -> None:
        error = bench.error(bench.request("evaluate", inputs={"image": bench.save("x", bench.x)}))
        assert error["kind"] == "failed"
        assert "'x'" in error["message"]
        assert "'image'" in error["message"]

    def test_missing_inputs_are_an_error(self, bench: Bench) -> None:
        assert bench.error(bench.request("evaluate", inputs={}))["kind"] == "failed"

    def test_items_of_another_shape_are_an_error(self, bench: Bench) -> None:
        inputs = {"x": bench.save("wide", np.zeros((ITEMS, 5), np.float32))}
        assert bench.error(bench.request("evaluate", inputs=inputs))["message"]

    def test_a_missing_model_is_an_error(self, bench: Bench) -> None:
        bench.model = bench.folder / "missing"
        assert bench.error(bench.request("evaluate"))["kind"] == "failed"

    def test_a_damaged_model_is_an_error(self, bench: Bench) -> None:
        bench.model = bench.folder / "damaged"
        bench.model.write_bytes(b"\x1c\x00\x00\x00TFL3" + b"\x00" * 64)
        assert bench.error(bench.request("evaluate"))["kind"] == "failed"

    @pytest.mark.parametrize("field", ["mode", "runtime"])
    def test_an_unknown_mode_or_runtime_is_an_error_that_names_it(
        self, bench: Bench, field: str
    ) -> None:
        error = bench.error({**bench.request("evaluate"), field: "nonsense"})
        assert field in error["message"]
        assert "nonsense" in error["message"]

    @pytest.mark.parametrize("changes", [{}, {"batch": 4}], ids=str)
    def test_an_error_says_which_item_was_running(
        self, bench: Bench, changes: dict[str, Any]
    ) -> None:
        index = bench.save("index", np.array([0, 1, 2, 99, 3]))
        result = bench.run(bench.request("evaluate", index=index, **changes))
        assert result["running"] == {"model": "doubler", "items": [3, 4]}

    def test_evaluate_records_its_progress_by_the_block(self, bench: Bench) -> None:
        result = bench.run(bench.request("evaluate", block=2))
        assert result["models"]["doubler"]["block"] == 2
        (record,) = bench.outputs.glob("progress-*.json")
        assert json.loads(record.read_text())["items"] == [ITEMS - 1, ITEMS]
