"""Recurrent layers that became loops, which crash TensorFlow's quantizer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.errors import ConversionError

LOOP = "WHILE"
CELL = re.compile(r"(gru|lstm|rnn)", re.IGNORECASE)


def recurrent_layers(file: TFLiteFile) -> tuple[str, ...]:
    """List the recurrent layers of a float file that run as a loop, as ``'name' (GRU)``.

    Names are those of the tensors' scopes: the layer's path in the model.
    """
    main = file.graphs[0]
    suffix = _suffix([tensor.name for tensor in main.tensors])
    layers = []
    for node in main.nodes:
        if node.operator == LOOP and node.outputs:
            scope = main.tensors[node.outputs[0]].name.split(";")[0].rpartition("/")[0]
            layer = "/".join(part.removesuffix(suffix) for part in scope.split("/")[1:]) or scope
            kinds = [kind for name in _names(file) if scope in name for kind in CELL.findall(name)]
            kind = f" ({kinds[-1].upper()})" if kinds else ""
            layers.append(f"{layer!r}{kind}")
    return tuple(dict.fromkeys(layers))


def _names(file: TFLiteFile) -> Iterator[str]:
    for graph in file.graphs:
        yield from (tensor.name for tensor in graph.tensors)


def _suffix(names: list[str]) -> str:
    """Return the suffix that tracing appended to the name of every layer (``_1``), or nothing."""
    scopes = {name.split("/")[1] for name in names if name.count("/") > 1}
    ends = {match[0] if (match := re.search(r"_\d+$", scope)) else "" for scope in scopes}
    return ends.pop() if len(ends) == 1 else ""


def crash(layers: tuple[str, ...], precision: str, how: str) -> ConversionError:
    """Build the error for a converter that crashed on a model with such layers."""
    named = ", ".join(layers)
    return ConversionError(
        "EK-CONVERT-006",
        f"at {precision} TensorFlow's converter {how}, on the recurrent layer {named}",
        "it cannot quantize the activations of a recurrent layer that runs as a loop:\n"
        "use dynamic or float16, whose activations stay float;\n"
        "or unroll it with --unroll; or use a tf_keras LSTM with activation tanh and"
        "\nrecurrent_activation sigmoid (Keras before 2.3 had hard_sigmoid), which is one operator",
    )
