"""Processes on this machine that train together: started, watched, and started again."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError, WorkerDied
from edgekit.loopback import LOOPBACK, held_port
from edgekit.process import tail
from edgekit.project.strategies import PARAMETER_SERVER, STRATEGIES
from edgekit.project.train import TrainTable
from edgekit.training.distribution.place import CHIEF, SERVER, WORKER, Place
from edgekit.worker import Worker

LOG = logging.getLogger("edgekit")
RESTARTS = 3
# Seconds in which a process that died is noticed after one that failed because of that.
NOTICED = 2.0
PORT_TAKEN = "Could not start gRPC server"


@dataclass(frozen=True)
class Member:
    """A process by its place: how it is started, where its output goes, and what it does.

    One that ``serves`` does so until it is stopped, and may be replaced while the others go on.
    """

    place: Place
    log: Path
    start: Callable[[], Worker]
    work: Callable[[Worker], Mapping[str, Any]]
    serves: bool = False


@dataclass(frozen=True)
class Together:
    """What processes came to, in the order of their places, and which died meanwhile, in words."""

    results: tuple[Mapping[str, Any], ...]
    deaths: tuple[str, ...]


def places(settings: TrainTable) -> tuple[Place, ...]:
    """Return the places of the processes of a strategy on this machine, at ports that are free."""
    strategy = STRATEGIES[settings.strategy]
    if not strategy.task:
        return (Place(),)
    counts = {WORKER: settings.workers or 2}
    if strategy.name == PARAMETER_SERVER:
        counts = {CHIEF: 1, **counts, SERVER: 1}
    with contextlib.ExitStack() as held:
        cluster = {
            task: tuple(f"{LOOPBACK}:{held.enter_context(held_port())}" for _ in range(count))
            for task, count in counts.items()
        }
    return tuple(
        Place(cluster, task, index) for task, count in counts.items() for index in range(count)
    )


def together(
    of_places: Callable[[Sequence[Place]], Sequence[Member]], settings: TrainTable
) -> Together:
    """Let all processes of a strategy work, and start them again where one has died.

    Raises :class:`WorkerDied` after three times, and what a process raised.
    """
    deaths: list[str] = []
    taken = 0
    while True:
        members = of_places(places(settings))
        try:
            return Together(_Attempt(members, deaths).run(), tuple(deaths))
        except _Death as death:
            deaths.append(death.words)
            if len(deaths) > RESTARTS:
                raise _too_often(death, deaths) from death.error
            text = f"{death.words}; all are started again from the last state"
            LOG.warning("warning EK-NOTE-130: %s (%d of %d)", text, len(deaths), RESTARTS)
        except EdgekitError as error:
            # Somebody else has taken a port since it was found to be free.
            taken += 1
            if PORT_TAKEN not in error.hint or taken > RESTARTS:
                raise


def alone(member: Member) -> Mapping[str, Any]:
    """Let one process of a cluster work, whose others are elsewhere."""
    try:
        return _Attempt([member], []).run()[0]
    except _Death as death:
        raise death.error from None


class _Death(Exception):
    """A process ended that had not done its work."""

    def __init__(self, member: Member, error: WorkerDied, among: int) -> None:
        super().__init__(str(error))
        self.member, self.error = member, error
        how = error.message.removeprefix("the TensorFlow worker ")
        self.words = f"{member.place.name} of {among} processes {how}"


class _Attempt:
    """All processes at work, once."""

    def __init__(self, members: Sequence[Member], deaths: list[str]) -> None:
        self._members, self._deaths = members, deaths
        self._workers: dict[int, Worker] = {}
        self._pool = ThreadPoolExecutor(len(members))

    def run(self) -> tuple[Mapping[str, Any], ...]:
        """Wait for the work of those that do not serve; in the end no process is left."""
        try:
            running = {self._begin(number): number for number in range(len(self._members))}
            return self._await(running)
        finally:
            self._stop()

    def _begin(self, number: int) -> Future[Mapping[str, Any]]:
        member = self._members[number]
        worker = self._workers[number] = member.start()
        worker.start()
        return self._pool.submit(member.work, worker)

    def _await(
        self, running: dict[Future[Mapping[str, Any]], int]
    ) -> tuple[Mapping[str, Any], ...]:
        results: dict[int, Mapping[str, Any]] = {}
        wanted = [n for n, member in enumerate(self._members) if not member.serves]
        while not all(number in results for number in wanted):
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            failed = [one for one in done if one.exception() is not None]
            if failed:
                if not any(isinstance(one.exception(), WorkerDied) for one in failed):
                    # Whose partner has died fails too, perhaps before the death is noticed.
                    more, _ = wait(set(running) - done, NOTICED, FIRST_COMPLETED)
                    failed += [one for one in more if one.exception() is not None]
                again = self._failed({running[one]: one.exception() for one in failed})
                for one in failed:
                    running.pop(one)
                running |= {self._begin(number): number for number in again}
                continue
            for one in done:
                results[running.pop(one)] = one.result()
        return tuple(results[number] for number in wanted)

    def _failed(self, errors: Mapping[int, BaseException | None]) -> list[int]:
        """Return which processes to replace alone. Raises what a process's failure comes to."""
        dead = {n: error for n, error in errors.items() if isinstance(error, WorkerDied)}
        if not dead:
            raise next(error for error in errors.values() if error is not None)
        for number, error in dead.items():
            death = _Death(self._members[number], error, len(self._members))
            place = self._members[number].place
            alone = set(errors) == set(dead) and place.task == WORKER
            if not (self._members[number].serves and alone and len(self._deaths) < RESTARTS):
                raise death
            self._deaths.append(death.words)
            LOG.warning("warning EK-NOTE-130: %s; it is started again", death.words)
        return list(dead)

    def _stop(self) -> None:
        for worker in self._workers.values():
            worker.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for worker in self._workers.values():
            worker.stop()


def _too_often(death: _Death, deaths: Sequence[str]) -> EdgekitError:
    message = (
        f"training was started {len(deaths)} times, and each time a process died: {deaths[-1]}"
    )
    log = death.member.log
    hint = (
        f"its last output:\n{tail(log)}\nthe whole log is {log}\n"
        "ended by the system, it had too little memory: take a smaller batch_size, or fewer"
        " workers\nrun the same command again to resume from the last state"
    )
    return WorkerDied("EK-TRAIN-027", message, hint)
