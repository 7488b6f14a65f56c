"""Keep a sample of raw items beside the records: what an app was given, and what it answered.

Only where somebody asks for it: items may hold personal data, and the file says so. ``items.jsonl``
begins with a line that says what it is a sample of and how much it may hold, then has a line for
each item, its values in base64. ``edgekit monitor`` reads it.

    raw = RawItems(golden, "records", items=100)
    recorder = Recorder(golden, "records", raw=raw)

Each item has a number and a place that is drawn for it by the seed; kept are those with the lowest
places, so that each item had the same chance, and Python, Kotlin and JavaScript keep the same.
Needs numpy alone; works on Python 3.9 and later.
"""

from __future__ import annotations

import base64
import bisect
import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import numpy as np

SCHEMA_VERSION = 1
FILE = "items.jsonl"
# The file of before: of another bundle, or of other bounds.
OLDER = "items-1.jsonl"
KIND = "raw items"
WARNING = "raw items of users: they may hold personal data"
MOST_ITEMS = 100
MOST_BYTES = 16 << 20
# What the first line may take of that.
HEAD = 4096
# Every place that is drawn is below it.
END = 1 << 32


def places(seed: int, first: int, count: int) -> Any:
    """Return the places of items by their numbers, uint64 ``[count]`` below 2^32, no two alike.

    Numbers are spread by the golden ratio, then mixed by the finalizer of MurmurHash3 (Appleby).
    """
    mask = np.uint64(END - 1)
    numbers = np.arange(first, first + count, dtype=np.uint64) & mask
    mixed = (np.uint64(seed % END) + numbers * np.uint64(0x9E3779B9)) & mask
    mixed = (mixed ^ (mixed >> np.uint64(16))) * np.uint64(0x85EBCA6B) & mask
    mixed = (mixed ^ (mixed >> np.uint64(13))) * np.uint64(0xC2B2AE35) & mask
    return mixed ^ (mixed >> np.uint64(16))


class RawItems:
    """A sample of at most so many items and so many bytes, written into ``folder`` by a recorder.

    It goes on where the file of a start before left off, if that is of the same bundle and bounds.
    Who takes the file away begins a new sample. One process writes into a folder.
    """

    def __init__(
        self,
        golden: Mapping[str, Any],
        folder: Union[str, Path],
        items: int = MOST_ITEMS,
        most_bytes: int = MOST_BYTES,
        seed: int = 0,
    ):
        self.golden, self.path = golden, Path(folder) / FILE
        self.items, self.most_bytes, self.seed = items, most_bytes, seed
        self._begin("")
        self._resume()

    def _begin(self, began: str) -> None:
        self.began = began
        # Items that were seen, and those that no file of this size holds.
        self.seen = self.too_large = 0
        # Place and line of what is kept, in order; only what has a place below this is kept.
        self.kept: List[Tuple[int, str]] = []
        self.below = END
        self._bytes, self._written = HEAD, False

    def add(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """See items ``[n, ...]`` by the names of inputs and outputs. Raises what numpy raises."""
        sides = {"input": inputs, "output": outputs}
        tensors = [
            (tensor, np.asarray(sides[tensor["side"]][tensor["name"]]))
            for tensor in self.golden["tensors"]
            if tensor["name"] in sides[tensor["side"]]
        ]
        count = max([len(values) for _, values in tensors], default=0)
        drawn = places(self.seed, self.seen, count)
        first, self.seen = self.seen, self.seen + count
        self.began = self.began or moment(time.time())
        for row in np.flatnonzero(drawn < self.below):
            if drawn[row] < self.below:
                told = [(tensor, values[row]) for tensor, values in tensors]
                self._keep(int(drawn[row]), item_line(first + int(row), told))

    def _keep(self, place: int, line: str) -> None:
        if HEAD + len(line) > self.most_bytes:
            self.too_large += 1
            return
        bisect.insort(self.kept, (place, line))
        self._bytes += len(line)
        while len(self.kept) > self.items or self._bytes > self.most_bytes:
            # Nothing after it is kept either: each item has the same chance.
            self.below, dropped = self.kept.pop()
            self._bytes -= len(dropped)

    def write(self, device: str) -> None:
        """Write the file anew, or leave it as it is. Raises :class:`OSError`."""
        if self._written and not self.path.exists():
            self._begin("")
        if not self.seen:
            return
        content = "".join([self._head(device), *(line for _, line in self.kept)]).encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(".%s.part" % FILE)
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        except OSError:
            if part.exists():
                part.unlink()
            raise
        self._written = True

    def _head(self, device: str) -> str:
        return text(
            {
                "schema_version": SCHEMA_VERSION,
                "kind": KIND,
                "warning": WARNING,
                "golden": self.golden["digest"],
                "name": self.golden["name"],
                "version": self.golden["version"],
                "device": device,
                "began": self.began,
                "ended": moment(time.time()),
                "most_items": self.items,
                "most_bytes": self.most_bytes,
                "seed": self.seed,
                "below": self.below,
                "seen": self.seen,
                "too_large": self.too_large,
                "kept": len(self.kept),
            }
        )

    def _resume(self) -> None:
        """Go on with the file that is there; what is of no use to that is moved aside."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError):
            lines = []
        head = self._own(lines)
        if head is None:
            with contextlib.suppress(OSError):
                self.path.replace(self.path.with_name(OLDER))
            return
        self.began, self.below = head["began"], head["below"]
        self.seen, self.too_large = head["seen"], head["too_large"]
        for line in lines[1:]:
            number = int(json.loads(line)["item"])
            self.kept.append((int(places(self.seed, number, 1)[0]), line))
        self.kept.sort()
        self._bytes += sum(len(line) for line in lines[1:])
        self._written = True

    def _own(self, lines: List[str]) -> Optional[Dict[str, Any]]:
        """Return the first line of a file that can go on; None of another, or a damaged one."""
        with contextlib.suppress(ValueError, KeyError, IndexError, TypeError):
            head: Dict[str, Any] = json.loads(lines[0])
            own = {
                "kind": KIND,
                "golden": self.golden["digest"],
                "most_items": self.items,
                "most_bytes": self.most_bytes,
                "seed": self.seed,
                "kept": len(lines) - 1,
            }
            numbers = [json.loads(line)["item"] for line in lines[1:]]
            whole = [*numbers, head["below"], head["seen"], head["too_large"]]
            if all(isinstance(one, int) for one in whole) and isinstance(head["began"], str):
                return head if all(head[name] == value for name, value in own.items()) else None
        return None


def item_line(number: int, tensors: Any) -> str:
    """Return the line of an item: ``tensors`` are what is said of each, and its values."""
    sides: Dict[str, Dict[str, Any]] = {"input": {}, "output": {}}
    for tensor, values in tensors:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise ValueError("%s is of %s, and no numbers" % (tensor["name"], array.dtype))
        array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        shape = tensor.get("shape") if array.size == tensor["values"] else None
        sides[tensor["side"]][tensor["name"]] = {
            "dtype": array.dtype.name,
            "shape": list(array.shape) if shape is None else shape,
            "b64": base64.b64encode(array.tobytes()).decode(),
        }
    return text({"item": number, **sides})


def text(document: Mapping[str, Any]) -> str:
    """Return a line of JSON."""
    return json.dumps(document, separators=(",", ":")) + "\n"


def moment(seconds: float) -> str:
    """Return a time in UTC, as ISO 8601 writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
