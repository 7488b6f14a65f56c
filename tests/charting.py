"""Small runs to draw: planted models, checks and launches whose charts are known beforehand."""

from __future__ import annotations

from dataclasses import replace

import detailing

from edgekit.report.charts import Model, Run
from edgekit.types import Bound, CheckResult, Latency, Measurement, Status
from edgekit.types.details import CandidateDetails, LaunchSamples

REFERENCE = "SavedModel"


def model(name: str, size: int, accuracy: float, drop: float, **more: object) -> Model:
    """A model that was measured on 1,000 items."""
    measured = Measurement(accuracy, "1", n=1000, low=accuracy - 0.01, high=1.0, level=0.95)
    lost = Measurement(drop, "1", n=1000, low=drop - 0.004, high=drop + 0.005, level=0.95)
    return Model(name, size, Status.PASSED, measured, lost, **more)  # type: ignore[arg-type]


def check(name: str, value: float, limit: float, unit: str, status: Status) -> CheckResult:
    """A budget of what raspberry-pi-4 ships."""
    words = f"at most {limit:,.0f} bytes" if unit == "byte" else f"at most {100 * limit:g} points"
    measured = Measurement(value, unit)
    bound = Bound(limit, unit, share="" if unit == "byte" else "points")
    return CheckResult(
        name, "int8", "raspberry-pi-4", status, "why", words, measured=measured, bound=bound
    )


def launches(*speeds: int) -> LaunchSamples:
    """A launch of 200 runs in equal parts around each of some speeds, in nanoseconds."""
    part = 200 // len(speeds)
    samples = sorted(speed + 7 * run for speed in speeds for run in range(part))
    return LaunchSamples(len(samples), tuple(samples))


def latency(median: float) -> Latency:
    """Times about a median, in nanoseconds."""
    one = Measurement(median, "ns", n=100, low=0.99 * median, high=1.01 * median, level=0.95)
    names = ("p50", "p90", "p95", "p99", "mean", "min", "max", "mad", "std", "p5", "power")
    return Latency(**dict.fromkeys(names, one), launches=(100,), stopped="precision")


def run(*models: Model, checks: tuple[CheckResult, ...] = (), **details: CandidateDetails) -> Run:
    """A run of a reference and some models beside it."""
    reference = Model(REFERENCE, 160_500, Status.PASSED, Measurement(0.976, "1"), is_reference=True)
    return Run(
        "20260101-000000-abcdef",
        (reference, *models),
        checks,
        REFERENCE,
        "accuracy",
        bounded=True,
        details=details,
    )


def full() -> Run:
    """A run in which every chart has something to draw."""
    ships = ("raspberry-pi-4",)
    checks = (
        check("size", 27_736, 100_000, "byte", Status.PASSED),
        check("accuracy drop", 0.031, 0.02, "1", Status.FAILED),
    )
    drawn = run(
        model("float32", 89_476, 0.976, 0.0, latency=None),
        model("float16", 47_736, 0.974, 0.002),
        model("int8", 27_736, 0.976, 0.0, ships=ships),
        checks=checks,
        int8=detailing.candidate(),
        float32=CandidateDetails(launches=(launches(30_000), launches(30_000, 60_000))),
    )
    return replace(drawn, training=detailing.training())
