"""One process of those that train together: it fits the model, and exports nothing. In the worker.

What is left is the state of the whole training, from which a process alone goes on: there is no
step left, and it exports the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgekit.project.strategies import PARAMETER_SERVER
from edgekit.project.train import TrainTable
from edgekit.training import fit, variables
from edgekit.training.distribution.parameter_server import serve
from edgekit.training.distribution.place import Place
from edgekit.training.distribution.scope import under
from edgekit.training.feed import Training
from edgekit.training.progress import Report
from edgekit.training.watch.alarms import Alarms
from edgekit.training.watch.settings import Watching
from edgekit.usercode import user_errors


def train_member(
    source: str,
    root: Path,
    training: Training,
    partial: Path,
    settings: TrainTable,
    place: Place,
    arguments: Mapping[str, Any] | None = None,
    progress: Report | None = None,
    warn: Callable[[str], None] | None = None,
    watching: Watching | None = None,
) -> Mapping[str, Any]:
    """Fit the user's model as a process of its strategy, from the last state in ``partial`` on.

    Returns how it was trained, the ``alarms``, and a digest of the ``weights`` that this process
    ends with.
    """
    # Under a coordinator Keras tells of no batches.
    told = place.chief and settings.strategy != PARAMETER_SERVER
    job = fit.Job(root, training, settings, partial / "states", watching)
    # All workers see the same.
    alarms = Alarms(warn if place.chief else None)
    with under(settings, place):
        model = fit.built(source, root, training, settings, arguments)
        with user_errors(source):
            fitted = fit.fit(model, job, alarms, progress if told else None)
        held = variables.values({str(k): one for k, one in enumerate(model.weights)})
    digest = hashlib.sha256(b"".join(array.tobytes() for array in held.values())).hexdigest()
    return {**fitted.facts["trained"], "alarms": alarms.facts, "weights": digest}


def serve_member(place: Place) -> None:
    """Be a worker or a server of a coordinator, until this process is ended."""
    serve(place)
