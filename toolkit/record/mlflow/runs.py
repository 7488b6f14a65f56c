"""What MLflow is told of a run: parameters, metrics, tags, and from which data to which bundle."""

from __future__ import annotations

import datetime
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgekit import __version__
from edgekit.record.mlflow.entry import DataUsed, Entry, Measured
from edgekit.record.mlflow.figures import LONGEST_TEXT, bench_metrics, metrics_of, named
from edgekit.record.registry import lineage_of
from edgekit.record.version import Version
from edgekit.types import BenchReport, Report

LINEAGE = "lineage.json"
RUN = re.compile(r"[\w.-]{1,200}")
# Settings that follow from others, or are recorded as something else than parameters.
NOT_PARAMETERS = (
    *("training.data", "training.hardware", "training.seconds", "items.digest", "outputs"),
    *("task.reason", "direction", "bounded", "all_precisions_count", "targets_stated", "waivers"),
)


@dataclass(frozen=True)
class Origin:
    """Where a run comes from: the command, who gave it, and the commit; empty outside git."""

    command: str
    who: str
    commit: str


def of_report(report: Report, experiment: str, origin: Origin) -> Entry:
    """Return the entry of a conversion or a compression.

    Raises ValueError for a run whose name is not one of edgekit's.
    """
    seconds = sum(stage.seconds for stage in report.stages)
    tags = {
        **_tags(origin, str(report.environment["edgekit"]), report.verdict.status.value),
        **dict(_tags_of(report)),
    }
    return Entry(
        **_times(report.run, seconds),
        experiment=experiment,
        parameters=_texts(dict(_parameters(report))),
        metrics=metrics_of(report),
        tags=_texts(tags),
        data=tuple(_data(report)),
        model=str(report.model["name"]),
    )


def of_bench(report: BenchReport, experiment: str, origin: Origin) -> Entry:
    """Return the entry of a bench."""
    devices = ", ".join(dict.fromkeys(row.device for row in report.rows))
    tags = _tags(origin, report.versions.get("edgekit", __version__), report.verdict.status.value)
    return Entry(
        **_times(report.run, 0.0),
        experiment=experiment,
        parameters=_texts(dict(_flat(report.settings))),
        metrics=bench_metrics(report),
        tags=_texts({**tags, "edgekit.devices": devices}),
    )


def of_training(
    run: str,
    experiment: str,
    origin: Origin,
    settings: Mapping[str, Any],
    metrics: tuple[Measured, ...],
    data: Mapping[str, str],
    seconds: float,
) -> Entry:
    """Return the entry of a training, of ``data`` by its ``digest`` and ``source``."""
    used = DataUsed("training data", data["digest"], data["source"], "training") if data else None
    tags = _tags(origin, __version__, "")
    return Entry(
        **_times(run, seconds),
        experiment=experiment,
        parameters=_texts(dict(_flat(settings))),
        metrics=tuple(replace(one, name=named(*one.name.split("/"))) for one in metrics),
        tags=_texts({**tags, "edgekit.data.training": used.digest if used else ""}),
        data=(used,) if used else (),
    )


def as_version(entry: Entry, version: Version, alias: str = "") -> Entry:
    """Return a run's entry as that of a version, which takes an alias where one is named."""
    made = version.lineage
    tags = {
        "edgekit.verdict": version.verdict,
        "edgekit.commit": version.commit,
        "edgekit.by": version.by,
        "edgekit.declared": version.declared,
        "edgekit.data.training": made.training,
        "edgekit.data.evaluation": made.items,
        "edgekit.saved_model": made.saved_model,
    }
    for target, ships in version.targets.items():
        tags[named(f"edgekit.target.{target}")] = ships.candidate
        tags[named(f"edgekit.model.{target}")] = ships.model.sha256
        for bundle in ships.bundles:
            tags[named(f"edgekit.bundle.{target}.{bundle.kind}")] = bundle.sha256
    return replace(
        entry,
        model=version.model,
        version=version.number,
        version_tags=_texts(tags),
        note=version.note[:LONGEST_TEXT],
        alias=alias,
    )


