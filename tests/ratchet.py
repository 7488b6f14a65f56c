"""Reports of finished runs to hold against each other, and the project that they lie in."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import answer

FIRST = Path(__file__).parent / "toolkit" / "report" / "samples" / "report_version_1.json"
HOST = "linux-x86_64"
ITEMS = 2000
MACHINE = {
    "system": "Linux",
    "machine": "x86_64",
    "cpu": "a processor",
    "cpus": 4,
    "memory_bytes": 8 << 30,
}
PROJECT = f"""schema = 1
[model]
name = "digits"
source = "model.keras"
[targets.{HOST}]
precision = "int8"
"""

Edit = Callable[[dict[str, Any]], None]


def accuracy(right: int, lost: int, gained: int = 0) -> dict[str, Any]:
    """What an evaluation holds of a model that has so many of the items right."""
    from edgekit import statistics

    wilson, drop = statistics.wilson(right, ITEMS), statistics.tango(lost, gained, ITEMS)
    return {
        "metrics": {"accuracy": measured(right / ITEMS, wilson.low, wilson.high, n=ITEMS)},
        "drop": {"accuracy": measured(drop.value, drop.low, drop.high, n=ITEMS)},
        "paired": {"accuracy": {"n": ITEMS, "lost": lost, "gained": gained}},
    }


def measured(
    value: float, low: float | None = None, high: float | None = None, **other: Any
) -> dict[str, Any]:
    fields = {"unit": "1", "how": "measured", "n": None, "level": 0.95, "tool": "", "reason": ""}
    return {**fields, "value": value, "low": low, "high": high, **other}


def document() -> dict[str, Any]:
    """A report of the int8 file of a model that has 1,900 of 2,000 items right, as its reference
    has.
    """
    report: dict[str, Any] = json.loads(FIRST.read_text())
    report["schema_version"] = 2
    report["candidates"] = [one for one in report["candidates"] if one["id"] == "int8"]
    report["settings"]["items"] |= {"evaluated": ITEMS, "digest": "a" * 64}
    report["settings"]["targets"][HOST] |= {"precision": "int8", "budgets": {}}
    report["environment"]["device"] = MACHINE
    report["targets"][0]["candidate"] = "int8"
    report["reference"] |= accuracy(1900, 0)
    int8 = report["candidates"][0]
    int8 |= accuracy(1900, 0)
    int8["semantic_hash"] = "b" * 64
    int8["memory"]["arena"] = measured(20_480.0, unit="byte")
    int8["latency_ratio"] = measured(0.5, 0.495, 0.505, n=6)
    return report


def int8(report: dict[str, Any]) -> dict[str, Any]:
    (only,) = report["candidates"]
    found: dict[str, Any] = only
    return found


def one_byte_more(report: Any) -> None:
    int8(report)["bytes"] += 1


def a_new_operator(report: Any) -> None:
    int8(report)["operators"].append({"name": "TANH", "version": 1, "count": 1})


def a_raised_runtime(report: Any) -> None:
    int8(report)["minimum_runtime"] |= {"value": "2.10.0", "litert": "1.1.0"}


def a_larger_arena(report: Any) -> None:
    int8(report)["memory"]["arena"]["value"] += 64


def two_points_lost(report: Any) -> None:
    int8(report).update(accuracy(1860, 45, 5), semantic_hash="c" * 64)


def another_network(report: Any) -> None:
    int8(report).update(semantic_hash="c" * 64, sha256="c" * 64)


def as_long_as(times: float, low: float, high: float) -> Edit:
    """Another network, which takes so many times as long as the lock's file in the same
    launches.
    """

    def edit(report: Any) -> None:
        locked = int8(report)["sha256"]
        another_network(report)
        int8(report)["latency"]["beside"] = {locked: measured(times, low, high, n=12)}

    return edit


def no_metric(report: Any) -> None:
    for name in ("metrics", "drop", "paired"):
        int8(report)[name] = {}


def another_target(report: Any) -> None:
    report["settings"]["targets"] = {"android-arm64": {"precision": "int8", "budgets": {}}}
    report["targets"][0]["id"] = "android-arm64"


@dataclass
class Workshop:
    """A project on disk, its runs, and what the command answers there."""

    root: Path
    runs: int = 0

    def project(self, more: str = "", name: str = "digits") -> None:
        text = PROJECT.replace("digits", name) + more
        (self.root / "edgekit.toml").write_text(text)

    def convert(self, *edits: Edit) -> Path:
        """Leave a run behind as a conversion would: the newest one."""
        import os

        report = copy.deepcopy(document())
        for edit in edits:
            edit(report)
        self.runs += 1
        folder = self.root / ".edgekit" / "runs" / f"run-{self.runs}"
        folder.mkdir(parents=True)
        report["run"] = folder.name
        path = folder / "report.json"
        path.write_text(json.dumps(report))
        os.utime(path, (self.runs, self.runs))
        return folder

    def edgekit(self, *arguments: object) -> tuple[int, str]:
        done = answer(*arguments, cwd=self.root)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    @property
    def lock(self) -> Path:
        return self.root / "edgekit.lock"
