"""What a report draws and ``report.json`` is too small for: ``details.json``, beside it.

Everything is optional: what a run does not have is empty, and ``absent`` says why by the name of
the part. Pictures are held once, by key, and named where they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgekit.types.quantities import Measurement

Command = Literal["convert", "compress", "evaluate", "compare", "bench"]
# Why there are no layers where nobody wanted them.
LAYERS_UNASKED = "--layers was not asked for"


@dataclass(frozen=True)
class LaunchSamples:
    """The latency of one launch (a fresh process) in nanoseconds, in ascending order.

    ``count`` runs were timed. Of more than 200 these are 200 of the sorted ones, evenly spaced from
    the smallest to the largest, so that quantiles are kept and the order in time is not.
    """

    count: int
    samples: tuple[int, ...]


@dataclass(frozen=True)
class Confusion:
    """How many items of each class were answered as which: ``matrix[label][answer]``.

    Precision, recall and F1 by class are the ``parts`` of a candidate in ``report.json``.
    """

    labels: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ReliabilityBin:
    """The ``count`` items answered with a confidence above ``low`` and up to ``high``.

    ``confidence`` is their mean, ``accuracy`` the share of them that is right; both absent without
    items.
    """

    low: float
    high: float
    count: int
    confidence: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, and the expected calibration error over the bins."""

    bins: tuple[ReliabilityBin, ...]
    calibration_error: Measurement


@dataclass(frozen=True)
class DrawnBox:
    """A box of a picture, of the labels or ``found`` with a ``score``: corners as shares of it."""

    found: bool
    left: float
    top: float
    right: float
    bottom: float
    name: str = ""
    score: float | None = None


@dataclass(frozen=True)
class PoorItem:
    """An item that is answered badly: its ``number`` in the data, and its file where it has one.

    ``label`` and ``answer`` are names of classes, numbers or texts in words, empty where an item
    has several. ``score`` ranks the items and ``score_name`` says what it is, such as "confidence".
    ``picture`` is a key of ``Details.pictures``, empty where there is none; ``boxes`` are the
    first 60 that are drawn on it.
    """

    number: int
    score: float
    score_name: str
    label: str = ""
    answer: str = ""
    name: str = ""
    picture: str = ""
    boxes: tuple[DrawnBox, ...] = ()


@dataclass(frozen=True)
class LayerError:
    """How far one tensor lies from the reference's, in execution order.

    ``sqnr`` (of all values), ``channel_sqnr`` (the median channel's) and ``fall`` (what sound
    rounding does not explain) are in dB, ``added`` is the noise that the operator adds, as a share
    of the signal. ``falls`` says that something begins to go wrong here, ``absorbed`` that it has
    no effect below. ``inputs`` are the positions of the rows that it reads.
    """

    operator: str
    name: str
    sqnr: Measurement
    channel_sqnr: Measurement
    max_abs_error: Measurement
    mean_abs_error: Measurement
    cosine: Measurement
    added: Measurement
    fall: Measurement
    falls: bool = False
    absorbed: bool = False
    inputs: tuple[int, ...] = ()


@dataclass(frozen=True)
class LayerErrors:
    """A file's layers against the reference's, over ``n`` items.

    ``first_fall`` is the position of the row where error begins, ``ranked`` are those that add
    most, most first. ``notes`` say what was not compared, and what limits the figures.
    """

    reference: str
    n: int
    rows: tuple[LayerError, ...]
    first_fall: int | None = None
    ranked: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TensorSize:
    """The bytes of one constant in the file; ``layer`` and ``operator`` are those that read it."""

    layer: str
    operator: str
    tensor: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True)
class FileSizes:
    """A file's ``total`` bytes: its ``tensors``, largest first, and the ``rest`` by what it is.

    ``rest`` has the bytes of ``metadata``, of ``unused`` buffers, of the ``structure`` and of
    ``other`` tensors, which are too many and too small to be listed.
    """

    total: int
    tensors: tuple[TensorSize, ...]
    rest: Mapping[str, int]


