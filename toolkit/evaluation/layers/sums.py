"""Sums over items from which the figures of one pair of tensors are taken."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgekit.types import Measurement

Floats = npt.NDArray[np.float32]
EQUAL = "the tensors are equal"
SILENT = "the left tensor is all zero"


class Sums:
    """What has been seen of two tensors so far, by channel of the last dimension."""

    def __init__(self) -> None:
        self.n = self.values = 0
        self.worst = self.total = self.cosine = 0.0
        self.angles = 0
        self.signal: npt.NDArray[np.float64] = np.zeros(1)
        self.noise: npt.NDArray[np.float64] = np.zeros(1)
        self.flaw = ""
        self.broken = False

    def add(self, left: Floats, right: Floats, first: int) -> None:
        """Take in further items ``[n, ...]`` of one size; ``first`` is the first one's number."""
        channels = left.shape[-1] if left.ndim > 2 else 1
        for at in range(len(left)):
            a = np.asarray(left[at], np.float64).reshape(-1, channels)
            b = np.asarray(right[at], np.float64).reshape(-1, channels)
            self._item(a, b, first + at)

    def _item(self, a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], number: int) -> None:
        self.n += 1
        finite = bool(np.isfinite(a).all()), bool(np.isfinite(b).all())
        if not all(finite):
            side = "left" if not finite[0] else "right"
            self.flaw = self.flaw or f"the {side} tensor is NaN or infinite at item {number}"
            self.broken = self.broken or finite[0]
            return
        difference = np.abs(a - b)
        self.worst = max(self.worst, float(difference.max(initial=0)))
        self.total += float(difference.sum())
        self.values += a.size
        self.signal = self.signal + np.einsum("ij,ij->j", a, a)
        self.noise = self.noise + np.einsum("ij,ij->j", difference, difference)
        norm = float(np.sqrt(np.vdot(a, a) * np.vdot(b, b)))
        if norm > 0:
            self.cosine += float(np.vdot(a, b)) / norm
            self.angles += 1

    def sqnr(self) -> Measurement:
        """Compute ``10·log10(Σ l² / Σ (l - r)²)`` over all values of all items, dB."""
        return self._ratio(float(self.signal.sum()), float(self.noise.sum()))

    def channel_sqnr(self) -> Measurement:
        """Return the median over the channels that are not all zero of their own ratios, dB."""
        live = self.signal > 0
        if self.flaw or not live.any() or not self.noise.any():
            return self.sqnr()
        shares = self.noise[live] / self.signal[live]
        share = float(np.median(shares))
        if share == 0:
            return Measurement.unavailable("dB", "most channels are equal")
        return Measurement(-10 * float(np.log10(share)), "dB", n=self.n)

    def _ratio(self, signal: float, noise: float) -> Measurement:
        if self.flaw:
            return Measurement.unavailable("dB", self.flaw)
        if noise == 0:
            return Measurement.unavailable("dB", EQUAL)
        if signal == 0:
            return Measurement.unavailable("dB", SILENT)
        return Measurement(float(10 * np.log10(signal / noise)), "dB", n=self.n)

    def rounding(self, step: float) -> float:
        """Return noise over signal that rounding to a step makes: ``step² / 12`` for each value.

        Source: B. Widrow and I. Kollar, "Quantization Noise", 2008, chapter 1.
        """
        signal = float(self.signal.sum())
        return self.values * step**2 / 12 / signal if signal > 0 else 0.0

    def max_abs_error(self) -> Measurement:
        return self._plain(self.worst, "tensor")

    def mean_abs_error(self) -> Measurement:
        return self._plain(self.total / max(self.values, 1), "tensor")

    def mean_cosine(self) -> Measurement:
        """Return the mean over the items where neither tensor is all zero."""
        if not self.flaw and not self.angles:
            return Measurement.unavailable("1", "of every item one of the two is all zero")
        return self._plain(self.cosine / max(self.angles, 1), "1")

    def _plain(self, value: float, unit: str) -> Measurement:
        if self.flaw:
            return Measurement.unavailable(unit, self.flaw)
        return Measurement(value, unit, n=self.n)
