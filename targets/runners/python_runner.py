"""Run models on a device: evaluate, time, self-test. Needs numpy and one runtime, nothing else.

    python python_runner.py request.json result.json     one request, then exit
    python python_runner.py --serve                      requests as JSON lines on stdin

A request names its ``mode`` (``evaluate``, ``bench``, ``selftest``), the ``runtime``, the
``models`` (``id``, ``path`` and, to evaluate, the folder ``outputs``), the ``inputs`` by name (raw
``.npy`` files, items first), and ``preprocess`` (``scale``, ``offset``). Optional: ``delegate``
(one of ``DELEGATES``; its first is the default), ``signature`` (of the file; without it
``serving_default``, or the only one), ``threads`` (a number; to evaluate also ``"auto"``),
``index`` (a ``.npy`` of the items to take), ``items`` (``[start, stop]`` of those), ``batch`` and
``processes`` (a number or ``"auto"``), ``block`` (items between two records of progress),
``reset_state`` (a model's state is as at the start for every item), ``streams`` (the positions at
which it is so, in order and the first 0: between them it is carried on), ``states`` (the outputs
that inputs are fed with, by input: zeros at the start, and for every item without ``streams``),
``core``. The result names the runtime, its version and delegate, the phases in nanoseconds, memory
in bytes, and an ``error`` with the items that were ``running``: where an exception came of one
item, exactly that one. Outputs are float32 ``.npy`` files, dequantized. Runs on Python 3.9 and
later.

Inputs take the shape of the items: dimensions that the file leaves free are resized to it. An
input with as many dimensions as its ``.npy`` has a batch first: where that is fixed, items are run
in full batches of it, the last one padded and cut. One with a dimension less is an item as a whole.

To evaluate, ``progress-*.json`` in the folder ``outputs`` has the ``items`` that are running. A
crash leaves it: the same request on those items with ``batch`` 1, ``processes`` 1 and ``block`` 1
leaves the one item. ``finished-*`` in the same folder has a line for every block whose outputs are
written: ``[start, stop]``.

Further modes lie beside this file, one each: mode ``trace`` is ``run(request, result)`` of
``trace_mode.py``, which imports this file as ``python_runner``. ``throughput.py`` beside it chooses
batch, threads and processes; without it, there is one of each.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import mmap
import os
import platform
import struct
import sys
import threading
import time
from bisect import bisect_right
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

STARTED = time.perf_counter()
# Read before the slow import below: whoever started this may be gone by then.
PARENT = os.getppid()

import numpy as np  # noqa: E402  (the clock above counts its import as start-up)

STARTUP = time.perf_counter() - STARTED

Arrays = Dict[str, Any]
HERE = Path(__file__).resolve().parent
# A block of items between two records of progress: at most this long, and this large encoded.
BLOCK_SECONDS = 0.05
BLOCK_BYTES = 8 << 20
BLOCK_ITEMS = 8192
# Items staged for timed blocks.
STAGED = 32
# A file's name may have 255 bytes on most systems, and something may be put behind it.
LONGEST_NAME = 160
# Source: BuiltinOperator in the TensorFlow Lite schema, version 3 (``schema.fbs``).
ASSIGN_VARIABLE = 144


class RuntimeMissing(Exception):
    """The runtime is not installed here, or cannot work with what is."""


class TensorInfo:
    """One input or output: shape, dtype, and quantization (scale 0.0 where there is none).

    ``free`` are the dimensions that the file leaves open. With ``whole`` the tensor is one item:
    it has no batch dimension.
    """

    def __init__(
        self,
        index: int,
        shape: Tuple[int, ...],
        dtype: Any,
        scale: float,
        zero: int,
        free: Tuple[int, ...] = (),
        whole: bool = False,
    ):
        self.index, self.shape, self.dtype = index, shape, np.dtype(dtype)
        self.scale, self.zero, self.free, self.whole = scale, zero, free, whole

    @property
    def item(self) -> Tuple[int, ...]:
        """The shape of one item."""
        return self.shape if self.whole else self.shape[1:]

    def shaped(self, batch: int) -> "TensorInfo":
        """Return the same tensor at another batch."""
        shape = self.shape if self.whole else (batch,) + self.shape[1:]
        return TensorInfo(
            self.index, shape, self.dtype, self.scale, self.zero, self.free, self.whole
        )

    def as_whole(self) -> "TensorInfo":
        """Return the same tensor, one item as a whole."""
        return TensorInfo(
            self.index, self.shape, self.dtype, self.scale, self.zero, self.free, True
        )

    def holds_as(self, other: "TensorInfo") -> bool:
        """Tell whether values of one are the other's as they are."""
        mine, theirs = ((i.dtype, i.scale, i.zero) for i in (self, other))
        return mine == theirs


