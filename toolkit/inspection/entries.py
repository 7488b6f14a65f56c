"""What is wrong with a target's TOML file: by its schema, and by the names that it uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from edgekit.converters.micro import edge_tpu, vela
from edgekit.converters.precisions import PRECISIONS
from edgekit.errors import did_you_mean
from edgekit.targets import catalog
from edgekit.targets.catalog import Target, checks
from edgekit.targets.catalog.checks import Problem
from edgekit.targets.catalog.parsing import read

COMPILERS = (vela.PACKAGE, edge_tpu.COMMAND)


def problems(file: Path) -> tuple[Problem, ...]:
    """Return what keeps a TOML file from being a target of the catalog.

    Bundles and runtimes are not looked up: a package may bring them, and what has no runner here is
    unavailable, not wrong.
    """
    found = checks.problems(file)
    if found:
        return found
    text = file.read_text(encoding="utf-8")
    return tuple(
        Problem(file, key, message, checks.line_of(text, key.split(".")))
        for key, message in _unknown(file.stem, read(file.stem, file), file)
    )


def _unknown(name: str, target: Target, file: Path) -> Iterator[tuple[str, str]]:
    """Yield names that no table of edgekit has, by the key that says them."""
    for key, values in (
        ("precisions", target.precisions),
        ("conversion.refuses", tuple(target.conversion.refuses)),
        ("conversion.only", target.conversion.only),
    ):
        for value in values:
            if value not in PRECISIONS:
                close = did_you_mean(value, PRECISIONS)
                yield key, f"unknown precision {value!r}{close}; known: {', '.join(PRECISIONS)}"
    if target.npu is not None:
        yield from _npu(target.npu)
    if not re.fullmatch(catalog.NAME, name):
        yield "", f"its name {name!r} is not a target's: small letters, digits and hyphens"
    if file.parent.resolve() == catalog.FOLDER:
        return
    for key, value in (("", name), *(("aliases", alias) for alias in target.aliases)):
        known = catalog.own_id(value)
        if known in catalog.SHIPPED:
            yield key, f"{value!r} is a name of edgekit's {known}: choose another one"


def _npu(npu: catalog.Npu) -> Iterator[tuple[str, str]]:
    if npu.compiler not in COMPILERS:
        close = did_you_mean(npu.compiler, COMPILERS)
        yield (
            "npu.compiler",
            f"edgekit has no compiler {npu.compiler!r}{close}; it has {', '.join(COMPILERS)}",
        )
    elif npu.compiler == vela.PACKAGE and npu.accelerator not in vela.ACCELERATORS:
        close = did_you_mean(npu.accelerator, vela.ACCELERATORS)
        known = ", ".join(vela.ACCELERATORS)
        yield "npu.accelerator", f"vela has no {npu.accelerator!r}{close}; it has {known}"
