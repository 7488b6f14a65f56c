"""Files and lines for CI that every judging command can write: no run id is needed for them."""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from edgekit.cli.help import section
from edgekit.cli.options import CI, option
from edgekit.cli.retry import refuse_retry

SUMMARY = "GITHUB_STEP_SUMMARY"
FILES = ("summary", "junit", "sarif", "code_quality")


# What a command found: it has a verdict.
Done = TypeVar("Done", bound=Any)


class OutputFile(click.Path):
    """A file that can be written: asked before the work is done, not after."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if problem := _problem(path):
            self.fail(problem, param, ctx)
        return path


def _problem(path: Path) -> str:
    """Say why a file cannot be written; empty where it can."""
    try:
        if path.is_dir():
            return f"{path} is a folder: name a file in it, such as {path / 'edgekit.xml'}"
        if not path.parent.is_dir():
            return f"there is no folder {path.parent}: create it, or name another file"
        if path.exists():
            # Opened for appending a file keeps what it holds.
            if _is_plain(path):
                with path.open("ab"):
                    pass
            return ""
        with tempfile.TemporaryFile(dir=path.parent):
            return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"{path} cannot be written: {reason}; name another file"


def _is_plain(path: Path) -> bool:
    """Tell whether a path is a file, and no pipe or terminal."""
    return stat.S_ISREG(path.stat().st_mode)


file_options = section(
    CI,
    option(
        "--summary FILE",
        "Write the outcome as Markdown; added to the file if it is $GITHUB_STEP_SUMMARY.",
        type=OutputFile(),
    ),
    option("--junit FILE", "Write the checks as JUnit XML.", type=OutputFile()),
    option("--sarif FILE", "Write red checks and notes as SARIF 2.1.0.", type=OutputFile()),
    option("--code-quality FILE", "Write them as a GitLab code quality report.", type=OutputFile()),
    option(
        "--annotate",
        "Print red checks as annotations. Default: github if GITHUB_ACTIONS is true.",
        type=click.Choice(["github", "none"]),
    ),
)
inconclusive_option = section(
    CI,
    option(
        "--inconclusive fail|pass",
        "What inconclusive checks count as. Default: neither, exit code 4.",
        type=click.Choice(["fail", "pass", "retry"]),
        callback=refuse_retry,
    ),
)


def counted(done: Done, options: dict[str, Any]) -> Done:
    """Return what a command found, with the exit code that --inconclusive asks for."""
    from edgekit.gate import count_inconclusive

    choice = _counts_as(options)
    if not choice:
        return done
    return replace(done, verdict=count_inconclusive(done.verdict, choice))


def _counts_as(options: dict[str, Any]) -> Literal["", "fail", "pass"]:
    """Return what an inconclusive check counts as; empty for neither."""
    choice: Any = options.get("inconclusive")
    return choice if choice in ("fail", "pass") else ""


def write_outputs(done: Any, options: dict[str, Any], seconds: float = 0.0) -> None:
    """Write the files that were asked for."""
    wanted = {name: options[name] for name in FILES if options[name]}
    if not wanted:
        return
    from edgekit.report.ci.outputs import WRITERS

    view, source = _view(done, options, seconds)
    for name, path in wanted.items():
        _write(path, WRITERS[name](view, source), name == "summary")


def show_for_ci(done: Any, options: dict[str, Any]) -> None:
    """Say what the inconclusive checks were counted as, and print the annotations."""
    from edgekit.cli.console import console, print_lines
    from edgekit.types import Status

    choice = _counts_as(options)
    if choice and any(c.status is Status.INCONCLUSIVE for c in done.verdict.checks):
        counted_as = "failed" if choice == "fail" else "passed"
        text = f"inconclusive counts as {counted_as} (--inconclusive {choice})"
        line = f"{text}: exit code {done.verdict.exit_code}"
        print_lines(console(options["as_json"]), [(line, "yellow")])
    on_github = os.environ.get("GITHUB_ACTIONS") == "true"
    if options["annotate"] == "github" or (options["annotate"] is None and on_github):
        from edgekit.report.ci.annotations import annotation_lines

        for line in annotation_lines(*_view(done, options)):
            click.echo(line, err=options["as_json"])


def _view(done: Any, options: dict[str, Any], seconds: float = 0.0) -> tuple[Any, Any]:
    """Return what outputs are drawn from: what was judged, and the file that has the budgets."""
    from edgekit.report.ci import source
    from edgekit.report.ci.views import judged

    command = click.get_current_context().info_name or ""
    view = judged(done, command, seconds, _counts_as(options))
    if hasattr(done, "reports"):
        return view, source.read_several(done)
    return view, source.read(_project_file(options), *(options.get("model_names") or ())[:1])


def _project_file(options: dict[str, Any]) -> Path | None:
    """Return the project file whose budgets were judged by, if there is one."""
    from edgekit.project import FILE

    if options["project_file"]:
        return Path(options["project_file"])
    return Path(FILE) if options.get("model") is None and Path(FILE).is_file() else None


def _write(path: Path, content: bytes, is_summary: bool) -> None:
    from edgekit.store import write_bytes

    # Steps of a job add to one summary; a pipe or a terminal cannot be replaced by a file.
    if is_summary and str(path) == os.environ.get(SUMMARY):
        with path.open("ab") as file:
            file.write(b"\n" + content if file.tell() else content)
    elif path.exists() and not _is_plain(path):
        with path.open("wb") as file:
            file.write(content)
    else:
        write_bytes(path, content)