def fitted(name: str, info: TensorInfo, item: Tuple[int, ...]) -> TensorInfo:
    """Return an input as it takes items of a shape; free dimensions get theirs.

    Raises ``ValueError`` where it takes no such items.
    """

    def takes(axes: range) -> bool:
        sizes = [info.shape[axis] for axis in axes]
        return len(axes) == len(item) and all(
            axis in info.free or size == given
            for axis, size, given in zip(axes, sizes, item)  # noqa: B905  (Python 3.9 has no strict)
        )

    rank = len(info.shape)
    batch = (1 if 0 in info.free else info.shape[0],) if rank else ()
    shape: Optional[Tuple[int, ...]] = None
    whole = False
    if rank and takes(range(1, rank)):
        shape = batch + item
    elif takes(range(rank)):
        shape, whole = item, True
    elif rank > 1 and info.shape[-1] == 1 and takes(range(1, rank - 1)):
        shape = batch + item + (1,)
    elif not [axis for axis in info.free if axis]:
        count = int(np.prod(item, dtype=np.int64))
        if rank and count == int(np.prod(info.shape[1:], dtype=np.int64)):
            shape = batch + info.shape[1:]
        elif not info.free and count == int(np.prod(info.shape, dtype=np.int64)):
            shape, whole = info.shape, True
    if shape is None:
        said = [None if axis in info.free else size for axis, size in enumerate(info.shape)]
        raise ValueError(
            "input %r is shaped %s, which takes no items of %s" % (name, said, list(item))
        )
    return TensorInfo(info.index, shape, info.dtype, info.scale, info.zero, info.free, whole)


def fit(
    inputs: Dict[str, TensorInfo], items: Dict[str, Tuple[int, ...]]
) -> Tuple[Dict[str, TensorInfo], int]:
    """Return the inputs as they take items of these shapes, and the smallest batch that they take.

    What no item is for is a state, which is fed as a whole. Raises ``ValueError`` where an input
    does not take them, or two disagree on the batch.
    """
    states = {name: info.as_whole() for name, info in inputs.items() if name not in items}
    infos = {n: fitted(n, info, items[n]) for n, info in inputs.items() if n in items}
    batches = {info.shape[0] for info in infos.values() if not info.whole and info.shape}
    if len(batches) > 1:
        raise ValueError(
            "the inputs have different batches: %s"
            % ", ".join("%r %s" % (name, list(info.shape)) for name, info in sorted(infos.items()))
        )
    if batches and any(info.whole for info in infos.values()) and batches != {1}:
        raise ValueError("one input has a batch of %d, another has none" % batches.pop())
    return {**infos, **states}, batches.pop() if batches else 1


def check_batch(inputs: Dict[str, TensorInfo], own: int, batch: int) -> None:
    """Raise ``ValueError`` where inputs that are fitted do not take another batch than their own.

    A batch of 1 in the file is taken for one that is free: what then answers otherwise is seen.
    """
    if any(info.whole for info in inputs.values()):
        raise ValueError("an input has no batch dimension: it takes items one by one")
    if own > 1:
        raise ValueError("the file has a fixed batch of %d, not of %d" % (own, batch))


def chosen_signature(names: List[str], wanted: Optional[str]) -> Optional[str]:
    """Return the signature to run: that wanted, else ``serving_default``, else the only one;
    None where a file has none. Raises ``ValueError`` with their names where it is not clear
    which.
    """
    listed = ", ".join(repr(name) for name in sorted(names)) or "none"
    if wanted is not None:
        if wanted not in names:
            raise ValueError("there is no signature %r; the file has %s" % (wanted, listed))
        return wanted
    if "serving_default" in names:
        return "serving_default"
    if len(names) > 1:
        raise ValueError("the file has several signatures, name one: %s" % listed)
    return names[0] if names else None


def assigns_resources(path: str) -> bool:
    """Tell whether a ``.tflite`` file writes resource variables, which a runtime's reset leaves
    alone.

    Source: ``Model.operator_codes`` and ``OperatorCode.builtin_code`` in ``schema.fbs``; how they
    are laid out, in the FlatBuffers internals.
    """

    def field(table: int, number: int) -> int:
        """Tell where a field of a table lies; 0 where it is left out."""
        layout = table - struct.unpack_from("<i", content, table)[0]
        at = 4 + 2 * number
        (size,) = struct.unpack_from("<H", content, layout)
        offset = struct.unpack_from("<H", content, layout + at)[0] if at < size else 0
        return table + offset if offset else 0

    def followed(at: int) -> int:
        return at + int(struct.unpack_from("<I", content, at)[0])

    try:
        with Path(path).open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with content:
            codes = followed(field(followed(0), 1))
            for number in range(struct.unpack_from("<I", content, codes)[0]):
                at = field(followed(codes + 4 + 4 * number), 3)
                if at and struct.unpack_from("<i", content, at)[0] == ASSIGN_VARIABLE:
                    return True
    except (OSError, ValueError, struct.error):
        # Damaged: for the runtime to refuse, in its own words.
        pass
    return False


