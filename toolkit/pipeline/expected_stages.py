"""The stages that a run is expected to go through, known from its plan before it starts.

What only the run can tell (that weights are in float16, that the labels fit nothing) is not among
them: such a stage is counted when it begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.converters.precisions import PRECISIONS
from edgekit.gate.limits import stated_budgets
from edgekit.gate.shipping import own_device
from edgekit.pipeline.compile import is_compiled
from edgekit.pipeline.plan import Plan
from edgekit.targets import catalog

INT8 = "int8"
PLACE_MODEL = "place model"


def conversion(plan: Plan) -> tuple[str, ...]:
    """Return those of ``convert``."""
    return tuple(_conversion(plan))


def making(plan: Plan) -> tuple[str, ...]:
    """Return those of ``train`` and ``export``."""
    return (*_model(plan), PLACE_MODEL)


def compression(plan: Plan) -> tuple[str, ...]:
    """Return those of ``compress``."""
    # Both models are converted: the uncompressed one, and what was made of it.
    stages = [*_model(plan), "data", *_schemes(plan), "convert", "convert", *_judging(plan)]
    return (*stages, *(() if plan.options.dry_run else ("place",)))


def linting(plan: Plan) -> tuple[str, ...]:
    """Return those of ``lint-data``."""
    return (*_model(plan), "data", "lint", "variants")


def surveying(plan: Plan) -> tuple[str, ...]:
    """Return those of ``init --from``."""
    checked = ("variants",) if plan.options.evaluate else ()
    return (*_model(plan), "data", *checked, "convert")


def bench(devices: Sequence[str], calibrate: bool) -> tuple[str, ...]:
    """Return those of ``bench``, of each machine by the label of its devices; "" for a sole one."""
    each = ("models", "self-test", *(("calibrate",) if calibrate else ()), "latency", "details")
    return tuple(f"{label}: {stage}" if label else stage for label in devices for stage in each)


def _conversion(plan: Plan) -> Iterator[str]:
    project, judged = plan.project, plan.options.evaluate
    yield from _model(plan)
    if project.convert.reference is not None and judged:
        yield "reference"
    yield from ("data", PLACE_MODEL)
    yield from _schemes(plan)
    calibrated = any(PRECISIONS[precision].calibrated for precision in plan.precisions)
    if calibrated and not project.convert.as_is:
        yield "lint"
    yield "convert"
    if project.convert.recover is not None and INT8 in plan.precisions:
        yield "recover"
    yield from _judging(plan)
    budgets = stated_budgets(plan.targets, project.candidates).values()
    if project.bundle.delta_from is not None and any(each.delta_size for each in budgets):
        yield "updates"
    if any(is_compiled(catalog.load(target)) for target in plan.targets):
        yield "compile"
    if judged:
        named = (own_device(name, table) for name, table in plan.targets.items())
        yield from (f"on {device}" for device in named if device)
        if plan.options.layers:
            yield "layers"
    yield "place"
    if judged:
        yield "golden pairs"
        yield from (f"bundle {target}" for target in plan.targets)


def _model(plan: Plan) -> Iterator[str]:
    if plan.model is None:
        yield "train" if plan.project.data.train else "build"
    if plan.model is not None or plan.project.convert.unroll:
        yield "read" if plan.model is not None and plan.model.kind == "tflite" else "export"


def _schemes(plan: Plan) -> Iterator[str]:
    channels = plan.project.compress.channels is not None
    if channels:
        yield "channels"
    others = [scheme for scheme in plan.project.compress.schemes if scheme != "channels"]
    if others:
        yield "bridge"
        yield from (scheme.replace("_", " ") for scheme in others)
        if others[-1] != "quantization_aware":
            yield "carry"


def _judging(plan: Plan) -> Iterator[str]:
    if plan.options.evaluate:
        yield from ("evaluate", "runtimes", "latency")