@dataclass(frozen=True)
class OperatorRow:
    """One operator of a file, in execution order.

    ``precision`` is the one it computes in (``int8``, ``float32``, ``dynamic int8``), of the
    ``kind`` integer, float, dynamic, conversion, index, control or custom. ``inputs`` are the
    positions of the rows that it reads, ``island`` the position in ``Operators.islands`` where it
    lies in one. ``macs`` are its multiply-accumulates where the file tells.
    """

    name: str
    operator: str
    precision: str
    kind: str
    shape: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    island: int | None = None
    macs: int | None = None


@dataclass(frozen=True)
class PrecisionIsland:
    """A connected part of an integer file that computes in float: its rows, and where it lies."""

    place: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Operators:
    """The operators of a file's main graph. ``left_out`` of a long one, at its end, are missing."""

    rows: tuple[OperatorRow, ...]
    islands: tuple[PrecisionIsland, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class CandidateDetails:
    """What there is of one candidate, or of the reference, beyond its row in the report.

    ``launches`` were timed on the run's own host or, of a comparison and a bench, on the row's
    device; ``device_launches`` on each device that a target names, by the name it has there.
    ``right`` has, as base64, a bit for each judged item in their order, set where it is answered
    right; it is empty where items are not right or wrong. ``absent`` has a reason by the name of
    each part that could have been here and is not.
    """

    launches: tuple[LaunchSamples, ...] = ()
    device_launches: Mapping[str, tuple[LaunchSamples, ...]] = field(default_factory=dict)
    confusion: Confusion | None = None
    reliability: Reliability | None = None
    worst_items: tuple[PoorItem, ...] = ()
    right: str = ""
    layers: LayerErrors | None = None
    sizes: FileSizes | None = None
    operators: Operators | None = None
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ValueRange:
    """The values of an input over ``items`` items; ``percentiles`` by number, such as "99.9"."""

    items: int
    min: float
    max: float
    mean: float
    std: float
    percentiles: Mapping[str, float]


@dataclass(frozen=True)
class Histogram:
    """Counts of values between neighbouring ``edges``, of which there is one more."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Curve:
    """A series along an item's values: the least and the most at each place, thinned."""

    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class InputDetails:
    """One input of the model, as the model is fed: after preprocessing.

    Where it is a picture, ``pictures`` are keys of ``Details.pictures`` for a contact sheet. Else
    ``envelope`` is the least and the most of all items at each place, ``examples`` those of some
    items alone.
    """

    shape: tuple[int, ...]
    dtype: str
    range: ValueRange | None = None
    histogram: Histogram | None = None
    pictures: tuple[str, ...] = ()
    envelope: Curve | None = None
    examples: tuple[Curve, ...] = ()


@dataclass(frozen=True)
class DataDetails:
    """Items of a run, by input; ``classes`` counts them by label, where labels are classes."""

    items: int
    inputs: Mapping[str, InputDetails]
    classes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Details:
    """``details.json`` of a run.

    ``command`` repeats the run from the folder where it was given, quoted as a shell needs it.
    ``candidates`` are by the ids of the report: of its candidates, of the models that were
    evaluated or compared (the first one too), or of the rows of a bench. ``representative``
    calibrates, ``evaluated`` is judged, on ``trained`` the run has trained its model. ``pictures``
    are PNGs in base64, at most 96 pixels high and wide. ``training`` has the figures of a training
    by name, one an epoch, None where an epoch has none.
    """

    run: str
    kind: Command
    command: str = ""
    reference: CandidateDetails = field(default_factory=CandidateDetails)
    candidates: Mapping[str, CandidateDetails] = field(default_factory=dict)
    representative: DataDetails | None = None
    evaluated: DataDetails | None = None
    trained: DataDetails | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
