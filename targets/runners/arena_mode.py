"""Mode ``arena`` of ``tflm_runner.py``: the smallest arena that a model allocates and invokes in.

The request is that of ``evaluate``, without ``outputs``. A size counts where TFLM allocates in it,
invokes, and gives the bytes that it gives in a large arena, on ``items`` items. Sizes are multiples
of 16 bytes, and each is tried in a process of its own: TFLM ends its process in some arenas that
are too small. The result of a model: ``arena_bytes``; ``recorded_bytes``, what TFLM's own recorder
says it used; ``margin``, the former over the latter, less 1; ``recorded``, the recorder's parts;
and how many ``trials`` and ``seconds`` it took.
"""

from __future__ import annotations

import re
import time
from typing import Any, Callable, Dict, List, Tuple

import python_runner
import tflm_runner
from python_runner import Arrays

# TFLM aligns what it allocates to this many bytes (``MicroArenaBufferAlignment``).
GRID = 16
ITEMS = 8
# Seconds that one trial's inferences may take: a slow model gets fewer items.
PER_TRIAL = 0.3
TOTAL = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")
PART = re.compile(r"'([^']+)' used (\d+) bytes .*\(requested (\d+) bytes for (\d+) ")


def run(request: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Measure every model of the request."""
    if request["runtime"] != "tflm":
        raise ValueError("%s has no tensor arena: only tflm has one" % request["runtime"])
    for entry in request["models"]:
        result["running"] = {"model": entry["id"], "items": [0, 1]}
        begin = time.perf_counter()
        job = python_runner.Job(request, entry)
        feeds = _feeds(job)
        expected = _answers(job.model, feeds)
        recorded = recorded_in(job.model.interpreter)
        smallest, trials = search(
            lambda size: _alike(job.model, size, feeds, expected),  # noqa: B023
            recorded["total"],
        )
        result["models"][entry["id"]] = {
            "arena_bytes": smallest,
            "recorded_bytes": recorded["total"],
            "margin": smallest / recorded["total"] - 1,
            "recorded": recorded,
            "items": len(feeds),
            "trials": trials,
            "seconds": time.perf_counter() - begin,
        }
    result.pop("running", None)


def _feeds(job: Any) -> List[Arrays]:
    """Return as many items as a trial has time for, encoded."""
    first_ns, _ = job.first()
    affordable = int(PER_TRIAL * 1e9 / max(first_ns, 1))
    count = max(1, min(ITEMS, affordable, job.stop - job.start))
    return [job.item(job.model, job.start + i) for i in range(count)]


def _answers(model: Any, feeds: List[Arrays]) -> List[bytes]:
    answers = []
    for one in feeds:
        model.reset()
        model.stage(one)
        model.invoke()
        answers.append(b"".join(value.tobytes() for value in model.fetch().values()))
    return answers


def _alike(model: Any, size: int, feeds: List[Arrays], expected: List[bytes]) -> bool:
    def trial() -> None:
        if _answers(model.in_arena(size), feeds) != expected:
            raise ValueError("other answers than in a large arena")

    return bool(tflm_runner.attempt(trial).passed)


def search(passes: Callable[[int], bool], guess: int) -> Tuple[int, int]:
    """Return the smallest size on the grid that passes, and how many were tried. ``guess`` in
    bytes.

    Raises ``ValueError`` where none passes.
    """
    # In steps of the grid: ``below`` does not pass, ``above`` does.
    below, above, stride, trials = 0, -(-guess // GRID), 4, 1
    while not passes(above * GRID):
        if above * GRID > tflm_runner.LIMIT:
            raise ValueError("no arena up to %d bytes will do" % tflm_runner.LIMIT)
        below, above, stride, trials = above, above + stride, 2 * stride, trials + 1
    if below == 0 and above > 1:
        # Most often the recorder is right, and one step less fails.
        trials += 1
        if passes((above - 1) * GRID):
            above -= 1
        else:
            below = above - 1
    while above - below > 1:
        middle, trials = (below + above) // 2, trials + 1
        below, above = (below, middle) if passes(middle * GRID) else (middle, above)
    return above * GRID, trials


def recorded_in(interpreter: Any) -> Dict[str, Any]:
    """Return what TFLM's recorder says it used: bytes in all, at the head and tail, and by part."""
    printed = tflm_runner.attempt(interpreter.print_allocations).log
    recorded: Dict[str, Any] = {name: int(count) for name, count in TOTAL.findall(printed)}
    if "total" not in recorded:
        raise ValueError("TFLM's recorder says nothing: %s" % printed)
    recorded["parts"] = {
        name: {"bytes": int(used), "requested": int(asked), "count": int(count)}
        for name, used, asked, count in PART.findall(printed)
    }
    return recorded
