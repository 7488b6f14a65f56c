"""Every benchmark of the main job; `--write` puts the table into benchmarks/README.md."""

from __future__ import annotations

import sys
from pathlib import Path

import bundles
import conversion
import devices
import evaluation
import latency
import latency_tool
import monitoring
import native
import recovery
import repeat
import sandbox
import serving
import startup
import training
import watching
from rows import machine, replace_block

README = Path(__file__).resolve().with_name("README.md")
START, END = "<!-- results -->", "<!-- end of results -->"


def main() -> int:
    lines = [machine(), "", "| what | bar | measured | kept |", "| --- | --- | --- | --- |"]
    kept = True
    print("\n".join(lines), flush=True)
    tables = (
        startup,
        repeat,
        evaluation,
        latency,
        conversion,
        recovery,
        latency_tool,
        native,
        devices,
        bundles,
        sandbox,
        training,
        watching,
        monitoring,
        serving,
    )
    for benchmark in tables:
        for row in benchmark.rows():
            kept = kept and row.kept
            mark = "yes" if row.kept else "**no**"
            lines.append(f"| {row.what} | {row.bar} | {row.measured} | {mark} |")
            print(lines[-1], flush=True)
    if "--write" in sys.argv[1:]:
        replace_block(README, START, END, lines)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
