"""One model in service: its arms by label and number, opened, reloaded and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from edgekit.errors import EdgekitError, ServeError
from edgekit.serving.arm import Arm
from edgekit.serving.decoder import Decoder
from edgekit.serving.limits import Bounds, Refused, busy
from edgekit.serving.metrics import Metrics
from edgekit.serving.recording import Kept
from edgekit.serving.shadow import Shadowed
from edgekit.serving.source import Arrays, Source
from edgekit.serving.split import Split
from edgekit.targets.bundles.tf_serving import LABEL


class Find(Protocol):
    """Tells where the versions lie that are to be served; the first is the one by default."""

    def __call__(self) -> Sequence[Source]:
        """Return them as they are now: an alias of the registry may have moved."""


class Service:
    """The versions of one model that are served now.

    ``find`` tells where they lie, often and at little cost; ``prepare`` checks one that is to be
    opened, and makes of it what a runner opens.
    """

    def __init__(
        self,
        find: Find,
        prepare: Callable[[Source], Source],
        work: Path,
        bounds: Bounds,
        metrics: Metrics,
        split: Split | None = None,
        shadowed: bool = False,
        record: Path | None = None,
        raw_items: int = 0,
    ) -> None:
        self._find, self._prepare, self._work = find, prepare, work
        self._bounds, self.metrics = bounds, metrics
        self.split, self._record = split or Split(), record
        self._kept, self.decoder = Kept(raw_items), Decoder()
        self.shadow = Shadowed() if shadowed else None
        self._arms: dict[str, Arm] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tried: tuple[Source, ...] = ()
        self.name = ""
        self.stopping = False

    @property
    def arms(self) -> Mapping[str, Arm]:
        """The versions by the name of their arm, the default one first."""
        return self._arms

    @property
    def main(self) -> Arm:
        """The version that answers where none is named. Raises :class:`Refused` before there is."""
        for arm in self._arms.values():
            return arm
        raise busy("the model is being loaded")

    @property
    def ready(self) -> bool:
        """Whether every version can answer."""
        arms = self._arms.values()
        return bool(arms) and not self.stopping and all(arm.ready for arm in arms)

    async def load(self) -> None:
        """Open the versions anew beside those that are served, then take their place.

        What came before is answered by those it came to. Raises :class:`EdgekitError` where one
        cannot be opened: those that are served stay.
        """
        async with self._turn:
            opened: list[Arm] = []
            try:
                self._tried = tuple(await asyncio.to_thread(self._find))
                for found in self._tried:
                    source = await asyncio.to_thread(self._prepare, found)
                    opened.append(await Arm.open(source, self._work, self._bounds, self.metrics))
                arms = _told_apart(opened)
                for arm in arms:
                    arm.record(self._record, self._kept)
            except BaseException:
                await asyncio.gather(*(arm.close() for arm in opened))
                raise
            before, self._arms = self._arms, {arm.source.arm: arm for arm in arms}
            changed = [a.model.identity for a in before.values()] != [
                a.model.identity for a in arms
            ]
            if self.shadow is not None and changed:
                self.shadow = Shadowed()
            self.name = arms[0].model.name
            for arm in before.values():
                self._begin(arm.close())

    async def moved(self) -> bool:
        """Tell whether an alias of the registry stands for another version by now than when it was
        last read.
        """
        if not any(source.number for source in self._tried):
            return False
        try:
            return tuple(await asyncio.to_thread(self._find)) != self._tried
        except (EdgekitError, OSError):
            # Somebody is at work on it.
            return False

    async def reload(self) -> str:
        """Load again; say what went wrong, empty where nothing did."""
        try:
            await self.load()
        except (EdgekitError, OSError) as error:
            self.metrics.reloads.labels("failed").inc()
            return str(error)
        self.metrics.reloads.labels("done").inc()
        return ""

    async def close(self) -> None:
        """Answer what waits, then end every runner."""
        self.stopping = True
        arms = tuple(self._arms.values())
        await asyncio.gather(*(arm.close() for arm in arms), *self._tasks)
        await self.decoder.close()

    def route(self, label: str | None, number: int | None, key: str) -> tuple[Arm, bool]:
        """Return the version that answers a key, and whether its answer counts: one that was asked
        for by its own name or number tells nothing of a split.
        """
        by_default = number is None and label in (None, LABEL) and LABEL not in self._arms
        if by_default or (number is None and label is None):
            name = self.split.arm_of(key, self.name) or ""
            return self._arms.get(name, self.main), True
        return self.find(label, number), len(self._arms) == 1

    def shade(self, inputs: Arrays, raw: bool, answered: Arrays) -> None:
        """Let the version in the shadow answer too, and compare; whoever asked waits for nothing.

        Where its queue is full the request is missed.
        """
        if self.shadow is not None and not self.stopping:
            self._begin(self._shaded(self.shadow, inputs, raw, answered))

    async def _shaded(self, shadow: Shadowed, inputs: Arrays, raw: bool, answered: Arrays) -> None:
        main, other = list(self._arms.values())[:2]
        until = asyncio.get_running_loop().time() + self._bounds.seconds
        try:
            answer = await other.predict(inputs, raw, until)
        except Refused:
            shadow.missed += 1
            self.metrics.shadow.labels("missed").inc()
            return
        before = shadow.differing
        shadow.compare(main.model, answered, answer.outputs)
        differing = shadow.differing - before
        self.metrics.shadow.labels("differing").inc(differing)
        items = len(next(iter(answered.values())))
        self.metrics.shadow.labels("alike").inc(items - differing)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def find(self, label: str | None, number: int | None) -> Arm:
        """Return the version of a label or a number. Raises :class:`Refused` (404)."""
        main = self.main
        if label is not None:
            arm = self._arms.get(label) or (main if label == LABEL else None)
            if arm is None:
                known = ", ".join(dict.fromkeys([*self._arms, LABEL]))
                raise Refused(404, f"no version of {self.name} is labelled {label!r}: {known}")
            return arm
        if number is not None:
            for arm in self._arms.values():
                if arm.model.number == number:
                    return arm
            known = ", ".join(str(arm.model.number) for arm in self._arms.values())
            raise Refused(404, f"version {number} of {self.name} is not served: {known}")
        return main


def _told_apart(arms: Sequence[Arm]) -> Sequence[Arm]:
    """Return the versions under one name, each with a number of its own.

    Raises :class:`ServeError` where they are not of one kind.
    """
    first, taken = arms[0].model, set[int]()
    for arm in arms:
        if (arm.inputs, arm.outputs.keys()) != (arms[0].inputs, arms[0].outputs.keys()):
            message = f"{arm.source.arm} and {arms[0].source.arm} take or give different things"
            hint = "two versions side by side have the same inputs and outputs, by name and shape"
            raise ServeError("EK-SERVE-006", message, hint)
        number = arm.model.number
        while number in taken:
            number += 1
        taken.add(number)
        arm.model = replace(arm.model, name=first.name, number=number)
    return arms
