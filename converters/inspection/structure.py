"""Findings about operators, shapes and signatures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.converters.custom_operators import FLEX, supporting_runtimes
from edgekit.converters.flatbuffer import FLOATS, Graph, Node, Tensor, TFLiteFile
from edgekit.converters.inspection.facts import Facts, Finding, counted, findings
from edgekit.converters.inspection.resources import resources
from edgekit.converters.inspection.shapes import (
    has_free_batch,
    has_free_size,
    node_name,
    shape_text,
    short,
)

# Custom operators that a vendor's compiler puts in place of a whole graph.
COMPILED = {
    "edgetpu-custom-op": (
        "a program for the Coral Edge TPU",
        "it runs only where libedgetpu and an Edge TPU are; what is in it cannot be read here",
        "keep the .tflite that edgetpu_compiler was given: it runs everywhere else",
    ),
    "ethos-u": (
        "a command stream for an Arm Ethos-U",
        "it runs only on TFLM with the Ethos-U driver and the very configuration it was made for",
        "keep the .tflite that vela was given: it runs everywhere else",
    ),
}
# How state goes back to its start: in variable tensors, and in resource variables.
RESET_TENSORS = (
    "call reset_all_variables() before each sequence (TFLM: Reset()), or convert the layer with"
    " unroll=True, which keeps no state"
)
RESET_HANDLES = (
    "make a new interpreter for each sequence, for these are resource variables:"
    " reset_all_variables() of LiteRT and tflite-runtime leaves them as they are, and TFLM's"
    " Reset() sets them to zero, whatever they begin with"
)


def float_islands(facts: Facts) -> Iterator[Finding]:
    """Find float operators in a file that is otherwise integer."""
    places = []
    for island in facts.islands:
        graph = facts.file.graphs[island.graph]
        names = ", ".join(dict.fromkeys(short(graph.nodes[at].operator) for at in island.nodes))
        first = graph.nodes[island.nodes[0]]
        places.append(f"{names} {island.place} ({node_name(graph, first)})")
    if places:
        count = sum(len(island.nodes) for island in facts.islands)
        yield Finding(
            "EK-INSPECT-001",
            "warning",
            f"{counted(range(count), 'operator')} of an otherwise integer file"
            f" {'computes' if count == 1 else 'compute'} in float, in"
            f" {counted(places, 'island')}",
            tuple(places),
            "they run on the float path of the CPU, never on an NPU, and not at all on integer-only"
            " microcontrollers; each border costs a DEQUANTIZE or a QUANTIZE",
            "use an operation that has an integer kernel (ReLU for ELU or PReLU), or move it to the"
            " end of the model, where the application can do it",
        )


def requantized(facts: Facts) -> Iterator[Finding]:
    """Find a DEQUANTIZE whose only reader is a QUANTIZE."""
    places = list(_pairs(facts, "DEQUANTIZE", "QUANTIZE"))
    yield from findings(
        "EK-INSPECT-002",
        "warning",
        f"{counted(places, 'DEQUANTIZE goes', 'DEQUANTIZE go')} straight into a QUANTIZE",
        places,
        "two passes over the tensor that change its scale at most: time and a rounding each",
        "convert again from the source: one QUANTIZE, or equal scales on both sides, will do",
    )


def round_trips(facts: Facts) -> Iterator[Finding]:
    """Find a QUANTIZE whose only readers are DEQUANTIZE, as quantization-aware training leaves."""
    places = list(_pairs(facts, "QUANTIZE", "DEQUANTIZE"))
    yield from findings(
        "EK-INSPECT-003",
        "warning",
        f"{counted(places, 'QUANTIZE goes', 'QUANTIZE go')} straight back through a DEQUANTIZE",
        places,
        "the tensor is rounded and then computed with in float: it costs accuracy and time, and"
        " nothing runs in integers",
        "a model trained quantization-aware must be converted with"
        " optimizations = [tf.lite.Optimize.DEFAULT], which turns such pairs into int8 kernels",
    )


def _pairs(facts: Facts, first: str, second: str) -> Iterator[str]:
    for graph in facts.file.graphs:
        readers: dict[int, list[Node]] = {}
        for node in graph.nodes:
            for i in node.inputs:
                readers.setdefault(i, []).append(node)
        constants = {tensor.index for tensor in graph.constants()}
        outputs = set(graph.outputs)
        for node in graph.nodes:
            if node.operator != first or not node.outputs or set(node.inputs) & constants:
                continue
            behind = readers.get(node.outputs[0], [])
            is_output = node.outputs[0] in outputs
            if behind and not is_output and all(one.operator == second for one in behind):
                yield node_name(graph, node)


def free_batch(facts: Facts) -> Iterator[Finding]:
    places = [_place(g, i) for g, i in _edges(facts.file) if _is_batch_free(g, i)]
    yield from findings(
        "EK-INSPECT-004",
        "warning",
        f"the batch of {counted(places, 'input')} is free",
        places,
        "compilers for NPUs, and LiteRT.js, may refuse it; elsewhere memory is planned anew"
        " when the batch changes",
        "convert with a static batch of 1",
    )


def free_shapes(facts: Facts) -> Iterator[Finding]:
    places = [
        _place(graph, i) for graph, i in _edges(facts.file) if has_free_size(graph.tensors[i])
    ]
    yield from findings(
        "EK-INSPECT-005",
        "warning",
        f"{counted(places, 'input has', 'inputs have')} free dimensions besides the batch",
        places,
        "memory, multiply-accumulates and latency depend on the size that is fed; NPUs and"
        " microcontrollers refuse the file",
        "convert with the sizes that the application will use, one file for each",
    )


def _is_batch_free(graph: Graph, index: int) -> bool:
    return has_free_batch(graph.tensors[index]) and not has_free_size(graph.tensors[index])


def _edges(file: TFLiteFile) -> Iterator[tuple[Graph, int]]:
    """Yield the inputs of the graphs that a user calls."""
    for number in entry_graphs(file):
        for i in file.graphs[number].inputs:
            if i >= 0:
                yield file.graphs[number], i


def entry_graphs(file: TFLiteFile) -> tuple[int, ...]:
    """Return the graphs that a user calls: the main one, and those of signatures."""
    return tuple(sorted({0, *(one.graph for one in file.signatures)}))


def _place(graph: Graph, index: int) -> str:
    return f"{short(graph.tensors[index].name)} {shape_text(graph.tensors[index])}"


def flex(facts: Facts) -> Iterator[Finding]:
    names = sorted({n.operator for _, n, _ in facts.nodes() if n.custom and _is_flex(n)})
    if names:
        yield Finding(
            "EK-INSPECT-006",
            "warning",
            f"{counted(names, 'operator')} of TensorFlow (Flex):"
            f" {', '.join(short(n.removeprefix(FLEX)) for n in names[:6])}",
            tuple(map(short, names)),
            "they need the Flex delegate, tens of MB of TensorFlow beside the runtime; the pip"
            " packages tflite-runtime and ai-edge-litert, TFLM and NPUs cannot run them",
            "use an operation with a builtin kernel, and convert without SELECT_TF_OPS",
        )


def custom(facts: Facts) -> Iterator[Finding]:
    names = sorted({n.operator for _, n, _ in facts.nodes() if n.custom and not _is_flex(n)})
    for name in (n for n in names if n in COMPILED):
        content, why, fix = COMPILED[name]
        text = f"the custom operator {name} is {content}"
        yield Finding("EK-INSPECT-007", "info", text, (name,), why, fix)
    by_runtimes: dict[tuple[str, ...], list[str]] = {}
    for name in (n for n in names if n not in COMPILED):
        by_runtimes.setdefault(supporting_runtimes(name), []).append(short(name))
    for runtimes, named in sorted(by_runtimes.items()):
        places, first = tuple(named), ", ".join(named[:6])
        if not runtimes:
            yield Finding(
                "EK-INSPECT-008",
                "warning",
                f"{counted(places, 'custom operator')}: {first}",
                places,
                "no runtime that edgekit knows has a kernel for it: one runs the file only where"
                " the application registers a kernel under that name",
                "ship the kernel with the application, or use builtin operations",
            )
            continue
        yield Finding(
            "EK-INSPECT-044",
            "info",
            f"{counted(places, 'custom operator')} that {join_names(runtimes)}"
            f" {'has' if len(runtimes) == 1 else 'have'} a kernel for: {first}",
            places,
            "other runtimes refuse the file, unless the application registers a kernel under that"
            " name",
            "",
        )


def join_names(names: Sequence[str]) -> str:
    """Join names to a phrase: ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _is_flex(node: Node) -> bool:
    return node.operator.startswith(FLEX)


