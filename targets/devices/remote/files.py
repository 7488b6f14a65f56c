"""Files pushed to a device by what they hold: each once, resumed where a connection broke."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.targets.devices.agent.channel import PIECE
from edgekit.targets.devices.digests import Digests
from edgekit.targets.devices.retry import again
from edgekit.types import Progress


class Damaged(DeviceError):
    """A file that came with another content, or that another connection has changed there."""


class Pushing(ABC):
    """Files of this host on one device, named there by their sha256; children bring them there."""

    def __init__(self, address: str, progress: Progress) -> None:
        self._address, self._progress = address, progress
        self.digests = Digests()
        # Where what has been seen there whole lies, by its sha256.
        self._pushed: dict[str, str] = {}

    def push(self, paths: Iterable[Path], executable: bool = False) -> Mapping[Path, str]:
        """Bring files to the device: each its absolute path there.

        What is there already is not sent. Raises :class:`DeviceError` where they cannot be kept,
        and :class:`ConnectionLost` where the device went away and stays away.
        """
        digests = {path: self.digests.of(path) for path in paths}
        files = {digest: path for path, digest in digests.items() if digest not in self._pushed}
        if files:
            again(lambda: self._bring(files, executable), Damaged)
        return {path: self._pushed[digest] for path, digest in digests.items()}

    def _bring(self, files: Mapping[str, Path], executable: bool) -> None:
        lengths = {digest: path.stat().st_size for digest, path in files.items()}
        left = sum(lengths.values())

        def attempt() -> str:
            nonlocal left
            folder, missing = self._missing(lengths)
            left = sum(lengths[digest] - at for digest, at in missing.items())
            if missing:
                self._progress.update(0, 1, f"sending {left / 1e6:.1f} MB to {self._address}")
                self._send({d: files[d] for d in missing}, missing, executable)
            return folder

        # A connection that breaks after a few bytes each time never brings a file there.
        folder = again(attempt, progress=lambda: left // PIECE)
        self._pushed.update({digest: f"{folder}/{digest}" for digest in files})

    @abstractmethod
    def _missing(self, lengths: Mapping[str, int]) -> tuple[str, Mapping[str, int]]:
        """Return the folder there, and from where on each file is sent that is not there whole."""

    @abstractmethod
    def _send(
        self, files: Mapping[str, Path], missing: Mapping[str, int], executable: bool
    ) -> None:
        """Send files, each from its place on; verified there. Raises :class:`Damaged`."""
