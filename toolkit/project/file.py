"""``edgekit.toml``: how it is read, and its errors."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
)

from edgekit import nearby
from edgekit.errors import ProjectError, did_you_mean
from edgekit.project.budgets import CandidateTable
from edgekit.project.compress import CompressTable
from edgekit.project.containers import ContainersTable
from edgekit.project.devices import Devices, DeviceTable
from edgekit.project.models import several, tables_of
from edgekit.project.own_targets import with_ids
from edgekit.project.ratchet import LockTable, WaiverTable
from edgekit.project.record import RecordTable
from edgekit.project.table import Table
from edgekit.project.tables import (
    BundleTable,
    ConvertTable,
    DataTable,
    EvaluateTable,
    LimitsTable,
    ModelTable,
    TargetTable,
)
from edgekit.project.train import TrainTable
from edgekit.targets import catalog

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "edgekit.toml"


class Project(Table):
    """A project: what ``edgekit.toml`` says, with defaults for what it does not.

    Relative paths in it count from ``root``.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    """The version of this format. ``schema = 1``"""
    model: ModelTable
    """The model. ``model = { source = "model.keras" }``"""
    data: DataTable = Field(default_factory=DataTable)
    """Data, and what is done to it. ``data = { evaluate = "test.npz" }``"""
    train: TrainTable = Field(default_factory=TrainTable)
    """How a model of your own function is trained. ``train = { epochs = 10 }``"""
    compress: CompressTable = Field(default_factory=CompressTable)
    """How the model is made smaller before it is converted.

    ``compress = { prune = { sparsity = 0.5 } }``
    """
    convert: ConvertTable = Field(default_factory=ConvertTable)
    """What is made of the model. ``convert = { precisions = ["int8"] }``"""
    evaluate: EvaluateTable = Field(default_factory=EvaluateTable)
    """How a model is judged. ``evaluate = { metric = "accuracy" }``"""
    bundle: BundleTable = Field(default_factory=BundleTable)
    """What bundles hold besides the model. ``bundle = { licence = "Apache-2.0" }``"""
    limits: LimitsTable = Field(default_factory=LimitsTable)
    """What a process may take before it is ended. ``limits = { seconds = 600 }``"""
    targets: dict[str, TargetTable] = Field(default_factory=dict)
    """What is shipped to, by an id or alias of the catalog.

    ``targets = { raspberry-pi-4 = { precision = "int8" } }``
    """
    candidates: dict[str, CandidateTable] = Field(default_factory=dict)
    """What a candidate is held to, by its id.

    ``candidates = { int8 = { budgets = { size = "150 kB" } } }``
    """
    devices: Devices = Field(default_factory=dict)
    """Devices and groups of devices under names of yours.

    ``devices = { pi4 = { address = "ssh://pi@raspberrypi.local" } }``
    """
    lock: LockTable = Field(default_factory=LockTable)
    """How much worse than edgekit.lock a run may be. ``lock = { size_tolerance = "1%" }``"""
    waiver: tuple[WaiverTable, ...] = ()
    """Red checks that are accepted for a time.

    ``waiver = [{ check = "size", reason = "shrunk in the next release", expires = 2027-01-31 }]``
    """
    containers: ContainersTable = Field(default_factory=ContainersTable)
    """How it is served on Kubernetes. ``containers = { image = "registry.example/digits:1" }``"""
    record: RecordTable = Field(default_factory=RecordTable)
    """Where runs and versions are recorded besides registry/. ``record = { mlflow = true }``"""
    _root: Path = PrivateAttr(default_factory=Path.cwd)
    _origin: Path | None = PrivateAttr(default=None)
    _table: dict[str, Any] = PrivateAttr(default_factory=dict)
    _models: tuple[str, ...] = PrivateAttr(default=())

    @field_validator("targets")
    @classmethod
    def _targets_are_known(cls, tables: dict[str, TargetTable]) -> dict[str, TargetTable]:
        for name in tables:
            if name not in catalog.names():
                close = did_you_mean(name, catalog.spoken())
                known = ", ".join(catalog.names())
                raise ValueError(f"unknown target {name!r}{close}\nknown: {known}")
        return tables

    @classmethod
    def load(cls, path: str | Path = FILE, model: str | None = None) -> Project:
        """Read a project file (``edgekit.toml``, or ``[tool.edgekit]`` of a ``pyproject.toml``).

        ``model`` picks one of its ``[models]``. Raises :class:`ProjectError` where the file is
        missing, is not TOML, has a wrong key or value, or several models and none is picked.
        """
        projects = cls.load_all(path, () if model is None else (model,))
        if len(projects) > 1:
            raise several(Path(path).name, projects[0].models)
        return projects[0]

    @classmethod
    def load_all(cls, path: str | Path = FILE, names: Sequence[str] = ()) -> tuple[Project, ...]:
        """Read the project of each of a file's ``[models]``, or of those that are named.

        Without ``[models]`` there is one. Raises :class:`ProjectError` as :meth:`load` does.
        """
        file = Path(path)
        table, text = _read(file)
        root, tables = file.resolve().parent, tables_of(table)
        if not tables:
            project = cls.parse(table, root, file, text)
            _check_known(file, names, filter(None, (project.model.name,)))
            return (project,)
        _check_known(file, names, tables)
        picked = {n: one for n, one in tables.items() if not names or n in names}
        projects = tuple(cls.parse(one, root, file, text, model=n) for n, one in picked.items())
        for project in projects:
            project._models = tuple(tables)
        return projects

    @classmethod
    def parse(
        cls,
        table: dict[str, Any],
        root: Path,
        origin: Path | None = None,
        text: str | None = None,
        context: str | None = None,
        model: str = "",
    ) -> Project:
        """Read a project from a table such as the file holds, or such as edgekit wrote.

        ``context`` is ``WRITTEN`` for the latter, ``model`` the key of ``[models]`` that the table
        is of. Raises :class:`ProjectError`, with the line of
        ``origin`` that is to blame where ``text`` is what that file holds.
        """
        table = with_ids(table, root)
        try:
            project = cls.model_validate(table, context=context)
        except ValidationError as error:
            raise explain(error, None if text is None else origin, text or "", model) from error
        project._root, project._origin, project._table = root, origin, table
        return project

    def with_table(self, table: dict[str, Any]) -> Project:
        """Return the project of another table, which options were laid over."""
        # The file was read already: what is wrong now, an option said.
        project = self.parse(table, self._root, self._origin)
        project._models = self._models
        return project

    @property
    def table(self) -> dict[str, Any]:
        """A copy of the table that it was read from, to lay options over."""
        return copy.deepcopy(self._table)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of ``[models]`` in the file that it was read from; empty where it has none."""
        return self._models

    @property
    def root(self) -> Path:
        return self._root

    @property
    def origin(self) -> Path | None:
        """The file it was read from, if any."""
        return self._origin

    def unknown(
        self, noun: str, name: str, known: Iterable[str], aliases: Iterable[str] = ()
    ) -> ProjectError:
        """Return the error for a name that is not in a table of ours, with its line in the file.

        ``aliases`` may be what was meant, and are too many to list.
        """
        where = ""
        if self._origin:
            place = _place(self._origin, self._origin.read_text(encoding="utf-8"), name)
            # What the file does not hold was said by an option.
            where = place if ", line " in place else ""
        known = sorted(known)
        hint = f"known: {', '.join(known)}"
        message = f"{where}unknown {noun} {name!r}{did_you_mean(name, [*known, *aliases])}"
        return ProjectError("EK-PROJECT-004", message, hint)


def _read(file: Path) -> tuple[dict[str, Any], str]:
    """Return the table that a project file holds, and its text. Raises :class:`ProjectError`."""
    if not file.is_file():
        hint = "make one with `edgekit init`, or: edgekit convert MODEL --data FILE.npz"
        raise ProjectError(
            "EK-PROJECT-001", f"there is no project file {file}", nearby.hint(file, hint)
        )
    try:
        text = file.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    # ValueError: no TOML, no text, or an integer of thousands of digits.
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ProjectError("EK-PROJECT-002", f"{file} is not valid TOML: {why}") from error
    if file.name == "pyproject.toml":
        table = table.get("tool", {}).get("edgekit", {})
    return table, text


def _check_known(file: Path, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise :class:`ProjectError` for a name that is not one of a file's models."""
    known = list(known)
    for name in names:
        if name not in known:
            message = f"{file.name} has no model {name!r}{did_you_mean(name, known)}"
            hint = f"it has {', '.join(known) or 'one model, which it does not name'}"
            raise ProjectError("EK-PROJECT-004", message, hint)


