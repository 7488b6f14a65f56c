"""Bundles made later: of a finished run, or of a ``.tflite`` as it is, without measuring again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit import scratch
from edgekit.converters.precisions import PRECISIONS, profile_of, refusal
from edgekit.errors import (
    BundleDoesNotSuit,
    EdgekitError,
    ExitCode,
    NoBundleError,
    ProjectError,
    did_you_mean,
)
from edgekit.gate.statuses import EXIT_CODES, RED, worst
from edgekit.pipeline.app_table import signing_key, with_app
from edgekit.pipeline.bundle_file import contents_of_file
from edgekit.pipeline.bundle_kinds import file_name, kinds_of
from edgekit.pipeline.compile import compile_for
from edgekit.pipeline.outputs import WrittenFiles
from edgekit.pipeline.plan import Options
from edgekit.pipeline.ship import KEPT, for_target
from edgekit.project import Project, own_targets
from edgekit.targets import bundles, catalog
from edgekit.targets.catalog import Target
from edgekit.types import Bundle, Candidate, Progress, Report, Status, TargetResult

# Of a file that nobody judged here.
UNJUDGED = bundles.Gate(Status.NOT_EVALUATED.value, "the file was bundled as it is, and not judged")
# Errors by which one bundle is not made, and others are; any other is a mistake in what was asked.
STATUSES = {EXIT_CODES[status]: status for status in (*RED, Status.UNAVAILABLE)}
# What is packed for a target, with the compiled model in this folder where it has an NPU.
Made = Callable[[Target, Path], bundles.Contents]


@dataclass(frozen=True)
class BundleOptions:
    """Which bundles are made: for which targets, of which kinds, signed with which key.

    ``targets`` are ids or aliases, by default those of the run or the project; ``kinds`` default to
    those of ``[bundle]``, else to each target's first. ``sign`` is the file of a private key.
    ``delta_from`` is an older bundle, from which a delta is made besides. With ``every`` they are
    made for the whole catalog, in place of ``targets``; with ``kinds``, for the targets of those.
    """

    targets: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    sign: Path | None = None
    delta_from: Path | None = None
    every: bool = False


@dataclass(frozen=True)
class MadeBundle:
    """A bundle that was made, for which target, whose key signed it, and its delta, if any."""

    target: str
    bundle: Bundle
    signer: str = ""
    delta: Path | None = None
    delta_bytes: int | None = None


@dataclass(frozen=True)
class UnmadeBundle:
    """A bundle that could not be made, for which target and of which kind, and why."""

    target: str
    kind: str
    status: Status
    error: EdgekitError


@dataclass(frozen=True)
class MadeBundles:
    """The bundles that were made, and those that could not be."""

    made: tuple[MadeBundle, ...]
    unmade: tuple[UnmadeBundle, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """The outcome of the worst of them."""
        return EXIT_CODES[worst(row.status for row in self.unmade)]


def bundle_file(
    project: Project, source: str, asked: BundleOptions, options: Options, progress: Progress
) -> MadeBundles:
    """Make bundles of a ``.tflite`` as it is. Raises :class:`EdgekitError`.

    Every bundle is packed before the first is put in its place.
    """
    output = (options.output or project.root).resolve()
    targets = _targets(project, asked, ())
    with contents_of_file(project, source, options, progress) as contents:
        return _pack(project, targets, asked, options, output, _of_file(contents, project))


def bundle_run(
    project: Project, done: Report, folder: Path, asked: BundleOptions, options: Options
) -> MadeBundles:
    """Make bundles of a finished run, whose report was read from ``folder``.

    Raises :class:`EdgekitError`; every bundle is packed before the first is put in its place.
    """
    output = (options.output or project.root).resolve()
    own_targets.add_written(done.settings.get("own_targets", {}))
    targets = _targets(project, asked, tuple(target.id for target in done.targets))
    return _pack(project, targets, asked, options, output, _of_run(done, folder, project))


def run_folder(output: Path, source: str | None) -> Path:
    """Return the folder of a finished run: by its path, its report's, its id, or the newest."""
    runs = output / ".edgekit" / "runs"
    if source is None:
        finished = sorted(
            (path for path in runs.glob("*/report.json") if (path.parent / KEPT).is_dir()),
            key=lambda path: path.stat().st_mtime_ns,
        )
        if not finished:
            message = f"there is no finished run below {output} to make a bundle of"
            hint = (
                "run `edgekit convert` first, or name a .tflite file: edgekit bundle MODEL.tflite"
            )
            raise NoBundleError("EK-BUNDLE-040", message, hint)
        return finished[-1].parent
    path = Path(source)
    folder = path.parent if path.name == "report.json" else path
    if not folder.is_dir():
        folder = runs / source
    if not (folder / "report.json").is_file():
        known = [found.parent.name for found in runs.glob("*/report.json")]
        message = (
            f"{source!r} is neither a finished run nor a .tflite file{did_you_mean(source, known)}"
        )
        hint = "`edgekit convert` makes .tflite files and bundles of other models"
        raise NoBundleError("EK-BUNDLE-040", message, hint)
    return folder


