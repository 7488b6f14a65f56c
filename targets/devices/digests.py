"""SHA-256 of this host's files, each read once while it stays as it is."""

from __future__ import annotations

from pathlib import Path

from edgekit.store import sha256


class Digests:
    """Digests that are known, by what changes when a file does."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int], str] = {}

    def of(self, path: Path) -> str:
        """Return the digest of a file or folder."""
        if path.is_dir():
            return sha256(path)
        stat = path.stat()
        key = str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino
        if key not in self._known:
            self._known[key] = sha256(path)
        return self._known[key]
