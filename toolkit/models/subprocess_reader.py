"""Read model files in a subprocess, so that a crash or hang of a parser ends only that."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from edgekit.errors import ModelError
from edgekit.isolated import ParserFailure, call_confined
from edgekit.models import files
from edgekit.models.files import ModelContent
from edgekit.sandbox import Sandbox

Kind = Literal["keras", "h5", "json"]


def read(path: Path, kind: Kind) -> ModelContent:
    """Read a model file's configuration, as :func:`edgekit.models.files.read` does.

    Raises :class:`ModelError` also where the parser crashed, or took longer than a minute.
    """
    sandbox = Sandbox((path.absolute(),))
    config, generation, links = call_confined(sandbox, refusal(path), contents, path, kind)
    return ModelContent(config, generation, tuple(links))


def links(path: Path) -> tuple[str, ...]:
    """Find what a weights file reads from other files, as :func:`edgekit.models.files.links`
    does.
    """
    return tuple(call_confined(Sandbox((path.absolute(),)), refusal(path), files.links, path))


def refusal(path: Path) -> ParserFailure:
    """Build the refusal of a model file whose parser crashed or hung."""
    hint = "it is damaged, or made to do so: save the model again"
    return ParserFailure(ModelError, "EK-MODEL-003", str(path), hint=hint)


def contents(path: Path, kind: Kind) -> list[Any]:
    """Read a model file's configuration. Runs in the subprocess."""
    found = files.read(path, kind)
    return [found.config, found.generation, found.links]
