"""What completion offers: files of the fitting kinds, and the names in edgekit's tables."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

Item = CompletionItem[str]
Completer = Callable[[click.Context, click.Parameter, str], list[Item]]
FILE = "edgekit.toml"
MODELS = (".keras", ".h5", ".json", ".tflite", ".py")
TFLITE = (".tflite",)
BUNDLES = (".tar.gz",)
# What a run of any kind leaves, as :data:`edgekit.api.pages.REPORTS` has it: not imported, for a
# shell waits for this file alone.
REPORTS = ("report.json", "evaluate.json", "compare.json", "bench.json")
DATA = (".npz", ".npy", ".csv", ".tfrecord", ".py")
# Where bash begins a new word inside ours, and what is then completed is its last part alone.
BREAKS = "EDGEKIT_COMP_WORDBREAKS"
LINE = "EDGEKIT_COMP_LINE"
BASH = r"""
%(complete_func)s() {
    local IFS=$'\n' response completion type value
    response=$(env EDGEKIT_COMP_LINE="${COMP_LINE:0:$COMP_POINT}" \
        EDGEKIT_COMP_WORDBREAKS="$COMP_WORDBREAKS" COMP_WORDS="${COMP_WORDS[*]}" \
        COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete $1)
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        if [[ $type == 'dir' ]]; then
            COMPREPLY=()
            compopt -o dirnames
        elif [[ $type == 'path' ]]; then
            COMPREPLY+=("$value")
            compopt -o filenames
        else
            COMPREPLY+=("$value")
        fi
    done
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


def files(*suffixes: str, functions: bool = False) -> Completer:
    """Complete files that end so, and folders on the way; with functions those after ``.py:``."""

    def complete(context: click.Context, parameter: click.Parameter, begin: str) -> list[Item]:
        path, colon, name = begin.rpartition(":")
        if functions and colon and path.endswith(".py"):
            return [Item(f"{path}:{one}") for one in _functions(Path(path)) if one.startswith(name)]
        return _paths(begin, suffixes)

    return complete


def names(table: Callable[[], Iterable[str | tuple[str, str]]]) -> Completer:
    """Complete the names of a table, which is read when it is asked for."""

    def complete(context: click.Context, parameter: click.Parameter, begin: str) -> list[Item]:
        pairs = ((one, "") if isinstance(one, str) else one for one in table())
        return [Item(name, help=text or None) for name, text in pairs if name.startswith(begin)]

    return complete


def either(*completers: Completer) -> Completer:
    """Complete what any of several do."""

    def complete(context: click.Context, parameter: click.Parameter, begin: str) -> list[Item]:
        items = [item for each in completers for item in each(context, parameter, begin)]
        # A shell's own completion of folders takes the place of all else.
        others = [item for item in items if item.type == "plain"]
        return others or items

    return complete


def by_action(chosen: dict[str, Completer]) -> Completer:
    """Complete an argument by the action that was typed before it."""

    def complete(context: click.Context, parameter: click.Parameter, begin: str) -> list[Item]:
        one = chosen.get(str(context.params.get("action")))
        return one(context, parameter, begin) if one else []

    return complete


def _paths(begin: str, suffixes: tuple[str, ...]) -> list[Item]:
    head, _, start = begin.rpartition("/")
    folder = Path(f"{head}/" if "/" in begin else ".").expanduser()
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    shown = [
        entry
        for entry in entries
        if entry.name.startswith(start)
        and (start.startswith(".") or not entry.name.startswith("."))
    ]
    prefix = f"{head}/" if "/" in begin else ""
    fitting = [one.name for one in shown if one.is_file() and one.name.endswith(suffixes)]
    folders = [one.name for one in shown if one.is_dir()]
    if not fitting:
        return [Item(begin, type="dir")] if folders else []
    return [
        *(Item(f"{prefix}{name}", path=True) for name in fitting),
        *(Item(f"{prefix}{name}/", path=True) for name in folders),
    ]


def _functions(path: Path) -> Iterator[str]:
    """Yield the functions that a file defines; it is read, not run."""
    import ast

    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return
    yield from (one.name for one in tree.body if isinstance(one, ast.FunctionDef))


def _table(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}


def _keys(path: Path, name: str) -> list[str]:
    table = _table(path).get(name)
    return list(table) if isinstance(table, dict) else []


def _targets() -> Iterator[tuple[str, str]]:
    from edgekit.targets import catalog

    listed = catalog.list_all()
    yield from ((one.id, one.title) for one in listed)
    known = {one.id for one in listed}
    own = [*_keys(Path(FILE), "targets"), *(one.stem for one in Path("targets").glob("*.toml"))]
    yield from ((name, "this project's own") for name in own if name not in known)


def _precisions() -> Iterable[tuple[str, str]]:
    from edgekit.converters.precisions import PRECISIONS

    return [(name, row.title) for name, row in PRECISIONS.items()]


def _metrics() -> Iterable[str]:
    from edgekit.evaluation.metrics import METRICS

    return METRICS


def _tasks() -> Iterable[str]:
    from edgekit.evaluation.tasks import TASKS

    return TASKS


def _devices() -> Iterator[str | tuple[str, str]]:
    from edgekit.targets.devices.names import ALONE, here
    from edgekit.targets.devices.transports import schemes

    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    for file, whose in ((Path(FILE), "this project's"), (config / "edgekit/devices.toml", "yours")):
        yield from ((name, whose) for name in _keys(file, "devices"))
    yield from ("local", *(f"local:{name}" for name in here()), *ALONE)
    yield from (f"{name}://" for name in schemes())


def _runs(*reports: str) -> Callable[[], Iterator[tuple[str, str]]]:
    """Return what yields runs that left one of these reports, the newest first, with their kind."""

    def listed() -> Iterator[tuple[str, str]]:
        folder = Path(".edgekit/runs")
        runs = [(one.parent.name, one.stem) for name in reports for one in folder.glob(f"*/{name}")]
        kinds = {"report": "convert or compress"}
        yield from ((run, kinds.get(kind, kind)) for run, kind in sorted(runs, reverse=True))

    return listed


def _versions() -> Iterator[str]:
    from edgekit.record import FOLDER, Registry

    place = Registry(Path(FOLDER))
    models = place.models
    for model in models:
        begin = f"{model}:" if len(models) > 1 else ""
        yield from (f"{begin}{alias}" for alias in place.aliases(model))
        yield from (f"{begin}{version.number}" for version in place.versions(model)[::-1])


def _codes() -> Iterator[tuple[str, str]]:
    from edgekit import explanations

    yield from explanations.AREAS.items()
    yield from ((name, "a check") for name in explanations.checks())
    yield from ((code, one.what.partition(". ")[0]) for code, one in explanations.codes().items())


def _models_of_project() -> Iterable[str]:
    return _keys(Path(FILE), "models")


model = files(*MODELS, functions=True)
model_or_project = files(*MODELS, ".toml", functions=True)
tflite = files(*TFLITE)
data = files(*DATA, functions=True)
bundle = files(*BUNDLES)
target = names(_targets)
precision = names(_precisions)
metric = either(names(_metrics), files(".py", functions=True))
task = names(_tasks)
device = names(_devices)
run = names(_runs("report.json"))
any_run = names(_runs(*REPORTS))
version = names(_versions)
code = names(_codes)
project_file = files(".toml")
named_model = names(_models_of_project)


class WholeWords(BashComplete):
    """Bash splits words at ``:``, ``=`` and ``@``, which names of devices and functions hold."""

    source_template = BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get(LINE)
        if line is None:
            return super().get_completion_args()
        words = click.shell_completion.split_arg_string(line)
        is_new = not words or line[-1:].isspace()
        self._begin = "" if is_new else words.pop()
        return words[1:], self._begin

    def format_completion(self, item: Item) -> str:
        begin, breaks = getattr(self, "_begin", ""), os.environ.get(BREAKS, "")
        last = re.split(f"[{re.escape(breaks)}]", begin)[-1] if breaks.strip() else begin
        done = begin[: len(begin) - len(last)]
        kind = "path" if item.path else item.type
        return f"{kind},{item.value.removeprefix(done)}"


def register() -> None:
    """Let click answer bash by whole words."""
    add_completion_class(WholeWords)
