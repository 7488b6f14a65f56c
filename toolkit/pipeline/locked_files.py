"""The files that a run is held against: those of edgekit.lock, kept in the store, and the
champion's, in the registry. They are timed beside a run's own.

Times of two runs also differ by what has become of the host between them. Files that take turns in
the same launches do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.evaluation.latency import Timed, Timings
from edgekit.gate import own_device
from edgekit.gate.lock import LOCAL, LockEntry, decides_slowdown, keep, kept
from edgekit.pipeline.answers import timed
from edgekit.pipeline.items import Items
from edgekit.pipeline.ratchet import lock_for
from edgekit.pipeline.run import Run
from edgekit.record import CHAMPION, FOLDER, SLOWDOWN, Registry, ShippedTarget
from edgekit.targets import catalog
from edgekit.types import Candidate, Json, Latency, Measurement


@dataclass(frozen=True)
class LockedFiles:
    """What a run is timed beside: sides of their own, and the id of each file by its SHA-256.

    A file that is a candidate of the run has no side of its own. ``slowdown`` is what is allowed
    beside each, None where the project says nothing.
    """

    sides: tuple[Timed, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    slowdown: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def key(self) -> Mapping[str, Json]:
        """The part of a store key for it; nothing where there is nothing."""
        return {"beside": dict(self.ids), "slowdown": dict(self.slowdown)} if self.ids else {}

    def beside(self, timings: Timings, name: str) -> dict[str, Measurement]:
        """Return how many times as long a candidate takes as each of the files."""
        others = {digest: id for digest, id in self.ids.items() if id in timings.taken}
        return {digest: timings.ratio(name, id) for digest, id in others.items() if id != name}

    def latency(self, timings: Timings, name: str) -> Latency:
        """Return a candidate's percentiles, with its ratios to the files."""
        return replace(timings.latency(name), beside=self.beside(timings, name))

    def decided(self, timings: Timings, names: Iterable[str]) -> bool:
        """Tell whether more launches would change nothing of the ratios to the files."""
        return all(
            decides_slowdown(ratio, timings.noise, self.slowdown.get(digest))
            for name in names
            for digest, ratio in self.beside(timings, name).items()
        )


def locked_files(
    run: Run, device: str, candidates: Sequence[Candidate], items: Items, runtime: str
) -> LockedFiles:
    """Return the lock's and the champion's files that candidates are to be timed beside on a
    device.

    None where the lock has no time of the device, or where the network is as it was. A file of the
    lock that is a candidate's is kept.
    """
    made = {c.sha256: c for c in candidates if not c.problem and c.path is not None}
    networks = {c.semantic_hash for c in made.values()}
    sides: list[Timed] = []
    ids: dict[str, str] = {}
    slowdown: dict[str, float | None] = {}

    def beside(name: str, path: Path | None, digest: str, like: str, allowed: float | None) -> None:
        if digest in made:
            ids[digest] = made[digest].id
        elif side := _side(name, path, like, made.values(), items, runtime):
            sides.append(side)
            ids[digest] = side.id
        slowdown[digest] = allowed

    allowed = run.project.lock.max_slowdown
    for digest, entry in _locked(run, device):
        if digest in made:
            keep(run.store, digest, [made[digest].path])
        if digest not in ids and (digest in made or entry.semantic_hash not in networks):
            name = f"{entry.tag.candidate} {digest[:8]} of edgekit.lock"
            beside(name, kept(run.store, digest), digest, entry.tag.candidate, allowed)
    for name, path, shipped in _champions(run, device):
        digest = shipped.model.sha256
        if digest in made or shipped.semantic_hash not in networks:
            beside(name, path, digest, shipped.candidate, allowed or SLOWDOWN)
    if not sides and len(made) < 2:
        # The run's only file is the lock's: there is nothing to set beside it.
        return LockedFiles()
    return LockedFiles(tuple(sides), ids, slowdown)


def _locked(run: Run, device: str) -> Iterator[tuple[str, LockEntry]]:
    """Yield the files of the lock that have a time on a device, by SHA-256."""
    lock = lock_for(run)
    for entry in lock.entries if lock else ():
        if _concerns(entry, run, device):
            yield from ((digest, entry) for digest in dict.fromkeys(_digests(entry)))


def _champions(run: Run, device: str) -> list[tuple[str, Path, ShippedTarget]]:
    """Return what the champion ships for the run's targets that are timed on a device: the name
    of its side, and its file.

    None where there is no registry, or it cannot be read: a promotion says so.
    """
    registry = Registry(run.project.root / FOLDER)
    try:
        number = registry.holder(run.plan.name, CHAMPION)
        if run.project.origin is None or number is None:
            return []
        version = registry.find(f"{run.plan.name}:{number}")
    except (EdgekitError, OSError):
        return []
    here = {
        target
        for target, table in run.plan.targets.items()
        if (own_device(target, table) or LOCAL) == device
        and (device != LOCAL or target == catalog.host())
    }
    return [
        (
            f"{shipped.candidate} of {version}",
            registry.folder(version) / shipped.model.path,
            shipped,
        )
        for target, shipped in version.targets.items()
        if target in here
    ]


def _concerns(entry: LockEntry, run: Run, device: str) -> bool:
    latency = entry.latency
    return entry.tag.model == run.plan.name and latency is not None and latency.device == device


def _digests(entry: LockEntry) -> list[str]:
    timed_file = entry.latency.sha256 if entry.latency else ""
    return [digest for digest in (timed_file, entry.sha256) if digest]


def _side(
    name: str,
    path: Path | None,
    candidate: str,
    candidates: Iterable[Candidate],
    items: Items,
    runtime: str,
) -> Timed | None:
    """Return the side of a file, if it is there; it is called as the candidate in its place is."""
    like = {each.id: each for each in candidates}
    if path is None or not path.is_file() or not like:
        return None
    model = like.get(candidate) or next(iter(like.values()))
    try:
        return timed(replace(model, id=name, path=path), items, runtime)
    # What cannot be read here cannot be timed either: the run goes on without it.
    except (EdgekitError, OSError):
        return None
