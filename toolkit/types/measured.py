"""What `edgekit evaluate` and `edgekit compare` find: models as they are, on devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.types.candidates import Latency, Memory, PairedCounts
from edgekit.types.outcome import Advice, Verdict
from edgekit.types.quantities import Json, Measurement, Status

if TYPE_CHECKING:
    from edgekit.types.details import Details
else:
    # No report holds them: they are a file of their own, whose classes take long to make.
    Details = Any


@dataclass(frozen=True)
class Measured:
    """One model on one device: what it scores there, or why nothing was measured.

    ``status`` is passed where it answered every item, incompatible where the runtime cannot run
    it, unavailable where the device is not there; ``problem`` says why. ``batch`` and
    ``processes`` are how its ``items`` were answered in ``seconds``. ``address`` is what the
    device's name stands for, where it is one of the user's own. ``estimates`` says why
    times there are estimates, where they are: its latency satisfies no budget. ``outputs`` are the
    metrics of the outputs that are judged beside the one that gives ``metric``.
    """

    id: str
    source: str
    device: str
    runtime: str = ""
    version: str = ""
    bytes: int = 0
    sha256: str = ""
    status: Status = Status.PASSED
    problem: str = ""
    metric: Measurement | None = None
    outputs: Mapping[str, Measurement] = field(default_factory=dict)
    memory: Memory | None = None
    items: int = 0
    batch: int = 0
    processes: int = 0
    seconds: float = 0.0
    address: str = ""
    estimates: str = ""


@dataclass(frozen=True)
class Contrast:
    """A model beside the first one, on the same items.

    ``drop`` is positive when worse; ``needed`` items would decide it. ``flips`` is the share of
    items whose class differs, ``changed`` of those of which any output value differs. ``parity`` is
    by output. ``steps`` says how far outputs lie apart in steps of their quantization, ``likeness``
    whether the two are one network, ``layers`` where they part: of :mod:`edgekit.evaluation`.
    ``latency_ratio`` below 1 is faster, and no difference smaller than ``noise`` can be told.
    ``drops`` and ``counts`` are the drops of the other outputs that are judged, and their items.
    """

    id: str
    drop: Measurement | None = None
    paired: PairedCounts | None = None
    flips: Measurement | None = None
    changed: Measurement | None = None
    needed: int | None = None
    parity: Mapping[str, Mapping[str, Measurement]] = field(default_factory=dict)
    steps: Mapping[str, Json] = field(default_factory=dict)
    likeness: Json = None
    layers: Json = None
    latency_ratio: Measurement | None = None
    noise: Measurement | None = None
    drops: Mapping[str, Measurement] = field(default_factory=dict)
    counts: Mapping[str, PairedCounts] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluated:
    """Models on devices, each by itself: the metric, its details, slices and worst items.

    ``details``, ``slices`` and ``worst`` are of the first that answered; ``images`` the raw items
    that the worst of may be drawn from. ``drawn`` is what pages draw besides, where it was just
    made: a file of its own.
    """

    run: str
    settings: Mapping[str, Json]
    models: tuple[Measured, ...]
    details: Mapping[str, Json]
    slices: tuple[Mapping[str, Json], ...]
    worst: tuple[Mapping[str, Json], ...]
    images: Path | None
    advice: tuple[Advice, ...]
    verdict: Verdict
    drawn: Details | None = None


@dataclass(frozen=True)
class Compared:
    """Models on devices, the first the one that the others are set beside.

    ``details`` are what pages draw besides, where it was just made: a file of their own.
    """

    run: str
    settings: Mapping[str, Json]
    models: tuple[Measured, ...]
    contrasts: tuple[Contrast, ...]
    latency: Mapping[str, Latency]
    advice: tuple[Advice, ...]
    verdict: Verdict
    details: Details | None = None
