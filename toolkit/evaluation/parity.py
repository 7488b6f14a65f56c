"""How closely a candidate's outputs follow the reference's, output by output."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.errors import RunnerError
from edgekit.types import Measurement

BLOCK = 4096
Floats = npt.NDArray[np.float32]


def parity(reference: Floats, candidate: Floats) -> Mapping[str, Measurement]:
    """Agreement of two outputs ``[n, ...]``, in the outputs' own unit unless said.

    Maximum and mean absolute error, mean cosine similarity of the items where neither is zero, SQNR
    (signal to quantization noise ratio, ``10·log10(Σ r² / Σ (r - c)²)`` dB), and agreement of the
    largest output. Raises :class:`RunnerError` where an output is NaN or infinite.
    """
    refuse_non_finite(reference, "the reference's")
    refuse_non_finite(candidate, "the candidate's")
    n, noise, signal, total, worst = len(reference), 0.0, 0.0, 0.0, 0.0
    cosine, angles, agreeing = 0.0, 0, 0
    for at in range(0, n, BLOCK):
        left = reference[at : at + BLOCK].reshape(min(BLOCK, n - at), -1).astype(np.float64)
        right = candidate[at : at + BLOCK].reshape(left.shape).astype(np.float64)
        difference = np.abs(left - right)
        worst = max(worst, float(difference.max()))
        total += float(difference.sum())
        noise += float((difference**2).sum())
        signal += float((left**2).sum())
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        dots = (left * right).sum(axis=1)
        # Where one of the two is zero there is no angle: such an item is left out.
        cosine += float(np.sum(dots[norms > 0] / norms[norms > 0]))
        angles += int(np.sum(norms > 0))
        agreeing += int(np.sum(left.argmax(axis=1) == right.argmax(axis=1)))
    values = max(reference.size, 1)
    found = {
        "max_abs_error": Measurement(worst, "output", n=n),
        "mean_abs_error": Measurement(total / values, "output", n=n),
        "cosine": Measurement.unavailable("1", "of every item one of the two outputs is zero"),
        "argmax_agreement": Measurement(agreeing / n, "1", n=n),
        "sqnr": Measurement.unavailable("dB", "the outputs are equal"),
    }
    if angles > 0:
        found["cosine"] = Measurement(cosine / angles, "1", n=angles)
    if noise > 0 and signal == 0:
        found["sqnr"] = Measurement.unavailable("dB", "the reference's outputs are all zero")
    elif noise > 0:
        found["sqnr"] = Measurement(float(10 * np.log10(signal / noise)), "dB", n=n)
    return found


def refuse_non_finite(outputs: Floats, whose: str) -> None:
    """Raise :class:`RunnerError` that names the first item with a NaN or infinite output.

    A NaN would hide: the largest of several outputs with a NaN is the NaN's own place.
    """
    for at in range(0, len(outputs), BLOCK):
        block = np.asarray(outputs[at : at + BLOCK])
        bad = ~np.isfinite(block).reshape(len(block), -1).all(axis=1)
        if bad.any():
            item = at + int(np.argmax(bad))
            raise RunnerError(
                "EK-RUNNER-006", f"{whose} outputs are NaN or infinite at item {item}"
            )


def open_outputs(folder: Path, names: tuple[str, ...]) -> Mapping[str, Floats]:
    """A runner's outputs by name, memory-mapped, items first."""
    from edgekit.targets.runners.python_runner import file_name

    return {name: np.load(folder / f"{file_name(name)}.npy", mmap_mode="r") for name in names}
