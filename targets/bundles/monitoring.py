"""The golden statistics of a bundle, ``monitoring.json``: what edgekit saw before anyone shipped.

Nothing in it grows with the size of a picture or the number of items.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import strict_json
from edgekit.targets.bundles.contents import Contents
from edgekit.targets.runners import recorder
from edgekit.types import Json

FILE = "monitoring.json"
SCHEMA_VERSION = 1
SCHEMA = Path(__file__).resolve().with_name("monitoring.schema.json")
LARGEST = 16 << 20
# So many values an item are features each; of more, or of a picture, statistics are.
MOST_SCALARS = 32
MOST_CHANNELS = 8
BINS = 10
BLOCK_VALUES = 1 << 21
# Bins are only as many as hold so many golden items each: fewer say nothing.
ITEMS_A_BIN = 20
# Values that lie closer than this share of their range are one: languages sum in other orders.
APART = 1e-9
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Classes:
    """The output that scores classes, what they are called, and what makes shares of scores.

    ``threshold`` is that of an output of one score, above which it is the second of two classes.
    """

    output: str
    labels: tuple[str, ...]
    activation: str = ""
    threshold: float | None = None


def monitoring_file(contents: Contents) -> bytes:
    """Return ``monitoring.json`` of a bundle: its golden statistics, and the latency measured."""
    latency = contents.measurements.get("latency_p50_on_build_host")
    document = dict(contents.monitoring or {})
    device = document.pop("device", "")
    # Nothing of the machine that packs is in a bundle but with what was timed on it.
    if latency:
        document |= {"latency_p50": latency, "device": device}
    return (json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n").encode()


def read_statistics(content: bytes) -> dict[str, Any]:
    """Return golden statistics of another hand. Raises ValueError, which says what is wrong."""
    if len(content) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST >> 20} MiB, which none of edgekit's is")
    document = strict_json.loads(content)
    problem = next(iter(_validator().iter_errors(document)), None)
    if problem is not None:
        where = ".".join(str(part)[:60] for part in problem.absolute_path)
        raise ValueError(f"{where}: {problem.message[:200]}" if where else problem.message[:200])
    statistics: dict[str, Any] = document
    names = [one["name"] for one in statistics["features"]]
    if len(set(names)) < len(names):
        raise ValueError("two features have one name")
    for feature in statistics["features"]:
        edges = feature["edges"]
        if len(feature["counts"]) != len(edges) + 1 or sorted(set(edges)) != edges:
            raise ValueError(f"{feature['name'][:60]}: its counts are not those of its edges")
        if sum(feature["counts"]) != feature["n"]:
            raise ValueError(f"{feature['name'][:60]}: its counts are not of {feature['n']} items")
    return statistics


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def layout_of(name: str, side: str, shape: Sequence[int], label: str = "") -> dict[str, Json]:
    """Describe the features of a tensor whose items are of ``shape``; they are called by ``label``,
    where that is not its name.

    A picture is of rank three, with its channels last, or first where there are one or three.
    """
    values = int(np.prod(shape, dtype=np.int64))
    told: dict[str, Json] = {"name": name, "side": side, "values": values, "channels": 1}
    told |= {"stride": values, "step": 1, "width": 0, "statistics": []}
    told["shape"] = [int(size) for size in shape]
    if len(shape) == 3 and min(shape[0], shape[1]) > 1:
        first = shape[-1] > 4 and shape[0] in (1, 3)
        count, width = (shape[0], shape[2]) if first else (shape[2], shape[1])
        if count <= MOST_CHANNELS:
            told |= {"channels": count, "stride": values // count if first else 1}
        else:
            count = 1 if first else count
        told |= {"step": 1 if first else shape[2], "width": width}
        told["statistics"] = list(recorder.STATISTICS)
    elif len(shape) == 2 and shape[0] > 1 and 1 < shape[1] <= MOST_CHANNELS:
        told |= {"channels": shape[1], "stride": 1}
        told["statistics"] = list(recorder.STATISTICS[:4])
    elif values > MOST_SCALARS:
        told["statistics"] = list(recorder.STATISTICS[:4])
    if told["statistics"] and values <= MOST_SCALARS:
        told |= {"channels": 1, "stride": values, "width": 0, "step": 1, "statistics": []}
    told["features"] = _names(told, label or name)
    return told


def _names(told: Mapping[str, Any], label: str) -> list[str]:
    if not told["statistics"]:
        alone = told["values"] == 1
        return [label if alone else f"{label}[{k}]" for k in range(told["values"])]
    marks = [""] if told["channels"] == 1 else [f"[{k}]" for k in range(told["channels"])]
    return [f"{label}{mark}.{name}" for mark in marks for name in told["statistics"]]


def edges_of(values: Floats) -> list[float]:
    """Return the edges between bins that hold about as many of the values each.

    An edge lies between two values, never on one, so that another language counts alike. Of values
    that are all the same, what is less and what is more have a bin each.
    """
    finite = np.sort(values[np.isfinite(values)])
    if not len(finite):
        return []
    span = max(float(finite[-1] - finite[0]), abs(float(finite[-1])), abs(float(finite[0])))
    near = max(APART * span, 1e-12)
    if finite[-1] - finite[0] <= near:
        return [float(finite[0] - 1e3 * near), float(finite[-1] + 1e3 * near)]
    places = np.flatnonzero(np.diff(finite) > near)
    bins = max(2, min(BINS, len(finite) // ITEMS_A_BIN))
    wanted = np.arange(1, bins) * len(finite) / bins - 1
    chosen = np.unique(places[np.abs(places[:, None] - wanted).argmin(axis=0)])
    return [float((finite[k] + finite[k + 1]) / 2) for k in chosen]


def table_of(
    tensor: Mapping[str, Any], values: npt.NDArray[Any], places: npt.NDArray[np.int64] | None = None
) -> Floats:
    """Return the features of items, or of those at ``places``, a block at a time: the values may
    lie on a disk, and be more than fit into memory.
    """
    at = np.arange(len(values)) if places is None else places
    rows = max(1, BLOCK_VALUES // max(1, int(tensor["values"])))
    blocks = [
        recorder.features(tensor, values[at[first : first + rows]])
        for first in range(0, len(at), rows)
    ]
    return np.concatenate(blocks) if blocks else np.zeros((0, len(tensor["features"])))


def statistics_of(
    model: Mapping[str, str],
    tables: Sequence[tuple[Mapping[str, Any], Floats]],
    scored: Classes | None,
    scores: npt.NDArray[Any] | None,
) -> dict[str, Json]:
    """Return the golden statistics of items: ``tables`` are the tensors of :func:`layout_of`, each
    with its features by :func:`table_of`, ``scores`` the values of the output that is ``scored``.

    ``model`` has its name, version and sha256. The digest tells records of this bundle from those
    of another.
    """
    features: list[dict[str, Json]] = []
    for tensor, table in tables:
        features += [
            _feature(name, tensor["side"], column)
            for name, column in zip(tensor["features"], table.T, strict=True)
        ]
    told: dict[str, Json] | None = None
    if scored is not None and scores is not None:
        told = _classes(scored, scores, features)
    document: dict[str, Json] = {
        "schema_version": SCHEMA_VERSION,
        **model,
        "items": max((len(table) for _, table in tables), default=0),
        "tensors": [tensor for tensor, _ in tables],
        "features": features,
        "classes": told,
    }
    content = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return {**document, "digest": hashlib.sha256(content).hexdigest()}


def _feature(name: str, side: str, values: Floats) -> dict[str, Json]:
    edges = edges_of(values)
    counted = recorder.Counts(edges)
    counted.add(values)
    return {"name": name, "side": side, "edges": edges, **counted.facts()}


def _classes(
    scored: Classes, values: npt.NDArray[Any], features: list[dict[str, Json]]
) -> dict[str, Json]:
    """Count classes, and add the feature of how sure the model is."""
    spec: dict[str, Json] = {
        "output": scored.output,
        "feature": f"{scored.output}.confidence",
        "activation": scored.activation,
        "threshold": scored.threshold,
        "labels": list(scored.labels),
    }
    best, sure = recorder.classes(spec, values)
    features.append(_feature(str(spec["feature"]), "output", sure))
    count = 2 if scored.threshold is not None else int(np.prod(values.shape[1:]))
    counts = np.bincount(best[best >= 0], minlength=count)
    return {**spec, "counts": [int(one) for one in counts]}
