"""Answer the files that are put into a folder, one JSON line a file, until the process is stopped.

The model is opened once. A model that keeps a state takes all files as one stream, in the order of
their names: what is put there first must sort first. Works on Python 3.9 and later.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import python_runner
import recorder as records

# Seconds between two looks at the folder.
PAUSE = 0.2
DONE, REFUSED = "done", "refused"

Reader = Callable[[str], Any]
Namer = Callable[[int], str]


class Stream:
    """The opened model, the input and output that are used, and how many items it has had.

    ``recorder`` counts them, where one is given.
    """

    def __init__(
        self,
        request: Dict[str, Any],
        name: str,
        output: str,
        recorder: Optional[records.Recorder] = None,
    ):
        self.recorder = recorder
        self.name, self.output = name, output
        request = {**request, "streams": [0]} if keeps_state(request) else request
        self.job = python_runner.Job(request, request["models"][0])
        self.position = 0

    def answer(self, items: Any) -> Any:
        """Outputs ``[n, ...]`` for items ``[n, ...]``, the state carried on."""
        began = time.perf_counter_ns()
        self.job.raw = {self.name: items}
        feeds = self.job.feeds(self.job.model, 0, len(items))
        answers = python_runner.run_items(
            self.job, self.job.model, feeds, len(items), self.position
        )
        self.position += len(items)
        if self.recorder is not None:
            # One time a file: copies of it would pass for as many items.
            each = (time.perf_counter_ns() - began) // len(items)
            self.recorder.add({self.name: items}, answers, [each])
        return answers[self.output]


def keeps_state(request: Dict[str, Any]) -> bool:
    """Whether the bundle's golden items were made as streams, or the model's inputs hold states."""
    return bool(request.get("states") or request.get("streams"))


def watch(stream: Stream, folder: Path, read: Reader, label: Namer, top: int) -> None:
    """Answer files of ``folder`` as they come; each moves to ``done/`` or ``refused/`` below it.

    Ends with the process. Files that begin with a dot are left alone: write under such a name,
    then rename.
    """
    for below in (DONE, REFUSED):
        (folder / below).mkdir(exist_ok=True)
    # systemd stops a service with SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("watching %s" % folder, file=sys.stderr, flush=True)
    while True:
        for path in waiting(folder):
            try:
                answers = stream.answer(read(str(path)))
            except (RuntimeError, OSError, ValueError) as error:
                if stream.recorder is not None:
                    stream.recorder.error()
                line: Dict[str, Any] = {"file": path.name, "error": str(error)}
                path.replace(folder / REFUSED / path.name)
            else:
                items = [best(row, label, top) for row in answers.reshape(len(answers), -1)]
                line = {"file": path.name, "items": items}
                path.replace(folder / DONE / path.name)
            print(json.dumps(line), flush=True)
        time.sleep(PAUSE)


def waiting(folder: Path) -> List[Path]:
    """Files to answer, in the order of their names."""
    return sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))


def best(row: Any, label: Namer, top: int) -> List[Dict[str, Any]]:
    """The highest values of one item's output, by name."""
    order = np.argsort(-row, kind="stable")[:top]
    return [{"label": label(int(k)), "score": round(float(row[k]), 6)} for k in order]
