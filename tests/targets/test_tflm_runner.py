"""TFLM on this host: the runner contract, its answers, its refusals, and the smallest arena."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from edgekit.contracts.runner import Bench, RunnerContract
from edgekit.targets.runners import RUNNER_FILES
from test_runner_contract import foreign_imports

needs_tflm = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro is not installed"
)


@needs_tflm
class TestTFLM(RunnerContract):
    """TensorFlow Lite for Microcontrollers."""

    runner_file = RUNNER_FILES["tflm"]
    runtime = "tflm"

    def test_evaluate_uses_the_batch_that_is_asked_for(self, bench: Bench) -> None:
        # TFLM plans its memory once, for the shapes of the file.
        result = bench.run(bench.request("evaluate", batch=4))
        assert result["models"]["doubler"]["batch"] == 1
