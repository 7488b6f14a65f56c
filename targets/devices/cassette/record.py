"""Recording: everything that is asked of every device, with the answers and how long they took."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.targets.devices.book import DeviceBook, Listed
from edgekit.targets.devices.cassette.archive import Spool
from edgekit.targets.devices.cassette.faults import fault
from edgekit.targets.devices.cassette.redaction import Redactor
from edgekit.targets.devices.cassette.requests import ids, normal, renamed
from edgekit.targets.devices.cassette.tape import Tape
from edgekit.targets.devices.device import Device
from edgekit.targets.devices.digests import Digests
from edgekit.targets.devices.transport import Forwarding, RunnerSession, Transport
from edgekit.types import Json, Request, RunnerResult

Event = dict[str, Json]
Answer = TypeVar("Answer")


@dataclass
class Track:
    """What one device was asked, in order, by kind."""

    name: str
    opens: list[Event] = field(default_factory=list)
    facts: list[Json] = field(default_factory=list)
    states: list[Json] = field(default_factory=list)
    cores: list[Json] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)
    runs: list[Event] = field(default_factory=list)
    sessions: list[Event] = field(default_factory=list)


class Recorder(Tape):
    """Devices as they are, each with a :class:`Track`; arrays go to ``spool``."""

    def __init__(self, spool: Spool, redactor: Redactor) -> None:
        self.id = uuid.uuid4().hex
        self.spool, self.digests = spool, Digests()
        self._redactor = redactor
        self._tracks: dict[str, Track] = {}
        self._listed: dict[str, Listed] = {}
        self._asked: tuple[str, ...] = ()
        self._expanded: tuple[str, ...] = ()
        self._host: Mapping[str, Json] = {}
        self._lock = threading.Lock()

    @property
    def empty(self) -> bool:
        """Whether no device was asked for yet."""
        return not self._tracks

    def book(self, book: DeviceBook) -> DeviceBook:
        with self._lock:
            self._listed |= book.listed
        return book

    def expand(self, names: Sequence[str], book: DeviceBook) -> tuple[str, ...]:
        found = book.expand(names)
        self._asked, self._expanded = tuple(names), found
        return found

    def host(self, facts: Callable[[], Mapping[str, Json]]) -> Mapping[str, Json]:
        self._host = self._host or facts()
        return self._host

    def open(self, name: str, reach: Callable[[], Device]) -> Device:
        with self._lock:
            track = self._tracks.setdefault(name, Track(name))
        event: Event = {}
        try:
            with _noting(event):
                device = reach()
        except EdgekitError:
            track.opens.append(event)
            raise
        about = {
            "runtime": device.runtime,
            "version": device.version,
            "transport": device.transport,
            "address": device.address,
            "declared": device.declared,
        }
        track.opens.append({**event, "device": about})
        return replace(device, reached=Recorded(device.reached, track, self))

    def document(self) -> dict[str, Json]:
        """Return what was recorded, without secrets."""
        hide = self._redactor
        hide.learn(self._expanded, self._listed)
        # Before any text is looked at: each may name what another address holds.
        hide.learn(self._tracks, self._listed)
        for track in self._tracks.values():
            hide.learn((e["device"]["address"] for e in track.opens if "device" in e), {})
        expanded = [hide.address(name) for name in self._expanded]
        listed = {}
        for name in self._wanted():
            one = asdict(self._listed[name])
            one["address"] = hide.address(one["address"]) if one["address"] else ""
            one["members"] = [hide.address(member) for member in one["members"]]
            one |= {"name": hide.address(name), "benchmark_model": ""}
            listed[one["name"]] = one
        devices = []
        for name in sorted(self._tracks, key=self._order):
            noted = asdict(self._tracks[name])
            named = hide.address(noted.pop("name"))
            shown = hide.json(noted)
            for event, plain in zip(shown["opens"], noted["opens"], strict=True):
                if "device" in event:
                    event["device"]["address"] = hide.address(plain["device"]["address"])
            devices.append({"name": named, **shown})
        return {
            "asked": [hide.address(name) for name in self._asked],
            "expanded": expanded,
            "listed": listed,
            "host": hide.json(dict(self._host)),
            "devices": devices,
        }

    def _order(self, name: str) -> tuple[int, str]:
        known = name in self._expanded
        return (self._expanded.index(name) if known else len(self._expanded), name)

    def _wanted(self) -> list[str]:
        """Return the pages of the book that were used: groups asked for, and what they are made
        of.
        """
        names = [name for name in (*self._asked, *self._expanded) if name in self._listed]
        for name in names:
            names += [
                member
                for member in self._listed[name].members
                if member in self._listed and member not in names
            ]
        return list(dict.fromkeys(names))


class Recorded(Forwarding):
    """A transport that notes what it is asked."""

    def __init__(self, reached: Transport, track: Track, recorder: Recorder) -> None:
        self.reached, self._track, self._recorder = reached, track, recorder

    def facts(self) -> Mapping[str, Json]:
        return self._noted(self._track.facts, self.reached.facts)

    def state(self, core: int | None = None) -> Mapping[str, Json]:
        return self._noted(self._track.states, lambda: self.reached.state(core))

    def core(self) -> int | None:
        return self._noted(self._track.cores, self.reached.core)

    def now(self) -> float:
        found = self.reached.now()
        self._track.clock.append(found)
        return found

    def run(self, request: Request) -> RunnerResult:
        event: Event = {"request": normal(request, self._recorder.digests)}
        self._track.runs.append(event)
        with _noting(event):
            answer = self.reached.run(request)
        event["result"] = renamed(answer, ids(request))
        event["outputs"] = self._outputs(request)
        return answer

    def open(self, request: Request) -> RunnerSession:
        event: Event = {"request": normal(request, self._recorder.digests), "events": []}
        self._track.sessions.append(event)
        with _noting(event):
            session = self.reached.open(request)
        return RecordedSession(session, request, event, self._recorder)

    def _noted(self, into: list[Json], ask: Callable[[], Answer]) -> Answer:
        try:
            answer = ask()
        except EdgekitError as error:
            into.append({"error": fault(error)})
            raise
        into.append({"is": answer})
        return answer

    def _outputs(self, request: Request) -> dict[str, str]:
        """Return the arrays that a request has left, by model and file."""
        digests = {}
        for k, entry in enumerate(request.models):
            for path in sorted(entry.outputs.glob("*.npy")) if entry.outputs else ():
                digests[f"{k}/{path.name}"] = self._recorder.spool.file(path)
        return digests


class RecordedSession:
    """A session that notes what it is asked."""

    def __init__(
        self, session: RunnerSession, request: Request, event: Event, recorder: Recorder
    ) -> None:
        self._session, self._request, self._event = session, request, event
        self._recorder = recorder
        self._times: list[list[int]] = []
        self._open = True

    def ready(self) -> RunnerResult:
        event: Event = {"call": "ready"}
        self._event["events"].append(event)
        with _noting(event):
            answer = self._session.ready()
        event["result"] = renamed(answer, ids(self._request))
        event["outputs"] = {}
        return answer

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        named = ids(self._request).get(model, model)
        event: Event = {"call": "block", "model": named, "for": seconds, "runs": runs}
        self._event["events"].append(event)
        with _noting(event):
            times = self._session.block(model, seconds, runs)
        event["count"] = len(times)
        self._times.append(times)
        return times

    def close(self) -> None:
        if self._open:
            self._open = False
            every = np.asarray([ns for one in self._times for ns in one], dtype=np.uint64)
            self._event["ns"] = self._recorder.spool.array(every)
        self._session.close()


@contextlib.contextmanager
def _noting(event: Event) -> Iterator[None]:
    """Note how long something takes, and the error that it ends with."""
    begin = time.perf_counter()
    try:
        yield
    except EdgekitError as error:
        event["error"] = fault(error)
        raise
    finally:
        event["seconds"] = round(time.perf_counter() - begin, 6)
