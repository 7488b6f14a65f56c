"""The group of commands, loaded lazily, and how errors become exit codes."""

from __future__ import annotations

import errno
import importlib
import signal
import sys
import tempfile
import traceback
from typing import Any

import click

from edgekit import __version__
from edgekit.cli.streams import guarded
from edgekit.errors import EdgekitError, ExitCode

# Each command, the module that holds it, and its line of help: none is imported to list them.
COMMANDS = {
    "init": "write the example project, ready to convert",
    "convert": "the main job: candidates, checks, verdict and bundles from a model",
    "compress": "a smaller model: channels, pruning, clustering, quantization-aware training",
    "evaluate": "a model's metric with its interval, on any device or runtime",
    "compare": "models and runtimes side by side: accuracy, parity, latency, with statistics",
    "bench": "latency by phases, memory and conditions on a device, with what it can tell",
    "lint-data": "what is wrong with the data, before it costs accuracy",
    "inspect": "a .tflite file explained: operators, precision, weights, memory, where it runs",
    "diff": "what changed from one .tflite file to another",
    "check": "the gate on a finished run: budgets become an exit code",
    "verify": "check a bundle: its files, its model, its golden pairs",
    "targets": "the catalog of targets",
    "devices": "which devices and runtimes work now; environments of other releases",
    "doctor": "what works here, with versions, and what is missing",
    "completion": "the line that turns on shell completion",
}


# What the system says of a path of the user's, wherever it was first looked at.
PATHS = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EISDIR, errno.ENOTDIR)
LONGEST = 200


class Lazy(click.Group):
    """A group whose commands are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgekit.cli.{cmd_name.replace('-', '_')}")
        return module.command  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"No such command '{args[0]}'.{hint}", ctx) from error


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgekit", message="%(prog)s %(version)s")
def group() -> None:
    """Get a Keras model onto a phone, a board or a microcontroller, proven there."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: errors on standard error, the code by what happened."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command; its exit code, which does not change where only its reader has left."""
    signal.signal(signal.SIGTERM, _terminate)
    with guarded() as lost:
        code = _run(arguments)
        sys.stdout.flush()
        # A command that was stopped has said why.
        if lost.reason and code not in (ExitCode.INTERNAL, ExitCode.INTERRUPTED):
            message = f"standard output cannot be written: {lost.reason}"
            click.echo(f"error EK-OUTPUT-002: {message}", err=True)
            click.echo(f"  what the command found is exit code {code}", err=True)
            code = int(ExitCode.USAGE)
    return code


def _run(arguments: list[str] | None) -> int:
    try:
        answer: Any = group.main(arguments, prog_name="edgekit", standalone_mode=False)
    except EdgekitError as error:
        click.echo(str(error), err=True)
        return int(error.exit_code)
    except click.ClickException as error:
        click.echo(f"error EK-USAGE-001: {error.format_message()}", err=True)
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "edgekit"
        click.echo(f"  see {path} --help", err=True)
        return int(ExitCode.USAGE)
    except (KeyboardInterrupt, click.Abort):
        # A second Ctrl-C must not cut this answer short.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        click.echo("interrupted: finished stages are kept, the same command goes on", err=True)
        return int(ExitCode.INTERRUPTED)
    except OSError as error:
        if error.errno not in PATHS:
            return _internal()
        path = str(error.filename)
        shown = path if len(path) < LONGEST else f"{path[:LONGEST]}..."
        click.echo(f"error EK-USAGE-002: {shown!r} cannot be used: {error.strerror}", err=True)
        click.echo("  name another file or folder", err=True)
        return int(ExitCode.USAGE)
    except Exception:
        return _internal()
    return int(answer) if isinstance(answer, int) else 0


def _terminate(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _internal() -> int:
    with tempfile.NamedTemporaryFile(
        "w", prefix="edgekit-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        traceback.print_exc(file=log)
    kind, error, _ = sys.exc_info()
    name = kind.__name__ if kind else ""
    click.echo(f"internal error EK-INTERNAL-001: {name}: {error}", err=True)
    click.echo(f"  this is a fault of edgekit: please report it with {log.name}", err=True)
    return int(ExitCode.INTERNAL)
