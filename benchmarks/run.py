"""Every benchmark of the main job; `--write` puts the table into benchmarks/README.md."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import conversion
import evaluation
import repeat
import startup

README = Path(__file__).resolve().with_name("README.md")
START, END = "<!-- results -->", "<!-- end of results -->"


def machine() -> str:
    """What these figures were measured on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [row for row in cpuinfo.read_text().splitlines() if row.startswith("model name")]
        name = models[0].split(":", 1)[1].strip() if models else name
    versions = ", ".join(
        f"{package} {metadata.version(package)}" for package in ("tensorflow", "ai-edge-litert")
    )
    today = datetime.datetime.now(tz=datetime.timezone.utc).date()
    return (
        f"{today}, {name}, {os.cpu_count()} cores, {platform.system()},"
        f" Python {platform.python_version()}, {versions}"
    )


def main() -> int:
    lines = [machine(), "", "| what | bar | measured | kept |", "| --- | --- | --- | --- |"]
    kept = True
    print("\n".join(lines), flush=True)
    for benchmark in (startup, repeat, evaluation, conversion):
        for row in benchmark.rows():
            kept = kept and row.kept
            mark = "yes" if row.kept else "**no**"
            lines.append(f"| {row.what} | {row.bar} | {row.measured} | {mark} |")
            print(lines[-1], flush=True)
    if "--write" in sys.argv[1:]:
        text = README.read_text()
        head, rest = text.split(START)
        README.write_text(head + START + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
