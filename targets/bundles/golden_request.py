"""The golden items of a bundle as a request to a runner, and the runtimes that may answer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.converters import flatbuffer
from edgekit.errors import BundleError, EdgekitError
from edgekit.targets import catalog
from edgekit.targets.bundles.contents import MANIFEST
from edgekit.targets.bundles.manifest import carrying, preprocess_of
from edgekit.targets.bundles.model_check import check_model
from edgekit.targets.runners import RUNNER_FILES
from edgekit.types import ExpectedOutput, Request, RunnerModel

# Whose outputs the golden ones are.
GOLDEN = "litert"
# Quantization steps by which a golden output may differ in any case.
MOST_STEPS = 16


def golden_request(path: Path, manifest: Mapping[str, Any], folder: Path) -> Request:
    """Return the self-test of a bundle that is unpacked in ``folder``, without its runtime.

    Raises :class:`BundleError` where the manifest names what is not there, the model is not the
    manifest's, or the self-test could not fail.
    """
    try:
        outputs = manifest["golden"]["outputs"].items()
        golden = {
            name: ExpectedOutput(_inside(folder, g["file"]), g["tolerance"]) for name, g in outputs
        }
        inputs = manifest["golden"]["inputs"].items()
        request = Request(
            mode="selftest",
            models=(RunnerModel("model", _inside(folder, manifest["model"]["file"])),),
            inputs={name: _inside(folder, file) for name, file in inputs},
            preprocess=preprocess_of(manifest),
            signature=manifest["model"].get("signature"),
            golden=golden,
            **carrying(manifest),
        )
    except ValueError as error:
        raise BundleError("EK-BUNDLE-004", f"{path}: {MANIFEST} names no file: {error}") from error
    _check_tolerances(path, request, golden)
    _check_answers(path, manifest, golden)
    check_model(path, manifest, request.models[0].path)
    return request


def runtimes_of(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the runtimes to try on this host, the first before the others."""
    return _local([str(runtime["name"]) for runtime in manifest["runtimes"]])


def _check_tolerances(path: Path, request: Request, expected: Mapping[str, ExpectedOutput]) -> None:
    """Refuse a self-test that nothing could fail: a tolerance as large as the outputs, or no items.

    Of a quantized output a few steps are always allowed.
    """
    try:
        file = flatbuffer.read(request.models[0].path)
        steps = file.outputs_of(request.signature)
    except EdgekitError:
        steps = {}
    for name, golden in expected.items():
        try:
            values = np.load(golden.path, allow_pickle=False).astype(np.float64)
            largest = float(np.abs(values).max())
        except Exception as error:
            message = f"{path}: the golden output {name!r} cannot be read"
            raise BundleError("EK-BUNDLE-006", message, str(error)[:300]) from error
        most = max(largest, MOST_STEPS * (steps[name].scale if name in steps else 0.0))
        if not golden.tolerance <= most:
            message = f"{path}: the self-test of output {name!r} cannot fail"
            hint = f"tolerance {golden.tolerance:.3g} for values of at most {largest:.3g}"
            raise BundleError("EK-BUNDLE-007", message, hint)


def _check_answers(
    path: Path, manifest: Mapping[str, Any], expected: Mapping[str, ExpectedOutput]
) -> None:
    """Refuse labels in another order than the golden items' answers have them."""
    told = manifest["golden"].get("answers")
    if told is None:
        return
    labels = manifest.get("labels", [])
    try:
        scores = np.load(expected[told["output"]].path, allow_pickle=False)
        best = scores.reshape(len(scores), -1).argmax(axis=1)
    except Exception as error:
        message = f"{path}: the answers of output {str(told['output'])[:60]!r} cannot be read"
        raise BundleError("EK-BUNDLE-006", message, str(error)[:300]) from error
    named = [str(labels[k]) if k < len(labels) else str(k) for k in best]
    wrong = [k for k, name in enumerate(told["labels"][: len(named)]) if name != named[k]]
    if wrong or len(named) != len(told["labels"]):
        item = wrong[0] if wrong else 0
        message = f"{path}: the labels do not give the golden items' answers"
        hint = f"item {item} is called {named[item][:60]!r} by them: are they in the model's order?"
        raise BundleError("EK-BUNDLE-006", message, hint)


def _local(named: Sequence[str]) -> tuple[str, ...]:
    """Return the runtimes to try on this host: those that a manifest names, and LiteRT before them
    where they are the catalog's and run on no host, as a phone's.
    """
    known = {runtime.name for target in catalog.every() for runtime in target.runtimes}
    elsewhere = known.issuperset(named) and not bundle_runners().keys() & set(named)
    return tuple(dict.fromkeys((GOLDEN, *named) if elsewhere else named))


def bundle_runners() -> Mapping[str, Path]:
    """Return the runners of the catalog's runtimes: a SavedModel in a bundle would be a program
    to run.
    """
    named = {runtime.name for target in catalog.every() for runtime in target.runtimes}
    return {name: RUNNER_FILES[name] for name in RUNNER_FILES if name in named}


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise BundleError(
            "EK-BUNDLE-003", f"the manifest names a file outside the bundle: {name!r}"
        )
    if not path.is_file():
        message = f"the manifest names {name[:100]!r}, which is not in the bundle"
        raise BundleError("EK-BUNDLE-004", message)
    return path
