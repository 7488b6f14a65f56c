"""``edgekit.toml``: its schema, its defaults, and how it is read."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from edgekit.errors import ProjectError, did_you_mean
from edgekit.project_boxes import BoxesTable
from edgekit.project_compress import CompressTable, switched
from edgekit.project_devices import Devices, DeviceTable
from edgekit.project_table import Table
from edgekit.project_units import MOST_EPOCHS, MOST_ITEMS, Drop, Nanoseconds, Numbers, Size
from edgekit.project_units import TIMES as TIMES
from edgekit.project_units import Share as Share
from edgekit.project_units import parse_drop as parse_drop
from edgekit.project_units import parse_number as parse_number
from edgekit.project_units import parse_numbers as parse_numbers
from edgekit.project_units import parse_size as parse_size
from edgekit.project_units import parse_unit as parse_unit
from edgekit.targets import catalog
from edgekit.types import Preprocess

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "edgekit.toml"
Pixels = Annotated[int, Field(ge=1)]


class ModelTable(Table):
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    source: str
    weights: str | None = None
    signature: str | None = None
    custom_objects: str | None = None
    twins: dict[str, str] = Field(default_factory=dict)
    description: str | None = None
    author: str | None = None
    license: str | None = None


class PreprocessTable(Table):
    scale: Numbers = 1.0
    offset: Numbers = 0.0
    mean: Numbers = 0.0
    std: Numbers = 1.0
    resize: tuple[Pixels, Pixels] | None = None
    crop: Literal["center"] | None = None
    color: Literal["rgb", "bgr", "grayscale"] | None = None
    method: Literal["nearest", "area", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear"
    layout: Literal["nhwc", "nchw"] | None = None

    @model_validator(mode="after")
    def _channels_agree(self) -> PreprocessTable:
        given = {name: getattr(self, name) for name in ("scale", "offset", "mean", "std")}
        lists = {name: value for name, value in given.items() if isinstance(value, tuple)}
        if len({len(value) for value in lists.values()}) > 1:
            counts = ", ".join(f"{name} has {len(value)}" for name, value in lists.items())
            raise ValueError(f"lists hold one number per channel, and these differ: {counts}")
        if self.std == 0 or (isinstance(self.std, tuple) and 0 in self.std):
            raise ValueError("'std' divides, and is 0")
        return self

    def spec(self) -> Preprocess:
        """The spec, where ``(x · scale + offset - mean) / std`` is one scale and one offset."""
        given = self.model_dump(exclude={"mean", "std"})
        parts = (self.scale, self.offset, self.mean, self.std)
        count = max(len(one) if isinstance(one, tuple) else 1 for one in parts)
        rows = zip(
            *(one if isinstance(one, tuple) else (one,) * count for one in parts), strict=True
        )
        made = [(scale / std, (offset - mean) / std) for scale, offset, mean, std in rows]
        scales, offsets = zip(*made, strict=True)
        if not any(isinstance(one, tuple) for one in parts):
            (scales,), (offsets,) = scales, offsets
        return Preprocess(**{**given, "scale": scales, "offset": offsets})


class RepresentativeTable(Table):
    from_: str = Field(alias="from")
    samples: int = Field(default=200, ge=2)


class DataTable(Table):
    train: str | None = None
    evaluate: str | None = None
    representative: RepresentativeTable | None = None
    preprocess: PreprocessTable = PreprocessTable()
    labels: tuple[str, ...] | str | None = None
    label_column: str | None = None
    annotations: str | None = None


class TrainTable(Table):
    epochs: int = Field(default=10, ge=1, le=MOST_EPOCHS, strict=True)
    batch_size: int = Field(default=64, ge=1, le=MOST_ITEMS, strict=True)
    seed: int = Field(default=0, ge=0)


class RecoverTable(Table):
    evaluations: int = Field(default=24, ge=1)


class MixedTable(Table):
    """One rule of a recipe; of the rules that fit an operator the last decides."""

    precision: str
    operator: str = ""
    name: str = ""


class ConvertTable(Table):
    precisions: tuple[str, ...] = Field(
        default=("float32", "float16", "dynamic", "int8"), min_length=1
    )
    unroll: bool = False
    recover: Annotated[RecoverTable | None, BeforeValidator(switched)] = None
    metadata: bool = False
    mixed: tuple[MixedTable, ...] = ()
    flex: bool = False
    custom_operators: tuple[str, ...] = ()


class OutputTable(Table):
    """How one output is judged; ``labels`` names its array, by default called like the output."""

    task: str | None = None
    metric: str | None = None
    postprocess: str | None = None
    labels: str | None = None


class EvaluateTable(Table):
    task: str | None = None
    metric: str | None = None
    output: str | None = None
    postprocess: str | None = None
    slices: tuple[str, ...] = ()
    group: str | None = None
    stream: bool | str = False
    outputs: dict[str, OutputTable] = Field(default_factory=dict)
    boxes: BoxesTable = BoxesTable()


class LimitsTable(Table):
    seconds: float | None = Field(default=None, gt=0)
    memory: Size | None = None


class Goal(Table):
    """What a metric must reach, by itself (``threshold``) or against the reference."""

    threshold: Drop | None = None
    max_degradation: Drop | None = None
    percent_max_degradation: float | None = None
    min_improvement: Drop | None = None


class LatencyGoal(Table):
    percent_max_degradation: float = Field(ge=0)


class Budgets(Table):
    size: Size | None = None
    accuracy: Goal | None = None
    metric: Goal | None = None
    latency_p50: Nanoseconds | None = None
    latency_p95: Nanoseconds | None = None
    latency: LatencyGoal | None = None
    arena: Size | None = None
    outputs: dict[str, Goal] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_one_goal(self) -> Budgets:
        if self.accuracy is not None and self.metric is not None:
            raise ValueError("accuracy and metric are one budget: state one of the two")
        return self

    @property
    def goal(self) -> Goal | None:
        """What the run's metric must reach; ``accuracy`` and ``metric`` are one budget."""
        return self.accuracy or self.metric


