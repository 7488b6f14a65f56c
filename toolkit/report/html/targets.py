"""What each target ships, and the budgets that it was judged by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.report import words
from edgekit.report.html import figures
from edgekit.report.html.budgets import BudgetRow, budget_row
from edgekit.report.html.figures import Figure
from edgekit.report.html.shell import Badge, badge
from edgekit.report.npu import npu_lines
from edgekit.report.table import arena_lines
from edgekit.types import Bundle, Report, TargetResult


@dataclass(frozen=True)
class DeviceRow:
    """What the target's own device measured of what ships."""

    device: str
    runtime: str
    badge: Badge
    p50: Figure
    p95: Figure
    message: str
    estimates: str


@dataclass(frozen=True)
class BundleRow:
    """A bundle that was packed: its path, its size, its digest."""

    path: str
    size: Figure
    kind: str
    sha256: str


@dataclass(frozen=True)
class TargetView:
    """A target: what it ships with its figures, its budgets, its other checks, its bundles."""

    id: str
    badge: Badge
    candidate: str
    position: int | None
    fit: str
    size: Figure
    score: Figure
    metric: str
    budgets: tuple[BudgetRow, ...]
    others: tuple[BudgetRow, ...]
    bundles: tuple[BundleRow, ...]
    devices: tuple[DeviceRow, ...]
    notes: tuple[str, ...]


def view(report: Report) -> tuple[TargetView, ...]:
    """Return what the targets' section shows."""
    return tuple(_target(report, number, each) for number, each in enumerate(report.targets))


def _target(report: Report, number: int, target: TargetResult) -> TargetView:
    place, metric = f"/targets/{number}", str(report.settings["metric"])
    position = next(
        (at for at, one in enumerate(report.candidates) if one.id == target.candidate), None
    )
    shipped = None if position is None else report.candidates[position]
    size = score = figures.ABSENT
    if shipped is not None:
        at, measured = f"/candidates/{position}", shipped.evaluation.metrics.get(metric)
        size = figures.exact(shipped.bytes, f"{at}/bytes")
        score = figures.score(
            measured, bool(report.settings["bounded"]), at + figures.pointer("metrics", metric)
        )
    rows = [
        (budget_row(check, f"{place}/checks/{at}"), check.bound is not None)
        for at, check in enumerate(target.checks)
    ]
    return TargetView(
        target.id,
        badge(target.status),
        target.candidate or "",
        position,
        target.fit,
        size,
        score,
        metric,
        tuple(row for row, limited in rows if limited),
        tuple(row for row, limited in rows if not limited),
        tuple(_bundles(target, place)),
        tuple(_devices(target, place)),
        tuple(_notes(report, target)),
    )


def _notes(report: Report, target: TargetResult) -> Iterator[str]:
    """Yield what was found of the arena and by an NPU's compiler, where it is for the target."""
    yield from (line.strip() for line in arena_lines(report, target))
    if target.npu:
        yield from (line.strip() for line in npu_lines(target.npu))


def _bundles(target: TargetResult, place: str) -> Iterator[BundleRow]:
    if target.bundle is not None:
        yield _bundle(target.bundle, f"{place}/bundle")
    for number, bundle in enumerate(target.further_bundles):
        yield _bundle(bundle, f"{place}/further_bundles/{number}")


def _bundle(bundle: Bundle, place: str) -> BundleRow:
    size = figures.size(bundle.bytes, f"{place}/bytes")
    return BundleRow(words.path(bundle.path), size, bundle.kind, bundle.sha256)


def _devices(target: TargetResult, place: str) -> Iterator[DeviceRow]:
    for number, row in enumerate(target.on_device):
        if row.candidate != target.candidate:
            continue
        at, latency = f"{place}/on_device/{number}/latency", row.latency
        yield DeviceRow(
            row.device,
            f"{row.runtime} {row.version}".strip(),
            badge(row.status),
            figures.time(latency.p50 if latency else None, f"{at}/p50"),
            figures.time(latency.p95 if latency else None, f"{at}/p95"),
            row.message,
            row.estimates,
        )
