"""Targets that a project brings along, and the names by which it calls those of the catalog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgekit.errors import ProjectError
from edgekit.targets import catalog
from edgekit.targets.catalog import checks

FOLDER = "targets"
HINT = "edgekit targets validate FILE checks it; docs/targets.md has an example"


def with_ids(table: dict[str, Any], root: Path) -> dict[str, Any]:
    """Return a project's table with its targets under their ids, own ones added to the catalog.

    Own ones are ``file = "my.toml"`` in ``[targets.NAME]``, and the TOML files of the folder
    ``targets/`` beside the project file. Raises :class:`ProjectError` where such a file is wrong
    and named, where its name is edgekit's, or where one target is named twice.
    """
    tables = table.get("targets", {})
    if not isinstance(tables, dict):
        tables = {}
    add_folder(root, tables)
    for name, one in tables.items():
        file = one.get("file") if isinstance(one, dict) else None
        if isinstance(file, str):
            _add(name, root / file, checks.problems(root / file))
    called: dict[str, str] = {}
    for name in tables:
        other = called.setdefault(catalog.own_id(name), name)
        if other != name:
            message = f"[targets.{other}] and [targets.{name}] are one target"
            raise ProjectError("EK-PROJECT-071", message, f"keep one: {catalog.own_id(name)}")
    if list(called) == list(tables):
        return table
    return {**table, "targets": {known: tables[name] for known, name in called.items()}}


def add_folder(root: Path, named: Mapping[str, Any]) -> tuple[checks.Problem, ...]:
    """Add the TOML files of a project's folder ``targets/``; return what is wrong with them.

    Raises :class:`ProjectError` where one that is named is wrong, or has a name of edgekit's.
    """
    wrong: list[checks.Problem] = []
    for file in files(root):
        problems = checks.problems(file)
        if problems and file.stem not in named:
            wrong += problems
            continue
        _add(file.stem, file, problems)
    return tuple(wrong)


def add_of(file: Path) -> tuple[checks.Problem, ...]:
    """Add the targets of a project file and of its folder; return what is wrong with the latter.

    The rest of the file is not read. Raises :class:`ProjectError` as :func:`with_ids` does.
    """
    table: Any = {}
    if file.is_file():
        try:
            table = checks.table_of(file)
        # Another command says what is wrong with it.
        except (ValueError, RecursionError):
            table = {}
    if file.name == "pyproject.toml":
        table = table.get("tool", {}).get("edgekit", {})
    root = file.resolve().parent
    of_models = table.get("models", {})
    for one in (table, *(of_models.values() if isinstance(of_models, dict) else ())):
        if isinstance(one, dict):
            with_ids(one, root)
    return add_folder(root, table.get("targets", {}))


def files(root: Path) -> Iterator[Path]:
    """Yield the files of a project's folder ``targets/``, in the order of their names."""
    yield from sorted((root / FOLDER).glob("*.toml"))


def add_written(tables: Mapping[str, Any]) -> None:
    """Add targets that a report holds, where this process has none of the name.

    Raises :class:`ProjectError` where one is wrong.
    """
    for name, table in tables.items():
        if name in catalog.names():
            continue
        _add(name, table, checks.table_problems(Path("report.json"), table))


def written(names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of the targets that are a project's own, as a report holds them."""
    return {
        name: dict(table)
        for name in names
        if catalog.is_own(name) and isinstance(table := catalog.FILES[name], Mapping)
    }


def _add(name: str, source: Path | Mapping[str, Any], problems: tuple[checks.Problem, ...]) -> None:
    if problems:
        more = "\n".join([*(str(one) for one in problems[1:]), HINT])
        raise ProjectError("EK-PROJECT-070", f"target {name!r}: {problems[0]}", more)
    try:
        catalog.add(name, checks.table_of(source))
    except ValueError as error:
        where = source if isinstance(source, Path) else "the report"
        raise ProjectError("EK-PROJECT-071", f"{where}: {error}", HINT) from error
