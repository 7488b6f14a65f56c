"""LiteRT's CompiledModel as a runtime: python_runner.py's protocol over that API, on the CPU.

Same command line and requests as ``python_runner.py``, which must lie beside this file. What
CompiledModel was seen to answer with whatever lay in memory (ai-edge-litert 2.3.0) is refused by
name: an output that is an input too, and an output whose shape follows the values. So is what its
buffers cannot hold: 16-bit and 64-bit integers. It refuses models with variable tensors; where
resource variables keep state, a reset makes the model anew.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from math import prod
from typing import Any

import numpy as np
import python_runner
from python_runner import Arrays, RuntimeMissing, TensorInfo, TFLiteModel

DTYPES = ("float32", "float16", "int32", "int8", "uint8", "bool")
STATEFUL = "it takes no stateful model: runtime litert does"


class Refused(Exception):
    """CompiledModel cannot run the model, or would answer wrongly without a word."""


class CompiledModel:
    """A ``.tflite`` file in a CompiledModel, its inputs and outputs keyed by signature name."""

    def __init__(
        self, api: Any, path: str, threads: int, delegate: str, signature: str | None = None
    ) -> None:
        self.batch = 1
        self._source = (api, path, threads, delegate, signature)
        self.renews = python_runner.assigns_resources(path)
        self.inputs, self.outputs = examined(path, signature)
        begin = time.perf_counter_ns()
        self._model = self._compiled()
        # The examination above is not the runtime's.
        self.load_ns = time.perf_counter_ns() - begin
        names = sorted(self._model.get_signature_list())
        self._key = python_runner.chosen_signature(names, signature) or ""

    def fit(self, items: dict[str, tuple[int, ...]]) -> None:
        """Take items of these shapes, by input."""
        begin = time.perf_counter_ns()
        self._buffers(*python_runner.fit(self.inputs, items))
        self.load_ns += time.perf_counter_ns() - begin

    def _buffers(self, infos: dict[str, TensorInfo], batch: int) -> None:
        key = self._key
        for name, info in infos.items():
            if info.shape != self.inputs[name].shape:
                self._model.resize_input_tensor_by_name(key, name, info.shape, strict=False)
        self.inputs, self.batch = infos, batch
        create, receive = (
            self._model.create_input_buffer_by_name,
            self._model.create_output_buffer_by_name,
        )
        self._feeds = {name: create(key, name) for name in self.inputs}
        self._answers = {name: receive(key, name) for name in self.outputs}
        self._shapes: dict[str, tuple[int, ...]] = {
            name: tuple(row["shape"])
            for name, row in self._model.get_output_tensor_details(key).items()
        }

    def _compiled(self) -> Any:
        api, path, threads, delegate, _ = self._source
        kinds = api.CpuKernelMode
        kind = kinds.BUILTIN if delegate == "none" else kinds.XNNPACK
        cpu = api.CpuOptions(num_threads=threads, kernel_mode=kind)
        try:
            return api.CompiledModel.from_file(path, options=api.Options(cpu_options=cpu))
        except RuntimeError as error:
            raise Refused(
                "CompiledModel: %s (%s)" % (str(error).splitlines()[0], STATEFUL)
            ) from error

    def with_batch(self, batch: int) -> CompiledModel:
        if batch == self.batch:
            return self
        python_runner.check_batch(self.inputs, self.batch, batch)
        other = CompiledModel(*self._source)
        other._buffers({name: info.shaped(batch) for name, info in self.inputs.items()}, batch)
        return other

    def stage(self, feeds: Arrays) -> None:
        for name, value in feeds.items():
            # A shorter array would leave the rest of the buffer as it was: then this fails.
            self._feeds[name].write(np.ascontiguousarray(value.reshape(self.inputs[name].shape)))

    def invoke(self) -> None:
        self._model.run_by_name(self._key, self._feeds, self._answers)

    def fetch(self) -> Arrays:
        return {
            name: buffer.read(prod(self._shapes[name]), self.outputs[name].dtype).reshape(
                self._shapes[name]
            )
            for name, buffer in self._answers.items()
        }

    def reset(self) -> None:
        """Have the state as it was at the start."""
        if self.renews:
            infos = self.inputs
            self._model = self._compiled()
            self.inputs, _ = examined(self._source[1], self._source[4])
            self._buffers(infos, self.batch)


def examined(
    path: str, signature: str | None = None
) -> tuple[dict[str, TensorInfo], dict[str, TensorInfo]]:
    """Return inputs and outputs as LiteRT's interpreter tells them: CompiledModel tells no
    quantization.

    Raises :class:`Refused` where CompiledModel's answers could not be trusted.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(path, experimental_op_resolver_type=plain)
    inputs, outputs, graph = TFLiteModel.tensors(interpreter, signature)
    if graph:
        return inputs, outputs
    for name, info in {**inputs, **outputs}.items():
        if info.dtype.name not in DTYPES:
            raise Refused("CompiledModel: %r is %s, which it cannot hold" % (name, info.dtype.name))
    fed = {info.index for info in inputs.values()}
    interpreter.allocate_tensors()
    for name, info in outputs.items():
        if info.index in fed:
            raise Refused("CompiledModel: output %r is an input too, and is never written" % name)
        try:
            interpreter.get_tensor(info.index)
        except ValueError as error:
            message = "CompiledModel: the shape of output %r follows the values of the inputs"
            raise Refused(message % name) from error
    return inputs, outputs


def import_compiled_model() -> python_runner.Opener:
    try:
        from ai_edge_litert import compiled_model
    except ImportError as error:
        raise RuntimeMissing(
            "ai-edge-litert is not installed, or before its CompiledModel: pip install"
            " 'ai-edge-litert>=2'"
        ) from error
    return partial(CompiledModel, compiled_model)


python_runner.RUNTIMES["compiled-model"] = (import_compiled_model, "ai-edge-litert")
python_runner.DELEGATES["compiled-model"] = ("xnnpack", "none")

if __name__ == "__main__":
    sys.exit(python_runner.main(sys.argv[1:]))
