"""The tape of a command: a new record, an old one, or none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgekit import scratch
from edgekit.errors import CassetteError
from edgekit.store import place, writing
from edgekit.targets.devices.cassette.archive import Spool, read
from edgekit.targets.devices.cassette.record import Recorder
from edgekit.targets.devices.cassette.redaction import Redactor
from edgekit.targets.devices.cassette.replay import Player
from edgekit.targets.devices.cassette.tape import Tape

FILE = "cassette.zip"


@contextlib.contextmanager
def tape_of(record: Path | None, replay: Path | None, folders: Mapping[str, str]) -> Iterator[Tape]:
    """Yield what a command's devices are on, while it runs.

    A record is written at the end, also that of a command that fails; not that of one that is
    interrupted. ``folders`` are not named in it, but what they are mapped to. Raises
    :class:`CassetteError`, and :class:`StoreError` where the record cannot be written.
    """
    if record is not None and replay is not None:
        message = "--record and --replay cannot be given together"
        raise CassetteError("EK-DEVICE-094", message, "a record of a record would be the same")
    if replay is not None:
        yield Player(read(replay))
        return
    if record is None:
        yield Tape()
        return
    with writing(record):
        record.resolve().parent.mkdir(parents=True, exist_ok=True)
    with scratch.held(prefix="edgekit-record-") as spool:
        recorder = Recorder(Spool(spool), Redactor(folders).of_this_host())
        try:
            yield recorder
        except Exception:
            if not recorder.empty:
                _save(recorder, spool, record)
            raise
        _save(recorder, spool, record)


def _save(recorder: Recorder, spool: Path, record: Path) -> None:
    made = spool / FILE
    recorder.spool.write(recorder.document(), made)
    place(made, record)
