"""Model files read in a process of their own: a parser that crashes or hangs on one ends that."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from edgekit.apart import Refusal, shut_in
from edgekit.errors import ModelError
from edgekit.models import files
from edgekit.models.files import ModelContent
from edgekit.walls import Walls

Kind = Literal["keras", "h5", "json"]


def read(path: Path, kind: Kind) -> ModelContent:
    """Return what a model file says of itself, as :func:`edgekit.models.files.read` has it.

    Raises :class:`ModelError` also where the parser crashed, or took longer than a minute.
    """
    walls = Walls((path.absolute(),))
    config, generation, links = shut_in(walls, refusal(path), contents, path, kind)
    return ModelContent(config, generation, tuple(links))


def links(path: Path) -> tuple[str, ...]:
    """Return what a file of weights reads from other files, as
    :func:`edgekit.models.files.links`.
    """
    return tuple(shut_in(Walls((path.absolute(),)), refusal(path), files.links, path))


def refusal(path: Path) -> Refusal:
    """Tell how a model file is refused whose parser does not come back."""
    hint = "it is damaged, or made to do so: save the model again"
    return Refusal(ModelError, "EK-MODEL-003", str(path), hint=hint)


def contents(path: Path, kind: Kind) -> list[Any]:
    """Return what a model file says of itself. In the process of its own."""
    found = files.read(path, kind)
    return [found.config, found.generation, found.links]
