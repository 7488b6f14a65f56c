"""The group of commands, loaded lazily, and how errors become exit codes."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from typing import Any

import click

from edgekit import __version__
from edgekit.cli.console import say
from edgekit.cli.help import write_rows
from edgekit.cli.startup import lighten
from edgekit.cli.streams import guarded
from edgekit.errors import EdgekitError, ExitCode

# By what a user wants, each command and its line of help; none is imported to list them.
GROUPS = {
    "Start": {
        "init": "write a project: the example, or one around a model of yours",
        "doctor": "check this machine: what works, in which version, and what is missing",
        "completion": "print the line that turns on shell completion",
    },
    "Make": {
        "convert": "the main job: convert a model, check every candidate, and bundle what passes",
        "train": "train the project's model, and leave it under build/",
        "sweep": "train with other settings, and say which are the best",
        "export": "write a model's SavedModel, by which every candidate is judged",
        "compress": "make a model smaller: channels, pruning, clustering, training for int8",
    },
    "Measure": {
        "evaluate": "measure a model's metric, with its interval, on any device or runtime",
        "compare": "compare models, runtimes, devices: accuracy, parity, latency, statistics",
        "bench": "measure latency by phase, memory and conditions on a device",
    },
    "Look closer": {
        "data": "describe data, its pictures and where its pipeline waits; split it without leak",
        "lint-data": "find what is wrong with the data, before it costs accuracy",
        "inspect": "explain a .tflite file: operators, precision, weights, memory, where it runs",
        "diff": "list what changed from one .tflite file to another",
        "logs": "list the TensorBoard logs of trainings, or keep the newest alone",
        "report": "write a finished run as one HTML page that opens anywhere",
    },
    "Gate": {
        "check": "judge a finished run by its budgets: the exit code is the verdict",
        "check-files": "check .tflite files by size and operators, within a second or two",
        "lock": "show the figures that runs are held against; --update tightens them by a run",
        "history": "show how figures went from run to run, and at which commit they stepped",
        "explain": "explain a code or a check: its meaning, likely causes, and what to do",
    },
    "Record": {
        "registry": "keep versions on record: lineage, files, what is champion; roll back",
        "promote": "let a version be champion, where it is proven not worse",
        "serve": "serve a bundle, a model or a version over HTTP, as TensorFlow Serving does",
        "monitor": "tell whether a deployed model still meets what it was measured on",
    },
    "Ship": {
        "bundle": "make bundles of a finished run, or of a .tflite as it is",
        "verify": "verify a bundle: its files, its model, its golden pairs",
        "apply": "rebuild a new bundle from an old one and a delta",
        "keys": "make a key pair to sign bundles with",
        "containers": "write Dockerfiles and Kubernetes manifests, for training and for serving",
    },
    "Targets and devices": {
        "targets": "list the catalog of targets, and which of them a model fits",
        "devices": "list devices and runtimes that work now; set up and remove them",
    },
}
# What a shell sets when it asks what to complete.
COMPLETING = "_EDGEKIT_COMPLETE"
COMMANDS = {name: text for names in GROUPS.values() for name, text in names.items()}


# Errors of the system about a path of the user's, wherever it was first opened.
PATH_ERRORS = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EISDIR, errno.ENOTDIR)
LONGEST_PATH = 200


class LazyGroup(click.Group):
    """A group whose commands are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgekit.cli.{cmd_name.replace('-', '_')}")
        return module.command  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, names in GROUPS.items():
            with formatter.section(title):
                write_rows(formatter, list(names.items()), width)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            text = f"No such command '{args[0]}'.{hint}\n  known: {', '.join(COMMANDS)}"
            raise click.UsageError(text, ctx) from error


# Commands that judge a target on the device that its own table names.
BY_TARGET = ("convert", "compress", "check")
OWN_DEVICE = (
    "No such option '--device'.",
    'a target is measured on its own device: [targets.NAME] device = "ssh://…" in edgekit.toml',
    "bench, compare and evaluate take --device",
)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgekit", message="%(prog)s %(version)s")
def group() -> None:
    """Get a Keras model onto a phone, a board or a microcontroller, proven there.

    \b
    edgekit init demo && edgekit convert --project demo/edgekit.toml    the example
    edgekit convert model.keras --data test.npz                         a model of yours
    edgekit COMMAND --help                                              options and examples
    """


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: errors on standard error, the code by what happened."""
    lighten()
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code, whether or not its reader stays to the end."""
    signal.signal(signal.SIGTERM, _terminate)
    with guarded() as lost:
        code = _run(arguments)
        sys.stdout.flush()
        # A command that was stopped has said why.
        if lost.reason and code not in (ExitCode.INTERNAL, ExitCode.INTERRUPTED):
            message = f"standard output cannot be written: {lost.reason}"
            click.echo(f"error EK-OUTPUT-002: {message}", err=True)
            click.echo(f"  the command itself ended with exit code {code}", err=True)
            code = int(ExitCode.USAGE)
    return code


def _run(arguments: list[str] | None) -> int:
    if COMPLETING in os.environ:
        from edgekit.cli import completers

        completers.register()
    try:
        given = sys.argv[1:] if arguments is None else arguments
        answer: Any = group.main(
            arguments, prog_name="edgekit", standalone_mode=False, obj=tuple(given)
        )
    except EdgekitError as error:
        say(str(error), err=True)
        return int(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        # Help, but no success: a script whose command came out empty must not go green.
        error.show()
        return int(ExitCode.USAGE)
    except click.ClickException as error:
        return _misused(error)
    except (KeyboardInterrupt, click.Abort) as error:
        # A second Ctrl-C must not cut this answer short.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        click.echo(
            "interrupted: finished stages are kept; run the same command again to resume", err=True
        )
        # Click makes an Abort of it, which says nothing itself.
        for line in (error.__cause__ or error).args:
            say(f"  {line}", err=True)
        return int(ExitCode.INTERRUPTED)
    except OSError as error:
        if error.errno not in PATH_ERRORS:
            return _internal()
        path = str(error.filename)
        shown = path if len(path) < LONGEST_PATH else f"{path[:LONGEST_PATH]}..."
        say(f"error EK-USAGE-002: {shown!r} cannot be used: {error.strerror}", err=True)
        click.echo("  name another file or folder", err=True)
        return int(ExitCode.USAGE)
    except Exception:
        return _internal()
    return int(answer) if isinstance(answer, int) else 0


def _misused(error: click.ClickException) -> int:
    """Say what is wrong with a command line, with what mends it."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "edgekit"
    by_target = path.split()[-1] in BY_TARGET
    if isinstance(error, click.NoSuchOption) and error.option_name == "--device" and by_target:
        error = click.UsageError("\n  ".join(OWN_DEVICE), context)
    say(f"error EK-USAGE-001: {error.format_message()}", err=True)
    if isinstance(error, click.MissingParameter) and context:
        examples = getattr(context.command, "examples", ())
        for _, line in examples[:1]:
            click.echo(f"  for example: {line}", err=True)
    click.echo(f"  see {path} --help", err=True)
    return int(ExitCode.USAGE)


def _terminate(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _internal() -> int:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="edgekit-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        traceback.print_exc(file=log)
    kind, error, _ = sys.exc_info()
    name = kind.__name__ if kind else ""
    click.echo(f"internal error EK-INTERNAL-001: {name}: {error}", err=True)
    click.echo(f"  this is a bug of edgekit: please report it with {log.name}", err=True)
    return int(ExitCode.INTERNAL)
