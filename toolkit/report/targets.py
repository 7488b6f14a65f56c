"""A target of the catalog on the terminal, with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.gate.machine import describe_target
from edgekit.report import words
from edgekit.targets.bundles import unpackable
from edgekit.targets.catalog import Runtime, Target
from edgekit.wrapping import wrapped

Line = tuple[str, str]
LABEL = 12


def shown(target: Target) -> Iterator[Line]:
    """Yield what is known of a target, each fact with its source."""
    yield f"{target.id}  {target.title}", "bold"
    yield from _row("also called", ", ".join(target.aliases))
    yield from _row("machine", describe_target(target))
    yield from _row("processor", _cpu(target), target.sources.get("cpu", ""))
    yield from _row("memory", _memory(target), target.sources.get("memory", ""))
    if target.npu:
        npu = f"{target.npu.accelerator}, compiled for by {target.npu.compiler}"
        settings = [one for one in (target.npu.system_config, target.npu.memory_mode) if one]
        yield from _row("NPU", ", ".join([npu, *settings]), target.sources.get("npu", ""))
    for runtime in target.runtimes:
        yield from _row("runtime", _runtime(runtime))
    yield from _row("", "", target.sources.get("runtimes", ""))
    yield from _row("runs best", _best(target), target.sources.get("precisions", ""))
    yield from _row("I/O", ", ".join(target.io) or "any dtype", target.sources.get("io", ""))
    if not target.free_sizes:
        yield from _row("sizes", "all fixed", target.sources.get("free_sizes", ""))
    yield from _row("refuses", "; ".join(f"{k}: {v}" for k, v in target.conversion.refuses.items()))
    if only := ", ".join(target.conversion.only):
        yield from _row("takes", f"{only} alone: {target.conversion.because}")
    yield from _row("delegates", ", ".join(target.delegates), target.sources.get("delegates", ""))
    yield from _row("reached by", ", ".join(target.reached))
    yield from _row("bundle", ", ".join(target.bundles), unpackable(target))
    for note in target.notes:
        yield from _row("note", note)


def _row(label: str, text: str, source: str = "") -> Iterator[Line]:
    """Yield a labelled text, wrapped, and below it where it is from; nothing without either."""
    for told, style in ((text, ""), (source, "dim")):
        for line in _wrapped(told, LABEL):
            yield f"{label:<{LABEL}}{line}", style
            label = ""


def _wrapped(text: str, indent: int) -> list[str]:
    return wrapped(text, max(words.columns() - indent, 20)) if text else []


def _cpu(target: Target) -> str:
    if target.cpu is None:
        return ""
    cpu = target.cpu
    cores = "" if cpu.cores is None else f"{cpu.cores} core{'s' if cpu.cores > 1 else ''}"
    return ", ".join([part for part in (cpu.name, cores, cpu.clock, *cpu.features) if part])


def _memory(target: Target) -> str:
    memory, parts = target.memory, []
    for name, whole, share in (
        ("RAM", memory.ram, memory.model_ram),
        ("flash", memory.flash, memory.model_flash),
    ):
        if whole is not None or share is not None:
            of = "" if share is None else f", a model may take {words.binary(share)}"
            parts.append(f"{words.binary(whole) if whole is not None else '?'} {name}{of}")
    return "; ".join(parts)


def _runtime(runtime: Runtime) -> str:
    manager = "" if runtime.manager == "pip" else f", {runtime.manager}"
    versions = f", applications may have {runtime.versions}" if runtime.versions else ""
    note = f": {runtime.note}" if runtime.note else ""
    package = "" if runtime.package == runtime.name else f" ({runtime.package}{manager})"
    return f"{runtime.name} {runtime.version}{package}{versions}{note}"


def _best(target: Target) -> str:
    scale = target.conversion.granularity
    return f"{', '.join(target.precisions) or 'nothing is said'}; scales {scale}"
