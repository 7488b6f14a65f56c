"""What a file of each precision must hold: each check says what is wrong, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from edgekit.converters.flatbuffer import FLOATS, TFLiteFile

Check = Callable[[TFLiteFile], str]
# They convert between precisions, and compute nothing.
CASTS = ("DEQUANTIZE", "QUANTIZE")
# The dtypes of token ids, class numbers and masks.
IDS = ("BOOL", "INT32", "INT64")
# They pass values through unchanged: rows of an int8 table are int8 without arithmetic.
LOOKUPS = (
    "EMBEDDING_LOOKUP",
    "EXPAND_DIMS",
    "GATHER",
    "GATHER_ND",
    "RESHAPE",
    "SLICE",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TRANSPOSE",
)


def float32_problem(file: TFLiteFile) -> str:
    if file.weights.keys() - {"FLOAT32"}:
        return f"it holds {', '.join(sorted(file.weights))} weights"
    return ""


def float16_problem(file: TFLiteFile) -> str:
    integers = _integers(file.weights)
    if integers:
        return f"it holds {', '.join(integers)} weights"
    return "" if "FLOAT16" in file.weights else "no weight is float16: it was not quantized"


def dynamic_problem(file: TFLiteFile) -> str:
    if not computing_in_float(file):
        return "no operator computes in float: it is quantized throughout"
    if _integers(_activations(file, (*CASTS, *LOOKUPS))):
        return "some operators compute in integers from end to end: it is mixed"
    if "INT4" in file.weights:
        return "it holds INT4 weights"
    if "INT8" in file.weights:
        return ""
    return (
        "no weight is int8, so it is a float32 file: TensorFlow leaves weights of fewer than 1,024"
        " elements, and fused recurrent layers, as they are"
    )


def integer_problem(edges: str, activations: str) -> Check:
    """Build the check of an integer file whose inputs and outputs have one dtype (schema name).

    Ids, positions and booleans keep their dtype: no precision changes them.
    """

    def problem(file: TFLiteFile) -> str:
        others = _dtypes_at_the_edges(file) - {edges, *IDS}
        if others:
            text = f"its inputs and outputs are {', '.join(sorted(others))}, not {edges.lower()}"
            takes_bytes = others == {"UINT8"} and edges == "INT8"
            return (
                f"{text}: the model itself takes bytes, which uint8-io keeps"
                if takes_bytes
                else text
            )
        floats = computing_in_float(file) if edges == "FLOAT32" else file.float_operators
        if floats:
            return f"operators stayed float: {', '.join(floats)}; {_hint_for(floats)}"
        computed = _integers(_activations(file))
        if computed != [activations]:
            return f"its operators compute in {' and '.join(computed) or 'no integers'}"
        return ""

    return problem


def int4_problem(file: TFLiteFile) -> str:
    if "INT4" not in file.weights:
        return "no weight is int4"
    float_bytes = file.weights.get("FLOAT32", 0)
    quantized = file.weights["INT4"] + file.weights.get("INT8", 0)
    if float_bytes > quantized:
        return (
            f"{float_bytes:,} bytes of weights stayed float32, more than the {quantized:,} that"
            f" were quantized: {', '.join(_with_float_weights(file))}"
        )
    return ""


def plain_int4_problem(file: TFLiteFile) -> str:
    if 32 in _block_sizes(file):
        return "its weights have a scale per block, which is int4-block32"
    return int4_problem(file)


def int4_block32_problem(file: TFLiteFile) -> str:
    problem = int4_problem(file)
    if not problem and 32 not in _block_sizes(file):
        return (
            "no weight has a scale per block of 32: only dense layers and embeddings can have it,"
            " whose input is a multiple of 32 wide"
        )
    return problem


def mixed_problem(file: TFLiteFile) -> str:
    if not float32_problem(file):
        return "nothing in it is quantized: it is a float32 file"
    computed = _integers(_activations(file))
    if len(computed) == 1 and not computing_in_float(file):
        return f"every operator computes in {computed[0].lower()}: nothing is mixed"
    return ""


def mixed_int8_problem(file: TFLiteFile) -> str:
    in_float = len(computing_in_float(file))
    if not in_float:
        return "no operator computes in float"
    if in_float == count_computing(file) or "INT8" not in file.weights:
        return "no operator computes in int8"
    return ""


def _hint_for(floats: Iterable[str]) -> str:
    kinds = sorted({one.split()[0] for one in floats} - {*CASTS})
    if "READ_VARIABLE" in kinds:
        return (
            "its weights are variables, which a model has that trains, or whose wrappers of"
            " pruning and clustering were left on: save what strip_pruning or strip_clustering"
            " returns, or give the .keras or .h5 file"
        )
    return (
        "TensorFlow's quantizer has no integer form of"
        f" {' and '.join(kinds) or 'what lies between'}: dynamic and float16 leave them as they"
        " are, mixed ([[convert.mixed]]) makes the others int8, and an app can compute the first"
        " or the last of them itself"
    )


def computing_in_float(file: TFLiteFile) -> tuple[str, ...]:
    """List the operators that compute in float, as ``NAME (output tensor)``, without casts."""
    return tuple(one for one in file.float_operators if one.split()[0] not in CASTS)


def count_computing(file: TFLiteFile) -> int:
    """Count the operators that compute, in whatever precision."""
    return sum(one.count for one in file.operators if one.name not in CASTS)


def _integers(dtypes: Iterable[str]) -> list[str]:
    """Return the quantized integer dtypes among some dtypes, sorted."""
    return sorted({"INT4", "INT8", "INT16"} & set(dtypes))


def _dtypes_at_the_edges(file: TFLiteFile) -> set[str]:
    return {tensor.dtype for tensor in (*file.inputs, *file.outputs)}


def _activations(file: TFLiteFile, passing: tuple[str, ...] = CASTS) -> set[str]:
    """Return the dtypes that operators write, except those that only pass values on."""
    return {
        graph.tensors[i].dtype
        for graph in file.graphs
        for node in graph.nodes
        if node.operator not in passing
        for i in node.outputs
        if i >= 0
    }


def _block_sizes(file: TFLiteFile) -> set[int]:
    quantized = (t.quantization for graph in file.graphs for t in graph.tensors)
    return {found.block_size for found in quantized if found is not None}


def _with_float_weights(file: TFLiteFile) -> list[str]:
    """List the kinds of operators that read float constants, most bytes first."""
    counts: dict[str, int] = {}
    for graph in file.graphs:
        constants = {t.index: t.bytes for t in graph.constants() if t.dtype in FLOATS}
        for node in graph.nodes:
            size = sum(constants.get(i, 0) for i in node.inputs)
            counts[node.operator] = counts.get(node.operator, 0) + size
    return [kind for kind, size in _largest_first(counts) if size]


def _largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: -item[1])
