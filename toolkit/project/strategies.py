"""The ways to spread a training over devices and processes: a row each.

How a row's strategy is made is a module of its name in ``toolkit/training/distribution/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MULTI_WORKER, PARAMETER_SERVER = "multi_worker", "parameter_server"


@dataclass(frozen=True)
class Strategy:
    """A strategy of ``tf.distribute`` by its name in ``[train] strategy``.

    ``task`` is what most of its processes are called in a cluster, empty where there is one
    process; ``watched`` says whether its trainings are, as others, ``recovers`` whether fine-tuning
    after compression runs by it, ``no_loop`` why it runs no step of the user's own, and
    ``untested`` why nobody has seen it run, if so.
    """

    name: str
    what: str
    task: str = ""
    watched: bool = False
    recovers: bool = False
    no_loop: str = ""
    untested: str = ""


ROWS = (
    Strategy("default", "one process on one device", watched=True, recovers=True),
    Strategy(
        "mirrored",
        "one process, the same weights on each of its devices",
        watched=True,
        recovers=True,
    ),
    Strategy(
        MULTI_WORKER,
        "several processes, here or on several machines, the same weights in each",
        task="worker",
        watched=True,
        recovers=True,
    ),
    Strategy(
        PARAMETER_SERVER,
        "weights on servers, workers that train on them at their own pace",
        task="worker",
        no_loop="its workers share no batch whose gradients and figures could be put together",
    ),
    Strategy(
        "central_storage",
        "one process, weights on the CPU, computed on its devices",
        no_loop="that gradients and figures are put together right was proven on mirrored weights",
    ),
    Strategy(
        "tpu",
        "the cores of a TPU",
        no_loop="edgekit's tests have no TPU to prove it on",
        untested="edgekit's tests have no TPU: it follows TensorFlow's public API",
    ),
)
STRATEGIES: Mapping[str, Strategy] = {row.name: row for row in ROWS}