def lineage_text(report: Report, commit: str) -> str:
    """Return by which digests a run's bundles came from its data, as JSON."""
    candidates = {one.id: one for one in report.candidates}
    targets = {
        target.id: {
            "candidate": target.candidate,
            "model": candidates[target.candidate].sha256,
            "semantic_hash": candidates[target.candidate].semantic_hash,
            "bundles": [
                {"kind": bundle.kind, "file": bundle.path.name, "sha256": bundle.sha256}
                for bundle in (target.bundle, *target.further_bundles)
                if bundle is not None
            ],
        }
        for target in report.targets
        if target.candidate in candidates
    }
    document = {**asdict(lineage_of(report)), "commit": commit, "targets": targets}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _times(run: str, seconds: float) -> dict[str, Any]:
    """Return a run's name, and its times by the local time in it, whenever it is sent."""
    if not RUN.fullmatch(run):
        raise ValueError(f"{run[:60]!r} is not the name of a run")
    try:
        started = datetime.datetime.strptime(run[:15], "%Y%m%d-%H%M%S").timestamp()
    except ValueError:
        started = time.time() - seconds
    return {"run": run, "started": int(1000 * started), "ended": int(1000 * (started + seconds))}


def _tags(origin: Origin, version: str, verdict: str) -> dict[str, str]:
    """Return the tags of any run; those of ``mlflow`` are what its page has columns for."""
    return {
        "mlflow.source.name": f"edgekit {origin.command}",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": origin.commit,
        "mlflow.user": origin.who.partition(" <")[0],
        "edgekit.command": origin.command,
        "edgekit.tool.edgekit": version,
        "edgekit.commit": origin.commit,
        "edgekit.verdict": verdict,
    }


def _tags_of(report: Report) -> Iterator[tuple[str, str]]:
    made = lineage_of(report)
    yield "edgekit.model", str(report.model["name"])
    yield "edgekit.declared", str(report.model["version"])
    yield "edgekit.data.training", made.training
    yield "edgekit.data.evaluation", made.items
    yield "edgekit.saved_model", made.saved_model
    yield "edgekit.precisions", ", ".join(one.id for one in report.candidates)
    yield "edgekit.targets", ", ".join(target.id for target in report.targets)
    for name, tool in made.tools.items():
        yield named(f"edgekit.tool.{name}"), tool
    for target in report.targets:
        yield named(f"edgekit.target.{target.id}"), target.candidate or "nothing"
        yield named(f"edgekit.status.{target.id}"), target.status.value
        for bundle in (target.bundle, *target.further_bundles):
            if bundle is not None:
                yield named(f"edgekit.bundle.{target.id}.{bundle.kind}"), bundle.sha256


def _parameters(report: Report) -> Iterator[tuple[str, Any]]:
    yield "model", report.model["name"]
    yield "version", report.model["version"]
    yield "source", report.model["source"]
    for name, value in _flat(report.settings):
        if not name.startswith(NOT_PARAMETERS):
            yield name, value
    for scheme in report.compression.schemes if report.compression else ():
        yield f"compress.{scheme.scheme}", scheme.requested


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what is set in a table and the tables below it, by names with dots."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif value not in (None, "", [], ()):
        yield name, value


def _data(report: Report) -> Iterator[DataUsed]:
    made = lineage_of(report)
    trained = report.settings.get("training") or {}
    if made.training:
        source = str(trained.get("data", {}).get("source", ""))
        yield DataUsed("training data", made.training, source, "training")
    if made.items:
        yield DataUsed("evaluated items", made.items, made.source, "evaluation")


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is said, as texts of names and lengths that MLflow takes."""
    told = {
        named(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
    }
    return {name: text[:LONGEST_TEXT] for name, text in told.items() if text}


def run_files(report: Report, run: Path) -> dict[str, Path]:
    """Return the files of a run by their path among MLflow's artefacts."""
    files = {name: run / name for name in ("report.json", "report.html")}
    for candidate in report.candidates:
        places = [run / "build" / candidate.id / "model.tflite"]
        places += [candidate.path] if candidate.path else []
        for path in filter(Path.is_file, places[:1] or places):
            files[f"models/{candidate.id}/model.tflite"] = path
    for target in report.targets:
        for bundle in (target.bundle, *target.further_bundles):
            if bundle is not None:
                path = run / "dist" / bundle.path.name
                files[f"bundles/{target.id}/{bundle.path.name}"] = (
                    path if path.is_file() else bundle.path
                )
    compressed = report.compression.files if report.compression else {}
    return files | {f"models/compressed/{name}": path for name, path in compressed.items()}


def version_files(version: Version, folder: Path) -> dict[str, Path]:
    """Return the files of a registered version by their path among MLflow's artefacts."""
    files = {"report.json": folder / "report.json"}
    for target, ships in version.targets.items():
        files[f"models/{ships.candidate}/model.tflite"] = folder / ships.model.path
        for bundle in ships.bundles:
            files[f"bundles/{target}/{Path(bundle.path).name}"] = folder / bundle.path
    return files
