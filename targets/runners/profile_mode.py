"""Mode ``profile``: the time of every operator, by LiteRT's own profiler, through its C library.

Beside what ``python_runner.py`` describes, a request has ``runs``, and ``delegate`` ``"none"`` to
profile the runtime's own kernels. A model's result has its ``events``: ``name``, ``node``,
``delegate`` (whether a delegate ran it), and microseconds ``us``, one number per run; so has
``invoke_us``, what the interpreter took in all. The profiler counts whole microseconds.
Sources: LiteRT's C headers, ``litert/c/litert_profiler.h``, ``litert_compiled_model.h``,
``litert_tensor_buffer.h`` and ``options/litert_runtime_options.cc``.
"""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path
from typing import Any, Dict, List, Tuple

import python_runner

LIBRARY = "libLiteRt.so"
WARMUP = 5
MAX_RANK = 8
CPU = 1
WRITE = 1
# Bits of an event's type: an operator of the interpreter, and one inside a delegate.
OPERATOR, DELEGATE_OPERATOR, DELEGATE_PROFILED = 2, 4, 8
INVOKE = b"Invoke"
DEFAULT_EVENT = 1
# An element's type in C, by numpy's name of it.
ELEMENTS = {
    "float32": 1,
    "int32": 2,
    "uint8": 3,
    "int64": 4,
    "bool": 6,
    "int16": 7,
    "int8": 9,
    "float16": 10,
    "float64": 11,
    "uint64": 13,
    "uint32": 16,
    "uint16": 17,
}

Pointer = ctypes.c_void_p
Size = ctypes.c_size_t


class TensorLayout(ctypes.Structure):
    """``LiteRtLayout``: the rank in the lower seven bits of the first field."""

    _fields_ = [
        ("rank", ctypes.c_uint32),
        ("dimensions", ctypes.c_int32 * MAX_RANK),
        ("strides", ctypes.c_uint32 * MAX_RANK),
    ]


class TensorType(ctypes.Structure):
    """``LiteRtRankedTensorType``."""

    _fields_ = [("element", ctypes.c_int), ("layout", TensorLayout)]


class Event(ctypes.Structure):
    """``ProfiledEventData``; the memory fields are not filled in on a CPU."""

    _fields_ = [
        ("tag", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", Size * 6),
        ("node", ctypes.c_uint64),
        ("metadata", ctypes.c_uint64),
        ("source", ctypes.c_int),
    ]


# Options live as long as this process: nothing is to be freed.
keep = ctypes.CFUNCTYPE(None, Pointer)(lambda _: None)


class CLibrary:
    """The C library; a call that fails is a RuntimeError with its name and status."""

    def __init__(self) -> None:
        package = importlib.util.find_spec("ai_edge_litert")
        if package is None or not package.submodule_search_locations:
            raise python_runner.RuntimeMissing("ai-edge-litert is not installed")
        path = Path(next(iter(package.submodule_search_locations))) / LIBRARY
        if not path.is_file():
            raise RuntimeError("this ai-edge-litert has no %s" % LIBRARY)
        self._library = ctypes.CDLL(str(path))

    def call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, "LiteRt" + name)
        function.restype = ctypes.c_int
        status = function(*arguments)
        if status:
            raise RuntimeError("LiteRt%s failed with status %d" % (name, status))

    def make(self, name: str, *arguments: Any) -> Any:
        """Return what a call gives through its last argument."""
        found = Pointer()
        self.call(name, *arguments, ctypes.byref(found))
        return found