class TFLiteModel:
    """A ``.tflite`` file in an interpreter, its inputs and outputs keyed by signature name."""

    def __init__(
        self,
        interpreter: Callable[..., Any],
        path: str,
        threads: int,
        signature: Optional[str] = None,
    ):
        self._source = (interpreter, path, threads, signature)
        self.batch = 1
        # Where a reset of the runtime does not do, the interpreter is made anew.
        self.renews = assigns_resources(path)
        self._open()

    def _open(self) -> None:
        interpreter, path, threads, signature = self._source
        self._interpreter = interpreter(model_path=path, num_threads=threads)
        self.inputs, self.outputs, self._graph = self.tensors(self._interpreter, signature)

    @staticmethod
    def tensors(
        interpreter: Any, wanted: Optional[str] = None
    ) -> Tuple[Dict[str, TensorInfo], Dict[str, TensorInfo], int]:
        """Return inputs and outputs of an interpreter, by the names of its signature or its
        tensors; and the number of the graph that they are of.
        """
        key = chosen_signature(sorted(interpreter.get_signature_list()), wanted)
        if key is None:
            inputs = {d["name"]: d for d in interpreter.get_input_details()}
            outputs = {d["name"]: d for d in interpreter.get_output_details()}
            return _infos(inputs), _infos(outputs), 0
        runner = interpreter.get_signature_runner(key)
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        return _infos(inputs), _infos(outputs), int(getattr(runner, "_subgraph_index", 0))

    def fit(self, items: Dict[str, Tuple[int, ...]]) -> None:
        """Take items of these shapes, by input."""
        infos, batch = fit(self.inputs, items)
        self._resize(infos, batch)

    def with_batch(self, batch: int) -> "TFLiteModel":
        if batch == self.batch:
            return self
        check_batch(self.inputs, self.batch, batch)
        other = TFLiteModel(*self._source)
        other._resize({n: info.shaped(batch) for n, info in self.inputs.items()}, batch)
        return other

    def _resize(self, infos: Dict[str, TensorInfo], batch: int) -> None:
        calls = self._interpreter
        for name, info in infos.items():
            if info.shape == self.inputs[name].shape:
                continue
            if self._graph:
                shape = np.array(info.shape, np.int32)
                self._calls().ResizeInputTensor(info.index, shape, False, self._graph)
            else:
                calls.resize_tensor_input(info.index, info.shape)
        if self._graph:
            self._calls().AllocateTensors(self._graph)
        else:
            calls.allocate_tensors()
        self.inputs, self.batch = infos, batch

    def _calls(self) -> Any:
        """Return the calls that take the number of a graph: the interpreter's own are the
        first's.
        """
        return self._interpreter._interpreter

    def stage(self, feeds: Arrays) -> None:
        for name, value in feeds.items():
            info = self.inputs[name]
            value = value.reshape(info.shape)
            if self._graph:
                self._calls().SetTensor(info.index, value, self._graph)
            else:
                self._interpreter.set_tensor(info.index, value)

    def invoke(self) -> None:
        if self._graph:
            self._calls().Invoke(self._graph)
        else:
            self._interpreter.invoke()

    def fetch(self) -> Arrays:
        graph = (self._graph,) if self._graph else ()
        return {n: self._interpreter.get_tensor(i.index, *graph) for n, i in self.outputs.items()}

    def reset(self) -> None:
        """Have the state as it was at the start."""
        if not self.renews:
            self._interpreter.reset_all_variables()
            return
        infos = self.inputs
        self._open()
        self._resize(infos, self.batch)


def _infos(details: Dict[str, Any]) -> Dict[str, TensorInfo]:
    infos = {}
    for name, d in details.items():
        scale, zero = d["quantization"]
        shape = tuple(int(s) for s in d["shape"])
        free = tuple(axis for axis, s in enumerate(d["shape_signature"]) if s < 0)
        infos[name] = TensorInfo(int(d["index"]), shape, d["dtype"], float(scale), int(zero), free)
    return infos


# Path and threads; and the delegate, for a runtime of ``DELEGATES``; by keyword the signature.
Opener = Callable[..., Any]


def tflite_opener(module: Any) -> Opener:
    """Tell how a module with TensorFlow Lite's interpreter opens a file, with a delegate or
    without.
    """

    def open_file(
        path: str, threads: int, delegate: str = "xnnpack", signature: Optional[str] = None
    ) -> TFLiteModel:
        interpreter = module.Interpreter
        if delegate == "none":
            kinds: Any = getattr(module, "OpResolverType", None)
            if not hasattr(kinds, "BUILTIN_WITHOUT_DEFAULT_DELEGATES"):
                raise ValueError("this release cannot leave out its delegate: no delegate 'none'")
            kind = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            interpreter = partial(interpreter, experimental_op_resolver_type=kind)
        return TFLiteModel(interpreter, path, threads, signature)

    return open_file


def import_litert() -> Opener:
    try:
        from ai_edge_litert import interpreter
    except ImportError as error:
        raise RuntimeMissing(
            "ai-edge-litert is not installed: pip install ai-edge-litert"
        ) from error
    return tflite_opener(interpreter)


def import_tflite_runtime() -> Opener:
    version = runtime_version("tflite-runtime")
    # Built against numpy 1: with numpy 2 it imports, then every interpreter fails.
    if version and int(np.__version__.split(".")[0]) >= 2:
        raise RuntimeMissing(
            "tflite-runtime %s needs numpy below 2, here is numpy %s: pip install 'numpy<2'"
            % (version, np.__version__)
        )
    try:
        from tflite_runtime import interpreter
    except ImportError as error:
        raise RuntimeMissing(
            "tflite-runtime is not installed: pip install tflite-runtime 'numpy<2'"
            " (its wheels end at Python 3.11)"
        ) from error
    return tflite_opener(interpreter)


