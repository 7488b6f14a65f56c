"""Samples become features: on the host, in a bundle's app, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from tflite_files import build, doubling

from conftest import answer
from edgekit.data import signals
from edgekit.types import Signal

SIGNAL = Signal(8000, 256, 128, 256, 10, 20.0, 4000.0, coefficients=8)
TABLE = "signal = { rate = 8000, window = 256, stride = 128, mels = 10, mfcc = 8 }"


def tones(count: int = 6, samples: int = 768) -> np.ndarray:
    """Tones of several pitches with noise, float32 in -1..1."""
    time = np.arange(samples) / 8000
    pitches = np.linspace(200, 2000, count)[:, None]
    noise = np.random.default_rng(2).normal(0, 0.01, (count, samples))
    return (0.5 * np.sin(2 * np.pi * pitches * time) + noise).astype(np.float32)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A model that doubles the features of samples, as a project."""
    (tmp_path / "model.tflite").write_bytes(build(doubling((1, 5, 8))))
    features = signals.features(tones(20), SIGNAL)
    np.savez(tmp_path / "data.npz", x=tones(20), y=2 * features)
    lines = ("schema = 1", "[model]", 'source = "model.tflite"', 'name = "tones"', "[data]")
    lines += ('evaluate = "data.npz"', "[data.preprocess]", TABLE, "[evaluate]", 'metric = "mse"')
    (tmp_path / "edgekit.toml").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_frames_are_whole_windows_and_bands_of_a_tone_peak_where_it_is() -> None:
    bands = signals.features(tones(), Signal(8000, 256, 128, 512, 20, 0.0, 4000.0))
    assert bands.shape == (6, 5, 20)
    # The band whose centre is nearest to 2000 Hz on HTK's scale, computed by hand: 1521 / 102.2.
    assert bands[5].argmax(axis=1).tolist() == [14] * 5
    assert (np.diff(bands.mean(axis=1).argmax(axis=1)) > 0).all()


def test_samples_of_16_bits_stand_for_less_than_1() -> None:
    whole = np.rint(tones() * 32767).astype(np.int16)
    halves = signals.features((whole / 32768).astype(np.float32), SIGNAL)
    np.testing.assert_allclose(signals.features(whole, SIGNAL), halves, atol=1e-4)


def test_evaluation_takes_samples_as_the_project_says(project: Path) -> None:
    done = answer("evaluate", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    assert '"value": 0.0' in done.stdout


@pytest.mark.slow
def test_bundle_turns_samples_into_features_as_the_host_did(project: Path) -> None:
    done = answer("convert", "--target", "linux-x86_64", "--precision", "float32", cwd=project)
    assert done.returncode == 0, done.stderr
    (bundle,) = (project / "dist").glob("*.tar.gz")
    with tarfile.open(bundle) as archive:
        archive.extractall(project / "unpacked", filter="data")
    (root,) = (project / "unpacked").iterdir()
    assert json.loads((root / "manifest.json").read_text())["preprocess"]["signal"] == asdict(
        SIGNAL
    )
    assert answer("verify", bundle, cwd=project).returncode == 0
    np.save(project / "samples.npy", tones())
    script = (
        "import app, numpy; items = app.read_items('../../samples.npy', [5, 8]);"
        "numpy.save('items.npy', items)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True)
    expected = signals.features(tones(), SIGNAL)
    np.testing.assert_allclose(np.load(root / "items.npy"), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TABLE.replace("window = 256", "window = 900"), "has 768 samples an item"),
        (TABLE.replace("mfcc = 8", "mfcc = 11"), "at most as many MFCC as mel bands"),
        (TABLE.replace("mfcc = 8", "fft = 300"), "a power of two, at least the window"),
        (TABLE.replace("mfcc = 8", "high = 5000.0"), "between 0 and half of the rate"),
        (TABLE.replace("mfcc = 8", "power = 3"), "power is 1 or 2"),
        (TABLE.replace("mfcc = 8", "floor = 0.0"), "floor is above 0"),
        (TABLE.replace("stride = 128", "stride = 0"), "are at least 1"),
        (f"{TABLE}\nresize = [8, 8]", "'signal' is for samples, 'resize' for pictures"),
        (TABLE.replace("mfcc", "mfc"), "did you mean 'mfcc'"),
        ("signal = 3", "data.preprocess.signal"),
    ],
)
def test_what_cannot_be_is_refused_in_plain_words(project: Path, table: str, said: str) -> None:
    file = project / "edgekit.toml"
    file.write_text(file.read_text().replace(TABLE, table))
    done = answer("evaluate", cwd=project)
    assert done.returncode == 2
    assert said in done.stderr


def test_features_instead_of_samples_are_refused(project: Path) -> None:
    np.savez(project / "data.npz", x=signals.features(tones(), SIGNAL), y=np.zeros((6, 5, 8)))
    done = answer("evaluate", cwd=project)
    assert done.returncode == 2
    assert "EK-DATA-068" in done.stderr
    assert "x float32 [6, 5, 8]" in done.stderr
    assert "for features leave it out" in done.stderr


@pytest.mark.slow
def test_features_are_those_of_tf_signal(tmp_path: Path) -> None:
    kinds = [(power, count) for power in (1, 2) for count in (0, 13)]
    held = [Signal(8000, 256, 128, 512, 26, 60.0, 3800.0, count, power) for power, count in kinds]
    np.save(tmp_path / "tones.npy", tones())
    script = (
        "import json, numpy as np, sys, tensorflow as tf\n"
        "for k, s in enumerate(json.loads(sys.argv[1])):\n"
        "    x = tf.signal.stft(np.load('tones.npy'), s['window'], s['stride'], s['fft'])\n"
        "    w = tf.signal.linear_to_mel_weight_matrix(s['mels'], s['fft'] // 2 + 1, s['rate'],"
        " s['low'], s['high'])\n"
        "    m = tf.math.log(tf.abs(x) ** s['power'] @ w + s['floor'])\n"
        "    c = tf.signal.mfccs_from_log_mel_spectrograms(m)[..., : s['coefficients']]\n"
        "    np.save(f'{k}.npy', c if s['coefficients'] else m)\n"
    )
    command = [sys.executable, "-c", script, json.dumps([asdict(signal) for signal in held])]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    for k, signal in enumerate(held):
        expected = np.load(tmp_path / f"{k}.npy")
        np.testing.assert_allclose(signals.features(tones(), signal), expected, rtol=0, atol=1e-3)
