"""The proving stage: a model rebuilt as TFLite can have it, in float32, is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from edgekit.models.float32 import prove
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.types import Advice, Json, SavedModel


def prove_float32(run: Run, reference: SavedModel, items: Items) -> None:
    """Prove the twin that files are made of equal to the reference, and tell the user of it.

    Nothing to do where there is no twin. Raises :class:`ModelError` where the two are not the same.
    """
    twin = reference.twin
    if twin is None:
        return

    def make(_: Path) -> Mapping[str, Json]:
        samples = dict(items.representative)
        found = run.worker.call(prove, reference.path, twin, reference.policies, samples)
        return asdict(found)

    with run.stage("float32"):
        key = run.key(
            "tensorflow", model=reference.digest, representative=items.representative_digest
        )
        facts = run.obtain("float32", key, make).facts
    shares = [f"{facts['random']:.2%} on random items"]
    if facts["real"] is not None:
        shares.append(f"{facts['real']:.2%} on {facts['items']} real ones")
    shown = " and ".join(shares)
    if reference.policies:
        message = (
            f"the model computes in {' and '.join(reference.policies)}, for which TFLite has no"
            " kernels: files are made of its weights under the float32 policy, and judged by the"
            f" model as trained. The two differ by {shown}; rounding explains up to"
            f" {facts['tolerance']:.1%}"
        )
        run.advise(Advice("EK-NOTE-040", "info", message))
    if reference.rewritten:
        names = " and ".join(reference.rewritten)
        message = (
            f"Keras 3 tells -0.0 from 0.0 in {names}, for which TFLite has no operators: files have"
            f" TensorFlow's {names}, and are judged by the model as trained. The two differ by"
            f" {shown}"
        )
        run.advise(Advice("EK-NOTE-090", "info", message))
