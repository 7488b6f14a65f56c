"""Kernels that a runtime's wheel lacks on a host, whose times then say nothing of a device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.converters.inspection.computed_precision import precisions
from edgekit.pipeline.measure.loaded_model import LoadedModel
from edgekit.pipeline.run import Run
from edgekit.types import Advice, Benched, Json

RUNTIME, RELEASE = "tflite-runtime", "2.14"
X86 = ("x86_64", "amd64", "i686", "i386")
NOTE = "EK-NOTE-083"
# Measured on x86-64 with AVX-512: the example's int8 CNN in turns with LiteRT, 12 launches, twice
# (3.53 [3.43, 3.58] and 3.58 [3.51, 3.68] times LiteRT's median), its float file 1.03 [0.95, 1.27].
LACKS = (
    "x86 wheels of tflite-runtime 2.14 lack XNNPACK's int8 kernels: {} is not the device's speed"
    " (a small int8 CNN took 3.5 times as long as on LiteRT here, its float file as long)"
)
FIX = "time it on the device itself, or by the runtime that will run there"


def lacks_int8(runtime: str, version: str, facts: Mapping[str, Json], model: Path) -> bool:
    """Tell whether a runtime here lacks the int8 kernels that a device's wheel has."""
    machine = str(facts.get("machine", "")).lower()
    if runtime != RUNTIME or not version.startswith(RELEASE) or machine not in X86:
        return False
    file = flatbuffer.read(model)
    return any(one.kind == "integer" for graph in file.graphs for one in precisions(file, graph))


def noted(row: Benched, subject: LoadedModel | None) -> Benched:
    """Note on a row that its runtime lacks kernels, which spoils its times."""
    if subject is None or row.latency is None or row.conditions is None:
        return row
    if not lacks_int8(row.runtime, row.version, row.facts, subject.path):
        return row
    notes = (*row.conditions.notes, f"{LACKS.format('this time')}; {FIX}")
    return replace(row, conditions=replace(row.conditions, notes=notes))


def advise(run: Run, timed: Iterable[LoadedModel]) -> None:
    """Warn which latencies do not predict a device's."""
    lacking = [
        model.id
        for model in timed
        if lacks_int8(model.device.runtime, model.device.version, model.device.facts(), model.path)
    ]
    if lacking:
        message = LACKS.format(f"the latency of {', '.join(lacking)}")
        run.advise(Advice(NOTE, "warning", message, FIX))
