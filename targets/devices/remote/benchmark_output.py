"""What the platform's ``benchmark_model`` prints, old and new, as numbers.

Forms: TensorFlow Lite's and LiteRT's ``tools/benchmark/benchmark_model.cc`` (phases, memory) and
``core/util/stats_calculator.h`` (the lines that begin with ``count=``). Until TensorFlow 2.1 the
phases read "Average inference timings in us: Warmup: …, Init: …, Inference: …" (before 1.15 "no
stats" for "Inference"); p5, median and p95 came in 2024. Times are whole microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.errors import EdgekitError, RunnerError, RuntimeCannotRun

NUMBER = r"([0-9.]+(?:e[+-]?[0-9]+)?)"
# A log's mark may stand before: "INFO: ", or logcat's "I tflite  : ".
SUMMARY = re.compile(r"^(?:[A-Z]+: |[A-Z] \w+ *: )?(count=\d+.*)$", re.MULTILINE)
FIELD = re.compile(rf"(\w+)={NUMBER}")
PHASES = re.compile(
    rf"Inference timings in us: Init: {NUMBER}, First inference: {NUMBER}, "
    rf"Warmup \(avg\): {NUMBER}, Inference \(avg\): {NUMBER}"
)
OLD_PHASES = re.compile(
    rf"Average inference timings in us: Warmup: {NUMBER}, Init: {NUMBER}, "
    rf"(?:Inference|no stats): {NUMBER}"
)
# What the peak resident memory (ru_maxrss) grew by since the tool's start; until TensorFlow 2.2 the
# growth itself was called a peak.
FOOTPRINT = re.compile(
    rf"(?:Memory footprint delta from the start of the tool|Peak memory footprint) \(MB\): "
    rf"init={NUMBER} overall={NUMBER}"
)
MICROSECOND, MEBIBYTE = 1000, 1 << 20


@dataclass(frozen=True)
class Sum:
    """Consecutive inferences as the tool sums them up: how many, and nanoseconds.

    ``p5``, ``median`` and ``p95`` are ``None`` where the tool does not print them.
    """

    count: int
    mean: float
    min: float
    max: float
    std: float
    p5: float | None = None
    median: float | None = None
    p95: float | None = None


@dataclass(frozen=True)
class Printed:
    """One run of the tool: phases in nanoseconds, warm-up and steady state, bytes.

    ``first`` is ``None`` where the warm-up is summed up without it. ``peak`` is what the most that
    the process held grew by since its start.
    """

    load: float
    first: float | None
    warmup: Sum
    steady: Sum
    peak: float | None = None


class NotPrinted(EdgekitError):
    """The text is not what ``benchmark_model`` prints at its end."""


def read(text: str) -> Printed:
    """Return what the tool printed. Raises :class:`NotPrinted` where its figures are not there."""
    text = text.replace("\r\n", "\n")
    lines = [_fields(line) for line in SUMMARY.findall(text)][-2:]
    if len(lines) < 2:
        raise NotPrinted("EK-RUNNER-002", "there are no lines of the warm-up and the runs")
    warmup, steady = map(_sum, lines)
    # One run is told without calling it the first.
    first = lines[0].get("first", warmup.mean if warmup.count == 1 else None)
    if new := PHASES.search(text):
        load, first = float(new[1]) * MICROSECOND, float(new[2]) * MICROSECOND
    elif old := OLD_PHASES.search(text):
        load = float(old[2]) * MICROSECOND
    else:
        raise NotPrinted("EK-RUNNER-002", "there is no line of the phases")
    grown = FOOTPRINT.search(text)
    peak = float(grown[2]) * MEBIBYTE if grown else None
    return Printed(load, first, warmup, steady, peak)


def _fields(line: str) -> dict[str, float]:
    """Return the fields of a line; times in nanoseconds."""
    found = {name: float(value) for name, value in FIELD.findall(line)}
    return {name: value * (name == "count" or MICROSECOND) for name, value in found.items()}


def _sum(told: Mapping[str, float]) -> Sum:
    if not told["count"] or "curr" not in told:
        raise NotPrinted("EK-RUNNER-002", "nothing was run")
    # Runs that all took as long are told by the last one.
    alike = told["curr"]
    return Sum(
        int(told["count"]),
        told.get("avg", alike),
        told.get("min", alike),
        told.get("max", alike),
        told.get("std", 0.0),
        told.get("p5"),
        told.get("median"),
        told.get("p95"),
    )


def complaint(text: str) -> str:
    """Return the last thing that the tool said is wrong, else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if re.match(r"(?:E tflite|ERROR|FATAL|F tflite)", line)]
    return (wrong or lines or ["it says nothing"])[-1][:300]


def refused(model: str, text: str) -> RunnerError:
    """Return the error of a tool that ended without figures."""
    message = f"benchmark_model cannot run {model}"
    return RuntimeCannotRun("EK-RUNNER-002", message, complaint(text))
