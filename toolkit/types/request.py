"""What a runner is asked and answers, as ``targets/runners/python_runner.py`` has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from edgekit.types.quantities import Preprocess

SCHEMA = 1
Mode = Literal[
    "answer", "arena", "bench", "evaluate", "load", "memory", "profile", "selftest", "trace"
]  # fmt: skip
# A number, or what the runner finds best.
Chosen = int | Literal["auto"]


@dataclass(frozen=True)
class RunnerModel:
    """One model of a request: where it lies, and where its answers or its ``tensors`` go."""

    id: str
    path: Path
    outputs: Path | None = None
    tensors: tuple[int, ...] | None = None

    def answers_folder(self) -> Path:
        """Return where its answers go. Raises ``ValueError`` where the request does not say it."""
        if self.outputs is None:
            raise ValueError(f"{self.id} has no folder for its outputs")
        return self.outputs


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
    ``block`` is how many items lie between two records of progress. ``runs`` is for mode
    ``profile``, ``golden`` for ``selftest``, ``warmup`` and ``stop`` for ``bench`` where the
    runner itself decides how long.
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
    threads: Chosen | None = None
    batch: Chosen | None = None
    processes: Chosen | None = None
    block: int | None = None
    core: int | None = None
    arena_bytes: int | None = None
    reset_state: bool = False
    streams: tuple[int, ...] | None = None
    states: Mapping[str, str] | None = None
    runs: int | None = None
    warmup: Mapping[str, float] | None = None
    stop: Mapping[str, float] | None = None
    golden: Mapping[str, ExpectedOutput] | None = None

    def files(self) -> tuple[Path, ...]:
        """Return every file that it reads, wherever a field names one."""
        return tuple(_files(self))

    def elsewhere(self, there: Mapping[Path, Path]) -> Request:
        """Return the same request where files lie at other paths; what is not named stays."""
        moved: Request = _moved(self, there)
        return moved

    def to_json(self) -> dict[str, Any]:
        """Write it as runners read it: paths as text, without what is None."""
        return {"schema": SCHEMA, **_plain(self)}


def _files(value: object) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _files(one)
    elif isinstance(value, tuple):
        for one in value:
            yield from _files(one)
    elif isinstance(value, Request | RunnerModel | ExpectedOutput):
        for named in fields(value):
            if named.name != "outputs":
                yield from _files(getattr(value, named.name))


def _moved(value: Any, there: Mapping[Path, Path]) -> Any:
    if isinstance(value, Path):
        return there.get(value, value)
    if isinstance(value, Mapping):
        return {name: _moved(one, there) for name, one in value.items()}
    if isinstance(value, tuple):
        return tuple(_moved(one, there) for one in value)
    if isinstance(value, Request | RunnerModel | ExpectedOutput):
        named = {one.name: getattr(value, one.name) for one in fields(value)}
        return replace(value, **{name: _moved(one, there) for name, one in named.items()})
    return value


def _plain(value: object) -> Any:
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


class ModelResult(TypedDict, total=False):
    """What a runner says of one model; which of it, its mode decides.

    Times are nanoseconds where their name says so, else seconds, and ``us`` and ``invoke_us``
    microseconds. ``memory`` is in bytes, ``None`` where it is not told.
    """

    load_ns: float
    first_ns: float
    memory: Mapping[str, int | None]
    batch: int
    threads: int
    processes: int
    block: int
    items: int
    seconds: float
    restarts: int
    # bench; of the platform's own benchmark_model, sums and all that it printed
    blocks_ns: list[list[int]]
    warmup: Mapping[str, Any]
    steady: Mapping[str, Any]
    peak_bytes: float | None
    printed: str
    # selftest
    passed: bool
    differences: Mapping[str, float]
    # load
    allocated: bool
    ran: bool
    problem: str
    # memory, arena
    activation_bytes: int
    arena_bytes: int
    recorded_bytes: int
    margin: float
    recorded: Mapping[str, Any]
    # trace, profile
    written: list[int]
    missing: Mapping[str, str]
    alike: bool
    difference: float
    events: list[Mapping[str, Any]]
    invoke_us: list[int]


class _Result(TypedDict):
    runtime: str
    version: str
    models: dict[str, ModelResult]


class RunnerResult(_Result, total=False):
    """What a runner answers to a request, by the names that it writes."""

    schema: int
    delegate: str
    threads: int
    device: Mapping[str, Any]
    link: Mapping[str, int]