def _place(origin: Path, text: str, word: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", line.split("#")[0]):
            return f"{origin.name}, line {number}: "
    return f"{origin.name}: "


def explain(
    error: ValidationError, origin: Path | None, text: str, model: str = ""
) -> ProjectError:
    """Return pydantic's findings as an error with line numbers and did-you-mean.

    ``model`` is the key of ``[models]`` whose table it is, where it is one of several.
    """
    lines = []
    for detail in error.errors():
        path = [str(part) for part in detail["loc"]]
        known = _fields(path[:-1]) if detail["type"] == "extra_forbidden" else []
        if model and path[:1] == ["model"]:
            path[:1] = ["models", model]
        # What is missing has no line: its table has.
        at = path[-2:-1] if detail["type"] == "missing" else path[-1:]
        where = _place(origin, text, at[0] if at else "") if origin else ""
        name = ".".join(path)
        if detail["type"] == "extra_forbidden":
            lines.append(f"{where}unknown key {name!r}{did_you_mean(path[-1], known)}")
            lines.append(f"known: {', '.join(sorted(known))}")
        else:
            reason = detail["msg"].removeprefix("Value error, ")
            if origin and (quoted := re.search(r"'([^']+)'", reason)) and quoted[1] in text:
                where = _place(origin, text, quoted[1])
            lines += f"{where}{name}: {reason}".splitlines()
    return ProjectError("EK-PROJECT-003", lines[0], "\n".join(lines[1:]))


# Tables whose keys are names of the user's.
NAMED: dict[str, type[Table]] = {
    "targets": TargetTable,
    "candidates": CandidateTable,
    "devices": DeviceTable,
}


def _fields(path: list[str]) -> list[str]:
    """Return the keys that the table at ``path`` may have."""
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
            inner = next(
                (o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), Table
            )
            by_name = field is not None and get_origin(field.annotation) is dict
            table, named = (dict, inner) if by_name else (inner, named)
    if table is dict:
        return list(catalog.names())
    return [field.alias or name for name, field in table.model_fields.items()]
