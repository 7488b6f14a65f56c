"""The tables of ``edgekit.toml``, with defaults for what it does not say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from edgekit.project.boxes import BoxesTable
from edgekit.project.budgets import Budgets
from edgekit.project.compress import switched
from edgekit.project.table import Table
from edgekit.project.text import TextTable
from edgekit.project.units import MOST_EPOCHS, MOST_ITEMS, Numbers, Size
from edgekit.types import Preprocess, Signal

# At least two parts: what Android and Apple both take.
APP_ID = r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$"
# Source: IEEE 754-2019, table 3.5, binary32.
FLOAT32_LARGEST = 3.4028234663852886e38
Pixels = Annotated[int, Field(ge=1)]


class ModelTable(Table):
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    source: str
    weights: str | None = None
    signature: str | None = None
    custom_objects: str | None = None
    twins: dict[str, str] = Field(default_factory=dict)
    description: str | None = None
    author: str | None = None
    license: str | None = None


class SignalTable(Table):
    rate: int
    window: int
    stride: int
    mels: int
    fft: int | None = None
    low: float = 20.0
    high: float | None = None
    mfcc: int = 0
    power: int = 1
    floor: float = 1e-6

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
    scale: Numbers = 1.0
    offset: Numbers = 0.0
    mean: Numbers = 0.0
    std: Numbers = 1.0
    resize: tuple[Pixels, Pixels] | None = None
    crop: Literal["center"] | None = None
    color: Literal["rgb", "bgr", "grayscale"] | None = None
    method: Literal["nearest", "area", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear"
    layout: Literal["nhwc", "nchw"] | None = None
    signal: SignalTable | None = None

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


class RepresentativeTable(Table):
    from_: str = Field(alias="from")
    samples: int = Field(default=200, ge=2)


class DataTable(Table):
    train: str | None = None
    evaluate: str | None = None
    representative: RepresentativeTable | None = None
    preprocess: PreprocessTable = Field(default_factory=PreprocessTable)
    labels: tuple[str, ...] | str | None = None
    label_column: str | None = None
    annotations: str | None = None


class TrainTable(Table):
    epochs: int = Field(default=10, ge=1, le=MOST_EPOCHS, strict=True)
    batch_size: int = Field(default=64, ge=1, le=MOST_ITEMS, strict=True)
    seed: int = Field(default=0, ge=0)


class RecoverTable(Table):
    evaluations: int = Field(default=24, ge=1)


class MixedTable(Table):
    """One rule of a recipe; of the rules that fit an operator the last decides."""

    precision: str
    operator: str = ""
    name: str = ""


class ConvertTable(Table):
    precisions: tuple[str, ...] = Field(
        default=("float32", "float16", "dynamic", "int8"), min_length=1
    )
    unroll: bool = False
    recover: Annotated[RecoverTable | None, BeforeValidator(switched)] = None
    metadata: bool = False
    mixed: tuple[MixedTable, ...] = ()
    flex: bool = False
    custom_operators: tuple[str, ...] = ()
    as_is: bool = False
    reference: str | None = None

    @property
    def judged_by_itself(self) -> bool:
        """Whether the file is its own reference, so that nothing can be lost."""
        return self.as_is and self.reference is None


class OutputTable(Table):
    """How one output is judged; ``labels`` names its array, by default called like the output."""

    task: str | None = None
    metric: str | None = None
    postprocess: str | None = None
    labels: str | None = None


class EvaluateTable(Table):
    task: str | None = None
    metric: str | None = None
    output: str | None = None
    postprocess: str | None = None
    slices: tuple[str, ...] = ()
    group: str | None = None
    stream: bool | str = False
    state: dict[str, str] | None = None
    outputs: dict[str, OutputTable] = Field(default_factory=dict)
    boxes: BoxesTable = Field(default_factory=BoxesTable)
    text: TextTable = Field(default_factory=TextTable)


class BundleTable(Table):
    """What bundles hold besides the model: their kinds, how the app is called, the user's files.

    ``licence`` is a file of the project's, or an SPDX id; ``sign`` the file of a private key;
    ``delta_from`` an older bundle or model, which updates are measured from.
    """

    kinds: tuple[str, ...] = ()
    app_id: str | None = Field(default=None, pattern=APP_ID)
    namespace: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    licence: str | None = Field(default=None, min_length=1)
    extra_files: tuple[str, ...] = ()
    sign: str | None = None
    delta_from: str | None = Field(default=None, min_length=1)


class LimitsTable(Table):
    seconds: float | None = Field(default=None, gt=0)
    memory: Size | None = None


class TargetTable(Table):
    """A target of the catalog, or the project's own, whose ``file`` describes it."""

    file: str | None = None
    precision: str | None = None
    device: str | None = None
    any_device: bool = False
    budgets: Budgets = Field(default_factory=Budgets)
