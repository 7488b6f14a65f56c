"""Run models on a device: evaluate, time, self-test. Needs numpy and one runtime, nothing else.

    python python_runner.py request.json result.json     one request, then exit
    python python_runner.py --serve                      requests as JSON lines on stdin

A request names its ``mode`` (``evaluate``, ``bench``, ``selftest``), the ``runtime``, the
``models`` (``id``, ``path`` and, to evaluate, the folder ``outputs``), the ``inputs`` by name (raw
``.npy`` files, items first), and ``preprocess`` (``scale``, ``offset``). Optional: ``delegate``
(one of ``DELEGATES``; its first is the default), ``threads`` (a number; to evaluate also
``"auto"``), ``index`` (a ``.npy`` of the items to take), ``items`` (``[start, stop]`` of those),
``batch`` and ``processes`` (a number or ``"auto"``), ``block`` (items between two records of
progress), ``reset_state``, ``core``. The result names the runtime, its version and delegate, the
phases in nanoseconds, memory in bytes, and an ``error`` with the items that were ``running``: where
an exception came of one item, exactly that one. Outputs are float32 ``.npy`` files, dequantized.
Runs on Python 3.9 and later.

To evaluate, ``progress-*.json`` in the folder ``outputs`` has the ``items`` that are running. A
crash leaves it: the same request on those items with ``batch`` 1, ``processes`` 1 and ``block`` 1
leaves the one item. ``finished-*`` in the same folder has a line for every block whose outputs are
written: ``[start, stop]``.

Further modes lie beside this file, one each: mode ``trace`` is ``run(request, result)`` of
``trace_mode.py``, which imports this file as ``python_runner``. ``throughput.py`` beside it chooses
batch, threads and processes; without it, there is one of each.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
import threading
import time
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


class RuntimeMissing(Exception):
    """The runtime is not installed here, or cannot work with what is."""


class TensorInfo:
    """One input or output: shape, dtype, and quantization (scale 0.0 where there is none)."""

    def __init__(self, index: int, shape: Tuple[int, ...], dtype: Any, scale: float, zero: int):
        self.index, self.shape, self.dtype = index, shape, np.dtype(dtype)
        self.scale, self.zero = scale, zero


class TFLiteModel:
    """A ``.tflite`` file in an interpreter, its inputs and outputs keyed by signature name."""

    def __init__(self, interpreter: Callable[..., Any], path: str, threads: int, batch: int = 1):
        self.batch = batch
        self._source = (interpreter, path, threads)
        self._interpreter = interpreter(model_path=path, num_threads=threads)
        self.inputs, self.outputs = self.tensors(self._interpreter)
        if batch > 1:
            for info in self.inputs.values():
                self._interpreter.resize_tensor_input(info.index, (batch,) + info.shape[1:])
        self._interpreter.allocate_tensors()

    @staticmethod
    def tensors(interpreter: Any) -> Tuple[Dict[str, TensorInfo], Dict[str, TensorInfo]]:
        """Inputs and outputs of an interpreter, by the names of its signature or its tensors."""
        signatures = interpreter.get_signature_list()
        if signatures:
            key = "serving_default" if "serving_default" in signatures else sorted(signatures)[0]
            runner = interpreter.get_signature_runner(key)
            inputs, outputs = runner.get_input_details(), runner.get_output_details()
        else:
            inputs = {d["name"]: d for d in interpreter.get_input_details()}
            outputs = {d["name"]: d for d in interpreter.get_output_details()}
        return _infos(inputs), _infos(outputs)

    def with_batch(self, batch: int) -> "TFLiteModel":
        return self if batch == self.batch else TFLiteModel(*self._source, batch)

    def stage(self, feeds: Arrays) -> None:
        for name, value in feeds.items():
            self._interpreter.set_tensor(self.inputs[name].index, value)

    def invoke(self) -> None:
        self._interpreter.invoke()

    def fetch(self) -> Arrays:
        return {n: self._interpreter.get_tensor(info.index) for n, info in self.outputs.items()}

    def reset(self) -> None:
        self._interpreter.reset_all_variables()


def _infos(details: Dict[str, Any]) -> Dict[str, TensorInfo]:
    infos = {}
    for name, d in details.items():
        scale, zero = d["quantization"]
        shape = tuple(int(s) for s in d["shape"])
        infos[name] = TensorInfo(int(d["index"]), shape, d["dtype"], float(scale), int(zero))
    return infos


# Path and threads; and the delegate, for a runtime of ``DELEGATES``.
Opener = Callable[..., Any]


def tflite_opener(module: Any) -> Opener:
    """How a module with TensorFlow Lite's interpreter opens a file, with a delegate or without."""

    def open_file(path: str, threads: int, delegate: str = "xnnpack") -> TFLiteModel:
        interpreter = module.Interpreter
        if delegate == "none":
            kinds: Any = getattr(module, "OpResolverType", None)
            if not hasattr(kinds, "BUILTIN_WITHOUT_DEFAULT_DELEGATES"):
                raise ValueError("this release cannot leave out its delegate: no delegate 'none'")
            kind = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            interpreter = partial(interpreter, experimental_op_resolver_type=kind)
        return TFLiteModel(interpreter, path, threads)

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
    """The delegate of a request; an error where its runtime does not have it."""
    known = DELEGATES.get(request["runtime"], ("none",))
    wanted = request.get("delegate", known[0])
    if wanted not in known:
        raise ValueError(
            "%s has no delegate %r, only %s" % (request["runtime"], wanted, ", ".join(known))
        )
    return str(wanted)


