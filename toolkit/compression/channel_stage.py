"""Prune channels of a model file of either Keras, and recover accuracy. Runs in the worker."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.compression.channels import ChannelPlan, ChannelSettings, plan, shrink, taylor
from edgekit.compression.crossing import KERAS_FILE
from edgekit.compression.scheme import kernels
from edgekit.compression.stage import UNRECOVERED, RecoveryTraining, build_score
from edgekit.converters import tflite
from edgekit.errors import CompressionError
from edgekit.models.export import Names, export_keras
from edgekit.models.float32 import in_float32
from edgekit.models.load import is_keras3, load
from edgekit.project.compress import ChannelsTable
from edgekit.targets.devices.local import LocalDevice
from edgekit.training.feed import Feed
from edgekit.training.finetune import TrainingHooks, choose_loss, finetune
from edgekit.training.progress import Report
from edgekit.training.seeds import deterministic
from edgekit.types import LayerCompression, Model, Request, RunnerModel

LEARNING_RATE = 1e-3
# A few hundred items, as `taylor` asks for; other numbers were not compared.
TAYLOR_ITEMS = 512
WARMUP_SECONDS, BLOCK_SECONDS, BLOCKS = 0.1, 0.05, 5


@dataclass(frozen=True)
class ChannelJob:
    """Channels to prune from a model file; fields as in :class:`stage.SchemeJob`.

    ``requests`` is a folder for the runner's requests where latency is measured.
    """

    table: ChannelsTable
    model: Model
    samples: tuple[Path, ...]
    names: Names
    trust: bool
    requests: Path


def prune_channels(
    work: ChannelJob,
    recovery: RecoveryTraining | None,
    partial: Path,
    folder: Path,
    progress: Report | None = None,
    warn: Callable[[str], None] | None = None,
    planned: ChannelPlan | None = None,
) -> Mapping[str, Any]:
    """Write the pruned ``model.keras`` and SavedModel, and the one before recovery; return the
    facts.

    Without a plan that was ``planned`` before, it is made here. Raises :class:`CompressionError` if
    the channels cannot be pruned, or the planner lacks data.
    """
    begin = time.monotonic()
    if recovery is not None and recovery.finetuning.settings.deterministic:
        deterministic()
    model = in_float32(load(work.model, work.trust))
    plan = planned or _planned(model, work, recovery)
    smaller = shrink(model, plan)
    exported = export_keras(smaller, folder, True, work.names)
    finetuned: Mapping[str, Any] = {"epochs": 0}
    if recovery is not None and recovery.finetuning.epochs:
        (folder / UNRECOVERED).mkdir()
        (folder / "saved_model").rename(folder / UNRECOVERED / "saved_model")
        teacher = in_float32(load(recovery.teacher, work.trust)) if recovery.teacher else None
        finetuned = recover(smaller, recovery, partial, (progress, warn), teacher)
        exported = export_keras(smaller, folder, True, work.names)
    smaller.save(folder / KERAS_FILE)
    return {
        **exported,
        "generation": "keras3" if is_keras3(smaller) else "keras2",
        "layers": [asdict(row) for row in _rows(smaller, plan)],
        "finetuned": finetuned,
        "macs": [plan.macs_before, plan.macs_after],
        "sizes": [plan.parameters_before, plan.parameters_after],
        "nanoseconds": [plan.nanoseconds_before, plan.nanoseconds_after],
        "unmet": [],
        "seconds": time.monotonic() - begin,
    }


def recover(
    smaller: Any,
    recovery: RecoveryTraining,
    partial: Path,
    heard: tuple[Report | None, Callable[[str], None] | None],
    teacher: Any | None,
) -> Mapping[str, Any]:
    """Train a model that has lost channels, by the strategy that this is called in."""
    hooks = TrainingHooks(build_score(recovery.metric, recovery.root), watching=recovery.watching)
    how = (recovery.finetuning, recovery.training, teacher, hooks)
    return finetune(smaller, *how, partial, recovery.root, *heard)


def plan_channels(work: ChannelJob, recovery: RecoveryTraining) -> ChannelPlan:
    """Choose the channels to remove once, for all processes that train the rest."""
    if recovery.finetuning.settings.deterministic:
        deterministic()
    return _planned(in_float32(load(work.model, work.trust)), work, recovery)


def _planned(model: Any, work: ChannelJob, recovery: RecoveryTraining | None) -> ChannelPlan:
    table = work.table
    settings = ChannelSettings(
        table.macs, table.multiple, table.importance, table.allocation, table.objective
    )
    gradients = None
    if table.importance == "taylor" and recovery is not None:
        feed = Feed.of(model, recovery.training)
        few = np.random.default_rng(recovery.training.seed).permutation(feed.count)[:TAYLOR_ITEMS]
        feed, loss = choose_loss(model, recovery.finetuning, feed, recovery.root)
        x, y = feed.rows(few)
        gradients = taylor(model, x, y, loss)
    cost = _cost(model, work) if table.objective == "latency" else None
    return plan(model, settings, gradients, cost)


def _cost(model: Any, work: ChannelJob) -> Callable[[ChannelPlan], float]:
    """Return a function that measures a plan's int8 model on this host, in ns, with one thread."""
    if not work.samples:
        message = "[compress] channels: objective = 'latency' needs items to run the model on"
        hint = "give some with --train-data, --data or --representative"
        raise CompressionError("EK-COMPRESS-027", message, hint)
    feeds = dict(zip(work.names.inputs, work.samples, strict=True))

    def cost(plan: ChannelPlan) -> float:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            export_keras(shrink(model, plan), folder, False, work.names)
            tflite.convert(folder / "saved_model", "int8", feeds, folder)
            return _nanoseconds(folder / tflite.FILE, feeds, work.requests)

    return cost


def _nanoseconds(path: Path, feeds: Mapping[str, Path], requests: Path) -> float:
    """Measure the median of block medians of one model, in a process of its own."""
    count = min(len(np.load(file, mmap_mode="r")) for file in feeds.values())
    np.save(path.with_suffix(".index.npy"), np.arange(count))
    request = Request(
        mode="bench",
        models=(RunnerModel("plan", path),),
        inputs=feeds,
        runtime="litert",
        index=path.with_suffix(".index.npy"),
        threads=1,
    )
    session = LocalDevice(requests, requests / "channels.log").open(request)
    try:
        session.ready()
        session.block("plan", WARMUP_SECONDS, 1)
        blocks = [session.block("plan", BLOCK_SECONDS, 1) for _ in range(BLOCKS)]
    finally:
        session.close()
    return float(statistics.median(statistics.median(block) for block in blocks))


def _rows(smaller: Any, plan: ChannelPlan) -> list[LayerCompression]:
    weights = {
        layer.name: sum(int(kernel.size) for kernel in kernels(layer).values())
        for layer in smaller.layers
    }
    return [
        LayerCompression(
            layer=row.name,
            kind=row.kind,
            weights=weights.get(row.name, 0),
            requested=None if row.reason else row.channels_after,
            sparsity=0.0,
            unique=0,
            reason=row.reason,
            channels=(row.channels_before, row.channels_after),
            macs=(row.macs_before, row.macs_after),
        )
        for row in plan.layers
    ]
