"""The runners of one version, which take turns, and the bounded queue before them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count

from edgekit.errors import EdgekitError, RunnerError
from edgekit.serving.limits import Bounds, Refused, busy
from edgekit.serving.runner import Answer, Runner
from edgekit.serving.source import Arrays

# Seconds between two attempts to start a runner that does not start.
PAUSES = (0.1, 0.5, 2.0, 10.0)


class Pool:
    """Gives each request a runner of its own, in the order in which they came.

    One that is gone is started anew by ``start``, after ``restarted`` was told.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[Runner]],
        bounds: Bounds,
        restarted: Callable[[], None],
    ) -> None:
        self._start, self._bounds, self._restarted = start, bounds, restarted
        self._idle: list[Runner] = []
        self._waiting: deque[asyncio.Future[Runner]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._working, self._closed = 0, False
        self._still = asyncio.Event()
        self.alive = 0

    @property
    def waiting(self) -> int:
        """How many requests wait for a runner."""
        return len(self._waiting)

    def add(self, runner: Runner) -> None:
        """Let a runner take its turns."""
        self.alive += 1
        self._release(runner)

    async def ask(self, inputs: Arrays, raw: bool, until: float) -> Answer:
        """Return the answer to items, or give up when the loop's clock says ``until``.

        Raises :class:`Refused`: 503 where the queue is full, 504 where it takes too long, 500 where
        the runner died on the items or cannot run them, and 400 where the model takes no such.
        """
        if self._closed:
            raise busy("this version is no longer served")
        self._working += 1
        try:
            return await self._asked(await self._turn(until), inputs, raw, until)
        finally:
            self._working -= 1
            self._still.set()

    async def close(self) -> None:
        """Answer what waits, then end the runners."""
        while self._working:
            self._still.clear()
            await self._still.wait()
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(runner.close() for runner in self._idle))

    async def _turn(self, until: float) -> Runner:
        """Return a runner that is free, at once where there is one."""
        if self._idle:
            return self._idle.pop()
        if len(self._waiting) >= self._bounds.queue:
            raise busy(f"{self._bounds.queue} requests wait already")
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Runner] = loop.create_future()
        self._waiting.append(turn)
        over = loop.call_at(until, self._too_late, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release(turn.result())
            raise
        finally:
            over.cancel()

    def _too_late(self, turn: asyncio.Future[Runner]) -> None:
        if not turn.done():
            self._waiting.remove(turn)
            turn.set_exception(self._late())

    def _late(self) -> Refused:
        return Refused(504, f"no answer within {self._bounds.seconds:g} s")

    async def _asked(self, runner: Runner, inputs: Arrays, raw: bool, until: float) -> Answer:
        late = False

        def end() -> None:
            # It computes on, and would give the next request this one's answer.
            nonlocal late
            late = True
            runner.kill()

        over = asyncio.get_running_loop().call_at(until, end)
        gone = True
        try:
            answer = await runner.ask(inputs, raw)
            gone = late
            return answer
        except Refused:
            gone = late
            raise
        except RunnerError as error:
            if late:
                raise self._late() from error
            raise Refused(500, f"{error.message}; it is started again") from error
        finally:
            over.cancel()
            if gone:
                runner.kill()
                self._again()
            else:
                self._release(runner)

    def _release(self, runner: Runner) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(runner)
                return
        self._idle.append(runner)

    def _again(self) -> None:
        """Start a runner in the place of one that is gone."""
        self.alive -= 1
        self._restarted()
        task = asyncio.create_task(self._until_started())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_started(self) -> None:
        for attempt in count():
            try:
                runner = await self._start()
            except (EdgekitError, OSError):
                await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
            else:
                self.add(runner)
                return
