"""The manifest of a bundle as it is written, and the golden pairs as files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.targets.bundles.contents import (
    CARD,
    COMPILED,
    LABELS,
    LICENCE,
    MODEL,
    SBOM,
    SCHEMA_VERSION,
    Contents,
    Golden,
)
from edgekit.targets.bundles.signing import ALGORITHM, SigningKey
from edgekit.targets.catalog import Target
from edgekit.types import CarriedState, Json, Measurement, RuntimeNeed, TensorSpec

ON_LITERT = "model.tflite on LiteRT, on the machine that packed this bundle"
DATA = "real items of the evaluation data"
DRAWN = "drawn with a seed, because there was no data: they say nothing of accuracy"


def golden_files(golden: Golden) -> dict[str, bytes]:
    """Return the golden pairs as ``.npy`` files, with what each runtime gives."""
    arrays = {f"golden/input_{k}.npy": v for k, v in enumerate(golden.inputs.values())}
    arrays |= {f"golden/output_{k}.npy": v for k, v in enumerate(golden.outputs.values())}
    for family in golden.families:
        for k, name in enumerate(golden.outputs):
            arrays[f"golden/{family.runtime}/output_{k}.npy"] = family.outputs[name]
    files = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(array))
        files[name] = buffer.getvalue()
    return files


def sizes_of(files: Mapping[str, int]) -> dict[str, int]:
    """Return what the parts of a bundle take, of the bytes of its files: unpacked."""
    sizes = dict.fromkeys(("model", "golden", "app", "description"), 0)
    for name, count in files.items():
        sizes[_part(name)] += count
    return sizes


def _part(name: str) -> str:
    if PurePosixPath(name).name in (MODEL, COMPILED) or name.startswith("models/"):
        return "model"
    if name.startswith("golden/"):
        return "golden"
    return "description" if name in (LABELS, CARD, LICENCE, SBOM) else "app"


def manifest_of(
    target: Target,
    contents: Contents,
    files: Mapping[str, bytes],
    kind: str,
    model: str = MODEL,
    key: SigningKey | None = None,
) -> dict[str, Json]:
    """Return the manifest: every other file's digest, and all that an app must know.

    ``model`` is where the model lies in the bundle.
    """
    golden = contents.golden
    return {
        "schema_version": SCHEMA_VERSION,
        "name": contents.name,
        "version": contents.version,
        "target": target.id,
        "kind": kind,
        "model": _model(target, contents, model),
        "preprocess": contents.preprocess.facts,
        "labels": list(contents.labels),
        "golden": _golden(golden),
        "minimum_runtime": _minimum(contents.minimum_runtime),
        "arena": _arena(contents.arena),
        "gate": asdict(contents.gate),
        "licence": {"spdx": contents.licence.spdx, "file": LICENCE if LICENCE in files else None},
        "app": {"id": contents.app, "namespace": contents.code_name},
        "size": sizes_of({name: len(content) for name, content in files.items()}),
        **({"signer": _signer(key)} if key else {}),
        "runtimes": [
            {
                "name": r.name,
                "package": r.package,
                "version": r.version,
                "requires": r.requires,
                **({"python": r.python} if r.python else {}),
            }
            for r in target.runtimes
        ],
        "measurements": contents.measurements,
        "tools": contents.tools,
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in sorted(files.items())
        },
    }


def _model(target: Target, contents: Contents, file: str) -> dict[str, Json]:
    """Describe the model, of which ``file`` is the place in the bundle."""
    return {
        "file": file,
        "precision": contents.precision,
        "inputs": _specs(contents.inputs, contents.golden.inputs),
        "outputs": _specs(contents.outputs, contents.golden.outputs),
        **({"signature": contents.signature} if contents.signature else {}),
        **({"states": states} if (states := _states(contents.states)) else {}),
        **_compiled(target, contents),
    }


def _golden(golden: Golden) -> dict[str, Json]:
    runtimes: list[Json] = [{"name": "litert", "version": golden.version}]
    for family in golden.families:
        outputs = {
            name: {
                "file": f"golden/{family.runtime}/output_{k}.npy",
                "difference": family.differences[name],
            }
            for k, name in enumerate(golden.outputs)
        }
        runtimes.append({"name": family.runtime, "version": family.version, "outputs": outputs})
    return {
        "of": ON_LITERT,
        "items": DRAWN if golden.random else DATA,
        "inputs": {n: f"golden/input_{k}.npy" for k, n in enumerate(golden.inputs)},
        "outputs": {
            n: {"file": f"golden/output_{k}.npy", "tolerance": golden.tolerance[n]}
            for k, n in enumerate(golden.outputs)
        },
        "runtimes": runtimes,
        **({"answers": asdict(golden.answers)} if golden.answers else {}),
        **({"streams": list(golden.streams)} if golden.streams else {}),
    }


def _minimum(need: RuntimeNeed | None) -> dict[str, Json]:
    if need is None:
        return {"how": "unavailable", "reason": "the operators of the file were not looked up"}
    known = bool(need.release or need.litert)
    how = "estimated" if known else "unavailable"
    return {**asdict(need), "how": how}


def _arena(arena: Measurement | None) -> dict[str, Json]:
    reason = "TFLM did not run the model here"
    return asdict(arena or Measurement.unavailable("byte", reason))


def _signer(key: SigningKey) -> dict[str, Json]:
    return {"algorithm": ALGORITHM, "public_key": key.public.text}


def _compiled(target: Target, contents: Contents) -> Mapping[str, Json]:
    if contents.compiled is None or target.npu is None:
        return {}
    return {"compiled": {"file": COMPILED, "accelerator": target.npu.accelerator}}


def _states(states: tuple[CarriedState, ...]) -> dict[str, Json]:
    """Return what an app feeds each state with: zeros, then the output of the inference before."""
    return {
        state.input.name: {
            "output": state.output.name,
            "shape": [size or 1 for size in state.input.shape],
            "dtype": state.input.dtype,
        }
        for state in states
    }


def _specs(
    specs: tuple[TensorSpec, ...], golden: Mapping[str, npt.NDArray[Any]]
) -> dict[str, Json]:
    """Return one item of each, whatever the file's batch; free sizes are those of the golden
    items.
    """
    return {
        s.name: {"shape": [1, *_item(s, golden[s.name].shape[1:])], "dtype": s.dtype} for s in specs
    }


def _item(spec: TensorSpec, held: tuple[int, ...]) -> tuple[int | None, ...]:
    whole = len(spec.shape) == len(held)
    sizes = spec.shape if whole else spec.shape[1:]
    if len(sizes) != len(held):
        return sizes
    return tuple(own or given for own, given in zip(sizes, held, strict=True))