# What of a request an opener takes by keyword, by runtime.
OPTIONS: Dict[str, Callable[[Dict[str, Any]], Dict[str, Any]]] = {}
# How to import each runtime, and the distribution that carries it.
RUNTIMES: Dict[str, Tuple[Callable[[], Opener], str]] = {
    "litert": (import_litert, "ai-edge-litert"),
    "tflite-runtime": (import_tflite_runtime, "tflite-runtime"),
}
# The delegates of the runtimes that have a choice, the default first; others have none.
DELEGATES: Dict[str, Tuple[str, ...]] = {
    "litert": ("xnnpack", "none"),
    "tflite-runtime": ("xnnpack", "none"),
}


def chosen_delegate(request: Dict[str, Any]) -> str:
    """Return the delegate of a request; an error where its runtime does not have it."""
    known = DELEGATES.get(request["runtime"], ("none",))
    wanted = request.get("delegate", known[0])
    if wanted not in known:
        raise ValueError(
            "%s has no delegate %r, only %s" % (request["runtime"], wanted, ", ".join(known))
        )
    return str(wanted)


def chosen_threads(request: Dict[str, Any]) -> int:
    """Return the threads of a request; one where they are for ``throughput.py`` to choose."""
    wanted = request.get("threads", 1)
    if wanted == "auto" and request["mode"] == "evaluate":
        return 1
    # bool is an int to Python.
    if type(wanted) is not int or wanted < 0:
        raise ValueError("threads %r is not a number of threads" % (wanted,))
    return wanted


def chosen_streams(request: Dict[str, Any]) -> List[int]:
    """Return the positions at which streams begin; empty where items are apart.

    Raises ``ValueError`` where they are no such positions, or the request cannot keep their order.
    """
    streams = request.get("streams")
    if streams is None:
        return []
    numbers = all(type(at) is int for at in streams)
    if not numbers or streams[:1] != [0] or streams != sorted(set(streams)):
        raise ValueError("streams %r are not positions in order, the first 0" % (streams,))
    if request.get("batch", 1) not in (1, "auto") or request.get("processes", 1) not in (1, "auto"):
        raise ValueError("a stream is run item by item, in one process")
    return list(streams)


def chosen_states(request: Dict[str, Any]) -> Dict[str, str]:
    """Return the output that each state is fed with, by input. Raises ``ValueError`` where it is
    none.
    """
    states = request.get("states") or {}
    twice = sorted(set(states) & set(request["inputs"]))
    if twice:
        raise ValueError("input %r is a state, and has items of its own" % twice[0])
    return {str(name): str(output) for name, output in states.items()}


def runtime_version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def alongside(value: Any, raw: Any) -> Any:
    """Return a number, or a list of one per channel: the last axis of its length, else the
    first.
    """
    values: Any = np.asarray(value, np.float32)
    if values.ndim and raw.ndim > 1 and raw.shape[-1] != len(values):
        values = values.reshape((len(values),) + (1,) * (raw.ndim - 2))
    return values


def encode(raw: Any, info: TensorInfo, preprocess: Dict[str, Any]) -> Any:
    """Convert raw items to what the input takes: ``x * scale + offset`` in float32, then quantized.

    ``scale`` and ``offset`` are numbers, or lists of one per channel.
    """
    scale, offset = preprocess.get("scale", 1.0), preprocess.get("offset", 0.0)
    # 256 possible values: quantizing each once is twice as fast, and equal to the bit.
    alike = not isinstance(scale, list) and not isinstance(offset, list)
    if alike and raw.dtype == np.uint8 and raw.size > 4096 and info.scale:
        table = encode(np.arange(256, dtype=np.int16), info, preprocess)
        return np.take(table, raw)
    if (scale, offset) == (1.0, 0.0) and not info.scale:
        return raw.astype(info.dtype, copy=False)
    real = raw.astype(np.float32) * alongside(scale, raw) + alongside(offset, raw)
    if not info.scale:
        return real.astype(info.dtype, copy=False)
    limits = np.iinfo(info.dtype)
    quantized = np.rint(real / np.float32(info.scale)) + info.zero
    return np.clip(quantized, limits.min, limits.max).astype(info.dtype)


def decode(value: Any, info: TensorInfo) -> Any:
    """Return an output as float32, dequantized: ``(q - zero_point) * scale``."""
    if info.scale:
        return (value.astype(np.float32) - np.float32(info.zero)) * np.float32(info.scale)
    return value.astype(np.float32)


