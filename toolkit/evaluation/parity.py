"""How closely a candidate's outputs follow the reference's, output by output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit import npy
from edgekit.errors import RunnerError
from edgekit.types import Measurement

BLOCK = 4096
Floats = npt.NDArray[np.float32]


def parity(reference: Floats, candidate: Floats) -> Mapping[str, Measurement]:
    """Measure the agreement of two outputs ``[n, ...]``, in the outputs' own unit unless said.

    Maximum and mean absolute error, relative error (``Σ |r - c| / Σ |r|``), mean cosine similarity
    of the items where neither is zero, SQNR
    (signal to quantization noise ratio, ``10·log10(Σ r² / Σ (r - c)²)`` dB), and agreement of the
    largest output. Raises :class:`RunnerError` where an output is NaN or infinite.
    """
    refuse_non_finite(reference, "the reference's")
    refuse_non_finite(candidate, "the candidate's")
    n, noise, signal, total, worst = len(reference), 0.0, 0.0, 0.0, 0.0
    size = 0.0
    cosine, angles, agreeing = 0.0, 0, 0
    for at in range(0, n, BLOCK):
        left = reference[at : at + BLOCK].reshape(min(BLOCK, n - at), -1).astype(np.float64)
        right = candidate[at : at + BLOCK].reshape(left.shape).astype(np.float64)
        difference = np.abs(left - right)
        worst = max(worst, float(difference.max()))
        total += float(difference.sum())
        noise += float((difference**2).sum())
        signal += float((left**2).sum())
        size += float(np.abs(left).sum())
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        dots = (left * right).sum(axis=1)
        # Where one of the two is zero there is no angle: such an item is left out.
        cosine += float(np.sum(dots[norms > 0] / norms[norms > 0]))
        angles += int(np.sum(norms > 0))
        agreeing += int(np.sum(left.argmax(axis=1) == right.argmax(axis=1)))
    values = max(reference.size, 1)
    figures = {
        "max_abs_error": Measurement(worst, "output", n=n),
        "mean_abs_error": Measurement(total / values, "output", n=n),
        "relative_error": Measurement.unavailable("1", "the reference's outputs are all zero"),
        "cosine": Measurement.unavailable("1", "of every item one of the two outputs is zero"),
        "argmax_agreement": Measurement(agreeing / n, "1", n=n),
        "sqnr": Measurement.unavailable("dB", "the outputs are equal"),
    }
    if size > 0:
        figures["relative_error"] = Measurement(total / size, "1", n=n)
    if angles > 0:
        figures["cosine"] = Measurement(cosine / angles, "1", n=angles)
    if noise > 0 and signal == 0:
        figures["sqnr"] = Measurement.unavailable("dB", "the reference's outputs are all zero")
    elif noise > 0:
        figures["sqnr"] = Measurement(float(10 * np.log10(signal / noise)), "dB", n=n)
    return figures


@dataclass(frozen=True)
class Steps:
    """How many quantization steps the values of two outputs lie apart.

    ``counts`` are values by rounded difference: ``0``, ``1``, ``2``, ``3-4``, ``5-8`` and on in
    powers of two to the ``largest``. Of a quantized output against a float one, 0 is what rounding
    alone does. ``differing`` and ``differing_items`` are shares of the values and of the items that
    lie at least one step apart.
    """

    scale: float
    counts: Mapping[str, int]
    largest: int
    differing: Measurement
    differing_items: Measurement


def steps(reference: Floats, candidate: Floats, scale: float) -> Steps:
    """Return the distribution of ``round(|r - c| / scale)`` of two outputs ``[n, ...]``,
    dequantized.

    ``scale`` is the quantization step of the coarser output. Raises :class:`RunnerError` where an
    output is NaN or infinite, and :class:`ValueError` where there is no step.
    """
    if not scale > 0:
        raise ValueError("only a quantized output has steps")
    refuse_non_finite(reference, "the reference's")
    refuse_non_finite(candidate, "the candidate's")
    n, items, largest = len(reference), 0, 0
    # Bin 0 holds zero steps, 1 one, 2 two, 3 three and four: the bits of one less.
    bins = np.zeros(64, np.int64)
    for at in range(0, n, BLOCK):
        left = np.asarray(reference[at : at + BLOCK], np.float64)
        apart = np.rint(np.abs(left - candidate[at : at + BLOCK]) / scale)
        largest = max(largest, int(apart.max(initial=0)))
        items += int(np.count_nonzero(apart.reshape(len(left), -1).any(axis=1)))
        _, exponents = np.frexp(np.maximum(apart - 1, 0))
        bins += np.bincount(np.where(apart > 0, exponents + 1, 0).reshape(-1), minlength=64)
    values = max(reference.size, 1)
    return Steps(
        scale=scale,
        counts={_bin(k): int(bins[k]) for k in range(int(bins.nonzero()[0].max(initial=0)) + 1)},
        largest=largest,
        differing=Measurement(float(bins[1:].sum() / values), "1", n=reference.size),
        differing_items=Measurement(items / max(n, 1), "1", n=n),
    )


def _bin(number: int) -> str:
    """Return the differences in steps that a bin holds."""
    if number < 3:
        return str(number)
    return f"{2 ** (number - 2) + 1}-{2 ** (number - 1)}"


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
    """Return a runner's outputs by name, memory-mapped, items first.

    Raises :class:`RunnerError` where one is not there.
    """
    from edgekit.targets.runners.python_runner import file_name

    outputs = {}
    for name in names:
        try:
            outputs[name] = npy.opened(folder / f"{file_name(name)}.npy")
        except ValueError as error:
            message = f"the runner left no output {name!r} that can be read"
            raise RunnerError("EK-RUNNER-007", message, str(error)[:300]) from error
    return outputs
