"""Findings about how older runtimes run a file."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.converters.inspection.facts import Facts, Finding, counted
from edgekit.converters.inspection.shapes import node_name, short
from edgekit.converters.runtime_table import release

# The first version of FULLY_CONNECTED with scales per channel; TensorFlow 2.17 brought it.
PER_CHANNEL_DENSE = 12
FLAG = "converter._experimental_disable_per_channel_quantization_for_dense_layers = True"
TO_OLD = f"for a runtime before 2.17 convert with TensorFlow and {FLAG}"


def per_channel_dense(facts: Facts) -> Iterator[Finding]:
    """Find dynamic dense layers with a scale per channel, which runtimes before 2.17 lack."""
    stated: list[str] = []
    hidden: list[str] = []
    for graph, node, precision in facts.nodes():
        # Computed in integers throughout, such layers are as old as int8 itself.
        if node.operator != "FULLY_CONNECTED" or precision.kind != "dynamic":
            continue
        quantization = graph.tensors[node.inputs[1]].quantization
        if quantization is not None and quantization.per_channel:
            into = stated if node.version >= PER_CHANNEL_DENSE else hidden
            into.append(node_name(graph, node))
    if stated:
        yield Finding(
            "EK-INSPECT-040",
            "warning",
            f"{counted(stated, 'dynamic dense layer has', 'dynamic dense layers have')} a scale per"
            " channel, which 2.17 brought",
            tuple(stated),
            "tflite-runtime 2.14 refuses it: Didn't find op for builtin opcode 'FULLY_CONNECTED'"
            " version '12'",
            TO_OLD,
        )
    if hidden:
        yield Finding(
            "EK-INSPECT-041",
            "warning",
            f"{counted(hidden, 'dynamic dense layer has', 'dynamic dense layers have')} a scale per"
            " channel, under a version of the operator that has none",
            tuple(hidden),
            "a runtime before 2.17 may load it, take the first scale for all channels, and return"
            " wrong results without an error",
            TO_OLD,
        )


def understated(facts: Facts) -> Iterator[Finding]:
    """Find operators whose stated version is lower than what they use."""
    needs = [
        need
        for need in facts.runtime.understated
        if (need.operator, need.version) != ("FULLY_CONNECTED", PER_CHANNEL_DENSE)
    ]
    if needs:
        places = tuple(
            f"{need.operator} says {need.stated}, needs {need.version} ({short(need.tensor)})"
            for need in needs
        )
        yield Finding(
            "EK-INSPECT-042",
            "warning",
            f"{counted(needs, 'kind of operator states', 'kinds of operators state')} a lower"
            " version than what is used",
            places,
            "the version is what makes an old runtime refuse a file: without it, the runtime loads"
            " the file and may compute wrong results",
            "run it on every runtime that you ship to; edgekit states the versions itself in what"
            " ai-edge-quantizer makes for it",
        )


def low_claim(facts: Facts) -> Iterator[Finding]:
    """Find a minimum runtime in the metadata that is lower than what the operators need."""
    claimed, needed = facts.runtime.claimed, facts.runtime.release
    try:
        is_low = bool(claimed and needed) and release(claimed) < release(needed)
    except ValueError:
        is_low = True
    if is_low:
        yield Finding(
            "EK-INSPECT-043",
            "info",
            f"the file claims runtime {short(claimed)} is enough, and needs {needed}",
            tuple(map(str, facts.runtime.forced_by)),
            "converters write min_runtime_version by a table of their own: do not gate on it",
            "",
        )
