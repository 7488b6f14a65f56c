"""A model's answers to the judged items: made once by a runner, then kept in the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.errors import RunnerCrashed, RunnerError
from edgekit.evaluation.latency import Timed
from edgekit.pipeline.run import Run
from edgekit.pipeline.supply import Items
from edgekit.store import Artefact
from edgekit.targets.devices import Device
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import DISTRIBUTION
from edgekit.types import Candidate, Json

# The runtime that candidates are judged on.
JUDGE = "litert"
# Facts of a device that its answers depend on, besides the runtime.
MACHINE = ("address", "machine", "model", "cpu", "emulated")


def request(subject: Timed, items: Items, outputs: Path) -> dict[str, Json]:
    """What a runner is asked, to answer every judged item."""
    entry = {"id": subject.id, "path": str(subject.path), "outputs": str(outputs)}
    return {
        "schema": 1,
        "mode": "evaluate",
        "runtime": subject.runtime,
        "models": [entry],
        "inputs": {name: str(path) for name, path in (subject.inputs or items.inputs).items()},
        "index": str(items.index_path),
        "preprocess": items.preprocess.arithmetic,
        # TensorFlow spreads one inference over all cores; an interpreter gets one thread, and the
        # runner starts a second process where that pays.
        "threads": 0 if subject.runtime == "tensorflow" else 1,
        "reset_state": subject.stateful,
        **({"streams": list(items.streams)} if items.streams else {}),
        **({"signature": subject.signature} if subject.signature else {}),
    }


def answers(
    run: Run, subject: Timed, digest: str, items: Items, device: Device | None = None,
    options: Mapping[str, Json] | None = None,
) -> Artefact:  # fmt: skip
    """The outputs of a model of this digest on the judged items, and the runner's facts.

    By the run's own device unless another is named. ``options`` (``threads``, ``delegate``) go to
    the runner. Raises :class:`RunnerError` or :class:`DeviceError`.
    """
    # A runtime that no package carries is known by its device's word alone.
    distribution = DISTRIBUTION.get(subject.runtime, "")
    other = device is not None and device.version != run.versions.get(distribution)
    key = run.key(
        *filter(None, [distribution]),
        model=digest,
        runtime=subject.runtime,
        data=items.digest,
        index=str(items.index_path.parent.name),
        preprocess=items.preprocess.arithmetic,
        **({"options": dict(options)} if options else {}),
        **({"streams": list(items.streams)} if items.streams else {}),
        **({"signature": subject.signature} if subject.signature else {}),
        **({"release": device.version} if device and other else {}),
        **({"device": there} if (there := elsewhere(device)) else {}),
        # What is recorded must be asked for, and what is played back was never answered here.
        **({"cassette": run.devices.tape.id} if run.devices.tape.id else {}),
    )

    def make(folder: Path) -> Mapping[str, Json]:
        asked = {**request(subject, items, folder / "outputs"), **(options or {})}
        result = _patiently(device or run.device, asked)
        facts = dict(result["models"][subject.id])
        return {**facts, "runtime": result["runtime"], "version": result["version"]}

    return run.keep(run.store.obtain("answers", key, make))


def elsewhere(device: Device | None) -> Mapping[str, Json]:
    """What another machine is; empty for this one, whose answers are no other's."""
    facts = device.facts() if device is not None else {}
    if device is None or not ("address" in facts or "://" in device.name):
        return {}
    return {"name": device.name, **{one: facts[one] for one in MACHINE if one in facts}}


def _patiently(device: Device | LocalDevice, asked: Mapping[str, Json]) -> Mapping[str, Json]:
    try:
        return device.run(asked)
    except RunnerError as error:
        if not isinstance(error, RunnerCrashed) or error.item is not None:
            raise
        # With no item at fault, resizing the batch is the likeliest: once more without.
        return device.run({**asked, "batch": 1, "processes": 1})


def answers_of(run: Run, candidate: Candidate, items: Items) -> Artefact:
    """The outputs of a candidate on the judging runtime, on every judged item."""
    return answers(run, timed(candidate), candidate.sha256, items)


def timed(candidate: Candidate, runtime: str = JUDGE) -> Timed:
    """A candidate that has a file, as a side to time or to ask."""
    assert candidate.path is not None  # noqa: S101  (only candidates with a file get here)
    stateful = flatbuffer.read(candidate.path).stateful
    return Timed(candidate.id, candidate.path, runtime, stateful, signature=candidate.signature)