def _targets(project: Project, asked: BundleOptions, ran: tuple[str, ...]) -> tuple[Target, ...]:
    if asked.every:
        kinds = set(asked.kinds)
        return tuple(one for one in catalog.every() if not kinds or kinds & set(one.bundles))
    names = asked.targets or ran or tuple(project.targets) or tuple(filter(None, [catalog.host()]))
    known = tuple(dict.fromkeys(map(catalog.own_id, names)))
    for name in known:
        if name not in catalog.names():
            raise project.unknown("target", name, catalog.names(), catalog.spoken())
    return tuple(map(catalog.load, known))


def _of_run(done: Report, folder: Path, project: Project) -> Made:
    """Return what makes the contents for a target, of what a run has kept."""
    results = {target.id: target for target in done.targets}

    def made(target: Target, scrap: Path) -> bundles.Contents:
        result = results.get(target.id)
        if result is not None and result.candidate is None:
            message = f"the run ships nothing for {target.id}: {result.fit}"
            hint = "its report says why; edgekit bundle MODEL.tflite bundles a file unjudged"
            raise BundleDoesNotSuit("EK-BUNDLE-041", message, hint)
        chosen = _chosen(done, target, result, folder)
        file = folder / "build" / chosen.id / "model.tflite"
        contents = bundles.read_kept(folder / KEPT / chosen.id, file)
        result = result or _unjudged(target, chosen)
        if target.npu is not None:
            kept = folder / "build" / chosen.id / f"{target.id}.tflite"
            npu = replace(result.npu, path=kept) if result.npu else None
            npu = npu or compile_for(target.npu, file, scrap)
            result = replace(result, npu=npu)
        return for_target(contents, chosen, result, project)

    return made


def _unjudged(target: Target, chosen: Candidate) -> TargetResult:
    why = f"the run did not judge for {target.id}: {chosen.id} passed for its own targets"
    return TargetResult(target.id, chosen.id, why, Status.NOT_EVALUATED)


def _chosen(done: Report, target: Target, result: TargetResult | None, folder: Path) -> Candidate:
    """Return the candidate that a run ships for a target; of one it did not judge for, the one
    that runs there best.
    """
    if result is not None:
        return next(one for one in done.candidates if one.id == result.candidate)
    usable = [
        candidate
        for candidate in done.candidates
        if candidate.status is Status.PASSED
        and (folder / KEPT / candidate.id).is_dir()
        and _suits(candidate, target)
    ]
    if not usable:
        tried = ", ".join(f"{one.id} ({one.status.value})" for one in done.candidates)
        message = f"the run has no file for {target.id}: {tried}"
        hint = f"edgekit convert --target {target.id} makes and judges one"
        raise BundleDoesNotSuit("EK-BUNDLE-041", message, hint)
    best = {name: rank for rank, name in enumerate(target.precisions)}
    return min(usable, key=lambda one: (best.get(one.precision, len(best)), one.bytes))


def _suits(candidate: Candidate, target: Target) -> bool:
    """Tell whether a target takes files of this precision, made as this one was."""
    if candidate.precision not in PRECISIONS or refusal(candidate.precision, target.conversion):
        return False
    _, _, profile = candidate.id.partition("@")
    return profile == profile_of(candidate.precision, target.conversion)


def _of_file(contents: bundles.Contents, project: Project) -> Made:
    def made(target: Target, scrap: Path) -> bundles.Contents:
        npu = compile_for(target.npu, contents.model, scrap) if target.npu else None
        found = with_app(contents, project)
        return replace(found, compiled=npu.path if npu else None, gate=UNJUDGED)

    return made


