"""What ``edgekit bench`` finds: phases, latency, memory, conditions, and what was asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgekit.types.candidates import Latency
from edgekit.types.outcome import Advice, Verdict
from edgekit.types.quantities import Json, Measurement, Status

InputSource = Literal["data", "bundle", "synthetic"]


@dataclass(frozen=True)
class Phases:
    """What precedes the steady state, in nanoseconds: medians over the launches.

    ``load`` opens the file and allocates, ``first`` is the first inference, ``warmup`` the mean of
    the ``warmup_runs`` after it. ``settled`` says that the warm-up ended because its drift had.
    """

    load: Measurement
    first: Measurement
    warmup: Measurement
    warmup_runs: int
    settled: bool


@dataclass(frozen=True)
class BenchMemory:
    """Bytes: the peak resident over the runtime's own baseline, what activations need, the arena.

    ``planned`` is a liveness plan of the file's activations, ``activations`` what the runtime's own
    kernels were seen to allocate for them. ``arena`` is the smallest that TFLM works in,
    ``recorded`` what its recorder says, ``margin`` how much more is needed, as a share.
    """

    peak_rss: Measurement
    planned: Measurement
    activations: Measurement
    arena: Measurement
    recorded: Measurement | None = None
    margin: Measurement | None = None
    estimated_32bit: Measurement | None = None


@dataclass(frozen=True)
class Conditions:
    """What the machine did while it was timed, and ``notes`` on what may have disturbed it.

    ``others`` and ``stolen`` are processors kept busy by other processes and by other guests of the
    host, ``load_average`` of the last minute before. ``frequency`` is the relative spread of the
    processor's frequency, ``throttled`` counts its thermal events and those of the control group.
    ``drift`` is the largest over the launches, ``launch_spread`` the range of their medians, both
    as a share of the median; ``bimodal`` launches have two modes.
    """

    others: Measurement
    stolen: Measurement
    load_average: Measurement
    frequency: Measurement
    temperature: Measurement
    throttled: Measurement
    drift: Measurement
    launch_spread: Measurement
    bimodal: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Second:
    """One second of a sustained run: when it began, its runs, their median (nanoseconds).

    ``temperature`` in degrees Celsius and ``frequency`` in Hz, where the device tells.
    """

    at: float
    runs: int
    median: float
    temperature: float | None
    frequency: float | None


@dataclass(frozen=True)
class Sustained:
    """A long run: its first minute against its plateau (medians, ns), and every second of it.

    ``slowdown`` is plateau / first, above 1 where the device slows down.
    """

    first: Measurement
    plateau: Measurement
    slowdown: Measurement
    seconds: tuple[Second, ...]


@dataclass(frozen=True)
class OperatorTime:
    """An operator as the runtime ran it: nanoseconds per inference, and its share of all of them.

    ``node`` is its position in the graph of whoever ran it: the delegate, or the interpreter.
    """

    name: str
    node: int
    delegate: bool
    time: Measurement
    share: float


@dataclass(frozen=True)
class Profile:
    """Where the time goes: every operator, and what the whole invocation took with profiling on.

    Without operators, ``total`` says why it is unavailable.
    """

    total: Measurement
    operators: tuple[OperatorTime, ...] = ()


@dataclass(frozen=True)
class MLPerfTiny:
    """Inferences per second, the median of windows of ``seconds`` or more, and the accuracy."""

    throughput: Measurement
    windows: tuple[float, ...]
    seconds: float
    accuracy: Measurement


@dataclass(frozen=True)
class SelfTest:
    """A bundle's golden items on a device: the largest absolute difference of each output.

    It is None where an output holds a NaN. ``tolerances`` are the bundle's own.
    """

    passed: bool
    items: int
    differences: Mapping[str, float | None]
    tolerances: Mapping[str, float]


@dataclass(frozen=True)
class Benched:
    """One model on one device with so many threads. ``problem`` says why nothing was measured.

    ``inputs`` says where the items came from; synthetic ones were drawn. ``address`` is what the
    device's name stands for, where it is one of the user's own, ``place`` the machine that it
    shares with others. ``attempts`` are the problems of those before this one. ``estimates``
    says why its times are estimates, where they are: they satisfy no budget.
    ``transient`` says that another attempt may not fail. ``facts``
    are the device's, with its temperature before and after.
    """

    id: str
    source: str
    device: str
    runtime: str = ""
    version: str = ""
    threads: int = 1
    batch: int = 1
    delegate: str = ""
    bytes: int = 0
    sha256: str = ""
    inputs: InputSource = "synthetic"
    facts: Mapping[str, Json] = field(default_factory=dict)
    status: Status = Status.PASSED
    problem: str = ""
    selftest: SelfTest | None = None
    phases: Phases | None = None
    latency: Latency | None = None
    memory: BenchMemory | None = None
    conditions: Conditions | None = None
    sustained: Sustained | None = None
    profile: Profile | None = None
    mlperf_tiny: MLPerfTiny | None = None
    address: str = ""
    estimates: str = ""
    place: str = ""
    attempts: tuple[str, ...] = ()
    transient: bool = False


@dataclass(frozen=True)
class BenchMachine:
    """One machine of a bench: its devices, what it is, and its A/A calibration."""

    devices: tuple[str, ...]
    facts: Mapping[str, Json]
    calibration: Measurement


@dataclass(frozen=True)
class BenchReport:
    """A whole ``edgekit bench``: a row per model, device and number of threads.

    ``calibration`` is the smallest relative difference that can be seen now, by timing a model
    against itself: here or, where nothing was timed here, in the first of ``places``. ``device`` is
    what this host is.
    """

    run: str
    settings: Mapping[str, Json]
    device: Mapping[str, Json]
    calibration: Measurement
    rows: tuple[Benched, ...]
    verdict: Verdict
    advice: tuple[Advice, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, BenchMachine] = field(default_factory=dict)
