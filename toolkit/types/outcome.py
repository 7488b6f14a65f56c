"""The outcome of a run: checks, what compilers and targets say, the verdict, the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgekit.types.candidates import Candidate, Evaluation, Latency
from edgekit.types.models import Compression, SavedModel
from edgekit.types.quantities import Json, Measurement, Status

if TYPE_CHECKING:
    from edgekit.types.details import Details
else:
    # No report holds them: they are a file of their own, whose classes take long to make.
    Details = Any


@dataclass(frozen=True)
class Bound:
    """A limit as a number: the largest ``value`` allowed in ``unit``, or the smallest.

    ``share`` says how a share, of unit 1, and what is held against it are told: the shares of
    metrics and their drops in points, others per cent, neither for a plain number.
    """

    value: float
    unit: str
    at_least: bool = False
    share: Literal["", "points", "%"] = ""


@dataclass(frozen=True)
class Waiver:
    """A red check that a project accepts for a time: which one, why, and until which day.

    An empty ``target`` or ``candidate`` is any. ``accepted`` is the status that the check would
    have.
    """

    check: str
    reason: str
    expires: str
    target: str = ""
    candidate: str = ""
    accepted: Status = Status.FAILED


@dataclass(frozen=True)
class CheckResult:
    """One check of the gate: what was compared with what limit, and what would settle it.

    ``limit`` is in words, ``bound`` the same as a number, where it is one; ``measured`` is what was
    held against it, in the same unit. ``fix`` is what to do where the check is not passed. A check
    that is ``waived`` is red by its figures, and its ``waiver`` accepts that.
    """

    name: str
    candidate: str
    target: str
    status: Status
    message: str
    limit: str = ""
    stated: bool = True
    measured: Measurement | None = None
    bound: Bound | None = None
    fix: str = ""
    waiver: Waiver | None = None


@dataclass(frozen=True)
class Bundle:
    """A packed bundle: where it is, its digest, its size in bytes and its kind.

    ``parts`` are the bytes, unpacked, of its model, golden pairs, app and description.
    """

    path: Path
    sha256: str
    bytes: int
    kind: str = ""
    parts: Mapping[str, int] = field(default_factory=dict)


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
    """Whether a target's compiler and runtime take a candidate; ``bytes`` of the compiled file.

    ``npu_share`` is the share of the multiply-accumulates that the compiler puts on the NPU.
    """

    candidate: str
    checks: tuple[CheckResult, ...]
    bytes: int | None = None
    npu_share: Measurement | None = None


@dataclass(frozen=True)
class OnDevice:
    """What a candidate does on the device that a target names, or why nothing was measured.

    ``disagreement`` is the largest absolute difference of an output from the judging runtime's, on
    the first ``items``. ``estimates`` says why times there are estimates, where they are.
    """

    candidate: str
    device: str
    runtime: str
    version: str
    status: Status
    message: str
    items: int = 0
    disagreement: float | None = None
    latency: Latency | None = None
    estimates: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetResult:
    """What a target ships, whether it fits, and the checks it was judged by.

    ``compiled`` and ``on_device`` are of every candidate, ``npu`` of the one that ships.
    ``further_bundles`` are of other kinds than ``bundle``.
    """

    id: str
    candidate: str | None
    fit: str
    status: Status
    checks: tuple[CheckResult, ...] = ()
    bundle: Bundle | None = None
    npu: NpuEstimate | None = None
    compiled: tuple[Compiled, ...] = ()
    on_device: tuple[OnDevice, ...] = ()
    further_bundles: tuple[Bundle, ...] = ()


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
    """A stage of the run: how long it took, and whether the store had its result already.

    ``result`` says in a few words what came of it, where there is something to say.
    """

    name: str
    seconds: float
    cached: bool
    result: str = ""


@dataclass(frozen=True)
class Report:
    """A whole run: everything that ``report.json``, the table and the summaries are drawn from.

    ``details`` are what pages draw besides, where the run was just made: a file of their own.
    """

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
    details: Details | None = None


@dataclass(frozen=True)
class CheckedRuns:
    """Runs of several models that were judged together, and the one verdict on all.

    ``names`` tell the runs apart: their models' names, with the place where two are of one name.
    ``origins`` are the project files that have their budgets, where there are any. ``errors`` name
    those that an error ended, and so have no report.
    """

    reports: tuple[Report, ...]
    verdict: Verdict
    names: tuple[str, ...] = ()
    origins: tuple[Path | None, ...] = ()
    errors: tuple[str, ...] = ()
