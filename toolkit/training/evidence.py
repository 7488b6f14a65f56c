"""What a training was of and on: its data, seed and steps, and the machine that it ran on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from edgekit.training.feed import Training, division

# What :func:`evidence` adds to a training's facts; older ones have none of it.
NAMES = (
    "data",
    "items",
    "validation_items",
    "batch_size",
    "seed",
    "epochs",
    "steps",
    "seconds",
    "hardware",
)


def kept(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the facts of a training in the store say of its data, seed, steps, time and
    machine.
    """
    trained = facts.get("trained", {})
    return {name: trained[name] for name in NAMES if name in trained} if "data" in trained else {}


def evidence(training: Training, epochs: int, seconds: float) -> dict[str, Any]:
    """Return the facts of a training that took so many epochs.

    ``seconds`` are those of the call that ended it: of a resumed one, since it went on.
    """
    items, held_out = division(training, 0)
    return {
        "data": {"source": training.dataset.source, "digest": training.dataset.digest},
        "items": len(items),
        "validation_items": len(held_out),
        "batch_size": training.batch_size,
        "seed": training.seed,
        "steps": -(-len(items) // training.batch_size) * epochs,
        "seconds": round(seconds, 3),
        "hardware": hardware(),
    }


def hardware() -> dict[str, Any]:
    """Return the machine that trains: its processor, the cores that it may use, its memory."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cpus": usable,
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
