"""python_runner with a planted slowdown: model "B" spins SPIN_NS nanoseconds in what is timed."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from edgekit.targets.runners import FOLDER

sys.path.insert(0, str(FOLDER))

import python_runner  # it lies in the folder named above


class Job(python_runner.Job):
    """A job whose model, where it is B, takes longer to invoke."""

    def __init__(self, request: dict[str, Any], model: dict[str, Any]) -> None:
        super().__init__(request, model)
        spin = int(os.environ.get("SPIN_NS", "0"))
        if model["id"] == "B" and spin:
            self.model.invoke = slowed(self.model.invoke, spin)


def slowed(invoke: Any, spin: int) -> Any:
    """The action, and then a busy wait."""

    def both() -> None:
        invoke()
        end = time.perf_counter_ns() + spin
        while time.perf_counter_ns() < end:
            pass

    return both


python_runner.Job = Job

if __name__ == "__main__":
    sys.exit(python_runner.main(sys.argv[1:]))
