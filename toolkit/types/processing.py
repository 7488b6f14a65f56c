"""What an app does with signals before the model, and with a detector's outputs after it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Signal:
    """How a signal becomes log-mel features, or MFCC where ``coefficients`` is not 0.

    ``rate`` is in samples per second, ``window``, ``stride`` and ``fft`` in samples, ``low`` and
    ``high`` in Hz. The rule is that of ``tf.signal``: a periodic Hann window, the spectrum's
    magnitude to the ``power`` of 1 or 2, triangles on HTK's mel scale, and the natural logarithm
    of their sums plus ``floor``.
    """

    rate: int
    window: int
    stride: int
    fft: int
    mels: int
    low: float
    high: float
    coefficients: int = 0
    power: int = 1
    floor: float = 1e-6

    def __post_init__(self) -> None:
        if self.fft < self.window or self.fft & (self.fft - 1):
            raise ValueError(f"fft is {self.fft}: a power of two, at least the window")
        if not 0 <= self.low < self.high <= self.rate / 2:
            raise ValueError("low and high lie between 0 and half of the rate, low first")
        if min(self.window, self.stride, self.mels) < 1 or self.power not in (1, 2):
            raise ValueError("window, stride and mels are at least 1, power is 1 or 2")
        if not 0 <= self.coefficients <= self.mels:
            raise ValueError("there are at most as many MFCC as mel bands")
        if self.floor <= 0:
            raise ValueError("floor is above 0: the logarithm of silence is not finite")

    def frames(self, samples: int) -> int:
        """Return how many whole windows so many samples have."""
        return max(0, 1 + (samples - self.window) // self.stride)

    @property
    def features(self) -> int:
        """How many values a frame becomes."""
        return self.coefficients or self.mels


@dataclass(frozen=True)
class BoxesSpec:
    """Where boxes and scores lie in the flat outputs of an item, and how they are read.

    Coordinate ``c`` of row ``r`` is ``box_output[r * box_row + c * box_column]``; the score of its
    class ``k`` is ``score_output[score_start + r * score_row + k * score_column]``, times what
    lies at ``objectness`` of the row where that is not negative. ``classes`` and ``background``
    count columns: a background comes first and is skipped. With ``format`` "postprocess" there
    are not columns: ``class_output`` has the class of every row, ``count_output`` how many rows
    count. Coordinates are divided by ``width`` and ``height`` (1 where they are shares already).
    ``anchors`` are (centre y, centre x, height, width) and ``scales`` belong to them.
    """

    format: str
    layout: str
    rows: int
    classes: int
    box_output: str
    score_output: str
    class_output: str | None
    count_output: str | None
    box_row: int
    box_column: int
    score_start: int
    score_row: int
    score_column: int
    objectness: int
    sigmoid: bool
    background: bool
    width: int
    height: int
    anchors: tuple[tuple[float, float, float, float], ...]
    scales: tuple[float, float, float, float]
    score: float
    iou: float
    largest: int
    suppress: bool
    candidates: int
