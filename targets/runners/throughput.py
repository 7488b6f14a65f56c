"""How ``python_runner.py`` evaluates fast: batch, threads and processes by a short trial.

Optional, beside ``python_runner.py``. What is chosen answers like one item at a time on one thread,
to the bit, on the items of the trial; a trial costs a twentieth of the job and a second at most.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np
import python_runner
from python_runner import Arrays

# Batches to try, largest last. They save a call's own cost: microseconds, so slow models gain none.
BATCHES = (8, 64)
BATCHED_BELOW = 1e-3
# What a trial may take: seconds, and the share of the job; shorter jobs go without.
TRIAL_SECONDS = 1.0
TRIAL_SHARE = 0.05
TRIAL_ITEMS = 1024
# How long one item is run again and again: on a busy host a single run can be far off.
ONE_SECONDS = 0.01
SHORT = 0.3
# A choice must be faster by this factor: noise chooses nothing.
GAIN = 1.05
# A further process is started where the job is this many times longer than its start-up.
STARTUPS = 4
# Blocks for each process, at least: the last one running keeps the others idle for a block.
BLOCKS = 8


class Crew(python_runner.Alone):  # type: ignore[misc]
    """This process, and further ones that take blocks of the same items."""

    def __init__(self, job: Any, progress: Any):
        super().__init__(job, progress)
        self.model: Any = job.model
        self._folder = Path(job.entry["outputs"])
        self._children: List["subprocess.Popen[bytes]"] = []
        self._claims: Optional[Path] = None

    def prepare(self, first: float) -> None:
        job, request = self.job, self.job.request
        count, wanted = job.stop - job.start, request.get("batch", "auto")
        trial, long = Trial(job, self.progress), first * count > SHORT
        if job.streams:
            # One item after the other, on the model that is there.
            self.block = job.block(self.model, first)
            return
        # The first inference is slower than those that follow.
        seconds = trial.one() if long else first
        if wanted != "auto":
            self.model = self._at_batch(int(wanted))
        elif long and not request.get("reset_state"):
            self.model, seconds = trial.batched()
        self.processes = self._count(seconds * count)
        if request.get("threads") == "auto" and self.processes == 1 and long:
            self.model, self.threads = trial.threaded(self.model, cores())
        self.block = job.block(self.model, seconds)
        if self.processes > 1 and "block" not in request:
            share = count // (BLOCKS * self.processes)
            size = min(self.block, share - share % self.model.batch)
            self.block = max(size, self.model.batch)
        if self.processes > 1 or request.get("part"):
            self._claims = self._folder / "claims"

    def _at_batch(self, batch: int) -> Any:
        """Return the model at the batch size that is asked for, where it answers alike."""
        job = self.job
        stop = min(job.start + batch, job.stop)
        self.progress(job.start, stop)
        expected = job.answers(job.model, job.start, stop)
        try:
            model = job.model.with_batch(batch)
            answers = job.answers(model, job.start, stop)
        except Exception:  # any refusal means: not at this batch size
            return job.model
        return model if alike(answers, expected, model.outputs) else job.model

    def _count(self, whole: float) -> int:
        """Tell how many processes pay for a job of ``whole`` seconds in one."""
        job, wanted = self.job, self.job.request.get("processes", "auto")
        if wanted == "auto":
            room = max(1, cores() // (job.threads or cores()))
            wanted = room if whole > STARTUPS * job.startup else 1
        # Claims need what POSIX says of O_APPEND.
        alone = job.stop - job.start < 2 * wanted or os.name != "posix"
        return 1 if alone or job.request.get("part") else int(wanted)

    def start(self) -> None:
        if self.processes > 1 and self._claims:
            self._claims.write_bytes(b"")
        request = dict(
            self.job.request,
            models=[self.job.entry],
            items=[self.job.start, self.job.stop],
            batch=self.model.batch,
            threads=self.threads,
            processes=1,
            block=self.block,
        )
        for number in range(1, self.processes):
            # Not named progress-*.json: that is of the process that was started first.
            part = dict(request, part="part-%d.progress.json" % number)
            path = self._path(number, "json")
            python_runner.write_json(path, part)
            answered = str(self._path(number, "result.json"))
            command = [sys.executable, sys.argv[0], str(path), answered]
            self._children.append(subprocess.Popen(command, stdout=sys.stderr))

    def _path(self, number: int, ending: str) -> Path:
        return self._folder / ("part-%d.%s" % (number, ending))

    def blocks(self) -> Iterator[Tuple[int, int]]:
        if self._claims is None:
            yield from super().blocks()
            return
        for number in claims(self._claims):
            self._check()
            at = self.job.start + number * self.block
            if at >= self.job.stop:
                return
            yield at, min(at + self.block, self.job.stop)

    def _check(self) -> None:
        for number, child in enumerate(self._children, 1):
            if child.poll():
                self._failed(number, child.returncode)

    def _failed(self, number: int, status: int) -> None:
        """Fail as a further process did, at its items: by its error, or by its signal."""
        where = self._path(number, "progress.json")
        if where.exists():
            self.progress(*json.loads(where.read_text())["items"])
        if status < 0:
            if -status != signal.SIGKILL:
                signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        result = self._path(number, "result.json")
        if result.exists():
            raise RuntimeError(json.loads(result.read_text())["error"]["message"])
        raise RuntimeError("a further process of the runner ended with %d" % status)

    def finish(self) -> None:
        for child in self._children:
            child.wait()
        self._check()

    def close(self) -> None:
        for child in self._children:
            if child.poll() is None:
                child.kill()
                child.wait()


class Trial:
    """A few items at several settings: which is fastest and answers alike to the bit."""

    def __init__(self, job: Any, progress: Any):
        self._job, self._progress = job, progress
        self._count, self._seconds = 0, 0.0
        self._expected: Arrays = {}

    def _single(self, settings: int) -> None:
        """Time one item at a time, on as many items as there is time to try ``settings``
        settings.
        """
        job, item_seconds = self._job, self.one()
        whole = item_seconds * (job.stop - job.start)
        budget = min(TRIAL_SECONDS, TRIAL_SHARE * whole) / (settings + 1)
        # Each setting runs twice.
        count = max(1, min(int(budget / (2 * item_seconds)), TRIAL_ITEMS, job.stop - job.start))
        self._count = count
        self._expected, self._seconds = self._timed(job.model, count)

    def _timed(self, model: Any, count: int) -> Tuple[Arrays, float]:
        """Return outputs, and the seconds for each item of the faster of two runs."""
        job = self._job
        self._progress(job.start, job.start + count)
        took = []
        for _ in range(2):
            begin = time.perf_counter()
            answers = job.answers(model, job.start, job.start + count)
            took.append(time.perf_counter() - begin)
        return answers, max(min(took), 1e-9) / count

    def one(self) -> float:
        """Return seconds that one item takes, the first inference being over."""
        job = self._job
        took: List[float] = []
        self._progress(job.start, job.start + 1)
        end = time.perf_counter() + ONE_SECONDS
        while not took or time.perf_counter() < end:
            begin = time.perf_counter()
            job.answers(job.model, job.start, job.start + 1)
            took.append(time.perf_counter() - begin)
        return max(min(took), 1e-9)

    def batched(self) -> Tuple[Any, float]:
        """Return the model at its best batch size, and the seconds an item takes."""
        self._single(len(BATCHES))
        best, seconds = self._job.model, self._seconds
        for size in BATCHES if seconds < BATCHED_BELOW else ():
            if size <= self._count:
                tried = self._tried(lambda: self._job.model.with_batch(size))  # noqa: B023
                if tried and tried[1] * GAIN < seconds:
                    best, seconds = tried
        return best, seconds

    def threaded(self, model: Any, threads: int) -> Tuple[Any, int]:
        """Return the model on more threads where that is faster; and how many it runs on."""
        if not self._expected:
            self._single(1)
        tried = self._tried(lambda: self._job.open(threads).with_batch(model.batch))
        _, seconds = self._timed(model, self._count)
        return (tried[0], threads) if tried and tried[1] * GAIN < seconds else (model, 1)

    def _tried(self, open_model: Any) -> Optional[Tuple[Any, float]]:
        """Return a setting's model and seconds an item; None where it fails or answers
        otherwise.
        """
        try:
            model = open_model()
            answers, seconds = self._timed(model, self._count)
        except Exception:  # any refusal means: not at this setting
            return None
        for name, expected in self._expected.items():
            if answers[name].tobytes() != expected.tobytes():
                return None
        return model, seconds


def alike(left: Arrays, right: Arrays, outputs: Any) -> bool:
    """Tell whether two batch sizes answer alike: integers to the bit, floats within rounding."""
    for name, info in outputs.items():
        if left[name].shape != right[name].shape:
            return False
        scale = float(np.max(np.abs(right[name]), initial=0.0))
        tolerance = 0.0 if info.scale else 1e-5 * max(scale, 1e-6)
        if not np.allclose(left[name], right[name], rtol=0.0, atol=tolerance, equal_nan=True):
            return False
    return True


def claims(path: Path) -> Iterator[int]:
    """Yield 0, 1, 2, … over all processes that iterate on one empty file: each number to one of
    them.

    A byte appended is a number claimed, and where it came to lie is the number: with O_APPEND the
    write and the offset after it are one step (POSIX, ``write``). Nothing is locked, so a process
    that crashes holds up no other.
    """
    file = os.open(str(path), os.O_WRONLY | os.O_APPEND)
    try:
        while True:
            os.write(file, b".")
            yield os.lseek(file, 0, os.SEEK_CUR) - 1
    finally:
        os.close(file)


def cores() -> int:
    """Return the cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
