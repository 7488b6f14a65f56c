"""Count what a model is given and what it answers, into compact records: statistics, no items.

A record is one JSON line about a window of items: for every feature how many fell into each of the
bins that the bundle's golden items were counted in, the classes, how sure the model was, how long
it took, and what failed. The sum of two records is the record of both. ``edgekit monitor`` reads
them. What a feature is, and its bins, says ``monitoring.json`` of the bundle. Items themselves are
kept only where somebody asks for it, by :class:`RawItems` of ``raw_items.py`` as ``raw``.

    golden = json.loads(Path("monitoring.json").read_text(encoding="utf-8"))
    recorder = Recorder(golden, "records")
    recorder.add({"image": items}, outputs, [elapsed_ns])
    recorder.close()

Nothing here fails the app: what cannot be counted is counted as an error of the record, and what
cannot be written waits for the next window. Needs numpy alone; works on Python 3.9 and later.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Sequence, Union

import numpy as np

SCHEMA_VERSION = 1
FILE = "records.jsonl"
# A file is at most so large, and so many older ones are kept beside it: records-1.jsonl is newest.
MOST_BYTES = 8 << 20
OLDER = 3
# Of a bucket of latency: as many steps as this between a time and the double of it, so that none
# is wider than a sixteenth. The scheme is that of HdrHistogram.
STEPS = 16
STATISTICS = ("mean", "std", "min", "max", "sharpness")


def features(tensor: Mapping[str, Any], values: Any) -> Any:
    """Return the features of items ``[n, ...]`` of a tensor, float64 ``[n, features]``.

    Small tensors are their values. Of others, channel by channel: mean, standard deviation, min,
    max, and for pictures the sharpness, which is the mean step from a pixel to the next in its row.
    Items of another size than the tensor's have no features: NaN.
    """
    flat = np.asarray(values)
    flat = flat.reshape(len(flat), -1).astype(np.float64)
    names = tensor["statistics"]
    wide = len(names) * tensor["channels"] if names else tensor["values"]
    if flat.shape[1] != tensor["values"]:
        return np.full((len(flat), wide), np.nan)
    if not names:
        return flat
    figures = np.empty((len(flat), tensor["channels"], len(names)))
    with np.errstate(all="ignore"):
        parts = flat.reshape(len(flat), -1, tensor["channels"], tensor["stride"])
        for channel in range(tensor["channels"]):
            own = parts[:, :, channel].reshape(len(flat), -1)
            mean = own.mean(axis=1)
            figures[:, channel, 0] = mean
            figures[:, channel, 1] = np.sqrt(((own - mean[:, None]) ** 2).mean(axis=1))
            figures[:, channel, 2] = own.min(axis=1)
            figures[:, channel, 3] = own.max(axis=1)
        if "sharpness" in names:
            figures[:, :, 4] = sharpness(tensor, flat)
    return figures.reshape(len(flat), wide)


def sharpness(tensor: Mapping[str, Any], flat: Any) -> Any:
    """Return the mean step between neighbours in a row, by item and channel."""
    step, width = tensor["step"], tensor["width"]
    rows = flat.reshape(len(flat), -1, width, step)
    steps = np.abs(np.diff(rows, axis=2))
    places = np.arange(flat.shape[1]).reshape(-1, width, step)[:, :-1]
    channels = places // tensor["stride"] % tensor["channels"]
    return np.stack(
        [steps[:, channels == k].mean(axis=1) for k in range(tensor["channels"])], axis=1
    )


def classes(spec: Mapping[str, Any], values: Any) -> Any:
    """Return the class and the confidence of items ``[n, ...]`` of the output that scores them.

    The class of an item with a score that is not a number is -1, its confidence NaN. One score
    alone is that of the second of two classes, which it is above the threshold.
    """
    scores = np.asarray(values)
    scores = scores.reshape(len(scores), -1).astype(np.float64)
    with np.errstate(all="ignore"):
        if spec["threshold"] is not None:
            share = 1 / (1 + np.exp(-scores[:, 0])) if spec["activation"] else scores[:, 0]
            best = (scores[:, 0] > spec["threshold"]).astype(np.int64)
            sure = np.maximum(share, 1 - share)
        else:
            best, sure = scores.argmax(axis=1), scores.max(axis=1)
            if spec["activation"]:
                sure = 1 / np.exp(scores - sure[:, None]).sum(axis=1)
    whole = np.isfinite(scores).all(axis=1)
    return np.where(whole, best, -1), np.where(whole, sure, np.nan)


def bucket(nanoseconds: int) -> int:
    """Return the number of the bucket of latency that a time falls into."""
    value = max(0, int(nanoseconds))
    if value < STEPS:
        return value
    doublings = value.bit_length() - STEPS.bit_length()
    return doublings * STEPS + (value >> doublings)


def bounds(number: int) -> Any:
    """Return the first time of a bucket and the first after it, in nanoseconds."""
    if number < STEPS:
        return number, number + 1
    doublings = number // STEPS - 1
    first = (number - doublings * STEPS) << doublings
    return first, first + (1 << doublings)


class Counts:
    """What is counted of one feature: its bins; of what is finite the sum, least and largest."""

    def __init__(self, edges: Sequence[float]):
        self.edges = np.asarray(edges, np.float64)
        self.counts = np.zeros(len(edges) + 1, np.int64)
        self.nan, self.sum = 0, 0.0
        self.min, self.max = np.inf, -np.inf

    def add(self, values: Any) -> None:
        finite = values[np.isfinite(values)]
        self.nan += len(values) - len(finite)
        if len(finite):
            places = np.searchsorted(self.edges, finite, side="left")
            self.counts += np.bincount(places, minlength=len(self.counts))
            self.sum += float(finite.sum())
            self.min = min(self.min, float(finite.min()))
            self.max = max(self.max, float(finite.max()))

    def facts(self) -> Dict[str, Any]:
        count = int(self.counts.sum())
        return {
            "counts": self.counts.tolist(),
            "n": count,
            "nan": self.nan,
            "sum": self.sum,
            "min": self.min if count else None,
            "max": self.max if count else None,
        }


class Window:
    """What is counted of the items of a window."""

    def __init__(self, golden: Mapping[str, Any], began: float):
        self.golden, self.began = golden, began
        self.items = self.errors = self.unrecorded = 0
        self.features = {one["name"]: Counts(one["edges"]) for one in golden["features"]}
        self.classes: Dict[str, int] = {}
        self.latency: Dict[str, int] = {}
        self.longest = 0

    def add(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Any], latencies: Sequence[int]
    ) -> None:
        """Count items. Raises what numpy raises, before anything is counted."""
        given = {"input": inputs, "output": outputs}
        columns: Dict[str, Any] = {}
        count = max([len(values) for values in (*inputs.values(), *outputs.values())], default=0)
        for tensor in self.golden["tensors"]:
            values = given[tensor["side"]].get(tensor["name"])
            if values is not None:
                found = features(tensor, values)
                columns.update(zip(tensor["features"], found.T))  # noqa: B905  (Python 3.9 has no strict)
        best: Any = ()
        spec = self.golden["classes"]
        if spec is not None and spec["output"] in outputs:
            best, sure = classes(spec, outputs[spec["output"]])
            columns[spec["feature"]] = sure
        buckets = [bucket(one) for one in latencies]
        for name, column in columns.items():
            self.features[name].add(column)
        for number in best:
            if number >= 0:
                self.classes[str(number)] = self.classes.get(str(number), 0) + 1
        for number, one in zip(buckets, latencies):  # noqa: B905
            self.latency[str(number)] = self.latency.get(str(number), 0) + 1
            self.longest = max(self.longest, int(one))
        self.items += count

    @property
    def empty(self) -> bool:
        return not (self.items or self.errors or self.unrecorded)

    def facts(self, device: str, ended: float) -> Dict[str, Any]:
        """Return the record: what is summed, and what it is of."""
        return {
            "schema_version": SCHEMA_VERSION,
            "golden": self.golden["digest"],
            "name": self.golden["name"],
            "version": self.golden["version"],
            "device": device,
            "began": moment(self.began),
            "ended": moment(ended),
            "n": self.items,
            "errors": self.errors,
            "unrecorded": self.unrecorded,
            "latency": {
                "n": sum(self.latency.values()),
                "max_ns": self.longest,
                "buckets": dict(sorted(self.latency.items(), key=lambda one: int(one[0]))),
            },
            "classes": dict(sorted(self.classes.items(), key=lambda one: int(one[0]))),
            "features": {name: one.facts() for name, one in self.features.items()},
        }


class Recorder:
    """Writes a record a window, of so many items or so many seconds, whichever ends first.

    ``folder`` holds ``records.jsonl`` and older files of it, bounded in all. ``device`` says where
    it runs, by default the processor. Threads may share a recorder; ``close`` writes what is left.
    ``raw`` keeps a sample of items beside the records, none unless it is given; whatever goes wrong
    with it costs no count.
    """

    def __init__(
        self,
        golden: Mapping[str, Any],
        folder: Union[str, Path],
        items: int = 1000,
        seconds: float = 3600.0,
        device: str = "",
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.time,
        raw: Any = None,
    ):
        self.golden, self.folder = golden, Path(folder)
        self.items, self.seconds, self.most_bytes = items, seconds, most_bytes
        self.device, self.clock = device or processor(), clock
        self.raw = raw
        self.lock = threading.Lock()
        self.window = Window(golden, clock())
        # Why the newest window could not be written yet; empty where it was.
        self.problem = ""

    def add(
        self,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        latencies: Sequence[int] = (),
    ) -> None:
        """Count items ``[n, ...]`` by the names of inputs and outputs, and times in nanoseconds."""
        with self.lock:
            try:
                self.window.add(inputs, outputs, latencies)
            except Exception as error:
                self.problem = "an item could not be counted: %s" % error
                self.window.unrecorded += 1
            else:
                self._keep(inputs, outputs)
            self._end(force=False)

    def _keep(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        if self.raw is None:
            return
        try:
            self.raw.add(inputs, outputs)
        except Exception as error:
            self.problem = "an item could not be kept: %s" % error

    def error(self, count: int = 1) -> None:
        """Count items that the app could not answer."""
        with self.lock:
            self.window.errors += count
            self._end(force=False)

    def close(self) -> None:
        """Write the window that is open, if it counted anything."""
        with self.lock:
            self._end(force=True)

    def _end(self, force: bool) -> None:
        now, window = self.clock(), self.window
        seen = window.items + window.errors + window.unrecorded
        due = force or seen >= self.items or now - window.began >= self.seconds
        if not due or window.empty:
            return
        line = json.dumps(window.facts(self.device, now), separators=(",", ":")) + "\n"
        try:
            append(self.folder, line.encode(), self.most_bytes)
        except OSError as error:
            # The window stays open: it is written when the disk takes it, and nothing is lost.
            self.problem = "%s: %s" % (self.folder, error)
            return
        self.problem = ""
        self.window = Window(self.golden, now)
        # After the counts: where the disk takes one of both alone, it is those.
        try:
            if self.raw is not None:
                self.raw.write(self.device)
        except OSError as error:
            self.problem = "%s: %s" % (self.raw.path, error)


def append(folder: Path, line: bytes, most_bytes: int = MOST_BYTES) -> None:
    """Append a whole line to the records of a folder, or nothing. Raises :class:`OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    if path.exists() and path.stat().st_size + len(line) > most_bytes:
        rotate(path)
    descriptor = os.open(str(path), os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        # An app that was killed may have left half a line.
        whole = not size or os.pread(descriptor, 1, size - 1) == b"\n"
        content = line if whole else b"\n" + line
        written = 0
        try:
            written = os.write(descriptor, content)
            if written < len(content):
                raise OSError("the disk is full")
        except OSError:
            if written:
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def rotate(path: Path) -> None:
    """Move records to older files, and forget the oldest."""
    older: List[Path] = [
        path.with_name("%s-%d%s" % (path.stem, k, path.suffix)) for k in range(1, OLDER + 1)
    ]
    for to, source in zip(reversed(older), reversed([path, *older[:-1]])):  # noqa: B905
        if source.exists():
            source.replace(to)


def processor() -> str:
    """Return what the processor calls itself, with the architecture."""
    named = ""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model"):
                named = value.strip()
                break
    except (OSError, UnicodeDecodeError):
        pass
    return " ".join(part for part in (named, platform.machine()) if part)


def moment(seconds: float) -> str:
    """Return a time in UTC, as ISO 8601 writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
