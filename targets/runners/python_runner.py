"""Run models on a device: evaluate, time, self-test. Needs numpy and one runtime, nothing else.

    python python_runner.py request.json result.json     one request, then exit
    python python_runner.py --serve                      requests as JSON lines on stdin

A request names its ``mode`` (``evaluate``, ``bench``, ``selftest``), the ``runtime``, the
``models`` (``id``, ``path`` and, to evaluate, the folder ``outputs``), the ``inputs`` by name (raw
``.npy`` files, items first), and ``preprocess`` (``scale``, ``offset``). Optional: ``index`` (a
``.npy`` of the items to take), ``items`` (``[start, stop]`` of those), ``batch`` and ``processes``
(a number or ``"auto"``), ``threads``, ``reset_state``, ``core``. The result names the runtime and
its version, the phases in nanoseconds, memory in bytes, and an ``error`` with the items that were
running. Outputs are float32 ``.npy`` files, dequantized. Runs on Python 3.9 and later.

Further modes lie beside this file, one each: mode ``trace`` is ``run(request, result)`` of
``trace_mode.py``, which imports this file as ``python_runner``.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

STARTED = time.perf_counter()
# Read before the slow import below: whoever started this may be gone by then.
PARENT = os.getppid()

import numpy as np  # noqa: E402  (the clock above counts its import as start-up)

Arrays = Dict[str, Any]
HERE = Path(__file__).resolve().parent
BATCH = 32
BLOCK = 512
PROBE_ITEMS = 32


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
        self.inputs, self.outputs = self._tensors()
        if batch > 1:
            for info in self.inputs.values():
                self._interpreter.resize_tensor_input(info.index, (batch,) + info.shape[1:])
        self._interpreter.allocate_tensors()

    def _tensors(self) -> Tuple[Dict[str, TensorInfo], Dict[str, TensorInfo]]:
        signatures = self._interpreter.get_signature_list()
        if signatures:
            key = "serving_default" if "serving_default" in signatures else sorted(signatures)[0]
            runner = self._interpreter.get_signature_runner(key)
            inputs, outputs = runner.get_input_details(), runner.get_output_details()
        else:
            inputs = {d["name"]: d for d in self._interpreter.get_input_details()}
            outputs = {d["name"]: d for d in self._interpreter.get_output_details()}
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


Opener = Callable[[str, int], Any]


def import_litert() -> Opener:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise RuntimeMissing(
            "ai-edge-litert is not installed: pip install ai-edge-litert"
        ) from error
    return lambda path, threads: TFLiteModel(Interpreter, path, threads)


def import_tflite_runtime() -> Opener:
    version = runtime_version("tflite-runtime")
    # Built against numpy 1: with numpy 2 it imports, then every interpreter fails.
    if version and int(np.__version__.split(".")[0]) >= 2:
        raise RuntimeMissing(
            "tflite-runtime %s needs numpy below 2, here is numpy %s: pip install 'numpy<2'"
            % (version, np.__version__)
        )
    try:
        from tflite_runtime.interpreter import Interpreter
    except ImportError as error:
        raise RuntimeMissing(
            "tflite-runtime is not installed: pip install tflite-runtime 'numpy<2'"
            " (its wheels end at Python 3.11)"
        ) from error
    return lambda path, threads: TFLiteModel(Interpreter, path, threads)


# How to import each runtime, and the distribution that carries it.
RUNTIMES: Dict[str, Tuple[Callable[[], Opener], str]] = {
    "litert": (import_litert, "ai-edge-litert"),
    "tflite-runtime": (import_tflite_runtime, "tflite-runtime"),
}


def runtime_version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def encode(raw: Any, info: TensorInfo, preprocess: Dict[str, float]) -> Any:
    """Raw items to what the input takes: ``x * scale + offset`` in float32, then quantized."""
    scale, offset = preprocess.get("scale", 1.0), preprocess.get("offset", 0.0)
    # 256 possible values: computing each once is several times faster, and equal to the bit.
    if raw.dtype == np.uint8 and raw.size > 4096 and info.dtype != np.uint8:
        return encode(np.arange(256, dtype=np.uint8).astype(np.int16), info, preprocess)[raw]
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
        self.request, self.id = request, model["id"]
        opener = RUNTIMES[request["runtime"]][0]()
        self.baseline = peak_memory()
        begin = time.perf_counter_ns()
        self.model = opener(model["path"], int(request.get("threads", 1)))
        self.load_ns = time.perf_counter_ns() - begin
        self.preprocess = request.get("preprocess", {})
        self.raw = {n: np.load(p, mmap_mode="r") for n, p in request["inputs"].items()}
        if set(self.raw) != set(self.model.inputs):
            raise ValueError(
                "the model's inputs are %s, the request has %s"
                % (sorted(self.model.inputs), sorted(self.raw))
            )
        count = len(next(iter(self.raw.values())))
        index = request.get("index")
        self.index = np.load(index, mmap_mode="r") if index else np.arange(count)
        self.start, self.stop = self._range(request.get("items"))

    def _range(self, items: Optional[List[int]]) -> Tuple[int, int]:
        return (items[0], items[1]) if items else (0, len(self.index))

    def feeds(self, model: Any, start: int, stop: int) -> Arrays:
        """Items ``start`` to ``stop`` as the model takes them."""
        chosen = self.index[start:stop]
        feeds = {}
        for name, raw in self.raw.items():
            info = model.inputs[name]
            encoded = encode(np.asarray(raw[chosen]), info, self.preprocess)
            feeds[name] = np.ascontiguousarray(encoded.reshape((len(chosen),) + info.shape[1:]))
        return feeds

    def first(self) -> Tuple[int, Dict[str, int]]:
        """The first inference's nanoseconds, and memory over the baseline once it has run."""
        self.model.stage(self.feeds(self.model, self.start, self.start + 1))
        begin = time.perf_counter_ns()
        self.model.invoke()
        elapsed = time.perf_counter_ns() - begin
        self.model.fetch()
        return elapsed, {"baseline_bytes": self.baseline, "peak_bytes": peak_memory()}


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


