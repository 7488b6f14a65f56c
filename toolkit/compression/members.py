"""One process of a strategy that trains a compressed model: it exports nothing. In the worker.

What is left is the state of the whole training, from which a process alone goes on: there is no
step left, and it takes off what only training needs.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.compression.channel_stage import ChannelJob, recover
from edgekit.compression.channels import ChannelPlan, shrink
from edgekit.compression.replicas import agreeing
from edgekit.compression.scheme import LayerPlan
from edgekit.compression.schemes import SCHEMES
from edgekit.compression.stage import RecoveryTraining, SchemeJob, tune
from edgekit.errors import CompressionError
from edgekit.models.float32 import in_float32
from edgekit.models.load import load
from edgekit.training import variables
from edgekit.training.distribution.place import Place
from edgekit.training.distribution.scope import strategy_of
from edgekit.training.progress import Report
from edgekit.types import Model


def tune_scheme(
    work: SchemeJob,
    recovery: RecoveryTraining,
    partial: Path,
    place: Place,
    progress: Report | None = None,
    warn: Callable[[str], None] | None = None,
) -> Mapping[str, Any]:
    """Train the model of a scheme as a process of its strategy, from the last state on.

    Returns what happened, and a digest of the ``weights`` that this process ends with.
    """
    scheme, heard = SCHEMES[work.scheme], (progress if place.chief else None, warn)
    with _spread(recovery, place, trust=False) as (strategy, teacher):
        plan = scheme.plan(load(work.model), work.table)
        samples = tuple(np.load(path) for path in work.samples)
        with strategy.scope(), agreeing():
            wrapped, facts = tune(scheme, work, plan, samples, recovery, partial, heard, teacher)
            return {**facts, "weights": _digest(wrapped)}


def tune_channels(
    work: ChannelJob,
    planned: ChannelPlan,
    recovery: RecoveryTraining,
    partial: Path,
    place: Place,
    progress: Report | None = None,
    warn: Callable[[str], None] | None = None,
) -> Mapping[str, Any]:
    """Train a model without the channels of a plan, as :func:`tune_scheme` does one of a scheme."""
    heard = progress if place.chief else None, warn
    with _spread(recovery, place, work.trust) as (strategy, teacher), strategy.scope():
        smaller = shrink(in_float32(load(work.model, work.trust)), planned)
        facts = recover(smaller, recovery, partial, heard, teacher)
        return {**facts, "weights": _digest(smaller)}


@contextmanager
def _spread(
    recovery: RecoveryTraining, place: Place, trust: bool
) -> Iterator[tuple[Any, Any | None]]:
    """Make a strategy, and load the teacher beside it: the pipeline asks one model, on the CPU."""
    strategy = strategy_of(recovery.finetuning.settings, place)
    teacher = in_float32(load(recovery.teacher, trust)) if recovery.teacher else None
    with _locks_of_threads():
        yield strategy, teacher


@contextmanager
def _locks_of_threads() -> Iterator[None]:
    """Let pools of threads lock as threads do: TensorFlow's strategies start them, and Python makes
    them locks between processes, in a folder that a sandbox does not open.
    """
    stock = BaseContext.Lock
    setattr(BaseContext, "Lock", lambda _: threading.Lock())  # noqa: B010
    try:
        yield
    finally:
        setattr(BaseContext, "Lock", stock)  # noqa: B010


def check_clusters(model: Model, table: Any) -> None:
    """Refuse what TFMOT cannot cluster on several devices of a process once it is pruned.

    It sets the kernels of a layer one after the other, and waits in between for the other devices,
    which set theirs: with several kernels, gradients of one device would be another's.
    """
    loaded = load(model)
    plan: tuple[LayerPlan, ...] = SCHEMES["cluster"].plan(loaded, table)
    named = {row.layer for row in plan if row.value}
    several = [
        layer
        for layer in loaded.layers
        if layer.name in named and sum("kernel" in weight.name for weight in layer.weights) > 1
    ]
    if several:
        layer = several[0]
        message = (
            f"TFMOT cannot cluster {layer.name} ({type(layer).__name__}) after pruning on several"
            " devices of one process: it has more than one kernel"
        )
        hint = (
            f"leave it out: [compress.cluster] layers = {{ {layer.name} = false }}; or fine-tune"
            ' with [compress.finetune] strategy = "default" or "multi_worker"'
        )
        raise CompressionError("EK-COMPRESS-031", message, hint)


def _digest(model: Any) -> str:
    held = variables.values({str(k): one for k, one in enumerate(model.weights)})
    return hashlib.sha256(b"".join(array.tobytes() for array in held.values())).hexdigest()
