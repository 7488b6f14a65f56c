"""What a compiled ``.tflite`` file was compiled for, read from the program in it.

Sources: "Edge TPU Compiler" of the Coral documentation; the Ethos-U core driver, whose command
streams begin with ``COP1`` and state the configuration in the register layout of ``config_r``.
"""

from __future__ import annotations

import struct

from edgekit.converters.flatbuffer import TFLiteFile
from edgekit.converters.micro import edge_tpu
from edgekit.converters.micro.operations import nodes
from edgekit.converters.micro.vela import ACCELERATORS, ETHOS_U

MAGIC = b"COP1"
# By the product in the four highest bits of the configuration.
PRODUCTS = ("ethos-u55", "ethos-u65", "ethos-u85")


def compiled_for(file: TFLiteFile) -> str | None:
    """Return the accelerator that a file was compiled for, by its name in the catalog."""
    for graph, node in nodes(file):
        if node.operator == edge_tpu.EDGE_TPU:
            return edge_tpu.ACCELERATOR
        if node.operator == ETHOS_U:
            first = graph.tensors[node.inputs[0]] if node.inputs and node.inputs[0] >= 0 else None
            return _ethos_u(file.data(first)) if first is not None else ETHOS_U
    return None


def _ethos_u(stream: bytes) -> str:
    """Return the accelerator of a command stream."""
    if len(stream) < 12 or stream[:4] != MAGIC:
        return ETHOS_U
    (config,) = struct.unpack_from("<I", stream, 8)
    product, macs = config >> 28, 1 << (config & 0xF)
    name = f"{PRODUCTS[product]}-{macs}" if product < len(PRODUCTS) else ""
    return name if name in ACCELERATORS else ETHOS_U
