"""LiteRT's CompiledModel as a runtime: python_runner.py's protocol over that API, on the CPU.

Same command line and requests as ``python_runner.py``, which must lie beside this file. What
CompiledModel was seen to answer with whatever lay in memory (ai-edge-litert 2.3.0) is refused by
name: an output that is an input too, and an output whose shape follows the values. So is what its
buffers cannot hold: 16-bit and 64-bit integers. It keeps no state, and refuses models that do.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from math import prod
from typing import Any

import python_runner
from python_runner import Arrays, RuntimeMissing, TensorInfo, TFLiteModel

DTYPES = ("float32", "float16", "int32", "int8", "uint8", "bool")
STATEFUL = "it takes no stateful model: runtime litert does"


class Refused(Exception):
    """CompiledModel cannot run the model, or would answer wrongly without a word."""


class CompiledModel:
    """A ``.tflite`` file in a CompiledModel, its inputs and outputs keyed by signature name."""

    def __init__(self, api: Any, path: str, threads: int, delegate: str, batch: int = 1) -> None:
        self.batch = batch
        self._source = (api, path, threads, delegate)
        self.inputs, self.outputs = examined(path)
        begin = time.perf_counter_ns()
        self._model = self._compiled()
        signatures = self._model.get_signature_list()
        # As TFLiteModel chooses.
        key = "serving_default" if "serving_default" in signatures else sorted(signatures)[0]
        self._key: str = key
        if batch > 1:
            for name, info in self.inputs.items():
                shape = (batch, *info.shape[1:])
                self._model.resize_input_tensor_by_name(key, name, shape, strict=False)
        create, receive = (
            self._model.create_input_buffer_by_name, self._model.create_output_buffer_by_name,
        )  # fmt: skip
        self._feeds = {name: create(key, name) for name in self.inputs}
        self._answers = {name: receive(key, name) for name in self.outputs}
        self._shapes: dict[str, tuple[int, ...]] = {
            name: tuple(row["shape"])
            for name, row in self._model.get_output_tensor_details(key).items()
        }
        # The examination above is not the runtime's.
        self.load_ns = time.perf_counter_ns() - begin

    def _compiled(self) -> Any:
        api, path, threads, delegate = self._source
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
        return self if batch == self.batch else CompiledModel(*self._source, batch)

    def stage(self, feeds: Arrays) -> None:
        for name, value in feeds.items():
            declared = self.inputs[name].shape
            shape = (self.batch, *declared[1:]) if self.batch > 1 else declared
            # A shorter array would leave the rest of the buffer as it was.
            if value.shape != shape:
                raise ValueError("input %r is shaped %s, not %s" % (name, value.shape, shape))
            self._feeds[name].write(value)

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
        """It keeps no state between calls: models that have some are refused."""


def examined(path: str) -> tuple[dict[str, TensorInfo], dict[str, TensorInfo]]:
    """Inputs and outputs as LiteRT's interpreter tells them: CompiledModel tells no quantization.

    Raises :class:`Refused` where CompiledModel's answers could not be trusted.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(path, experimental_op_resolver_type=plain)
    inputs, outputs = TFLiteModel.tensors(interpreter)
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
