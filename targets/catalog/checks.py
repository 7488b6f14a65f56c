"""Whether a TOML file describes a target: every problem with the file, the line and the key."""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import did_you_mean
from edgekit.types.units import parse_size

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = Path(__file__).resolve().with_name("target.schema.json")
# What a pattern of the schema stands for, where its text alone would tell nobody.
MEANT = {
    "name": "small letters, digits and hyphens, such as linux-python",
    "size": "a number and one of B, kB, MB, GB, KiB, MiB, GiB, such as 256 KiB",
    "clock": "a number and MHz or GHz, such as 64 MHz",
    "version": "numbers and dots, such as 2.3.0",
    "python": "the first Python and the one after the last, such as >=3.10,<3.15",
    "versions": "comparisons, such as >=1.4.0,<=2.1.1",
}


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, at which key, and in which line where that is known."""

    file: Path
    key: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line else ""
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}{where}: {key}{self.message}"


def problems(file: Path) -> tuple[Problem, ...]:
    """Return what keeps a file from being a target, in the order of its lines."""
    try:
        text = file.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        return (Problem(file, "", f"it cannot be read: {error.strerror or error}"),)
    except (ValueError, RecursionError) as error:
        found = re.search(r"at line (\d+)", str(error))
        return (Problem(file, "", f"it is not valid TOML: {error}", int(found[1]) if found else 0),)
    return table_problems(file, table, text)


def table_problems(file: Path, table: Mapping[str, Any], text: str = "") -> tuple[Problem, ...]:
    """Return what keeps a table from being a target; ``text`` is what ``file`` holds."""
    wrong = [_problem(file, text, error) for error in _validator().iter_errors(table)]
    if not wrong:
        wrong = list(_contradictions(file, text, table))
    return tuple(sorted(wrong, key=lambda one: (one.line or 0, one.key)))


def table_of(source: Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a target's table, which may be in its file."""
    if isinstance(source, Path):
        return tomllib.loads(source.read_text(encoding="utf-8"))
    return source


@functools.cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a target's file."""
    found: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return found


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())


def _problem(file: Path, text: str, error: Any) -> Problem:
    path = [str(part) for part in error.absolute_path]
    message = _said(error)
    if error.validator == "additionalProperties":
        allowed = sorted(error.schema.get("properties", ()))
        unknown = sorted(set(error.instance) - set(allowed))
        path.append(unknown[0])
        close = did_you_mean(unknown[0], allowed)
        message = f"unknown key{close or ''}; allowed: {', '.join(allowed)}"
    return Problem(file, _key(path), message, line_of(text, path))


def _said(error: Any) -> str:
    """Return what a validation error says, in words that name what is allowed."""
    shown = repr(error.instance)[:80]
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing"
    if error.validator == "enum":
        allowed = [str(one) for one in error.validator_value]
        close = did_you_mean(str(error.instance), allowed)
        return f"{shown} is not allowed{close}; allowed: {', '.join(allowed)}"
    if error.validator == "pattern":
        path = [str(part) for part in error.absolute_path]
        name = next((part for part in reversed(path) if not part.isdigit()), "")
        kind = "size" if "KiB" in error.validator_value else name
        return f"{shown} is not allowed; write {MEANT.get(kind, MEANT['name'])}"
    if error.validator == "type":
        return f"{shown} is not a {error.validator_value}"
    if error.validator == "anyOf":
        return f"{shown} is not a name, nor a list of names; write {MEANT['name']}"
    return str(error.message)[:200]


def _contradictions(file: Path, text: str, table: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what the schema cannot say."""
    seen: set[str] = set()
    for at, row in enumerate(table["runtimes"]):
        if row["name"] in seen:
            path = ["runtimes", str(at), "name"]
            yield Problem(file, _key(path), f"{row['name']!r} is named twice", line_of(text, path))
        seen.add(row["name"])
    memory = {key: parse_size(value) for key, value in table.get("memory", {}).items()}
    for part in ("ram", "flash"):
        whole, share = memory.get(part), memory.get(f"model_{part}")
        if whole is not None and share is not None and share > whole:
            path = ["memory", f"model_{part}"]
            message = f"a model may take more than the {part} there is"
            yield Problem(file, _key(path), message, line_of(text, path))
    known = {*schema()["properties"], *(f"memory.{key}" for key in memory)}
    for name in table.get("sources", {}):
        if name not in known:
            path = ["sources", name]
            close = did_you_mean(name, sorted(known))
            message = f"is the source of no field{close}; fields: {', '.join(sorted(known))}"
            yield Problem(file, _key(path), message, line_of(text, path))


def _key(path: list[str]) -> str:
    """Return a key as it is written: ``runtimes[1].version``."""
    text = ""
    for part in path:
        text += f"[{part}]" if part.isdigit() else f".{part}" if text else part
    return text


def line_of(text: str, path: list[str]) -> int | None:
    """Return the line of a key, or of the table that lacks it; None where it is not seen."""
    names = [part for part in path if not part.isdigit()]
    number = next((int(part) for part in path if part.isdigit()), 0)
    best: int | None = None
    table: list[str] = []
    rows: dict[str, int] = {}
    for at, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[(\[?)([^\]]+)\]", line):
            table = [part.strip().strip('"') for part in header[2].split(".")]
            if header[1]:
                rows[header[2]] = rows.get(header[2], -1) + 1
            here = not header[1] or rows[header[2]] == number
            if here and table == names[: len(table)] and table:
                best = at
        elif key := re.match(r'\s*"?([\w.-]+)"?\s*=', line):
            row = rows.get(".".join(table))
            if [*table, key[1]] == names[: len(table) + 1] and row in (None, number):
                return at
    return best
