"""Fit a Keras model of either generation. Runs in the worker."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data import match
from edgekit.data.preprocessing import apply
from edgekit.errors import ModelError
from edgekit.models.export import export_both
from edgekit.models.inputs import inputs_of
from edgekit.models.load import build, is_keras3, library
from edgekit.store import write_text
from edgekit.training.feed import Feed, Training, described
from edgekit.usercode import user_errors

Report = Callable[[float, float, str], None]
HISTORY = "history.csv"


def train(
    source: str,
    root: Path,
    training: Training | None,
    partial: Path,
    folder: Path,
    progress: Report | None = None,
) -> Mapping[str, Any]:
    """Build the user's model, fit it, and write ``model.keras`` and its SavedModel to ``folder``,
    with ``history.csv``, a line an epoch.

    Without ``training`` the model is taken as the user's function returns it. Finished epochs are
    kept in ``partial``, from where the same call resumes. Returns the export's facts, the last
    epoch's figures as ``history``, and as ``not_saved`` why a subclassed model left no
    ``model.keras``, if so.
    """
    history: Mapping[str, float] = {}
    if training is not None:
        seed_everything(training.seed)
    model = build(source, root)
    items = described(training.dataset, training.preprocess) if training else None
    if training is not None:
        if getattr(model, "optimizer", None) is None:
            hint = "return a compiled model: model.compile(optimizer, loss, metrics)"
            raise ModelError("EK-MODEL-012", f"{source} returned a model not compiled", hint)
        with user_errors(source):
            kept = [backup(model, partial), history_callback(model, partial / HISTORY)]
            history = fit(model, training, training.epochs, kept, progress)
        shutil.copyfile(partial / HISTORY, folder / HISTORY)
    facts = dict(export_both(model, folder, True, inputs=inputs_of(model, items)))
    return {
        **facts,
        "history": history,
        "generation": "keras3" if is_keras3(model) else "keras2",
        "not_saved": _save(model, folder / "model.keras"),
    }


def _save(model: Any, path: Path) -> str:
    """Save a model as ``.keras``, and say why it cannot be; its SavedModel counts."""
    try:
        model.save(path)
    except (NotImplementedError, TypeError, ValueError) as error:
        path.unlink(missing_ok=True)
        return " ".join(str(error).split())[:300]
    return ""


def fit(
    model: Any, training: Training, epochs: int, callbacks: list[Any], progress: Report | None
) -> Mapping[str, float]:
    """Fit a compiled model, and return the last epoch's figures."""
    feed = Feed.of(model, training)
    shown = [progress_callback(model, epochs, progress)] if progress else []
    history = model.fit(
        feed.batches(0, epochs),
        validation_data=feed.validation(),
        epochs=epochs,
        steps_per_epoch=feed.steps_per_epoch,
        verbose=0,
        callbacks=[*callbacks, *shown],
    )
    return {name: float(values[-1]) for name, values in history.history.items() if values}


def backup(model: Any, folder: Path) -> Any:
    """Build a callback that keeps finished epochs in ``folder`` until training has ended.

    What a killed process left half-written there is removed: training then starts over.
    """
    if not _whole(folder / "backup"):
        shutil.rmtree(folder / "backup")
    folder.mkdir(parents=True, exist_ok=True)
    return library(model).callbacks.BackupAndRestore(str(folder / "backup"))


def history_callback(model: Any, path: Path) -> Any:
    """Build a callback that writes every epoch's figures as CSV, on from where a killed run was."""

    class History(library(model).callbacks.Callback):  # type: ignore[misc]
        """Write every epoch's figures as CSV."""

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            # An epoch whose backup was not whole is trained again.
            rows = [*_rows(path)[:epoch], {"epoch": epoch + 1, **(logs or {})}]
            text = io.StringIO()
            names = dict.fromkeys(name for row in rows for name in row)
            writer = csv.DictWriter(text, list(names), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            write_text(path, text.getvalue())

    return History()


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _whole(folder: Path) -> bool:
    """Tell whether the files that Keras keeps of an epoch can be read."""
    import h5py

    try:
        for path in folder.rglob("*.h5"):
            h5py.File(path, "r").close()
        for path in folder.rglob("*.json"):
            json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return True


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and TensorFlow."""
    import keras

    keras.utils.set_random_seed(seed)


def items(model: Any, training: Training) -> tuple[Any, Any]:
    """Return the preprocessed inputs in the model's structure, and the labels."""
    inputs = inputs_of(model, described(training.dataset, training.preprocess))
    dataset, preprocess = training.dataset, training.preprocess
    arrays = match(dataset, inputs.specs, preprocess).inputs
    x = {s.name: apply(np.load(arrays[s.name], mmap_mode="r"), s, preprocess) for s in inputs.specs}
    if not getattr(model, "built", True):
        # The backup of epochs needs the variables to exist.
        first = inputs.pack({name: array[:1] for name, array in x.items()})
        if isinstance(model, library(model).Sequential):
            model.build((None, *first.shape[1:]))
        else:
            model(first)
    return inputs.pack(x), dataset.open_labels()


def progress_callback(model: Any, epochs: int, progress: Report) -> Any:
    """Build a callback that reports batches as they pass."""

    class Shown(library(model).callbacks.Callback):  # type: ignore[misc]
        """Report batches as they pass."""

        epoch = 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            steps = self.params.get("steps") or 1
            if batch % max(1, steps // 20) == 0:
                self._report(batch + 1, steps, logs)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self._report(1, 1, logs)

        def _report(self, step: int, steps: int, logs: Any) -> None:
            figures = ", ".join(f"{k} {float(v):.3f}" for k, v in (logs or {}).items())
            text = f"epoch {self.epoch + 1}/{epochs}" + (f": {figures}" if figures else "")
            progress(self.epoch + step / steps, epochs, text)

    return Shown()
