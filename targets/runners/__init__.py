"""What runs on a device: self-contained files that import nothing of edgekit."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent

# One row per runtime: the file that runs it. A new runtime is a row and a file.
RUNNER_FILES = {
    "litert": FOLDER / "python_runner.py",
    "tflite-runtime": FOLDER / "python_runner.py",
    "tensorflow": FOLDER / "tensorflow_runner.py",
}
