"""TensorBoard's logs of a training: curves, graph, histograms, items, embeddings, parameters."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from edgekit.training.rates import learning_rate
from edgekit.training.watch import summaries
from edgekit.training.watch.answers import Answering, Answers, classes, probabilities
from edgekit.training.watch.batch import Batch
from edgekit.training.watch.events import EventLog
from edgekit.training.watch.pictures import captioned
from edgekit.training.watch.projector import write_embeddings
from edgekit.training.watch.settings import Settings
from edgekit.training.watch.steps import Look, name_of

TRAIN, VALIDATION = "train", "validation"
MOST_CURVES = 20
FIRST_PROFILED = 10


class Board:
    """Writes what TensorBoard shows of one training into a folder, by global steps.

    Epochs' figures are in the runs ``train`` and ``validation`` under the same names, so that one
    chart holds both. Items are those of ``validation``, else the sample.
    """

    def __init__(
        self, model: Any, settings: Settings, folder: Path, sample: Batch, validation: Batch | None
    ) -> None:
        self._model, self._settings, self._folder = model, settings, folder
        self._sample, self._items = sample, validation or sample
        self._run = VALIDATION if validation else TRAIN
        self._answering = Answering(model)
        self._logs: dict[str, EventLog] = {}
        self._begin = self._last = (time.monotonic(), 0)
        self._profiling = False

    def begin(self, step: int) -> None:
        """Open the logs at a step: what they hold of later ones is dropped."""
        root = EventLog(self._folder, step)
        self._logs = {"": root, TRAIN: EventLog(self._folder / TRAIN, step)}
        self._logs[self._run] = self._logs.get(self._run) or EventLog(
            self._folder / self._run, step
        )
        chosen = {"optimizer": type(getattr(self._model, "optimizer", None)).__name__}
        values = {**chosen, **self._settings.hyperparameters}
        self._write("", 0, hparams.hparams_pb(values, trial_id=self._folder.name))
        self._begin = self._last = (time.monotonic(), step)

    def graph(self) -> None:
        """Write the graph of the forward pass, as TensorFlow traces it."""
        import tensorflow as tf

        log = self._logs[TRAIN]
        if log.has_graph:
            return
        specs = tf.nest.map_structure(
            lambda each: tf.TensorSpec((None, *each.shape[1:]), each.dtype), self._sample.x
        )
        forward = tf.function(lambda x: self._model(x, training=False))
        definition = forward.get_concrete_function(specs).graph.as_graph_def(add_shapes=True)
        for node in definition.node:
            # A graph of nodes is what is drawn, and not the weights that a node may hold.
            if node.op == "Const" and node.ByteSize() > 4096:
                del node.attr["value"]
        log.add(Event(wall_time=time.time(), graph_def=definition.SerializeToString()))

    def look(self, step: int, look: Look) -> None:
        """Write the histograms of weights and gradients."""
        values = []
        for kind, arrays in (("weights", look.weights), ("gradients", look.gradients)):
            values += [summaries.histogram(f"{kind}/{name}", a) for name, a in arrays.items()]
        for name, gradient in look.gradients.items():
            norm = float(np.linalg.norm(gradient))
            values.append(summaries.scalar(f"gradient_norm/{name}", norm))
        self._write(TRAIN, step, *values)

    def weights(self, step: int) -> None:
        """Write the histograms of weights alone."""
        values = {
            name_of(one, self._model): np.asarray(one.numpy())
            for one in self._model.trainable_variables
        }
        self.look(step, Look(0.0, values, {}, {}, {}))

    def epoch(self, step: int, logs: Mapping[str, Any], waited: float | None) -> None:
        """Write an epoch's figures, with the learning rate, the speed and the zeros of weights."""
        for name, value in logs.items():
            run = VALIDATION if name.startswith("val_") else TRAIN
            if run == VALIDATION and run not in self._logs:
                self._logs[run] = EventLog(self._folder / run, self._begin[1])
            self._write(run, step, summaries.scalar(name.removeprefix("val_"), float(value)))
        now, (then, before) = time.monotonic(), self._last
        if step > before:
            speed = (step - before) / max(now - then, 1e-9)
            self._write(TRAIN, step, summaries.scalar("steps_per_second", speed))
        self._last = now, step
        if (rate := learning_rate(self._model)) is not None:
            self._write(TRAIN, step, summaries.scalar("learning_rate", rate))
        if waited is not None:
            self._write(TRAIN, step, summaries.scalar("input_wait", waited))
        self._write(TRAIN, step, *self._sparsity())

    def _sparsity(self) -> list[Any]:
        """Return the share of zeros in all kernels together, and in each."""
        kernels = {
            name_of(variable, self._model): np.asarray(variable.numpy())
            for variable in self._model.trainable_variables
            if len(variable.shape) > 1
        }
        zeros = {name: int((kernel == 0).sum()) for name, kernel in kernels.items()}
        count = sum(kernel.size for kernel in kernels.values())
        rows = [summaries.scalar("sparsity", sum(zeros.values()) / max(count, 1))]
        return rows + [
            summaries.scalar(f"sparsity/{name}", zeros[name] / kernel.size)
            for name, kernel in kernels.items()
        ]

    def items(self, step: int) -> None:
        """Write what the model makes of fixed items: the worst, the curves, the embeddings."""
        answers = self._answering(self._items)
        labels = self._items.y
        if answers.outputs is not None and hasattr(labels, "shape"):
            labels = np.asarray(labels)
            self._write(self._run, step, *self._curves(answers.outputs, labels))
            self._write(self._run, step, *self._worst(answers, labels))
        called = self._settings.called
        write_embeddings(self._folder / self._run, self._items, answers, called)

    def _curves(self, outputs: Any, labels: Any) -> list[Any]:
        likely, true_classes = probabilities(outputs, labels), classes(labels)
        if likely is None or true_classes is None:
            return []
        numbers = [1] if outputs.shape[1] == 1 else range(min(likely.shape[1], MOST_CURVES))
        # TensorBoard groups tags by what is before a slash.
        names = [self._settings.called(k).replace("/", "_") for k in range(likely.shape[1])]
        if not self._settings.class_names or len(set(names)) < len(names):
            names = [f"class_{k}" for k in range(likely.shape[1])]
        return [
            summaries.precision_recall(names[k], true_classes == k, likely[:, k]) for k in numbers
        ]

    def _worst(self, answers: Answers, labels: Any) -> list[Any]:
        pictures = self._items.images
        outputs = answers.outputs
        if pictures is None or outputs is None or not self._settings.images:
            return []
        likely, true_classes = probabilities(outputs, labels), classes(labels)
        if likely is not None and true_classes is not None:
            losses = -np.log(np.maximum(likely[np.arange(len(true_classes)), true_classes], 1e-12))
            called = self._settings.called
            said = [
                f"{called(label)} as {called(row.argmax())}"
                for label, row in zip(true_classes, likely, strict=True)
            ]
        elif outputs.size == labels.size:
            wrong = np.abs(outputs.reshape(len(outputs), -1) - labels.reshape(len(labels), -1))
            losses, said = wrong.mean(1), [""] * len(wrong)
        else:
            return []
        order = np.argsort(-losses, kind="stable")[: self._settings.images]
        shown = [
            captioned(pictures[at], ", ".join(filter(None, (said[at], f"{losses[at]:.2g}"))))
            for at in order
        ]
        text = "label as prediction, loss: items " + ", ".join(str(at) for at in order)
        return [summaries.images("worst", shown, text)]

    def profile(self, seen: int) -> None:
        """Begin to profile after some steps of this process, and end so many steps later."""
        import tensorflow as tf

        if not self._settings.profile:
            return
        if seen == FIRST_PROFILED:
            tf.profiler.experimental.start(str(self._folder / TRAIN))
            self._profiling = True
        elif self._profiling and seen >= FIRST_PROFILED + self._settings.profile:
            self._stop_profile()

    def _stop_profile(self) -> None:
        import tensorflow as tf

        if self._profiling:
            tf.profiler.experimental.stop()
        self._profiling = False

    def end(self, step: int) -> None:
        """Close the logs of a training that has ended."""
        self._stop_profile()
        ended = hparams_summary.session_end_pb(api_pb2.STATUS_SUCCESS)
        self._write("", step, ended)
        for log in set(self._logs.values()):
            log.close()

    def _write(self, run: str, step: int, *values: Any) -> None:
        self._logs[run].write(step, *values)
