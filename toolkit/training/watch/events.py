"""The event files that TensorBoard reads, appended to without doubling when training resumes."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

VERSION = "brain.Event:2"


class EventLog:
    """The event file of one run of TensorBoard's, such as ``train`` or ``validation``.

    What earlier files of the folder hold of later steps than ``step`` is dropped, for training
    goes on from there; the rest is kept. Every event is on disk once it is written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._step = step
        kept = [event for event in read(folder) if event.step <= step]
        self._written = {
            value.tag for event in kept if event.step == step for value in event.summary.value
        }
        self.has_graph = any(event.graph_def for event in kept)
        old = list(files(folder))
        name = f"events.out.tfevents.{int(time.time()):010d}.edgekit.{uuid.uuid4().hex[:8]}"
        part = folder / f".{name}"
        self._file = part.open("wb")
        self._records = RecordWriter(self._file)
        for event in [Event(wall_time=time.time(), file_version=VERSION), *kept]:
            self._records.write(event.SerializeToString())
        self._file.flush()
        part.rename(folder / name)
        for path in old:
            path.unlink()

    def write(self, step: int, *summaries: Any) -> None:
        """Write summaries of one step; a value that was written before the resume is left out."""
        values = [
            value
            for summary in summaries
            # Some are of TensorFlow's own copy of the class.
            for value in Summary.FromString(summary.SerializeToString()).value
            if step > self._step or value.tag not in self._written
        ]
        if values:
            self.add(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def add(self, event: Any) -> None:
        """Write one event."""
        self._records.write(event.SerializeToString())
        self._file.flush()

    def close(self) -> None:
        """Close the file; writing to it is an error from then on."""
        self._file.close()


def files(folder: Path) -> list[Path]:
    """List the event files of a folder, not of those below it."""
    return sorted(folder.glob("events.out.tfevents.*"), key=lambda path: path.name)


def read(folder: Path) -> list[Any]:
    """Read all events of a folder but those that name the file's version.

    What a killed process left of its last event is passed over.
    """
    from tensorflow.compat.v1.io import tf_record_iterator
    from tensorflow.errors import DataLossError

    events = []
    for path in files(folder):
        try:
            for record in tf_record_iterator(os.fspath(path)):
                event = Event.FromString(record)
                if not event.file_version:
                    events.append(event)
        except DataLossError:
            continue
    return events
