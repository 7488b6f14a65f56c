"""The TensorBoard logs of past trainings: served on this machine alone, listed, and pruned."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit.loopback import LOOPBACK, free_port
from edgekit.pipeline.plan import LOGS, Options, Plan
from edgekit.process import end_group
from edgekit.project import Project

# As :func:`edgekit.pipeline.watching.watching` names them: another folder is not ours to remove.
NAME = re.compile(r"[a-z_]+-[0-9a-f]{8}")
# It ends with who started it, however that ends.
START = """
import os, sys, threading, time
parent = int(sys.argv.pop(1))
def watch():
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
from tensorboard.main import run_main
run_main()
"""
EVENTS = "events.out.tfevents.*"


@dataclass(frozen=True)
class TrainingLog:
    """The log of one training of a model: its folder, its bytes, and when it was last written."""

    model: str
    path: Path
    bytes: int
    modified: float


@contextlib.contextmanager
def serve_logs(project: Project, options: Options) -> Iterator[str]:
    """Serve the logs of a project's trainings by TensorBoard, and yield the address.

    It listens on the loopback address alone, and ends with the context.
    """
    folder = Plan.of_model(project, options).logs
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-c", START, str(os.getpid()), "--logdir", str(folder)]
    process = subprocess.Popen(
        [*command, "--host", LOOPBACK, "--port", str(port), "--load_fast", "false"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield f"http://{LOOPBACK}:{port}/"
    finally:
        end_group(process)


def training_logs(output: Path) -> tuple[TrainingLog, ...]:
    """List the logs below ``output``, by model, the newest first."""
    logs = []
    for folder in (output / "build").glob(f"*/{LOGS}/*"):
        events = list(folder.rglob(EVENTS))
        if NAME.fullmatch(folder.name) and events and not folder.is_symlink():
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            modified = max(path.stat().st_mtime for path in events)
            logs.append(TrainingLog(folder.parent.parent.name, folder, size, modified))
    return tuple(sorted(logs, key=lambda log: (log.model, -log.modified)))


def prune_logs(output: Path, keep: int) -> tuple[TrainingLog, ...]:
    """Remove all but the ``keep`` newest logs of each model below ``output``, and return those."""
    removed, kept = [], dict[str, int]()
    for log in training_logs(output):
        kept[log.model] = kept.get(log.model, 0) + 1
        if kept[log.model] > keep:
            shutil.rmtree(log.path)
            removed.append(log)
    return tuple(removed)
