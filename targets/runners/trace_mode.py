"""What a model's tensors hold while it runs: mode ``trace`` of ``python_runner.py``.

The request is one of mode ``evaluate``; each entry of ``models`` has ``tensors`` too, indices in
the main graph, and with ``delegate`` ``"none"`` none takes part. Into the entry's folder
``outputs`` goes ``<index>.npy`` for each tensor: float32 ``[items, *shape]``, dequantized per
tensor or channel. The result says which are ``written`` and which ``missing``, with a reason; and
whether the outputs are ``alike`` to the bit with those of the same file where nothing is traced
(``difference``: their largest).

LiteRT then hands its delegate (XNNPACK) one operator at a time, so that the tensors between are
real. tflite-runtime leaves the delegate out as soon as it is to keep tensors, so that its float
answers are those of other kernels: that is what ``alike`` shows; and its ADD writes over what it
reads all the same. A tensor whose memory is another's too is missing, and so is one that is not
written at all, as where operators are computed together: two runs over different contents tell.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple

import numpy as np
import python_runner

# Module of the interpreter, and which of its kernels: AUTO is what it takes when left alone.
INTERPRETERS: Dict[str, Tuple[str, str]] = {
    "litert": ("ai_edge_litert.interpreter", "AUTO"),
    "tflite-runtime": ("tflite_runtime.interpreter", "AUTO"),
    "reference": ("ai_edge_litert.interpreter", "BUILTIN_REF"),
}
# What these write is what they read, so that they may well write it in the same place.
RESHAPING = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS"}
# Of dtypes whose values are real numbers.
KINDS = "fiub"
# How many items are answered without tracing too.
CHECKED = 4


class Tracer:
    """A file in an interpreter that keeps every tensor."""

    def __init__(self, request: Dict[str, Any], path: str, items: Dict[str, Tuple[int, ...]]):
        module, kernels = INTERPRETERS[request["runtime"]]
        if request.get("delegate") == "none" and kernels == "AUTO":
            kernels = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
        self._module, self._kernels = importlib.import_module(module), kernels
        self.model = python_runner.TFLiteModel(
            self._open, path, int(request.get("threads", 1)), request.get("signature")
        )
        if self.model._graph:
            raise ValueError("only the main graph is traced, and the signature is of another one")
        self.model.fit(items)
        self._details = {d["index"]: d for d in self.interpreter.get_tensor_details()}
        self._live = self._computed()

    def _open(self, **arguments: Any) -> Any:
        with warnings.catch_warnings():
            # That to keep all tensors takes memory is known here.
            warnings.simplefilter("ignore")
            self.interpreter = self._module.Interpreter(
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=getattr(self._module.OpResolverType, self._kernels),
                **arguments,
            )
        return self.interpreter

    def invoke(self, feeds: Dict[str, Any]) -> None:
        """Run one item, from a state as at the start."""
        self.model.reset()
        self.go_on(feeds)

    def go_on(self, feeds: Dict[str, Any]) -> None:
        """Run one item, from the state that there is."""
        self.model.stage(feeds)
        self.model.invoke()

    def _computed(self) -> Set[int]:
        """Return tensors that depend on the inputs. The others lie in the file, or are computed
        once.
        """
        live = {info.index for info in self.model.inputs.values()}
        for operator in self.interpreter._get_ops_details():
            if live & {int(index) for index in operator["inputs"]}:
                live |= {int(index) for index in operator["outputs"]}
        return live

    def fill(self, index: int, value: int) -> None:
        """Put one value all over a computed tensor, where it has memory before the model runs."""
        detail = self._details.get(index)
        if detail is None or index not in self._live or np.dtype(detail["dtype"]).kind not in KINDS:
            return
        try:
            content = np.full(detail["shape"], value, detail["dtype"])
            self.interpreter.set_tensor(index, content)
        except ValueError:
            pass

    def overwritten(self) -> Dict[int, str]:
        """Return tensors in whose memory an operator that reads them puts its own result; its
        name.
        """
        writers = {}
        for operator in self.interpreter._get_ops_details():
            if operator["op_name"] in RESHAPING:
                continue
            written = {self._place(int(index)) for index in operator["outputs"]}
            for index in (int(index) for index in operator["inputs"] if index >= 0):
                if self._place(index) in written:
                    writers[index] = str(operator["op_name"])
        return writers

    def _place(self, index: int) -> Any:
        """Tell where a tensor lies in memory; something unlike all others where it does not."""
        try:
            return self.interpreter.tensor(index)().__array_interface__["data"][0]
        except ValueError:
            return object()

    def stored(self, index: int) -> Any:
        """Return a tensor as it is stored. Raises :class:`ValueError` where there is none."""
        if index not in self._details:
            raise ValueError("the runtime has no such tensor")
        try:
            value = self.interpreter.get_tensor(index)
        except ValueError as error:
            raise ValueError("the runtime keeps nothing of it") from error
        if value.dtype.kind not in KINDS:
            raise ValueError("it holds no real numbers")
        return value

    def read(self, index: int) -> Any:
        """Return a tensor's real numbers, float32: ``scale · (q - zero_point)``."""
        value = self.stored(index)
        quantization = self._details[index]["quantization_parameters"]
        scales = np.asarray(quantization["scales"], np.float32)
        if not scales.size:
            return value.astype(np.float32)
        zeros = np.asarray(quantization["zero_points"], np.float32)
        if scales.size > 1:
            along = [1] * value.ndim
            along[int(quantization["quantized_dimension"])] = scales.size
            scales = scales.reshape(along)
            zeros = zeros.reshape(along) if zeros.size > 1 else zeros
        return (value.astype(np.float32) - zeros) * scales


