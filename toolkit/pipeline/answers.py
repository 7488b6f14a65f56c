"""A model's answers to the judged items: made once by a runner, then kept in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.converters import flatbuffer
from edgekit.errors import ConversionError, DeviceError, RunnerCrashed, RunnerError
from edgekit.evaluation.latency import Timed
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.store import Artefact
from edgekit.targets.devices import Device
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import DISTRIBUTION
from edgekit.types import Candidate, Json, Request, RunnerModel, RunnerResult

# The runtime that candidates are judged on.
JUDGE = "litert"
# Facts of a device that its answers depend on, besides the runtime.
MACHINE = ("address", "machine", "model", "cpu", "estimates")


def threads_of(runtime: str) -> int:
    """Return the threads of a runtime that evaluates: TensorFlow spreads one inference over all
    cores, an interpreter gets one, and the runner starts a second process where that pays.
    """
    return 0 if runtime == "tensorflow" else 1


def request(subject: Timed, items: Items, outputs: Path) -> Request:
    """Build the request to run a model on every judged item."""
    return Request(
        mode="evaluate",
        models=(RunnerModel(subject.id, subject.path, outputs),),
        inputs=subject.inputs or items.inputs,
        preprocess=items.preprocess,
        runtime=subject.runtime,
        index=items.index_path,
        signature=subject.signature,
        threads=threads_of(subject.runtime),
        reset_state=subject.stateful,
        streams=items.streams or None,
        states=subject.states or None,
    )


def answers(
    run: Run,
    subject: Timed,
    digest: str,
    items: Items,
    device: Device | None = None,
    options: Mapping[str, Json] | None = None,
) -> Artefact:
    """Run a model of this digest on the judged items: its outputs, and the runner's facts.

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
        **items.key,
        **({"options": dict(options)} if options else {}),
        **({"own_states": dict(subject.states)} if subject.states != items.states else {}),
        **({"signature": subject.signature} if subject.signature else {}),
        **({"release": device.version} if device and other else {}),
        **({"device": there} if (there := elsewhere(device)) else {}),
        # What is recorded must be asked for, and what is played back was never answered here.
        **({"cassette": run.devices.tape.id} if run.devices.tape.id else {}),
    )

    def make(folder: Path) -> Mapping[str, Json]:
        asked = replace(request(subject, items, folder / "outputs"), **(options or {}))
        result = _early(run, asked, len(items.index)) or _patiently(device or run.device, asked)
        facts = dict(result["models"][subject.id])
        return {**facts, "runtime": result["runtime"], "version": result["version"]}

    return run.obtain("answers", key, make)


def _early(run: Run, request: Request, items: int) -> RunnerResult | None:
    """Ask the runner that was started early, where it holds this model; else nothing."""
    if run.early is None or not run.early.serves(request):
        return None
    try:
        return run.early.answer(request, items)
    except (RunnerError, DeviceError):
        # Once more in a runner of its own, whose errors say which item is at fault.
        run.stop_early()
        return None


def elsewhere(device: Device | None) -> Mapping[str, Json]:
    """Describe a device that is another machine; empty for this one."""
    facts = device.facts() if device is not None else {}
    if device is None or not ("address" in facts or "://" in device.name):
        return {}
    return {"name": device.name, **{one: facts[one] for one in MACHINE if one in facts}}


def _patiently(device: Device | LocalDevice, request: Request) -> RunnerResult:
    try:
        return device.run(request)
    except RunnerError as error:
        if not isinstance(error, RunnerCrashed) or error.item is not None:
            raise
        # With no item at fault, resizing the batch is the likeliest: once more without.
        return device.run(replace(request, batch=1, processes=1))


def answers_of(run: Run, candidate: Candidate, items: Items) -> Artefact:
    """Run a candidate on the judging runtime, on every judged item."""
    return answers(run, timed(candidate, items), candidate.sha256, items)


def file_of(candidate: Candidate) -> Path:
    """Return a candidate's file. Raises :class:`ConversionError` where it has none."""
    if candidate.path is None:
        message = f"there is no file of {candidate.id}"
        raise ConversionError("EK-CONVERT-016", message, candidate.problem)
    return candidate.path


def timed(candidate: Candidate, items: Items, runtime: str = JUDGE) -> Timed:
    """Describe a candidate that has a file to the latency engine."""
    path = file_of(candidate)
    stateful = flatbuffer.read(path).stateful
    return Timed(
        candidate.id,
        path,
        runtime,
        stateful,
        signature=candidate.signature,
        states=items.states,
    )
