"""Entries as runs, registered versions and aliases of MLflow; imported by the sender alone."""

from __future__ import annotations

import posixpath
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from edgekit.record.mlflow.entry import Entry, SentFile
from edgekit.store import sha256

T = TypeVar("T")
# The tags by which an entry finds what was made of it before.
RUN, VERSION, LOST = "edgekit.run", "edgekit.version", "edgekit.lost"
FINISHED = "FINISHED"
# What one request may hold.
METRICS, OTHERS = 1000, 100
LONGEST_DIGEST = 36
THERE_ALREADY = "RESOURCE_ALREADY_EXISTS"
LOCAL = ("", "file")


class Client:
    """A database or server of MLflow. Each method raises what MLflow raises."""

    def __init__(self, uri: str, artifacts: str | None) -> None:
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._artifacts = artifacts

    def send(self, entry: Entry, files: Path) -> list[str]:
        """Record an entry, or the rest of it where a part is there already.

        Returns the files that were not sent, because they are not what they were.
        """
        lost: list[str] = []
        run = self._run(entry)
        if run.info.status != FINISHED:
            self._log(run.info.run_id, entry)
            lost = self._upload(run, entry.files, files)
            if lost:
                self._client.set_tag(run.info.run_id, LOST, ", ".join(lost)[:500])
            self._client.set_terminated(run.info.run_id, FINISHED, entry.ended)
        if entry.version is not None:
            self._register(entry, run)
        return lost

    def _run(self, entry: Entry) -> Any:
        experiment = self._experiment(entry.experiment)
        chosen = f"tags.`{RUN}` = '{entry.run}'"
        found = self._client.search_runs([experiment], chosen, max_results=1)
        if found:
            return found[0]
        tags = {RUN: entry.run, **entry.tags}
        return self._client.create_run(experiment, entry.started, tags, entry.run)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = f"{self._artifacts}/{urllib.parse.quote(name, '')}" if self._artifacts else None
        try:
            return str(self._client.create_experiment(name, place))
        except MlflowException as error:
            if error.error_code != THERE_ALREADY:
                raise
            return str(self._client.get_experiment_by_name(name).experiment_id)

    def _log(self, run: str, entry: Entry) -> None:
        """Log figures in few requests: one by one, a hundred take a quarter of a minute."""
        metrics = [Metric(m.name, m.value, entry.ended, m.step) for m in entry.metrics]
        parameters = [Param(name, value) for name, value in entry.parameters.items()]
        tags = [RunTag(name, value) for name, value in entry.tags.items()]
        for some in _parts(metrics, METRICS):
            self._client.log_batch(run, metrics=some)
        for some_parameters in _parts(parameters, OTHERS):
            self._client.log_batch(run, params=some_parameters)
        for some_tags in _parts(tags, OTHERS):
            self._client.log_batch(run, tags=some_tags)
        used = [
            DatasetInput(
                Dataset(data.name, data.digest[:LONGEST_DIGEST], "local", data.source),
                [InputTag("mlflow.data.context", data.context)],
            )
            for data in entry.data
        ]
        if used:
            self._client.log_inputs(run, used)

    def _upload(self, run: Any, files: Sequence[SentFile], folder: Path) -> list[str]:
        self._check_place(str(run.info.artifact_uri))
        there = self._there(run.info.run_id, files)
        lost = []
        for file in files:
            path = folder / file.path
            if there.get(file.path) == file.bytes:
                continue
            if not path.is_file() or sha256(path) != file.sha256:
                lost.append(file.path)
                continue
            below = posixpath.dirname(file.path) or None
            self._client.log_artifact(run.info.run_id, str(path), below)
        return lost

    def _check_place(self, uri: str) -> None:
        """Refuse to write where a server says, on this machine's own disk."""
        if self._artifacts is None and urllib.parse.urlsplit(uri).scheme in LOCAL:
            raise ValueError(
                f"the server keeps artefacts in {uri[:100]}, a folder of its own machine: start it"
                " with --serve-artifacts"
            )

    def _there(self, run: str, files: Iterable[SentFile]) -> dict[str, int]:
        """Return the sizes of the artefacts that are there, in the folders that files go to."""
        folders = {posixpath.dirname(file.path) for file in files}
        return {
            str(artefact.path): int(artefact.file_size)
            for folder in sorted(folders)
            for artefact in self._client.list_artifacts(run, folder or None)
            if not artefact.is_dir and artefact.file_size is not None
        }

    def _register(self, entry: Entry, run: Any) -> None:
        """Register the entry's version, unless it is, and let it take the alias."""
        try:
            self._client.create_registered_model(entry.model)
        except MlflowException as error:
            if error.error_code != THERE_ALREADY:
                raise
        tags = {RUN: entry.run, VERSION: str(entry.version), **entry.version_tags}
        number = self._number(entry)
        if number is None:
            made = self._client.create_model_version(
                entry.model,
                run.info.artifact_uri,
                run.info.run_id,
                tags=tags,
                description=entry.note or None,
                await_creation_for=0,
            )
            number = str(made.version)
        if entry.alias:
            self._client.set_registered_model_alias(entry.model, entry.alias, number)

    def _number(self, entry: Entry) -> str | None:
        """Return MLflow's own number of a version: it counts for itself."""
        wanted = (entry.run, str(entry.version))
        for each in self._client.search_model_versions(f"name='{entry.model}'"):
            if (each.tags.get(RUN), each.tags.get(VERSION)) == wanted:
                return str(each.version)
        return None


def _parts(items: Sequence[T], most: int) -> Iterator[list[T]]:
    for start in range(0, len(items), most):
        yield list(items[start : start + most])
