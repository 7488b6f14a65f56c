"""Where in the project file a budget is written, for the outputs that point at a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit import explanations
from edgekit.report.ci.judged import split_run
from edgekit.types import CheckedRuns, CheckResult

NAME = "edgekit.toml"
# The check of a waiver whose day is over.
WAIVER = "waiver of "
HEADER = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+")


@dataclass(frozen=True)
class Source:
    """The project file: its path as CI systems want it, from the root, and its text.

    ``model`` is the key of ``[models]`` that it is read for. ``runs`` are the files of several runs
    by their names; each check's target then names its run.
    """

    path: str = NAME
    text: str = ""
    model: str = ""
    runs: Mapping[str, Source] = field(default_factory=dict)

    def place(self, check: CheckResult | None = None) -> tuple[str, int]:
        """Return the file and the line of the budget of a check, else of its target's table, else
        of the model's, else the first.
        """
        if check is None:
            return self.path, 1
        run, target = split_run(check.target, self.runs)
        file = self.runs.get(run, self)
        return file.path, file.line(replace(check, target=target))

    def line(self, check: CheckResult | None = None) -> int:
        """Return the line of :meth:`place` in this file."""
        headers = list(self._headers())
        first = next((number for number, name in headers if name == f"models.{self.model}"), 1)
        if check is not None and check.name.startswith(WAIVER):
            return self._waiver(check.name.removeprefix(WAIVER)) or first
        if check is None or not check.target:
            return first
        ending = rf"targets\.{re.escape(check.target)}($|\.)"
        own = rf"^models\.{re.escape(self.model)}\.{ending}"
        tables = [
            (n, name) for n, name in headers if re.search(rf"^(tool\.edgekit\.)?{ending}", name)
        ]
        tables += [(n, name) for n, name in headers if self.model and re.search(own, name)]
        for number, name in reversed(tables):
            for key in _keys(check):
                if (found := self._key(number, key)) and ("budgets" in name or self._inline(found)):
                    return found
        return tables[-1][0] if tables else first

    def _waiver(self, name: str) -> int | None:
        """Return the line on which a waiver names its check."""
        stated = re.compile(rf"\s*check\s*=\s*[\"']{re.escape(name)}[\"']")
        lines = enumerate(self.text.splitlines(), 1)
        return next((number for number, line in lines if stated.match(line)), None)

    def _headers(self) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(self.text.splitlines(), 1):
            if (match := HEADER.match(line)) is not None:
                yield number, match[1].replace('"', "").replace("'", "")

    def _key(self, header: int, key: str) -> int | None:
        """Return the line in the table that begins at a header on which a key is set."""
        lines = self.text.splitlines()
        for number in range(header + 1, len(lines) + 1):
            text = lines[number - 1].split("#")[0]
            if HEADER.match(text):
                return None
            if re.search(rf"(?<![\w-]){re.escape(key)}\s*[=.]", text):
                return number
        return None

    def _inline(self, number: int) -> bool:
        return "budgets" in self.text.splitlines()[number - 1]


# Checks whose budgets have other keys than their names.
OTHER_KEYS = {
    "multiply-accumulates": "macs",
    "SQNR": "parity",
    "largest error": "parity",
    "NPU share": "npu_share",
    "allowed operators": "operators",
    "speed-up": "latency",
}


def _keys(check: CheckResult) -> Sequence[str]:
    """Return the keys under which a check's budget may stand, the likeliest first."""
    name = check.name.removeprefix("compiled ").removesuffix(" drop")
    plain = name.rpartition(".")[2]
    written = OTHER_KEYS.get(check.name, check.name.replace(" ", "_"))
    figure_of_class = ("classes",) if " of " in check.name else ()
    is_metric = check.name.endswith(" drop") or explanations.of_check(check.name) is None
    of_metric = ("metric",) if is_metric else ()
    return tuple(dict.fromkeys((written, name, plain, *figure_of_class, *of_metric)))


def read(path: Path | None, model: str = "") -> Source:
    """Read the project file; without one the outputs name the usual file, at its first line."""
    if path is None:
        return Source()
    here = Path.cwd()
    full = path.resolve()
    shown = full.relative_to(here) if full.is_relative_to(here) else full
    try:
        return Source(shown.as_posix(), path.read_text(encoding="utf-8"), model)
    except (OSError, ValueError):
        return Source(shown.as_posix())


def read_several(done: CheckedRuns) -> Source:
    """Read the project file of each of several runs."""
    runs = {
        name: read(origin, str(report.model["name"]))
        for name, origin, report in zip(done.names, done.origins, done.reports, strict=True)
    }
    first = next(iter(runs.values()))
    return replace(first, model="", runs=runs)
