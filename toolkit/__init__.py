"""edgekit: get a Keras model onto a phone, a single-board computer or a microcontroller, proven.

>>> from edgekit import Project, convert
>>> report = convert(Project.load("edgekit.toml"))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from edgekit.api import BenchOptions as BenchOptions
    from edgekit.api import Options as Options
    from edgekit.api import bench as bench
    from edgekit.api import check as check
    from edgekit.api import compare as compare
    from edgekit.api import compress as compress
    from edgekit.api import convert as convert
    from edgekit.api import evaluate as evaluate
    from edgekit.api import export as export
    from edgekit.api import init as init
    from edgekit.api import inspect as inspect
    from edgekit.api import lint_data as lint_data
    from edgekit.api import train as train
    from edgekit.api import verify as verify
    from edgekit.errors import EdgekitError as EdgekitError
    from edgekit.project import Project as Project
    from edgekit.types import Report as Report

# Imported when first used: `edgekit --help` pays for none of it.
_PUBLIC = {
    "bench": "edgekit.api",
    "check": "edgekit.api",
    "compare": "edgekit.api",
    "compress": "edgekit.api",
    "convert": "edgekit.api",
    "evaluate": "edgekit.api",
    "export": "edgekit.api",
    "init": "edgekit.api",
    "inspect": "edgekit.api",
    "lint_data": "edgekit.api",
    "train": "edgekit.api",
    "verify": "edgekit.api",
    "BenchOptions": "edgekit.api",
    "Options": "edgekit.api",
    "EdgekitError": "edgekit.errors",
    "Project": "edgekit.project",
    "Report": "edgekit.types",
}

__all__ = [
    "BenchOptions",
    "EdgekitError",
    "Options",
    "Project",
    "Report",
    "bench",
    "check",
    "compare",
    "compress",
    "convert",
    "evaluate",
    "export",
    "init",
    "inspect",
    "lint_data",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
