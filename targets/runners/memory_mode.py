"""Mode ``memory``: what the runtime's own kernels allocate for a model's activations.

The file is mapped, and without a delegate no weights are packed: what grows in anonymous memory
from the opened file to the end of the first inference is the arena and the kernels' own buffers.
Inputs have the shapes of the request's items, or without any those of the file.
A model's result has ``activation_bytes``. Source: ``RssAnon`` in proc(5).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
from functools import partial
from pathlib import Path
from typing import Any, Dict

import numpy as np
import python_runner

STATUS = Path("/proc/self/status")


def run(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Measure every model of a request; each is kept, so that memory is not used again."""
    if request["runtime"] != "litert":
        raise ValueError("%s cannot be told to map a file and pack nothing" % request["runtime"])
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    opened = partial(Interpreter, experimental_op_resolver_type=plain)
    items = {n: np.load(p, mmap_mode="r").shape[1:] for n, p in request.get("inputs", {}).items()}
    kept = []
    for entry in request["models"]:
        result["running"] = {"model": entry["id"], "items": [0, 1]}
        model = python_runner.TFLiteModel(opened, entry["path"], 1, request.get("signature"))
        kept.append(model)
        gc.collect()
        _trim()
        before = anonymous()
        model.fit(items or {name: info.item for name, info in model.inputs.items()})
        model.invoke()
        result["models"][entry["id"]] = {"activation_bytes": max(0, anonymous() - before)}
    result.pop("running", None)


def anonymous() -> int:
    """Return resident anonymous bytes of this process."""
    for line in STATUS.read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell anonymous memory")


def _trim() -> None:
    """Give free heap back to the system, or the arena would fit into it unseen."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