class Untraced:
    """The answers to the first items of an interpreter that keeps nothing."""

    def __init__(self, job: Any):
        self.alike, self.difference = True, 0.0
        self._answers: List[Dict[str, Any]] = []
        for at in range(job.start, min(job.stop, job.start + CHECKED)):
            job.model.reset()
            job.model.stage(job.item(job.model, at))
            job.model.invoke()
            self._answers.append(job.model.fetch())

    def compare(self, model: Any) -> None:
        """Take note of how the next item's answers differ."""
        if not self._answers:
            return
        fetched = model.fetch()
        for name, expected in self._answers.pop(0).items():
            if fetched[name].tobytes() == expected.tobytes():
                continue
            self.alike = False
            info = model.outputs[name]
            ours, right = (python_runner.decode(v, info) for v in (fetched[name], expected))
            if ours.shape == right.shape:
                self.difference = max(self.difference, float(np.max(np.abs(ours - right))))


def run(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Trace the request's models on its items."""
    if request["runtime"] not in INTERPRETERS:
        raise ValueError("%s does not give the tensors inside a model" % request["runtime"])
    for entry in request["models"]:
        result["running"] = {"model": entry["id"], "items": [0, 1]}
        job = python_runner.Job(request, entry)
        untraced = Untraced(job)
        missing = _missing(job, entry)
        tracer = Tracer(request, entry["path"], _items(job))
        files: Dict[int, Any] = {}
        for at in range(job.start, job.stop):
            result["running"]["items"] = [at, at + 1]
            tracer.invoke(job.item(tracer.model, at))
            untraced.compare(tracer.model)
            for index in entry["tensors"]:
                if index not in missing:
                    _keep(tracer, index, at - job.start, job, entry, files, missing)
        result["models"][entry["id"]] = {
            "items": job.stop - job.start,
            "written": sorted(files),
            "missing": {str(index): reason for index, reason in sorted(missing.items())},
            "alike": untraced.alike,
            "difference": untraced.difference,
        }
    result.pop("running", None)


def _items(job: Any) -> Dict[str, Tuple[int, ...]]:
    """Return the shapes of a request's items, by input."""
    return {name: raw.shape[1:] for name, raw in job.raw.items()}


def _keep(
    tracer: Tracer,
    index: int,
    row: int,
    job: Any,
    entry: Dict[str, Any],
    files: Dict[int, Any],
    missing: Dict[int, str],
) -> None:
    """Write a tensor of the latest item into its file."""
    value = tracer.read(index)
    path = Path(entry["outputs"]) / ("%d.npy" % index)
    if index not in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        create: Any = np.lib.format.open_memmap
        files[index] = create(path, "w+", np.float32, (job.stop - job.start,) + value.shape)
    if files[index].shape[1:] != value.shape:
        missing[index] = "its shape changes from item to item"
        del files[index]
        path.unlink()
        return
    files[index][row] = value


def _missing(job: Any, entry: Dict[str, Any]) -> Dict[int, str]:
    """Return tensors of the entry that the runtime does not keep or does not compute, and why."""
    # An interpreter of its own: what is put into its tensors must not stay in those traced.
    tracer = Tracer(job.request, entry["path"], _items(job))
    feeds = job.item(tracer.model, job.start)
    missing: Dict[int, str] = {}
    seen: List[Dict[int, bytes]] = []
    for value in (0, 1):
        tracer.model.reset()
        for index in entry["tensors"]:
            tracer.fill(index, value)
        tracer.go_on(feeds)
        seen.append({})
        for index in entry["tensors"]:
            try:
                seen[-1][index] = tracer.stored(index).tobytes()
            except ValueError as error:
                missing[index] = str(error)
    for index, operator in tracer.overwritten().items():
        if index in entry["tensors"]:
            missing[index] = "%s, which reads it, writes over it" % operator
    for index in entry["tensors"]:
        if index not in missing and seen[0][index] != seen[1][index]:
            missing[index] = "the runtime computes it together with its reader, and never keeps it"
    return missing
