"""``[data] preprocess``: what is done to raw items before the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgekit.project.table import Table
from edgekit.project.units import Numbers
from edgekit.types import Preprocess, Signal

# Source: IEEE 754-2019, table 3.5, binary32.
FLOAT32_LARGEST = 3.4028234663852886e38
Pixels = Annotated[int, Field(ge=1)]


class SignalTable(Table):
    """``[data.preprocess] signal``: how samples become log-mel features or MFCC."""

    rate: int
    """Samples per second. ``rate = 16000``"""
    window: int
    """Samples in a frame. ``window = 480``"""
    stride: int
    """Samples from one frame to the next. ``stride = 320``"""
    mels: int
    """Bands on the mel scale. ``mels = 40``"""
    fft: int | None = None
    """Length of the Fourier transform. Default: the next power of two from window on.

    ``fft = 512``
    """
    low: float = 20.0
    """Lowest frequency, in Hz. ``low = 20.0``"""
    high: float | None = None
    """Highest frequency, in Hz. Default: half of the rate. ``high = 8000.0``"""
    mfcc: int = 0
    """How many coefficients; 0 keeps the log-mel features. ``mfcc = 10``"""
    power: int = 1
    """The spectrum's magnitude (1) or its square (2). ``power = 1``"""
    floor: float = 1e-6
    """What is added before the logarithm. ``floor = 1e-6``"""

    @model_validator(mode="after")
    def _can_be(self) -> SignalTable:
        _ = self.spec
        return self

    @property
    def spec(self) -> Signal:
        """The features; by default a spectrum of the next power of two, up to half of the rate."""
        fft = self.fft or 1 << max(0, self.window - 1).bit_length()
        high = self.rate / 2 if self.high is None else self.high
        sizes = (self.rate, self.window, self.stride, fft, self.mels)
        return Signal(*sizes, self.low, high, self.mfcc, self.power, self.floor)


class PreprocessTable(Table):
    """``[data] preprocess``: colours, size, then (x · scale + offset - mean) / std, in float32."""

    scale: Numbers = 1.0
    """Factor for raw values, for all channels or one for each. ``scale = "1/255"``"""
    offset: Numbers = 0.0
    """Added after scale. ``offset = -1.0``"""
    mean: Numbers = 0.0
    """Subtracted after offset. ``mean = [0.485, 0.456, 0.406]``"""
    std: Numbers = 1.0
    """Divided by after mean. ``std = [0.229, 0.224, 0.225]``"""
    resize: tuple[Pixels, Pixels] | None = None
    """Height and width of pictures. Default: the model's. ``resize = [96, 96]``"""
    crop: Literal["center"] | None = None
    """Keep the aspect ratio and cut out the centre, instead of stretching. ``crop = "center"``"""
    color: Literal["rgb", "bgr", "grayscale"] | None = None
    """Colour format that pictures are read as. Default: the model's channels, as rgb.

    ``color = "rgb"``
    """
    method: Literal["nearest", "area", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear"
    """Filter by which pictures are resized. ``method = "bilinear"``"""
    layout: Literal["nhwc", "nchw"] | None = None
    """Order of the data's dimensions, where it is not the model's. ``layout = "nchw"``"""
    signal: SignalTable | None = None
    """How samples become features.

    ``signal = { rate = 16000, window = 480, stride = 320, mels = 40 }``
    """

    @model_validator(mode="after")
    def _channels_agree(self) -> PreprocessTable:
        values = {name: getattr(self, name) for name in ("scale", "offset", "mean", "std")}
        lists = {name: value for name, value in values.items() if isinstance(value, tuple)}
        if len({len(value) for value in lists.values()}) > 1:
            counts = ", ".join(f"{name} has {len(value)}" for name, value in lists.items())
            raise ValueError(f"lists hold one number per channel, and these differ: {counts}")
        if self.std == 0 or (isinstance(self.std, tuple) and 0 in self.std):
            raise ValueError("'std' is 0, and values are divided by it")
        pictures = [name for name in ("resize", "crop", "color", "layout") if getattr(self, name)]
        if self.signal is not None and pictures:
            raise ValueError(f"'signal' is for samples, {pictures[0]!r} for pictures: name one")
        for value in _flat(self.spec()):
            if abs(value) > FLOAT32_LARGEST:
                message = f"give {value:g} together, which float32 does not hold"
                raise ValueError(f"'scale', 'offset', 'mean' and 'std' {message}")
        return self

    def spec(self) -> Preprocess:
        """Return the spec, where ``(x · scale + offset - mean) / std`` is one scale and one
        offset.
        """
        rest = self.model_dump(exclude={"mean", "std", "signal"})
        rest["signal"] = self.signal.spec if self.signal else None
        parts = (self.scale, self.offset, self.mean, self.std)
        count = max(len(part) if isinstance(part, tuple) else 1 for part in parts)
        rows = zip(
            *(part if isinstance(part, tuple) else (part,) * count for part in parts), strict=True
        )
        made = [(scale / std, (offset - mean) / std) for scale, offset, mean, std in rows]
        scales, offsets = zip(*made, strict=True)
        if not any(isinstance(part, tuple) for part in parts):
            (scales,), (offsets,) = scales, offsets
        return Preprocess(**{**rest, "scale": scales, "offset": offsets})


def _flat(spec: Preprocess) -> list[float]:
    """Return the numbers of a spec's scale and offset."""
    values = (spec.scale, spec.offset)
    return [v for value in values for v in (value if isinstance(value, tuple) else (value,))]
