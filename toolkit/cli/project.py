"""The project that a command works on: its file, with the options laid over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgekit.cli.device_tables import read_device_tables
from edgekit.targets import catalog

# A longer text is not the name of a file.
LONGEST_NAME = 200


def project_of(options: dict[str, Any]) -> Any:
    """Return the project file with the options laid over it, or a project around a model.

    Devices that ``--device`` names may be those of this folder's project file in either case. Of
    several ``[models]`` --model picks one.
    """
    projects = projects_of(options)
    if len(projects) > 1:
        from edgekit.project.models import several

        raise several(projects[0].origin.name, tuple(one.model.name for one in projects))
    return projects[0]


def model_or_projects(names: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with what was named: one model, or the files of one or several projects.

    A project is named by its file or by its folder. Raises :class:`click.UsageError` where one of
    several is neither.
    """
    files = {name: _project_file(name) for name in names}
    project_files = {file.resolve(): file for file in files.values() if file is not None}
    if not project_files and len(files) < 2:
        return {**options, "model": next(iter(files), None), "projects": ()}
    if wrong := [name for name, file in files.items() if file is None]:
        from edgekit.project import FILE

        message = f"{wrong[0]!r} is neither a project file nor a folder with an {FILE}"
        raise click.UsageError(f"{message}; one MODEL is converted at a time, or several projects")
    if options["project_file"]:
        raise click.UsageError("--project is one project, and others are named: name that one too")
    if len(names) > len(project_files):
        click.echo("a project that is named twice is converted once", err=True)
    (first, *others) = project_files.values()
    if not others:
        return {**options, "model": None, "project_file": first, "projects": ()}
    return {**options, "model": None, "projects": (first, *others)}


def _project_file(name: str) -> Path | None:
    """Return the project file that a name means; None where it means a model."""
    from edgekit.project import FILE

    path = Path(name)
    if path.suffix == ".toml":
        return path
    # A SavedModel is a folder as well.
    is_project = (path / FILE).is_file() and not (path / "saved_model.pb").is_file()
    return path / FILE if is_project else None


def places_of(projects: tuple[Any, ...], output: Path | None) -> list[Path]:
    """Return where several projects are, as they were named.

    Raises :class:`click.UsageError` where two of them would write into one folder.
    """
    from edgekit.project import FILE

    written: dict[tuple[Path, str], Path] = {}
    places = []
    for project in projects:
        file = project.origin
        places.append(file.parent if file.name == FILE else file)
        root = (output or project.root).resolve()
        other = written.setdefault((root, project.model.name.casefold()), file)
        if other is not file:
            folder = root / "build" / project.model.name
            hint = "give one another name, or convert it by itself with another --output"
            raise click.UsageError(f"{other} and {file} would write into {folder}: {hint}")
    return places


def projects_of(options: dict[str, Any]) -> tuple[Any, ...]:
    """Return what :func:`project_of` does, for each of several projects that are named, and for
    each of a file's ``[models]`` where it has any.
    """
    from edgekit.project import FILE, Project

    file, models = options["project_file"], options.get("model_names") or ()
    if files := options.get("projects"):
        bases = tuple(one for each in files for one in Project.load_all(each, models))
    elif options["model"] is None or file is not None:
        bases = Project.load_all(file or FILE, models)
    elif models:
        raise click.UsageError("--model picks from a project file, and MODEL is given without one")
    else:
        devices = options.get("devices") or ()
        table = read_device_tables(FILE, devices, bool(options.get("quiet")))
        _overlay(table, options)
        return (Project.parse(table, Path.cwd()),)
    return tuple(_overlaid(base, options) for base in bases)


def project_of_report(path: Path, file: Path, models: tuple[str, ...]) -> Any:
    """Return the project that a report is of: of a file's ``[models]`` the one of its name."""
    from edgekit import report
    from edgekit.project import Project

    projects = Project.load_all(file, models)
    return projects[0] if len(projects) == 1 else Project.load(file, report.name_of(path))


def _overlaid(base: Any, options: dict[str, Any]) -> Any:
    """Return a project with the options laid over its file."""
    table = base.table
    _overlay(table, options)
    return base.with_table(table)


def data_of(options: dict[str, Any]) -> Any:
    """Return the data table that the options make, without a project."""
    from pydantic import ValidationError

    from edgekit.project import DataTable, explain

    table: dict[str, Any] = {}
    _overlay(table, options)
    try:
        return DataTable.model_validate(table.get("data", {}))
    except ValidationError as error:
        raise explain(error, None, "") from error


def resolve_source(source: str) -> str:
    """Resolve a model or data of the command line, which is relative to the current folder."""
    path, colon, function = source.rpartition(":")
    if colon and path.endswith(".py"):
        return f"{Path(path).resolve()}:{function}"
    if colon and not Path(source).exists():
        return source
    return resolve_path(source)


def resolve_path(path: str) -> str:
    """Resolve a path of the command line, which is relative to the current folder."""
    return str(Path(path).resolve())


