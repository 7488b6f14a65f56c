"""The minimum runtime of a file, computed from its operators and never read from its metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from edgekit.converters.custom_operators import FLEX, custom_operators, unsupported_operators
from edgekit.converters.flatbuffer import Graph, Node, TFLiteFile
from edgekit.converters.operator_version import required_version, unversioned_feature
from edgekit.converters.runtime_table import Distribution, Releases, RuntimeTable, release, table
from edgekit.types import RuntimeNeed

CLAIM = "min_runtime_version"
SHOWN = 3
# The runtimes of the catalog whose versions count as TensorFlow's, and LiteRT's.
AXES = {"tflite-runtime": "tensorflow", "tensorflow": "tensorflow", "litert": "litert"}


@dataclass(frozen=True)
class OperatorNeed:
    """What an operator of a file asks of a runtime.

    ``version`` is the higher of the ``stated`` one and the one it needs by what it uses; ``uses``
    names a feature that no version stands for. ``tensor`` is the output of the first such node of
    ``count``.
    """

    operator: str
    version: int
    stated: int
    tensor: str
    count: int
    releases: Releases
    uses: str = ""

    def __str__(self) -> str:
        what = f"with {self.uses}" if self.uses else f"version {self.version}"
        return f"{self.operator} {what} ({self.tensor.split(';')[0]})"


@dataclass(frozen=True)
class Package:
    """A package that has the runtime: its lowest known version that does, or why none is named."""

    manager: str
    name: str
    version: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.manager} {self.name} {self.version or f'unavailable: {self.reason}'}"


@dataclass(frozen=True)
class MinimumRuntime:
    """The first releases that run a file, what forces them, and what the file claims.

    ``release`` counts as TensorFlow does, ``litert`` as ai-edge-litert does; empty where none runs
    it, which ``reason`` explains. ``understated`` are nodes whose stated version is lower than what
    they use: an old runtime's guard does not refuse them. ``custom`` are operators that some
    runtimes have kernels for and others leave to the application, ``flex`` TensorFlow's own.
    """

    release: str
    litert: str
    forced_by: tuple[OperatorNeed, ...]
    packages: tuple[Package, ...]
    claimed: str
    understated: tuple[OperatorNeed, ...]
    avoid: str
    custom: tuple[str, ...] = ()
    flex: tuple[str, ...] = ()
    reason: str = ""

    @property
    def title(self) -> str:
        """The release as text: that of TensorFlow Lite, and that of LiteRT."""
        lite = f"LiteRT {self.litert}" if self.litert else ""
        if not self.forced_by and (self.custom or self.flex):
            return "any that has its custom operators"
        if self.release:
            return f"TFLite {self.release}" + (f", {lite}" if lite else "")
        return f"{lite}; in no TensorFlow release yet" if lite else "none that is known"


@dataclass(frozen=True)
class Fit:
    """Whether a runtime runs a file: yes, no, or unknown (``None``); why, and the nearest fix."""

    fits: bool | None
    reason: str
    fix: str = ""


def minimum_runtime(file: TFLiteFile, versions: RuntimeTable | None = None) -> MinimumRuntime:
    """Compute the minimum runtime of a file from the operators of all its graphs.

    ``versions`` is the table; by default edgekit's own.
    """
    known = versions or table()
    needs = _needs(file, known)
    worst = max((need.releases.order for need in needs), default=None)
    forced_by = tuple(need for need in needs if need.releases.order == worst)
    top = Releases(
        _latest([need.releases.tensorflow for need in needs]),
        _latest([need.releases.litert for need in needs]),
    )
    custom = custom_operators(file)
    return MinimumRuntime(
        release=top.tensorflow,
        litert=top.litert,
        forced_by=forced_by,
        packages=tuple(_package(one, top, known) for one in known.distributions),
        claimed=file.metadata.get(CLAIM, b"").rstrip(b"\0").decode(errors="replace"),
        understated=tuple(need for need in needs if need.stated < need.version and not need.uses),
        avoid=_avoid(forced_by, known),
        custom=tuple(n for n in custom if not n.startswith(FLEX)),
        flex=tuple(n for n in custom if n.startswith(FLEX)),
        reason=_unknown(needs, known),
    )


def runtime_need(file: TFLiteFile) -> RuntimeNeed:
    """Return the minimum runtime of a file as a report holds it."""
    minimum = minimum_runtime(file)
    reason = minimum.reason or ("" if minimum.release else minimum.title)
    forced_by = ", ".join(str(need) for need in minimum.forced_by[:SHOWN])
    return RuntimeNeed(minimum.release, minimum.litert, forced_by, minimum.claimed, reason)


def _needs(file: TFLiteFile, known: RuntimeTable) -> tuple[OperatorNeed, ...]:
    """Collect what the nodes need, equal needs counted together."""
    needs: dict[tuple[str, int, int, str], OperatorNeed] = {}
    for need in (one for g in file.graphs for n in g.nodes for one in _node_needs(g, n, known)):
        key = (need.operator, need.version, need.stated, need.uses)
        before = needs.get(key)
        needs[key] = need if before is None else _counted(before)
    return tuple(needs.values())


def _counted(need: OperatorNeed) -> OperatorNeed:
    return replace(need, count=need.count + 1)


def _node_needs(graph: Graph, node: Node, known: RuntimeTable) -> Iterator[OperatorNeed]:
    if node.custom:
        return
    made = next((i for i in node.outputs if i >= 0), -1)
    tensor = graph.tensors[made].name or "no name" if made >= 0 else "no output"
    version = max(node.version, required_version(graph, node))
    nowhere = Releases("", "")
    releases = known.operators.get((node.operator, version), nowhere)
    yield OperatorNeed(node.operator, version, node.version, tensor, 1, releases)
    uses = unversioned_feature(graph, node)
    if uses:
        releases = known.features.get((node.operator, uses), nowhere)
        yield OperatorNeed(node.operator, version, node.version, tensor, 1, releases, uses)


def _latest(releases: list[str]) -> str:
    """Return the latest of releases; empty if one is missing, or if there are none."""
    return max(releases, key=release) if all(releases) and releases else ""


def _unknown(needs: tuple[OperatorNeed, ...], known: RuntimeTable) -> str:
    lost = [need for need in needs if not need.releases.tensorflow and not need.releases.litert]
    if lost:
        return f"{lost[0]} is in no runtime that the table of {known.date} knows"
    return "" if needs else "it holds no builtin operator"


def _avoid(forced_by: tuple[OperatorNeed, ...], known: RuntimeTable) -> str:
    keys = [(need.operator, need.uses or need.version) for need in forced_by]
    return "; ".join(dict.fromkeys(known.avoid[key] for key in keys if key in known.avoid))


def _package(distribution: Distribution, top: Releases, known: RuntimeTable) -> Package:
    needed = top.tensorflow if distribution.of == "tensorflow" else top.litert
    if not needed:
        return Package(
            distribution.manager, distribution.name, "", f"no release up to {known.date} runs it"
        )
    enough = [v for v in distribution.versions if release(v) >= release(needed)]
    if not enough:
        newest = max(distribution.versions, key=release)
        reason = f"the newest version with a source is {newest}; it needs {needed}"
        return Package(distribution.manager, distribution.name, "", reason)
    return Package(distribution.manager, distribution.name, min(enough, key=release))


def _named(count: int) -> str:
    return "its custom operator" if count == 1 else f"{count} of its custom operators"


def fits(minimum: MinimumRuntime, runtime: str, version: str, kernels: str | None = None) -> Fit:
    """Tell whether ``version`` of a runtime of the catalog runs a file of this minimum.

    ``kernels`` is the runtime whose kernels it has, by default itself. Unknown for a runtime whose
    kernels have no operator versions, such as TFLM. Custom operators count by the runtime's own
    kernels: an application may register more.
    """
    like = runtime if kernels is None else kernels
    axis = AXES.get(like)
    if axis is None:
        return Fit(None, f"{runtime} has no operator versions to compare: it has to be tried")
    name = f"{runtime} {version}"
    if minimum.flex:
        fix = "convert without SELECT_TF_OPS, with builtin operators only"
        return Fit(False, f"{name} has no TensorFlow operators: {', '.join(minimum.flex)}", fix)
    needed = minimum.release if axis == "tensorflow" else minimum.litert
    late = "; ".join(str(need) for need in minimum.forced_by[:SHOWN])
    if not needed and minimum.forced_by:
        return Fit(False, minimum.reason or f"{late} is in no TensorFlow release", minimum.avoid)
    if needed and release(version) < release(needed):
        fix = minimum.avoid or f"a runtime of release {needed} or later"
        return Fit(False, f"{name} is older than {needed}, which {late} needs", fix)
    missing = unsupported_operators(minimum.custom, like)
    if missing:
        reason = f"{name} has no kernel for {_named(len(missing))}"
        return Fit(
            False,
            reason,
            f"register {', '.join(missing)} in the application, or convert without them",
        )
    return Fit(True, f"{name} has every operator version" + (f" ({needed})" if needed else ""))
