"""TensorFlow Lite for Microcontrollers (TFLM) on this host: python_runner.py's protocol over it.

Same command line and requests as ``python_runner.py``, which must lie beside this file. One more
field: ``arena_bytes``, the size of the tensor arena; without it, one that is large enough is found.
Batch and shapes are those of the file, and ``threads`` means nothing: TFLM has one. Needs
``tflite-micro``.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Callable, Dict, List, Optional, Set, Tuple

import python_runner
from python_runner import Arrays, RuntimeMissing, TensorInfo

DISTRIBUTION = "tflite-micro"
# Bytes of arena to start with, and to give up at. Pages that are not touched cost nothing.
START = 16 << 20
LIMIT = 1 << 30
# Seconds after which opening a model is given up.
PATIENCE = 60
# TFLM aligns what it allocates to this many bytes.
GRID = 16
SHORT = re.compile(r"missing: (\d+)")
# The memory planner has as many buffers as the arena has room for.
CROWDED = re.compile(r"Too many buffers \(max is \d+\)")
LACKING = re.compile(r"Didn't find op for builtin opcode '(\w+)'")
UNSIGNED = re.compile(r"Hybrid models are not supported|UINT8")
HYBRID = re.compile(r"Hybrid models are not supported|with filter type: U?INT\d+ not supp")
# What of TFLM's messages tells nothing.
KERNELS = "tensorflow/lite/micro/kernels/"
NOTHING_SAID = ("TFLM failed to allocate tensors", "Interpreter invocation failed.")
Interpreter = Callable[[bytes, int], Any]


class TFLMModel:
    """A ``.tflite`` file in TFLM's interpreter, its inputs and outputs keyed by signature name."""

    def __init__(
        self,
        interpreter: Interpreter,
        content: bytes,
        arena_bytes: int,
        signature: Optional[str] = None,
    ) -> None:
        self._source, self._arena_bytes = (interpreter, content), arena_bytes
        self._signature, self.batch = signature, 1
        # TFLM's reset sets resource variables to zero, whatever they begin with.
        self.renews = stays(content)
        begin = time.perf_counter_ns()
        self.interpreter = interpreter(content, arena_bytes)
        # Without the trials that found the arena.
        self.load_ns = time.perf_counter_ns() - begin
        inputs, outputs = tensor_names(content, signature)
        self.inputs = _infos(inputs, self.interpreter.get_input_details)
        self.outputs = _infos(outputs, self.interpreter.get_output_details)

    def in_arena(self, arena_bytes: int) -> TFLMModel:
        """Return the same model in an arena of another size."""
        other = TFLMModel(*self._source, arena_bytes, self._signature)
        other.inputs, other.batch = self.inputs, self.batch
        return other

    def fit(self, items: Dict[str, Tuple[int, ...]]) -> None:
        """Take items of these shapes, by input. Raises ``ValueError``: TFLM resizes nothing."""
        free = free_axes(self._source[1])
        for name, info in self.inputs.items():
            info.free = free.get(name, ())
        infos, batch = python_runner.fit(self.inputs, items)
        for name, info in infos.items():
            if info.shape != self.inputs[name].shape:
                raise ValueError(
                    "TFLM runs input %r at the shape of the file, %s, and the items want %s:"
                    " give the model fixed sizes"
                    % (name, list(self.inputs[name].shape), list(info.shape))
                )
        self.inputs, self.batch = infos, batch

    def with_batch(self, batch: int) -> TFLMModel:
        if batch != self.batch:
            raise ValueError("TFLM runs a model at the batch of its file")
        return self

    def stage(self, feeds: Arrays) -> None:
        for name, value in feeds.items():
            info = self.inputs[name]
            self.interpreter.set_input(value.reshape(info.shape), info.index)

    def invoke(self) -> None:
        try:
            self.interpreter.invoke()
        except RuntimeError as error:
            # Once more, where what TFLM prints can be read.
            again = attempt(self.interpreter.invoke)
            if again.passed:
                raise
            why = explain(again, self._source[1], self._arena_bytes)
            raise ValueError(why) from error

    def fetch(self) -> Arrays:
        return {n: self.interpreter.get_output(info.index) for n, info in self.outputs.items()}

    def reset(self) -> None:
        """Have the state as it was at the start."""
        if self.renews:
            self.interpreter = self._source[0](self._source[1], self._arena_bytes)
        else:
            self.interpreter.reset()


def _infos(names: Dict[str, int], details: Callable[[int], Dict[str, Any]]) -> Dict[str, Any]:
    infos = {}
    for name, position in names.items():
        detail = details(position)
        steps = detail["quantization_parameters"]
        scale, zero = 0.0, 0
        if len(steps["scales"]) == 1:
            scale, zero = float(steps["scales"][0]), int(steps["zero_points"][0])
        shape = tuple(int(size) for size in detail["shape"])
        infos[name] = TensorInfo(position, shape, detail["dtype"], scale, zero)
    return infos


def read(path: Path) -> bytes:
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ValueError("%s is not a .tflite file" % path.name)
    return content