def stateful(facts: Facts) -> Iterator[Finding]:
    tensors = [short(t.name) for graph in facts.file.graphs for t in graph.tensors if t.variable]
    handles = [short(name) for name in resources(facts.file)]
    places = tensors + handles
    if places:
        fixes = [RESET_TENSORS] if tensors else []
        fixes += [RESET_HANDLES] if handles else []
        yield Finding(
            "EK-INSPECT-009",
            "warning",
            f"{counted(places, 'variable')} that keep their value between inferences",
            tuple(places),
            "without a reset, the output for an item depends on the items before it, on every"
            " runtime and without an error",
            "; ".join(fixes),
        )


def strings(facts: Facts) -> Iterator[Finding]:
    places = [
        short(graph.tensors[i].name)
        for number in entry_graphs(facts.file)
        for graph in (facts.file.graphs[number],)
        for i in (*graph.inputs, *graph.outputs)
        if i >= 0 and graph.tensors[i].dtype == "STRING"
    ]
    yield from findings(
        "EK-INSPECT-010",
        "warning",
        f"{counted(places, 'input or output is a string', 'inputs or outputs are strings')}",
        places,
        "TFLM, NPUs and most accelerators have no strings, and their size is known only when"
        " they are fed",
        "split or look up text in the application, and feed integers",
    )