def chosen_threads(request: Dict[str, Any]) -> int:
    """The threads of a request; one where they are for ``throughput.py`` to choose."""
    wanted = request.get("threads", 1)
    if wanted == "auto" and request["mode"] == "evaluate":
        return 1
    # bool is an int to Python.
    if type(wanted) is not int or wanted < 0:
        raise ValueError("threads %r is no number of threads" % (wanted,))
    return wanted


def runtime_version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def encode(raw: Any, info: TensorInfo, preprocess: Dict[str, float]) -> Any:
    """Raw items to what the input takes: ``x * scale + offset`` in float32, then quantized."""
    scale, offset = preprocess.get("scale", 1.0), preprocess.get("offset", 0.0)
    # 256 possible values: quantizing each once is twice as fast, and equal to the bit.
    if raw.dtype == np.uint8 and raw.size > 4096 and info.scale:
        table = encode(np.arange(256, dtype=np.int16), info, preprocess)
        return np.take(table, raw)
    if (scale, offset) == (1.0, 0.0) and not info.scale:
        return raw.astype(info.dtype, copy=False)
    real = raw.astype(np.float32) * np.float32(scale) + np.float32(offset)
    if not info.scale:
        return real.astype(info.dtype, copy=False)
    limits = np.iinfo(info.dtype)
    quantized = np.rint(real / np.float32(info.scale)) + info.zero
    return np.clip(quantized, limits.min, limits.max).astype(info.dtype)