def _class_names(text: str) -> str | list[str]:
    """Return the path of a file of names, or the names themselves."""
    if Path(text).exists() or "," not in text:
        return resolve_path(text)
    return [name.strip() for name in text.split(",")]


def _alphabet(text: str) -> str:
    """Return the path of a file of tokens, or the tokens themselves."""
    return resolve_path(text) if len(text) < LONGEST_NAME and Path(text).is_file() else text


def _as_is(value: Any) -> Any:
    return value


# Where the value of each option goes in the project file, and as what.
KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "model": ("model.source", resolve_source),
    "weights": ("model.weights", resolve_path),
    "custom_objects": ("model.custom_objects", resolve_path),
    "signature": ("model.signature", _as_is),
    "evaluate_data": ("data.evaluate", resolve_source),
    "train_data": ("data.train", resolve_source),
    "representative": ("data.representative", lambda source: {"from": resolve_source(source)}),
    "label_column": ("data.label_column", _as_is),
    "data_group": ("data.group", _as_is),
    "class_names": ("data.labels", _class_names),
    "annotations": ("data.annotations", resolve_path),
    "rescale": ("data.preprocess.scale", _as_is),
    "offset": ("data.preprocess.offset", _as_is),
    "mean": ("data.preprocess.mean", _as_is),
    "std": ("data.preprocess.std", _as_is),
    "resize": ("data.preprocess.resize", _as_is),
    "crop": ("data.preprocess.crop", _as_is),
    "color": ("data.preprocess.color", _as_is),
    "layout": ("data.preprocess.layout", _as_is),
    "task": ("evaluate.task", _as_is),
    "metric": ("evaluate.metric", _as_is),
    "metric_output": ("evaluate.output", _as_is),
    "postprocess": ("evaluate.postprocess", _as_is),
    "group": ("evaluate.group", _as_is),
    "slices": ("evaluate.slices", _as_is),
    "stream": ("evaluate.stream", _as_is),
    "stream_by": ("evaluate.stream", _as_is),
    "states": ("evaluate.state", _as_is),
    "alphabet": ("evaluate.text.alphabet", _alphabet),
    "blank": ("evaluate.text.blank", _as_is),
    "channels": ("compress.channels", lambda share: {"macs": share}),
    "prune": ("compress.prune", _as_is),
    "cluster": ("compress.cluster", lambda clusters: {"clusters": clusters}),
    "qat": ("compress.quantization_aware", _as_is),
    "distill": ("compress.finetune", lambda distill: {"distill": distill}),
    "deterministic": ("train.deterministic", _as_is),
    "eager": ("train.eager", _as_is),
    "strategy": ("train.strategy", _as_is),
    "workers": ("train.workers", _as_is),
    "precisions": ("convert.precisions", list),
    "unroll": ("convert.unroll", _as_is),
    "metadata": ("convert.metadata", _as_is),
    "flex": ("convert.flex", _as_is),
    "as_is": ("convert.as_is", _as_is),
    "reference": ("convert.reference", resolve_source),
}


def _overlay(table: dict[str, Any], options: dict[str, Any]) -> None:
    """Lay the options that have a value over the tables of a project file."""
    for name, (key, convert) in KEYS.items():
        value = options.get(name)
        if value is not False and value not in (None, "", ()):
            _put(table, key, convert(value))
    if "evaluate" in table:
        _override_output(table["evaluate"], options)
    if options.get("epochs"):
        finetuning = options["model"] is not None and table.get("compress")
        key = "compress.finetune_epochs" if finetuning else "train.epochs"
        _put(table, key, options["epochs"])
    if options.get("workers"):
        from edgekit.project.strategies import MULTI_WORKER

        train = table["train"]
        if train.get("strategy", "default") == "default":
            train["strategy"] = MULTI_WORKER
    if options.get("recover") and not (table.get("convert") or {}).get("recover"):
        _put(table, "convert.recover", True)
    if options.get("targets"):
        known = table.get("targets") or {}
        # The file's own are there by their ids: it was read already.
        named = dict.fromkeys(map(catalog.own_id, options["targets"]))
        table["targets"] = {name: known.get(name, {}) for name in named}


def _put(table: dict[str, Any], path: str, value: Any) -> None:
    """Set the key at a dotted path; the tables on the way are copies, or new."""
    *sections, key = path.split(".")
    for section in sections:
        table[section] = dict(table.get(section) or {})
        table = table[section]
    table[key] = value


def _override_output(evaluate: dict[str, Any], options: dict[str, Any]) -> None:
    """Let options override the settings of the main output in ``[evaluate.outputs]``."""
    outputs = evaluate.get("outputs") or {}
    headline = evaluate.get("output") or next(iter(outputs), None)
    if headline in outputs:
        stated = {key for key in ("metric", "postprocess") if options.get(key)}
        own = {key: value for key, value in outputs[headline].items() if key not in stated}
        evaluate["outputs"] = {**outputs, headline: own}
