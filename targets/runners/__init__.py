"""What runs on a device: self-contained files that import nothing of edgekit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.plugins import Column, Table

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Runner:
    """The file that runs a runtime, and the distribution that carries the runtime.

    ``numpy_2_from`` is the distribution's first release that works with numpy 2; empty where none
    does. An earlier one is imported with numpy 2, then fails at the first model. A file of another
    package may ``import python_runner``.
    """

    file: Path
    distribution: str
    numpy_2_from: str = "0"


# One row per runtime: a new one is a row and a file.
OWN: Mapping[str, Runner] = {
    "litert": Runner(FOLDER / "python_runner.py", "ai-edge-litert", "1.1.1"),
    "tflite-runtime": Runner(FOLDER / "python_runner.py", "tflite-runtime", ""),
    "reference": Runner(FOLDER / "reference_runner.py", "ai-edge-litert", "1.1.1"),
    "compiled-model": Runner(FOLDER / "compiled_model_runner.py", "ai-edge-litert", "1.1.1"),
    "tensorflow": Runner(FOLDER / "tensorflow_runner.py", "tensorflow", "2.18"),
    "tflm": Runner(FOLDER / "tflm_runner.py", "tflite-micro"),
}

RUNNERS = Table("edgekit.runners", Runner, OWN, OWN.__getitem__)

RUNNER_FILES: Mapping[str, Path] = Column(RUNNERS, lambda runner: runner.file)
DISTRIBUTION: Mapping[str, str] = Column(RUNNERS, lambda runner: runner.distribution)
