"""The budgets, a row each: its key, its checks, and what it is held against.

A new budget is a field of ``Budgets`` in ``toolkit/project/budgets.py``, a function in a module
here, its row below, and a row of ``docs/gate.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgekit.gate.budgets import contents, memory, metrics, outputs, sizes, times
from edgekit.gate.rules import Basis
from edgekit.project import Budgets
from edgekit.types import Candidate, CheckResult

Check = Callable[[Basis, Budgets, Candidate], Iterator[CheckResult]]


@dataclass(frozen=True)
class Budget:
    """A budget: the keys of the project file, and the function that checks them.

    What is ``of_target`` depends on the target's own device or compiler; the rest holds on every
    device.
    """

    keys: tuple[str, ...]
    check: Check
    of_target: bool = False


BUDGETS: tuple[Budget, ...] = (
    Budget(("accuracy", "metric", "outputs", "metrics"), metrics.check_goals),
    Budget(("classes",), metrics.check_classes),
    Budget(("flips",), outputs.check_flips),
    Budget(("parity",), outputs.check_parity),
    Budget(("size",), sizes.check_size),
    Budget(("compressed_size",), sizes.check_compressed_size),
    Budget(("delta_size",), sizes.check_delta_size),
    Budget(("operators",), contents.check_operators),
    Budget(("minimum_runtime",), contents.check_minimum_runtime),
    Budget(("macs",), contents.check_macs),
    Budget(("sparsity",), contents.check_sparsity),
    Budget(("latency_p50", "latency_p95"), times.check_percentiles, True),
    Budget(("latency",), times.check_ratio, True),
    Budget(("arena",), memory.check_arena, of_target=True),
    Budget(("peak_memory",), memory.check_peak_memory, of_target=True),
    Budget(("npu_share",), contents.check_npu_share, of_target=True),
)

__all__ = ["BUDGETS", "Budget"]
