"""Try the models of one selection and write the outcomes: ``run.py SELECTION OUTCOMES.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import applications
import faults
import graphs
import layers
import operations
from trial import attempt


def fast() -> dict[str, Any]:
    plain = {
        **{k: v for k, v in layers.PLAIN.items() if k not in layers.SLOW},
        **layers.REFUSED,
        **operations.REFUSED,
        **graphs.REFUSED,
    }
    deep = {**operations.MODELS, **{k: v for k, v in graphs.MODELS.items() if k in graphs.FAST}}
    return {
        **{name: attempt(build, {}, False) for name, build in plain.items()},
        **{name: attempt(build, graphs.TWINS, True) for name, build in deep.items()},
        **{f"fault {name}": judge() for name, judge in {**faults.FAULTS, **faults.SOUND}.items()},
        "fault lost layer": faults.lost_layer(),
    }


def slow_graphs() -> dict[str, Any]:
    return {
        name: attempt(build, {}, True)
        for name, build in graphs.MODELS.items()
        if name not in graphs.FAST
    }


def slow_layers() -> dict[str, Any]:
    return {
        name: attempt(build, {}, False)
        for name, build in layers.PLAIN.items()
        if name in layers.SLOW
    }


def families() -> dict[str, Any]:
    return {name: attempt(build, {}, False) for name, build in applications.MODELS.items()}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(globals()[sys.argv[1]]()))