class Job:
    """One request, opened: the runtime's model, the inputs, and which items to take."""

    def __init__(self, request: Dict[str, Any], model: Dict[str, Any]):
        opening = time.perf_counter()
        self.request, self.entry, self.id = request, model, str(model["id"])
        opener = RUNTIMES[request["runtime"]][0]()
        delegate = [chosen_delegate(request)] if request["runtime"] in DELEGATES else []
        self.threads = chosen_threads(request)
        options = OPTIONS[request["runtime"]](request) if request["runtime"] in OPTIONS else {}
        if request.get("signature") is not None:
            options["signature"] = request["signature"]
        self.raw = {n: np.load(p, mmap_mode="r") for n, p in request["inputs"].items()}
        self.states = chosen_states(request)
        self.carried: Arrays = {}
        self.open: Callable[[int], Any] = lambda threads: self.fitted(
            opener(model["path"], threads, *delegate, **options)
        )
        self.baseline = peak_memory()
        begin = time.perf_counter_ns()
        self.model = self.open(self.threads)
        # A runner may do more to open a model than its runtime does.
        self.load_ns = getattr(self.model, "load_ns", time.perf_counter_ns() - begin)
        self.preprocess = request.get("preprocess", {})
        index = request.get("index")
        self.index = np.load(index, mmap_mode="r") if index else None
        count = len(next(iter(self.raw.values())) if self.index is None else self.index)
        items: List[int] = request.get("items") or [0, count]
        self.start, self.stop = items[0], items[1]
        self.streams = chosen_streams(request)
        # What starting another process of this runner costs.
        self.startup = STARTUP + time.perf_counter() - opening

    def fitted(self, model: Any) -> Any:
        """Return the model, taking items as the request has them."""
        given = {*self.raw, *self.states}
        if given != set(model.inputs):
            raise ValueError(
                "the model's inputs are %s, the request has %s"
                % (sorted(model.inputs), sorted(given))
            )
        missing = sorted(set(self.states.values()) - set(model.outputs))
        if missing:
            raise ValueError(
                "a state is fed with output %r; the model's are %s"
                % (missing[0], sorted(model.outputs))
            )
        model.fit({name: raw.shape[1:] for name, raw in self.raw.items()})
        return model

    def feeds(self, model: Any, start: int, stop: int) -> Arrays:
        """Return items ``start`` to ``stop`` as the model takes them."""
        chosen = slice(start, stop) if self.index is None else self.index[start:stop]
        feeds = {}
        for name, raw in self.raw.items():
            info = model.inputs[name]
            encoded = encode(np.asarray(raw[chosen]), info, self.preprocess)
            feeds[name] = np.ascontiguousarray(encoded.reshape((stop - start,) + info.item))
        return feeds

    def answers(self, model: Any, start: int, stop: int) -> Arrays:
        """Return outputs (float32) of items ``start`` to ``stop``."""
        return run_items(self, model, self.feeds(model, start, stop), stop - start)

    def batch_at(self, item: int) -> Arrays:
        """Return one batch of the model, from ``item`` on; the last items repeat where there are
        few.
        """
        size = self.model.batch
        feeds = self.feeds(self.model, item, min(item + size, self.stop))
        batch = {n: np.resize(v, (size,) + v.shape[1:]) for n, v in feeds.items()}
        return {**batch, **self.state(self.model, True)}

    def item(self, model: Any, at: int) -> Arrays:
        """Return one item as the model takes it: a fixed batch is full of that one."""
        feeds = self.feeds(model, at, at + 1)
        batch = {n: np.repeat(v, model.batch, axis=0) for n, v in feeds.items()}
        return {**batch, **self.state(model, True)}

    def state(self, model: Any, begins: bool) -> Arrays:
        """Return the states as the model takes them: zeros where a stream begins, else as
        carried on.
        """
        if not begins:
            return self.carried
        infos = {name: model.inputs[name] for name in self.states}
        return {n: encode(np.zeros(i.shape, np.float32), i, {}) for n, i in infos.items()}

    def keep(self, model: Any, answers: Arrays) -> None:
        """Carry on the states that an inference gave, as the next one takes them."""
        carried = {}
        for name, output in self.states.items():
            info, source, value = model.inputs[name], model.outputs[output], answers[output]
            if not source.holds_as(info):
                value = encode(decode(value, source), info, {})
            carried[name] = value
        self.carried = carried

    def first(self) -> Tuple[int, Dict[str, int]]:
        """Return the first inference's nanoseconds, and memory over the baseline once it has
        run.
        """
        self.model.stage(self.batch_at(self.start))
        begin = time.perf_counter_ns()
        self.model.invoke()
        elapsed = time.perf_counter_ns() - begin
        self.model.fetch()
        return elapsed, {"baseline_bytes": self.baseline, "peak_bytes": peak_memory()}

    def block(self, model: Any, seconds: float) -> int:
        """Tell how many items to run between two records of progress, at ``seconds`` an item."""
        if "block" in self.request:
            return max(1, int(self.request["block"]))
        held = sum(i.dtype.itemsize * int(np.prod(i.item)) for i in model.inputs.values())
        limits = BLOCK_ITEMS, BLOCK_BYTES // max(held, 1), BLOCK_SECONDS / seconds
        size, batch = int(min(limits)), int(model.batch)
        return max(batch, size - size % batch)


