"""Sounds in the Linux apps: a .wav gives the features that the host makes of its samples."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tflite_files import build, doubling

from edgekit.data import signals
from edgekit.targets import catalog
from edgekit.targets.bundles import Contents, Golden, pack
from edgekit.types import Preprocess, Signal, TensorSpec

SIGNAL = Signal(8000, 256, 128, 256, 10, 20.0, 4000.0, coefficients=8)
SAMPLES = 768
Classify = Callable[[Path], "subprocess.CompletedProcess[str]"]


def sound(path: Path, samples: np.ndarray, rate: int = 8000, width: int = 2) -> Path:
    """A .wav of int16 samples ``[n]`` or ``[n, channels]``."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def chirps(count: int) -> np.ndarray:
    """Samples of ``count`` items and half of another, int16."""
    time = np.arange(count * SAMPLES + SAMPLES // 2) / 8000
    noise = np.random.default_rng(3).normal(0, 300, time.size)
    return np.rint(9000 * np.sin(2 * np.pi * (300 + 4000 * time) * time) + noise).astype(np.int16)


def unpacked(folder: Path, kind: str, signal: Signal | None = SIGNAL) -> Path:
    """The bundle of a model that doubles features."""
    model = folder / "model.tflite"
    model.write_bytes(build(doubling((1, 5, 8))))
    features = signals.features(chirps(3)[: 3 * SAMPLES].reshape(3, SAMPLES), SIGNAL)
    contents = Contents(
        name="tones",
        version="1",
        model=model,
        precision="float32",
        inputs=(TensorSpec("x", (1, 5, 8), "float32"),),
        outputs=(TensorSpec("y", (1, 5, 8), "float32"),),
        preprocess=Preprocess(signal=signal),
        labels=(),
        golden=Golden({"x": features}, {"y": 2 * features}, {"y": 1e-5}),
        measurements={},
        tools={},
    )
    packed = pack(catalog.load("linux-x86_64"), contents, folder / f"{kind}.tar.gz", kind)
    with tarfile.open(packed.path) as archive:
        archive.extractall(folder / kind)  # noqa: S202  (our own)
    (root,) = (folder / kind).iterdir()
    return root


def called(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def in_python(tmp_path: Path) -> Classify:
    root = unpacked(tmp_path, "linux-python")
    return lambda path: called(sys.executable, root / "app.py", "classify", path, "--top", "40")


@pytest.fixture
def in_c(tmp_path: Path) -> Classify:
    for program in ("cmake", "gcc"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    root = unpacked(tmp_path, "linux-c")
    build = root / "build"
    for command in (("-S", root, "-B", build), ("--build", build)):
        done = called("cmake", *command)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr + done.stdout
    found = importlib.util.find_spec("ai_edge_litert")
    assert found is not None
    assert found.origin is not None
    library = str(Path(found.origin).with_name("libLiteRt.so"))
    app = build / "model_app"
    checked = called(app, "selftest", EDGEKIT_LITERT=library)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return lambda path: called(app, "classify", path, "40", EDGEKIT_LITERT=library)


def scores(text: str) -> np.ndarray:
    """The scores of every item, in the order of the classes."""
    lines = [line for line in text.splitlines() if line.startswith("item ")]
    found = np.zeros((len(lines), 40))
    for item, line in enumerate(lines):
        for pair in line.partition(":")[2].split(","):
            number, score = pair.split()
            found[item, int(number)] = float(score)
    return found


def check(classify: Classify, folder: Path) -> None:
    """Items of a sound are those of its samples, mono and stereo; what is no such sound is told."""
    samples = chirps(2)
    expected = 2 * signals.features(samples[: 2 * SAMPLES].reshape(2, SAMPLES), SIGNAL)
    done = classify(sound(folder / "mono.wav", samples))
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(scores(done.stdout), expected.reshape(2, 40), atol=2e-3)
    stereo = np.stack([samples + 500, samples - 500], axis=1)
    done = classify(sound(folder / "stereo.WAV", stereo))
    np.testing.assert_allclose(scores(done.stdout), expected.reshape(2, 40), atol=2e-3)
    # A chunk that players write, of an odd size, before the data.
    content = (folder / "mono.wav").read_bytes()
    (folder / "odd.wav").write_bytes(content[:36] + b"LIST\x03\0\0\0abc\0" + content[36:])
    done = classify(folder / "odd.wav")
    np.testing.assert_allclose(scores(done.stdout), expected.reshape(2, 40), atol=2e-3)
    (folder / "text.wav").write_text("no sound")
    for path, said in (
        (sound(folder / "fast.wav", samples, rate=16000), "16000"),
        (sound(folder / "short.wav", samples[:700]), "700 samples"),
        (sound(folder / "bytes.wav", samples, width=1), "16-bit"),
        (folder / "text.wav", "is not a .wav"),
    ):
        done = classify(path)
        assert done.returncode in (1, 2)
        assert said in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


def test_app_in_python_takes_sounds(in_python: Classify, tmp_path: Path) -> None:
    check(in_python, tmp_path)


@pytest.mark.slow
def test_app_in_c_takes_sounds(in_c: Classify, tmp_path: Path) -> None:
    check(in_c, tmp_path)


def test_a_model_without_features_says_so(tmp_path: Path) -> None:
    root = unpacked(tmp_path, "linux-python", signal=None)
    done = called(sys.executable, root / "app.py", "classify", sound(tmp_path / "a.wav", chirps(1)))
    assert done.returncode == 1
    assert "preprocess.signal" in done.stderr
