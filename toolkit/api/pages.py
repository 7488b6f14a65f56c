"""The HTML page of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import nearby, scratch
from edgekit.api.verdict import check
from edgekit.errors import ProjectError, did_you_mean
from edgekit.report.html.files import FILE, page_of
from edgekit.report.measured_files import BENCH, COMPARE, EVALUATE
from edgekit.store import write_text

if TYPE_CHECKING:
    from edgekit.report.live import RunServer

REPORTS = ("report.json", EVALUATE, COMPARE, BENCH)
COMMANDS = "`edgekit convert`, `compress`, `evaluate`, `compare` or `bench`"
__all__ = ["find_run", "find_unfinished", "serve_run", "write_comparison", "write_page"]


def find_run(output: Path, run: str | None = None) -> Path:
    """Return the folder of a run of any command: by its path, its report's, its id below
    ``output``, or the newest.

    Raises :class:`ProjectError` where there is none.
    """
    runs = output / ".edgekit" / "runs"
    if run is None:
        return _newest(output)
    path = Path(run)
    for folder in (path.parent if path.name in REPORTS else path, runs / run):
        if any((folder / name).is_file() for name in REPORTS):
            return folder
    if (path / ".edgekit" / "runs").is_dir():
        return _newest(path)
    known = [found.parent.name for name in REPORTS for found in runs.glob(f"*/{name}")]
    hint = f"name a finished run of {COMMANDS}, or leave it out for the newest"
    if near := did_you_mean(run, known):
        raise ProjectError("EK-REPORT-001", f"there is no run {run!r}{near}", hint)
    raise ProjectError("EK-REPORT-001", f"there is no run {run!r}", nearby.hint(path, hint))


def _newest(output: Path) -> Path:
    runs = output / ".edgekit" / "runs"
    reports = [path for name in REPORTS for path in runs.glob(f"*/{name}")]
    if not reports:
        hint = f"run {COMMANDS} first, or name a run's folder"
        raise ProjectError("EK-REPORT-001", f"there is no report below {output.resolve()}", hint)
    return max(reports, key=lambda path: path.stat().st_mtime_ns).parent


def find_unfinished(output: Path, run: str | None = None) -> Path:
    """Return a run's folder as :func:`find_run`; by default that of the run in progress.

    Raises :class:`ProjectError` where there is none.
    """
    path = Path(run) if run is not None else output
    runs = output / ".edgekit" / "runs"
    if run is not None:
        for folder in (path, runs / run):
            if folder.is_dir() and folder.resolve().parent.name == runs.name:
                return folder
    below = path / ".edgekit" / "runs" if path.is_dir() else runs
    found = [one for one in below.glob("*") if one.is_dir()] if run is None or path.is_dir() else []
    if found:
        return max(found, key=lambda one: (scratch.is_held(one), one.stat().st_mtime_ns))
    if run is not None:
        return find_run(output, run)
    hint = "start `edgekit convert` first, or name a run's folder"
    raise ProjectError("EK-REPORT-001", f"there is no run below {output.resolve()}", hint)


def serve_run(folder: Path, port: int) -> RunServer:
    """Return a server of a run's page, on this machine alone, which follows a run in progress.

    It answers once its ``serve_forever`` is called. Raises :class:`ServeError` where the port
    cannot be had.
    """
    from edgekit.report.live import serve

    return serve(folder, page_of, port)


def write_page(folder: Path, path: Path | None = None, force: bool = False) -> Path:
    """Write the page of the run in ``folder``, beside its report by default, and return its path.

    Raises :class:`ProjectError` where ``path`` is there, unless it is to be forced, and where the
    run's files are damaged.
    """
    path = _free(path or folder / FILE, force or not path)
    write_text(path, page_of(folder))
    return path


def write_comparison(
    before: Path, now: Path, path: Path | None = None, force: bool = False
) -> Path:
    """Write a page that sets two runs of one model side by side, and return its path.

    By default it lies in the folder of the later one. Raises :class:`ProjectError` where it is
    there, unless it is to be forced, and :class:`LockError` where the runs are of two models.
    """
    from edgekit.report import details, document
    from edgekit.report.html.comparison import Side, comparison_page

    path = _free(path or now / f"compared-with-{before.resolve().name}.html", force or not path)
    old, new = (Side(document.read(one), details.read(one)) for one in (before, now))
    write_text(path, comparison_page(old, new, check(now, baseline=str(before))))
    return path


def _free(path: Path, force: bool) -> Path:
    if path.exists() and not force:
        raise ProjectError("EK-OUTPUT-001", f"{path} is there already", "use --force")
    return path