def run_items(
    job: Job, model: Any, feeds: Arrays, count: int, first: Optional[int] = None
) -> Arrays:
    """Return outputs (float32) of ``count`` staged items, in batches of the model's own size.

    ``first`` is the position of the first of them where they are a part of a stream: its state is
    carried on. Otherwise they begin one.
    """
    parts: Dict[str, List[Any]] = {name: [] for name in model.outputs}
    reset = bool(job.request.get("reset_state"))
    for at in range(0, count, model.batch):
        took = min(model.batch, count - at)
        batch = {n: v[at : at + took] for n, v in feeds.items()}
        if took < model.batch:
            batch = {
                n: np.concatenate([v, np.repeat(v[-1:], model.batch - took, axis=0)])
                for n, v in batch.items()
            }
        begins = at == 0 if first is None else first + at in job.streams
        if begins if job.streams else reset:
            model.reset()
        model.stage({**batch, **job.state(model, begins or not job.streams)})
        model.invoke()
        answers = model.fetch()
        job.keep(model, answers)
        for name, value in answers.items():
            parts[name].append(answer_rows(name, value, model.batch)[:took])
    return {n: decode(joined(n, p), model.outputs[n]) for n, p in parts.items()}


def answer_rows(name: str, value: Any, batch: int) -> Any:
    """Return an output with its items first. Of one item it may have no batch dimension of its own.

    Raises ``ValueError`` where a batch cannot be told apart in it.
    """
    if value.ndim and len(value) == batch:
        return value
    if batch > 1:
        # Cut to the items, it would lose values without a word.
        raise ValueError(
            "output %r is shaped %s: its first dimension is not the batch of %d"
            % (name, list(value.shape), batch)
        )
    return value[None]


def joined(name: str, parts: List[Any]) -> Any:
    """Return the answers to several items as one array. Raises ``ValueError`` where shapes
    differ.
    """
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1:
        raise ValueError(
            "output %r has another shape from item to item: %s"
            % (name, ", ".join(str(list(shape)) for shape in sorted(shapes)))
        )
    return np.concatenate(parts)


class Progress:
    """Which items are running: in the result, and in a file that outlives a crash."""

    def __init__(self, result: Dict[str, Any], model: str, path: Path):
        self._result, self._model, self._path = result, model, path

    def __call__(self, start: int, stop: int) -> None:
        self._result["running"] = {"model": self._model, "items": [start, stop]}
        write_json(self._path, {"items": [start, stop]})

    def find(self, job: Job) -> None:
        """Run items that failed together one by one; raises what the first that fails raises."""
        start, stop = self._result["running"]["items"]
        for at in range(start, stop) if stop - start > 1 else ():
            self(at, at + 1)
            job.answers(job.model, at, at + 1)
        self(start, stop)


class Finished:
    """Which items are done: a file of lines, for whoever takes outputs while others are made."""

    def __init__(self, path: Path):
        self._file = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def __call__(self, start: int, stop: int) -> None:
        os.write(self._file, b"[%d, %d]\n" % (start, stop))

    def close(self) -> None:
        os.close(self._file)


class Alone:
    """One process that takes items one by one; ``throughput.py`` has its faster kin."""

    def __init__(self, job: Job, progress: Progress):
        self.job, self.progress = job, progress
        self.model: Any = job.model
        self.threads, self.processes, self.block = job.threads, 1, 1

    def prepare(self, first: float) -> None:
        """Settle on a model and a block's size; the first inference took ``first`` seconds."""
        self.block = self.job.block(self.model, first)

    def start(self) -> None:
        """Have whoever helps begin."""

    def blocks(self) -> Iterator[Tuple[int, int]]:
        """Return the blocks of items that are this process's to run."""
        for at in range(self.job.start, self.job.stop, self.block):
            yield at, min(at + self.block, self.job.stop)

    def finish(self) -> None:
        """Wait for whoever helps."""

    def close(self) -> None:
        """End whoever still helps."""


def evaluate(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Write the outputs of every item, block by block; split over processes where that
    pays.
    """
    for entry in request["models"]:
        folder = Path(entry["outputs"])
        folder.mkdir(parents=True, exist_ok=True)
        # A crash while loading is of no item.
        for kind in () if request.get("part") else ("progress-*.json", "finished-*"):
            for stale in folder.glob(kind):
                stale.unlink()
        result["models"][entry["id"]] = evaluate_model(Job(request, entry), folder, result)
        result.pop("running", None)


def evaluate_model(job: Job, folder: Path, result: Dict[str, Any]) -> Dict[str, Any]:
    """Return all items through one model; what the result says of it."""
    progress = Progress(result, job.id, folder / job.request.get("part", "progress-0.json"))
    progress(job.start, min(job.start + 1, job.stop))
    first_ns, memory = job.first()
    throughput = beside("throughput")
    crew = throughput.Crew(job, progress) if throughput else Alone(job, progress)
    try:
        crew.prepare(first_ns / 1e9)
        files, model, anonymous = _output_files(folder, job), crew.model, anonymous_memory()
        finished = Finished(folder / ("finished-%s" % job.request.get("part", "0").split(".")[0]))
        begin = time.perf_counter()
        catch_up(job, model)
        crew.start()
        for at, end in crew.blocks():
            progress(at, end)
            answers = run_items(job, model, job.feeds(model, at, end), end - at, at)
            for name, value in answers.items():
                files[name][at:end] = value
            finished(at, end)
            anonymous = max(anonymous, anonymous_memory())
        finished.close()
        for file in files.values():
            file.flush()
        crew.finish()
    except Exception:
        progress.find(job)
        raise
    finally:
        crew.close()
    return {
        "load_ns": job.load_ns,
        "first_ns": first_ns,
        "memory": dict(memory, anonymous_bytes=anonymous),
        "batch": model.batch,
        "threads": crew.threads,
        "processes": crew.processes,
        "block": crew.block,
        "items": job.stop - job.start,
        "seconds": time.perf_counter() - begin,
    }


def catch_up(job: Job, model: Any) -> None:
    """Have the state that a stream has at the first item, where that is in the middle of one."""
    if job.streams and job.start not in job.streams:
        for at in range(job.streams[bisect_right(job.streams, job.start) - 1], job.start):
            run_items(job, model, job.feeds(model, at, at + 1), 1, at)


def _output_files(folder: Path, job: Job) -> Dict[str, Any]:
    """Open memory-mapped outputs, preallocated once by the process that was started first."""
    paths = {name: folder / ("%s.npy" % file_name(name)) for name in job.model.outputs}
    if job.request.get("part"):
        return {name: np.load(path, mmap_mode="r+") for name, path in paths.items()}
    sample = job.answers(job.model, job.start, job.start + 1)
    return {
        name: _create(path, (job.stop,) + sample[name].shape[1:]) for name, path in paths.items()
    }


def _create(path: Path, shape: Tuple[int, ...]) -> Any:
    create: Any = np.lib.format.open_memmap
    return create(path, "w+", np.float32, shape)


def file_name(tensor: str) -> str:
    """Return a tensor's name as a file name; of a long one a digest stands for the end."""
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in tensor)
    if len(name.encode()) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(tensor.encode()).hexdigest()[:16]
    return name.encode()[: LONGEST_NAME - 17].decode("utf-8", "ignore") + "-" + digest