def stays(content: bytes) -> bool:
    """Tell whether a file keeps state where TFLM's reset does not put it back as it was: in
    resource variables, or in custom operators, as its signal library has them.
    """
    model = _schema().Model.GetRootAs(content, 0)
    written = _schema().BuiltinOperator.ASSIGN_VARIABLE
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    return any(code.CustomCode() or code.BuiltinCode() == written for code in codes)


def free_axes(content: bytes) -> Dict[str, Tuple[int, ...]]:
    """Return the dimensions that the main graph's tensors leave open, by a tensor's name."""
    graph = _schema().Model.GetRootAs(content, 0).Subgraphs(0)
    free = {}
    for tensor in (graph.Tensors(i) for i in range(graph.TensorsLength())):
        sizes = [tensor.ShapeSignature(axis) for axis in range(tensor.ShapeSignatureLength())]
        free[_text(tensor.Name())] = tuple(axis for axis, size in enumerate(sizes) if size < 0)
    return free


def tensor_names(
    content: bytes, wanted: Optional[str] = None
) -> Tuple[Dict[str, int], Dict[str, int]]:
    """Return places of inputs and of outputs in the main graph, by signature name.

    TFLM's interface knows places only, and runs the main graph only. Without a signature the
    tensors' own names count.
    """
    model = _schema().Model.GetRootAs(content, 0)
    if not model.SubgraphsLength():
        raise ValueError("the file has no graph")
    graph = model.Subgraphs(0)
    inputs = [graph.Inputs(i) for i in range(graph.InputsLength())]
    outputs = [graph.Outputs(i) for i in range(graph.OutputsLength())]
    if not inputs:
        raise ValueError("the main graph has no input: there is nothing to give it")
    signatures = {
        _text(one.SignatureKey()): one
        for one in (model.SignatureDefs(i) for i in range(model.SignatureDefsLength()))
    }
    key = python_runner.chosen_signature(sorted(signatures), wanted)
    if key is None:
        return (
            _places([(_text(graph.Tensors(t).Name()), t) for t in inputs], inputs),
            _places([(_text(graph.Tensors(t).Name()), t) for t in outputs], outputs),
        )
    chosen = signatures[key]
    if chosen.SubgraphIndex():
        raise ValueError(
            "TFLM runs the main graph only, and signature %r is of graph %d"
            % (key, chosen.SubgraphIndex())
        )
    named = [chosen.Inputs(i) for i in range(chosen.InputsLength())]
    answers = [chosen.Outputs(i) for i in range(chosen.OutputsLength())]
    return (
        _places([(_text(one.Name()), one.TensorIndex()) for one in named], inputs),
        _places([(_text(one.Name()), one.TensorIndex()) for one in answers], outputs),
    )


def _places(named: List[Tuple[str, int]], tensors: List[int]) -> Dict[str, int]:
    places = {}
    for name, tensor in named:
        if name in places or tensor not in tensors:
            why = "names two tensors" if name in places else "is not an end of the main graph"
            raise ValueError("%r %s" % (name, why))
        places[name] = tensors.index(tensor)
    return places


def _schema() -> Any:
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated

    return schema_py_generated


def _text(raw: Any) -> str:
    return (raw or b"").decode("utf-8", "replace")


class Attempt:
    """How something went in a process of its own, and what TFLM printed there."""

    def __init__(self, status: int, log: str) -> None:
        self.passed, self.log = status == 0, log
        self.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0

    @property
    def short(self) -> bool:
        """Whether TFLM said that the arena is too small."""
        return bool(SHORT.search(self.log) or CROWDED.search(self.log))


def attempt(action: Callable[[], Any], seconds: int = PATIENCE) -> Attempt:
    """Do something in a forked process: TFLM ends its process on some files and small arenas."""
    with tempfile.TemporaryFile() as log:
        child = os.fork()
        if child == 0:
            os._exit(_alone(action, seconds, log))
        status = os.waitpid(child, 0)[1]
        log.seek(0)
        return Attempt(status, log.read(1 << 16).decode("utf-8", "replace"))


def _alone(action: Callable[[], Any], seconds: int, log: IO[bytes]) -> int:
    try:
        # A crash is an answer here, no reason for a traceback.
        faulthandler.disable()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        action()
    except BaseException as error:
        os.write(2, ("%s\n" % error).encode())
        return 1
    return 0


def enough(interpreter: Interpreter, content: bytes) -> int:
    """Return bytes of an arena that the model allocates in, with room to spare.

    Raises ``ValueError`` with TFLM's own reason where it does not take the model.
    """
    size = START
    while True:
        tried = attempt(lambda: interpreter(content, size))  # noqa: B023
        if tried.passed:
            return 2 * size
        if not tried.short or size >= LIMIT:
            raise ValueError(explain(tried, content, size))
        size *= 2