def decode(value: Any, info: TensorInfo) -> Any:
    """An output as float32, dequantized: ``(q - zero_point) * scale``."""
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
        self.open: Callable[[int], Any] = lambda threads: opener(
            model["path"], threads, *delegate, **options
        )
        self.baseline = peak_memory()
        begin = time.perf_counter_ns()
        self.model = self.open(self.threads)
        # A runner may do more to open a model than its runtime does.
        self.load_ns = getattr(self.model, "load_ns", time.perf_counter_ns() - begin)
        self.preprocess = request.get("preprocess", {})
        self.raw = {n: np.load(p, mmap_mode="r") for n, p in request["inputs"].items()}
        if set(self.raw) != set(self.model.inputs):
            raise ValueError(
                "the model's inputs are %s, the request has %s"
                % (sorted(self.model.inputs), sorted(self.raw))
            )
        index = request.get("index")
        self.index = np.load(index, mmap_mode="r") if index else None
        count = len(next(iter(self.raw.values())) if self.index is None else self.index)
        items: List[int] = request.get("items") or [0, count]
        self.start, self.stop = items[0], items[1]
        # What starting another process of this runner costs.
        self.startup = STARTUP + time.perf_counter() - opening

    def feeds(self, model: Any, start: int, stop: int) -> Arrays:
        """Items ``start`` to ``stop`` as the model takes them."""
        chosen = slice(start, stop) if self.index is None else self.index[start:stop]
        feeds = {}
        for name, raw in self.raw.items():
            info = model.inputs[name]
            encoded = encode(np.asarray(raw[chosen]), info, self.preprocess)
            feeds[name] = np.ascontiguousarray(encoded.reshape((stop - start,) + info.shape[1:]))
        return feeds

    def answers(self, model: Any, start: int, stop: int) -> Arrays:
        """Outputs (float32) of items ``start`` to ``stop``."""
        return run_items(self, model, self.feeds(model, start, stop), stop - start)

    def batch_at(self, item: int) -> Arrays:
        """One batch of the model, from ``item`` on; the last items repeat where there are few."""
        size = self.model.batch
        feeds = self.feeds(self.model, item, min(item + size, self.stop))
        return {n: np.resize(v, (size,) + v.shape[1:]) for n, v in feeds.items()}

    def first(self) -> Tuple[int, Dict[str, int]]:
        """The first inference's nanoseconds, and memory over the baseline once it has run."""
        self.model.stage(self.batch_at(self.start))
        begin = time.perf_counter_ns()
        self.model.invoke()
        elapsed = time.perf_counter_ns() - begin
        self.model.fetch()
        return elapsed, {"baseline_bytes": self.baseline, "peak_bytes": peak_memory()}

    def block(self, model: Any, seconds: float) -> int:
        """How many items to run between two records of progress, at ``seconds`` an item."""
        if "block" in self.request:
            return max(1, int(self.request["block"]))
        held = sum(i.dtype.itemsize * int(np.prod(i.shape[1:])) for i in model.inputs.values())
        limits = BLOCK_ITEMS, BLOCK_BYTES // max(held, 1), BLOCK_SECONDS / seconds
        size, batch = int(min(limits)), int(model.batch)
        return max(batch, size - size % batch)


def run_items(job: Job, model: Any, feeds: Arrays, count: int) -> Arrays:
    """Outputs (float32) of ``count`` staged items, in batches of the model's own size."""
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
        if reset:
            model.reset()
        model.stage(batch)
        model.invoke()
        for name, value in model.fetch().items():
            if value.ndim and len(value) != model.batch:
                # Cut to the items, it would lose values without a word.
                raise ValueError(
                    "output %r is shaped %s: its first dimension is not the batch of %d"
                    % (name, list(value.shape), model.batch)
                )
            parts[name].append(value[:took] if value.ndim else value[None])
    return {n: decode(np.concatenate(p), model.outputs[n]) for n, p in parts.items()}


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
        self.model, self.threads, self.processes, self.block = job.model, job.threads, 1, 1

    def prepare(self, first: float) -> None:
        """Settle on a model and a block's size; the first inference took ``first`` seconds."""
        self.block = self.job.block(self.model, first)

    def start(self) -> None:
        """Have whoever helps begin."""

    def blocks(self) -> Iterator[Tuple[int, int]]:
        """The blocks of items that are this process's to run."""
        for at in range(self.job.start, self.job.stop, self.block):
            yield at, min(at + self.block, self.job.stop)

    def finish(self) -> None:
        """Wait for whoever helps."""

    def close(self) -> None:
        """End whoever still helps."""