class Bench:
    """Models kept loaded and timed in blocks, so that several can take turns."""

    def __init__(self, request: Dict[str, Any], result: Dict[str, Any]):
        pin(request.get("core"))
        self._jobs: Dict[str, Tuple[Job, List[Arrays], List[int]]] = {}
        for entry in request["models"]:
            result["running"] = {"model": entry["id"], "items": [0, 1]}
            job = Job(request, entry)
            batch = int(request.get("batch", 1))
            # 1 asks for as few as the file takes.
            job.model = job.model if batch == 1 else job.model.with_batch(batch)
            first_ns, memory = job.first()
            staged = [job.batch_at(i) for i in range(job.start, min(job.start + STAGED, job.stop))]
            self._jobs[entry["id"]] = (job, staged, [0])
            result["models"][entry["id"]] = {
                "load_ns": job.load_ns,
                "first_ns": first_ns,
                "memory": memory,
                "batch": job.model.batch,
            }
        result.pop("running", None)

    def block(self, model: str, seconds: float, runs: int) -> List[int]:
        """Return nanoseconds of each inference: at least ``runs`` of them and at least
        ``seconds``.
        """
        job, staged, turn = self._jobs[model]
        target, clock = job.model, time.perf_counter_ns
        samples: List[int] = []
        reset = bool(job.request.get("reset_state"))
        if reset and getattr(target, "renews", False):
            # What was just made anew is slow at first: the state is carried on within the block.
            reset = False
            target.reset()
            target.stage(staged[turn[0] % len(staged)])
            target.invoke()
        end = clock() + int(seconds * 1e9)
        while len(samples) < runs or clock() < end:
            if reset:
                target.reset()
            carried = {} if reset or not samples else job.carried
            target.stage({**staged[turn[0] % len(staged)], **carried})
            turn[0] += 1
            begin = clock()
            target.invoke()
            samples.append(clock() - begin)
            if job.states:
                job.keep(target, target.fetch())
        return samples


