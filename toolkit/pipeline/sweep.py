"""Trainings with other settings, by Optuna, to find the best: ``edgekit sweep``."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import tomli_w
from pydantic import ValidationError

from edgekit.errors import EdgekitError, ProjectError
from edgekit.pipeline.make import KERAS, obtain, settings_key, training, training_key
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.run import Run
from edgekit.project import Project
from edgekit.project.sweep import RangeTable, Space, SweepTable
from edgekit.project.train import TrainTable
from edgekit.types import Json, Progress, Silent, Sweep, Trial
from edgekit.usercode import fingerprint

FOLDER, NAME = "sweeps", "sweep"
# What a trial's own notes are called in the journal.
PROBLEM, SECONDS, EPOCHS, CUT = "problem", "seconds", "epochs", "cut off"
ARGUMENT = "model."


def sweep(
    project: Project, options: Options, progress: Progress, trials: int | None = None
) -> Sweep:
    """Try settings until there are enough trials, going on with those of a sweep that was killed.

    Raises :class:`ProjectError` where there is no sweep, no Optuna, or a key that is not one.
    """
    study = _Study(project, options)
    study.mend()
    table = study.table
    while study.finished < (trials or table.trials):
        if table.time_limit is not None and study.seconds >= table.time_limit:
            break
        study.tried(progress)
    return study.summary()


def swept(project: Project, options: Options) -> Project:
    """Return the project with the settings of the sweep's best trial.

    Raises :class:`ProjectError` where no trial of it has come to an end.
    """
    study = _Study(project, options)
    summary = study.summary()
    if summary.best is None:
        message = f"no trial of the sweep of {summary.name} has come to an end"
        raise ProjectError("EK-TRAIN-012", message, "run edgekit sweep first")
    best = next(trial for trial in summary.trials if trial.number == summary.best)
    return overlaid(project, best.parameters)


def import_optuna() -> Any:
    """Import Optuna. Raises :class:`ProjectError` where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        message = "a sweep needs Optuna, which is not installed"
        raise ProjectError("EK-TRAIN-010", message, "pip install 'edgekit[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def overlaid(project: Project, parameters: Mapping[str, Any]) -> Project:
    """Return a project with a trial's settings. Raises :class:`ProjectError` for a wrong one."""
    table = project.train.model_dump(mode="json", exclude_unset=True, exclude={"sweep"})
    arguments = dict(project.model.arguments)
    for name, value in parameters.items():
        if name.startswith(ARGUMENT):
            arguments[name.removeprefix(ARGUMENT)] = value
        else:
            _put(table, name, value)
    try:
        train = TrainTable.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"[train.sweep] settings: {where or 'a value'}: {first['msg']}"
        hint = "name keys of [train], and values that they take"
        raise ProjectError("EK-TRAIN-011", message, hint) from error
    model = project.model.model_copy(update={"arguments": arguments})
    return project.model_copy(update={"train": train, "model": model})


def _put(table: dict[str, Any], path: str, value: Any) -> None:
    *sections, key = path.split(".")
    for section in sections:
        table[section] = dict(table[section]) if isinstance(table.get(section), dict) else {}
        table = table[section]
    table[key] = value


class _Study:
    """A sweep's trials so far, in a journal below ``.edgekit``."""

    def __init__(self, project: Project, options: Options) -> None:
        named = project.train.sweep
        if named is None or not (named.settings or named.arguments):
            hint = "[train.sweep] settings = { learning_rate = [0.01, 0.001] }, for example"
            message = "[train.sweep] names no settings or arguments to try"
            raise ProjectError("EK-TRAIN-011", message, hint)
        self.table: SweepTable = named
        self._project, self._options = project, replace(options, evaluate=True)
        self._spaces = {
            **self.table.settings,
            **{f"{ARGUMENT}{name}": space for name, space in self.table.arguments.items()},
        }
        for first in _corners(self._spaces):
            overlaid(project, first)
        self.figure, self.highest = _objective(project.train, self.table)
        optuna = import_optuna()
        plan = Plan.of_model(project, self._options)
        self._name = plan.name
        folder = plan.output / ".edgekit" / FOLDER
        self.journal = folder / f"{plan.name}-{self._digest(plan)}.journal"
        folder.mkdir(parents=True, exist_ok=True)
        backend = optuna.storages.journal.JournalFileBackend(str(self.journal))
        self._study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name=NAME,
            direction="maximize" if self.highest else "minimize",
            load_if_exists=True,
        )

    def _digest(self, plan: Plan) -> str:
        """Tell a sweep from one of other data, code, settings or ranges."""
        project, table = self._project, self.table
        with Run(plan, Silent()) as run:
            data = training(run, project.train.all_epochs)
            if data is None:
                hint = 'name labelled items: [data] train = "data.py:train"'
                raise ProjectError("EK-TRAIN-011", "there is no data to train on", hint)
            key: Mapping[str, Json] = run.key(
                *KERAS,
                files=dict(fingerprint(project.model.source, project.root)),
                arguments=dict(project.model.arguments),
                training=training_key(data),
                settings=settings_key(project.train, project.root),
                sweep=table.model_dump(mode="json", exclude={"trials", "time_limit"}),
            )
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:8]

    def mend(self) -> None:
        """Try again first what a killed sweep was at: its training goes on from its state."""
        optuna = import_optuna()
        for cut in self._study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
            self._study.enqueue_trial(cut.params)
            self._study._storage.set_trial_user_attr(cut._trial_id, CUT, True)
            self._study.tell(cut.number, state=optuna.trial.TrialState.FAIL)

    @property
    def _done(self) -> list[Any]:
        """The trials that came to an end, well or not."""
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state.is_finished() and not trial.user_attrs.get(CUT)
        ]

    @property
    def finished(self) -> int:
        """How many trials came to an end."""
        return len(self._done)

    @property
    def seconds(self) -> float:
        """How long they took."""
        return math.fsum(trial.user_attrs.get(SECONDS, 0.0) for trial in self._done)

    def tried(self, progress: Progress) -> None:
        """Choose settings and train with them. What goes wrong is the trial's problem."""
        optuna = import_optuna()
        samplers, seed = optuna.samplers, self.table.seed + self.finished
        # Anew for each trial: a sweep that goes on chooses as if it had not been interrupted.
        kinds = {"tpe": samplers.TPESampler, "random": samplers.RandomSampler}
        self._study.sampler = kinds[self.table.sampler](seed=seed)
        trial = self._study.ask()
        chosen = {name: _suggested(trial, name, space) for name, space in self._spaces.items()}
        begin = time.monotonic()
        values: list[float] = []
        try:
            with _noted(trial):
                for own in self.table.seeds or (self._project.train.seed,):
                    project = overlaid(self._project, {**chosen, "seed": own})
                    value, epochs = self._figure(project, progress)
                    trial.set_user_attr(EPOCHS, epochs)
                    values.append(value)
        finally:
            trial.set_user_attr(SECONDS, time.monotonic() - begin)
        mean = statistics.fmean(values) if values else math.nan
        failed = trial.user_attrs.get(PROBLEM) or not math.isfinite(mean)
        if failed and not trial.user_attrs.get(PROBLEM):
            trial.set_user_attr(PROBLEM, f"{self.figure} is not a finite number")
        state = optuna.trial.TrialState
        self._study.tell(trial, None if failed else mean, state.FAIL if failed else state.COMPLETE)

    def _figure(self, project: Project, progress: Progress) -> tuple[float, int]:
        """Train, or take what is trained from the store: the figure, and the epochs it took."""
        with Run(Plan.of_model(project, self._options), progress) as run:
            artefact = obtain(run).trained
        facts = artefact.facts if artefact else {}
        figures = facts.get("history", {})
        if self.figure not in figures:
            message = f"[train.sweep] figure = {self.figure!r}: an epoch has no such figure"
            hint = f"it has {', '.join(figures)}; those of validation begin with val_"
            raise ProjectError("EK-TRAIN-004", message, hint)
        return float(figures[self.figure]), int(facts["trained"]["epochs"])

    def summary(self) -> Sweep:
        """Return what the sweep has come to so far."""
        trials = tuple(_trial(one) for one in self._done)
        valid = [trial for trial in trials if trial.value is not None]
        sign = 1 if self.highest else -1
        best = max(valid, key=lambda trial: sign * (trial.value or 0.0), default=None)
        toml = self._toml(best.parameters) if best else ""
        number = best.number if best else None
        return Sweep(self._name, self.figure, self.highest, trials, number, toml, self.journal)

    def _toml(self, parameters: Mapping[str, Any]) -> str:
        """Return a trial's settings as they stand in edgekit.toml."""
        project = overlaid(self._project, parameters)
        said = project.train.model_dump(mode="json", exclude_unset=True)
        train: dict[str, Any] = {}
        for name, value in parameters.items():
            top, _, below = name.partition(".")
            if not name.startswith(ARGUMENT):
                train[top] = said[top] if below else value
        tables: dict[str, Any] = {"train": train} if train else {}
        if any(name.startswith(ARGUMENT) for name in parameters):
            tables["model"] = {"arguments": dict(project.model.arguments)}
        return tomli_w.dumps(tables)


