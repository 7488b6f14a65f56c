"""What flows between the stages: frozen dataclasses, and the protocol that reports progress."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Json = Any
How = Literal["measured", "estimated", "unavailable"]
Direction = Literal["higher", "lower"]


class Status(str, enum.Enum):
    """The outcome of a check, a candidate, a target or a verdict."""

    PASSED = "passed"
    FAILED = "failed"
    INCOMPATIBLE = "incompatible"
    UNAVAILABLE = "unavailable"
    INCONCLUSIVE = "inconclusive"
    NOT_EVALUATED = "not evaluated"


@dataclass(frozen=True)
class Measurement:
    """A quantity and how it is known.

    ``value`` is in ``unit``; ``low`` and ``high`` bound it at confidence ``level`` over ``n``
    items. With ``how = "unavailable"`` there is no value, and ``reason`` says why.
    """

    value: float | None
    unit: str
    how: How = "measured"
    n: int | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    tool: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.how == "unavailable" and not self.reason:
            raise ValueError("an unavailable measurement carries its reason")
        if (self.value is None) != (self.how == "unavailable"):
            raise ValueError("a measurement has a value unless it is unavailable")

    @classmethod
    def unavailable(cls, unit: str, reason: str) -> Measurement:
        return cls(value=None, unit=unit, how="unavailable", reason=reason)


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model: its name, shape (``None`` is a free dimension) and dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class Preprocess:
    """What happens to raw data before the model: ``x * scale + offset``, in float32."""

    scale: float = 1.0
    offset: float = 0.0

    @property
    def identity(self) -> bool:
        return self.scale == 1.0 and self.offset == 0.0


@dataclass(frozen=True)
class Model:
    """A model file, SavedModel folder or float ``.tflite``, and what is known before it is loaded.

    ``digest`` is of the file, with ``weights`` of both. ``custom_objects`` is the user's module of
    layers, which imports from ``root``, and ``code`` the digests of the files behind it.
    ``generation`` is unknown where the file records no version. A model that is ``own`` was written
    by edgekit from the user's function, and is trusted as that function is.
    """

    path: Path
    kind: Literal["keras", "h5", "json", "saved_model", "tflite"]
    generation: Literal["keras3", "keras2", "tensorflow", "tflite", "unknown"]
    digest: str
    custom_objects: Path | None = None
    root: Path | None = None
    weights: Path | None = None
    signature: str | None = None
    code: Mapping[str, str] = field(default_factory=dict)
    own: bool = False

    @property
    def key(self) -> Mapping[str, Json]:
        """What a store key must hold of it: all that decides what loading gives."""
        return {"sha256": self.digest, "signature": self.signature, "code": dict(self.code)}


@dataclass(frozen=True)
class SavedModel:
    """What candidates are made of, and judged by: an exported SavedModel, or a float ``.tflite``.

    A SavedModel has a batch-1 signature ``serving_default``, and a free batch in ``evaluate``.
    ``runtime`` is what runs it.
    """

    path: Path
    digest: str
    bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batched: bool
    parameters: int
    runtime: Literal["tensorflow", "litert"] = "tensorflow"
    stateful: bool = False

    @property
    def is_tflite(self) -> bool:
        """Whether the model that was given is a ``.tflite`` file, so that it is its own judge."""
        return self.runtime == "litert"

    @property
    def title(self) -> str:
        """What tables call it."""
        return "float .tflite" if self.is_tflite else "SavedModel"


@dataclass(frozen=True)
class LayerCompression:
    """What a scheme was asked to do with a layer, and what the layer then holds.

    ``requested`` is a sparsity, a number of clusters, a number of channels, or 1 for
    quantization-aware training; absent where ``reason`` says why the layer was left alone.
    ``sparsity`` is the share of zeros in its ``weights`` kernel elements, ``unique`` how many
    different values its largest kernel has. ``channels`` and ``macs`` (multiply-accumulates) are
    before and after, where channels were removed.
    """

    layer: str
    kind: str
    weights: int
    requested: float | None
    sparsity: float
    unique: int
    reason: str = ""
    channels: tuple[int, int] | None = None
    macs: tuple[int, int] | None = None


@dataclass(frozen=True)
class SchemeResult:
    """One scheme as it was applied: what was asked, what each layer holds, what it cost.

    ``metric`` is the model's once the scheme is applied, ``recovered`` after fine-tuning for
    ``epochs``; ``best_epoch`` is the one whose weights were kept. ``speed`` says in words what the
    scheme does for latency on the runtimes of the run's targets. Before and after, where channels
    were removed: ``macs`` (multiply-accumulates), ``parameters``, and the ``nanoseconds`` that a
    planner of latency measured.
    """

    scheme: str
    requested: str
    sparsity: float
    layers: tuple[LayerCompression, ...]
    metric: Measurement
    recovered: Measurement
    epochs: int
    best_epoch: int | None
    seconds: float
    speed: str
    macs: tuple[int, int] | None = None
    parameters: tuple[int, int] | None = None
    nanoseconds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Proof:
    """How a model rebuilt in the other Keras was proven equal: largest relative differences.

    ``random`` over random items, ``real`` over real ones where there were any; ``dropped`` are the
    settings left behind because they held their default.
    """

    random: float
    real: float | None
    tolerance: float
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compression:
    """Everything that was done to make a model smaller, in order, and the files it became."""

    schemes: tuple[SchemeResult, ...]
    bridge: Proof | None
    files: Mapping[str, Path]


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
class Conversion:
    """How files for a target are made: what its runtimes ask of the converter.

    ``profile`` names it in a candidate's id where it changes the file. Without
    ``per_channel_dense`` a dense layer with float activations has one scale, not one a channel:
    what TFLite before 2.17 runs. ``operator_set`` "int8" admits only precisions that are integer
    throughout. ``flex`` admits TensorFlow's own operators, ``custom_operators`` those named.
    ``refuses`` gives the reason by precision.
    """

    profile: str = ""
    per_channel_dense: bool = True
    granularity: Literal["per-channel", "per-tensor"] = "per-channel"
    operator_set: Literal["all", "int8"] = "all"
    flex: bool = False
    custom_operators: tuple[str, ...] = ()
    refuses: Mapping[str, str] = field(default_factory=dict)


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
    """Latency per inference in nanoseconds, over all timed runs."""

    p50: Measurement
    p90: Measurement
    p95: Measurement
    min: Measurement
    mean: Measurement


@dataclass(frozen=True)
class Memory:
    """Peak resident memory over the runtime's own baseline, and the TFLM tensor arena."""

    peak_rss: Measurement
    arena: Measurement


