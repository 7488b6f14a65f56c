"""``edgekit serve``: a bundle, a model or a version over HTTP."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import say
from edgekit.cli.help import documented, section
from edgekit.cli.options import COUNT, FILE, FOLDER, common, option, project_option
from edgekit.cli.registry import place_of, registry_option
from edgekit.cli.values import Real, Whole, as_size

if TYPE_CHECKING:
    from edgekit.serving.service import Service


@documented(
    "serve",
    ("a bundle, on this machine alone", "edgekit serve dist/digits-0.1.0-linux-x86_64.tar.gz"),
    ("the champion of the registry", "edgekit serve digits@champion"),
    ("a tenth of the requests to another", "edgekit serve digits@champion --split candidate=10"),
)
@click.argument("model", metavar="BUNDLE|MODEL|VERSION")
@option("--name NAME", "What the model is called in addresses. Default: the bundle's own name.")
@option("--signature NAME", "Signature of a .tflite that has several.")
@option("--target NAME", "Whose bundle of a registered version is served. Default: the first.")
@option(
    "--record FOLDER",
    "Count for `edgekit monitor` what is asked and answered: statistics, no items.",
    type=FOLDER,
)
@option(
    "--raw-items N",
    "Keep a sample of N raw items of each version beside the records, at most 16 MiB. They may hold"
    " personal data. Default: none.",
    type=COUNT,
)
@section(
    "Two versions",
    option(
        "--split SHARES",
        "Share requests between two versions by a hash of their key: champion=90,candidate=10.",
    ),
    option("--shadow VERSION", "Let VERSION answer as well, and count what differs."),
    option(
        "--feedback FILE",
        "Where is kept what becomes known of answers. Default: .edgekit/serve/feedback.jsonl.",
        type=FILE,
    ),
)
@section(
    "Where",
    option("--host ADDRESS", "Address to listen on.", default="127.0.0.1", show_default=True),
    option(
        "--port N",
        "Port to listen on; 0 for a free one.",
        type=Whole(0, 65535),
        default=8501,
        show_default=True,
    ),
)
@section(
    "Bounds",
    option("--runners N", "Processes that answer, for each version. Default: 1.", type=COUNT),
    option("--queue N", "Requests that may wait; more get a 503. Default: 64.", type=COUNT),
    option("--max-body SIZE", "Size of a request. Default: 16 MiB.", callback=as_size),
    option(
        "--timeout SECONDS",
        "Time of a request, from its head to its answer. Default: 10.",
        type=Real(0.1, 3600),
    ),
    option("--connections N", "Connections at a time. Default: 512.", type=COUNT),
)
@registry_option
@project_option
@common
def command(model: str, **options: Any) -> int:
    """Serve a bundle, a .tflite, a SavedModel or a VERSION of the registry over HTTP.

    The paths are those of TensorFlow Serving, so its clients work. Ctrl-C or SIGTERM ends it once
    the requests that have come are answered; SIGHUP reads the model anew, without losing one.
    """
    from edgekit import api

    if options["raw_items"] and not options["record"]:
        raise click.UsageError("--raw-items are kept beside the records: name --record FOLDER too")
    given = {"seconds": "timeout", "body": "max_body", "queue": "queue"}
    given |= {"runners": "runners", "connections": "connections"}
    bounds = {name: options[key] for name, key in given.items() if options[key] is not None}
    asked = api.ServeOptions(
        options["host"],
        options["port"],
        options["name"] or "",
        options["signature"],
        options["target"] or "",
        options["split"] or "",
        options["shadow"] or "",
        options["feedback"],
        options["record"],
        options["raw_items"] or 0,
        api.Bounds(**bounds),
    )
    api.serve(
        model,
        asked,
        place_of(options),
        lambda url, service: _tell(url, service, options),
        lambda text: say(f"not reloaded, what was served stays\n{text}", err=True),
    )
    if not options["as_json"]:
        say("stopped", err=True)
    return 0


def _tell(url: str, service: Service, options: dict[str, Any]) -> None:
    """Say what is served, and where."""
    where = f"{url}/v1/models/{service.name}"
    if options["as_json"]:
        versions = {
            name: {
                "version": arm.model.version,
                "number": arm.model.number,
                "runtime": arm.runtime,
                "self_test": arm.tested,
            }
            for name, arm in service.arms.items()
        }
        # A line each time: it is said again after a reload.
        click.echo(json.dumps({"url": where, "versions": versions}))
    else:
        for name, arm in service.arms.items():
            model = arm.model
            text = f"{name}: {model.name} {model.version} as version {model.number}"
            say(f"{text} on {arm.runtime}; {arm.tested}")
        say(f"serving {where} (Ctrl-C ends it)")
        if options["raw_items"]:
            text = f"warning: up to {options['raw_items']:,} raw items are kept in"
            say(f"{text} {options['record']}: they may hold personal data")
        if not _alone(options["host"]):
            say("warning: whoever reaches this address may use it: there is no authentication")
    sys.stdout.flush()


def _alone(host: str) -> bool:
    from edgekit.serving.server import is_loopback

    return is_loopback(host)