def choose_batch(job: Job) -> Tuple[Any, float]:
    """The model at the batch size that is fastest *and answers alike*; its seconds per item.

    A size that was asked for is taken where it answers alike, whatever its speed.
    """
    count = min(PROBE_ITEMS, job.stop - job.start)
    single = job.feeds(job.model, job.start, job.start + count)
    expected, single_time = _timed(lambda: run_items(job, job.model, single, count))
    wanted = job.request.get("batch", "auto")
    sizes = [] if job.request.get("reset_state") or count < BATCH else [BATCH]
    if wanted != "auto":
        sizes = [int(wanted)] if int(wanted) > 1 else []
    for size in sizes:
        try:
            batched = job.model.with_batch(size)
            answers, seconds = _timed(lambda: run_items(job, batched, single, count))  # noqa: B023
        except Exception:  # noqa: S112  (any refusal means: not at this batch size)
            continue
        quick = seconds < single_time or wanted != "auto"
        if quick and _alike(answers, expected, job.model.outputs):
            return batched, seconds / count
    return job.model, single_time / count


def _timed(action: Callable[[], Any]) -> Tuple[Any, float]:
    action()
    begin = time.perf_counter()
    answer = action()
    return answer, max(time.perf_counter() - begin, 1e-9)


def _alike(left: Arrays, right: Arrays, outputs: Dict[str, TensorInfo]) -> bool:
    for name, info in outputs.items():
        if left[name].shape != right[name].shape:
            return False
        scale = float(np.max(np.abs(right[name]), initial=0.0))
        tolerance = 0.0 if info.scale else 1e-5 * max(scale, 1e-6)
        if not np.allclose(left[name], right[name], rtol=0.0, atol=tolerance, equal_nan=True):
            return False
    return True


