"""The times of every launch of a run, kept with what was made of them for pages to draw."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from edgekit.decoding import decode
from edgekit.evaluation.latency import Timings
from edgekit.evaluation.launch_samples import of_launches
from edgekit.pipeline.run import Run
from edgekit.store import Artefact, write_text
from edgekit.types.details import LaunchSamples

FILE = "launches.json"
Launches = Mapping[str, tuple[LaunchSamples, ...]]


def samples_of(timings: Timings) -> Launches:
    """Thin the launches of every model that was timed, by its id."""
    taken = timings.taken
    return {n: of_launches(one.runs for one in taken[n].launches) for n in timings.names}


def keep_samples(timings: Timings, folder: Path) -> None:
    """Write the thinned launches into an artefact's folder."""
    document = {name: [asdict(one) for one in of] for name, of in samples_of(timings).items()}
    write_text(folder / FILE, json.dumps(document))


def note_samples(run: Run, artefact: Artefact, device: str = "") -> None:
    """Tell the run of the launches in an artefact: on a device, by default its own host."""
    with contextlib.suppress(OSError, ValueError):
        document = json.loads((artefact.path / FILE).read_bytes())
        run.launches[device] = decode(document, dict[str, tuple[LaunchSamples, ...]])