class ProfiledModel:
    """A model in LiteRT's CompiledModel, profiled, with the inputs of a job in its buffers."""

    def __init__(self, library: CLibrary, job: Any, path: str, delegate: bool):
        self._library = library
        self._environment = library.make("CreateEnvironment", ctypes.c_int(0), None)
        self._model = library.make("CreateModelFromFile", self._environment, path.encode())
        options = library.make("CreateOptions")
        library.call("SetOptionsHardwareAccelerators", options, ctypes.c_int(CPU))
        self._texts: List[Any] = []
        self._add(options, b"runtime_options_string", b"enable_profiling = true\n")
        kernels = "delegate" if delegate else "builtin"
        cpu = 'kernel_mode = "%s"\nnum_threads = %d\n' % (kernels, job.request.get("threads", 1))
        self._add(options, b"xnnpack", cpu.encode())
        self._compiled = library.make(
            "CreateCompiledModel", self._environment, self._model, options
        )
        self._profiler = library.make("CompiledModelGetProfiler", self._compiled)
        if not self._profiler:
            raise RuntimeError("this ai-edge-litert gives no profiler")
        signature = library.make("GetModelSignature", self._model, Size(0))
        # Item by item, as the interpreter takes them.
        feeds = job.item(job.model, job.start)
        self._inputs = [
            self._buffer("Input", at, feeds[name])
            for at, name in enumerate(self._names(signature, "Input"))
        ]
        outputs = job.model.fetch()
        self._outputs = [
            self._buffer("Output", at, outputs[name])
            for at, name in enumerate(self._names(signature, "Output"))
        ]

    def _add(self, options: Any, kind: bytes, text: bytes) -> None:
        payload = ctypes.create_string_buffer(text)
        self._texts.append(payload)
        opaque = self._library.make("CreateOpaqueOptions", kind, payload, keep)
        self._library.call("AddOpaqueOptions", options, opaque)

    def _names(self, signature: Any, end: str) -> List[str]:
        count = Size()
        self._library.call("GetNumSignature%ss" % end, signature, ctypes.byref(count))
        names = []
        for at in range(count.value):
            name = ctypes.c_char_p()
            call = "GetSignature%sName" % end
            self._library.call(call, signature, Size(at), ctypes.byref(name))
            names.append((name.value or b"").decode())
        return names

    def _buffer(self, end: str, at: int, value: Any) -> Any:
        kind = TensorType(ELEMENTS[value.dtype.name])
        kind.layout.rank = value.ndim
        for axis, size in enumerate(value.shape):
            kind.layout.dimensions[axis] = size
        requirements = self._library.make(
            "GetCompiledModel%sBufferRequirements" % end, self._compiled, Size(0), Size(at)
        )
        made = self._library.make(
            "CreateManagedTensorBufferFromRequirements",
            self._environment,
            ctypes.byref(kind),
            requirements,
        )
        if end == "Input":
            address = Pointer()
            lock = ctypes.c_int(WRITE)
            self._library.call("LockTensorBuffer", made, ctypes.byref(address), lock)
            ctypes.memmove(address, value.ctypes.data, value.nbytes)
            self._library.call("UnlockTensorBuffer", made)
        return made

    def run(self) -> None:
        inputs = (Pointer * len(self._inputs))(*self._inputs)
        outputs = (Pointer * len(self._outputs))(*self._outputs)
        self._library.call(
            "RunCompiledModel",
            self._compiled,
            Size(0),
            Size(len(inputs)),
            inputs,
            Size(len(outputs)),
            outputs,
        )

    def profiled(self) -> List[Event]:
        """Return the events of one run."""
        library, profiler = self._library, self._profiler
        library.call("ResetProfiler", profiler)
        library.call("StartProfiler", profiler)
        self.run()
        library.call("StopProfiler", profiler)
        count = ctypes.c_int()
        library.call("GetNumProfilerEvents", profiler, ctypes.byref(count))
        events = (Event * max(count.value, 1))()
        library.call("GetProfilerEvents", profiler, ctypes.c_int(len(events)), events)
        return list(events)[: count.value]


def run(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Profile every model of a request."""
    if request["runtime"] != "litert":
        raise ValueError("%s tells no time of single operators" % request["runtime"])
    library = CLibrary()
    python_runner.pin(request.get("core"))
    for entry in request["models"]:
        result["running"] = {"model": entry["id"], "items": [0, 1]}
        job = python_runner.Job(request, entry)
        job.first()
        delegate = request.get("delegate") != "none"
        compiled = ProfiledModel(library, job, entry["path"], delegate)
        result["models"][entry["id"]] = profile(compiled, int(request.get("runs", 50)))
    result.pop("running", None)


def profile(compiled: ProfiledModel, runs: int) -> Dict[str, Any]:
    """Return each operator's time in each run, in the order that they ran; loops add up."""
    for _ in range(WARMUP):
        compiled.run()
    times: Dict[Tuple[str, int, bool], List[int]] = {}
    invoke = [0] * runs
    for at in range(runs):
        for event in compiled.profiled():
            if event.type == DEFAULT_EVENT and event.tag == INVOKE:
                invoke[at] += event.elapsed_us
            if event.type & (OPERATOR | DELEGATE_OPERATOR | DELEGATE_PROFILED):
                inside = not event.type & OPERATOR
                key = (event.tag.decode(), event.node, inside)
                times.setdefault(key, [0] * runs)[at] += event.elapsed_us
    events = [
        {"name": name, "node": node, "delegate": inside, "us": us}
        for (name, node, inside), us in times.items()
    ]
    return {"events": events, "invoke_us": invoke}