class TargetTable(Table):
    precision: str | None = None
    device: str | None = None
    any_device: bool = False
    budgets: Budgets = Budgets()


class Project(Table):
    """A project: what ``edgekit.toml`` says, with defaults for what it does not.

    Relative paths in it count from ``root``.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    model: ModelTable
    data: DataTable = DataTable()
    train: TrainTable = TrainTable()
    compress: CompressTable = CompressTable()
    convert: ConvertTable = ConvertTable()
    evaluate: EvaluateTable = EvaluateTable()
    limits: LimitsTable = LimitsTable()
    targets: dict[str, TargetTable] = Field(default_factory=dict)
    devices: Devices = Field(default_factory=dict)
    _root: Path = PrivateAttr(default_factory=Path.cwd)
    _origin: Path | None = PrivateAttr(default=None)

    @field_validator("targets")
    @classmethod
    def _targets_are_known(cls, tables: dict[str, TargetTable]) -> dict[str, TargetTable]:
        for name in tables:
            if name not in catalog.names():
                raise ValueError(f"unknown target {name!r}{did_you_mean(name, catalog.names())}")
        return tables

    @classmethod
    def load(cls, path: str | Path = FILE) -> Project:
        """Read a project file (``edgekit.toml``, or ``[tool.edgekit]`` of a ``pyproject.toml``).

        Raises :class:`ProjectError` where it is missing, is no TOML, or has a wrong key or value.
        """
        file = Path(path)
        if not file.is_file():
            hint = "make one with `edgekit init`, or: edgekit convert MODEL --data FILE.npz"
            raise ProjectError("EK-PROJECT-001", f"there is no project file {file}", hint)
        try:
            text = file.read_text(encoding="utf-8")
            table = tomllib.loads(text)
        # ValueError: no TOML, no text, or an integer of thousands of digits.
        except (ValueError, RecursionError) as error:
            why = "it is nested too deeply" if isinstance(error, RecursionError) else error
            raise ProjectError("EK-PROJECT-002", f"{file} is not valid TOML: {why}") from error
        if file.name == "pyproject.toml":
            table = table.get("tool", {}).get("edgekit", {})
        return cls.parse(table, file.resolve().parent, file, text)

    @classmethod
    def parse(
        cls, table: dict[str, Any], root: Path, origin: Path | None = None, text: str = ""
    ) -> Project:
        """A project from a table such as the file holds. Raises :class:`ProjectError`."""
        try:
            project = cls.model_validate(table)
        except ValidationError as error:
            raise explain(error, origin, text) from error
        project._root, project._origin = root, origin
        return project

    @property
    def root(self) -> Path:
        return self._root

    @property
    def origin(self) -> Path | None:
        """The file it was read from, if any."""
        return self._origin

    def unknown(self, what: str, name: str, known: Iterable[str]) -> ProjectError:
        """The error for a name that is not in a table of ours, with its line in the file."""
        where = ""
        if self._origin:
            where = _place(self._origin, self._origin.read_text(encoding="utf-8"), name)
        known = sorted(known)
        hint = f"known: {', '.join(known)}"
        message = f"{where}unknown {what} {name!r}{did_you_mean(name, known)}"
        return ProjectError("EK-PROJECT-004", message, hint)


def _place(origin: Path, text: str, word: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", line.split("#")[0]):
            return f"{origin.name}, line {number}: "
    return f"{origin.name}: "


def explain(error: ValidationError, origin: Path | None, text: str) -> ProjectError:
    """What pydantic found wrong in a file of these tables, with the line and a did-you-mean."""
    lines = []
    for detail in error.errors():
        path = [str(part) for part in detail["loc"]]
        where = _place(origin, text, path[-1] if path else "") if origin else ""
        name = ".".join(path)
        if detail["type"] == "extra_forbidden":
            known = _fields(path[:-1])
            lines.append(f"{where}unknown key {name!r}{did_you_mean(path[-1], known)}")
        else:
            said = detail["msg"].removeprefix("Value error, ")
            if origin and (quoted := re.search(r"'([^']+)'", said)) and quoted[1] in text:
                where = _place(origin, text, quoted[1])
            lines.append(f"{where}{name}: {said}")
    return ProjectError("EK-PROJECT-003", lines[0], "\n".join(lines[1:]))


# Tables whose keys are names of the user's.
NAMED: dict[str, type[Table]] = {"targets": TargetTable, "devices": DeviceTable}


def _fields(path: list[str]) -> list[str]:
    """The keys that the table at ``path`` may have."""
    table: Any = Project
    named: Any = None
    for part in path:
        if table is Project and part in NAMED:
            table, named = dict, NAMED[part]
        elif table is dict:
            table = named
        else:
            field = next((f for n, f in table.model_fields.items() if part in (n, f.alias)), None)
            options = getattr(field.annotation, "__args__", (field.annotation,)) if field else ()
            table = next(
                (o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), Table
            )
    if table is dict:
        return list(catalog.names())
    return [field.alias or name for name, field in table.model_fields.items()]
