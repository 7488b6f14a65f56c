"""``edgekit compress``: make a model smaller, and report what was achieved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.command_line import command_line
from edgekit.cli.console import console, print_json, print_lines, progress
from edgekit.cli.help import documented
from edgekit.cli.options import (
    common,
    compression,
    flag,
    model_option,
    model_options,
    project_option,
)
from edgekit.cli.outputs import file_options, show_for_ci, write_outputs
from edgekit.cli.plots import page_in, plots_option, write_plots
from edgekit.cli.project import project_of


@documented(
    "compress",
    (
        "see what halving the computations would do; nothing is trained",
        "edgekit compress model.keras --channels 0.5 --dry-run",
    ),
    (
        "set half of the weights to zero, and fine-tune",
        "edgekit compress model.keras --prune 0.5 --train-data train.npz --data test.npz",
    ),
)
@click.argument("model", required=False, shell_complete=completers.model)
@model_options
@compression
@flag("--dry-run", "Predict layers, sizes and speed; train nothing.")
@file_options
@plots_option
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Make MODEL smaller, and compare it with the uncompressed model at every precision.

    The compressed model is written to build/NAME/compressed: pass its model.keras, or the model.h5
    of quantization-aware training, to `edgekit convert`. With --data the metric is measured before
    compression, after it, after fine-tuning and after conversion.
    """
    from edgekit import api, report

    project = project_of(options)
    run = api.Options(
        output=options["output"],
        evaluate=project.data.evaluate is not None and not options["dry_run"],
        force=options["force"],
        trust=options["trust"],
        dry_run=options["dry_run"],
        command=command_line(),
    )
    with progress(options["quiet"]) as display:
        done = api.compress(project, run, display)
    write_outputs(done, options)
    folder = (run.output or project.root).resolve() / ".edgekit" / "runs" / done.run
    show(done, options["as_json"], page_in(folder), options["quiet"])
    write_plots(done, folder, options)
    show_for_ci(done, options)
    if options["as_json"]:
        print_json(report.to_json(done))
    return done.verdict.exit_code


def show(done: Any, as_json: bool, where: Path, quiet: bool = False) -> None:
    """Print the layers, both models at every precision, and the compressed model's files.

    Where quiet, only what could not be made, and the files.
    """
    from edgekit import report

    out = console(as_json)
    if quiet:
        _show_files(out, done)
        return
    for scheme in done.compression.schemes:
        out.print()
        out.print(report.layer_table(scheme))
    out.print()
    out.print(report.compression_table(done))
    out.print()
    print_lines(out, [(line, "") for line in report.compression_lines(done)])
    for advice in done.advice:
        text = f"{advice.severity} {advice.code}: {advice.message}"
        print_lines(out, [(f"{text}; {advice.fix}" if advice.fix else text, "dim")])
    _show_files(out, done)
    print_lines(out, [(f"report {report.path(where)}", "dim")])


def _show_files(out: Any, done: Any) -> None:
    from edgekit import report

    for candidate in done.candidates:
        if candidate.problem:
            print_lines(out, [(f"{candidate.id}: {candidate.problem}", "yellow")])
    if not done.compression.files:
        dry = "dry run: applied in one step; nothing was trained or kept"
        print_lines(out, [(dry, "dim")])
    for name, path in done.compression.files.items():
        print_lines(out, [(f"{name}: {report.path(path)}", "")])