def unsigned(facts: Facts) -> Iterator[Finding]:
    """Find a file without a signature, whose inputs differ by their order only."""
    file = facts.file
    if not file.signatures and len(file.inputs) + len(file.outputs) > 2:
        names = tuple(short(t.name) for t in (*file.inputs, *file.outputs))
        yield Finding(
            "EK-INSPECT-011",
            "warning",
            "several inputs or outputs, and no signature",
            names,
            "runtimes tell them apart by position, which converting again may change",
            "convert from a SavedModel, whose signature names them",
        )


def empty(facts: Facts) -> Iterator[Finding]:
    if not any(graph.nodes for graph in facts.file.graphs):
        yield Finding(
            "EK-INSPECT-012",
            "error",
            "the file holds no operator",
            (),
            "it computes nothing",
            "convert the model again, and look at the converter's log",
        )


def unwritten(facts: Facts) -> Iterator[Finding]:
    """Find tensors that are read, but have no content and are written by nothing."""
    places = []
    for graph in facts.file.graphs:
        written = {-1, *graph.inputs}
        for node in graph.nodes:
            # A compiled program reads no content in its scratch memory.
            for i in () if node.operator in COMPILED else node.inputs:
                tensor = graph.tensors[i]
                if i not in written and not (tensor.bytes or tensor.variable or _is_empty(tensor)):
                    places.append(f"{short(tensor.name)} (read by {short(node.operator)})")
                    written.add(i)
            written.update(node.outputs)
    yield from findings(
        "EK-INSPECT-013",
        "error",
        f"{counted(places, 'tensor is', 'tensors are')} read before anything is written there",
        places,
        "a constant lost its content, or operators are out of order: runtimes refuse the file,"
        " crash, or compute with what lies there",
        "convert again, or fetch the file again",
    )


def _is_empty(tensor: Tensor) -> bool:
    """Tell whether a constant has no elements, as the shape of a scalar has none."""
    return tensor.ranked and 0 in tensor.shape and not any(s < 0 for s in tensor.signature_shape)


def overwritten(facts: Facts) -> Iterator[Finding]:
    """Find tensors that are written twice, or that are inputs and written."""
    places = []
    for graph in facts.file.graphs:
        written = set(graph.inputs)
        for node in graph.nodes:
            again = [i for i in node.outputs if i >= 0 and i in written]
            places += [f"{short(graph.tensors[i].name)} ({short(node.operator)})" for i in again]
            written.update(node.outputs)
    yield from findings(
        "EK-INSPECT-014",
        "error",
        f"{counted(places, 'tensor is', 'tensors are')} written twice",
        places,
        "memory planners give each tensor one writer: what is read later may be either value",
        "convert again",
    )


def mixed(facts: Facts) -> Iterator[Finding]:
    """Find operators that take float and integer values at once."""
    places = [
        f"{node.operator} ({node_name(graph, node)}): {precision.label}"
        for graph, node, precision in facts.nodes()
        if precision.kind == "float"
        and node.operator != "CAST"
        and _is_mixed(precision.activations)
    ]
    yield from findings(
        "EK-INSPECT-015",
        "error",
        f"{counted(places, 'operator reads or writes', 'operators read or write')} float and"
        " quantized values at once",
        places,
        "no kernel does: the runtime refuses the file or misreads the bytes",
        "convert again: a QUANTIZE or DEQUANTIZE is missing there",
    )


def _is_mixed(dtypes: tuple[str, ...]) -> bool:
    return bool(set(dtypes) & FLOATS) and bool(set(dtypes) & {"INT8", "UINT8", "INT16", "INT4"})
