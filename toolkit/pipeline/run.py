"""One run: its folders, its store, its worker and its device, and what it has done so far."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import importlib.util
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import edgekit
from edgekit import plugins, scratch
from edgekit.data import Dataset
from edgekit.errors import DeviceError, RunnerError
from edgekit.pipeline.early_runner import EarlyRunner, NearEnd, start_ahead
from edgekit.pipeline.journal import FILE, Journal
from edgekit.pipeline.outputs import WrittenFiles
from edgekit.pipeline.plan import Plan
from edgekit.process import Limits
from edgekit.project.book import device_book
from edgekit.sandbox import Sandbox, state
from edgekit.sources import code_version
from edgekit.store import Artefact, Store, write_text, writing
from edgekit.targets.devices import DeviceBook, DevicePool, Tape, Workplace
from edgekit.targets.devices.local import LocalDevice, LocalSession
from edgekit.types import (
    Advice,
    Json,
    Progress,
    SavedModel,
    StageRecord,
)
from edgekit.types.details import LaunchSamples
from edgekit.usercode import is_file
from edgekit.worker import Worker

DISTRIBUTIONS = (
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "tflite-runtime",
    "tflite-micro",
    "numpy",
    "ai-edge-quantizer",
)


@dataclass
class Stage:
    """A stage that is going on: it says in a few words what comes of it."""

    result: str = ""


class Run:
    """The context that stages work in. Leaving it ends every process it started.

    Entering it removes what runs left that were killed: work half done, and runs without a report.

    ``name`` is that of its folder; ``book`` the devices that the user has named, by default those
    of the project and of the user's own file; ``tape`` records them, or plays them back.
    """

    def __init__(
        self,
        plan: Plan,
        progress: Progress,
        *,
        name: str = "",
        book: DeviceBook | None = None,
        tape: Tape | None = None,
    ) -> None:
        self.plan = plan
        self.project = plan.project
        self.id = name or f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
        self.home = plan.output / ".edgekit"
        self.folder = self.home / "runs" / self.id
        self.log = self.folder / "log.txt"
        watch = NearEnd("train", self.start_ahead)
        self.progress = progress = Journal(progress, self.folder / FILE, watch)
        self.store = Store(self.home / "store")
        self.outputs = WrittenFiles(self.home / "outputs", plan.output)
        self.versions = _versions()
        self.limits = Limits(self.project.limits.seconds, self.project.limits.memory)
        # What processes are asked and answer, and their temporary files.
        self.requests = self.home / "requests" / self.id.replace("/", "-")
        # The user's own code is as free as the user; the file of a model is opened in a sandbox.
        self.free = Worker(self.log, progress, self.limits)
        self._sandboxed = Worker(self.log, progress, self.limits, self._sandbox())
        self.device = LocalDevice(self.requests, self.log, self.limits)
        self.devices = DevicePool(
            Workplace(self.requests, self.log, self.limits, progress),
            device_book(self.project) if book is None else book,
            tape,
        )
        self.early: EarlyRunner | None = None
        # Whether TensorFlow will answer for this run's model, and its runner once it is started.
        self.asks_reference = False
        self.ahead: LocalSession | None = None
        self.reference_outputs = self.requests / "reference"
        # What was timed of models by id, for pages: by device, and under "" here.
        self.launches: dict[str, Mapping[str, tuple[LaunchSamples, ...]]] = {}
        # The figures of the training that made this run's model, by name, one an epoch.
        self.training: Mapping[str, tuple[float | None, ...]] = {}
        # Its data, seed, steps, time and machine.
        self.trained: Mapping[str, Json] = {}
        # What it was trained on.
        self.trained_on: Dataset | None = None
        self._stages: list[StageRecord] = []
        self._cached: list[bool] = []
        self._advice: list[Advice] = []
        self._claims: list[scratch.Claim] = []

    def __enter__(self) -> Run:
        with writing(self.folder):
            self._sweep()
            for folder in (self.folder, self.requests):
                folder.mkdir(parents=True)
                self._claims.append(scratch.claim(folder))
            # Landlock cannot allow a path that does not exist yet.
            for folder in (self.store.temporary, self.store.unfinished, *self._logs):
                folder.mkdir(parents=True, exist_ok=True)
            write_text(self.log, f"edgekit {edgekit.__version__} run {self.id}\n")
        here = state()
        if here.open:
            how = "in a sandbox with gaps" if here.abi else "without a sandbox"
            message = f"models are opened {how}: {here.reason}; {here.open}"
            self.advise(Advice("EK-NOTE-095", "warning", message, here.fix))
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        try:
            self.devices.close()
        finally:
            self.progress.close(error)
            self.stop()
            for folder in self._logs:
                # Nothing was logged where all came from the store, or nothing was trained.
                for empty in (folder, folder.parent, folder.parent.parent):
                    with contextlib.suppress(OSError):
                        empty.rmdir()
            shutil.rmtree(self.requests, ignore_errors=True)
            for claim in self._claims:
                claim.release()

    @property
    def worker(self) -> Worker:
        """The worker of this run's model: a function of the user's is the user's own code."""
        return self.free if self.plan.model is None else self._sandboxed

    def beside(self, log: Path, progress: Progress | None, ports: Sequence[int] = ()) -> Worker:
        """Return one more worker, as free as that of this run's model; at its ``ports`` it speaks
        with others.
        """
        sandbox = None
        if self.plan.model is not None:
            sandbox = dataclasses.replace(self._sandbox(), ports=tuple(ports))
        return Worker(log, progress, self.limits, sandbox)

    def start_ahead(self) -> None:
        """Start TensorFlow's runner where it will be needed, while another process imports it."""
        if not self.asks_reference or self.ahead or self.early:
            return
        # Beside a process that imports it too, there must be room.
        if (os.cpu_count() or 1) > 1:
            with contextlib.suppress(DeviceError, RunnerError):
                self.ahead = start_ahead(self.device, self.store.root, self.reference_outputs)

    def stop_early(self) -> None:
        """End the runners that were started before they are needed."""
        for session in (self.ahead, self.early.session if self.early else None):
            if session is not None:
                session.close()
        self.ahead = self.early = None

    def stop(self) -> None:
        """End the workers, and a runner that nobody has needed."""
        self.stop_early()
        self.free.stop()
        self._sandboxed.stop()

    def _sandbox(self) -> Sandbox:
        """Define what the worker that opens a model's file may reach: model, data and store."""
        model, named = self.plan.model, self.project.data
        representative = named.representative.from_ if named.representative else None
        opened = [model.path, model.weights, model.root] if model else []
        validation = named.validation if isinstance(named.validation, str) else None
        sources = (named.train, named.evaluate, representative, validation)
        files = [self.project.root / one for one in sources if one and is_file(one)]
        read = [path for path in (*opened, *files) if path is not None]
        written = [self.store.temporary, self.store.unfinished, self.folder, self.requests]
        written += self._logs
        return Sandbox((self.store.root, *(path.absolute() for path in read)), tuple(written))

    @property
    def _logs(self) -> list[Path]:
        """The folder that a worker in a sandbox writes the logs of fine-tuning to, if it does."""
        writes = self.plan.fine_tunes and self.project.train.tensorboard.logs
        return [self.plan.logs] if writes and self.plan.model is not None else []

    def _sweep(self) -> None:
        """Remove what killed runs left below this output folder."""
        for folder in (self.home / "runs", self.home / "requests"):
            scratch.sweep(folder)
        self.store.sweep()
        self.outputs.sweep()

    def about(self, plan: Plan) -> Run:
        """Return the same run, with its store, worker and records, concerned with another model."""
        other = copy.copy(self)
        other.plan, other.project = plan, plan.project
        return other

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time a stage; it counts as cached where all it obtained was in the store already."""
        self.progress.begin(name)
        self._cached = []
        stage, begin = Stage(), time.monotonic()
        try:
            with writing(self.home):
                yield stage
        except BaseException as error:
            self.progress.fail(name, round(time.monotonic() - begin, 3), error)
            raise
        seconds = round(time.monotonic() - begin, 3)
        cached = bool(self._cached) and all(self._cached)
        record = StageRecord(name, seconds, cached, stage.result)
        self._stages.append(record)
        self.progress.end(record)

    def obtain(
        self, kind: str, key: Mapping[str, Json], make: Callable[[Path], Mapping[str, Any]]
    ) -> Artefact:
        """Find an artefact in the store, or make it, as :meth:`Store.obtain`."""
        artefact = self.store.obtain(kind, key, make)
        self.note(artefact.cached)
        return artefact

    def note(self, cached: bool) -> None:
        """Note that the current stage had one thing in the store, or made it."""
        self._cached.append(cached)

    def advise(self, advice: Advice) -> None:
        """Add advice for the user, once."""
        if advice not in self._advice:
            self._advice.append(advice)

    def withdraw(self, code: str, words: str) -> None:
        """Take back what is known better now: advices of a code that say these words."""
        self._advice = [a for a in self._advice if a.code != code or words not in a.message]

    @property
    def stages(self) -> tuple[StageRecord, ...]:
        """The stages that are done, so far."""
        return tuple(self._stages)

    @property
    def advices(self) -> tuple[Advice, ...]:
        """What the user should be told, so far."""
        return tuple(self._advice)

    def key(self, *distributions: str, **parts: Json) -> dict[str, Json]:
        """Build a store key: its parts, and the versions of edgekit and of what does the work."""
        # A plug-in may bring a distribution of its own.
        versions = {n: self.versions.get(n) or _version(n) for n in distributions}
        return {**parts, "versions": {"edgekit": code_version(), **_plugged(), **versions}}

    def version(self, reference: SavedModel) -> str:
        """Return the model's version: as stated, or the start of its digest."""
        model = self.plan.model
        digest = model.digest if model else reference.digest
        return self.project.model.version or digest[:8]


def _versions() -> dict[str, str]:
    """Read installed versions without importing anything; empty where a package is absent."""
    return {name: _version(name) for name in DISTRIBUTIONS}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


@functools.cache
def _plugged() -> dict[str, str]:
    """Return the versions of packages with plug-ins, and a digest of their code where that may
    change.
    """
    versions: dict[str, str] = {}
    for plugin in plugins.installed():
        module = importlib.util.find_spec(plugin.entry.module.partition(".")[0])
        code = Path(module.origin) if module and module.origin else Path()
        package = code.parent if code.name == "__init__.py" else code
        key = f"{plugin.distribution}: {package.name}"
        versions[key] = code_version(package, plugin.version)
    return versions
