"""A server over what runs on devices: a bundle, a model, or a version of the registry."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import scratch
from edgekit.api.registry import open_registry
from edgekit.errors import RecordError, ServeError
from edgekit.record import CHAMPION, Registry
from edgekit.serving import Bounds, Source
from edgekit.serving.feedback import Feedback
from edgekit.serving.split import Split, read_split
from edgekit.targets.bundles.tf_serving import LABEL

if TYPE_CHECKING:
    from edgekit.serving.service import Service

__all__ = ["Bounds", "ServeOptions", "find_source", "serve"]

KERAS = (".keras", ".h5")
SAVED_MODEL = "saved_model.pb"
PACKAGES = ("starlette", "uvicorn", "httptools", "prometheus_client")
# What the second of two files is called.
OTHER = "candidate"
HOST, PORT = "127.0.0.1", 8501


@dataclass(frozen=True)
class ServeOptions:
    """How a model is served: where, under which name, within which bounds.

    ``signature`` is that of a ``.tflite`` that has several. ``target`` says whose bundle of a
    registered version is served; without it the first. ``split`` shares requests between two
    versions, as ``champion=90,candidate=10``; a version in ``shadow`` answers as well, and is
    compared. What becomes known of answers is kept in the file ``feedback``, by default below
    ``.edgekit/serve/``; for ``edgekit monitor``, statistics of what is asked and answered in a
    folder for each version below ``record``, with a sample of ``raw_items`` items where that is not
    0: they may hold personal data.
    """

    host: str = HOST
    port: int = PORT
    name: str = ""
    signature: str | None = None
    target: str = ""
    split: str = ""
    shadow: str = ""
    feedback: Path | None = None
    record: Path | None = None
    raw_items: int = 0
    bounds: Bounds = field(default_factory=Bounds)


def serve(
    source: str,
    options: ServeOptions | None = None,
    place: Registry | None = None,
    told: Callable[[str, Service], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> None:
    """Serve a bundle, a model or a version of the registry over HTTP, until SIGTERM or SIGINT.

    ``told`` is called with the server's address when it is ready, and after each reload. Raises
    :class:`ServeError` where the port cannot be had, or what is asked for cannot be served; and
    :class:`BundleError` for a bundle that is damaged.
    """
    options, place = options or ServeOptions(), place or open_registry()
    _check_installed()
    from edgekit.serving import server
    from edgekit.serving.metrics import Metrics
    from edgekit.serving.service import Service

    wanted = _wanted(source, options, place)
    kept = options.feedback or Path(".edgekit") / "serve" / "feedback.jsonl"
    bound = server.listen(options.host, options.port)
    url = server.address(bound)
    with bound, scratch.held(prefix="edgekit-serve-") as work:
        # Before there is a loop, whose thread Ctrl-C would wait for: an export takes half a minute.
        models = [s for s in _sources(wanted, options, place) if _is_exported(s.path)]
        ready = {source: _prepared(source, place, work) for source in models}
        service = Service(
            lambda: _sources(wanted, options, place),
            lambda source: ready.pop(source, None) or _prepared(source, place, work),
            work,
            options.bounds,
            Metrics(),
            wanted.split,
            bool(options.shadow),
            options.record,
            options.raw_items,
        )
        asyncio.run(
            server.run(
                service,
                bound,
                options.bounds,
                Feedback.read(kept),
                lambda service: told(url, service) if told else None,
                warn or (lambda _: None),
            )
        )


@dataclass(frozen=True)
class _Wanted:
    """The names of the versions that are asked for, the first answering by default."""

    names: tuple[str, ...]
    split: Split = field(default_factory=Split)


def _wanted(source: str, options: ServeOptions, place: Registry) -> _Wanted:
    """Raises :class:`ServeError` where the split is not one."""
    if options.split and options.shadow:
        message = "--split and --shadow: a version answers its share, or is in the shadow"
        raise ServeError("EK-SERVE-006", message, "leave one of them out")
    if not options.split:
        return _Wanted((source, *filter(None, [options.shadow])))
    main = _first(source, options, place)
    shares = read_split(options.split, (main.arm, source))
    _, other = shares
    arms = (main.arm, _beside(other, main, options, place).arm)
    return _Wanted((source, other), Split(dict(zip(arms, shares.values(), strict=True))))


def _sources(wanted: _Wanted, options: ServeOptions, place: Registry) -> list[Source]:
    if len(wanted.names) == 1:
        return [find_source(wanted.names[0], options, place)]
    main = _first(wanted.names[0], options, place)
    return [main, *(_beside(name, main, options, place) for name in wanted.names[1:])]


def _first(name: str, options: ServeOptions, place: Registry) -> Source:
    """Return what another version is served beside; of a file it is called champion, so that the
    label ``stable`` is what the split decides.
    """
    found = find_source(name, options, place)
    return replace(found, arm=CHAMPION) if found.arm == LABEL else found


def _beside(name: str, main: Source, options: ServeOptions, place: Registry) -> Source:
    """Return another version of what is served: of the same model, where that is registered."""
    model = main.path.parents[3].name if main.number is not None else ""
    known = model and ":" not in name and "@" not in name and not Path(name).exists()
    found = find_source(f"{model}:{name}" if known else name, options, place)
    if found.arm in (main.arm, LABEL):
        found = replace(found, arm=OTHER)
    return found


def find_source(text: str, options: ServeOptions, place: Registry) -> Source:
    """Return what a text names: a path, or else a version of the registry.

    A version is ``MODEL@ALIAS``, ``MODEL:NUMBER``, ``MODEL`` for its champion, or what ``edgekit
    promote`` takes. Raises :class:`RecordError` where there is none.
    """
    path = Path(text)
    if path.exists() or path.suffix in (".gz", ".tgz", ".zip", ".tflite", *KERAS) or "/" in text:
        return Source(path, name=options.name, signature=options.signature)
    name = text.replace("@", ":", 1)
    if text in place.models:
        name = f"{text}:{CHAMPION}"
    try:
        version = place.find(name)
    except RecordError as error:
        message = f"there is no file and no registered version {text}"
        raise ServeError("EK-SERVE-003", message, f"{error.message}\n{error.hint}") from error
    targets = dict(version.targets)
    if options.target and options.target not in targets:
        message = f"{version} ships nothing for {options.target}"
        raise ServeError("EK-SERVE-003", message, f"it ships for {', '.join(targets)}")
    if not targets:
        message = f"{version} ships nothing that could be served"
        raise ServeError("EK-SERVE-003", message, "convert and register it again: edgekit convert")
    chosen = targets[options.target or next(iter(targets))]
    files = [file.path for file in chosen.bundles if file.path.endswith(".tar.gz")]
    below = place.folder(version)
    arm = name.rpartition(":")[2]
    model = options.name or version.model
    return Source(below / (files[0] if files else chosen.model.path), arm, model, version.number)


def _prepared(source: Source, place: Registry, work: Path) -> Source:
    """Return the SavedModel that a model of TensorFlow is exported to, safely, as ``convert`` does;
    others as they are.

    Raises :class:`ModelError` where it cannot be read, or is refused, and :class:`ServeError` for a
    registered version whose files were changed.
    """
    path = source.path
    if source.number is not None:
        version = place.find(f"{path.parents[3].name}:{source.number}")
        if damaged := place.damaged(version):
            message = f"{version} is not as it was registered"
            raise ServeError("EK-SERVE-003", message, "\n".join(damaged[:5]))
    if not _is_exported(path):
        return source
    from edgekit.api.runs import Options, export
    from edgekit.project import Project

    name = path.stem if path.suffix else path.resolve().name
    table = {"model": {"source": str(path.resolve()), "name": name}}
    made = export(Project.parse(table, Path.cwd()), Options(output=work / "exported", force=True))
    return replace(source, path=made.files["saved_model"], name=source.name or name)


def _is_exported(path: Path) -> bool:
    """Tell whether a model is one of TensorFlow, which is exported before it is served."""
    return path.exists() and (path.suffix in KERAS or (path / SAVED_MODEL).is_file())


def _check_installed() -> None:
    """Raise :class:`ServeError` where what a server needs is not installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        message = f"to serve takes packages that are not installed: {', '.join(missing)}"
        raise ServeError("EK-SERVE-002", message, "pip install 'edgekit[serve]'")
