"""What pages and charts of a bench need beyond ``bench.json``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.evaluation.launch_samples import split
from edgekit.pipeline.details import UNTIMED
from edgekit.pipeline.details.files import with_file
from edgekit.pipeline.details.parts import Parts
from edgekit.types import Benched, BenchReport
from edgekit.types.details import CandidateDetails, Details, LaunchSamples

BY_TOOL = "the platform's own tool tells no single times"
NO_FILE = "it is not a .tflite file of its own"


def details_of(done: BenchReport, command: str, root: Path) -> Details:
    """Gather the launches of every row, and what its file holds; it never fails.

    ``root`` is the folder that the rows' sources count from.
    """
    rows = {row.id: _of_row(row, root) for row in done.rows}
    return Details(done.run, "bench", command, candidates=rows)


def _of_row(row: Benched, root: Path) -> CandidateDetails:
    parts = Parts()
    nothing: tuple[LaunchSamples, ...] = ()
    launches = parts.make("launches", lambda: _launches(row), nothing)
    details = CandidateDetails(launches=launches)
    path = root / row.source
    if path.suffix == ".tflite" and path.is_file():
        details = with_file(details, path, parts)
    else:
        parts.absent |= dict.fromkeys(("sizes", "operators"), NO_FILE)
    return replace(details, absent=parts.absent)


def _launches(row: Benched) -> tuple[LaunchSamples, ...]:
    """Read the times of a row from its file. Raises ValueError where it has none."""
    if row.latency is None or row.latency.path is None:
        raise ValueError(row.problem or UNTIMED)
    if row.latency.path.suffix != ".npy":
        raise ValueError(BY_TOOL)
    return split(np.load(row.latency.path, mmap_mode="r"), row.latency.launches)
