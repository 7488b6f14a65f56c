"""Sending what is in the outbox: by a process of its own, within a bound of time.

MLflow is imported there alone, so that no command waits for it that has nothing to send; and what
becomes of that process, whatever a server does to it, is no more than a sentence here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edgekit import scratch
from edgekit.process import describe_exit, end_group, module_command
from edgekit.record.mlflow.outbox import pending
from edgekit.record.mlflow.place import Place

# MLflow's own time-outs are minutes, and it tries seven times. A user's own settings count.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
}
# Nobody else is told what is recorded.
SILENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
LOG = "log.txt"
LONGEST = 300


@dataclass(frozen=True)
class Delivery:
    """What came of sending: entries that arrived, how many are kept, and why the first one is.

    ``lost`` names files that were changed since, and so were not sent.
    """

    sent: tuple[str, ...]
    kept: int
    why: str = ""
    lost: tuple[str, ...] = ()


def deliver(place: Place, seconds: float | None = None) -> Delivery:
    """Send every entry of the outbox, the oldest first; what does not arrive stays there."""
    if not pending(place.outbox):
        return Delivery((), 0)
    if place.folder:
        place.folder.mkdir(parents=True, exist_ok=True)
    job = {"uri": place.uri, "outbox": str(place.outbox)}
    job["artifacts"] = place.artifacts.as_uri() if place.artifacts else ""
    limit = place.seconds if seconds is None else seconds
    answers, why = _ask(job, place, limit)
    sent = tuple(str(answer["sent"]) for answer in answers if "sent" in answer)
    failed = [str(answer["failed"]) for answer in answers if "failed" in answer]
    lost = tuple(str(name) for answer in answers for name in answer.get("lost", ()))
    left = len(pending(place.outbox))
    return Delivery(sent, left, next(iter(failed), why)[:LONGEST] if left else "", lost)


def _ask(job: dict[str, str], place: Place, seconds: float) -> tuple[list[dict[str, Any]], str]:
    """Let another process send, and return what it says, and why it came to no end, if so."""
    log = place.outbox / LOG
    with scratch.held(prefix="edgekit-mlflow-") as folder, log.open("wb") as said:
        process = subprocess.Popen(
            module_command(sys.executable, "edgekit.record.mlflow.send"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            cwd=place.folder or folder,
            env={**ENVIRONMENT, **os.environ, **SILENT},
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(json.dumps(job).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            end_group(process)
            output, _ = process.communicate()
            return list(_answers(output)), f"it took more than {seconds:g} s"
        except BaseException:
            end_group(process)
            raise
    code = process.returncode
    ended = f"the process that sends {describe_exit(code)[0]}: see {log}" if code else ""
    return list(_answers(output)), ended


def _answers(output: bytes) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            # Half a line, of a process that was ended.
            continue
        if isinstance(answer, dict):
            yield answer
