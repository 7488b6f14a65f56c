"""Playing back: every answer is the recorded one, and no device is asked."""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgekit.errors import CassetteError, did_you_mean
from edgekit.targets.devices.book import DeviceBook, DeviceBudgets, Listed
from edgekit.targets.devices.cassette.archive import Cassette, damaged
from edgekit.targets.devices.cassette.faults import raised
from edgekit.targets.devices.cassette.redaction import Redactor
from edgekit.targets.devices.cassette.requests import difference, ids, normal, renamed
from edgekit.targets.devices.cassette.tape import Tape
from edgekit.targets.devices.device import Device
from edgekit.targets.devices.digests import Digests
from edgekit.types import Json, Request, RunnerResult


class Player(Tape):
    """The devices of a cassette.

    Raises :class:`CassetteError` where something is asked that was not recorded.
    """

    def __init__(self, cassette: Cassette) -> None:
        self.id = uuid.uuid4().hex
        self.cassette, self.digests = cassette, Digests()
        document = cassette.document
        self._tracks = {str(one["name"]): Played(one, self) for one in document["devices"]}
        self._names: dict[str, str] = {}

    def book(self, book: DeviceBook) -> DeviceBook:
        """Return what was recorded of the user's book, under what the user has named here."""
        recorded = {
            name: Listed(
                **{
                    **listed,
                    "members": tuple(listed["members"]),
                    "budgets": DeviceBudgets(**listed["budgets"]),
                }
            )
            for name, listed in self.cassette.document["listed"].items()
        }
        return DeviceBook({**recorded, **book.listed})

    def expand(self, names: Sequence[str], book: DeviceBook) -> tuple[str, ...]:
        """Return the devices that names stand for; without names, those that were recorded.

        Addresses are known by their placeholders, or by their order.
        """
        document = self.cassette.document
        if not names:
            return tuple(document["expanded"])
        expanded, hide = book.expand(names), Redactor()
        hide.learn(expanded, book.listed)
        self._names = {name: hide.address(name) for name in expanded}
        for name in expanded:
            self._track(name)
        return expanded

    def host(self, facts: Callable[[], Mapping[str, Json]]) -> Mapping[str, Json]:  # noqa: ARG002
        found: Mapping[str, Json] = self.cassette.document["host"]
        return found

    def open(self, name: str, reach: Callable[[], Device]) -> Device:  # noqa: ARG002
        track = self._track(name)
        if not track.opens:
            raise unrecorded(f"{name} was not reached so often when it was recorded", self)
        event = track.opens.popleft()
        if "error" in event:
            raise raised(event["error"])
        return Device(name=name, reached=track, **event["device"])

    def _track(self, name: str) -> Played:
        for known in (name, self._names.get(name, "")):
            if known in self._tracks:
                return self._tracks[known]
        recorded = sorted(self._tracks)
        hint = f"it holds {', '.join(recorded) or 'no device'}: name one, or leave out --device"
        message = f"{self.cassette.path} holds no {name}{did_you_mean(name, recorded)}"
        raise CassetteError("EK-DEVICE-093", message, hint)


class Played:
    """A transport that gives the recorded answers."""

    def __init__(self, track: Mapping[str, Json], player: Player) -> None:
        self._player = player
        self.opens = deque(track["opens"])
        self._facts, self._states = deque(track["facts"]), deque(track["states"])
        self._cores, self._clock = deque(track["cores"]), deque(track["clock"])
        self._runs, self._sessions = list(track["runs"]), list(track["sessions"])

    def facts(self) -> Mapping[str, Json]:
        found: Mapping[str, Json] = self._next(self._facts, "its facts")
        return found

    def state(self, core: int | None = None) -> Mapping[str, Json]:  # noqa: ARG002
        found: Mapping[str, Json] = self._next(self._states, "its state")
        return found

    def core(self) -> int | None:
        found: int | None = self._next(self._cores, "its core")
        return found

    def now(self) -> float:
        if not self._clock:
            raise unrecorded("its clock was not read so often", self._player)
        return float(self._clock.popleft())

    def run(self, request: Request) -> RunnerResult:
        event = self._found(self._runs, request)
        if "error" in event:
            raise raised(event["error"])
        for name, digest in event["outputs"].items():
            number, _, file = name.partition("/")
            # The name is a stranger's: it must not lead out of the folder.
            folder = request.models[int(number)].outputs or Path()
            path = folder / Path(file).name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._player.cassette.array(digest)
            path.write_bytes(self._player.cassette.content(digest))
        return _given(event["result"], request)

    def open(self, request: Request) -> PlayedSession:
        event = self._found(self._sessions, request)
        if "error" in event:
            raise raised(event["error"])
        return PlayedSession(event, request, self._player)

    def close(self) -> None:
        """Do nothing: there is nothing to end."""

    def _next(self, left: deque[Json], what: str) -> Json:
        if not left:
            raise unrecorded(f"{what} was not asked for so often", self._player)
        answer = left.popleft()
        if "error" in answer:
            raise raised(answer["error"])
        return answer["is"]

    def _found(self, left: list[Json], request: Request) -> Json:
        """Return the first that was recorded of a request, which is then used up."""
        asked = normal(request, self._player.digests)
        for number, event in enumerate(left):
            if event["request"] == asked:
                return left.pop(number)
        recorded = [event["request"] for event in (*self._runs, *self._sessions)]
        raise unrecorded(difference(asked, recorded), self._player)


class PlayedSession:
    """A session that gives the recorded answers, in the recorded order."""

    def __init__(self, event: Mapping[str, Json], request: Request, player: Player):
        self._request, self._player = request, player
        self._events = deque(event["events"])
        self._ns = player.cassette.array(event["ns"]).tolist() if "ns" in event else []
        self._at = 0

    def ready(self) -> RunnerResult:
        event = self._next({"call": "ready"})
        return _given(event["result"], self._request)

    def block(self, model: str, seconds: float, runs: int) -> list[int]:
        named = ids(self._request).get(model, model)
        event = self._next({"call": "block", "model": named, "for": seconds, "runs": runs})
        begin, self._at = self._at, self._at + int(event["count"])
        if self._at > len(self._ns):
            raise damaged(self._player.cassette.path, "it holds fewer times than it says")
        return list(self._ns[begin : self._at])

    def close(self) -> None:
        """Do nothing: there is nothing to end."""

    def _next(self, asked: Mapping[str, Json]) -> Mapping[str, Json]:
        if not self._events:
            raise unrecorded("a session was shorter when it was recorded", self._player)
        event: Mapping[str, Json] = self._events.popleft()
        recorded = {name: event.get(name) for name in asked}
        if recorded != asked:
            said = f"a session was asked {json.dumps(recorded)} then, and now {json.dumps(asked)}"
            raise unrecorded(said, self._player)
        if "error" in event:
            raise raised(event["error"])
        return event


def _given(result: RunnerResult, request: Request) -> RunnerResult:
    """Return a recorded result under the ids of the request."""
    return renamed(result, {name: own for own, name in ids(request).items()})


def unrecorded(why: str, player: Player) -> CassetteError:
    """Return the error of what was not recorded."""
    hint = "replay the command that was recorded: the same models, data and options"
    message = f"{player.cassette.path} does not hold what is asked: {why}"
    return CassetteError("EK-DEVICE-092", message, hint)