@dataclass(frozen=True)
class Evaluation:
    """What was measured of a model: the reference has no drop, parity or ratio.

    ``latency_ratio`` is to the reference, ``uncompressed_ratio`` to the same precision made of the
    uncompressed model, where that was timed beside it; below 1 is faster.
    """

    metrics: Mapping[str, Measurement] = field(default_factory=dict)
    drop: Mapping[str, Measurement] = field(default_factory=dict)
    paired: Mapping[str, PairedCounts] = field(default_factory=dict)
    parity: Mapping[str, Mapping[str, Measurement]] = field(default_factory=dict)
    latency: Latency | None = None
    latency_ratio: Measurement | None = None
    uncompressed_ratio: Measurement | None = None
    memory: Memory | None = None
    runtimes: tuple[RuntimeResult, ...] = ()


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
    precision claims); then ``status`` is failed or incompatible.
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
    evaluation: Evaluation = field(default_factory=Evaluation)
    recovery: Recovery | None = None


@dataclass(frozen=True)
class CheckResult:
    """One check of the gate: what was compared with what limit, and what would settle it."""

    name: str
    candidate: str
    target: str
    status: Status
    message: str
    limit: str = ""
    stated: bool = True


@dataclass(frozen=True)
class Bundle:
    """A packed bundle: where it is, its digest and its size in bytes."""

    path: Path
    sha256: str
    bytes: int


@dataclass(frozen=True)
class NpuEstimate:
    """What an NPU's compiler says of a model that it compiled: estimates, nothing was executed.

    ``cycles`` and ``sram``, ``dram`` and ``flash`` (bytes) are of the NPU's part; ``latency``
    (nanoseconds) is unavailable where operators stay on the CPU, ``on_cpu``. The shares are of the
    uncompiled file's operators and multiply-accumulates. ``path`` is the compiled file.
    """

    compiler: str
    accelerator: str
    cycles: Measurement
    latency: Measurement
    sram: Measurement
    dram: Measurement
    flash: Measurement
    operators_on_npu: Measurement
    macs_on_npu: Measurement
    on_cpu: tuple[str, ...]
    path: Path
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Compiled:
    """Whether a target's compiler and runtime take a candidate; ``bytes`` of the compiled file."""

    candidate: str
    checks: tuple[CheckResult, ...]
    bytes: int | None = None


@dataclass(frozen=True)
class TargetResult:
    """What a target ships, whether it fits, and the checks it was judged by.

    ``compiled`` is of every candidate, ``npu`` of the one that ships.
    """

    id: str
    candidate: str | None
    fit: str
    status: Status
    checks: tuple[CheckResult, ...] = ()
    bundle: Bundle | None = None
    npu: NpuEstimate | None = None
    compiled: tuple[Compiled, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The outcome of a run: its status, the exit code, and the checks that count for it."""

    status: Status
    exit_code: int
    checks: tuple[CheckResult, ...] = ()


@dataclass(frozen=True)
class Advice:
    """Something the user should know: a stable code, a severity, what it is and how to mend it."""

    code: str
    severity: Literal["info", "warning", "error"]
    message: str
    fix: str = ""


@dataclass(frozen=True)
class StageRecord:
    """A stage of the run: how long it took, and whether the store had its result already."""

    name: str
    seconds: float
    cached: bool


@dataclass(frozen=True)
class Report:
    """A whole run: everything that ``report.json``, the table and the summaries are drawn from."""

    run: str
    model: Mapping[str, Json]
    environment: Mapping[str, Json]
    settings: Mapping[str, Json]
    stages: tuple[StageRecord, ...]
    reference: SavedModel
    reference_evaluation: Evaluation
    compression: Compression | None
    candidates: tuple[Candidate, ...]
    targets: tuple[TargetResult, ...]
    verdict: Verdict
    advice: tuple[Advice, ...]


class Progress(Protocol):
    """Where a run reports to: a terminal, a log, or nowhere."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def update(self, done: float, total: float, text: str) -> None:
        """The current stage has come to ``done`` of ``total``."""


class Silent:
    """A :class:`Progress` that says nothing."""

    def stage(self, name: str) -> None:
        """Say nothing."""

    def update(self, done: float, total: float, text: str) -> None:
        """Say nothing."""
