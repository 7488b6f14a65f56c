"""What was done: the stages with their times, on what, and by which versions."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.report import words
from edgekit.report.html.candidates import host
from edgekit.types import Report


@dataclass(frozen=True)
class StageRow:
    """A stage, how long it took, and its ``share`` of the longest in per cent."""

    name: str
    seconds: str
    cached: bool
    share: float


@dataclass(frozen=True)
class RunView:
    """The stages, and the facts of the run by heading."""

    total: str
    stages: tuple[StageRow, ...]
    facts: tuple[tuple[str, str], ...]
    packages: tuple[tuple[str, str], ...]
    command: str


def view(report: Report, command: str = "") -> RunView:
    """Return what the section on the run shows."""
    longest = max((stage.seconds for stage in report.stages), default=0) or 1
    packages = report.environment.get("packages") or {}
    return RunView(
        f"{sum(stage.seconds for stage in report.stages):.1f} s",
        tuple(
            StageRow(
                stage.name,
                f"{stage.seconds:.1f} s",
                stage.cached,
                round(100 * stage.seconds / longest, 1),
            )
            for stage in report.stages
        ),
        tuple((name, text) for name, text in _facts(report) if text),
        tuple((str(name), str(version)) for name, version in packages.items()),
        command,
    )


def _facts(report: Report) -> list[tuple[str, str]]:
    environment, settings = report.environment, report.settings
    device, items = environment.get("device") or {}, settings.get("items") or {}
    memory = device.get("memory_bytes")
    return [
        ("model", f"{report.model['name']} {report.model['version']}"),
        ("source", str(report.model["source"] or "")),
        ("SHA-256 of the model", str(report.model["sha256"])),
        ("parameters", f"{report.reference.parameters:,}" if report.reference.parameters else ""),
        ("this host", host(environment)),
        ("memory of this host", words.binary(memory) if memory else ""),
        ("Python", str(environment.get("python") or "")),
        ("edgekit", str(environment["edgekit"])),
        ("items evaluated", _count(items.get("evaluated"))),
        ("items to calibrate with", _count(items.get("representative"))),
        ("training", "; ".join(words.training(settings.get("training") or {}))),
    ]


def _count(number: object) -> str:
    return f"{number:,}" if isinstance(number, int) else ""
