"""The registry: a folder of plain files beside the lock, a folder for each version.

``registry/MODEL/NUMBER/`` has a version's facts, its run's report, and what its targets ship.
``registry/MODEL/promotions.jsonl`` has a line for each promotion; nothing in it is ever rewritten.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit import scratch
from edgekit.errors import RecordError, did_you_mean
from edgekit.record import files, promotions
from edgekit.record.promotions import Promotion
from edgekit.record.version import Lineage, Version, read, write
from edgekit.store import writing
from edgekit.types import Report

FOLDER = "registry"
CHAMPION = "champion"
NUMBER = re.compile(r"[1-9]\d{0,8}")
NAME = re.compile(r"\w[\w.-]{0,99}")
PARTS = ".parts"
PACKAGES = ("tensorflow", "keras", "tf_keras", "ai-edge-litert", "ai-edge-quantizer")


@dataclass(frozen=True)
class Registry:
    """The versions on record below a folder."""

    root: Path

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models that have a version."""
        if not self.root.is_dir():
            return ()
        folders = sorted(path for path in self.root.iterdir() if NAME.fullmatch(path.name))
        return tuple(path.name for path in folders if self._numbers(path.name))

    def versions(self, model: str) -> tuple[Version, ...]:
        """Return a model's versions, the oldest first. Raises :class:`RecordError`."""
        return tuple(read(self.root / model / str(k)) for k in self._numbers(model))

    def folder(self, version: Version) -> Path:
        """Return where a version's files lie."""
        return self.root / version.model / str(version.number)

    def find(self, text: str) -> Version:
        """Return the version that ``NUMBER``, ``ALIAS`` or ``MODEL:`` and one of them names.

        Raises :class:`RecordError` where there is none, or several models have one.
        """
        model, colon, name = text.rpartition(":")
        models = self.models
        if not models:
            hint = "register the newest run: edgekit registry add"
            raise RecordError("EK-RECORD-003", f"there is no version below {self.root}", hint)
        if colon and model not in models:
            message = f"the registry has no model {model!r}{did_you_mean(model, models)}"
            raise RecordError("EK-RECORD-003", message, f"it has {', '.join(models)}")
        if not colon and len(models) > 1:
            message = f"{text!r} may be a version of {', '.join(models)}"
            raise RecordError("EK-RECORD-003", message, f"name the model, as {models[0]}:{text}")
        model = model if colon else models[0]
        number = int(name) if NUMBER.fullmatch(name) else self.holder(model, name)
        if number is None or number not in self._numbers(model):
            known = [*map(str, self._numbers(model)), *self.aliases(model)]
            message = f"{model} has no version {name!r}{did_you_mean(name, known)}"
            raise RecordError("EK-RECORD-003", message, f"it has {', '.join(known)}")
        return read(self.root / model / str(number))

    def add(self, report: Report, run: Path, who: str, commit: str, note: str) -> Version | None:
        """Register a finished run as its model's next version; None where it is one already.

        Everything is written aside and moved at the end: a version is whole, or it is not there.
        Raises :class:`RecordError` where a file of the run is gone or was replaced, and
        :class:`StoreError` on a full disk.
        """
        model = str(report.model["name"])
        if not NAME.fullmatch(model):
            message = f"{model[:60]!r} cannot be a folder's name"
            raise RecordError("EK-RECORD-002", message, "give the model another: [model] name")
        if any(version.run == report.run for version in self.versions(model)):
            return None
        with writing(self.root), scratch.held(self.root / PARTS) as folder:
            targets = files.keep(report, run, folder)
            with self._alone(model):
                number = max(self._numbers(model), default=0) + 1
                version = Version(
                    model=model,
                    number=number,
                    run=report.run,
                    declared=str(report.model["version"]),
                    registered=now(),
                    by=who,
                    verdict=report.verdict.status.value,
                    lineage=lineage_of(report),
                    targets=targets,
                    commit=commit,
                    note=note,
                )
                write(version, folder)
                folder.replace(self.folder(version))
        with contextlib.suppress(OSError):
            (self.root / PARTS).rmdir()
        return version

    def damaged(self, version: Version) -> tuple[str, ...]:
        """Return what is wrong with a version's files; nothing where they are as registered."""
        return tuple(files.damaged(self.folder(version), dict(version.targets)))

    def promotions(self, model: str) -> tuple[Promotion, ...]:
        """Return what was promoted, the oldest first. Raises :class:`RecordError`."""
        return promotions.read(self.root / model)

    def aliases(self, model: str) -> dict[str, int]:
        """Return the version that each alias stands for."""
        return {name: stack[-1] for name, stack in self._stacks(model).items() if stack}

    def holder(self, model: str, alias: str) -> int | None:
        """Return the version that an alias stands for, if any."""
        return self.aliases(model).get(alias)

    def before(self, model: str, alias: str) -> int | None:
        """Return the version that an alias stood for before, to which a rollback goes."""
        stack = self._stacks(model).get(alias, [])
        return stack[-2] if len(stack) > 1 else None

    def record(self, model: str, promotion: Promotion) -> None:
        """Add a promotion to the model's record, unless another came first.

        Raises :class:`RecordError` where the alias stands for another version by now.
        """
        with writing(self.root), self._alone(model):
            held = self.holder(model, promotion.alias)
            if held != promotion.before:
                message = f"{promotion.alias} of {model} became version {held} in the meantime"
                raise RecordError("EK-RECORD-005", message, "run the same command again")
            promotions.add(self.root / model, promotion)

    def _stacks(self, model: str) -> dict[str, list[int]]:
        stacks: dict[str, list[int]] = {}
        for each in self.promotions(model):
            stack = stacks.setdefault(each.alias, [])
            if each.rollback and stack:
                stack.pop()
            else:
                stack.append(each.version)
        return stacks

    def _numbers(self, model: str) -> list[int]:
        folder = self.root / model
        if not folder.is_dir():
            return []
        return sorted(int(p.name) for p in folder.iterdir() if NUMBER.fullmatch(p.name))

    @contextlib.contextmanager
    def _alone(self, model: str) -> Iterator[None]:
        """Hold a model's lock: two that register or promote at a time take turns."""
        folder = self.root / model
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Not every network disk has locks.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601 writes it."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def lineage_of(report: Report) -> Lineage:
    """Return what a run's models were made of and by."""
    settings, environment = report.settings, report.environment
    packages = environment["packages"]
    tools = {name: str(packages[name]) for name in PACKAGES if name in packages}
    trained = settings.get("training") or {}
    return Lineage(
        source=str(report.model["source"]),
        saved_model=report.reference.digest,
        items=str(settings["items"].get("digest", "")),
        training=str(trained["data"]["digest"]) if trained else "",
        seeds={str(k): int(v) for k, v in (settings.get("seeds") or {}).items()},
        tools={"edgekit": str(environment["edgekit"]), **tools},
    )
