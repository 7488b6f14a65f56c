"""Mode ``answer``: a model that stays loaded answers inputs as they come, over standard input.

The first line is a request as ``python_runner.py`` has it, with one model; ``inputs`` may be left
out. Its answer says what the model takes and gives: ``inputs`` and ``outputs`` by name, each with
``shape`` (``null`` is a free dimension, items first), ``dtype`` and whether it is ``quantized``.
Then each question is a JSON line and the bytes after it:

    {"raw": false, "inputs": {"x": ["float32", [2, 4]]}}    and 32 bytes

With ``raw`` the request's ``preprocess`` is applied; without it, values are what the model takes,
before they are quantized. The answer is likewise a line, and float32 values in its order:

    {"ns": 12345, "outputs": {"y": [2, 10]}}    and 80 bytes

or ``{"error": {"kind", "message"}}``, of kind ``refused`` where the model does not take such items,
and ``failed`` where it could not run them. Items are run one by one, or in the batch of the file.
"""

from __future__ import annotations

import json
import time
from typing import Any, BinaryIO, Dict, List, Optional, Tuple

import numpy as np
import python_runner


class Refused(Exception):
    """The model does not take items of such shapes."""


class Answering(python_runner.Job):  # type: ignore[misc]
    """A model opened for inputs that are yet to come."""

    request: Dict[str, Any]
    raw: Dict[str, Any]

    def __init__(self, request: Dict[str, Any], result: Dict[str, Any]):
        if len(request["models"]) != 1:
            raise ValueError("mode answer takes one model")
        self._shapes: Optional[Dict[str, Tuple[int, ...]]] = None
        super().__init__({"inputs": {}, **request}, request["models"][0])
        if getattr(self.model, "renews", False):
            # What one client's items leave behind is not for the next one's.
            self.request = {**self.request, "reset_state": True}
        first_ns, memory = self.first() if self._runs_blind(request) else (0, {})
        result["models"][self.id] = {
            "load_ns": self.load_ns,
            "first_ns": first_ns,
            "memory": memory,
            "inputs": {n: described(i) for n, i in self.model.inputs.items()},
            "outputs": {n: described(i) for n, i in self.model.outputs.items()},
        }

    def _runs_blind(self, request: Dict[str, Any]) -> bool:
        """Tell whether an inference can be tried before the first question."""
        if request.get("inputs"):
            return True
        return not any(axis for info in self.model.inputs.values() for axis in info.free)

    def fitted(self, model: Any) -> Any:
        """Return the model, taking one item of zeros where the request has no items."""
        if not model.inputs:
            raise ValueError("the model has no inputs: there is nothing to ask it")
        if not self.raw:
            items = {n: i for n, i in model.inputs.items() if n not in self.states}
            self.raw = {n: np.zeros((1,) + i.item, i.dtype) for n, i in items.items()}
        return super().fitted(model)

    def answer(self, question: Dict[str, Any], payload: bytes) -> Tuple[int, Dict[str, Any]]:
        """Return the nanoseconds that the items took, and the outputs by name, in float32."""
        arrays = unpacked(question["inputs"], payload)
        shapes = {name: value.shape[1:] for name, value in arrays.items()}
        if set(shapes) != set(self.model.inputs):
            raise Refused("the model's inputs are %s" % sorted(self.model.inputs))
        if shapes != self._shapes:
            self._shapes = None
            try:
                self.model.fit(shapes)
            except (ValueError, RuntimeError) as error:
                raise Refused(python_runner.describe(error)) from error
            self._shapes = shapes
        preprocess = self.preprocess if question.get("raw") else {}
        count, feeds = 0, {}
        for name, value in arrays.items():
            info, count = self.model.inputs[name], len(value)
            encoded = python_runner.encode(value, info, preprocess)
            feeds[name] = np.ascontiguousarray(encoded.reshape((count,) + info.item))
        begin = time.perf_counter_ns()
        answers = python_runner.run_items(self, self.model, feeds, count)
        return time.perf_counter_ns() - begin, answers


def described(info: Any) -> Dict[str, Any]:
    """Return what a client must know of an input or output."""
    sizes = [None if axis in info.free else int(size) for axis, size in enumerate(info.shape)]
    return {"shape": sizes, "dtype": info.dtype.name, "quantized": bool(info.scale)}


def unpacked(told: Dict[str, Any], payload: bytes) -> Dict[str, Any]:
    """Return the arrays of a question."""
    arrays, at = {}, 0
    for name, (dtype, shape) in told.items():
        size = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(payload, dtype, size, at).reshape(shape)
        at += arrays[name].nbytes
    return arrays


def payload_bytes(told: Dict[str, Any]) -> int:
    """Tell how many bytes follow a question."""
    return sum(
        int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        for dtype, shape in told.values()
    )


def serve(request: Dict[str, Any], source: BinaryIO, sink: BinaryIO) -> None:
    """Open the model of a request, then answer until the source ends."""
    opened: List[Answering] = []
    reply = python_runner.handle(request, lambda result: opened.append(Answering(request, result)))
    send(sink, reply, {})
    for line in iter(source.readline, b"") if opened else ():
        question = json.loads(line)
        payload = source.read(payload_bytes(question["inputs"]))
        try:
            ns, answers = opened[0].answer(question, payload)
        except Exception as error:
            kind = "refused" if isinstance(error, Refused) else "failed"
            send(sink, {"error": {"kind": kind, "message": python_runner.describe(error)}}, {})
        else:
            send(sink, {"ns": ns, "outputs": {n: v.shape for n, v in answers.items()}}, answers)


def send(sink: BinaryIO, told: Dict[str, Any], arrays: Dict[str, Any]) -> None:
    """Write a line, and the bytes of arrays after it."""
    parts = [json.dumps(told).encode() + b"\n"]
    parts += [np.ascontiguousarray(value).tobytes() for value in arrays.values()]
    sink.write(b"".join(parts))
    sink.flush()


def run(*_: Any) -> None:
    """Refuse a request that is not answered over standard input."""
    raise ValueError("mode answer is for a runner that is started with --serve")