def bench(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Warm up, then time the request's models in alternating blocks."""
    alternate(request, Bench(request, result).block, result["models"])


def alternate(
    request: Dict[str, Any],
    block: Callable[[str, float, int], List[int]],
    models: Dict[str, Any],
) -> None:
    """Warm up, then time models in alternating blocks, into ``blocks_ns`` of what a result says of
    each.
    """
    ids = [entry["id"] for entry in request["models"]]
    warmup, stop = request.get("warmup", {}), request.get("stop", {})
    for name in ids:
        block(name, warmup.get("seconds", 0.2), warmup.get("runs", 10))
        models[name]["blocks_ns"] = []
    for turn in range(stop.get("blocks", 10)):
        for name in ids if turn % 2 == 0 else ids[::-1]:
            times = block(name, stop.get("seconds", 0.05), stop.get("runs", 5))
            models[name]["blocks_ns"].append(times)


def selftest(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Run golden inputs and compare with golden outputs, within a tolerance per
    output.
    """
    for entry in request["models"]:
        job = Job(request, entry)
        count = job.stop - job.start
        feeds = job.feeds(job.model, job.start, job.stop)
        answers = run_items(job, job.model, feeds, count, job.start)
        told = compare_golden(request, answers)
        result["models"][entry["id"]] = {"items": count, **told}


def compare_golden(request: Dict[str, Any], answers: Dict[str, Any]) -> Dict[str, Any]:
    """Tell whether a self-test passed, and the largest difference of each golden output."""
    if not request.get("golden"):
        raise ValueError("there are no golden outputs to compare with")
    differences, passed = {}, True
    for name, golden in request["golden"].items():
        expected = np.load(golden["path"])
        if name not in answers or answers[name].shape != expected.shape:
            raise ValueError("output %r is missing or has another shape" % name)
        difference = float(np.max(np.abs(answers[name] - expected)))
        differences[name] = difference
        # Not `difference > tolerance`: a NaN must fail.
        passed = passed and difference <= golden["tolerance"]
    return {"passed": passed, "differences": differences}


Mode = Callable[[Dict[str, Any], Dict[str, Any]], None]
MODES: Dict[str, Mode] = {"evaluate": evaluate, "bench": bench, "selftest": selftest}


def add_mode(name: str) -> None:
    """Load a mode that lies beside this file, where there is one."""
    module = beside("%s_mode" % name) if name not in MODES and name.isidentifier() else None
    if module:
        MODES[name] = module.run


def beside(name: str) -> Any:
    """Return the module in a file beside this one; None where there is no such file."""
    path, this = HERE / ("%s.py" % name), sys.modules.get(__name__)
    if this is None or not path.is_file():
        return None
    # Run as a script, this file is __main__: the module must not load it a second time.
    sys.modules.setdefault("python_runner", this)
    spec: Any = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def peak_memory() -> int:
    """Return peak resident bytes of this process; 0 where the system does not tell.

    ``VmHWM``, not ``getrusage``: the latter keeps the parent's peak across fork and exec.
    """
    return process_status("VmHWM:")


def anonymous_memory() -> int:
    """Return resident bytes of this process that are of no file; 0 where the system does not
    tell.
    """
    return process_status("RssAnon:")


def process_status(field: str) -> int:
    """Return bytes of a field of ``/proc/self/status`` (proc(5))."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def pin(core: Optional[int]) -> None:
    """Keep this process on one core, where the system allows."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def facts() -> Dict[str, Any]:
    """Return what this device is."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cpus": os.cpu_count(),
    }


def new_result(request: Dict[str, Any]) -> Dict[str, Any]:
    add_mode(request["mode"])
    for field, known in (("mode", MODES), ("runtime", RUNTIMES)):
        if request[field] not in known:
            raise ValueError(
                "%s %r is not known here, only %s" % (field, request[field], sorted(known))
            )
    distribution = RUNTIMES[request["runtime"]][1]
    return {
        "schema": 1,
        "runtime": request["runtime"],
        "version": runtime_version(distribution),
        "delegate": chosen_delegate(request),
        "threads": chosen_threads(request),
        "device": facts(),
        "models": {},
    }


def handle(request: Dict[str, Any], action: Callable[[Dict[str, Any]], Any]) -> Dict[str, Any]:
    """Return the result of a request; an error is part of it, never an exception."""
    result: Dict[str, Any] = {"schema": 1, "models": {}}
    try:
        result = new_result(request)
        action(result)
    except Exception as error:
        kind, message = "failed", describe(error)
        if isinstance(error, RuntimeMissing):
            kind, message = "runtime-missing", "%s (Python: %s)" % (message, sys.executable)
        result["error"] = {"kind": kind, "message": message}
    return result


def describe(error: Exception) -> str:
    """Return an error in words. A KeyError's own text is only the key."""
    text = str(error)
    if text and not isinstance(error, KeyError):
        return text
    return "%s: %s" % (type(error).__name__, text)


def write_json(path: Path, value: Any) -> None:
    """Write whole or not at all."""
    temporary = path.with_name(path.name + ".%d.part" % os.getpid())
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def end_with_parent() -> None:
    """End this process when the one that started it is gone."""

    def watch() -> None:
        while os.getppid() == PARENT:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def serve() -> None:
    """Answer JSON lines: first a bench request, then ``{"model", "seconds", "runs"}`` blocks.

    A request of another mode between them is run as it would be alone, with the runtime that is
    there already; mode ``answer`` of ``answer_mode.py`` has all that follows.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a runtime that prints must not break the protocol
    running: Optional[Bench] = None
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("mode") == "answer":
            beside("answer_mode").serve(request, sys.stdin.buffer, answers.buffer)
            return
        if request.get("mode", "bench") != "bench":
            reply = handle(request, lambda result: MODES[request["mode"]](request, result))  # noqa: B023
        elif "mode" in request:
            opened: List[Bench] = []
            reply = handle(request, lambda result: opened.append(Bench(request, result)))  # noqa: B023
            running = opened[0] if opened else None
        elif running is not None:
            try:
                reply = {"ns": running.block(request["model"], request["seconds"], request["runs"])}
            except Exception as error:
                reply = {"error": {"kind": "failed", "message": describe(error)}}
        else:
            reply = {"error": {"kind": "failed", "message": "no bench request came first"}}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def main(arguments: List[str]) -> int:
    end_with_parent()
    if arguments == ["--serve"]:
        serve()
        return 0
    if len(arguments) != 2:
        sys.stderr.write("usage: python_runner.py REQUEST.json RESULT.json | --serve\n")
        return 2
    request = json.loads(Path(arguments[0]).read_text())
    result = handle(request, lambda result: MODES[request["mode"]](request, result))
    write_json(Path(arguments[1]), result)
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
