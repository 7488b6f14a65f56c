"""Runners: one request to its end, or a runner that stays. Their limits, outputs and log.

A runner writes to ``outputs`` of its job's folder. What it has finished there goes to the host at
once, as its ``finished-*`` files tell it; the rest goes when it has ended well.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from . import watchdog
from .channel import PIECE
from .outputs import ModelOutputs
from .serving import Call, CallRefused

Json = Any
# Seconds between two looks at what a runner has finished, and at its limits.
LOOK, CHECK = 0.05, 0.5
# Bytes of free space below which a runner's failure is put down to the disk.
LEAST_SPACE = 1 << 14


class RunnerProcess:
    """A runner's process in a job's folder, and what of it the host is told."""

    def __init__(
        self,
        call: Call,
        command: List[str],
        environment: Mapping[str, str],
        unset: List[str],
        limits: Mapping[str, Any],
    ) -> None:
        if call.server.lock is None:
            raise CallRefused("unlocked", "the lock was not taken")
        self.call, self.limits = call, limits
        self.folder = call.folder.job(uuid.uuid4().hex[:12])
        self.broken: Optional[str] = None
        self._log, self._sent = self.folder / "log", 0
        self._command = command
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        self._environment = {**kept, **environment}
        self._process: Any = None
        self._since = self._checked = time.monotonic()

    def start(self, *arguments: str, serve: bool = False) -> None:
        """Start it; with ``serve`` it is talked to through pipes."""
        pipe = subprocess.PIPE if serve else None
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._command, *arguments],
                stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                cwd=str(self.folder),
            )
        self.call.groups.add(self._process.pid)
        self.began()
        threading.Thread(target=self._await, daemon=True).start()

    def _await(self) -> None:
        self._process.wait()
        self.call.woken.set()

    @property
    def pipes(self) -> Any:
        """The process, for its pipes."""
        return self._process

    def began(self) -> None:
        """Count the limit of time from now."""
        self._since = time.monotonic()

    def over(self) -> bool:
        """Tell whether it has ended, was taken back, or is over its limits, which ``broken``
        names.
        """
        if self.call.cancelled.is_set() or self._process.poll() is not None:
            return True
        now, limits = time.monotonic(), self.limits
        if limits.get("seconds") is not None and now - self._since > limits["seconds"]:
            self.broken = "seconds"
        elif limits.get("bytes") is not None and now - self._checked > CHECK:
            self._checked = now
            if watchdog.resident(self._process.pid) > limits["bytes"]:
                self.broken = "bytes"
        return self.broken is not None

    def end(self) -> None:
        """End it and all that it started."""
        if self._process is not None:
            self.call.groups.drop(self._process.pid)
            self._process.wait()

    def status(self) -> Optional[int]:
        """Return its exit code."""
        code: Optional[int] = self._process.returncode
        return code

    def tell_log(self) -> None:
        """Send what it has said since."""
        with contextlib.suppress(FileNotFoundError), self._log.open("rb") as log:
            log.seek(self._sent)
            for piece in iter(lambda: log.read(PIECE), b""):
                self._sent += len(piece)
                self.call.event({"log": True}, piece)

    def drop(self) -> None:
        """Delete its folder."""
        self.call.folder.drop(self.folder)


def run(
    call: Call,
    request: Dict[str, Json],
    command: List[str],
    environment: Mapping[str, str],
    unset: List[str],
    limits: Mapping[str, Any],
) -> Mapping[str, Json]:
    """Run one request to its end.

    The ``result`` of the runner where it wrote one, else how it ended: ``status``, the limit that
    it ``broke``, the items that were ``running``, and whether the disk is ``full``.
    """
    runner = RunnerProcess(call, command, environment, unset, limits)
    outputs = []
    try:
        for number, entry in enumerate(request["models"]):
            folder = runner.folder / "outputs" / str(number)
            if "outputs" in entry:
                entry["outputs"] = str(folder)
                outputs.append(ModelOutputs(call, number, folder))
        asked, answered = runner.folder / "request.json", runner.folder / "result.json"
        asked.write_text(json.dumps(request))
        runner.start(str(asked), str(answered))
        try:
            while not runner.over():
                for one in outputs:
                    one.tell_finished()
                runner.tell_log()
                # Where nothing is to be sent, nothing runs beside what is timed.
                call.woken.wait(LOOK if outputs else CHECK)
        finally:
            runner.end()
        return _told(runner, outputs, answered)
    finally:
        runner.drop()


def _told(runner: RunnerProcess, outputs: List[ModelOutputs], answered: Path) -> Mapping[str, Json]:
    """Send the rest of what a runner leaves, and say how it ended."""
    for output in outputs:
        output.tell_finished()
    runner.tell_log()
    result = None
    if runner.broken is None:
        with contextlib.suppress(OSError, ValueError):
            result = json.loads(answered.read_text())
    if result is not None and "error" not in result:
        for output in outputs:
            output.tell_rest()
        return {"result": result}
    return {
        "result": result,
        "status": runner.status(),
        "broke": runner.broken,
        "running": [items for one in outputs for items in one.running()],
        "full": shutil.disk_usage(str(runner.folder)).free
        < max(LEAST_SPACE, *(one.unwritten() for one in outputs), 0),
    }


def serve(
    call: Call,
    request: Dict[str, Json],
    command: List[str],
    environment: Mapping[str, str],
    unset: List[str],
    limits: Mapping[str, Any],
) -> Mapping[str, Json]:
    """Keep a runner that answers lines, until the host takes the call back.

    Every frame with a ``line`` goes to it, every line of its own is an event. A limit of time is
    that of one answer.
    """
    runner = RunnerProcess(call, command, environment, unset, limits)
    try:
        runner.start("--serve", serve=True)
        waiting = threading.Event()
        relay = threading.Thread(target=_relay, args=(call, runner, waiting), daemon=True)
        relay.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                _feed(runner, json.dumps(request), waiting)
                threading.Thread(target=_forward, args=(call, runner, waiting), daemon=True).start()
            while not (runner.over() if waiting.is_set() else _gone(runner)):
                call.woken.wait(CHECK)
                runner.tell_log()
        finally:
            runner.end()
        # What it said last comes before how it ended.
        relay.join(CHECK)
        runner.tell_log()
        return {"status": runner.status(), "broke": runner.broken}
    finally:
        runner.drop()


def _gone(runner: RunnerProcess) -> bool:
    """Tell whether a runner that nobody waits for is over: time does not count."""
    runner.began()
    return runner.over()


def _feed(runner: RunnerProcess, line: str, waiting: threading.Event) -> None:
    runner.began()
    waiting.set()
    runner.pipes.stdin.write(line.encode() + b"\n")
    runner.pipes.stdin.flush()


def _forward(call: Call, runner: RunnerProcess, waiting: threading.Event) -> None:
    """Pass the host's lines on to the runner. Its end is seen where it is waited for."""
    frame = call.receive()
    while frame is not None:
        try:
            _feed(runner, frame[0]["line"], waiting)
        except OSError:
            return
        frame = call.receive()


def _relay(call: Call, runner: RunnerProcess, waiting: threading.Event) -> None:
    """Pass the runner's lines on to the host."""
    with contextlib.suppress(OSError, ValueError):
        for line in runner.pipes.stdout:
            waiting.clear()
            call.event({"line": line.decode(errors="replace")})


METHODS = {"run": run, "serve": serve}
