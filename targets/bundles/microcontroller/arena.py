"""The size of the tensor arena that goes into the source, and the comment that says whence."""

from __future__ import annotations

import hashlib
import platform
import textwrap

import numpy as np

from edgekit import scratch
from edgekit.errors import DeviceError, RunnerError
from edgekit.process import Limits
from edgekit.targets.bundles.archive import Contents
from edgekit.targets.catalog import Target
from edgekit.targets.devices.arena import RUNTIME, Arena, arena
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import RUNNER_FILES

SECONDS = 300.0
WIDTH = 96
MEASURED = """\
The tensor arena: {smallest:,} bytes, the smallest in steps of 16 in which {tool} on {machine} allocates, \
invokes, and answers {items} golden items as it does in a large one. Its own recorder says \
{recorded:,} bytes{less}. {narrow}Not in it is memory that other kernels ask for: those of \
CMSIS-NN and ESP-NN do. For another size define {macro}."""  # noqa: E501
NARROW = """\
A target of 32 bits needs about {estimate:,} bytes with the same kernels (estimated: {how}), so \
that {over:,} bytes are a margin there. """
UNAVAILABLE = """\
The tensor arena: its size is unavailable, because {reason}. Define {macro}: begin with a large \
one, then look at the self-test, which prints how much of it is in use."""
NPU = "the array is compiled for {accelerator}, and cannot run on the host that made this"
SRAM = " ({compiler} estimates {sram:,.0f} bytes of SRAM for its tensors alone)"
# What was measured in this process: a run's targets share their model.
_measured: dict[str, Arena] = {}


def measured(target: Target, contents: Contents) -> Arena:
    """Return the arena of the file that the array holds, measured on TFLM on this host."""
    if contents.compiled is not None and target.npu is not None:
        return Arena.unavailable(_of_npu(target.npu.accelerator, contents))
    key = _key(contents)
    if key in _measured:
        return _measured[key]
    with scratch.held(prefix="edgekit-arena-") as folder:
        inputs = {}
        for number, (name, values) in enumerate(contents.golden.inputs.items()):
            inputs[name] = folder / f"input_{number}.npy"
            np.save(inputs[name], np.ascontiguousarray(values))
        device = LocalDevice(
            folder / "requests", folder / "log.txt", Limits(SECONDS), dict(RUNNER_FILES)
        )
        try:
            sizes = arena(
                device,
                contents.model,
                inputs,
                preprocess=contents.preprocess,
                signature=contents.signature,
                states={one.input.name: one.output.name for one in contents.states},
            )
        except (DeviceError, RunnerError) as error:
            return Arena.unavailable(f"{error.message}: {error.hint}".rstrip(": "))
    _measured[key] = sizes
    return sizes


def size_of(found: Arena) -> int:
    """Return the size that the source has: 0 where none is known, and the user has to say."""
    return int(found.smallest.value or 0)


def comment(sizes: Arena, macro: str) -> str:
    """Return lines of C++ comment that say what the size is, and how that is known."""
    if sizes.smallest.value is None:
        text = UNAVAILABLE.format(reason=sizes.smallest.reason.rstrip("."), macro=macro)
    else:
        estimate = sizes.estimated_32bit
        narrow = ""
        if estimate.value is not None:
            over = int(sizes.smallest.value - estimate.value)
            narrow = NARROW.format(estimate=int(estimate.value), how=estimate.tool, over=over)
        text = MEASURED.format(
            smallest=int(sizes.smallest.value),
            tool=sizes.smallest.tool.partition(",")[0],
            machine=platform.machine(),
            items=sizes.smallest.n,
            recorded=int(sizes.recorded.value or 0),
            less=f", {sizes.margin.value:.1%} too few" if sizes.margin.value else " too",
            narrow=narrow,
            macro=macro,
        )
    # A reason may hold anything: no line of it ends the comment, or continues it.
    safe = "".join(c if c.isprintable() else " " for c in text).replace("\\", "/")
    return "\n".join(f"// {line}" for line in textwrap.wrap(safe, WIDTH))


def _of_npu(accelerator: str, contents: Contents) -> str:
    reason = NPU.format(accelerator=accelerator)
    sram = contents.measurements.get("npu_sram") or {}
    if sram.get("value") is not None:
        reason += SRAM.format(compiler=sram.get("tool") or "its compiler", sram=sram["value"])
    return reason


def _key(contents: Contents) -> str:
    digest = hashlib.sha256(contents.model.read_bytes())
    facts = (
        contents.preprocess.facts,
        contents.signature,
        [(one.input.name, one.output.name) for one in contents.states],
    )
    digest.update(repr((RUNTIME, facts)).encode())
    for name, values in contents.golden.inputs.items():
        digest.update(repr((name, values.dtype.str, values.shape)).encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
