"""What a runner is asked: one request, as ``targets/runners/python_runner.py`` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from edgekit.types.quantities import Json, Preprocess

SCHEMA = 1
Mode = Literal["arena", "bench", "evaluate", "load", "memory", "profile", "selftest", "trace"]


@dataclass(frozen=True)
class RunnerModel:
    """One model of a request: where it lies, and where its answers or its ``tensors`` go."""

    id: str
    path: Path
    outputs: Path | None = None
    tensors: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ExpectedOutput:
    """What one output must be, an ``.npy``, within an absolute tolerance."""

    path: Path
    tolerance: float


@dataclass(frozen=True)
class Request:
    """One request to a runner, by the names that the runner reads; None leaves its default.

    ``inputs`` are raw ``.npy`` files by input name, items first; ``index`` is a ``.npy`` of the
    items to take, and ``items`` the ``(start, stop)`` of those. ``states`` are the outputs that
    inputs are fed with, by input. A :class:`Device` says the ``runtime`` where it is empty.
    ``runs`` is for mode ``profile``, ``golden`` for ``selftest``, ``warmup`` and ``stop`` for
    ``bench`` where the runner itself decides how long.
    """

    mode: Mode
    models: tuple[RunnerModel, ...]
    inputs: Mapping[str, Path] = field(default_factory=dict)
    preprocess: Preprocess = field(default_factory=Preprocess)
    runtime: str = ""
    index: Path | None = None
    items: tuple[int, int] | None = None
    signature: str | None = None
    delegate: str | None = None
    threads: int | None = None
    batch: int | None = None
    processes: int | None = None
    core: int | None = None
    arena_bytes: int | None = None
    reset_state: bool = False
    streams: tuple[int, ...] | None = None
    states: Mapping[str, str] | None = None
    runs: int | None = None
    warmup: Mapping[str, float] | None = None
    stop: Mapping[str, float] | None = None
    golden: Mapping[str, ExpectedOutput] | None = None

    def to_json(self) -> dict[str, Json]:
        """Write it as runners read it: paths as text, without what is None."""
        return {"schema": SCHEMA, **_plain(self)}


def _plain(value: Json) -> Json:
    if isinstance(value, Preprocess):
        return value.arithmetic
    if isinstance(value, Request | RunnerModel | ExpectedOutput):
        named = {one.name: getattr(value, one.name) for one in fields(value)}
        return {name: _plain(one) for name, one in named.items() if one not in (None, "")}
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
