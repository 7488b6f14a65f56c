"""The files whose latency is in edgekit.lock: kept in the store, and timed beside a run's own.

Times of two runs also differ by what has become of the host between them. Files that take turns in
the same launches do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgekit.errors import EdgekitError
from edgekit.evaluation.latency import Timed, Timings
from edgekit.gate.lock import LockEntry, decides_slowdown, keep, kept
from edgekit.pipeline.answers import timed
from edgekit.pipeline.items import Items
from edgekit.pipeline.ratchet import lock_for
from edgekit.pipeline.run import Run
from edgekit.types import Candidate, Json, Latency, Measurement


@dataclass(frozen=True)
class LockedFiles:
    """What a run is timed beside: sides of their own, and the id of each file by its SHA-256.

    A file that is a candidate of the run has no side of its own. ``slowdown`` is what the project
    allows, if it says so.
    """

    sides: tuple[Timed, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    slowdown: float | None = None

    @property
    def key(self) -> Mapping[str, Json]:
        """The part of a store key for it; nothing where there is nothing."""
        return {"beside": dict(self.ids), "slowdown": self.slowdown} if self.ids else {}

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
            decides_slowdown(ratio, timings.noise, self.slowdown)
            for name in names
            for ratio in self.beside(timings, name).values()
        )


def locked_files(
    run: Run, device: str, candidates: Sequence[Candidate], items: Items, runtime: str
) -> LockedFiles:
    """Return the lock's files that candidates are to be timed beside on a device.

    None where the lock has no time of the device, or where the network is as it was. A file that
    is a candidate's is kept.
    """
    lock = lock_for(run)
    entries = [entry for entry in lock.entries if _concerns(entry, run, device)] if lock else []
    made = {c.sha256: c for c in candidates if not c.problem and c.path is not None}
    networks = {c.semantic_hash for c in made.values()}
    sides: list[Timed] = []
    ids: dict[str, str] = {}
    for entry in entries:
        for digest in dict.fromkeys(_digests(entry)):
            if digest in made:
                ids[digest] = made[digest].id
                keep(run.store, digest, [made[digest].path])
            elif digest not in ids and entry.semantic_hash not in networks:
                side = _side(run, digest, entry, made.values(), items, runtime)
                sides += [side] if side else []
                ids.update({digest: side.id} if side else {})
    if not sides and len(made) < 2:
        # The run's only file is the lock's: there is nothing to set beside it.
        return LockedFiles()
    return LockedFiles(tuple(sides), ids, run.project.lock.max_slowdown)


def _concerns(entry: LockEntry, run: Run, device: str) -> bool:
    latency = entry.latency
    return entry.tag.model == run.plan.name and latency is not None and latency.device == device


def _digests(entry: LockEntry) -> list[str]:
    timed_file = entry.latency.sha256 if entry.latency else ""
    return [digest for digest in (timed_file, entry.sha256) if digest]


def _side(
    run: Run,
    digest: str,
    entry: LockEntry,
    candidates: Iterable[Candidate],
    items: Items,
    runtime: str,
) -> Timed | None:
    """Return the side of a file in the store; it is called as the candidate in its place is."""
    path = kept(run.store, digest)
    like = {candidate.id: candidate for candidate in candidates}
    if path is None or not like:
        return None
    model = like.get(entry.tag.candidate) or next(iter(like.values()))
    name = f"{entry.tag.candidate} {digest[:8]} of edgekit.lock"
    try:
        return timed(replace(model, id=name, path=path), items, runtime)
    # What cannot be read here cannot be timed either: the run goes on without it.
    except (EdgekitError, OSError):
        return None
