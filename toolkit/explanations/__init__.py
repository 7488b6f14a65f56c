"""What every code and every check means, its likely causes, and what to do."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources

from edgekit.errors import ProjectError, did_you_mean

if sys.version_info >= (3, 11):
    from importlib.resources.abc import Traversable

    import tomllib
else:
    from importlib.abc import Traversable

    import tomli as tomllib

# What the codes of an area are about.
AREAS = {
    "BUNDLE": "bundles, their signatures and deltas",
    "COMPRESS": "pruning, clustering, channels, quantization-aware training",
    "CONTAINERS": "images and manifests of Kubernetes",
    "CONVERT": "conversion, compilers of NPUs",
    "DATA": "items, labels, preprocessing",
    "DEVICE": "devices and runtimes",
    "EXPLAIN": "names that this command is asked for",
    "FILES": "files that are checked without a run",
    "HISTORY": "figures from run to run",
    "INIT": "new projects",
    "INSPECT": "findings in a .tflite file",
    "INTERNAL": "bugs of edgekit",
    "KEY": "keys to sign with",
    "LAYERS": "comparison layer by layer",
    "LINT": "findings in the data",
    "LOCK": "edgekit.lock and baselines",
    "MODEL": "model files",
    "NOTE": "notes and warnings of a run",
    "OUTPUT": "what is written",
    "PLOTS": "charts as pictures",
    "PLUGIN": "plug-ins of other packages",
    "PROJECT": "the project file and options",
    "RECORD": "versions on record, and promotions",
    "REPORT": "reports of earlier runs",
    "RUNNER": "what runs a model on a device",
    "SERVE": "pages and models that are served",
    "STORE": "the store and its disk",
    "TRAIN": "the settings of training",
    "USAGE": "the command line",
    "WORKER": "the process that runs TensorFlow",
}
# Checks whose names hold a runtime, an accelerator or a metric.
PREFIXES = {
    **{f"{figure} of ": "FIGURE of CLASS" for figure in ("recall", "f1", "precision", "iou")},
    "waiver of ": "waiver of CHECK",
    "runs on ": "runs on RUNTIME",
    "compiles for ": "compiles for NPU",
}
# Keys of budgets whose checks are called otherwise.
KEYS = {"macs": "multiply-accumulates", "npu share": "NPU share", "parity": "SQNR"}
# What a run is held against besides its budgets.
AGAINST = ("lock ", "baseline ")
DROP = "METRIC drop"
METRIC = "METRIC"
# A link to another page of the documentation, or to a section of it.
LINK = re.compile(r"\[([^\]]+)\]\((\w[\w.-]*\.md)[^)]*\)")


@dataclass(frozen=True)
class Explanation:
    """What a code or a check means, why it comes about, and what to do."""

    name: str
    what: str
    fix: str
    causes: tuple[str, ...] = ()


@functools.cache
def codes() -> Mapping[str, Explanation]:
    """Return the explanation of every code, by area and number."""
    files = sorted(resources.files(__name__).joinpath("codes").iterdir(), key=lambda one: one.name)
    areas = [_read(file) for file in files if file.name.endswith(".toml")]
    return {code: each for area in areas for code, each in area.items()}


@functools.cache
def checks() -> Mapping[str, Explanation]:
    """Return the explanation of every check; capitals stand for names that vary."""
    return _read(resources.files(__name__).joinpath("checks.toml"))


def _read(file: Traversable) -> dict[str, Explanation]:
    """Return the explanations of a file: each says what it is, likely causes, and what to do."""
    return {
        key: Explanation(key, entry["what"], entry["fix"], tuple(entry.get("causes", ())))
        for key, entry in tomllib.loads(file.read_text(encoding="utf-8")).items()
    }


def without_links(text: str) -> str:
    """Return a text as it reads outside of the documentation, where its links lead nowhere."""
    return LINK.sub(r"\1 (docs/\2)", text)


def of_check(name: str) -> Explanation | None:
    """Return the explanation of a check by the name that reports give it."""
    known = checks()
    if name in known:
        return known[name]
    for before in AGAINST:
        if name.startswith(before):
            return known["lock FIGURE"]
    for prefix, key in PREFIXES.items():
        if name.startswith(prefix):
            return known[key]
    return known[DROP] if name.endswith(" drop") else None


def explain(name: str, metrics: tuple[str, ...] = ()) -> Explanation:
    """Return the explanation of a code or a check, however it is written.

    ``metrics`` are names that are checks as well. Raises :class:`ProjectError` for an unknown name.
    """
    written = " ".join(name.split())
    code = written.upper() if written[:3].upper() == "EK-" else f"EK-{written.upper()}"
    if code in codes():
        return codes()[code]
    key = written.lower().replace("_", " ")
    by_check = of_check(written) or of_check(written.lower()) or of_check(KEYS.get(key, key))
    if by_check is None and written in metrics:
        by_check = checks()[METRIC]
    if by_check is not None:
        return replace(by_check, name=written)
    known = [*codes(), *checks(), *metrics]
    close = did_you_mean(code if written[:3].upper() == "EK-" else written, known)
    hint = "`edgekit explain` alone lists the groups of codes, and the checks"
    raise ProjectError("EK-EXPLAIN-001", f"there is no code or check {written!r}{close}", hint)