def evaluate(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Outputs of every item, written block by block; split over processes where that pays."""
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
    """All items through one model; what the result says of it."""
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
        crew.start()
        for at, end in crew.blocks():
            progress(at, end)
            answers = run_items(job, model, job.feeds(model, at, end), end - at)
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


def _output_files(folder: Path, job: Job) -> Dict[str, Any]:
    """Memory-mapped outputs, preallocated once by the process that was started first."""
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
    """A tensor's name as a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in tensor)


class Bench:
    """Models kept loaded and timed in blocks, so that several can take turns."""

    def __init__(self, request: Dict[str, Any], result: Dict[str, Any]):
        pin(request.get("core"))
        self._jobs: Dict[str, Tuple[Job, List[Arrays], List[int]]] = {}
        for entry in request["models"]:
            result["running"] = {"model": entry["id"], "items": [0, 1]}
            job = Job(request, entry)
            job.model = job.model.with_batch(int(request.get("batch", 1)))
            first_ns, memory = job.first()
            staged = [job.batch_at(i) for i in range(job.start, min(job.start + STAGED, job.stop))]
            self._jobs[entry["id"]] = (job, staged, [0])
            result["models"][entry["id"]] = {
                "load_ns": job.load_ns,
                "first_ns": first_ns,
                "memory": memory,
            }
        result.pop("running", None)

    def block(self, model: str, seconds: float, runs: int) -> List[int]:
        """Nanoseconds of each inference: at least ``runs`` of them and at least ``seconds``."""
        job, staged, turn = self._jobs[model]
        target, clock = job.model, time.perf_counter_ns
        samples: List[int] = []
        end = clock() + int(seconds * 1e9)
        while len(samples) < runs or clock() < end:
            if job.request.get("reset_state"):
                target.reset()
            target.stage(staged[turn[0] % len(staged)])
            turn[0] += 1
            begin = clock()
            target.invoke()
            samples.append(clock() - begin)
        return samples


def bench(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Warm up, then time the request's models in alternating blocks."""
    running = Bench(request, result)
    ids = [entry["id"] for entry in request["models"]]
    warmup, stop = request.get("warmup", {}), request.get("stop", {})
    for name in ids:
        running.block(name, warmup.get("seconds", 0.2), warmup.get("runs", 10))
    blocks: Dict[str, List[List[int]]] = {name: [] for name in ids}
    for turn in range(stop.get("blocks", 10)):
        for name in ids if turn % 2 == 0 else ids[::-1]:
            blocks[name].append(running.block(name, stop.get("seconds", 0.05), stop.get("runs", 5)))
    for name in ids:
        result["models"][name]["blocks_ns"] = blocks[name]


def selftest(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Golden inputs through the model, against golden outputs, within a tolerance per output."""
    for entry in request["models"]:
        job = Job(request, entry)
        count = job.stop - job.start
        answers = job.answers(job.model, job.start, job.stop)
        if not request["golden"]:
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
        result["models"][entry["id"]] = {
            "items": count,
            "passed": passed,
            "differences": differences,
        }


Mode = Callable[[Dict[str, Any], Dict[str, Any]], None]
MODES: Dict[str, Mode] = {"evaluate": evaluate, "bench": bench, "selftest": selftest}


def add_mode(name: str) -> None:
    """Load a mode that lies beside this file, where there is one."""
    module = beside("%s_mode" % name) if name not in MODES and name.isidentifier() else None
    if module:
        MODES[name] = module.run


def beside(name: str) -> Any:
    """The module in a file beside this one; None where there is no such file."""
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
    """Peak resident bytes of this process; 0 where the system does not tell.

    ``VmHWM``, not ``getrusage``: the latter keeps the parent's peak across fork and exec.
    """
    return process_status("VmHWM:")


def anonymous_memory() -> int:
    """Resident bytes of this process that are of no file; 0 where the system does not tell."""
    return process_status("RssAnon:")


def process_status(field: str) -> int:
    """Bytes of a field of ``/proc/self/status`` (proc(5))."""
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
    """What this device is."""
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
    """The result of a request; an error is part of it, never an exception."""
    result: Dict[str, Any] = {"schema": 1, "models": {}}
    try:
        result = new_result(request)
        action(result)
    except Exception as error:
        kind = "runtime-missing" if isinstance(error, RuntimeMissing) else "failed"
        result["error"] = {"kind": kind, "message": describe(error)}
    return result


def describe(error: Exception) -> str:
    """An error in words. A KeyError's own text is only the key."""
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
    """Answer JSON lines: first a bench request, then ``{"model", "seconds", "runs"}`` blocks."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a runtime that prints must not break the protocol
    running: Optional[Bench] = None
    for line in sys.stdin:
        request = json.loads(line)
        if "mode" in request:
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
