"""``edgekit registry``: versions on record, and what is champion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import completers
from edgekit.cli.console import console, print_json, print_lines
from edgekit.cli.help import documented
from edgekit.cli.options import FOLDER, common, model_option, option, project_option
from edgekit.errors import ExitCode

if TYPE_CHECKING:
    from edgekit.record import Registry, Version

Line = tuple[str, str]
# How many names each takes.
ACTIONS = {
    "list": (0, 1),
    "add": (0, 1),
    "show": (1, 1),
    "diff": (2, 2),
    "rollback": (0, 1),
    "sync": (0, 1000),
}

registry_option = option(
    "--registry FOLDER", "Where versions lie. Default: registry/ beside the project.", type=FOLDER
)


@documented(
    "registry",
    ("versions of each model, and which is champion", "edgekit registry"),
    ("register the newest run here", "edgekit registry add --note 'more data'"),
    ("what changed from one version to another", "edgekit registry diff 1 2"),
)
@click.argument("action", type=click.Choice(list(ACTIONS)), default="list")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completers.version)
@option("--note TEXT", "add: what is new; rollback: why.")
@option("--output FOLDER", "sync: where runs were written. Default: the project's.", type=FOLDER)
@registry_option
@project_option
@model_option
@common
def command(action: str, names: tuple[str, ...], **options: Any) -> int:
    """Keep versions of models on record: plain files, without a server.

    \b
    list [MODEL]         versions, the newest first, and what each stands for
    add [REPORT]         register a finished run; default: the newest run here
    show VERSION         its lineage from data to bundle, its figures, its files
    diff A B             what changed from one version to another
    sync [RUN]...        send what MLflow has not got yet, with finished runs that are named
    rollback [ALIAS]     give an alias, by default champion, back to the version before

    VERSION is a number, an alias such as champion, or MODEL: and one of them. `edgekit promote`
    makes a version champion, where it is proven not worse.
    """
    least, most = ACTIONS[action]
    if not least <= len(names) <= most:
        wants = str(least) if least == most else f"at most {most}"
        raise click.UsageError(f"{action} takes {wants} name{'' if most == 1 else 's'}")
    if options["note"] and action not in ("add", "rollback"):
        raise click.UsageError(f"--note does not work with {action}")
    if options["output"] and action != "sync":
        raise click.UsageError(f"--output does not work with {action}")
    act = {
        "list": _list,
        "add": _add,
        "show": _show,
        "diff": _diff,
        "rollback": _roll_back,
        "sync": _sync,
    }
    document, lines = act[action](names, options)
    if options["as_json"]:
        print_json(document)
    elif not options["quiet"] or action in ("show", "diff"):
        print_lines(console(False), lines)
    return ExitCode.UNAVAILABLE if action == "sync" and document["kept"] else 0


def place_of(options: dict[str, Any]) -> Registry:
    """Return the registry that the options name."""
    from edgekit import api
    from edgekit.record import Registry

    if options["registry"]:
        return Registry(options["registry"])
    file = options["project_file"]
    return api.open_registry(Path(file).parent if file else Path.cwd())


def project_of_model(options: dict[str, Any], model: str) -> Any:
    """Return the model's project, where this folder has one: its budgets and waivers
    count, and where it records."""
    from edgekit.project import FILE, Project

    file = options["project_file"] or (Path(FILE) if Path(FILE).is_file() else None)
    if file is None:
        return None
    projects = Project.load_all(file, options["model_names"])
    return next((project for project in projects if project.model.name == model), None)


def _add(names: tuple[str, ...], options: dict[str, Any]) -> tuple[Any, list[Line]]:
    from edgekit import api
    from edgekit.project import FILE, Project
    from edgekit.report import path

    file = options["project_file"] or (Path(FILE) if Path(FILE).is_file() else None)
    projects = Project.load_all(file, options["model_names"]) if file else (None,)
    report = Path(names[0]) if names else None
    place, note = place_of(options), options["note"] or ""
    done = [api.register(report, project, note, place) for project in projects]
    document = [{"version": str(d.version), "new": d.new, "folder": str(d.folder)} for d in done]
    lines = [
        (
            f"{d.version}: {'registered' if d.new else 'is'} run {d.version.run}, {path(d.folder)}",
            "",
        )
        for d in done
    ]
    return {"registered": document}, lines


def _list(names: tuple[str, ...], options: dict[str, Any]) -> tuple[Any, list[Line]]:
    place = place_of(options)
    models = [name for name in place.models if not names or name == names[0]]
    if names and not models:
        place.find(f"{names[0]}:1")
    document, lines = {}, []
    for model in models:
        aliases = place.aliases(model)
        versions = place.versions(model)[::-1]
        document[model] = {"aliases": aliases, "versions": [_row(one) for one in versions]}
        lines.append((model, "bold"))
        for version in versions:
            held = ", ".join(name for name, number in aliases.items() if number == version.number)
            ships = ", ".join(f"{k} {t.candidate}" for k, t in version.targets.items())
            text = f"  {version.number}  {version.registered[:16].replace('T', ' ')}"
            text += f"  {version.verdict}  {ships or 'ships nothing'}"
            text += f"  {version.note}" if version.note else ""
            lines.append((f"{text}  <- {held}" if held else text, "green" if held else ""))
    if not models:
        lines = [(f"no version is below {place.root}: edgekit registry add", "")]
    return document, lines


def _row(version: Version) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(version)


def _show(names: tuple[str, ...], options: dict[str, Any]) -> tuple[Any, list[Line]]:
    from dataclasses import asdict

    place = place_of(options)
    version = place.find(names[0])
    past = [one for one in place.promotions(version.model) if one.version == version.number]
    damaged = place.damaged(version)
    document = {**_row(version), "promotions": [asdict(one) for one in past]}
    return {**document, "damaged": list(damaged)}, list(_shown(place, version, past, damaged))


def _shown(place: Registry, version: Version, past: list[Any], damaged: Any) -> Iterator[Line]:
    from edgekit.report import words

    held = [k for k, n in place.aliases(version.model).items() if n == version.number]
    yield f"{version}{' (' + ', '.join(held) + ')' if held else ''}", "bold"
    yield f"  registered {version.registered} by {version.by}, run {version.run}", ""
    if version.note:
        yield f"  note: {version.note}", ""
    yield f"  verdict of the run: {version.verdict}; declared {version.declared}", ""
    made = version.lineage
    digests = {"training data": made.training[:12], "evaluated items": made.items[:12]}
    digests |= {"SavedModel": made.saved_model[:12]}
    digests |= {"commit": version.commit[:12]}
    yield f"  made of {made.source}", ""
    for name, digest in digests.items():
        if digest:
            yield f"    {name} {digest}", ""
    yield f"    {', '.join(f'{k} {v}' for k, v in made.tools.items())}", "dim"
    for name, target in version.targets.items():
        yield f"  {name} ships {target.candidate}", ""
        for file in (target.model, *target.bundles):
            yield f"    {file.path}  {words.exact(file.bytes)}  {file.sha256[:12]}", "dim"
    for promotion in past:
        what = "rolled back to" if promotion.rollback else "promoted to"
        why = f": {promotion.reason}" if promotion.reason else ""
        yield f"  {what} {promotion.alias} {promotion.when} by {promotion.by}{why}", ""
    for text in damaged:
        yield f"  damaged: {text}", "red"


def _diff(names: tuple[str, ...], options: dict[str, Any]) -> tuple[Any, list[Line]]:
    from dataclasses import asdict

    from edgekit import api

    place = place_of(options)
    before, now = (place.find(name) for name in names)
    change = api.version_changes(place, before, now)
    return {"before": str(before), "now": str(now), **asdict(change)}, [
        (f"{before} to {now}", "bold"),
        *_changes(change),
    ]


def _changes(change: Any) -> Iterator[Line]:
    styles = {"worse": "red", "better": "green"}
    for target in change.targets:
        ships = target.now if target.before == target.now else f"{target.before} -> {target.now}"
        yield f"  {target.id} ships {ships or 'nothing'}", ""
        for figure in target.figures:
            interval = f" {figure.interval}" if figure.interval else ""
            before, now = figure.texts
            text = f"    {figure.figure}: {before} -> {now}, {figure.change}{interval}"
            how = f"; {figure.how}" if figure.how else ""
            yield f"{text} ({figure.outcome}{how})", styles.get(figure.outcome, "")
    for setting in change.settings:
        yield f"  {setting.name}: {setting.before} -> {setting.now}", "dim"


def _roll_back(names: tuple[str, ...], options: dict[str, Any]) -> tuple[Any, list[Line]]:
    from edgekit import api
    from edgekit.record import CHAMPION

    model = options["model_names"][0] if options["model_names"] else None
    alias, place = names[0] if names else CHAMPION, place_of(options)
    current = place.find(f"{model}:{alias}" if model else alias)
    project = project_of_model(options, current.model)
    done = api.roll_back(alias, current.model, options["note"] or "", place, project)
    document = {"version": str(done.version), "alias": alias, "before": done.before}
    text = f"{done.version} is {alias} again, instead of {done.version.model}:{done.before}"
    return document, [(text, "")]


def _sync(names: tuple[str, ...], options: dict[str, Any]) -> tuple[Any, list[Line]]:
    from dataclasses import asdict

    from edgekit import api
    from edgekit.project import FILE, Project

    # The outbox is that of all models of a project.
    project = Project.load_all(options["project_file"] or FILE, options["model_names"])[0]
    done = api.sync(project, [Path(name) for name in names], options["output"])
    lines = [(f"sent {name}", "") for name in done.sent]
    lines += [(f"not sent, as it was changed: {name}", "yellow") for name in done.lost]
    if done.kept:
        lines.append((f"{done.kept} not sent yet: {done.why}", "yellow"))
    return asdict(done), lines or [("nothing to send", "")]
