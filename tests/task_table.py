"""The table of tasks in the documentation, made from the code's.

python tests/task_table.py docs/tasks.md     writes it there anew
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgekit.evaluation.metrics import METRICS
from edgekit.evaluation.tasks import TASKS
from edgekit.gate.rules import DEFAULT_MAX_DROP, DEFAULT_PERCENT

BEGIN, END = "<!-- made by tests/task_table.py -->", "<!-- end -->"
TITLES = (
    "task",
    "labels",
    "outputs",
    "metric",
    "also shown",
    "largest drop allowed by default",
    "worst items",
    "golden outputs",
)


def table() -> str:
    """One row per task, in the order in which they are tried."""
    rows = [TITLES, tuple("---" for _ in TITLES)]
    for task in TASKS.values():
        bounded = METRICS[task.metric].bounded
        loss = f"{100 * DEFAULT_MAX_DROP:g} points" if bounded else f"{DEFAULT_PERCENT:g} %"
        rows.append(
            (
                f"[{task.name}](tasks/{task.name}.md)",
                task.labels,
                task.outputs,
                f"`{task.metric}`",
                ", ".join(f"`{name}`" for name in task.beside) or "–",
                loss,
                task.worst,
                task.golden,
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def written(text: str) -> str:
    """A page with the table in its place."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
