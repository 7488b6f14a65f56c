"""What a run leaves to look at: its page, and with ``--plots`` its charts as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.help import section
from edgekit.cli.options import OUTPUT, option

if TYPE_CHECKING:
    from edgekit.report.charts import Charts


class PlotsFolder(click.Path):
    """A folder for plots: refused before the work is done where nothing can draw them."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from edgekit.report import plots

        path: Any = super().convert(value, param, ctx)
        plots.require()
        return Path(path)


plots_option = section(
    OUTPUT,
    option("--plots DIR", "Draw the charts into this folder, as SVG and PNG.", type=PlotsFolder()),
)


def page_in(folder: Path) -> Path:
    """Return a run's page, or its folder where the page was not written."""
    page = folder / "report.html"
    return page if page.is_file() else folder


def run_folder(project: Any, options: dict[str, Any], run: str) -> Path:
    """Return the folder that a command left its run in."""
    root = Path(options["output"] or project.root).resolve()
    return root / ".edgekit" / "runs" / run


def show_report(folder: Path, options: dict[str, Any]) -> None:
    """Print where the page of a run is."""
    if options["quiet"]:
        return
    from edgekit.cli.console import console, print_lines
    from edgekit.report import words

    line = f"report {words.path(page_in(folder))}"
    print_lines(console(options["as_json"]), [(line, "dim")])


def write_plots(done: Any, folder: Path, options: dict[str, Any]) -> None:
    """Draw the charts of a run whose folder is given, where they were asked for."""
    if options["plots"] is None:
        return
    from edgekit.report import charts, details

    run = charts.run_of(done, details.read(folder))
    draw(charts.of_run(run, run.shipped), options)


def draw(charts: Charts, options: dict[str, Any]) -> None:
    """Draw charts into the folder that was asked for, and say which."""
    from edgekit.cli.console import console, print_lines
    from edgekit.report import plots, words

    drawn = plots.write(charts, options["plots"])
    if options["quiet"]:
        return
    lines = [(f"plots {words.path(drawn.folder)}: {', '.join(drawn.drawn)}", "dim")]
    if options["verbose"]:
        lines += [(f"  not drawn: {title}: {why}", "dim") for title, why in drawn.missing]
    print_lines(console(options["as_json"]), lines)