def _pack(
    project: Project,
    targets: tuple[Target, ...],
    asked: BundleOptions,
    options: Options,
    output: Path,
    made: Made,
) -> MadeBundles:
    """Pack every bundle that can be made, then put all of them where the user sees them.

    Raises :class:`EdgekitError` for a mistake in what was asked, and where the only one fails.
    """
    kinds = {target.id: _kinds(target, asked.kinds, project) for target in targets}
    count = sum(map(len, kinds.values()))
    if asked.delta_from is not None and count != 1:
        message = f"--delta-from names one bundle, and {count} are made"
        raise ProjectError("EK-PROJECT-076", message, "name one --target and one --kind")
    key = bundles.read_key(asked.sign) if asked.sign else signing_key(project)
    with scratch.held(prefix="edgekit-bundle-") as folder:
        packed: list[MadeBundle] = []
        unmade: list[UnmadeBundle] = []
        for target in targets:
            scrap = folder / target.id
            scrap.mkdir()
            for row in _packed(target, kinds[target.id], scrap, made, key):
                if isinstance(row, MadeBundle):
                    packed.append(row)
                elif count == 1:
                    raise row.error
                else:
                    unmade.append(row)
        if asked.delta_from is not None:
            packed = [_with_delta(packed[0], asked.delta_from)]
        placed = _placed(packed, WrittenFiles(output / ".edgekit" / "outputs", output), options)
    return MadeBundles(placed, tuple(unmade))


def _packed(
    target: Target,
    kinds: tuple[str, ...],
    scrap: Path,
    made: Made,
    key: bundles.SigningKey | None,
) -> Iterator[MadeBundle | UnmadeBundle]:
    """Yield the bundle of each kind, packed below ``scrap``, or why there is none."""
    signer = key.public.fingerprint if key else ""
    try:
        contents = made(target, scrap)
    except EdgekitError as error:
        yield from (_unmade(target, kind, error) for kind in kinds)
        return
    for kind in kinds:
        path = scrap / file_name(contents, target, kind)
        try:
            bundle = bundles.pack(target, contents, path, kind, key)
        except EdgekitError as error:
            yield _unmade(target, kind, error)
        else:
            yield MadeBundle(target.id, bundle, signer)


def _unmade(target: Target, kind: str, error: EdgekitError) -> UnmadeBundle:
    """Return why a bundle is not made. Raises the error where it is a mistake in what was asked."""
    status = STATUSES.get(error.exit_code)
    if status is None:
        raise error
    return UnmadeBundle(target.id, kind, status, error)


def _placed(
    packed: Sequence[MadeBundle], outputs: WrittenFiles, options: Options
) -> tuple[MadeBundle, ...]:
    """Put bundles and deltas below ``dist/``; none where one would replace a file of the user's."""
    dist = outputs.root / "dist"
    files = [file for row in packed for file in (row.bundle.path, row.delta) if file is not None]
    for file in files:
        outputs.check(file, dist / file.name, options.force)
    for file in files:
        outputs.put(file, dist / file.name, options.force)
    return tuple(
        replace(
            row,
            bundle=replace(row.bundle, path=dist / row.bundle.path.name),
            delta=dist / row.delta.name if row.delta else None,
        )
        for row in packed
    )


def _with_delta(row: MadeBundle, old: Path) -> MadeBundle:
    """Return a bundle with the delta from an older one of its target and kind.

    Raises :class:`ProjectError` where the older one is of another target.
    """
    before = bundles.read_bundle_manifest(old)
    if (before["target"], before.get("kind", row.bundle.kind)) != (row.target, row.bundle.kind):
        message = f"{old} is a bundle for {before['target']}, not for {row.target}"
        raise ProjectError("EK-PROJECT-076", message, "name an older bundle of the same target")
    name = row.bundle.path.name.removesuffix(".tar.gz")
    delta = row.bundle.path.with_name(f"{name}-from-{before['version']}.delta")
    delta.write_bytes(bundles.make_delta(old, row.bundle.path))
    return replace(row, delta=delta, delta_bytes=delta.stat().st_size)


def _kinds(target: Target, asked: tuple[str, ...], project: Project) -> tuple[str, ...]:
    """Return the kinds of a target that were asked for. Raises :class:`ProjectError` for others."""
    if not asked:
        return kinds_of(target, project.bundle.kinds)
    kinds = kinds_of(target, asked)
    if not set(kinds) & set(asked):
        message = f"{target.id} takes no bundle of kind {', '.join(asked)}"
        hint = f"its kinds: {', '.join(target.bundles)}"
        raise ProjectError("EK-PROJECT-072", message, hint)
    return kinds
