"""Where a process stands among those that train together, as ``TF_CONFIG`` says it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgekit.errors import ProjectError

VARIABLE = "TF_CONFIG"
WORKER, CHIEF, SERVER = "worker", "chief", "ps"


@dataclass(frozen=True)
class Place:
    """The addresses of a cluster's processes by task, and which of them this one is.

    Without a cluster it is a process alone.
    """

    cluster: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    task: str = WORKER
    index: int = 0

    @property
    def chief(self) -> bool:
        """Whether this process keeps the states: the chief, else the first worker."""
        return self.task == CHIEF or (
            self.task == WORKER and self.index == 0 and CHIEF not in self.cluster
        )

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.task} {self.index}"

    @property
    def text(self) -> str:
        """What ``TF_CONFIG`` holds; empty for a process alone."""
        if not self.cluster:
            return ""
        cluster = {task: list(addresses) for task, addresses in self.cluster.items()}
        task = {"type": self.task, "index": self.index}
        return json.dumps({"cluster": cluster, "task": task})


def read(text: str) -> Place:
    """Read what ``TF_CONFIG`` holds. Raises :class:`ProjectError` where it says no place."""
    if not text.strip():
        return Place()
    try:
        stated = json.loads(text)
        cluster = {str(k): tuple(map(str, v)) for k, v in stated["cluster"].items()}
        task, index = str(stated["task"]["type"]), int(stated["task"]["index"])
        if not 0 <= index < len(cluster[task]):
            raise IndexError(index)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        message = f"TF_CONFIG does not say where this process stands: {text[:200]}"
        hint = (
            '{"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": 0}}'
            "\nis its form; unset it to train on this machine alone"
        )
        raise ProjectError("EK-TRAIN-020", message, hint) from error
    return Place(cluster, task, index)
