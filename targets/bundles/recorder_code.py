"""The golden statistics as constants of the apps that count by them: Kotlin and TypeScript."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.targets.bundles.contents import Contents
from edgekit.targets.bundles.processing.kotlin import PACKAGE, text
from edgekit.targets.bundles.processing.library import MADE_BY, joined
from edgekit.targets.bundles.processing.typescript import Constant
from edgekit.types import Json

SHARED = ("digest", "name", "version")


def typescript(contents: Contents) -> Constant:
    """Return the constant that the page's recorder takes; null where there are no statistics."""
    told = contents.monitoring
    value: dict[str, Json] | None = None
    if told is not None:
        value = {name: told[name] for name in SHARED}
        value["tensors"] = [{"shape": [t["values"]], **t} for t in told["tensors"]]
        value["features"] = [{"name": f["name"], "edges": f["edges"]} for f in told["features"]]
        value["classes"] = _classes(told)
    return Constant("monitoring", "MonitoringSpec | null", value, "The bins to count in.")


def _classes(told: Mapping[str, Any]) -> dict[str, Json] | None:
    counted = told["classes"]
    if counted is None:
        return None
    return {name: counted[name] for name in ("output", "feature", "activation", "threshold")}


def kotlin(contents: Contents, package: str = PACKAGE) -> str:
    """Return ``MonitoringSpec.kt``; without statistics its digest is empty, and nothing is counted.

    Edges are in strings: as numbers, a method of the JVM would hold too few of them.
    """
    told = contents.monitoring or {"tensors": [], "features": [], "classes": None}
    tensors = ",\n        ".join(map(_tensor, told["tensors"]))
    bins = ",\n        ".join(
        f"FeatureBins({text(one['name'])}, {text(' '.join(map(repr, one['edges'])))})"
        for one in told["features"]
    )
    classes = "null"
    if found := _classes(told):
        threshold = "null" if found["threshold"] is None else repr(float(found["threshold"]))
        named = joined(text(str(found[name])) for name in ("output", "feature", "activation"))
        classes = f"ScoredClasses({named}, {threshold})"
    facts = "".join(
        f"    const val {name} = {text(str(told.get(name, '')))}\n"
        for name in ("digest", "name", "version")
    )
    return (
        f"// {MADE_BY.format(name=text(contents.name)[1:-1])}\n"
        f"package {package}\n\n"
        "/** The bins that the golden items were counted in. */\n"
        "object MonitoringSpec {\n"
        f"{facts}"
        f"    val tensors: List<TensorFeatures> = listOf(\n        {tensors}\n    )\n"
        f"    val features: List<FeatureBins> = listOf(\n        {bins}\n    )\n"
        f"    val classes: ScoredClasses? = {classes}\n"
        "}\n"
    )


def _tensor(tensor: Mapping[str, Any]) -> str:
    sizes = (tensor[name] for name in ("values", "channels", "stride", "step", "width"))
    own = "true" if tensor["side"] == "input" else "false"
    numbers = joined(map(str, (*sizes, len(tensor["statistics"]))))
    names = joined(map(text, tensor["features"]))
    shape = joined(map(str, tensor.get("shape", [tensor["values"]])))
    told = f"{numbers}, listOf({names}), listOf({shape})"
    return f"TensorFeatures({text(tensor['name'])}, {own}, {told})"
