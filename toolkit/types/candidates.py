"""Candidates: one ``.tflite`` file each, what it holds, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgekit.types.quantities import Measurement, Status


@dataclass(frozen=True)
class Operator:
    """One kind of operator in a ``.tflite`` file, with its version and how often it occurs."""

    name: str
    version: int
    count: int


@dataclass(frozen=True)
class RuntimeNeed:
    """The first releases that have every operator of a file, computed from its operators.

    ``release`` counts as TensorFlow does, ``litert`` as LiteRT does; empty where there is none,
    which ``reason`` explains. ``forced_by`` names the operators that need it, ``claimed`` is what
    the file's own metadata says.
    """

    release: str
    litert: str
    forced_by: str
    claimed: str
    reason: str = ""


@dataclass(frozen=True)
class PairedCounts:
    """0/1 items seen by two models: ``lost`` only the reference had right, ``gained`` the other."""

    n: int
    lost: int
    gained: int


@dataclass(frozen=True)
class RuntimeResult:
    """How a candidate fared on one runtime that a target names.

    ``disagreement`` is the largest absolute difference of an output from the judging runtime's.
    """

    runtime: str
    version: str
    status: Status
    message: str
    items: int = 0
    disagreement: float | None = None


@dataclass(frozen=True)
class Latency:
    """Nanoseconds of every timed run, where a run takes one batch.

    ``mad`` is the median absolute deviation. ``launches`` counts the runs of each fresh process,
    ``stopped`` says what ended the timing. ``power`` is the smallest relative difference from
    another run of this protocol that this one could tell, ``noise`` the smallest, as a share, that
    the same launches could tell of two models in turns, where that was measured. ``path`` is an
    ``.npy`` of all runs in that order (uint32, or uint64 where one takes longer than 4.29 s), or
    what a tool printed that tells no single ones, where they are kept. ``beside`` says how many
    times as long a run takes as one of another file that took turns in the same launches, by the
    SHA-256 of that file: of those in ``edgekit.lock``.
    """

    p50: Measurement
    p90: Measurement
    p95: Measurement
    p99: Measurement
    mean: Measurement
    min: Measurement
    max: Measurement
    mad: Measurement
    std: Measurement
    p5: Measurement
    launches: tuple[int, ...]
    stopped: str
    power: Measurement
    noise: Measurement | None = None
    path: Path | None = None
    beside: Mapping[str, Measurement] = field(default_factory=dict)


@dataclass(frozen=True)
class Memory:
    """Peak resident memory over the runtime's own baseline, and the TFLM tensor arena."""

    peak_rss: Measurement
    arena: Measurement


@dataclass(frozen=True)
class Part:
    """One class or label: its number and name, how many items have it, and its figures by name."""

    number: int
    name: str
    count: int
    figures: Mapping[str, Measurement]


@dataclass(frozen=True)
class Evaluation:
    """What was measured of a model: the reference has no drop, parity or ratio.

    ``latency_ratio`` is to the reference, ``uncompressed_ratio`` to the same precision made of the
    uncompressed model, where that was timed beside it; below 1 is faster. ``floor`` is the smallest
    difference of a metric that float32 arithmetic can tell at the outputs' scale, of the reference.
    ``parts`` are the headline's metric class by class, ``flips`` the share of items that the two
    put into different classes.
    """

    metrics: Mapping[str, Measurement] = field(default_factory=dict)
    drop: Mapping[str, Measurement] = field(default_factory=dict)
    floor: Mapping[str, float] = field(default_factory=dict)
    paired: Mapping[str, PairedCounts] = field(default_factory=dict)
    parity: Mapping[str, Mapping[str, Measurement]] = field(default_factory=dict)
    latency: Latency | None = None
    latency_ratio: Measurement | None = None
    uncompressed_ratio: Measurement | None = None
    memory: Memory | None = None
    runtimes: tuple[RuntimeResult, ...] = ()
    parts: tuple[Part, ...] = ()
    flips: Measurement | None = None


@dataclass(frozen=True)
class RecoveryTrial:
    """A file that was judged while accuracy was recovered: how it was made, and its drop."""

    float_operators: int
    equalized: bool
    bias_corrected: bool
    drop: Measurement


@dataclass(frozen=True)
class Recovery:
    """How what int8 lost was brought back, for the candidate ``stands_for``.

    ``outcome`` is "not proven" where the drop is within its budget, and its interval is not.
    ``operators`` compute, ``float_operators`` of them in float as ``NAME (output tensor)``;
    ``equalized`` counts pairs of layers, ``bias_corrected`` layers. ``evaluations`` files were
    judged, ``allowed`` at most, in ``seconds``. ``latency_ratio`` is to the candidate it stands
    for, below 1 is faster.
    """

    stands_for: str
    outcome: Literal["recovered", "not proven", "not recovered"]
    evaluations: int
    allowed: int
    seconds: float
    operators: int
    float_operators: tuple[str, ...]
    equalized: int
    bias_corrected: int
    drop_before: Measurement
    drop_after: Measurement
    bytes_before: int
    bytes_after: int
    latency_ratio: Measurement
    sentence: str
    trials: tuple[RecoveryTrial, ...] = ()

    @property
    def succeeded(self) -> bool:
        return self.outcome != "not recovered"


@dataclass(frozen=True)
class Candidate:
    """One ``.tflite`` file at one precision, as read back from its bytes.

    ``problem`` says why there is no usable file (the converter died, the file is not what its
    precision claims); then ``status`` is failed or incompatible. ``failed`` names the checks that
    are red. One that is ``as_is`` was made by nobody here: its precision is what its bytes hold.
    ``signature`` is the one of the file's several that runs, where one is named. ``semantic_hash``
    is of what the file computes, whatever its tensors are called. ``macs`` are of one inference,
    ``sparsity`` is the share of zeros in the weights, ``delta`` the bytes of the update from an
    older model, where one was named.
    """

    id: str
    precision: str
    path: Path | None = None
    sha256: str = ""
    bytes: int = 0
    compressed_bytes: int = 0
    zstd_bytes: int = 0
    operators: tuple[Operator, ...] = ()
    float_operators: tuple[str, ...] = ()
    minimum_runtime: RuntimeNeed | None = None
    problem: str = ""
    problem_status: Status = Status.FAILED
    status: Status = Status.NOT_EVALUATED
    failed: tuple[str, ...] = ()
    evaluation: Evaluation = field(default_factory=Evaluation)
    recovery: Recovery | None = None
    as_is: bool = False
    signature: str | None = None
    semantic_hash: str = ""
    macs: Measurement | None = None
    sparsity: Measurement | None = None
    delta: Measurement | None = None
