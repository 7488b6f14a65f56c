"""A bundle's self-test on a device: its golden inputs must give its golden outputs there."""

from __future__ import annotations

import math
from collections.abc import Mapping

from edgekit.pipeline.measure.bench_inputs import Unpacked
from edgekit.pipeline.measure.loaded_model import LoadedModel
from edgekit.types import Request, RunnerModel, SelfTest


def selftest(subject: LoadedModel, bundle: Unpacked) -> SelfTest:
    """Run the bundle's golden items. Raises :class:`RunnerError` or :class:`DeviceError`."""
    request = Request(
        mode="selftest",
        models=(RunnerModel(subject.id, subject.path),),
        inputs=bundle.inputs,
        preprocess=bundle.preprocess,
        index=bundle.index,
        signature=bundle.signature,
        reset_state=subject.model.stateful,
        golden=bundle.golden,
        **bundle.carrying,
    )
    result = subject.device.run(request)
    facts = result["models"][subject.id]
    return SelfTest(
        passed=bool(facts["passed"]),
        items=int(facts["items"]),
        differences=_finite(facts["differences"]),
        tolerances={name: golden.tolerance for name, golden in bundle.golden.items()},
    )


def _finite(differences: Mapping[str, float]) -> Mapping[str, float | None]:
    """Replace NaN differences by None, as JSON has no NaN."""
    return {name: d if math.isfinite(d) else None for name, d in differences.items()}


def failure(result: SelfTest) -> str:
    """Say which output is off and by how much."""
    off = [
        f"output {name!r} is off by {result.differences[name]:.3g}, allowed is {most:.3g}"
        if result.differences.get(name) is not None
        else f"output {name!r} holds NaN"
        for name, most in result.tolerances.items()
        if result.differences.get(name) is None or (result.differences[name] or 0.0) > most
    ]
    return f"the bundle's self-test fails: {'; '.join(off)}"
