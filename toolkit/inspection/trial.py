"""Try a file on the runtimes and NPU compilers that are installed here."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Literal

from edgekit.converters.micro import vela
from edgekit.errors import (
    CompilerFailed,
    ConversionError,
    DeviceError,
    EdgekitError,
    RunnerError,
    RunnerHung,
    RunnerTooLarge,
)
from edgekit.process import Limits
from edgekit.targets import catalog
from edgekit.targets.runners import DISTRIBUTION
from edgekit.types import Request, RunnerModel

# What one runtime or compiler may take for one file.
LIMITS = Limits(60.0, 4 << 30)
RUNTIMES = ("litert", "tflite-runtime", "tflm")
REASON = 300
# What free sizes are taken as, besides the batch; as ``load_mode.py`` has it.
FREE = 64
# Beyond a limit nothing is known of the file.
UNDECIDED = (RunnerHung, RunnerTooLarge)


@dataclass(frozen=True)
class FitTrial:
    """What came of a file on a runtime here, or in a compiler.

    It *ran* once on zeros (a compiler: compiled it), *loaded* only, was *refused*, or is
    *unavailable*: not there, or out of its limits. ``reason`` says why it did not run. ``arena`` is
    the smallest that TFLM runs it in, where that was tried. Of a compiler: the ``share`` of the
    operators that the NPU takes, and bytes of ``sram`` and of the compiled file.
    """

    outcome: Literal["ran", "loaded", "refused", "unavailable"]
    version: str
    reason: str = ""
    fix: str = ""
    arena: int | None = None
    share: float | None = None
    sram: float | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class FitTrials:
    """The trials of one file, by runtime and by accelerator."""

    runtimes: Mapping[str, FitTrial] = field(default_factory=dict)
    accelerators: Mapping[str, FitTrial] = field(default_factory=dict)


NOTHING = FitTrials()


def try_everywhere(model: Path, targets: Iterable[catalog.Target]) -> FitTrials:
    """Load and run a file on every runtime of the targets that is installed here, and compile it
    for their NPUs where the compiler is."""
    chosen = tuple(targets)
    npus = {t.npu.accelerator: t.npu for t in chosen if t.npu and t.npu.compiler == vela.PACKAGE}
    runtimes = [r for r in RUNTIMES if any(row.name == r for t in chosen for row in t.runtimes)]
    with ThreadPoolExecutor(2) as pool:
        loaded = [pool.submit(load, model, runtime) for runtime in runtimes]
        compiled = [pool.submit(compile_for, model, npu) for npu in npus.values()]
    return FitTrials(
        {name: one.result() for name, one in zip(runtimes, loaded, strict=True)},
        {name: one.result() for name, one in zip(npus, compiled, strict=True)},
    )


def load(model: Path, runtime: str, limits: Limits = LIMITS) -> FitTrial:
    """Load a file in a runner, allocate, and run it once on zeros."""
    # To judge by tables takes no device.
    from edgekit.targets.devices.local import LocalDevice

    version = _version(DISTRIBUTION[runtime])
    request = Request("load", (RunnerModel(model.name, model.resolve()),), runtime=runtime)
    with tempfile.TemporaryDirectory() as folder:
        device = LocalDevice(Path(folder) / "requests", Path(folder) / "log", limits)
        try:
            facts = device.run(request)["models"][model.name]
        except DeviceError as error:
            return FitTrial("unavailable", version, _line(error))
        except RunnerError as error:
            outcome = "unavailable" if isinstance(error, UNDECIDED) else "refused"
            return FitTrial(outcome, version, _line(error))  # type: ignore[arg-type]
    problem = _clean(facts["problem"])
    if facts["ran"]:
        return FitTrial("ran", version, arena=facts.get("arena_bytes"))
    return FitTrial("loaded" if facts["allocated"] else "refused", version, problem)


def compile_for(model: Path, npu: catalog.Npu, limits: Limits = LIMITS) -> FitTrial:
    """Compile a file for an Ethos-U."""
    version = ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            version = vela.version()
            estimate = vela.compile_model(
                model,
                npu.accelerator,
                Path(folder),
                npu.system_config,
                npu.memory_mode,
                limits.seconds or 0.0,
            )
        except ConversionError as error:
            slow = "took longer" in error.message
            # The hint of a compiler that failed is its log.
            fix = "" if isinstance(error, CompilerFailed) else error.hint
            return FitTrial("unavailable" if slow else "refused", version, error.message, fix)
        except EdgekitError as error:
            return FitTrial("unavailable", version, _line(error))
    share = estimate.operators_on_npu.value or 0.0
    return FitTrial(
        "ran",
        version,
        f"{share:.0%} of its operators run on the NPU",
        share=share,
        sram=estimate.sram.value,
        bytes=estimate.bytes,
    )


def _version(distribution: str) -> str:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(distribution)
    return ""


def _line(error: EdgekitError) -> str:
    first = next(iter(error.hint.splitlines()), "")
    return _clean(f"{error.message}: {first}" if first else error.message)


def _clean(text: str) -> str:
    """Return a runtime's words in one line, each sentence once: delegates repeat what they say."""
    lines = dict.fromkeys(one.strip() for one in text.splitlines() if one.strip())
    kept = [one for one in lines if not one.startswith("See instructions:")]
    return "; ".join(kept or lines)[:REASON]
