"""Mode ``load``: whether a runtime takes a model: loads it, allocates, and runs it once on zeros.

A request has the ``models``, and needs no inputs; without a model only the runtime is loaded. A
model's result has ``allocated``, ``ran``, and
``problem``: what the runtime said where it did not. It is the file's main graph that is run. Sizes
that are free, besides the batch, are taken as ``FREE``. Of TFLM it may have ``arena_bytes``, the
smallest arena that it ran in.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict

import numpy as np
import python_runner

FREE = 64
# Processor seconds of an inference in TFLM, beyond which no smaller arena is looked for.
QUICK = 0.05


def run(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Try every model of a request."""
    runtime = request["runtime"]
    # Says what is missing, where the runtime is.
    python_runner.RUNTIMES[runtime][0]()
    if request["models"] and runtime not in OPENERS:
        raise ValueError("%s cannot be asked whether it loads a file" % runtime)
    for entry in request["models"]:
        told = {"allocated": False, "ran": False, "problem": ""}
        result["models"][entry["id"]] = told
        try:
            invoke = OPENERS[runtime](entry["path"])
            told["allocated"] = True
            invoke()
            told["ran"] = True
            if runtime == "tflm":
                told.update(_arena(entry["path"], invoke))
        except Exception as error:
            told["problem"] = python_runner.describe(error)


def _tflite(module: Any, path: str) -> Any:
    interpreter = module.Interpreter(model_path=path, num_threads=1)
    for details in interpreter.get_input_details():
        sizes = [int(size) for size in details["shape_signature"]]
        if any(size < 0 for size in sizes[1:]):
            batch, rest = abs(sizes[0]), [FREE if size < 0 else size for size in sizes[1:]]
            interpreter.resize_tensor_input(details["index"], [batch, *rest])
    interpreter.allocate_tensors()

    def invoke() -> None:
        for details in interpreter.get_input_details():
            # Strings are empty as they are.
            if np.issubdtype(details["dtype"], np.number) or details["dtype"] is np.bool_:
                interpreter.set_tensor(
                    details["index"], np.zeros(details["shape"], details["dtype"])
                )
        interpreter.invoke()

    return invoke


def _litert(path: str) -> Any:
    from ai_edge_litert import interpreter

    return _tflite(interpreter, path)


def _tflite_runtime(path: str) -> Any:
    from tflite_runtime import interpreter

    return _tflite(interpreter, path)


def _tflm(path: str) -> Any:
    import tflm_runner

    make = tflm_runner.interpreter_of()
    content = tflm_runner.read(Path(path))
    opened = make(content, tflm_runner.enough(make, content))

    def invoke() -> None:
        # Its memory is zeroed already.
        tried = tflm_runner.attempt(opened.invoke)
        if not tried.passed:
            raise ValueError(tflm_runner.explain(tried, content, tflm_runner.START))

    return invoke


def _arena(path: str, invoke: Any) -> Dict[str, Any]:
    """Return the smallest arena of a model, where trying several takes no time."""
    import arena_mode
    import tflm_runner

    begin = time.process_time()
    invoke()
    if time.process_time() - begin > QUICK:
        return {}
    make, content = tflm_runner.interpreter_of(), tflm_runner.read(Path(path))
    opened = make(content, tflm_runner.enough(make, content))

    def passes(size: int) -> bool:
        return bool(tflm_runner.attempt(lambda: make(content, size).invoke()).passed)

    recorded = arena_mode.recorded_in(opened)["total"]
    return {"arena_bytes": arena_mode.search(passes, recorded)[0]}


OPENERS = {"litert": _litert, "tflite-runtime": _tflite_runtime, "tflm": _tflm}