def needed(interpreter: Interpreter, content: bytes) -> int:
    """Return bytes of the smallest arena that the model allocates and invokes in; 0 where none is
    found.

    Each size is tried in a process of its own, in steps of 16 bytes.
    """

    def passes(size: int) -> bool:
        return attempt(lambda: interpreter(content, size).invoke()).passed

    above = 1 << 10
    while not passes(above):
        above *= 2
        if above > LIMIT:
            return 0
    below = above // 2 if above > 1 << 10 else 0
    while above - below > GRID:
        middle = (above + below) // 2 // GRID * GRID
        below, above = (below, middle) if passes(middle) else (middle, above)
    return above


def explain(tried: Attempt, content: bytes, arena_bytes: int) -> str:
    """Tell why TFLM did not take a model, in words; what it printed stands at the end."""
    lines = [line.strip().replace(KERNELS, "") for line in tried.log.splitlines()]
    printed = "; ".join(line for line in lines if line and line not in NOTHING_SAID)
    if tried.signal == signal.SIGALRM:
        return "TFLM was not ready in time: %s" % printed
    if tried.short:
        missing = max((int(count) for count in SHORT.findall(tried.log)), default=0)
        by = ", by %d bytes or more" % missing if missing else ""
        return "an arena of %d bytes is too small%s: %s" % (arena_bytes, by, printed)
    if tried.signal:
        name = signal.Signals(tried.signal).name
        return "TFLM crashed (%s) on it with an arena of %d bytes: %s" % (
            name,
            arena_bytes,
            printed or "the file may be damaged",
        )
    lacking = LACKING.findall(tried.log)
    if lacking:
        return "TFLM has no %s" % ", ".join(dict.fromkeys(lacking))
    weights = _weights(content)
    if UNSIGNED.search(tried.log) and "UINT8" in weights:
        return "TFLM computes no uint8 weights, only int8 ones: " + printed
    if "Node DEQUANTIZE" in tried.log and weights & {"FLOAT16", "INT4"}:
        kinds = " or ".join(sorted(weights & {"FLOAT16", "INT4"}))
        return "TFLM dequantizes 8 and 16 bit integers only, no %s weights: %s" % (kinds, printed)
    if HYBRID.search(tried.log):
        return "TFLM computes no integer weights with float activations (dynamic range): " + printed
    if "op code CUSTOM" in tried.log:
        return "TFLM has no custom operator %s" % ", ".join(_custom(content))
    return "TFLM refuses it: " + printed


def _weights(content: bytes) -> Set[str]:
    """Return dtypes (schema names) of the main graph's constants."""
    schema = _schema()
    names = {value: name for name, value in vars(schema.TensorType).items()}
    graph = schema.Model.GetRootAs(content, 0)
    tensors = [graph.Subgraphs(0).Tensors(i) for i in range(graph.Subgraphs(0).TensorsLength())]
    return {names[t.Type()] for t in tensors if graph.Buffers(t.Buffer()).DataLength()}


def _custom(content: bytes) -> List[str]:
    model = _schema().Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    return [_text(code.CustomCode()) for code in codes if code.CustomCode()]


def interpreter_of() -> Interpreter:
    """Tell how to make TFLM's interpreter of a file's bytes and an arena's size."""
    try:
        from tflite_micro import runtime
    except ImportError as error:
        raise RuntimeMissing(
            "tflite-micro is not installed: pip install 'edgekit[micro]'"
        ) from error
    return lambda content, arena: runtime.Interpreter.from_bytes(content, arena_size=arena)


def open_model(
    interpreter: Interpreter, path: str, arena_bytes: int = 0, signature: Optional[str] = None
) -> TFLMModel:
    """Return a model in an arena of a size, or where none is given in one that is large enough.

    Raises ``ValueError`` with TFLM's own reason where it does not take the model.
    """
    content = read(Path(path))
    tensor_names(content, signature)
    if arena_bytes:
        tried = attempt(lambda: interpreter(content, arena_bytes))
        if not tried.passed:
            why = explain(tried, content, arena_bytes)
            need = needed(interpreter, content) if tried.short or tried.signal else 0
            # First: what TFLM prints may be long.
            more = "the model runs in %d bytes, and in no less: " % need if need else ""
            raise ValueError(more + why)
    room = arena_bytes or enough(interpreter, content)
    return TFLMModel(interpreter, content, room, signature)


def import_tflm() -> python_runner.Opener:
    interpreter = interpreter_of()
    return lambda path, _, **options: open_model(interpreter, path, **options)


def options(request: Dict[str, Any]) -> Dict[str, Any]:
    """Return the arena's size, where the request has one. Raises ``ValueError`` where it is no
    size.
    """
    wanted = request.get("arena_bytes")
    if wanted is None:
        return {}
    if not isinstance(wanted, int) or isinstance(wanted, bool) or not 0 < wanted <= LIMIT:
        raise ValueError("arena_bytes is %r: it takes 1 to %d" % (wanted, LIMIT))
    return {"arena_bytes": wanted}


python_runner.OPTIONS["tflm"] = options
python_runner.RUNTIMES["tflm"] = (import_tflm, DISTRIBUTION)

if __name__ == "__main__":
    # A mode that imports this file must not load it a second time.
    sys.modules["tflm_runner"] = sys.modules[__name__]
    sys.exit(python_runner.main(sys.argv[1:]))