def evaluate(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Outputs of every item, written block by block; split over processes where that pays."""
    for entry in request["models"]:
        result["running"] = {"model": entry["id"], "items": [0, 1]}
        job = Job(request, entry)
        first_ns, memory = job.first()
        model, seconds = choose_batch(job)
        stop, children = split(request, entry, job, model, seconds)
        folder = Path(entry["outputs"])
        files = _output_files(folder, job, model)
        begin = time.perf_counter()
        for at in range(job.start, stop, BLOCK):
            end = min(at + BLOCK, stop)
            result["running"]["items"] = [at, end]
            write_json(folder / ("progress-%d.json" % job.start), {"items": [at, end]})
            answers = run_items(job, model, job.feeds(model, at, end), end - at)
            for name, value in answers.items():
                files[name][at:end] = value
        for file in files.values():
            file.flush()
        for child in children:
            if child.wait() != 0:
                raise RuntimeError(
                    "a second process of the runner ended with %d" % child.returncode
                )
        result["models"][entry["id"]] = {
            "load_ns": job.load_ns,
            "first_ns": first_ns,
            "memory": memory,
            "batch": model.batch,
            "processes": 1 + len(children),
            "items": job.stop - job.start,
            "seconds": time.perf_counter() - begin,
        }
    result.pop("running", None)


def _output_files(folder: Path, job: Job, model: Any) -> Dict[str, Any]:
    """Memory-mapped outputs, preallocated once by the process that starts at item 0."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = run_items(job, model, job.feeds(model, job.start, job.start + 1), 1)
    files = {}
    for name, value in sample.items():
        path = folder / ("%s.npy" % file_name(name))
        if job.request.get("part"):
            files[name] = np.load(path, mmap_mode="r+")
        else:
            shape = (job.stop,) + value.shape[1:]
            files[name] = _create(path, shape)
    return files


def _create(path: Path, shape: Tuple[int, ...]) -> Any:
    create: Any = np.lib.format.open_memmap
    return create(path, "w+", np.float32, shape)


def file_name(tensor: str) -> str:
    """A tensor's name as a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in tensor)


def split(
    request: Dict[str, Any], entry: Dict[str, Any], job: Job, model: Any, seconds: float
) -> Tuple[int, List[Any]]:
    """Hand shares of the items to further processes; where this process's own share ends.

    A process costs its start-up, so it is used only where the job is several times longer.
    """
    count = job.stop - job.start
    startup = time.perf_counter() - STARTED + 0.1
    wanted = request.get("processes", "auto")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    processes = available if wanted == "auto" else int(wanted)
    if wanted == "auto" and seconds * count < 4 * startup:
        processes = 1
    if processes < 2 or count < 2 * processes or request.get("part"):
        return job.stop, []
    late = min(startup / seconds, count / 2) if wanted == "auto" else 0.0
    share = max(1, int((count - late) / processes))
    starts = [job.stop - share * k for k in range(processes - 1, 0, -1)]
    children = []
    _output_files(Path(entry["outputs"]), job, model)
    for start in starts:
        part = dict(
            request,
            models=[entry],
            items=[start, start + share],
            part=True,
            batch=model.batch,
            processes=1,
        )
        path = Path(entry["outputs"]) / ("part-%d.json" % start)
        write_json(path, part)
        command = [sys.executable, sys.argv[0], str(path), str(path.with_suffix(".result.json"))]
        children.append(subprocess.Popen(command, stdout=sys.stderr))
    return starts[0], children


class Bench:
    """Models kept loaded and timed in blocks, so that several can take turns."""

    def __init__(self, request: Dict[str, Any], result: Dict[str, Any]):
        pin(request.get("core"))
        self._jobs: Dict[str, Tuple[Job, List[Arrays], List[int]]] = {}
        for entry in request["models"]:
            result["running"] = {"model": entry["id"], "items": [0, 1]}
            job = Job(request, entry)
            first_ns, memory = job.first()
            staged = [
                job.feeds(job.model, i, i + 1)
                for i in range(job.start, min(job.start + PROBE_ITEMS, job.stop))
            ]
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
        answers = run_items(job, job.model, job.feeds(job.model, job.start, job.stop), count)
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
    file = "%s_mode" % name
    if name in MODES or not name.isidentifier() or not (HERE / (file + ".py")).is_file():
        return
    # Run as a script, this file is __main__: the mode must not load it a second time.
    sys.modules.setdefault("python_runner", sys.modules[__name__])
    MODES[name] = importlib.import_module(file).run


def peak_memory() -> int:
    """Peak resident bytes of this process; 0 where the system does not tell.

    ``VmHWM``, not ``getrusage``: the latter keeps the parent's peak across fork and exec.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
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