@contextmanager
def _noted(trial: Any) -> Iterator[None]:
    """Keep an error as the trial's problem, but one of the project, which all trials would meet."""
    try:
        yield
    except EdgekitError as error:
        if error.code in ("EK-TRAIN-004", "EK-TRAIN-011"):
            raise
        trial.set_user_attr(PROBLEM, f"{error.code}: {error.message}"[:500])


def _objective(train: TrainTable, table: SweepTable) -> tuple[str, bool]:
    """Return the figure that trials are judged by, and whether a higher one is better."""
    figure = table.figure or train.figure or "val_loss"
    if table.figure_is is not None:
        return figure, table.figure_is == "highest"
    try:
        return figure, TrainTable(best=figure).higher
    except ValidationError as error:
        message = f"[train.sweep]: is a higher or a lower {figure} better?"
        raise ProjectError("EK-TRAIN-011", message, 'add figure_is = "highest" or "lowest"') from (
            error
        )


def _corners(spaces: Mapping[str, Space]) -> Iterator[Mapping[str, Any]]:
    """Yield settings that hold every bound and choice of each space, the others being first."""
    values = {
        name: (space.low, space.high) if isinstance(space, RangeTable) else space
        for name, space in spaces.items()
    }
    first = {name: found[0] for name, found in values.items()}
    for name, found in values.items():
        for value in found:
            yield {**first, name: value}


def _suggested(trial: Any, name: str, space: Space) -> Any:
    if not isinstance(space, RangeTable):
        return trial.suggest_categorical(name, list(space))
    if space.whole:
        return trial.suggest_int(name, space.low, space.high, step=space.step or 1, log=space.log)
    return trial.suggest_float(name, space.low, space.high, step=space.step, log=space.log)


def _trial(trial: Any) -> Trial:
    notes = trial.user_attrs
    return Trial(
        number=trial.number,
        parameters=dict(trial.params),
        value=trial.value,
        epochs=notes.get(EPOCHS, 0),
        seconds=notes.get(SECONDS, 0.0),
        problem=notes.get(PROBLEM, ""),
    )
